"""The ledger is held by another program, deleted, moved away or replaced, before a run or under it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import UsageError
from batchfill.ledger import database
from tests.support.batches import pictures
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Summary
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

ROWS = 12
BACK = "ledger.sqlite was taken away from night.batch while the run went on, and is put back"

posix = pytest.mark.skipif(os.name != "posix", reason="Windows lets nobody take away a file that is open")


@pytest.fixture(autouse=True)
def look_often(hurry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    set_timings(monkeypatch, ledger_look=0.02)


@pytest.fixture
async def interrupted(service: Serve, batch: Open) -> Callable[..., Awaitable[Any]]:
    """Run ROWS rows, do something to the ledger once three are made, and return how that ended."""

    async def interrupted(deed: Callable[[Batch], object]) -> tuple[EmulatorServer, Batch, Summary]:
        provider = await service(latency=0.2)
        night = batch(provider, ROWS, concurrency=3)
        running = asyncio.ensure_future(night.run())
        await provider.until(lambda: provider.billed >= 3)
        deed(night)
        return provider, night, await running

    return interrupted


def delete(night: Batch) -> None:
    (night.folder / "ledger.sqlite").unlink()


def delete_all_of_it(night: Batch) -> None:
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (night.folder / name).unlink()


def move_folder(night: Batch) -> None:
    night.folder.rename(night.folder.with_name("bin"))


def move_folder_and_begin_another(night: Batch) -> None:
    move_folder(night)
    night.folder.mkdir()


HOLD = """
import sys
from pathlib import Path
from batchfill.storage import lock
print("ready", flush=True)
folder = Path(sys.stdin.readline().strip())
folder.mkdir()
with lock.hold_lock(folder):
    print("held", flush=True)
    sys.stdin.read()
