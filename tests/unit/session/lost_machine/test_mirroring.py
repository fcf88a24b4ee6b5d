from __future__ import annotations

import pytest

from batchfill.session.lost_machine.mirroring import owns
from batchfill.storage.mirror.mirror_entries import EntryPlace, MirrorEntry
from batchfill.storage.mirror.mirror_history import MirrorHistory


def history(run: str, commits: int, closed_by: str | None = None) -> MirrorHistory:
    closing = None if closed_by is None else MirrorEntry(run=closed_by, host="", at=0, closes=True)
    entry = MirrorEntry(run=run, host="", at=0, commits=commits)
    return MirrorHistory(EntryPlace(1, 9), entry, closing)


@pytest.mark.parametrize(
    ("mirrored", "next_run", "found", "ours"),
    [
        (None, None, None, True),
        ("a 7", "a", history("a", 7), True),
        ("a 8", "a", history("a", 7), True),  # it died between its commit and its entry
        ("a 6", "a", history("a", 7), False),  # a copy of the folder from before
        ("a 7", "a", history("b", 1), False),
        ("a 7", "b", history("a", 7), True),  # it died before it closed what it went on from
        ("a 7", "b", history("a", 7, closed_by="b"), True),
        ("a 7", "b", history("a", 8, closed_by="b"), False),
        ("a 7", "b", history("b", 0), True),  # it died before its first commit
        ("a 7", "b", history("b", 1), False),
        ("a 7", "a", history("a", 7, closed_by="c"), False),
        ("a 7", None, history("a", 7, closed_by="c"), False),
        (None, None, history("a", 0), False),
        (None, "a", history("a", 0), True),
    ],
)
def test_a_ledger_goes_on_with_a_mirror_that_tells_nothing_it_does_not_know(
    mirrored: str | None, next_run: str | None, found: MirrorHistory | None, ours: bool
) -> None:
    facts = {"mirrored": mirrored, "mirror_run": next_run}

    assert owns({name: value for name, value in facts.items() if value}, found) is ours
