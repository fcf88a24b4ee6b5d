"""A copy of an output says that AI made it, and shows the same pixels."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from batchfill.images.rights import chunks, jpeg_segments
from batchfill.images.rights.chunks import Chunk
from batchfill.images.rights.jpeg_segments import Segment
from batchfill.images.rights.mark import mark_content
from batchfill.images.rights.xmp import COMPOSITE, SYNTHETIC, Told, source_types_of

MARK = Told(COMPOSITE, "owner/model")
FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {}),
    "progressive jpeg": ("JPEG", "L", {"progressive": True}),
    "jpeg of inks": ("JPEG", "CMYK", {}),
    "png": ("PNG", "RGBA", {}),
    "webp": ("WEBP", "RGB", {}),
    "lossless webp": ("WEBP", "RGB", {"lossless": True}),
    "webp with alpha": ("WEBP", "RGBA", {}),
    "lossless webp with alpha": ("WEBP", "RGBA", {"lossless": True}),
    "webp with a profile": ("WEBP", "RGB", {"icc_profile": b"profile"}),
}


def saved(kind: str, mode: str, **options: Any) -> bytes:
    picture = Image.effect_noise((17, 11), 60).convert("RGB").convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize((17, 11)))
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize(("kind", "mode", "options"), FILES.values(), ids=FILES)
def test_a_marked_file_shows_the_same_picture_and_says_it_once(
    kind: str, mode: str, options: dict[str, Any]
) -> None:
    content = saved(kind, mode, **options)
    marked = mark_content(content, MARK)
    before, after = opened(content), opened(marked)
    assert (after.mode, after.size, after.tobytes()) == (before.mode, before.size, before.tobytes())
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    packet = after.info["xmp"]
    assert source_types_of(packet if isinstance(packet, bytes) else packet.encode()) == {COMPOSITE}
    assert mark_content(marked, Told(SYNTHETIC, "another")) == marked


def test_what_the_file_said_before_stays() -> None:
    xmp = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="mine"/></rdf:RDF>"""
    camera = Image.Exif()
    camera[0x010F] = "Canon"
    for kind in ("JPEG", "WEBP"):
        marked = mark_content(saved(kind, "RGB", xmp=xmp, exif=camera), MARK)
        assert b'dc:format="mine"' in opened(marked).info["xmp"]
        assert opened(marked).getexif()[0x010F] == "Canon"


@pytest.mark.parametrize(
    ("proof", "kept"), [(b"JP c2pa trainedAlgorithmicMedia", True), (b"JP c2pa digitalCapture", False)]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_credentials_that_say_ai_are_kept_whole_and_others_go(kind: str, proof: bytes, kept: bool) -> None:
    content = saved(kind, "RGB")
    if kind == "JPEG":
        content = jpeg_segments.join_jpeg([Segment(0xEB, proof), *jpeg_segments.split_jpeg(content)])
    elif kind == "PNG":
        head, *rest = chunks.split_png(content)
        content = chunks.join_png([head, Chunk(b"caBX", proof), *rest])
    else:
        content = chunks.join_webp([*chunks.split_webp(content), Chunk(b"C2PA", proof)])
    marked = mark_content(content, MARK)
    assert (marked == content) is kept
    assert (proof in marked) is kept


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_a_format_that_takes_no_mark_stays_as_it_is(kind: str) -> None:
    content = saved(kind, "L")
    assert mark_content(content, MARK) == content


@pytest.mark.parametrize(("kind", "mode", "options"), FILES.values(), ids=FILES)
def test_no_cut_raises(kind: str, mode: str, options: dict[str, Any]) -> None:
    content = saved(kind, mode, **options)
    for at in range(0, len(content), 7):
        mark_content(content[:at], MARK)