"""


class Holder:
    """A process that is ready to hold a lock: in the middle of a run that must not take long."""

    def __init__(self) -> None:
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        self._read_word("ready")

    def hold(self, folder: Path) -> None:
        """Make *folder*, and hold its lock from here on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        self._read_word("held")

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()

    def _read_word(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n"


@posix
@pytest.mark.parametrize("deed", [delete, delete_all_of_it, move_folder, move_folder_and_begin_another])
async def test_a_ledger_that_is_taken_away_is_put_back_and_nothing_is_paid_twice(
    interrupted: Any, batch: Open, states: States, deed: Callable[[Batch], object]
) -> None:
    provider, night, summary = await interrupted(deed)
    assert summary.exit_code == 3
    assert BACK in summary.stopped_because
    made = provider.billed
    assert made < ROWS
    assert night.status().counts["done"] == made
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert set(states(night).values()) == {"done"}
    assert (provider.billed, len(pictures(night))) == (ROWS, ROWS)


@posix
async def test_not_one_more_row_is_submitted_before_the_loss_is_noticed(
    interrupted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, ledger_look=3600.0)
    provider, night, summary = await interrupted(delete)
    assert summary.stopped_because == "ledger.sqlite was taken away while the run went on"
    assert provider.billed <= 4
    assert night.status().counts["done"] == provider.billed


@posix
async def test_a_ledger_that_is_replaced_is_put_back_and_what_replaced_it_is_kept(
    interrupted: Any, batch: Open, states: States
) -> None:
    def replace(night: Batch) -> None:
        other = night.folder / "other"
        with closing(sqlite3.connect(other)) as db:
            db.execute("CREATE TABLE of_another_program (x)")
        other.replace(night.folder / "ledger.sqlite")

    provider, night, summary = await interrupted(replace)
    assert (summary.exit_code, summary.stopped_because) == (3, BACK)
    with closing(sqlite3.connect(night.folder / "ledger.other.sqlite")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("of_another_program",)]
    assert (await batch(provider).run()).exit_code == 0
    assert set(states(night).values()) == {"done"}
    assert provider.billed == ROWS


@posix
async def test_a_folder_that_another_run_has_by_now_is_left_to_it_and_nothing_is_paid_until_somebody_chose(
    interrupted: Any, batch: Open, states: States
) -> None:
    other = Holder()

    def begin_another_run(night: Batch) -> None:
        move_folder(night)
        other.hold(night.folder)
        old, new = night.folder.with_name("bin") / "ledger.sqlite", night.folder / "ledger.sqlite"
        with closing(sqlite3.connect(old)) as ledger, closing(sqlite3.connect(new)) as its_own:
            ledger.backup(its_own)

    provider, night, summary = await interrupted(begin_another_run)
    other.end()
    made = provider.billed
    assert "another run is there: it is saved as ledger.saved.sqlite" in summary.stopped_because
    with pytest.raises(UsageError, match=r"ledger\.saved\.sqlite: is what a run knew"):
        await batch(provider).run()
    assert provider.billed == made
    (night.folder / "ledger.saved.sqlite").replace(night.folder / "ledger.sqlite")
    assert (await batch(provider).run()).exit_code == 0
    assert set(states(night).values()) == {"done"}
    assert provider.billed == ROWS


async def test_a_batch_whose_ledger_was_deleted_is_not_paid_for_again_unasked(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, 3)
    await night.run()
    delete(night)
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 3
    delete(night)
    for path in (night.folder / "outputs").iterdir():
        path.unlink()
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 3


async def test_a_batch_that_never_paid_may_lose_its_ledger(service: Serve, batch: Open, plans: Any) -> None:
    provider = await service()
    night = batch(provider, 2)
    with pytest.raises(UsageError):
        await night.run(confirm=plans.decline)
    delete(night)
    assert (await batch(provider).run()).exit_code == 0


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
async def test_a_ledger_that_another_program_holds_is_exit_2_and_a_sentence(
    service: Serve, batch: Open, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.1)
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as holder:
        holder.execute(f"BEGIN {how}")
        with pytest.raises(UsageError, match=r"ledger\.sqlite: is held by another program; close it"):
            await batch(provider, 3).run()
        assert provider.billed == 2
    assert (await batch(provider, 3).run()).exit_code == 0
    assert provider.billed == 3


async def test_a_program_that_holds_the_ledger_for_a_while_is_waited_for(service: Serve, batch: Open) -> None:
    provider = await service(latency=0.1)
    night = batch(provider, 4, concurrency=2)
    running = asyncio.ensure_future(night.run())
    await provider.until(lambda: provider.billed >= 2)
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as holder:
        holder.execute("BEGIN IMMEDIATE")
        await asyncio.wait({running}, timeout=0.5)
        assert not running.done()
    assert (await running).exit_code == 0
    assert provider.billed == 4


async def test_a_program_that_does_not_let_go_of_the_ledger_ends_the_run_and_nothing_is_paid_twice(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RUN_LOCK_TIMEOUT", 0.2)
    provider = await service(latency=0.1)
    night = batch(provider, ROWS, concurrency=3)
    running = asyncio.ensure_future(night.run())
    await provider.until(lambda: provider.billed >= 2)
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as holder:
        holder.execute("BEGIN IMMEDIATE")
        summary = await running
    assert summary.exit_code == 3
    assert summary.stopped_because == (
        "the ledger could not be written: another program holds it; close that one, then run again"
    )
    assert provider.billed < ROWS
    again = await batch(provider, recover_wait=0.5, answer_timeout=1).run()
    assert (again.exit_code, provider.billed) == (0, ROWS)


@posix
async def test_a_ledger_that_cannot_be_put_back_leaves_the_ids_of_what_runs(
    service: Serve, batchfill: Any, desk: Any, let_go: asyncio.Event
) -> None:
    provider = await service()
    desk.write(desk.rows(ROWS))
    running = await batchfill.start("run", "night.csv", "--base-url", provider.base, "--concurrency", 3)
    await running.meanwhile(provider.until(lambda: provider.billed >= 3))
    folder = desk.folder / "night.batch"
    while not folder.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        # The run may have put it back in between.
        with suppress(IsADirectoryError):
            folder.write_bytes(b"in the way")
    # The loss is noticed while all three run.
    await running.says("and cannot be put back")
    let_go.set()
    ran = await running.ended()
    assert "Traceback" not in ran.err
    assert ran.code == 3
    assert "ledger.sqlite was taken away from night.batch and cannot be put back" in ran.err
    assert f"runs as {provider.predictions()[0].id}" in ran.err
