"""Which rows moved lately, by a clock of the test's."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchfill.session.reviewed.recent_moves import COMMITTED_WITHIN, RecentMoves

START = 1_000.0
MANY = 1000


class Clocked:
    """A ledger's moves, with the time at which each can be read."""

    def __init__(self) -> None:
        self.now = START
        self.moves: list[tuple[float, int]] = []

    def moved(self, after: float, *, now: float, most: int) -> list[tuple[float, int]]:
        found = sorted(move for move in self.moves if move[0] >= after)
        return sorted(found, key=lambda move: (move[0] > now, -move[0]))[:most]


def recent(ledger: Clocked) -> RecentMoves:
    reader: Any = ledger
    return RecentMoves(reader, lambda: ledger.now)


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.lists(st.floats(0, COMMITTED_WITHIN - 0.01), max_size=6)), max_size=8
    )
)
def test_where_each_look_takes_all_each_move_is_told_once_however_late_it_is_committed(
    looks: list[tuple[float, list[float]]],
) -> None:
    ledger = Clocked()
    moves = recent(ledger)
    told: list[int] = []
    for passed, late in looks:
        ledger.now += passed
        ledger.moves += [(ledger.now - by, len(ledger.moves) + n) for n, by in enumerate(late)]
        told += moves.take(MANY)
    assert sorted(told) == sorted(number for _, number in ledger.moves)


@given(st.integers(1, 40), st.integers(0, 3))
def test_many_that_moved_at_one_moment_hide_nothing_that_comes_later(many: int, looks: int) -> None:
    """As the rows of a manifest, which are all taken in at once: none of them is in front of an end."""
    ledger = Clocked()
    moves = recent(ledger)
    ledger.moves = [(START, n) for n in range(many)]
    told = [moves.take(5) for _ in range(looks)]
    ledger.now += 0.5
    ledger.moves.append((ledger.now, 99))
    told.append(moves.take(5))
    assert told[-1][0] == 99
    assert all(len(found) <= 5 for found in told)
    seen = [number for found in told for number in found]
    assert len(seen) == len(set(seen))


def test_a_time_in_the_future_hides_no_move_of_the_present() -> None:
    """As where the clock was wrong when a row moved, and was set since."""
    ledger = Clocked()
    ledger.moves = [(START + 1e6, n) for n in range(50)]
    moves = recent(ledger)
    assert len(moves.take(10)) == 10
    for n in range(90, 93):
        ledger.now += 30
        ledger.moves.append((ledger.now, n))
        assert moves.take(10)[0] == n


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
