"""What the values of a mask mean: hard masks of any two, labels, edges, and greys that fill in part."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from batchfill.catalog.pixel_options import Pixels
from batchfill.errors import BadPicture
from batchfill.images.prepare import mask_values
from batchfill.images.prepare.mask import read_mask
from batchfill.images.prepare.mask_values import Greys, clean_values, find_partial

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (320, 240)
BOX = (95, 70, 195, 150)
OTHER = (210, 20, 290, 60)


def drawn(fill: Any, mode: str = "L", *, background: Any = 0, other: Any = None) -> Image.Image:
    """Return an ellipse, and a box next to it where *other* is given, on a background."""
    image = Image.new(mode, SIZE, background)
    ImageDraw.Draw(image).ellipse(BOX, fill=fill)
    if other is not None:
        ImageDraw.Draw(image).rectangle(OTHER, fill=other)
    return image


ELLIPSE = np.asarray(drawn(255)) > 0
BOTH = np.asarray(drawn(255, other=255)) > 0


def smooth(fill: int, background: int = 0) -> Image.Image:
    """Return the ellipse with edges as painting programs draw them."""
    large = Image.new("L", (4 * SIZE[0], 4 * SIZE[1]), background)
    ImageDraw.Draw(large).ellipse([4 * edge for edge in BOX], fill=fill)
    return large.resize(SIZE, Image.Resampling.BOX)


def read(image: Image.Image, source: str = "white", kind: str = "PNG", **options: Any) -> NDArray[np.uint8]:
    content = io.BytesIO()
    image.save(content, kind, **options)
    content.seek(0)
    return np.asarray(read_mask(content, Pixels(mask_from=source), "m.png", SIZE, strict=True))


def layer(alpha: int, colour: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Return strokes of one opacity on an empty layer."""
    image = Image.new("RGBA", SIZE)
    image.paste((*colour, alpha), (0, 0), drawn(255))
    return image


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (drawn((0, 255, 0), "RGB"), 150),
        (drawn(128), 128),
        (drawn(200), 200),
        (smooth(150), 150),
        (drawn(255, other=128), 128),
        (drawn(255, background=150, other=0), 150),
    ],
)
def test_a_grey_that_white_would_fill_in_part_is_a_mistake_that_names_it(
    image: Image.Image, grey: int
) -> None:
    with pytest.raises(
        BadPicture, match=f"^m.png has the grey {grey} of 255, .* only in part: .*nonzero"
    ) as it:
        read(image)
    assert it.value.kind == "grey"


def test_a_thin_line_of_grey_apart_from_the_white_is_named_too() -> None:
    image = drawn(255)
    ImageDraw.Draw(image).line((10, 10, 80, 200), fill=150, width=2)
    with pytest.raises(BadPicture, match="has the grey 150"):
        read(image)


def test_the_grey_is_named_as_it_is_in_the_file_whatever_is_filled() -> None:
    with pytest.raises(BadPicture, match="has the grey 90 of 255"):
        read(drawn(90, background=255), "black")
    hole = Image.new("RGBA", SIZE, (9, 9, 9, 255))
    hole.paste((9, 9, 9, 90), (0, 0), drawn(255))
    with pytest.raises(BadPicture, match="has the opacity 90 of 255"):
        read(hole, "alpha")


@pytest.mark.parametrize("source", ["auto", "nonzero"])
@pytest.mark.parametrize(
    "image",
    [drawn(1), drawn(15), drawn(150), drawn((0, 255, 0), "RGB"), drawn((0, 0, 255), "RGB"), layer(128)],
)
def test_two_values_are_a_hard_mask_whatever_they_are(image: Image.Image, source: str) -> None:
    assert np.array_equal(read(image, source), ELLIPSE * np.uint8(255))


@given(st.tuples(st.integers(0, 255), st.integers(0, 255)).filter(lambda pair: pair[0] != pair[1]))
def test_auto_fills_the_rarer_of_any_two_values(pair: tuple[int, int]) -> None:
    image = drawn(pair[0], background=pair[1])
    assert np.array_equal(read(image, "auto"), ELLIPSE * np.uint8(255))


@given(st.integers(224, 255), st.integers(0, 127))
def test_white_fills_all_of_what_is_nearly_white_next_to_one_other_value(light: int, dark: int) -> None:
    assert np.array_equal(read(drawn(light, background=dark)), ELLIPSE * np.uint8(255))


