from __future__ import annotations

import pytest

from batchfill.run.width import CREATES_AT_ONCE, Width


def test_the_first_create_goes_alone() -> None:
    assert Width().needed(per_second=100) == 1


@pytest.mark.parametrize(
    ("per_second", "seconds", "open_"),
    [
        (10, 0.005, 2),
        (10, 0.3, 7),
        (2, 0.3, 3),
        (2, 3.0, CREATES_AT_ONCE),
        (100, 0.3, CREATES_AT_ONCE),
        (10, 60.0, CREATES_AT_ONCE),
        (10, -3600.0, 1),  # the clock was set back
    ],
)
def test_as_many_are_open_as_keep_up_with_bunches_and_one_that_begins(
    per_second: float, seconds: float, open_: int
) -> None:
    width = Width()
    width.answered(seconds)
    assert width.needed(per_second) == open_


def test_slower_answers_are_learned_and_forgotten_again() -> None:
    width = Width()
    width.answered(0.1)
    for _ in range(20):
        width.answered(0.6)
    assert width.needed(per_second=10) == CREATES_AT_ONCE
    for _ in range(20):
        width.answered(0.1)
    assert width.needed(per_second=10) == 4
