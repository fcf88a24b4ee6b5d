"""A JPEG of a JPEG: every block that the mask does not touch is the original's, to the coefficient."""

from __future__ import annotations

import io
from shutil import disk_usage
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter
from PIL.Image import Transpose

from batchfill.images.composite import libjpeg
from batchfill.images.composite.jpeg_blocks import Exchange
from batchfill.images.composite.jpeg_frame import CannotExchange, has_usual_codes, read_frame
from batchfill.images.prepare.hole import Hole
from batchfill.images.rights.jpeg_segments import FRAMES, join_jpeg, split_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from batchfill.domain.rows import Box

jpeglib = pytest.importorskip("jpeglib")

UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
STORED = UPRIGHT | {6: Transpose.ROTATE_90, 8: Transpose.ROTATE_270}


class Made(NamedTuple):
    original: bytes
    finished: bytes
    hole: Image.Image
    """As stored, like *picture*."""
    picture: Image.Image
    """What was to be seen."""
    exchange: Exchange


def photo(size: tuple[int, int], mode: str = "RGB", seed: int = 1) -> Image.Image:
    values = np.random.default_rng(seed).normal(128, 70, (size[1], size[0], 3)).clip(0, 255)
    return Image.fromarray(values.astype(np.uint8)).filter(ImageFilter.GaussianBlur(2)).convert(mode)


