"""A finished picture keeps whose its original is, says that AI edited it, and how it was made."""

from __future__ import annotations

import io
import struct
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.images.composite import jpeg_blocks
from batchfill.images.composite.composite import FinishTask, make_composite
from batchfill.images.rights import jpeg_segments, photoshop
from batchfill.images.rights.jpeg_segments import Segment, join_jpeg, split_jpeg
from batchfill.images.rights.photoshop import Resource, read_raw_profile, split_resources
from batchfill.images.rights.rights import EXTENSION, MAIN, rights_of
from batchfill.images.rights.xmp import COMPOSITE, SYNTHETIC, source_types_of

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.images.composite.finished_file import Finished

SIZE = (64, 48)
NOTE = {"prompt": "a fox", "seed": "7", "model": "owner/model"}
DIGEST = b"0" * 32

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 photoshop:Credit="An agency" photoshop:Source="%s"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"/>
</rdf:RDF></x:xmpmeta>"""


def dataset(number: int, text: str) -> bytes:
    content = text.encode()
    return bytes((0x1C, 2, number)) + len(content).to_bytes(2) + content


IPTC = b"\x1c\x01\x5a\x00\x03\x1b%G" + dataset(80, "Anna Ångström") + dataset(120, "Sofia, 2024")
IPTC += dataset(25, "boats") + dataset(25, "harbours") + dataset(110, "of another place")
RESOURCES = (
    Resource(b"8BIM", photoshop.IPTC, b"\0\0", IPTC),
    Resource(b"8BIM", 0x040C, b"\0\0", b"a thumbnail of the old picture"),
    Resource(b"8BIM", 0x03F3, b"\4name\0", b"flags"),
)


def segments(*, xmp: bytes = XMP) -> list[Segment]:
    irb = photoshop.SIGNATURE + photoshop.join_resources(RESOURCES)
    return [
        Segment(jpeg_segments.EXIF_OR_XMP, MAIN + xmp),
        Segment(jpeg_segments.PHOTOSHOP, irb),
        Segment(jpeg_segments.CREDENTIALS, b"JP\0\1 c2pa"),
        Segment(jpeg_segments.PROFILE, b"FPXR\0 with the old gain map"),
        Segment(0xE4, b"a preview of the old picture"),
        Segment(jpeg_segments.COMMENT, b"of the user's own"),
    ]


def jpeg(more: list[Segment], **options: Any) -> bytes:
    target = io.BytesIO()
    Image.effect_noise(SIZE, 50).convert("RGB").save(target, "JPEG", quality=90, subsampling=2, **options)
    head, *rest = split_jpeg(target.getvalue())
    at = 1 if rest and rest[0].marker == jpeg_segments.EXIF_OR_XMP else 0
    return join_jpeg([head, *rest[:at], *more, *rest[at:]])


def local(path: Path, content: bytes) -> LocalFile:
    path.write_bytes(content)
    return LocalFile(path, Stamp(len(content), 0), sha256(content).hexdigest())


def finished(
    folder: Path, original: bytes, form: str, pixels: Pixels | None = None, *, everything: bool = False
) -> tuple[Finished, bytes]:
    mask = Image.new("L", SIZE)
    mask.paste(255, (0, 1, *SIZE) if everything else (20, 16, 40, 30))
    target = io.BytesIO()
    mask.save(target, "PNG")
    Image.new("RGB", SIZE, "teal").save(folder / "raw.png")
    pixels = pixels or Pixels(mask_grow=1, mask_feather=0)
    task = FinishTask(
        folder / "raw.png",
        local(folder / "hero.jpg", original),
        local(folder / "mask.png", target.getvalue()),
        pixels,
        None,
        folder / "finished",
        form,
        NOTE if pixels.metadata else {},
    )
    return make_composite(task), task.target.read_bytes()


def packet_of(content: bytes) -> bytes:
    packet = Image.open(io.BytesIO(content)).info.get("xmp", b"")
    return packet.encode() if isinstance(packet, str) else packet


FORMS = {"same": "JPEG", "jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


@pytest.mark.parametrize("form", FORMS)
def test_the_makers_names_stay_and_the_camera_does_not_survive(form: str, tmp_path: Path) -> None:
    answer, content = finished(tmp_path, jpeg(segments()), form)
    assert answer.picture.format == FORMS[form]
    packet = packet_of(content)
    assert b'photoshop:Credit="An agency"' in packet
    assert source_types_of(packet) == {COMPOSITE}
    assert b"<Iptc4xmpExt:AISystemUsed>owner/model<" in packet
    assert b"<Iptc4xmpExt:AIPromptInformation>a fox<" in packet
    # The caption is the photographer's.
    assert b'x-default">a fox' not in packet
    for gone in (b"c2pa", b"old picture", b"old gain map"):
        assert gone not in content


@pytest.mark.parametrize("form", ["same", "png", "webp"])
def test_iptc_stays_or_becomes_xmp_where_the_format_has_no_place_for_it(form: str, tmp_path: Path) -> None:
    _, content = finished(tmp_path, jpeg(segments()), form)
    image = Image.open(io.BytesIO(content))
    image.load()
    if form == "webp":
        packet = packet_of(content).decode()
        assert "<rdf:li>Anna Ångström</rdf:li>" in packet
        assert "<rdf:li>boats</rdf:li><rdf:li>harbours</rdf:li>" in packet
        assert "of another place" not in packet  # its XMP had a credit already
    elif form == "png":
        (found,) = read_raw_profile(image.info["Raw profile type iptc"])
        assert found.content == IPTC
    else:
        assert rights_of(split_jpeg(content)).resources == (RESOURCES[0], RESOURCES[2])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("metadata", "mark"), [(True, "none"), (False, "ai"), (False, "none")])
def test_the_prompt_and_the_mark_can_each_be_left_out(
    form: str, metadata: bool, mark: str, tmp_path: Path
) -> None:
    pixels = Pixels(metadata=metadata, mark=mark, mask_feather=0)
    _, content = finished(tmp_path, jpeg(segments()), form, pixels)
    assert source_types_of(packet_of(content)) == ({COMPOSITE} if mark == "ai" else set())
    assert (b"a fox" in content) is metadata
    assert (b"owner/model" in content) is metadata
    assert b"An agency" in content


@pytest.mark.parametrize("form", FORMS)
def test_what_is_made_up_all_over_says_so(form: str, tmp_path: Path) -> None:
    _, content = finished(tmp_path, jpeg([]), form, everything=True)
    assert source_types_of(packet_of(content)) == {SYNTHETIC}


def test_a_jpeg_keeps_its_exif_profile_and_comment_and_shows_its_new_self_small(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Canon", 6
    original = jpeg(segments(), exif=exif, icc_profile=b"a profile")
    task = Pixels(mask_feather=0, mask_fit="resize")
    answer, content = finished(tmp_path, original, "same", task)
    image = Image.open(io.BytesIO(content))
    assert answer.made_as == "jpeg-blocks"
    assert image.size == SIZE
    assert (answer.picture.width, answer.picture.height) == SIZE[::-1]
    assert dict(image.getexif()) == {0x010F: "Canon", 0x0112: 6}
    assert (image.info["icc_profile"], image.info["comment"]) == (b"a profile", b"of the user's own")
    assert image.info["exif"] == Image.open(io.BytesIO(original)).info["exif"]


def test_an_upright_copy_of_a_turned_jpeg_is_not_turned_by_its_xmp(tmp_path: Path) -> None:
    turn = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF>'
    original = jpeg(segments(xmp=XMP.replace(b"</rdf:RDF>", turn)))
    _, content = finished(tmp_path, original, "png", Pixels(mask_fit="resize", mask_feather=0))
    image = Image.open(io.BytesIO(content))
    assert image.size == SIZE[::-1]
    assert image.getexif().get(0x0112, 1) == 1
    assert b"Orientation" not in packet_of(content)


def extended(content: bytes) -> list[Segment]:
    digest = md5(content).hexdigest().upper().encode()
    note = b' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="' + digest + b'"'
    half = len(content) // 2
    parts = [(half, content[half:]), (0, content[:half])]
    return [
        Segment(jpeg_segments.EXIF_OR_XMP, MAIN + XMP.replace(b' rdf:about=""', b' rdf:about=""' + note)),
        *(
            Segment(0xE1, EXTENSION + digest + struct.pack(">II", len(content), at) + part)
            for at, part in parts
        ),
    ]


def test_xmp_beyond_one_segment_stays_without_what_is_stale(tmp_path: Path) -> None:
    depth = b'<rdf:Description xmlns:g="http://ns.google.com/photos/1.0/depthmap/" g:Data="old depths"/>'
    settings = b'<rdf:Description xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Tint="7"/>'
    head, ends = XMP.split(b"<rdf:Description")[0], b"</rdf:RDF></x:xmpmeta>"
    _, content = finished(tmp_path, jpeg(extended(head + settings + depth + ends)), "same")
    rights = rights_of(split_jpeg(content))
    assert rights.extension == head + settings + depth.replace(b' g:Data="old depths"', b"") + ends
    assert rights.digest.encode() in rights.packet
    assert b"old depths" not in content


def test_an_xmp_that_leaves_no_room_for_the_prompt_still_bears_the_mark(tmp_path: Path) -> None:
    full = XMP.replace(b"%s", b"x" * (jpeg_segments.LONGEST - len(MAIN) - len(XMP) - 500))
    answer, content = finished(tmp_path, jpeg(segments(xmp=full)), "same")
    assert answer.made_as == "jpeg-blocks"
    assert source_types_of(packet_of(content)) == {COMPOSITE}
    assert b"a fox" not in content


def test_without_jpeglib_a_jpeg_is_encoded_whole_as_it_was_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg_blocks, "find_spec", lambda _: None)
    original = jpeg(segments())
    answer, content = finished(tmp_path, original, "same")
    assert answer.made_as == "jpeg: encoded whole, jpeglib is not installed here"
    before, after = Image.open(io.BytesIO(original)), Image.open(io.BytesIO(content))
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    assert b'photoshop:Credit="An agency"' in packet_of(content)
    assert rights_of(split_jpeg(content)).resources == (RESOURCES[0], RESOURCES[2])


@pytest.mark.parametrize(
    ("mode", "form", "made_as"),
    [
        ("RGBA", "jpg", "png: JPEG does not hold transparency"),
        ("L", "webp", "png: WEBP does not hold greys"),
        ("RGBA", "same", "png"),
        ("RGB", "webp", "webp"),
        ("RGB", "jpg", "jpeg"),
    ],
)
def test_a_file_that_is_not_what_was_asked_for_says_why(
    mode: str, form: str, made_as: str, tmp_path: Path
) -> None:
    target = io.BytesIO()
    Image.effect_noise(SIZE, 50).convert("RGB").convert(mode).save(target, "PNG")
    assert finished(tmp_path, target.getvalue(), form)[0].made_as == made_as


def test_resources_that_are_cut_short_are_read_as_far_as_they_go() -> None:
    whole = photoshop.join_resources(RESOURCES)
    assert split_resources(whole) == (RESOURCES[0], RESOURCES[2])
    for at in range(len(whole)):
        assert set(split_resources(whole[:at])) <= set(RESOURCES)


@pytest.mark.parametrize("text", ["", "\niptc\n", "\niptc\n 3\nzz", "\niptc\n       4\n00000000\n"])
def test_a_raw_profile_that_is_none_is_left_out(text: str) -> None:
    assert read_raw_profile(text) == ()


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_turned_jpeg_is_filled_where_the_upright_mask_says(turned: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    original = jpeg([], exif=exif)
    upright = Image.new("L", SIZE if turned < 5 else SIZE[::-1])
    upright.paste(255, (0, 0, 16, 16))
    target = io.BytesIO()
    upright.save(target, "PNG")
    Image.new("RGB", upright.size, "red").save(tmp_path / "raw.png")
    picture, mask = local(tmp_path / "hero.jpg", original), local(tmp_path / "mask.png", target.getvalue())
    task = FinishTask(
        tmp_path / "raw.png", picture, mask, Pixels(mask_feather=0), None, tmp_path / "made", "same", {}
    )
    assert make_composite(task).made_as == "jpeg-blocks"
    made = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "made"))).astype(int)
    before = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "hero.jpg"))).astype(int)
    assert np.abs(made[:15, :15] - (254, 0, 0)).max() < 40
    assert np.array_equal(made[17:], before[17:])
    assert np.array_equal(made[:, 17:], before[:, 17:])
