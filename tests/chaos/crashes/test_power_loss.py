"""The power fails at any moment: what was not flushed is lost, and nothing that was paid for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos.crashes.disk import LEDGER, Lost
from tests.chaos.crashes.edges import Case, Edited
from tests.chaos.crashes.effects import Edge
from tests.chaos.crashes.night import FINISHED, ROWS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.chaos.crashes.edges import Outcome
    from tests.chaos.crashes.effects import Step

    Outcomes = Callable[[Sequence[Case]], Awaitable[list[Outcome]]]

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(os.name != "posix", reason="only POSIX forks, and flushes folders"),
]

STATIONS = (
    "Ledger.record_intent",
    "Service.create",
    "Ledger.record_accepted",
    "OutputStore.write_staged",
    "Ledger.record_planned",
    "Disk.replace",
    "Ledger.record_collected",
)
"""Where a row's story is one step further."""

ALL_DONE = Edge("OutputStore.sweep_temporary")
"""Every row is recorded, and the run about to end."""


def broken(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what went wrong, and what was never reached."""
    return [str(outcome) for outcome in outcomes if outcome.broken or not outcome.reached]


def last(steps: Sequence[Step], effect: str) -> Edge:
    """Return the moment after the last time that *effect* concerned a picture or its row."""
    found = [s for s in steps if s.effect == effect and s.after and not any("results" in a for a in s.about)]
    return Edge(effect, found[-1].nth, after=True)


@pytest.mark.parametrize("lost", Lost)
async def test_the_power_may_fail_at_any_step_of_a_row(
    steps: list[Step], outcomes: Outcomes, lost: Lost
) -> None:
    moments = [Edge("Ledger.record_accepted", after=True), *(last(steps, effect) for effect in STATIONS)]
    cases = [Case((moment,), lost) for moment in moments]
    assert broken(await outcomes(cases)) == []


async def test_a_row_that_is_done_has_its_files_when_the_service_has_them_no_more(outcomes: Outcomes) -> None:
    moments = [Edge("Ledger.record_collected", nth, after=True) for nth in (1, ROWS)]
    cases = [Case((moment,), lost, hour=True) for moment in moments for lost in Lost]
    assert broken(await outcomes(cases)) == []


async def test_what_a_killed_run_had_not_flushed_is_flushed_before_the_next_one_relies_on_it(
    steps: list[Step], outcomes: Outcomes
) -> None:
    unflushed = [
        *(step for step in steps if step.effect == "Disk.mkdir"),
        next(step for step in steps if step.effect == "Disk.replace" and step.about[1].endswith(LEDGER)),
        *[step for step in steps if step.effect == "Disk.replace" and "/outputs/" in step.about[1]][-1:],
    ]
    kills = [Edge(step.effect, step.nth, after=True) for step in unflushed]
    cases = [Case((kill, ALL_DONE), Lost.ALL, hour=True) for kill in dict.fromkeys(kills)]
    assert broken(await outcomes(cases)) == []


async def test_pictures_that_change_their_names_are_lost_by_neither_name(outcomes: Outcomes) -> None:
    moves = [Edge("OutputStore.move_file", nth, after=True) for nth in (1, 2, 3, 4)]
    failures = [Case((move,), Lost.ALL, hour=True, edited=Edited.BEFORE) for move in moves]
    killed = Edge("Disk.replace", 4, after=True)
    cases = [*failures, Case((killed, ALL_DONE), Lost.ALL, hour=True, edited=Edited.BEFORE)]
    assert broken(await outcomes(cases)) == []


async def test_every_commit_of_the_ledger_is_flushed(steps: list[Step]) -> None:
    commits = [step.about for step in steps if step.effect == "Disk.commit"]
    assert set(commits) == {("wal", "2")}


async def test_a_file_is_flushed_then_named_then_its_folder_flushed_then_its_row_recorded(
    steps: list[Step],
) -> None:
    def place(effect: str, about: str, after: int = 0) -> int:
        """Return where *effect* was over with *about* next."""
        return next(
            n
            for n, step in enumerate(steps)
            if n > after
            and step.after
            and step.effect == effect
            and any(a.endswith(about) for a in step.about)
        )

    renamed = [step for step in steps if step.effect == "Disk.replace" and "/outputs/" in step.about[1]]
    assert len(renamed) // 2 == ROWS + 1 + FINISHED
    moved = [step.about for step in renamed[::2]]
    for source, target in moved:
        flushed = place("Disk.fsync", source)
        named = place("Disk.replace", target)
        folder = place("Disk.fsync", str(Path(target).parent), after=named)
        recorded = "Ledger.record_kept" if "/raw/" in target else "Ledger.record_collected"
        # A file that was made has a name of its own; the outputs that it was made of tell the prediction.
        made_of = next((t for _, t in moved if "/raw/" in t), "") if "@" in target else source
        prediction = Path(made_of).stem.rpartition("-")[0]
        assert flushed < named < folder < place(recorded, prediction, after=folder)