@pytest.mark.parametrize("low_high", [(16, 235), (0, 230), (25, 255)])
def test_what_is_meant_as_white_is_white_with_smooth_edges_too(low_high: tuple[int, int]) -> None:
    low, high = low_high
    found = read(smooth(high, low))
    assert (found[110, 145], found[5, 5]) == (255, 0)


@pytest.mark.parametrize("opacity", [20, 100, 128, 200])
def test_strokes_that_can_hardly_be_seen_are_filled_wholly_by_auto(opacity: int) -> None:
    assert np.array_equal(read(layer(opacity, (250, 30, 200)), "auto"), ELLIPSE * np.uint8(255))


def test_smooth_edges_of_a_dark_mask_stay_smooth_under_auto() -> None:
    found = read(smooth(150), "auto")
    assert found[110, 145] == 255
    assert len(np.unique(found)) > 8


@pytest.mark.parametrize("quality", [60, 75, 90, 98])
@pytest.mark.parametrize(
    "image", [drawn((0, 255, 0), "RGB"), drawn(128), drawn(60), drawn(90, background=255)]
)
def test_what_jpeg_leaves_around_a_grey_makes_it_no_less_filled_under_auto(
    image: Image.Image, quality: int
) -> None:
    found = read(image, "auto", "JPEG", quality=quality)
    assert (found[100:120, 130:160] == 255).all()
    assert (found[:50] == 0).all()


def test_under_auto_a_grey_is_named_as_it_is_in_the_file() -> None:
    image = drawn(0, background=255).filter(ImageFilter.GaussianBlur(3))
    ImageDraw.Draw(image).rectangle(OTHER, fill=90)
    with pytest.raises(BadPicture, match=r"has the grey 90 of 255.*: nonzero$"):
        read(image, "auto")


PALETTE = drawn(1, "P", other=2)
PALETTE.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])


@pytest.mark.parametrize("source", ["auto", "nonzero"])
@pytest.mark.parametrize(
    "image",
    [
        drawn(1, other=2),
        drawn(7, other=255),
        drawn(128, other=255),
        drawn((255, 0, 0), "RGB", other=(0, 0, 255)),
        PALETTE,
        Image.fromarray(np.asarray(drawn(1, other=2), np.uint16)),
        Image.fromarray(np.asarray(drawn(1, other=2), np.int32)),
    ],
)
def test_labels_of_any_number_are_filled_but_for_the_background(image: Image.Image, source: str) -> None:
    kind = "TIFF" if image.mode == "I" else "PNG"
    assert np.array_equal(read(image, source, kind), BOTH * np.uint8(255))


def test_many_labels_are_still_labels() -> None:
    image = Image.new("L", SIZE)
    for label in range(1, 60):
        image.paste(label, (5 * label, 20, 5 * label + 5, 60))
    assert np.array_equal(read(image, "auto") > 0, np.asarray(image) > 0)


def test_nonzero_takes_no_hidden_colour_for_a_label() -> None:
    image = Image.new("RGBA", SIZE, (90, 90, 90, 0))
    image.paste((1, 0, 0, 255), (0, 0), drawn(255))
    assert np.array_equal(read(image, "nonzero"), ELLIPSE * np.uint8(255))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (smooth(255), "PNG"),
        (drawn(255), "JPEG"),
        (drawn(255, other=255).filter(ImageFilter.GaussianBlur(1)), "PNG"),
        (drawn(255).filter(ImageFilter.GaussianBlur(12)), "PNG"),
        (drawn(255).filter(ImageFilter.BoxBlur(5)), "JPEG"),
    ],
)
@pytest.mark.parametrize("source", ["white", "auto"])
def test_greys_along_a_border_are_an_edge(image: Image.Image, kind: str, source: str) -> None:
    options = {"quality": 75} if kind == "JPEG" else {}
    found = read(image, source, kind, **options)
    assert (found[110, 145], found[5, 5]) == (255, 0)


def test_what_is_paid_for_is_read_as_it_was_sent() -> None:
    content = io.BytesIO()
    drawn(150).save(content, "PNG")
    content.seek(0)
    found = read_mask(content, Pixels(), "m.png", SIZE)
    assert found.getextrema() == (0, 150)


