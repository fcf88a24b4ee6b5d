"""Which output has which address, when the service names them once more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.predictions import Output, Prediction, match_addresses


def known(urls: str) -> list[Output]:
    """Return outputs with these addresses."""
    return [Output("p1", n, url) for n, url in enumerate(urls.split(), 1)]


@pytest.mark.parametrize(
    ("before", "named", "after"),
    [
        pytest.param("a b c d", "a b c d", "a b c d", id="as before"),
        pytest.param("a b c d", "d c b a", "a b c d", id="backward"),
        pytest.param("a b c d", "b c d a", "a b c d", id="turned"),
        pytest.param("a?1 b?1 c?1", "c?2 a?2 b?2", "a?2 b?2 c?2", id="signed again, in another order"),
        pytest.param("a b c", "x y z", "x y z", id="all new"),
        pytest.param("a b c", "c x a", "a x c", id="one new, in another order"),
        pytest.param("a b c", "y c x", "y x c", id="two new"),
        pytest.param("v?n=1 v?n=2 v?n=3", "v?n=3 v?n=1 v?n=2", "v?n=1 v?n=2 v?n=3", id="told by the query"),
        pytest.param("v?1 v?2", "v?8 v?9", "v?8 v?9", id="one path, signed again"),
        pytest.param("a a", "a a", "a a", id="one address for two"),
        pytest.param("a b", "x b a y", "a b x y", id="more than before"),
        pytest.param("", "a b", "a b", id="none before"),
        pytest.param("a b c", "", "a b c", id="none any more"),
        pytest.param("a?1 b?1 c?1", "c?2 a?2", "a?2 b?1 c?2", id="fewer, and known"),
        pytest.param("a b c", "x a", "a b c", id="fewer, and one is not known"),
    ],
)
def test_an_address_stays_with_its_output(before: str, named: str, after: str) -> None:
    found = match_addresses(known(before), named.split())
    assert [found[n] for n in sorted(found)] == after.split()
    assert sorted(found) == [*range(1, len(found) + 1)]


@pytest.mark.parametrize(
    ("fetched", "named", "after"),
    [
        pytest.param("1", "x y z", "a?1 y z", id="new addresses"),
        pytest.param("12", "c?2 x b?2", "a?1 b?2 c?2", id="another order"),
        pytest.param("123", "x y z", "a?1 b?1 c?1", id="all of them fetched"),
        pytest.param("1", "a?2 b?2 c?2", "a?2 b?2 c?2", id="another query"),
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_what_was_fetched_keeps_its_address(fetched: str, named: str, after: str, raw: bool) -> None:
    outputs = known("a?1 b?1 c?1")
    for n in map(int, fetched):
        place = f"outputs/{n}.webp"
        output = outputs[n - 1]
        outputs[n - 1] = replace(output, raw=place) if raw else replace(output, file=place)
    found = match_addresses(outputs, named.split())
    assert [found[n] for n in sorted(found)] == after.split()


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.randoms(), st.booleans())
def test_whatever_the_order_nothing_moves(urls: list[str], chance: object, signed: bool) -> None:
    named = [f"{url}?2" if signed else url for url in urls]
    chance.shuffle(named)  # type: ignore[attr-defined]
    found = match_addresses([Output("p1", n, url) for n, url in enumerate(urls, 1)], named)
    assert [found[n].partition("?")[0] for n in sorted(found)] == urls


@pytest.mark.parametrize(
    ("created", "completed", "seconds"),
    [
        (100.0, 112.5, 12.5),
        # Two clocks: one is hours behind the other, or hours ahead.
        (100.0, 18_112.5, 60.0),
        (18_100.0, 112.5, 0.0),
        (None, 112.5, None),
        (100.0, None, None),
    ],
)
def test_a_run_takes_no_longer_than_since_it_was_asked_for(
    created: float | None, completed: float | None, seconds: float | None
) -> None:
    ended = Prediction("p1", "succeeded", created_at=created, completed_at=completed)
    assert ended.run_time(at_most=60.0) == seconds


def test_a_clock_that_was_set_back_makes_no_run_one_of_no_time() -> None:
    ended = Prediction("p1", "succeeded", created_at=100.0, completed_at=112.5)
    assert ended.run_time(at_most=-3588.0) is None
    assert ended.run_time(at_most=0.0) == 0.0