def encoded(picture: Image.Image, **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", **{"quality": 88, **options})
    return target.getvalue()


def decoded(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def showing(picture: Image.Image) -> Callable[[Image.Image, Box], None]:
    """Return what paints each part as *picture* is."""
    return lambda part, box: part.paste(picture.crop(box))


def exchanged(original: bytes, folder: Path, box: tuple[int, int, int, int], turned: int = 1) -> Made:
    """Fill *box* of the upright *original*."""
    stored = decoded(original)
    picture = stored.transpose(UPRIGHT[turned]) if turned in UPRIGHT else stored.copy()
    hole = Image.new("L", picture.size)
    hole.paste(255, box)
    picture.paste(photo(picture.size, "RGB", 2).convert(picture.mode), None, hole)
    exchange = Exchange(original, turned)
    exchange.fill(Hole.of(hole), showing(picture), folder)
    finished = join_jpeg([*exchange.about, *exchange.write(folder)])
    if turned in STORED:
        picture, hole = picture.transpose(STORED[turned]), hole.transpose(STORED[turned])
    return Made(original, finished, hole, picture, exchange)


def planes(content: bytes, folder: Path) -> list[NDArray[np.int16]]:
    path = folder / "planes.jpg"
    path.write_bytes(content)
    jpeg = jpeglib.read_dct(str(path))
    return [plane for plane in (jpeg.Y, jpeg.Cb, jpeg.Cr, jpeg.K) if plane is not None]


def touched(hole: Image.Image, shape: tuple[int, ...], across: int, down: int) -> NDArray[np.bool_]:
    """Return which blocks of *across* times *down* pixels *hole* touches."""
    rows, columns = shape[:2]
    whole = Image.new("L", (columns * across, rows * down))
    whole.paste(hole)
    found = (np.asarray(whole) > 0).reshape(rows, down, columns, across)
    return np.asarray(found.any(axis=(1, 3)), np.bool_)


def assert_exact(made: Made, folder: Path) -> None:
    """See that no coefficient beyond the touched blocks, and no pixel beyond one of chroma, is another."""
    frame = made.exchange.frame
    parts = zip(planes(made.original, folder), planes(made.finished, folder), frame.components, strict=True)
    for before, after, component in parts:
        across, down = 8 * frame.across // component.across, 8 * frame.down // component.down
        outside = ~touched(made.hole, before.shape, across, down)
        assert np.array_equal(before[outside], after[outside])
    unit = frame.unit
    grid = -(-frame.height // unit[1]), -(-frame.width // unit[0])
    blocks = touched(made.hole, grid, *unit).repeat(unit[1], 0).repeat(unit[0], 1)
    ring = Image.fromarray(blocks.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))
    outside = np.asarray(ring.crop((0, 0, frame.width, frame.height))) == 0
    assert np.array_equal(
        np.asarray(decoded(made.finished))[outside], np.asarray(decoded(made.original))[outside]
    )


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "4:4:4": ("RGB", {"subsampling": 0}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:2:0": ("RGB", {"subsampling": 2}),
    "progressive": ("RGB", {"subsampling": 2, "progressive": True}),
    "restarts": ("RGB", {"subsampling": 2, "restart_marker_blocks": 3}),
    "grey": ("L", {}),
    "progressive grey": ("L", {"progressive": True}),
    "red, green and blue": ("RGB", {"keep_rgb": True, "subsampling": 0}),
    "inks": ("CMYK", {"subsampling": 0}),
    "progressive inks": ("CMYK", {"subsampling": 2, "progressive": True}),
    "optimised": ("RGB", {"optimize": True}),
    "coarse": ("RGB", {"quality": 20}),
}


@pytest.mark.parametrize(("mode", "options"), KINDS.values(), ids=KINDS)
def test_no_coefficient_outside_the_touched_blocks_changes(
    mode: str, options: dict[str, Any], tmp_path: Path
) -> None:
    made = exchanged(encoded(photo((75, 53), mode), **options), tmp_path, (20, 17, 51, 40))
    assert_exact(made, tmp_path)
    image = decoded(made.finished)
    assert (image.mode, image.size) == (mode, (75, 53))
    inside = np.asarray(made.hole) > 0
    apart = np.asarray(image).astype(int) - np.asarray(made.picture)
    assert np.abs(apart[inside]).mean() < 12
    assert [*tmp_path.iterdir()] == [tmp_path / "planes.jpg"]


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("size", [(75, 53), (17, 40)])
def test_a_turned_photograph_stays_as_it_was_stored(
    turned: int, size: tuple[int, int], tmp_path: Path
) -> None:
    upright = size[::-1] if turned > 4 else size
    box = (upright[0] // 2, upright[1] // 3, upright[0] // 2 + 7, upright[1] // 3 + 9)
    made = exchanged(encoded(photo(size), subsampling=2), tmp_path, box, turned)
    assert_exact(made, tmp_path)
    inside = np.asarray(made.hole) > 0
    apart = np.asarray(decoded(made.finished)).astype(int) - np.asarray(made.picture)
    assert np.abs(apart[inside]).mean() < 12


@st.composite
def boxes(draw: st.DrawFn, size: tuple[int, int]) -> Box:
    """Draw a box of a picture of *size*, of one pixel at least."""
    left, top = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
    return left, top, draw(st.integers(left + 1, size[0])), draw(st.integers(top + 1, size[1]))


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    kind=st.sampled_from([kind for kind in KINDS if "grey" not in kind]),
    data=st.data(),
)
def test_any_size_and_any_box_is_exact(
    size: tuple[int, int], kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    box = data.draw(boxes(size))
    folder = tmp_path_factory.mktemp("any")
    mode, options = KINDS[kind]
    assert_exact(exchanged(encoded(photo(size, mode), **options), folder, box), folder)


def test_inks_that_adobe_stores_as_luma_are_inks_again(tmp_path: Path) -> None:
    original = encoded(photo((40, 24), "CMYK"), subsampling=0)
    at = original.index(b"Adobe") + 11
    original = original[:at] + b"\x02" + original[at + 1 :]
    made = exchanged(original, tmp_path, (8, 8, 24, 16))
    assert made.exchange.frame.colours == "YCCK"
    assert_exact(made, tmp_path)
    inside = np.asarray(made.hole) > 0
    apart = np.asarray(decoded(made.finished)).astype(int) - np.asarray(made.picture)
    assert np.abs(apart[inside]).mean() < 12


def test_a_mask_that_fills_nothing_changes_no_coefficient(tmp_path: Path) -> None:
    original = encoded(photo((40, 24)))
    exchange = Exchange(original, 1)
    exchange.fill(Hole.of(Image.new("L", (40, 24))), showing(decoded(original)), tmp_path)
    made = join_jpeg([*exchange.about, *exchange.write(tmp_path)])
    assert decoded(made).tobytes() == decoded(original).tobytes()


def marked(content: bytes, marker: int, payload: bytes | None = None) -> bytes:
    """Return *content* with another frame marker, or frame."""
    return join_jpeg(
        s._replace(marker=marker, payload=payload or s.payload) if s.marker in FRAMES else s
        for s in split_jpeg(content)
    )


GOOD = encoded(Image.new("RGB", (24, 16), "teal"))
FRAME = next(s.payload for s in split_jpeg(GOOD) if s.marker in FRAMES)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no picture", "no plain JPEG"),
        (GOOD[:20] + b"\0" + GOOD[20:], "no plain JPEG"),
        (marked(GOOD, 0xC9), "coded in a rare way"),
        (marked(GOOD, 0xC1, b"\x0c" + FRAME[1:]), "coded in a rare way"),
        (marked(GOOD, 0xC0, FRAME[:1] + b"\0\0" + FRAME[3:]), "no plain JPEG"),
        (
            marked(GOOD, 0xC0, FRAME[:7] + b"\x31" + FRAME[8:10] + b"\x21" + FRAME[11:]),
            "subsampled in a rare way",
        ),
        (marked(GOOD, 0xC0, FRAME[:1] + b"\xff\xff\xff\xff" + FRAME[5:]), "too large"),
    ],
)
def test_what_cannot_be_exchanged_is_told_before_libjpeg_sees_it(content: bytes, why: str) -> None:
    with pytest.raises(CannotExchange, match=why):
        Exchange(content, 1)


def test_a_damaged_original_is_left_to_others_without_a_word_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(encoded(photo((64, 48)), quality=95))
    at = content.index(b"\xff\xda") + 300
    del content[at : at + 400]
    picture = decoded(bytes(content))
    hole = Image.new("L", picture.size, 255)
    exchange = Exchange(bytes(content), 1)
    with pytest.raises(CannotExchange, match="damaged"):
        exchange.fill(Hole.of(hole), showing(picture), tmp_path)
    assert capfd.readouterr().err == ""
    assert [*tmp_path.iterdir()] == []


def test_what_libjpeg_cannot_write_is_told_as_damaged_not_as_a_disk_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_dct(*_: object, **__: object) -> None:
        raise OSError(f"writing DCT to {tmp_path} failed")

    monkeypatch.setattr(jpeglib.DCTJPEG, "write_dct", write_dct)
    with pytest.raises(CannotExchange, match="damaged in places"):
        exchanged(GOOD, tmp_path, (0, 0, 8, 8))


def test_without_room_for_libjpegs_files_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange(GOOD, 1)
    usage = disk_usage(tmp_path)._replace(free=len(GOOD))
    monkeypatch.setattr(libjpeg, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="No space left"):
        exchange.fill(Hole.of(Image.new("L", (24, 16), 255)), showing(decoded(GOOD)), tmp_path)


def test_colours_are_told_as_libjpeg_tells_them() -> None:
    segments = split_jpeg(encoded(photo((8, 8)), keep_rgb=True, subsampling=0))
    assert read_frame(segments).colours == "RGB"
    assert read_frame(split_jpeg(GOOD)).colours == "YCbCr"
    plain = [s for s in split_jpeg(GOOD) if not s.is_about]
    assert read_frame(plain).colours == "YCbCr"


def test_black_ink_is_filled_too(tmp_path: Path) -> None:
    dark = Image.new("CMYK", (40, 24), (10, 20, 30, 200))
    made = exchanged(encoded(dark, subsampling=0), tmp_path, (8, 8, 24, 16))
    assert_exact(made, tmp_path)
    apart = np.asarray(decoded(made.finished)).astype(int)[8:16, 8:24] - np.asarray(made.picture)[8:16, 8:24]
    assert np.abs(apart).mean() < 12


@pytest.mark.parametrize(
    ("options", "usual"),
    [({}, True), ({"subsampling": 2}, True), ({"optimize": True}, False), ({"progressive": True}, False)],
)
def test_a_jpeg_keeps_to_the_usual_codes_and_gets_its_own_where_it_had_its_own(
    options: dict[str, Any], usual: bool, tmp_path: Path
) -> None:
    original = encoded(photo((64, 48)), **options)
    assert has_usual_codes(split_jpeg(original)) is usual
    made = exchanged(original, tmp_path, (8, 8, 24, 24))
    assert has_usual_codes(split_jpeg(made.finished)) is usual
    assert not has_usual_codes([])


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("corner", [(0, 0), (30, 2), (3, 36)])
def test_what_is_filled_lies_where_the_turned_photograph_shows_it(
    turned: int, corner: tuple[int, int], tmp_path: Path
) -> None:
    original = encoded(Image.new("RGB", (75, 53)), subsampling=2)
    picture = Image.new("RGB", (53, 75) if turned > 4 else (75, 53))
    hole = Image.new("L", picture.size)
    box = (*corner, corner[0] + 16, corner[1] + 12)
    hole.paste(255, box)
    picture.paste("white", box)
    exchange = Exchange(original, turned)
    exchange.fill(Hole.of(hole), showing(picture), tmp_path)
    made = decoded(join_jpeg([*exchange.about, *exchange.write(tmp_path)]))
    upright = made.transpose(UPRIGHT[turned]) if turned in UPRIGHT else made
    assert np.abs(np.asarray(upright, np.int16) - np.asarray(picture)).mean() < 4
    assert np.asarray(upright.crop(box)).mean() > 240


def assert_shown_exactly(original: bytes, folder: Path, box: Box, turned: int = 1) -> None:
    """See that what is to be painted on is to the bit what the whole JPEG shows, and holds all of *box*."""
    stored = decoded(original)
    upright = stored.transpose(UPRIGHT[turned]) if turned in UPRIGHT else stored
    hole, shown = Image.new("L", upright.size), Image.new("L", upright.size)
    hole.paste(255, box)

    def paint(part: Image.Image, place: Box) -> None:
        assert (part.mode, part.tobytes()) == (upright.mode, upright.crop(place).tobytes())
        shown.paste(255, place)
        # The next part shows nothing of it.
        part.paste(tuple(200 for _ in part.getbands()), (0, 0, *part.size))

    Exchange(original, turned).fill(Hole.of(hole), paint, folder)
    assert ImageChops.subtract(hole, shown).getbbox() is None


@pytest.mark.parametrize("turned", [1, 3, 6, 7])
@pytest.mark.parametrize(("mode", "options"), KINDS.values(), ids=KINDS)
def test_what_is_painted_on_is_to_the_bit_what_the_whole_jpeg_shows(
    mode: str, options: dict[str, Any], turned: int, tmp_path: Path
) -> None:
    # Parts are as high as 16 rows of the grid: two and more of them.
    size, box = ((45, 300), (9, 100, 30, 290)) if turned < 5 else ((300, 45), (20, 9, 40, 280))
    stored = size if turned < 5 else size[::-1]
    assert_shown_exactly(encoded(photo(stored, mode), **options), tmp_path, box, turned)


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    kind=st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "grey", "inks"]),
    data=st.data(),
)
def test_a_part_at_any_edge_is_what_the_whole_jpeg_shows(
    size: tuple[int, int], kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    box = data.draw(boxes(size))
    mode, options = KINDS[kind]
    assert_shown_exactly(encoded(photo(size, mode), **options), tmp_path_factory.mktemp("any"), box)


@pytest.mark.parametrize("sampling", ["4:1:1", "4:4:0", "4:1:0"])
def test_colours_that_are_subsampled_as_no_camera_does_are_exact_too(sampling: str, tmp_path: Path) -> None:
    pixels = np.asarray(photo((90, 70)))
    path = tmp_path / "hero.jpg"
    jpeg = jpeglib.from_spatial(np.ascontiguousarray(pixels))
    jpeg.samp_factor = sampling
    jpeg.write_spatial(str(path), qt=85)
    assert_shown_exactly(path.read_bytes(), tmp_path, (33, 20, 61, 66))
    assert_exact(exchanged(path.read_bytes(), tmp_path, (33, 20, 61, 66)), tmp_path)


def test_what_the_frame_says_is_not_learnt_by_decoding_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = jpeglib.functional.read_dct
    monkeypatch.setattr(jpeglib, "read_dct", None)
    made = exchanged(GOOD, tmp_path, (0, 0, 8, 8))
    monkeypatch.setattr(jpeglib, "read_dct", read)
    assert_exact(made, tmp_path)


@pytest.mark.parametrize("least", [1, 20, 40, 75, 500])
@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "grey", "red, green and blue", "inks", "luma inks"])
def test_a_jpeg_is_shown_small_by_its_coefficients(kind: str, least: int, tmp_path: Path) -> None:
    mode, options = KINDS.get(kind, KINDS["inks"])
    original = encoded(photo((150, 91), mode), **options)
    if kind == "luma inks":
        at = original.index(b"Adobe") + 11
        original = original[:at] + b"\x02" + original[at + 1 :]
    exchange = Exchange(original, 1)
    hole = Image.new("L", (150, 91))
    hole.paste(255, (40, 30, 90, 70))
    red = Image.new("RGB", (150, 91), "red").convert(mode)
    exchange.fill(Hole.of(hole), lambda part, box: part.paste(red.crop(box), None, hole.crop(box)), tmp_path)
    small = exchange.shrink(least)
    expected = decoded(join_jpeg([*exchange.about, *exchange.write(tmp_path)]))
    assert small.mode == mode
    assert max(small.size) >= min(least, 150)
    assert max(small.size) <= max(2 * least, 19)
    # Without the blocks that reach beyond the picture.
    expected = expected.crop((0, 0, 144, 88)).reduce(round(150 / small.width))
    apart = np.asarray(small.crop((0, 0, *expected.size)), np.int16) - np.asarray(expected)
    assert np.abs(apart).mean() < 4


def test_a_row_of_many_outputs_begins_each_with_the_original(tmp_path: Path) -> None:
    original = encoded(photo((64, 48)), subsampling=2)
    exchange = Exchange(original, 1)
    holes = [Image.new("L", (64, 48)) for _ in range(2)]
    for hole, box in zip(holes, [(0, 0, 9, 9), (40, 30, 50, 40)], strict=True):
        hole.paste(255, box)
        picture = Image.new("RGB", (64, 48), "red")
        exchange.fill(Hole.of(hole), showing(picture), tmp_path)
        finished = join_jpeg([*exchange.about, *exchange.write(tmp_path)])
        assert_exact(Made(original, finished, hole, picture, exchange), tmp_path)
