"""Each sender has its turn, and none is forgotten."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from batchfill.emulator.backends.turns import Turn, Turns


def taken(arrivals: list[str]) -> list[str]:
    """Return the senders in the order of their turns."""

    async def take_all() -> list[str]:
        turns: Turns[str] = Turns()
        for sender in arrivals:
            turns.add(Turn(sender))
        order = []
        while (turn := turns.take(lambda turn: True)) is not None:
            order.append(turn.sender)
        assert len(turns) == 0
        return order

    return asyncio.run(take_all())


def test_two_senders_alternate_however_many_one_of_them_has() -> None:
    assert taken(["a"] * 5 + ["b"] * 2) == ["a", "b", "a", "b", "a", "a", "a"]


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_no_sender_waits_longer_than_one_turn_of_each_other(arrivals: list[str]) -> None:
    order = taken(arrivals)
    assert sorted(order) == sorted(arrivals)
    for place, _ in enumerate(order):
        waiting = set(order[place:])
        assert set(order[place : place + len(waiting)]) == waiting


async def test_one_that_had_a_slot_goes_first_in_its_own_line_only() -> None:
    turns: Turns[str] = Turns()
    again, other = Turn[str]("a"), Turn[str]("b")
    for turn in (other, Turn[str]("a")):
        turns.add(turn)
    turns.add(again, first=True)
    assert [turns.take(lambda turn: True) for _ in range(2)] == [other, again]


async def test_one_that_does_not_fit_keeps_no_other_back() -> None:
    turns: Turns[str] = Turns()
    picky, easy = Turn[str]("a", {"gpu1"}), Turn[str]("a")
    turns.add(picky)
    turns.add(easy)
    assert turns.take(lambda turn: "gpu1" not in turn.avoid) is easy
    turns.remove(picky)
    assert (turns.take(lambda turn: True), len(turns)) == (None, 0)
