"""A disk without room: nothing is paid for that it could not take, and nothing that was made is lost."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.ledger import database, writer
from batchfill.storage import disk as disk_module
from tests.support.batches import pictures
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

MB = 1_000_000
LACK = "only 12 MB left on the disk of night.batch: nothing more is submitted until there is room"


class Disk:
    """What is free on the disk, as far as batchfill can see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10**12
        self.takes = True
        """Whether files can be written to their end."""
        flush = os.fsync

        def fsync(descriptor: int) -> None:
            if not self.takes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            flush(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(disk_module, "free_bytes", lambda _: self.free)
        set_timings(monkeypatch, disk_look=0.02)


@pytest.fixture
def disk(hurry: None, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def test_a_run_that_begins_without_room_pays_for_nothing_until_there_is_some(
    service: Serve, batch: Open, disk: Disk, ears: Ears, states: States
) -> None:
    provider = await service()
    disk.free = 12 * MB
    night = batch(provider, 5)
    running = asyncio.ensure_future(night.run(watch=ears))
    await ears.hear(LACK, running)
    assert provider.creates_seen == 0
    disk.free = 10**12
    assert (await running).exit_code == 0
    assert (provider.billed, set(states(night).values())) == (5, {"done"})
    assert "there is room on the disk again" in ears.texts


async def test_when_room_runs_out_what_runs_is_fetched_and_the_next_run_goes_on(
    service: Serve, batch: Open, disk: Disk, ears: Ears
) -> None:
    provider = await service(latency=0.2)
    night = batch(provider, 12, concurrency=3)
    running = asyncio.ensure_future(night.run(watch=ears))
    await provider.until(lambda: provider.billed == 3)
    disk.free = 12 * MB
    await ears.hear(LACK, running)
    made = provider.billed
    assert made < 12
    assert night.stop()
    assert (await running).exit_code == 3
    assert (provider.billed, len(pictures(night))) == (made, made)
    counts = night.status().counts
    assert (counts[RowState.DONE], counts[RowState.PENDING]) == (made, 12 - made)
    disk.free = 10**12
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == len(pictures(night)) == 12


async def test_a_run_that_nobody_makes_room_for_ends_with_work_left(
    service: Serve, batch: Open, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    disk.free = 12 * MB
    set_timings(monkeypatch, disk_patience=0.0)
    summary = await batch(provider, 2).run()
    assert (summary.exit_code, summary.stopped_because) == (3, LACK)
    assert provider.creates_seen == 0


async def test_a_picture_that_the_disk_does_not_take_is_fetched_again_when_it_does(
    service: Serve, batch: Open, disk: Disk, ears: Ears, states: States
) -> None:
    provider = await service(latency=0.05)
    night = batch(provider, 40, concurrency=2)
    running = asyncio.ensure_future(night.run(watch=ears))
    await provider.until(lambda: provider.billed > 0)
    disk.takes = False
    await ears.hear("nothing more is submitted until night.batch takes pictures again", running)
    await provider.until(lambda: provider.requests["output"] >= 6)
    assert not pictures(night)
    assert night.status().counts[RowState.DONE] == 0
    made = provider.billed
    assert made < 40
    disk.takes = True
    assert (await running).exit_code == 0
    assert (provider.billed, len(pictures(night))) == (40, 40)
    assert any("No space left on device. Make room; again in" in text for text in ears.texts)


async def test_pictures_that_no_disk_takes_before_the_stop_are_fetched_by_the_next_run(
    service: Serve, batch: Open, disk: Disk, ears: Ears
) -> None:
    provider = await service(latency=0.3)
    night = batch(provider, 2)
    running = asyncio.ensure_future(night.run(watch=ears))
    await provider.until(lambda: provider.billed == 2)
    disk.takes = False
    await ears.hear("r1: fetching: ", running)
    await ears.hear("r2: fetching: ", running)
    night.stop()
    assert (await running).exit_code == 3
    assert night.status().counts[RowState.COLLECTING] == 2
    disk.takes = True
    assert (await batch(provider).run()).exit_code == 0
    assert (provider.billed, pictures(night)) == (2, ["r1.webp", "r2.webp"])


async def test_a_table_that_cannot_be_written_is_told_and_changes_no_exit_code(
    service: Serve, batch: Open, ears: Ears
) -> None:
    night = batch(await service(), 1)
    (night.folder / "results.csv").mkdir(parents=True)
    assert (await night.run(watch=ears)).exit_code == 0
    told = "results.csv could not be written: Is a directory. `batchfill results` prints it"
    assert told in ears.texts
    assert not (night.folder / "results.csv.tmp").exists()


def test_a_ledger_whose_log_was_played_in_half_way_is_whole(tmp_path: Path) -> None:
    """As a full disk leaves it: the file says that it is longer than it is, and the log knows better."""
    ledger, copy = tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite"
    with closing(database.open_to_write(ledger)) as db:
        db.execute("INSERT INTO facts VALUES ('model', ?)", ("x" * 100_000,))
        for side in ("", "-wal"):
            shutil.copy(f"{ledger}{side}", f"{copy}{side}")
    with copy.open("r+b") as file:
        file.seek(28)  # the length in pages, in the header of every SQLite file
        file.write((10_000).to_bytes(4))
    with closing(database.open_to_write(copy)) as db:
        assert db.execute("SELECT length(value) FROM facts").fetchone()[0] == 100_000


class SmallDisk:
    """Where the ledger is written, as far as SQLite is told."""

    full = False

    def connect(self, address: str) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
                if disk.full and statement == "COMMIT":
                    error = sqlite3.OperationalError("database or disk is full")
                    error.sqlite_errorcode = sqlite3.SQLITE_FULL
                    raise error
                return super().execute(statement, values)

        return sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
        )


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    disk = SmallDisk()
    monkeypatch.setattr(database, "_connect_to", disk.connect)
    monkeypatch.setattr(writer, "AGAIN_EVERY", 0.02)
    return disk


FULL = "the ledger could not be written: the disk is full; make room"


async def test_a_ledger_without_room_waits_for_it_and_holds_creates_meanwhile(
    service: Serve, batch: Open, ears: Ears, small_disk: SmallDisk
) -> None:
    provider = await service(latency=0.05)
    night = batch(provider, 60, concurrency=4)
    running = asyncio.ensure_future(night.run(watch=ears))
    await provider.until(lambda: provider.billed >= 4)
    small_disk.full = True
    await ears.hear(FULL, running)
    # What was under way has come to its answer; nobody else asks.
    await provider.until(lambda: all(record.ended for record in provider.predictions()))
    made, told = provider.billed, len(ears.notices)
    for _ in range(10):
        await asyncio.sleep(0.02)
    assert provider.billed == made < 60
    assert len(ears.notices) == told, "it is told once"
    small_disk.full = False
    assert (await running).exit_code == 0
    assert (provider.billed, provider.creates_seen, len(pictures(night))) == (60, 60, 60)
    assert "the ledger can be written again" in ears.texts


async def test_an_id_that_comes_while_the_disk_is_full_is_written_when_it_has_room(
    service: Serve, batch: Open, ears: Ears, small_disk: SmallDisk
) -> None:
    provider = await service(faults=Faults([Fault("create", "delay", times=1, options={"seconds": 1.0})]))
    night = batch(provider, 1)
    running = asyncio.ensure_future(night.run(watch=ears))
    await provider.until(lambda: provider.creates_seen == 1)
    small_disk.full = True
    await ears.hear(FULL, running)
    assert night.status().counts[RowState.SUBMITTING] == 1
    small_disk.full = False
    assert (await running).exit_code == 0
    assert provider.billed == 1


async def test_ctrl_c_twice_ends_the_wait_for_room_and_names_what_was_accepted(
    service: Serve, batch: Open, ears: Ears, small_disk: SmallDisk
) -> None:
    provider = await service(faults=Faults([Fault("create", "delay", times=1, options={"seconds": 1.0})]))
    night = batch(provider, 1)
    running = asyncio.ensure_future(night.run(watch=ears, obey_signals=True))
    await provider.until(lambda: provider.creates_seen == 1)
    small_disk.full = True
    await ears.hear(FULL, running)
    for said in ("stopping: nothing new", "stopping now"):
        os.kill(os.getpid(), signal.SIGINT)
        await ears.hear(said, running)
    assert (await running).exit_code == 3
    (record,) = provider.predictions()
    assert f"r1: accepted as {record.id}, which the ledger could not note" in ears.texts
    small_disk.full = False
    assert (await batch(provider, recover_wait=0.5, answer_timeout=1).run()).exit_code == 0
    assert provider.billed == 1


async def test_a_ledger_without_room_for_too_long_ends_the_run_in_words_and_nothing_is_paid_twice(
    service: Serve,
    batch: Open,
    ears: Ears,
    small_disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_timings(monkeypatch, disk_patience=0.2)
    provider = await service(latency=0.05)
    night = batch(provider, 60, concurrency=4)
    running = asyncio.ensure_future(night.run(watch=ears))
    await provider.until(lambda: provider.billed >= 4)
    small_disk.full = True
    summary = await running
    assert summary.exit_code == 3
    assert summary.stopped_because == FULL
    made = provider.billed
    assert 0 < made < 60
    small_disk.full = False
    assert (await batch(provider, recover_wait=0.5, answer_timeout=1).run()).exit_code == 0
    assert (provider.billed, len(pictures(night))) == (60, 60)
