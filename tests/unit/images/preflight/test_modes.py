from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms

from batchfill.images.preflight.inspect import inspect_files
from batchfill.images.preflight.inspection import InspectTask, PictureSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.findings import Finding

    Save = Callable[..., Path]


def modes(path: Path, *, mask: bool = False, fitted: bool = True) -> list[Finding]:
    source = PictureSource(path, path.name, fitted=fitted)
    findings = inspect_files(InspectTask(None if mask else source, source if mask else None)).findings
    return [finding for finding in findings if finding.kind.value in ("mode", "alpha")]


def deep_colour(path: Path) -> Path:
    """Write what Pillow cannot: a PNG of 8x8 with 16 bits in each of three channels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + bytes(range(48))) * 8)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    )
    return path


def deep_grey(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("mode", "kind", "gravity", "says"),
    [
        ("P", "png", "note", "a.png holds a palette: it is sent in full colour"),
        ("LA", "png", "note", "a.png holds grey and transparency: only the grey is sent"),
        ("I;16", "png", "note", "a.png holds 16 bits a channel: 8 of them are sent"),
        ("I", "tiff", "note", "a.tiff holds whole numbers of 32 bits: they are taken for 16"),
        ("CMYK", "jpg", "warning", "a.jpg holds CMYK colours: it is turned into RGB"),
        ("LAB", "tiff", "warning", "a.tiff holds LAB colours: it is turned into RGB"),
    ],
)
def test_what_becomes_of_a_picture_of_an_unusual_mode_is_told(
    photo: Image.Image, mode: str, kind: str, gravity: str, says: str, save: Save
) -> None:
    made = {"I;16": deep_grey, "I": lambda p: p.convert("L").convert("I"), "LAB": _lab}
    image = made.get(mode, lambda picture: picture.convert(mode))(photo)
    path = save(image, f"a.{kind}")
    (finding,) = modes(path)
    assert (finding.kind.value, finding.severity.value) == ("mode", gravity)
    assert finding.text.startswith(says)
    (as_it_is,) = modes(path, fitted=False)
    assert as_it_is.severity.value == "warning"
    assert "is sent as it is: save it as 8-bit RGB or grey" in as_it_is.text


def _lab(photo: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(photo, srgb, lab, outputMode="LAB")
    assert made is not None
    return made


def test_colours_of_16_bits_are_noticed_though_pillow_hides_them(tmp_path: Path) -> None:
    (finding,) = modes(deep_colour(tmp_path / "a.png"))
    assert finding.text == "a.png holds 16 bits a channel: 8 of them are sent"


def test_floating_point_is_a_mistake(photo: Image.Image, save: Save) -> None:
    path = save(photo.convert("F"), "a.tiff")
    for mask in (False, True):
        (finding,) = modes(path, mask=mask)
        assert (finding.kind.value, finding.severity.value) == ("mode", "mistake")
        assert finding.text == "a.tiff holds floating-point values: save it with 8 bits a channel"


def test_colours_under_transparency_are_warned_of(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    photo.putalpha(255)
    assert modes(save(photo, "whole.png")) == []
    photo.putalpha(mask)
    (finding,) = modes(save(photo, "a.png"))
    assert (finding.kind.value, finding.severity.value) == ("alpha", "warning")
    assert "the model sees the colours that lie underneath" in finding.text


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("P", "m.png holds a palette: its colours are read as greys"),
        ("LA", "m.png holds grey and transparency: what mask_from names is read"),
        ("I;16", "m.png holds 16 bits a channel: 8 of them are read"),
    ],
)
def test_what_becomes_of_a_mask_of_an_unusual_mode_is_noted(
    mask: Image.Image, mode: str, says: str, save: Save
) -> None:
    image = deep_grey(mask) if mode == "I;16" else mask.convert(mode)
    (finding,) = modes(save(image, "m.png"), mask=True)
    assert (finding.severity.value, finding.text) == ("note", says)


def test_transparency_that_a_mask_has_besides_its_greys_is_noted(mask: Image.Image, save: Save) -> None:
    layer = mask.convert("RGBA")
    layer.putalpha(mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point([99] + [255] * 255))
    (finding,) = modes(save(layer, "m.png"), mask=True)
    assert (finding.kind.value, finding.severity.value) == ("alpha", "note")
    assert "mask_from: alpha would fill what is transparent" in finding.text
