"""The run dies at any moment, as real processes do: nothing is paid twice and nothing is lost."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.batch import Batch
from batchfill.domain.rows import RowState
from batchfill.emulator.dialects.dialect import Dialect
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.journal import read_bill
from batchfill.emulator.quirks import Quirks
from tests.support import ledgers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.emulator.emulator_server import EmulatorServer

    Serve = Callable[..., Awaitable[EmulatorServer]]

KILLS = 5
QUICK = ("--recover-wait", "0", "--answer-timeout", "5", "--rate", "100000")
"""Waits that suit a provider on this machine."""

SLOW = Fault("create", "delay", options={"seconds": 0.3})
"""Answers that take their time, so that kills come between a payment and its record."""


@pytest.fixture
def chance() -> random.Random:
    """Random moments, the same again with the seed that a failing test prints."""
    seed = secrets.randbits(32)
    print(f"random.Random({seed})")
    return random.Random(seed)


@pytest.fixture
async def served(batchfill: Any) -> str:
    """Return the base of `batchfill serve` in a process of its own; it remembers in ./provider."""
    running = await batchfill.start("serve", "--port", "0", "--latency", "2")
    return str(await running.prints()).split()[-1]


async def kill(running: Any, after: float) -> None:
    """Kill a run so many seconds after it has said what it is about to do."""
    await running.says("rows for")
    await asyncio.sleep(after)
    running.signal(signal.SIGKILL)
    await running.ended()


async def kill_once(condition: Callable[[], bool], running: Any) -> None:
    """Kill a run when *condition* holds, which no event tells."""

    async def holds() -> None:
        while not condition():  # noqa: ASYNC110 - another process tells no event
            await asyncio.sleep(0.02)

    await running.meanwhile(holds())
    running.signal(signal.SIGKILL)
    await running.ended()


async def kill_while_paying(running: Any, provider: EmulatorServer) -> None:
    """Kill a run as soon as the provider has made one more prediction."""
    before = provider.billed
    await running.meanwhile(provider.until(lambda: provider.billed > before))
    running.signal(signal.SIGKILL)
    await running.ended()


def pictures(folder: Path) -> list[Path]:
    """Return every file of outputs/, each of them opened, decoded and as its name says."""
    found = [path for path in (folder / "outputs").rglob("*") if path.is_file()]
    for path in found:
        with Image.open(path) as image:
            image.load()
            assert path.suffix == f".{(image.format or '').lower()}"
    return found


def assert_sound(folder: Path) -> None:
    """Whatever happened, the ledger is whole and its running counts are what its rows and attempts say."""
    assert ledgers.faults(folder / "ledger.sqlite") == []


def predictions(folder: Path) -> set[str]:
    """Return the ids of all predictions that the ledger knows."""
    found = ledgers.asked(folder / "ledger.sqlite")
    return {attempt.prediction_id for attempt in found if attempt.prediction_id is not None}


async def test_a_run_that_is_killed_again_and_again_makes_every_row_once(
    served: str, batchfill: Any, desk: Any, chance: random.Random
) -> None:
    # More than die with a run each time, eight of them.
    rows = 8 * KILLS + 8
    batchfill.hurry = False
    night = desk.write(desk.rows(rows, megapixels="0.25"))
    command = ("run", night.name, "--base-url", served, "--concurrency", "8", *QUICK)
    provider = desk.folder / "provider"
    await kill_once(lambda: len(read_bill(provider)) > 0, await batchfill.start(*command))
    for _ in range(KILLS - 1):
        # No run lives longer than a prediction: however quick the machine, it pays for eight rows at most.
        await kill(await batchfill.start(*command), after=chance.uniform(0, 0.4))
    assert len(read_bill(provider)) < rows, "the kills came after the work"
    ran = await batchfill(*command, "--concurrency", "64")
    assert ran.code == 0, ran.err
    bill = read_bill(provider)
    assert len(bill) == rows
    assert len({charge.digest for charge in bill}) == rows
    folder = desk.folder / "night.batch"
    assert predictions(folder) == {charge.prediction_id for charge in bill}
    assert len(pictures(folder)) == rows
    assert_sound(folder)
    checked = await batchfill("check", night.name, "--outputs")
    assert f"every one of {rows} files is in place and as it was fetched" in checked.out
    assert not list((folder / "tmp").iterdir())


async def test_payments_cut_off_by_a_kill_are_found_in_the_list_and_adopted(
    service: Serve, batchfill: Any, desk: Any, chance: random.Random
) -> None:
    rows = 40
    provider = await service(latency=0.2, faults=Faults([SLOW]))
    night = desk.write(desk.rows(rows))
    command = ("run", night.name, "--base-url", provider.base, "--concurrency", "16", *QUICK)
    for _ in range(2):
        await kill_while_paying(await batchfill.start(*command), provider)
    for _ in range(4):
        await kill(await batchfill.start(*command), after=chance.uniform(0, 0.5))
    ran = await batchfill(*command)
    assert ran.code == 0, ran.err
    assert provider.billed == rows
    folder = desk.folder / "night.batch"
    # By whichever run lived long enough to look.
    assert "its lost submission was found at the service" in (folder / "run.log").read_text("utf-8")
    assert predictions(folder) == {charge.prediction_id for charge in provider.bill}
    assert len(pictures(folder)) == rows
    assert_sound(folder)


async def test_at_a_gateway_without_a_list_what_a_kill_leaves_unknown_is_held_and_never_resent_unasked(
    service: Serve, batchfill: Any, desk: Any, chance: random.Random
) -> None:
    rows = 60
    provider = await service(quirks=Quirks(offers=frozenset()), latency=0.2, faults=Faults([SLOW]))
    night = desk.write(desk.rows(rows))
    command = ("run", night.name, "--base-url", provider.base, "--concurrency", "8", *QUICK)
    for _ in range(2):
        await kill_while_paying(await batchfill.start(*command), provider)
    for _ in range(KILLS - 2):
        await kill(await batchfill.start(*command), after=chance.uniform(0, 0.5))
    ran = await batchfill(*command)
    counts = Batch.open(night).status().counts
    doubts = Batch.open(night).status().doubts
    assert ran.code == 1, ran.err
    assert counts[RowState.IN_DOUBT] >= 2
    assert counts[RowState.DONE] + counts[RowState.IN_DOUBT] == rows
    assert counts[RowState.DONE] <= provider.billed <= rows
    assert f"in doubt: {counts[RowState.IN_DOUBT]} rows, sent without an answer" in ran.err
    assert all(f"  {doubt.id} (line {doubt.line}), sent " in ran.err for doubt in doubts[:20])
    assert "this provider offers no list to look it up in" in ran.err
    assert "--retry in-doubt" in ran.err

    billed, creates = provider.billed, provider.requests["create"]
    again = await batchfill(*command)
    assert again.code == 1
    assert "nothing was submitted" in again.err
    assert (provider.billed, provider.requests["create"]) == (billed, creates)

    asked = await batchfill(*command, "--retry", "in-doubt")
    assert asked.code == 0, asked.err
    assert provider.billed == billed + counts[RowState.IN_DOUBT]
    assert len(pictures(desk.folder / "night.batch")) == rows
    assert_sound(desk.folder / "night.batch")


async def test_where_keys_are_honoured_what_a_kill_leaves_unknown_is_sent_again_and_billed_once(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    rows = 12
    # The first run dies between payment and answer, the second one between a loss and its resend.
    faults = Faults([Fault("create", "delay", at=frozenset({1}), options={"seconds": 600}), SLOW])
    quirks = Quirks(offers=frozenset(), dialect=Dialect(keys="honoured"))
    provider = await service(quirks=quirks, faults=faults)
    night = desk.write(desk.rows(rows))
    command = ("run", night.name, "--base-url", provider.base, "--concurrency", "4", *QUICK)
    await kill_while_paying(await batchfill.start(*command, "--idempotent"), provider)
    provider.faults.add(Fault("create", "reset_after", first=2, times=1))
    running = await batchfill.start(*command)
    await running.meanwhile(provider.until(lambda: provider.creates_seen >= 2))
    running.signal(signal.SIGKILL)
    await running.ended()
    ran = await batchfill(*command)
    assert ran.code == 0, ran.err
    assert provider.billed == rows
    assert provider.creates_seen > rows
    folder = desk.folder / "night.batch"
    assert predictions(folder) == {charge.prediction_id for charge in provider.bill}
    assert_sound(folder)


async def test_a_rehearsal_that_is_killed_with_its_provider_goes_on_where_it_was(
    batchfill: Any, desk: Any, chance: random.Random
) -> None:
    rows = 16
    night = desk.write(desk.rows(rows, megapixels="0.25"))
    command = ("run", night.name, "--local", "--latency", "0.2", "--concurrency", "8", *QUICK)
    # A list that shows no prediction of the batch proves of none that it was not made.
    assert (await batchfill(*command, "--limit", "1")).code == 3
    for _ in range(3):
        await kill(await batchfill.start(*command), after=chance.uniform(0, 0.5))
    ran = await batchfill(*command)
    assert ran.code == 0, ran.err
    folder = desk.folder / "night.local.batch"
    assert len(read_bill(folder / "provider")) == rows
    assert len(pictures(folder)) == rows
    assert_sound(folder)


async def test_somebody_who_looks_into_the_ledger_of_a_run_makes_it_forget_nothing(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    """A plain SQLite program ends its log when it leaves last, and so it thinks if a run's locks are gone."""
    rows = 40
    provider = await service(latency=0.2)
    night = desk.write(desk.rows(rows))
    ledger = desk.folder / "night.batch" / "ledger.sqlite"
    command = ("run", night.name, "--base-url", provider.base, "--concurrency", "4", *QUICK)
    running = await batchfill.start(*command)
    await running.meanwhile(provider.until(lambda: provider.billed >= 8))
    with closing(sqlite3.connect(ledger)) as onlooker:
        assert onlooker.execute("SELECT count(*) FROM rows").fetchone() == (rows,)
    assert ledger.with_name("ledger.sqlite-wal").exists()
    await running.meanwhile(provider.until(lambda: provider.billed >= 24))
    running.signal(signal.SIGKILL)
    await running.ended()
    ran = await batchfill(*command)
    assert ran.code == 0, ran.err
    assert provider.billed == rows
