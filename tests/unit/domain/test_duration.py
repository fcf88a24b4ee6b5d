from __future__ import annotations

import pytest

from batchfill.domain.duration import format_duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (40.4, "40 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (185, "3 min 05 s"),
        (599.6, "10 min"),
        (725, "12 min"),
        (3_599, "1 h 00 min"),
        (3_900, "1 h 05 min"),
        (111_900, "31 h 05 min"),
    ],
)
def test_a_duration_is_finer_the_shorter_it_is(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
