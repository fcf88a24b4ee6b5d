from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.catalog.sizes import SizeRule

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.catalog.sizes import Size

SIDES = st.integers(1, 30_000)
MEGAPIXELS = st.sampled_from(["1", "0.25", "match_input"])
RULE = SizeRule(
    field="megapixels", default="1", megapixel=1024 * 1024, fits={"match_input": 1440}, multiple=32
)


@pytest.mark.parametrize(
    ("size", "megapixels", "generated"),
    [
        ((1024, 1024), "1", (1024, 1024)),
        ((6000, 4000), "1", (1248, 832)),
        ((6000, 4000), "0.25", (608, 416)),
        ((6000, 4000), "match_input", (1440, 960)),
        ((512, 512), "1", (1024, 1024)),
        ((500, 300), "match_input", (480, 288)),
        ((1100, 900), "1", (1120, 896)),
        # 2205 * (1440 / 2205) is 1439.9999999999998 in floating point: the model makes 1408 of it.
        ((2205, 2205), "match_input", (1408, 1408)),
        ((100_000, 10), "1", (102_400, 32)),
    ],
)
def test_the_generated_size_is_the_one_the_model_works_at(
    dev: Model, size: Size, megapixels: str, generated: Size
) -> None:
    assert dev.generated_size(*size, {"megapixels": megapixels}) == generated


@pytest.mark.parametrize(
    ("size", "megapixels", "sent"),
    [
        ((6000, 4000), "1", (1248, 832)),
        ((1248, 832), "1", (1248, 832)),
        ((500, 300), "1", (500, 300)),
        ((1000, 1048), "1", (992, 1024)),
        # One side would have to grow, so that it is sent as it is.
        ((1100, 900), "1", (1100, 900)),
        ((1440, 900), "match_input", (1440, 896)),
        ((31, 31), "match_input", (31, 31)),
        ((20_000, 63), "1", (20_000, 63)),
    ],
)
def test_the_size_to_send_is_one_the_model_keeps_or_the_picture_s_own(
    dev: Model, size: Size, megapixels: str, sent: Size
) -> None:
    assert dev.fitting_size(*size, {"megapixels": megapixels}) == sent


@given(SIDES, SIDES, MEGAPIXELS)
def test_a_picture_never_grows_and_a_scaled_one_is_at_a_fixed_point(
    width: int, height: int, megapixels: str
) -> None:
    inputs = {"megapixels": megapixels}
    sent = RULE.fitting_size(width, height, inputs)

    assert sent[0] <= width
    assert sent[1] <= height
    assert sent == (width, height) or RULE.generated_size(*sent, inputs) == sent
    assert RULE.fitting_size(*sent, inputs) == sent


@given(st.integers(1500, 12_000), st.floats(0.5, 2))
def test_a_photograph_is_sent_at_about_a_megapixel_and_in_its_proportions(width: int, ratio: float) -> None:
    height = round(width * ratio)
    sent = RULE.fitting_size(width, height, {})

    assert 940_000 < sent[0] * sent[1] <= 1024 * 1024
    assert abs(sent[0] * height / (sent[1] * width) - 1) < 0.045


def test_of_the_sizes_the_model_keeps_the_least_bent_is_sent(dev: Model) -> None:
    # The rule makes 2336 x 416 of it, and of that 2464 x 416: a seventh wider than the picture.
    assert dev.fitting_size(10_449, 2000, {}) == (2336, 448)


def test_the_shipped_rule_is_the_one_tested_here(dev: Model) -> None:
    assert dev.size_rule == RULE


def test_a_row_that_gives_no_megapixels_gets_the_service_s_default(dev: Model) -> None:
    assert dev.generated_size(2048, 2048, {}) == (1024, 1024)


def test_without_a_rule_a_picture_is_sent_as_it_is(pro: Model) -> None:
    assert pro.generated_size(6000, 4000, {}) is None
    assert pro.fitting_size(6000, 4000, {}) == (6000, 4000)
