"""The record beside a ledger: flushed in time, whole after a full disk, and never ahead of what was sent."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.predictions import Prediction
from batchfill.domain.rows import RowState
from batchfill.errors import LedgerError, LedgerFailed, StorageError
from batchfill.ledger.ledger import open_ledger
from batchfill.ledger.payment_record import PAID, PaymentRecord, read_record, write_record
from tests.unit.ledger.conftest import HEADING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from batchfill.domain.rows import Attempt, PendingRow, Row
    from batchfill.ledger.ledger import Ledger


@asynccontextmanager
async def recorded(path: Path, clock: Any) -> AsyncIterator[Ledger]:
    async with open_ledger(path, clock) as ledger:
        await ledger.begin_record(HEADING, await ledger.read_record())
        yield ledger


async def put(ledger: Ledger, rows: Sequence[Row]) -> None:
    async with ledger.open_import() as intake:
        await intake.add_rows([replace(row, position=n, line=n + 2) for n, row in enumerate(rows)])
        await intake.identify_rows()
        await intake.merge_rows(0.0)


async def submit(ledger: Ledger, due: PendingRow | None = None) -> Attempt:
    """Write the intent for *due*, else for whichever row is due first."""
    attempt = await ledger.record_intent(
        due or (await ledger.due_rows(1))[0],
        seed=7,
        choose_seed=None,
        origin="https://api.example.com/v1",
        sent=lambda seed: {"prompt": "a spaceship", "seed": seed},
        service_time=None,
    )
    assert attempt is not None
    return attempt


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.with_name(PAID).read_text("utf-8").splitlines()[1:]]


class FullDisk:
    """Takes no more bytes while it is full; of the last write it takes a part."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self._write = os.write
        monkeypatch.setattr(os, "write", self._take)

    def _take(self, descriptor: int, content: Any) -> int:
        if self.full and len(content) > 9:
            return self._write(descriptor, bytes(content[:9]))
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(descriptor, content)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    return FullDisk(monkeypatch)


async def test_nothing_is_to_be_sent_of_an_intent_that_the_record_cannot_take(
    path: Path, clock: Any, full_disk: FullDisk, row: Any
) -> None:
    async with recorded(path, clock) as ledger:
        await put(ledger, [row("a"), row("b")])
        await submit(ledger)
        before = path.with_name(PAID).read_bytes()
        full_disk.full = True
        with pytest.raises(StorageError, match=r"paid\.jsonl could not be written: No space left"):
            await submit(ledger)
        assert path.with_name(PAID).read_bytes() == before
        assert ledger.counts[RowState.PENDING] == 1
        full_disk.full = False
        await submit(ledger)
    assert sum("intent" in line for line in lines(path)) == 2


async def test_an_id_goes_to_the_ledger_where_the_record_cannot_take_it_and_to_the_record_later(
    path: Path, clock: Any, full_disk: FullDisk, row: Any
) -> None:
    async with recorded(path, clock) as ledger:
        await put(ledger, [row("a"), row("b")])
        attempt = await submit(ledger)
        full_disk.full = True
        await ledger.record_accepted(attempt, Prediction("p1", "starting"))
        assert "No space left" in (ledger.record_trouble or "")
        assert ledger.counts[RowState.RUNNING] == 1
        assert not any("accepted" in line for line in lines(path))
        full_disk.full = False
        await submit(ledger)
        assert ledger.record_trouble is None
    assert [line["id"] for line in lines(path) if "accepted" in line] == ["p1"]


async def test_a_record_that_is_taken_away_under_a_run_stops_submitting(
    path: Path, clock: Any, row: Any
) -> None:
    async with recorded(path, clock) as ledger:
        await put(ledger, [row("a")])
        path.with_name(PAID).rename(path.with_name("elsewhere"))
        with pytest.raises(LedgerFailed, match=r"taken away|No such file"):
            await submit(ledger)
        assert ledger.counts[RowState.PENDING] == 1


