from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchfill.catalog.pixel_options import Pixels
from batchfill.images.prepare.crop import crop_box
from tests.support.models import DEV, known_model

if TYPE_CHECKING:
    from batchfill.domain.rows import Box, Input

MODEL = known_model(DEV)
RULE = MODEL.size_rule
MASK = Pixels(area="mask")


def hole(size: tuple[int, int], *boxes: Box) -> Image.Image:
    image = Image.new("L", size)
    for box in boxes:
        image.paste(255, box)
    return image


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, int], Box]:
    width, height = draw(st.integers(40, 6000)), draw(st.integers(40, 6000))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (width, height), (
        left,
        top,
        draw(st.integers(left + 1, width)),
        draw(st.integers(top + 1, height)),
    )


@given(
    place=boxes(),
    padding=st.one_of(st.integers(0, 1000), st.sampled_from(["0%", "25%", "300%"])),
    megapixels=st.sampled_from(["1", "0.25", "match_input"]),
)
def test_the_area_is_inside_the_picture_and_holds_the_mask(
    place: tuple[tuple[int, int], Box], padding: int | str, megapixels: str
) -> None:
    size, mask = place
    inputs: dict[str, Input] = {"megapixels": megapixels}
    box = crop_box(size, hole(size, mask), Pixels(area="mask", padding=padding), RULE, inputs) or (
        0,
        0,
        *size,
    )
    assert 0 <= box[0] <= mask[0] < mask[2] <= box[2] <= size[0]
    assert 0 <= box[1] <= mask[1] < mask[3] <= box[3] <= size[1]


def test_a_small_mask_is_sent_with_so_much_around_it_that_nothing_is_scaled() -> None:
    assert MODEL is not None
    box = crop_box((4032, 3024), hole((4032, 3024), (1000, 1000, 1200, 1200)), MASK, RULE, {})
    assert box == (588, 588, 1612, 1612)
    assert MODEL.generated_size(1024, 1024, {}) == (1024, 1024)


def test_a_mask_at_the_border_takes_its_surroundings_from_the_other_side() -> None:
    box = crop_box((4032, 3024), hole((4032, 3024), (0, 2924, 100, 3024)), MASK, RULE, {})
    assert box == (0, 2000, 1024, 3024)


def test_a_strip_is_sent_with_its_surroundings() -> None:
    box = crop_box((4032, 3024), hole((4032, 3024), (1000, 100, 1010, 900)), MASK, RULE, {})
    assert box is not None
    assert 1.5 < (box[3] - box[1]) / (box[2] - box[0]) < 2.2


def test_several_regions_are_one_box() -> None:
    regions = hole((4032, 3024), (100, 100, 300, 300), (2000, 1500, 2100, 1700))
    box = crop_box((4032, 3024), regions, Pixels(area="mask", padding=50), RULE, {})
    assert box == (50, 50, 2150, 1750)


def test_a_small_picture_is_sent_as_a_whole() -> None:
    assert crop_box((700, 500), hole((700, 500), (10, 10, 90, 90)), MASK, RULE, {}) is None


@pytest.mark.parametrize(("padding", "box"), [(64, (136, 136, 464, 364)), ("50%", (100, 100, 500, 400))])
def test_without_a_known_rule_the_padding_alone_decides(padding: int | str, box: Box) -> None:
    mask = hole((900, 900), (200, 200, 400, 300))
    assert crop_box((900, 900), mask, Pixels(area="mask", padding=padding), None, {}) == box


def test_the_whole_picture_is_sent_unless_asked_otherwise() -> None:
    assert crop_box((4032, 3024), hole((4032, 3024), (5, 5, 9, 9)), Pixels(), RULE, {}) is None
