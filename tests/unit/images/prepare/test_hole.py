"""A mask without its black says what the whole mask says."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchfill.images.prepare.grow import fade_mask
from batchfill.images.prepare.hole import Hole
from batchfill.images.prepare.mask import scale_mask

SIDES = st.integers(1, 60)


@st.composite
def masks(draw: st.DrawFn) -> Image.Image:
    mask = Image.new("L", (draw(SIDES), draw(SIDES)))
    for _ in range(draw(st.integers(0, 4))):
        left, top = draw(st.integers(0, mask.width - 1)), draw(st.integers(0, mask.height - 1))
        size = draw(st.sampled_from([1, 3, 20]))
        mask.paste(draw(st.sampled_from([1, 90, 254, 255])), (left, top, left + size, top + size))
    return mask


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    left, top = draw(st.integers(-5, 59)), draw(st.integers(-5, 59))
    return left, top, left + draw(SIDES), top + draw(SIDES)


@given(mask=masks(), box=boxes(), outer=boxes())
def test_what_is_cut_out_of_it_is_what_the_mask_has_there(
    mask: Image.Image, box: tuple[int, int, int, int], outer: tuple[int, int, int, int]
) -> None:
    hole = Hole.of(mask)
    assert hole.crop(box).tobytes() == mask.crop(box).tobytes()
    only = Image.new("L", mask.size)
    only.paste(mask.crop(outer), outer)
    assert hole.within(outer).crop((0, 0, *mask.size)).tobytes() == only.tobytes()


@given(mask=masks(), reach=st.integers(1, 40))
def test_it_fades_as_the_mask_does(mask: Image.Image, reach: int) -> None:
    whole = 0, 0, *mask.size
    assert Hole.of(mask).fade(reach, mask.size).crop(whole).tobytes() == fade_mask(mask, reach).tobytes()


@given(mask=masks(), size=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_it_is_scaled_as_the_mask_is(mask: Image.Image, size: tuple[int, int]) -> None:
    found = np.asarray(Hole.of(mask).scale((0, 0, *mask.size), size), np.int16)
    assert np.abs(found - np.asarray(scale_mask(mask, size))).max() <= 1