def test_a_box_of_half_covered_edges_is_no_area_of_grey() -> None:
    image = Image.new("L", SIZE, 0)
    ImageDraw.Draw(image).rectangle((50, 50, 150, 150), fill=255, outline=128)
    assert read(image)[50, 50] == 128


def photograph(mode: str) -> Image.Image:
    """Return what has most greys and next to no black and white."""
    noise = np.random.default_rng(7).normal(128, 40, (*SIZE[::-1], 3)).clip(0, 255).astype(np.uint8)
    return ImageOps.autocontrast(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))).convert(mode)


@pytest.mark.parametrize("source", ["white", "black", "auto"])
@pytest.mark.parametrize(
    "image",
    [
        photograph("L"),
        photograph("RGB"),
        photograph("CMYK"),
        Image.linear_gradient("L").resize(SIZE),
        Image.linear_gradient("L").rotate(90).resize(SIZE),
        Image.radial_gradient("L").resize(SIZE),
    ],
)
def test_a_photograph_or_a_gradient_is_no_mask(image: Image.Image, source: str) -> None:
    with pytest.raises(BadPicture, match=r"^m\.png ") as it:
        read(image, source, "TIFF")
    assert it.value.kind == "grey"


def test_opacity_that_fades_all_over_is_no_mask() -> None:
    layer = photograph("RGB").convert("RGBA")
    layer.putalpha(Image.linear_gradient("L").resize(SIZE))
    with pytest.raises(BadPicture, match="is grey over most of it, as a photograph or a gradient is") as it:
        read(layer, "alpha")
    assert it.value.kind == "grey"


@pytest.mark.parametrize("radius", [1, 4, 10, 20, 30])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_mask_with_feathered_borders_stays_one(radius: int, kind: str) -> None:
    read(drawn(255, other=255).filter(ImageFilter.GaussianBlur(radius)), kind=kind)


def test_strokes_as_thin_as_hair_stay_a_mask() -> None:
    large = Image.new("L", (4 * SIZE[0], 4 * SIZE[1]))
    for at in range(0, large.width, 40):
        ImageDraw.Draw(large).line((at, 0, at + 300, large.height), fill=255, width=6)
    read(large.resize(SIZE, Image.Resampling.BOX))


GREYS = st.lists(st.integers(0, 255), min_size=1, max_size=120)


@given(GREYS, st.integers(1, 12))
def test_greys_are_counted_as_those_of_all_pixels_are(values: list[int], width: int) -> None:
    image = Image.fromarray(np.resize(np.asarray(values, np.uint8), (len(values) // width + 1, width)))
    framed = Image.new("L", (image.width + 40, image.height + 40))
    framed.paste(image, (7, 13))
    for drawn in (image, framed, Image.new("L", image.size)):
        greys = Greys(drawn)
        assert greys.counts == drawn.histogram()
        assert greys.values == sorted(set(drawn.tobytes()))


@given(GREYS, st.lists(st.integers(0, 255), min_size=256, max_size=256))
def test_mapped_greys_are_counted_without_being_looked_at(values: list[int], table: list[int]) -> None:
    image = Image.fromarray(np.asarray([values], np.uint8))
    mapped = Greys(image).map(table)
    assert mapped.image.tobytes() == bytes(table[value] for value in values)
    assert mapped.counts == mapped.image.histogram()


def test_greys_that_stay_as_they_are_are_not_copied() -> None:
    greys = Greys(drawn(255))
    assert clean_values(greys) is greys


@example(left=50, across=1, down=30, grey=100, blur=0)
@given(st.integers(0, 100), st.integers(0, 40), st.integers(0, 40), st.integers(17, 230), st.integers(0, 2))
def test_a_grey_at_the_edge_of_what_is_looked_at_is_one_inside_the_picture(
    left: int, across: int, down: int, grey: int, blur: int
) -> None:
    small = Image.new("L", (200, 110))
    ImageDraw.Draw(small).rectangle((left, 20, left + across, 20 + down), fill=grey)
    ImageDraw.Draw(small).rectangle((left + across + 1, 20, left + across + 20, 20 + down), fill=255)
    hole = Greys(small.filter(ImageFilter.BoxBlur(blur)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_values, "crop_filled", lambda whole, _: whole)
        expected = find_partial(hole)
    assert find_partial(hole) == expected
