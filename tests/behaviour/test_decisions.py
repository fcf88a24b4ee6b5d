"""What somebody decided about a picture reaches the ledger, whoever writes it and whoever dies."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.errors import LedgerError, UsageError
from batchfill.export import results
from batchfill.ledger.ledger import Ledger
from batchfill.ledger.location import LEDGER
from batchfill.storage import inbox, lock
from tests.support.capabilities import obeying_modes
from tests.support.modes import bound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer
    from batchfill.session.reviewed.batch_review_source import BatchReviewSource

    Serve = Callable[..., Awaitable[EmulatorServer]]
    Find = Callable[..., Result]

AT = 1_763_850_000.0


def ruling(row: Result, decision: Decision | None = Decision.APPROVED, **changes: Any) -> ReviewDecision:
    assert row.prediction_id is not None
    return ReviewDecision(prediction_id=row.prediction_id, decision=decision, at=AT, **changes)


def decisions(batch: Batch) -> dict[str, tuple[str | None, int | None]]:
    """Return what was decided and chosen, by row."""
    return {row.id: (row.decision, row.chosen) for row in batch.results()}


def left_in(batch: Batch) -> list[str]:
    return sorted(path.name for path in (batch.folder / "inbox").iterdir())


@pytest.fixture
async def done(batch: Callable[..., Batch], service: Serve) -> Batch:
    """A batch of three rows, each with two pictures."""
    found = batch(await service(), 3, set={"num_outputs": "2"})
    assert (await found.run()).exit_code == 0
    return found


async def test_a_decision_is_in_the_results_at_once_where_nobody_runs(done: Batch, result: Find) -> None:
    await done.decide([ruling(result(done, "r1"), chosen=2), ruling(result(done, "r3"), Decision.REJECTED)])
    assert decisions(done) == {"r1": ("approved", 2), "r2": (None, None), "r3": ("rejected", None)}
    assert left_in(done) == []
    assert not done.is_running()


async def test_the_last_decision_counts_and_can_be_taken_back(done: Batch, result: Find) -> None:
    row = result(done)
    for decided in (Decision.APPROVED, Decision.REDO, Decision.REJECTED):
        await done.decide([ruling(row, decided)])
        assert decisions(done)["r1"] == (decided, None)
    await done.decide([ruling(row, None)])
    assert decisions(done)["r1"] == (None, None)


async def test_decisions_that_come_together_keep_their_order(done: Batch, result: Find) -> None:
    row = result(done)
    await done.decide([ruling(row, Decision.REJECTED), ruling(row, chosen=1), ruling(row, chosen=2)])
    assert decisions(done)["r1"] == ("approved", 2)


async def test_results_say_it_as_words_and_numbers(done: Batch, result: Find, batchfill: Any) -> None:
    await done.decide([ruling(result(done, "r2"), chosen=2)])
    csv = await batchfill("results", "night.csv")
    assert csv.out.splitlines()[0].endswith(",flags,decision,chosen,finished_as,changed_inputs")
    assert csv.out.splitlines()[2].endswith(",approved,2,,")
    lines = await batchfill("results", "night.csv", "--format", "jsonl")
    values = [json.loads(line) for line in lines.out.splitlines()]
    assert [(v["decision"], v["chosen"]) for v in values] == [(None, None), ("approved", 2), (None, None)]


async def test_a_person_with_sql_sees_it_too(done: Batch, result: Find) -> None:
    await done.decide([ruling(result(done, "r1"), Decision.REJECTED)])
    with closing(sqlite3.connect(done.folder / LEDGER)) as db:
        found = db.execute("SELECT id, decision, chosen FROM results").fetchall()
    assert found == [("r1", "rejected", None), ("r2", None, None), ("r3", None, None)]


async def test_an_edited_manifest_does_not_move_a_decision_to_another_row(
    batch: Callable[..., Batch], service: Serve, desk: Any, result: Find
) -> None:
    provider = await service()
    found = batch(provider, 2)
    await found.run()
    before = ruling(result(found, "r1"), Decision.REJECTED)
    swapped = [row | {"id": other["id"]} for row, other in zip(desk.rows(2), desk.rows(2)[::-1], strict=True)]
    edited = batch(provider, swapped)
    await edited.run()
    await edited.decide([before])
    assert {row.prompt: row.decision for row in edited.results()} == {
        "picture 1": "rejected",
        "picture 2": None,
    }


async def test_a_decision_about_pictures_of_another_batch_is_refused(done: Batch, result: Find) -> None:
    known = ruling(result(done))
    with pytest.raises(UsageError, match="p404 is no prediction of this batch: nothing was decided"):
        await done.decide([known, ReviewDecision(prediction_id="p404", decision=Decision.APPROVED, at=AT)])
    with pytest.raises(UsageError, match="has 2 pictures, so number 3 cannot be chosen"):
        await done.decide([known, ruling(result(done), chosen=3)])
    assert decisions(done)["r1"] == (None, None)


async def test_without_a_ledger_nothing_can_be_decided(batch: Callable[..., Batch], service: Serve) -> None:
    found = batch(await service(), 1)
    with pytest.raises(LedgerError, match="no ledger here yet"):
        await found.decide([ReviewDecision(prediction_id="p1", decision=None, at=AT)])


@bound
async def test_a_folder_that_takes_nothing_says_that_nothing_was_taken(done: Batch, result: Find) -> None:
    row = result(done)
    done.folder.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="the decision was not taken"):
            await to_thread.run_sync(obeying_modes, lambda: anyio.run(done.decide, [ruling(row)]))
    finally:
        done.folder.chmod(0o700)


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], anyio.Event]:
    """Return an event that comes with the end of the ledger's next call of that name."""

    def after(method: str) -> anyio.Event:
        real, event = getattr(Ledger, method), anyio.Event()

        async def telling(*args: Any, **kwargs: Any) -> Any:
            answer = await real(*args, **kwargs)
            event.set()
            return answer

        monkeypatch.setattr(Ledger, method, telling)
        return event

    return after


