"""What becomes of files that hold their pixels in an unusual way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.domain.findings import Finding, FindingKind, Severity
from batchfill.images.codec.colors import FOREIGN
from batchfill.images.prepare.mask import alpha_varies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image


def describe_oddity(image: Image) -> str | None:
    """Return what is unusual about how *image*, of which nothing is decoded yet, holds its pixels."""
    if image.mode.startswith("I;16") or _is_deep(image):
        return "16 bits a channel"
    if image.mode in FOREIGN:
        return f"{image.mode} colours"
    return _ODD.get(image.mode)


def picture_modes(image: Image, odd: str | None, name: str, *, fitted: bool) -> Iterator[Finding]:
    """Say what becomes of the colours and the transparency of a decoded picture; *odd*: its oddity."""
    if odd is not None:
        yield _mode_finding(
            name, odd, _PICTURE.get(odd, "it is turned into RGB, where they may differ"), fitted=fitted
        )
    if alpha_varies(image):
        text = f"{name} is transparent in places, where the model sees the colours that lie underneath"
        yield Finding(FindingKind.ALPHA, Severity.WARNING, f"{text}: lay it on a background if they look odd")


def mask_modes(image: Image, odd: str | None, name: str, source: str, *, fitted: bool) -> Iterator[Finding]:
    """Say what becomes of the colours and the transparency of a decoded mask; *source*: its mask_from."""
    if odd is not None:
        yield _mode_finding(name, odd, _MASK.get(odd, "they are read as greys"), fitted=fitted)
    if source in ("white", "black") and alpha_varies(image):
        text = f"{name} is transparent in places, which is ignored: only its greys count"
        text += "; mask_from: alpha would fill what is transparent" if fitted else ""
        yield Finding(FindingKind.ALPHA, Severity.NOTE, text)


_ODD = {
    "P": "a palette",
    "PA": "a palette",
    "I": "whole numbers of 32 bits",
    "LA": "grey and transparency",
    "La": "grey and transparency",
}
_PICTURE = {
    "a palette": "it is sent in full colour",
    "16 bits a channel": "8 of them are sent",
    "whole numbers of 32 bits": "they are taken for 16, and 8 of those are sent",
    "grey and transparency": "only the grey is sent",
}
_MASK = {
    "a palette": "its colours are read as greys",
    "16 bits a channel": "8 of them are read",
    "whole numbers of 32 bits": "they are taken for 16, and 8 of those are read",
    "grey and transparency": "what mask_from names is read",
}


def _mode_finding(name: str, odd: str, becomes: str, *, fitted: bool) -> Finding:
    if not fitted:
        text = f"{name} holds {odd} and is sent as it is: save it as 8-bit RGB or grey to be safe"
        return Finding(FindingKind.MODE, Severity.WARNING, text)
    gravity = Severity.WARNING if odd.endswith("colours") else Severity.NOTE
    return Finding(FindingKind.MODE, gravity, f"{name} holds {odd}: {becomes}")


def _is_deep(image: Image) -> bool:
    """Whether the file holds 16 bits a channel, which Pillow may hand out as 8."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
