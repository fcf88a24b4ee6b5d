from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchfill.images.prepare import grow
from batchfill.images.prepare.grow import FINE, fade_mask, grow_mask
from tests.support.pictures import away


@st.composite
def holes(draw: st.DrawFn) -> Image.Image:
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    spots = st.tuples(st.integers(0, width - 1), st.integers(0, height - 1), st.sampled_from([60, 200, 255]))
    hole = Image.new("L", (width, height))
    for x, y, grey in draw(st.lists(spots, min_size=1, max_size=6)):
        hole.putpixel((x, y), grey)
    return hole


@given(hole=holes(), reach=st.integers(1, 12))
def test_a_mask_grows_by_a_distance_as_the_crow_flies(hole: Image.Image, reach: int) -> None:
    core = (np.asarray(hole) >= 128).any()
    near = away(np.asarray(hole) >= 128) <= reach if core else np.zeros((hole.height, hole.width), bool)
    spread = np.asarray(grow_mask(hole, reach))
    assert (spread[near] == 255).all()
    assert np.array_equal(spread[~near], np.asarray(hole)[~near])


@given(hole=holes(), reach=st.integers(1, 12))
def test_a_mask_fades_out_within_a_distance_and_keeps_its_inside(hole: Image.Image, reach: int) -> None:
    spread, before = np.asarray(fade_mask(hole, reach)), np.asarray(hole)
    assert not spread[away(np.asarray(hole) >= 1) > reach].any()
    assert (spread >= before).all()


def test_a_fading_mask_falls_with_the_distance() -> None:
    hole = Image.new("L", (80, 80))
    hole.paste(255, (30, 30, 50, 50))
    line = np.asarray(fade_mask(hole, 16))[40, 50:70].astype(int)
    assert line[0] > 150
    assert (np.diff(line) <= 0).all()
    assert len(set(line)) > 8
    assert not line[16:].any()


@pytest.mark.parametrize("reach", [FINE + 1, 100, 333])
def test_a_long_reach_is_nearly_exact_and_never_too_far(reach: int) -> None:
    hole = Image.new("L", (900, 800))
    hole.putpixel((440, 391), 255)
    spread, distance = np.asarray(grow_mask(hole, reach)) > 0, away(np.asarray(hole) >= 255)
    assert not spread[distance > reach].any()
    assert spread[distance <= 0.85 * reach - 2].all()


def test_nothing_spreads_from_an_empty_mask_or_by_no_distance(mask: Image.Image) -> None:
    empty = Image.new("L", (9, 9))
    assert grow_mask(empty, 5) is empty
    assert fade_mask(empty, 5) is empty
    assert grow_mask(mask, 0) is mask
    assert fade_mask(mask, 0) is mask


@pytest.mark.parametrize("reach", [1, 4, 16, 32, 33, 64, 70])
def test_a_mask_that_fades_along_its_border_only_is_the_one_that_fades_all_over(reach: int) -> None:
    hole = Image.new("L", (900, 700))
    for value, box in (
        (255, (130, 120, 700, 560)),
        (0, (300, 250, 310, 440)),
        (90, (705, 10, 899, 30)),
        (1, (5, 690, 6, 691)),
    ):
        hole.paste(value, box)
    assert len(grow._ring_tiles(hole.crop, hole.size, reach)) < len([*grow._all_tiles(hole.size, reach)])
    around = max(5 - reach, 0), max(10 - reach, 0), 900, min(691 + reach, 700)
    part = fade_mask(hole, reach).crop(around)
    assert part.tobytes() == grow._fade_whole(hole.crop(around), reach).tobytes()