async def test_a_running_batch_takes_decisions_meanwhile(
    batch: Callable[..., Batch], service: Serve, result: Find, after: Callable[[str], anyio.Event]
) -> None:
    provider = await service()
    await batch(provider, 1).run()
    found = batch(await service.again(provider, latency=30.0), 2)  # type: ignore[attr-defined]
    runs, taken = after("record_accepted"), after("record_decisions")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.run)
        await runs.wait()
        await found.decide([ruling(result(found, "r1"), Decision.REJECTED)])
        assert found.is_running()
        assert not taken.is_set()
        await taken.wait()
        assert decisions(found)["r1"] == ("rejected", None)
        tasks.cancel_scope.cancel()
    assert left_in(found) == []


async def test_what_comes_after_the_last_look_of_a_run_is_taken_when_it_lets_the_lock_go(
    batch: Callable[..., Batch], service: Serve, result: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    found = batch(provider, 1)
    await found.run()
    row = result(found)
    posted: list[str] = []

    def summing_up(*_: Any) -> None:
        # The night is over, and the lock still held.
        inbox.post_rulings(found.folder, [ruling(row)])
        posted.extend(left_in(found))
        assert lock.is_held(found.folder)

    monkeypatch.setattr(results, "keep_table", summing_up)
    await found.run()
    assert len(posted) == 1
    assert decisions(found)["r1"] == ("approved", None)


async def test_a_start_takes_what_waits(done: Batch, result: Find) -> None:
    inbox.post_rulings(done.folder, [ruling(result(done))])
    await done.run()
    assert decisions(done)["r1"] == ("approved", None)


async def test_a_file_that_cannot_be_removed_is_taken_once(
    done: Batch, result: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = result(done)

    def refuse(self: Path, **_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        await done.decide([ruling(row)])
    assert len(left_in(done)) == 1
    await done.decide([ruling(row, Decision.REJECTED)])
    assert decisions(done)["r1"] == ("rejected", None)
    assert left_in(done) == []
    with closing(sqlite3.connect(done.folder / LEDGER)) as db:
        assert db.execute("SELECT count(*) FROM letters").fetchone()[0] <= 2


async def test_who_is_killed_between_ledger_and_inbox_takes_nothing_twice(
    done: Batch, result: Find, batchfill: Any
) -> None:
    """The first decision is in the ledger and its file still there when a later one has replaced it."""
    row = result(done)
    inbox.post_rulings(done.folder, [ruling(row)])
    killed = await batchfill.python("-c", KILLED, done.folder)
    assert killed.code == -signal.SIGKILL, killed.err
    assert len(left_in(done)) == 1
    assert decisions(done)["r1"] == ("approved", None)
    (old,) = [path.read_text() for path in (done.folder / "inbox").iterdir()]
    (name,) = left_in(done)
    await done.decide([ruling(row, Decision.REJECTED)])
    # A power failure may bring the file back as long as its removal is not on disk.
    (done.folder / "inbox" / name).write_text(old)
    await done.decide([ruling(result(done, "r2"))])
    assert decisions(done) == {"r1": ("rejected", None), "r2": ("approved", None), "r3": (None, None)}


KILLED = """
import os, signal, sys, time
from pathlib import Path
import anyio
from batchfill.ledger.ledger import open_ledger
from batchfill.storage import inbox

inbox._clear_files = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

async def take():
    folder = Path(sys.argv[1])
    async with open_ledger(folder / "ledger.sqlite", time.time) as ledger:
        await inbox.take_rulings(folder, ledger)

anyio.run(take)
"""


async def test_who_dies_before_the_ledger_has_it_loses_nothing(
    done: Batch, result: Find, crash: Callable[..., type[BaseException]]
) -> None:
    with pytest.raises(crash(Ledger, "record_decisions")):
        await done.decide([ruling(result(done))])
    assert decisions(done)["r1"] == (None, None)
    await done.run()
    assert decisions(done)["r1"] == ("approved", None)


async def test_damaged_files_are_set_aside_and_hurt_nobody(done: Batch, result: Find) -> None:
    folder = done.folder / "inbox"
    folder.mkdir(exist_ok=True)
    (folder / "1-a.rulings").write_bytes(b'[{"prediction_id": "p')
    (folder / "2-b.rulings").write_bytes(b'[{"prediction_id": "p1", "decision": "maybe", "at": 1.0}]')
    (folder / "3-c.rulings").mkdir()
    await done.decide([ruling(result(done))])
    assert decisions(done)["r1"] == ("approved", None)
    assert left_in(done) == ["1-a.damaged", "2-b.damaged", "3-c.rulings"]


async def test_a_run_says_which_file_it_set_aside(done: Batch) -> None:
    folder = done.folder / "inbox"
    folder.mkdir(exist_ok=True)
    (folder / "1-a.rulings").write_bytes(b"\xff")
    await done.run()
    log = (done.folder / "run.log").read_text("utf-8")
    assert "inbox/1-a.rulings holds no decisions that can be read: set aside as .damaged" in log


async def test_many_who_decide_at_once_are_all_heard(done: Batch, result: Find) -> None:
    rows = [result(done, id_) for id_ in ("r1", "r2", "r3")]
    async with anyio.create_task_group() as tasks:
        for row in rows * 5:
            tasks.start_soon(done.decide, [ruling(row)])
        tasks.start_soon(done.run)
    assert set(decisions(done).values()) == {("approved", None)}
    assert left_in(done) == []


# What the review reads while decisions wait


@pytest.fixture
def shown(done: Batch) -> Iterator[Callable[[], dict[str, tuple[str | None, int | None]]]]:
    """Return what the review would show as decided and chosen, by row."""
    with done._open_source() as (source, _):
        yield lambda: {
            one.result.id: (one.result.decision, one.result.chosen) for one in source.review_rows()
        }


@pytest.fixture
def working(done: Batch) -> Iterator[None]:
    """Another process works on the batch, and takes nothing from its inbox."""
    with lock.hold_lock(done.folder):
        yield


@pytest.mark.usefixtures("working")
async def test_the_review_shows_what_is_on_disk_before_a_run_takes_it(
    done: Batch, result: Find, shown: Callable[[], Any]
) -> None:
    with done._open_source() as (source, _):
        before = source.mark()
        await source.decide([ruling(result(done, "r1"), chosen=2), ruling(result(done, "r2"))])
        await source.decide([ruling(result(done, "r2"), Decision.REDO, prompt="a boat", seed=7)])
        assert source.mark() != before
        redo = [(one.redo_prompt, one.redo_seed) for one in source.review_rows()]
    assert redo == [(None, None), ("a boat", 7), (None, None)]
    assert shown() == {"r1": ("approved", 2), "r2": ("redo", None), "r3": (None, None)}
    assert decisions(done) == dict.fromkeys(("r1", "r2", "r3"), (None, None))


async def test_a_decision_is_among_what_changed_whoever_made_it(done: Batch, result: Find) -> None:
    with done._open_source() as (source, _):
        changed(source)
        await source.decide([ruling(result(done, "r2"))])
        assert changed(source) == {"r2": "approved"}
        now = replace(ruling(result(done, "r3"), Decision.REJECTED), at=time.time())
        await done.decide([now])
        assert changed(source) == {"r3": "rejected"}
        assert changed(source) == {}


@pytest.mark.usefixtures("working")
async def test_a_decision_that_waits_is_among_what_changed_until_it_is_taken(
    done: Batch, result: Find
) -> None:
    with done._open_source() as (source, _):
        changed(source)
        inbox.post_rulings(done.folder, [ruling(result(done, "r1"))])
        assert changed(source) == {"r1": "approved"}
        for waiting in (done.folder / "inbox").iterdir():
            waiting.rename(waiting.with_suffix(".damaged"))
        assert changed(source) == {"r1": None}
        assert changed(source) == {}


def changed(source: BatchReviewSource) -> dict[str, str | None]:
    """Return what is decided about the rows that changed since this was asked last."""
    return {one.result.id: one.result.decision for one in source.changed_rows(100)}


async def test_a_decision_whose_file_stays_is_not_shown_over_a_later_one(
    done: Batch, result: Find, monkeypatch: pytest.MonkeyPatch, shown: Callable[[], Any]
) -> None:
    def refuse(self: Path, **_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    row = result(done)
    inbox.post_rulings(done.folder, [ruling(row)])
    monkeypatch.setattr(Path, "unlink", refuse)
    await done.decide([ruling(result(done, "r2"))])
    with closing(sqlite3.connect(done.folder / LEDGER)) as db, db:
        db.execute("UPDATE attempts SET decision = 'rejected' WHERE decision = 'approved'")
    assert len(left_in(done)) == 2
    assert shown() == {"r1": ("rejected", None), "r2": ("rejected", None), "r3": (None, None)}


async def test_a_letter_that_is_taken_while_it_is_read_is_not_shown_over_a_later_one(
    done: Batch, result: Find, monkeypatch: pytest.MonkeyPatch, shown: Callable[[], Any]
) -> None:
    row = result(done)
    inbox.post_rulings(done.folder, [ruling(row)])
    read = inbox._read_content

    def read_late(content: bytes) -> tuple[ReviewDecision, ...]:
        monkeypatch.setattr(inbox, "_read_content", read)
        anyio.from_thread.run(done.decide, [ruling(row, Decision.REJECTED)])
        # This one makes the ledger forget the letter that is being read.
        anyio.from_thread.run(done.decide, [ruling(result(done, "r2"))])
        return read(content)

    monkeypatch.setattr(inbox, "_read_content", read_late)
    assert (await to_thread.run_sync(shown))["r1"] == ("rejected", None)


@pytest.mark.usefixtures("working")
async def test_what_cannot_be_read_as_decisions_hides_nothing_from_the_review(
    done: Batch, result: Find, shown: Callable[[], Any]
) -> None:
    (done.folder / "inbox").mkdir(exist_ok=True)
    (done.folder / "inbox" / "1-a.rulings").write_bytes(b'[{"prediction_id": "p')
    (done.folder / "inbox" / "2-b.rulings").mkdir()
    await done.decide([ruling(result(done))])
    assert shown()["r1"] == ("approved", None)
    assert len(left_in(done)) == 3


async def test_where_some_are_refused_the_others_are_taken(done: Batch, result: Find) -> None:
    unknown = ReviewDecision(prediction_id="p404", decision=Decision.APPROVED, at=AT)
    known = ruling(result(done))
    with done._open_source() as (source, _):
        refused = await source.decide([unknown, known, ruling(result(done, "r2"), chosen=3)])
        assert await source.decide([unknown]) == {0: "p404 is no prediction of this batch"}
    assert refused[0] == "p404 is no prediction of this batch"
    assert refused.keys() == {0, 2}
    assert decisions(done) == {"r1": ("approved", None), "r2": (None, None), "r3": (None, None)}


async def test_a_disk_that_takes_nothing_says_so_and_takes_it_when_it_can(done: Batch, result: Find) -> None:
    row = ruling(result(done))
    (done.folder / "inbox").write_text("in the way")
    with done._open_source() as (source, _):
        with pytest.raises(UsageError, match=r"inbox cannot be written: .*; the decision was not taken"):
            await source.decide([row])
        (done.folder / "inbox").unlink()
        assert await source.decide([row]) == {}
    assert decisions(done)["r1"] == ("approved", None)


@pytest.mark.parametrize("prompt", ["a \ud83d boat", "a \0 boat"])
def test_a_prompt_that_no_file_and_no_service_could_take_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="a prompt must not hold"):
        ReviewDecision(prediction_id="p1", decision=Decision.REDO, prompt=prompt, at=1.0)