async def test_what_a_dead_run_did_not_come_to_record_is_completed_from_the_ledger(
    path: Path, clock: Any, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recorded(path, clock) as ledger:
        await put(ledger, [row("a"), row("b")])
        await submit(ledger)
        with monkeypatch.context() as patch:
            patch.setattr(PaymentRecord, "flush_intents", lambda self: self.forget() or [])
            await submit(ledger)
    assert sum("intent" in line for line in lines(path)) == 1
    async with open_ledger(path, clock) as ledger:
        reading = await ledger.read_record()
        assert reading is not None
        assert not reading.whole
        await ledger.begin_record(HEADING, reading)
    assert [line["intent"] for line in lines(path)] == [1, 2]


async def test_only_what_the_ledger_does_not_surely_know_is_read(path: Path, clock: Any, row: Any) -> None:
    async with recorded(path, clock) as ledger:
        await put(ledger, [row(f"r{number}") for number in range(8)])
        for _ in range(8):
            await submit(ledger)
    async with open_ledger(path, clock) as ledger:
        reading = await ledger.read_record()
        assert reading is not None
        assert (reading.heading, reading.whole, len(reading.payments)) == (HEADING, False, 1)


@pytest.mark.parametrize("mark", ["f 7 1", "another {size} 0", "f 9999999 3", None])
def test_a_mark_that_does_not_fit_has_all_of_it_read(tmp_path: Path, mark: str | None) -> None:
    size = write_record(tmp_path / PAID, HEADING, [])
    found = read_record(tmp_path / PAID, mark and mark.format(size=size))
    assert found is not None
    assert (found.whole, found.size) == (True, size)


def test_an_empty_file_is_no_record(tmp_path: Path) -> None:
    (tmp_path / PAID).touch()
    assert read_record(tmp_path / PAID) is None


@pytest.mark.parametrize("mark", ["f 5 1", None])
@pytest.mark.parametrize(
    "content", [b"\0" * 100, b'{"batchfill"', b"\n\n", "\ufeff{}\n".encode("utf-16"), b"\0" * 99 + b"\n"]
)
def test_a_file_of_which_no_line_can_be_read_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, mark: str | None
) -> None:
    (tmp_path / PAID).write_bytes(content)
    with pytest.raises(LedgerError, match=r"paid\.jsonl: no line of it can be read: put a sound copy"):
        read_record(tmp_path / PAID, mark)


async def test_lines_behind_the_mark_are_counted_from_the_beginning(path: Path, clock: Any, row: Any) -> None:
    async with recorded(path, clock) as ledger:
        await put(ledger, [row(f"r{number}") for number in range(4)])
        for _ in range(4):
            await submit(ledger)
    record = path.with_name(PAID)
    record.write_bytes(record.read_bytes() + b"damaged\n")
    async with open_ledger(path, clock) as ledger:
        reading = await ledger.read_record()
        assert reading is not None
        assert (reading.whole, reading.damaged, [one.line for one in reading.payments]) == (False, (6,), [5])


def test_a_record_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / PAID).mkdir()
    with pytest.raises(LedgerError, match=r"paid\.jsonl: cannot be read: .*; move it away if the ledger"):
        read_record(tmp_path / PAID)


async def test_events_of_one_moment_share_a_flush(
    path: Path, clock: Any, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[int] = []
    fsync = os.fsync

    def counting(descriptor: int) -> None:
        flushes.append(descriptor)
        fsync(descriptor)

    async with recorded(path, clock) as ledger:
        await put(ledger, [row(f"r{number}") for number in range(8)])
        due = await ledger.due_rows(8)
        monkeypatch.setattr(os, "fsync", counting)
        await asyncio.gather(*(submit(ledger, one) for one in due))
        assert len(flushes) <= 2
    assert sum("intent" in line for line in lines(path)) == 8
