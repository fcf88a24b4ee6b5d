from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.errors import NoAnswer, StorageError, TakenOver
from batchfill.ledger.ledger import open_ledger
from batchfill.ledger.mirrored import mirrored_commits
from batchfill.ledger.mirrored.log_frames import apply_frames
from batchfill.ledger.payment_record import PAID
from batchfill.ledger.payments import Heading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from batchfill.domain.rows import Attempt
    from batchfill.ledger.ledger import Ledger

HEADING = Heading("b", "f", "night.csv", "owner/model", "0")


class MemoryMirror:
    """A mirror that is a file, and that answers, hangs or refuses as a test asks for."""

    run = "aa"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.fails: Exception | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.asked = threading.Event()
        """Set once something is to be put."""
        self.copied = asyncio.Event()
        """Set once a copy is used that was made while commits went on."""
        self.copies = 0
        self.copy_due = False
        self.last = 0
        self._unanswered: list[bytes] = []

    def put_commits(self, frames: bytes, commits: int) -> None:
        self._unanswered.append(frames)
        self.put_again()

    def put_again(self) -> None:
        self.asked.set()
        assert self.goes_on.wait(30)
        if self.fails:
            raise self.fails
        with self.file.open("r+b") as file:
            for frames in self._unanswered:
                apply_frames(file, frames)
        self._unanswered, self.last = [], self.last + 1

    def put_copy(self, ledger: Path, commits: int) -> None:
        if self.fails:
            raise self.fails
        self.file.write_bytes(ledger.read_bytes())
        self._unanswered, self.copies = [], self.copies + 1

    def keep_copy(self, ledger: Path, *, behind: int) -> bytes:
        return ledger.read_bytes()

    def use_copy(self, kept: object) -> None:
        assert isinstance(kept, bytes)
        self.copy_due = False
        self.copied.set()

    def remove_old(self) -> None:
        """Keep everything."""

    def may_pay(self) -> bool:
        return self.fails is None

    def facts(self) -> dict[str, str]:
        with closing(sqlite3.connect(self.file)) as db:
            return dict(db.execute("SELECT name, value FROM facts"))

    def states(self) -> list[str]:
        with closing(sqlite3.connect(self.file)) as db:
            return [state for (state,) in db.execute("SELECT state FROM rows ORDER BY position")]


@pytest.fixture
async def mirror(tmp_path: Path) -> MemoryMirror:
    return MemoryMirror(tmp_path / "mirror.sqlite")


class Told:
    """Hears what is lacking, and lets a test wait for it."""

    def __init__(self) -> None:
        self.lacks: list[str | None] = []
        self.losses: list[str] = []
        self.news = asyncio.Event()
        self.lost = asyncio.Event()

    def lack(self, lack: str | None) -> None:
        self.lacks.append(lack)
        self.news.set()

    def loss(self, why: str) -> None:
        self.losses.append(why)
        self.lost.set()


@pytest.fixture
async def told() -> Told:
    return Told()


@pytest.fixture
def opened(
    path: Path, clock: Any, mirror: MemoryMirror, told: Told, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    monkeypatch.setattr(mirrored_commits, "AGAIN_EVERY", 0.01)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Ledger]:
        async with open_ledger(path, clock) as ledger:
            await ledger.begin_record(HEADING, None)
            async with ledger.mirrored(mirror, on_lack=told.lack, on_loss=told.loss):
                yield ledger

    return opened


async def put(ledger: Ledger, *rows: Any) -> None:
    async with ledger.open_import() as intake:
        await intake.add_rows([replace(row, position=n, line=n + 2) for n, row in enumerate(rows)])
        await intake.identify_rows()
        await intake.merge_rows(0.0)


async def intend(ledger: Ledger) -> Attempt:
    (due, *_) = await ledger.due_rows(10)
    attempt = await ledger.record_intent(
        due, seed=1, choose_seed=None, origin="o", sent=lambda seed: {}, service_time=None
    )
    assert attempt is not None
    return attempt


