"""What is sent of a picture that is enlarged, and what is kept of it when it is finished."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.drawn_masks import NOTHING, read_drawn_mask
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.errors import BadPicture
from batchfill.images.composite.composite import FinishTask, make_composite
from batchfill.images.prepare.enlarge import feather_new, place_canvas
from batchfill.images.prepare.fit import FitTask, fit_files
from batchfill.images.prepare.mask import read_mask
from batchfill.images.quality.flags import FlagTask, flag_outputs
from tests.support.models import DEV, known_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.drawn_masks import DrawnMask

    Encode = Callable[..., bytes]

RULE = known_model(DEV).size_rule
NEW = 7
"""The grey of outputs here, which no picture has at its edges."""


def sent(picture: bytes, pixels: Pixels, mask: bytes | DrawnMask = NOTHING, **more: Any) -> list[Image.Image]:
    fitted = fit_files(FitTask(picture, mask, pixels, **more))
    assert fitted.picture is not None
    assert fitted.mask is not None
    assert fitted.picture.size == fitted.mask.size
    return [Image.open(io.BytesIO(file.content)) for file in (fitted.picture, fitted.mask)]


def test_the_picture_is_sent_on_its_canvas_and_the_mask_fills_what_is_new(
    photo: Image.Image, encode: Encode
) -> None:
    picture, mask = sent(encode(photo), Pixels(expand="left=32 bottom=25%"))
    assert picture.size == mask.size == (128, 80)
    old = (32, 0, 128, 64)
    assert picture.crop(old).tobytes() == photo.tobytes()
    inverted = ImageOps.invert(mask)
    assert inverted.getbbox() == old
    assert inverted.crop(old).getextrema() == (255, 255)


@pytest.mark.parametrize("words", ["box:10,10,20,20", "file"])
def test_a_mask_fills_a_part_of_the_old_picture_as_well(
    photo: Image.Image, encode: Encode, words: str
) -> None:
    own = Image.new("L", photo.size)
    own.paste(255, (10, 10, 30, 30))
    given_mask = encode(own) if words == "file" else read_drawn_mask(words)
    assert given_mask is not None
    _, mask = sent(encode(photo), Pixels(expand="16", mask_grow=2), given_mask)
    old = mask.crop((16, 16, 112, 80))
    assert old.getbbox() == (8, 8, 32, 32)
    assert old.getpixel((0, 0)) == 0


def test_what_is_new_continues_the_picture_without_an_edge(photo: Image.Image, encode: Encode) -> None:
    picture, _ = sent(encode(photo), Pixels(expand="40"))
    values = np.asarray(picture).astype(int)
    for before, after in ((values[:, 39], values[:, 40]), (values[39], values[40])):
        assert np.abs(before - after)[40:-40].mean() < 8
    # Far from the picture there is less detail than in it, and no grey that is the same all over.
    far = values[:20].std(axis=(0, 1))
    assert (far > 10).any()
    assert (
        np.abs(np.diff(values[:20, :, 0], axis=1)).mean()
        < np.abs(np.diff(values[44:64, 44:92, 0], axis=1)).mean() / 3
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photograph_lies_on_its_canvas_where_it_is_pasted_back(encode: Encode, kind: str) -> None:
    """Decoded at a part of its size, or averaged, it is not moved."""
    fine, pixels = (
        np.zeros((3000, 4000), np.uint8),
        Pixels(expand="left=333 top=77", aspect="16:9", anchor="right"),
    )
    fine[200:400, 100:300] = 255
    inputs = {"megapixels": "0.25"}
    picture, mask = sent(encode(Image.fromarray(fine), kind), pixels, rule=RULE, inputs=inputs)
    placed = place_canvas(pixels, (4000, 3000), has_mask=False)
    assert placed is not None
    assert RULE is not None
    assert mask.size == picture.size == RULE.fitting_size(*placed.size, inputs)
    scale = picture.width / placed.size[0], picture.height / placed.size[1]
    values = np.asarray(picture.convert("L"), np.float64).copy()
    # What is new shows some of the square as well, blurred.
    values[:, : int(placed.box[0] * scale[0]) + 1] = 0
    middle = [
        float((values.sum(axis=1 - axis) * (np.arange(values.shape[axis]) + 0.5)).sum()) for axis in (1, 0)
    ]
    expected = [(placed.box[n] + (200, 300)[n]) * scale[n] for n in (0, 1)]
    assert [place / values.sum() for place in middle] == pytest.approx(expected, abs=0.06)


def test_a_canvas_that_is_no_larger_needs_a_mask(photo: Image.Image, encode: Encode) -> None:
    pixels = Pixels(aspect="3:2")
    with pytest.raises(
        BadPicture, match="nothing to fill: aspect: 3:2 adds nothing to 96x64, and there is no mask"
    ):
        sent(encode(photo), pixels)
    _, mask = sent(encode(photo), pixels, read_drawn_mask("box:1,1,5,5") or NOTHING)
    assert mask.getbbox() == (1, 1, 6, 6)


def test_a_canvas_that_is_too_large_is_refused() -> None:
    with pytest.raises(
        BadPicture, match="expand: 100000 makes 200096x200064 of 96x64, more than 200 megapixels"
    ):
        place_canvas(Pixels(expand="100000"), (96, 64), has_mask=False)


def test_what_is_new_fades_in_and_no_pixel_of_the_picture_does() -> None:
    pixels = Pixels(expand="left=20", mask_feather=8)
    placed = place_canvas(pixels, (30, 30), has_mask=True)
    assert placed is not None
    hole = read_mask(read_drawn_mask("box:0,0,10,15") or NOTHING, pixels, "mask", (30, 30))
    faded = np.asarray(feather_new(hole, placed, 8))
    assert np.array_equal(faded[:, 20:], np.asarray(hole)[:, 20:])
    line = faded[27, :20].astype(int)
    assert (np.diff(line) <= 0).all()
    assert line[0] == line[11] == 255
    assert line[19] < 128
    # Beside what the mask fills of the old picture there is nothing to blend with.
    assert (faded[:6, :20] == 255).all()


@st.composite
def enlargements(draw: st.DrawFn) -> Pixels:
    sides = [
        f"{side}={draw(st.integers(0, 9))}{draw(st.sampled_from(('', '%', '0%')))}"
        for side in draw(st.sets(st.sampled_from(("left", "top", "right", "bottom")), min_size=1))
    ]
    found = known_model(DEV).reader("expand")(" ".join(sorted(sides)))
    return Pixels(
        expand=str(found),
        aspect=draw(st.sampled_from((None, "16:9", "9:16", "1:1", "5:4"))),
        anchor=draw(st.sampled_from(("center", "left", "bottom"))),
        mask_feather=draw(st.sampled_from((0, 1, 4, 50))),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pixels=enlargements(),
    size=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    mode=st.sampled_from(("RGB", "L", "RGBA", "LA", "I;16", "P")),
    orientation=st.integers(1, 8),
    masked=st.booleans(),
)
def test_every_old_pixel_outside_of_the_mask_is_the_originals(
    tmp_path: Path, pixels: Pixels, size: tuple[int, int], mode: str, orientation: int, *, masked: bool
) -> None:
    path, raw = tmp_path / "p.png", tmp_path / "raw.png"
    save_noise(path, size, mode, orientation)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert({"P": "RGB"}.get(mode))
    mask = (read_drawn_mask("box:0,0,2,1") or NOTHING) if masked else NOTHING
    placed = place_canvas(pixels, upright.size, has_mask=True)
    assert placed is not None
    if not placed.is_larger and not masked:
        return
    Image.new("RGB", (64, 64), (NEW, NEW, NEW)).save(raw)
    content = path.read_bytes()
    local = LocalFile(path, Stamp(len(content), 0), sha256(content).hexdigest())
    answer = make_composite(FinishTask(raw, local, mask, pixels, None, tmp_path / "made", None, {}))
    assert (answer.picture.width, answer.picture.height) == placed.size
    with Image.open(tmp_path / "made") as image:
        whole = np.asarray(image)
    left, top, right, bottom = placed.box
    kept = np.ones((upright.height, upright.width), np.bool_)
    kept[:1, :2] = not masked
    assert np.array_equal(whole[top:bottom, left:right][kept], np.asarray(upright)[kept])
    if left > 51:
        assert whole[-1, 0].flat[0] == NEW * (257 if mode == "I;16" else 1)


def save_noise(path: Path, size: tuple[int, int], mode: str, orientation: int) -> None:
    random, exif = np.random.default_rng(3), Image.Exif()
    exif[0x0112] = orientation
    if mode == "I;16":
        image = Image.fromarray(random.integers(0, 65536, size[::-1], np.uint16))
    elif mode == "P":
        image = Image.fromarray(random.integers(0, 256, (*size[::-1], 3), np.uint8)).quantize(16)
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        image = Image.merge(
            mode, [Image.fromarray(random.integers(0, 256, size[::-1], np.uint8)) for _ in range(bands)]
        )
    image.save(path, exif=exif)


@pytest.mark.parametrize(("asked", "kind"), [("same", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG")])
@pytest.mark.parametrize("mark", ["ai", "none"])
def test_a_jpeg_that_is_enlarged_becomes_png_unless_another_format_is_asked_for(
    tmp_path: Path, photo: Image.Image, asked: str, kind: str, mark: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA002] = 4000
    photo.save(tmp_path / "p.jpg", exif=exif)
    photo.save(tmp_path / "raw.png")
    content = (tmp_path / "p.jpg").read_bytes()
    local = LocalFile(tmp_path / "p.jpg", Stamp(len(content), 0), sha256(content).hexdigest())
    pixels = Pixels(expand="left=50%", mark=mark)
    note = {"model": "some/model"}
    task = FinishTask(tmp_path / "raw.png", local, NOTHING, pixels, None, tmp_path / "made", asked, note)
    assert make_composite(task).made_as == kind.lower()
    with Image.open(tmp_path / "made") as image:
        assert (image.format, image.size) == (kind, (96, 96))
        assert image.getexif().get(0x0112, 1) == 1
        assert image.getexif().get_ifd(0x8769)[0xA002] == 96
    marked = (tmp_path / "made").read_bytes()
    assert (b"compositeWithTrainedAlgorithmicMedia" in marked) == (mark == "ai")
    with Image.open(tmp_path / "p.jpg") as image:
        upright = ImageOps.exif_transpose(image)
    if kind != "JPEG":
        with Image.open(tmp_path / "made") as image:
            assert image.crop((32, 0, 96, 96)).tobytes() == upright.tobytes()


@pytest.mark.parametrize("own", [False, True])
def test_what_is_new_is_never_judged_as_unchanged(tmp_path: Path, *, own: bool) -> None:
    """A product on white goes on in white; what the row's own mask fills of it is still judged."""
    picture = Image.new("RGB", (96, 96), "white")
    picture.paste((200, 40, 40), (30, 30, 66, 66))
    picture.save(tmp_path / "p.png")
    pixels, mask = Pixels(expand="50%"), read_drawn_mask("box:30,30,20,20") if own else NOTHING
    assert mask is not None
    made, _ = sent((tmp_path / "p.png").read_bytes(), pixels, mask, rule=RULE)
    made.save(tmp_path / "out.png")
    task = FlagTask((tmp_path / "out.png",), tmp_path / "p.png", mask, pixels, None, None, ())
    assert flag_outputs(task) == (("unchanged",) if own else (),)
