"""Which rows moved lately, by a clock of the test's."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchfill.session.reviewed.recent_moves import COMMITTED_WITHIN, RecentMoves

START = 1_000.0


class Clocked:
    """A ledger's moves, with the time at which each can be read."""

    def __init__(self) -> None:
        self.now = START
        self.moves: list[tuple[float, int]] = []

    def moved(self, after: float) -> list[tuple[float, int]]:
        return sorted(move for move in self.moves if move[0] >= after)


def recent(ledger: Clocked) -> RecentMoves:
    reader: Any = ledger
    return RecentMoves(reader, lambda: ledger.now)


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.lists(st.floats(0, COMMITTED_WITHIN - 0.01), max_size=6)), max_size=8
    )
)
def test_each_move_is_told_once_however_late_it_is_committed(looks: list[tuple[float, list[float]]]) -> None:
    ledger = Clocked()
    moves = recent(ledger)
    told: list[int] = []
    for passed, late in looks:
        ledger.now += passed
        ledger.moves += [(ledger.now - by, len(ledger.moves) + n) for n, by in enumerate(late)]
        found = moves.take(4)
        assert len(found) <= 4
        told += found
    while found := moves.take(4):
        told += found
    assert sorted(told) == sorted(number for _, number in ledger.moves)


def test_many_that_moved_at_one_moment_come_in_turn_and_do_not_hide_what_comes_later() -> None:
    ledger = Clocked()
    moves = recent(ledger)
    ledger.moves = [(START, n) for n in range(25)]
    told = moves.take(10)
    ledger.now += 60
    ledger.moves.append((ledger.now, 99))
    told += moves.take(10) + moves.take(10)
    assert sorted(told) == [*range(25), 99]


def test_a_time_in_the_future_hides_no_move_of_the_present() -> None:
    """As where the clock was wrong when a row moved, and was set since."""
    ledger = Clocked()
    ledger.moves = [(START + 1e6, n) for n in range(5)]
    moves = recent(ledger)
    assert sorted(moves.take(10)) == list(range(5))
    for n in range(10, 13):
        ledger.now += 30
        ledger.moves.append((ledger.now, n))
        assert moves.take(10) == [n]


def test_a_clock_that_is_put_back_hides_no_move_for_long() -> None:
    ledger = Clocked()
    moves = recent(ledger)
    ledger.now += 3600
    moves.take(10)
    ledger.now -= 3600
    ledger.moves = [(ledger.now, 7)]
    assert moves.take(10) == []
    ledger.now += 1
    ledger.moves.append((ledger.now, 8))
    assert sorted(moves.take(10)) == [7, 8]
