"""Masks that a manifest draws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.drawn_masks import read_drawn_mask

NUMBERS = st.floats(-99_999, 99_999)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("alpha", "alpha"),
        (" Alpha ", "alpha"),
        ("box:40,30,200,120", "box:40,30,200,120"),
        ("Box: 40.0, 030, 200 ,120.", "box:40,30,200,120"),
        ("box:-5,+3,2.5,.5", "box:-5,3,2.5,0.5"),
        ("polygon:-.0000001,.00001 103.44827586206897,4 5,6", "polygon:0,0.00001 103.448276,4 5,6"),
        ("polygon:1,2 3,4 5,6", "polygon:1,2 3,4 5,6"),
        ("POLYGON : 1 , 2  3,4\t5,6.50", "polygon:1,2 3,4 5,6.5"),
        ("box:1,2,3,4;polygon:1,2 3,4 5,6", "box:1,2,3,4;polygon:1,2 3,4 5,6"),
        ("box:1,2,3,4 ; box:5,6,7,8;", "box:1,2,3,4;box:5,6,7,8"),
    ],
)
def test_equal_masks_are_written_in_one_way(text: str, written: str) -> None:
    found = read_drawn_mask(text)
    assert found is not None
    assert found.text == written
    assert read_drawn_mask(written) == found
    assert found.is_alpha is (written == "alpha")


@pytest.mark.parametrize(
    "text",
    ["./alpha", "alpha.png", "masks/alpha", "alphabet", "box.png", "boxes/1.png", "https://x/box:1", ""],
)
def test_everything_else_is_the_name_of_a_file(text: str) -> None:
    assert read_drawn_mask(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("box:1,2,3", "a box is written box:LEFT,TOP,WIDTH,HEIGHT .*; 'box:1,2,3' has 3 numbers"),
        ("box:", "has '' in the place of a number"),
        ("box:1,2,3,x", "has 'x' in the place of a number"),
        ("box:1,2,3,1e9", "has '1e9' in the place"),
        ("box:1,2,3,nan", "has 'nan' in the place"),
        ("box:1,2,0,4", "is empty: width and height are above zero"),
        ("box:1,2,3,-4", "is empty"),
        ("box:1,2,3,.0000001", "is empty"),
        ("box:10%,20%,5%,5%", "has '10%' in the place of a number"),
        ("polygon:1,2 3,4", "a polygon is written .*has fewer than three points"),
        ("polygon:1,2 3,4 5", "has a point of 1 numbers, '5'"),
        ("polygon:1,2,3,4,5,6", "has a point of 6 numbers"),
        ("box:1,2,3,4;masks/a.png", "only boxes and polygons are joined by a semicolon, not 'masks/a.png'"),
        ("box:1,2,3,4;alpha", "only boxes and polygons are joined"),
    ],
)
def test_what_begins_as_a_shape_and_is_none_is_explained(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_drawn_mask(text)


def test_a_long_polygon_is_called_by_its_beginning() -> None:
    found = read_drawn_mask("polygon:" + " ".join(f"{n},{n * n % 97}" for n in range(900)))
    assert found is not None
    assert len(found.name) == 61
    assert found.name.endswith("…")


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=5))
def test_what_is_written_in_one_way_is_read_as_the_same(corners: list[tuple[float, float]]) -> None:
    found = read_drawn_mask("polygon:" + " ".join(f"{x:f},{y:.9f}" for x, y in corners))
    assert found is not None
    assert read_drawn_mask(found.text) == found
    (points,) = found.polygons
    for point, corner in zip(points, corners, strict=True):
        assert point == pytest.approx(corner, abs=1e-6)
