"""What boxes and polygons fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchfill.domain.drawn_masks import DrawnMask, read_drawn_mask
from batchfill.images.codec.shapes import fill_shapes

SIZE = (64, 48)


def drawn(text: str) -> DrawnMask:
    found = read_drawn_mask(text)
    assert found is not None
    return found


def box_of(left: int, top: int, right: int, bottom: int) -> Image.Image:
    image = Image.new("L", SIZE)
    image.paste(255, (left, top, right, bottom))
    return image


def same(one: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


@given(st.integers(-20, 70), st.integers(-20, 70), st.integers(1, 90), st.integers(1, 90))
def test_a_box_fills_its_pixels_and_no_other(left: int, top: int, width: int, height: int) -> None:
    filled = fill_shapes(drawn(f"box:{left},{top},{width},{height}"), SIZE)
    edges = max(left, 0), max(top, 0), min(left + width, 64), min(top + height, 48)
    expected = box_of(*edges) if edges[0] < edges[2] and edges[1] < edges[3] else Image.new("L", SIZE)
    assert same(filled, expected)


def test_a_polygon_of_four_corners_is_its_box_whichever_way_round() -> None:
    for corners in ("10,20 40,20 40,30 10,30", "10,30 40,30 40,20 10,20", "40,20 40,30 10,30 10,20 40,20"):
        assert same(fill_shapes(drawn(f"polygon:{corners}"), SIZE), box_of(10, 20, 40, 30))


@given(st.lists(st.tuples(st.integers(-30, 100), st.integers(-30, 80)), min_size=3, max_size=8))
def test_a_polygon_is_filled_where_the_middle_of_a_pixel_lies_inside(corners: list[tuple[int, int]]) -> None:
    text = "polygon:" + " ".join(f"{x},{y}" for x, y in corners)
    filled = np.asarray(fill_shapes(drawn(text), SIZE)) > 0
    rows, columns = np.indices(filled.shape) + 0.5
    expected, on_side = np.zeros_like(filled), np.zeros_like(filled)
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y1 == y2:
            continue
        crosses = (np.minimum(y1, y2) <= rows) & (rows < np.maximum(y1, y2))
        at = x1 + (rows - y1) * (x2 - x1) / (y2 - y1)
        # A middle that lies on a side belongs to the pixel right of it.
        expected ^= crosses & (at <= columns)
        on_side |= crosses & (np.abs(at - columns) < 1e-6)
    # A middle that lies on a side may be rounded to either of its sides.
    assert not ((filled != expected) & ~on_side).any()


def test_a_tall_polygon_is_one_shape_over_all_its_strips() -> None:
    size = (300, 900)
    filled = np.asarray(fill_shapes(drawn("polygon:150,0 300,450 150,900 0,450"), size)) > 0
    assert np.array_equal(filled, filled[::-1])
    assert filled.sum() == pytest.approx(300 * 900 / 2, rel=0.001)


def test_shapes_that_overlap_are_one() -> None:
    one = fill_shapes(drawn("box:5,5,20,20;box:15,5,20,20"), SIZE)
    assert same(one, box_of(5, 5, 35, 25))


def test_corners_far_away_are_clipped() -> None:
    assert fill_shapes(drawn("box:-9999999,-9999999,9999999,9999999"), SIZE).getbbox() is None
    assert fill_shapes(drawn("polygon:-9999999,-9999999 9999999,-9999999 0,9999999"), SIZE).getextrema() == (
        255,
        255,
    )