async def test_an_intent_is_in_the_mirror_before_its_caller_goes_on(
    opened: Any, mirror: MemoryMirror, row: Any
) -> None:
    async with opened() as ledger:
        await put(ledger, row("a"), row("b"))
        await intend(ledger)
        assert mirror.states() == ["submitting", "pending"]

        mirror.goes_on.clear()
        mirror.asked.clear()
        waiting = asyncio.create_task(intend(ledger))
        await asyncio.to_thread(mirror.asked.wait)
        assert (ledger.counts[RowState.SUBMITTING], waiting.done()) == (2, False)
        mirror.goes_on.set()
        await waiting
        assert mirror.states() == ["submitting", "submitting"]


async def test_the_record_has_no_line_of_an_intent_that_the_mirror_has_not(
    opened: Any, mirror: MemoryMirror, row: Any, path: Path
) -> None:
    async with opened() as ledger:
        await put(ledger, row("a"))
        mirror.fails = NoAnswer("it is away")

        with pytest.raises(StorageError, match="it is away"):
            await intend(ledger)

        assert (ledger.lack, ledger.counts[RowState.PENDING]) == ("it is away", 1)
        assert '"intent"' not in path.with_name(PAID).read_text("ascii")
        mirror.fails = None


async def test_while_the_mirror_is_away_events_go_on_and_it_has_all_of_them_afterwards(
    opened: Any, mirror: MemoryMirror, told: Told
) -> None:
    async with opened() as ledger:
        mirror.fails = NoAnswer("it is away")
        await ledger.set_metadata(first="1")
        await ledger.set_metadata(second="2")
        assert "second" not in mirror.facts()
        told.news.clear()

        mirror.fails = None
        await told.news.wait()

        assert told.lacks == ["it is away", None]
        assert mirror.facts() | {"first": "1", "second": "2"} == mirror.facts()
        await ledger.set_metadata(third="3")
        assert mirror.facts()["third"] == "3"


async def test_a_mirror_that_answers_again_at_the_end_has_everything(
    opened: Any, mirror: MemoryMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrored_commits, "AGAIN_EVERY", 3600.0)
    async with opened() as ledger:
        mirror.fails = NoAnswer("it is away")
        await ledger.set_metadata(last="1")
        mirror.fails = None

    assert mirror.facts()["last"] == "1"


async def test_a_run_whose_batch_was_taken_over_records_nothing_more(
    opened: Any, mirror: MemoryMirror, told: Told, row: Any
) -> None:
    async def lose() -> None:
        async with opened() as ledger:
            await put(ledger, row("a"), row("b"))
            mirror.fails = TakenOver("another run has it")
            for _ in range(2):
                with pytest.raises(TakenOver):
                    await intend(ledger)
            assert not ledger.may_pay()

    with pytest.raises(TakenOver, match="another run has it"):
        await lose()
    assert told.losses == ["another run has it"]


async def test_a_loss_that_is_found_while_catching_up_ends_the_run_without_another_commit(
    opened: Any, mirror: MemoryMirror, told: Told
) -> None:
    async def lose() -> None:
        async with opened() as ledger:
            mirror.fails = NoAnswer("it is away")
            await ledger.set_metadata(first="1")
            mirror.fails = TakenOver("another run has it")
            await told.lost.wait()

    with pytest.raises(TakenOver):
        await lose()


async def test_a_copy_that_is_due_is_made_while_commits_go_on(opened: Any, mirror: MemoryMirror) -> None:
    async with opened() as ledger:
        mirror.copy_due = True
        for number in range(5):
            await ledger.set_metadata(number=str(number))
        await mirror.copied.wait()
        await ledger.set_metadata(number="last")

        assert mirror.facts()["number"] == "last"


async def test_a_ledger_that_was_taken_away_is_mirrored_no_more_and_nothing_is_paid(
    opened: Any, mirror: MemoryMirror, told: Told, path: Path, row: Any
) -> None:
    async with opened() as ledger:
        await put(ledger, row("a"))
        for side in ("", "-wal", "-shm"):
            path.with_name(path.name + side).rename(path.with_name(f"away{side}"))
        await ledger.set_metadata(first="1")

        assert "taken away" in (ledger.lack or "")
        assert "first" not in mirror.facts()
