"""What JSON documents tell alike."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.json_objects import iso_time


def test_no_moment_is_none() -> None:
    assert iso_time(None) is None


@given(st.integers(0, 250_000_000_000) | st.floats(0, 2e9))
def test_a_moment_is_told_to_its_second_in_utc(seconds: float) -> None:
    told = iso_time(seconds)
    assert told is not None
    assert datetime.strptime(told, "%Y-%m-%dT%H:%M:%S%z") == datetime.fromtimestamp(int(seconds), UTC)
