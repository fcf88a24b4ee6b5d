"""Turning whatever a file holds into the greys or colours that the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from batchfill.errors import BadPicture

if TYPE_CHECKING:
    from PIL.Image import Image

DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_MOST_DEEP = 2**16 - 1

FOREIGN = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
"""Modes whose colour profile says nothing about the RGB that they become."""

GREY = frozenset({"1", "L", "LA", "La"})


def has_alpha(image: Image) -> bool:
    """Whether *image* has transparency of any kind."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def without_alpha(image: Image, name: str) -> Image:
    """Return *image* as 8-bit L or RGB; transparency is dropped, not composited, as the service does.

    Raises BadPicture for values that are no greys of 8 or 16 bits.
    """
    if image.mode in ("L", "RGB"):
        return _without_key(image)
    if image.mode in DEEP:
        # Pillow's own conversion clips 16 bits to white instead of scaling them.
        return to_16_bits(image, name).convert("I").point(lambda value: value * (1 / 256)).convert("L")
    refuse_floats(image, name)
    return image.convert("L" if image.mode in GREY else "RGB")


def to_16_bits(image: Image, name: str) -> Image:
    """Return *image*, of a DEEP mode, as I;16. Raises BadPicture when its values need more than 16 bits."""
    if image.mode == "I;16":
        return image
    wide = image.convert("I")
    least, most = cast("tuple[int, int]", wide.getextrema())
    if not 0 <= least <= most <= _MOST_DEEP:
        raise BadPicture(f"{name} holds values of 32 bits: save it with 8 or 16 bits a channel", kind="mode")
    return wide.convert("I;16")


def refuse_floats(image: Image, name: str) -> None:
    """Raise BadPicture when the values of *image* are no whole numbers."""
    if image.mode == "F":
        raise BadPicture(f"{name} holds floating-point values: save it with 8 bits a channel", kind="mode")


def _without_key(image: Image) -> Image:
    """Drop the one colour that a PNG may declare transparent; it would be saved again."""
    if "transparency" not in image.info:
        return image
    plain = image.copy()
    del plain.info["transparency"]
    return plain


def to_grey(image: Image, name: str) -> Image:
    """Return *image* as 8-bit grey, its transparency dropped. Raises BadPicture."""
    plain = without_alpha(image, name)
    return plain if plain.mode == "L" else plain.convert("L")
