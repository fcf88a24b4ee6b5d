"""What `expand`, `aspect` and `anchor` may say, and the canvas that they make."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.enlargement import ANCHORS, Enlargement, read_aspect, read_expand

SIDES = st.integers(1, 400)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda shape: f"{shape[0]}:{shape[1]}")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("20%", "20%"),
        (" 20 % ", "20%"),
        ("020.0%", "20%"),
        ("12.5%", "12.5%"),
        ("256", "256"),
        ("256px", "256"),
        ("0", "0"),
        ("0%", "0"),
        ("left=256 right=25%", "left=256 right=25%"),
        ("Right = 25% , LEFT=256px", "left=256 right=25%"),
        ("bottom: 8; top: 4", "top=4 bottom=8"),
        ("left=8 right=8 top=8 bottom=8", "8"),
        ("left=0 top=3", "top=3"),
        ("left=0", "0"),
    ],
)
def test_equal_expansions_have_one_way_of_writing(text: str, written: str) -> None:
    assert read_expand(text) == written
    assert read_expand(written) == written


@pytest.mark.parametrize(
    "text",
    ["-5", "20.5", "5%%", "left", "left=", "left=5 left=6", "side=5", "left=5 20%", "1e3", "left=5px5"],
)
def test_what_is_no_expansion_is_told_with_how_to_write_one(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"expand is written 20%, 256 \(pixels\), or left=256 right=25%"
    ) as told:
        read_expand(text)
    assert repr(text) in str(told.value)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("16:9", "16:9"),
        ("32:18", "16:9"),
        (" 16 : 9 ", "16:9"),
        ("16x9", "16:9"),
        ("16/9", "16:9"),
        ("1.91:1", "191:100"),
        ("16:09", "16:9"),
        ("09:16:00", "9:16"),
    ],
)
def test_a_shape_is_read_as_people_and_spreadsheets_write_it(text: str, written: str) -> None:
    assert read_aspect(text) == written


@pytest.mark.parametrize("text", ["16", "16:0", "0:9", "wide", "16:9:5", "-16:9", "969"])
def test_what_is_no_shape_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="aspect must be width:height such as 16:9, not"):
        read_aspect(text)


@pytest.mark.parametrize(
    ("asked", "size", "box"),
    [
        (Enlargement(expand="20%"), (140, 70), (20, 10, 120, 60)),
        (Enlargement(expand="5"), (110, 60), (5, 5, 105, 55)),
        (Enlargement(expand="left=7 right=25%"), (132, 50), (7, 0, 107, 50)),
        (Enlargement(expand="12.5%"), (126, 62), (13, 6, 113, 56)),
        (Enlargement(aspect="1:1"), (100, 100), (0, 25, 100, 75)),
        (Enlargement(aspect="1:1", anchor="top"), (100, 100), (0, 0, 100, 50)),
        (Enlargement(aspect="1:1", anchor="bottom"), (100, 100), (0, 50, 100, 100)),
        (Enlargement(aspect="1:1", anchor="left"), (100, 100), (0, 25, 100, 75)),
        (Enlargement(aspect="3:1", anchor="left"), (150, 50), (0, 0, 100, 50)),
        (Enlargement(aspect="3:1", anchor="right"), (150, 50), (50, 0, 150, 50)),
        (Enlargement(aspect="2:1"), (100, 50), (0, 0, 100, 50)),
        (Enlargement(expand="top=50", aspect="3:2", anchor="left"), (150, 100), (0, 50, 100, 100)),
        (Enlargement(expand="0"), (100, 50), (0, 0, 100, 50)),
    ],
)
def test_a_canvas_is_expanded_and_then_gets_its_shape(
    asked: Enlargement, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    placed = asked.place(100, 50)
    assert (placed.size, placed.box) == (size, box)
    assert placed.is_larger == (size != (100, 50))


@given(width=SIDES, height=SIDES, shape=SHAPES, anchor=st.sampled_from(ANCHORS))
def test_a_shape_is_the_smallest_around_the_picture_and_is_kept(
    width: int, height: int, shape: str, anchor: str
) -> None:
    (across, down), box = Enlargement(aspect=shape, anchor=anchor).place(width, height)
    assert across == width or down == height
    assert (box[2] - box[0], box[3] - box[1]) == (width, height)
    assert min(box[0], box[1], across - box[2], down - box[3]) >= 0
    ratio = Fraction(*map(int, shape.split(":")))
    # Of that shape, but for less than the pixel by which one side is rounded up.
    assert 0 <= down - across / ratio < 1 or 0 <= across - down * ratio < 1
    assert Enlargement(aspect=shape).place(across, down).size == (across, down)


@given(
    width=SIDES,
    height=SIDES,
    sides=st.dictionaries(
        st.sampled_from(("left", "top", "right", "bottom")), st.integers(0, 90), min_size=1
    ),
)
def test_each_side_grows_by_what_is_given(width: int, height: int, sides: dict[str, int]) -> None:
    text = read_expand(" ".join(f"{side}={length}" for side, length in sides.items()))
    (across, down), (left, top, right, bottom) = Enlargement(expand=text).place(width, height)
    found = {"left": left, "top": top, "right": across - right, "bottom": down - bottom}
    assert found == {side: sides.get(side, 0) for side in found}
