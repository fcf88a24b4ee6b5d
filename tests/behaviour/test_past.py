"""A past that does not fit: ledgers restored or deleted, folders and manifests renamed or copied."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.emulator.dialects.dialect import Dialect
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.errors import UsageError
from batchfill.ledger.payment_record import PaymentRecord
from tests.support.crash import Crash
from tests.support.timings import SOON, set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]
    Forget = Callable[..., Awaitable[EmulatorServer]]

ROWS = 6
HALF = 3


def lose_ledger(night: Batch) -> None:
    for path in night.folder.glob("ledger.sqlite*"):
        path.unlink()


def record(night: Batch) -> list[dict[str, Any]]:
    lines = (night.folder / "paid.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def forget(service: Any) -> Callable[..., Awaitable[EmulatorServer]]:
    """`provider = await forget(provider)`: it answers 404 for what it has made; *times*: so often."""

    async def forget(provider: EmulatorServer, times: int | None = None) -> EmulatorServer:
        gone = Fault("get", "status", times=times, options={"status": 404})
        found: EmulatorServer = await service.again(provider, faults=Faults([gone]))
        return found

    return forget


def pictures(night: Batch) -> set[str]:
    return {path.stem for path in (night.folder / "outputs").glob("*.*")}


@pytest.fixture
async def half_done(service: Serve, batch: Open, tmp_path: Path) -> tuple[EmulatorServer, Batch, Path]:
    """A batch of ROWS rows of which HALF are done, and a copy of its ledger as it is then."""
    provider = await service()
    night = batch(provider, ROWS, limit=HALF)
    await night.run()
    copy = tmp_path / "copy.sqlite"
    shutil.copy(night.folder / "ledger.sqlite", copy)
    return provider, night, copy


@pytest.fixture
async def restored(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open
) -> tuple[EmulatorServer, Batch]:
    """A batch that was finished, and whose ledger is from a copy that knows HALF of it."""
    provider, night, copy = half_done
    assert (await batch(provider).run()).exit_code == 0
    lose_ledger(night)
    shutil.copy(copy, night.folder / "ledger.sqlite")
    return provider, night


def lose_pictures(night: Batch) -> None:
    for path in (night.folder / "outputs").glob("*.*"):
        path.unlink()


# The record


async def test_each_intent_and_each_id_is_in_the_record_and_no_prompt_address_token_or_path(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    heading, *lines = record(night)
    assert heading["manifest"] == "night.csv"
    assert {line["row"] for line in lines if "intent" in line} == {"r1", "r2"}
    assert {line["id"] for line in lines if "accepted" in line} == {p.id for p in provider.predictions()}
    text = (night.folder / "paid.jsonl").read_text("utf-8")
    for secret in ("picture 1", provider.base, "127.0.0.1", "r8_for_tests_only", str(desk.folder), "http"):
        assert secret not in text


async def test_an_intent_is_in_the_record_before_its_post_leaves(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchfill.providers.replicate.client import Service

    provider = await service()
    night = batch(provider, 4)
    create, seen = Service.create, []

    async def watched(*given: Any, **named: Any) -> Any:
        seeds = {line.get("seed") for line in record(night)}
        seen.append(given[2]["seed"] in seeds)
        return await create(*given, **named)

    monkeypatch.setattr(Service, "create", watched)
    await night.run()
    assert seen == [True] * 4


async def test_a_batch_that_was_begun_before_gets_its_record_from_the_ledger(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, states: States
) -> None:
    provider, night, _ = half_done
    before = [line for line in record(night) if "batchfill" not in line]
    (night.folder / "paid.jsonl").unlink()
    assert (await batch(provider, limit=1).run()).exit_code == 3
    made = [line for line in record(night) if "batchfill" not in line]
    assert sorted(map(str, made[: len(before)])) == sorted(map(str, before))
    assert len(made) > len(before)
    lose_ledger(night)
    assert (await batch(provider).run()).exit_code == 0
    assert (provider.billed, set(states(night).values())) == (ROWS, {"done"})


# An older ledger (case 4)


async def test_rows_that_a_restored_ledger_does_not_know_are_done_when_their_pictures_are_there(
    restored: tuple[EmulatorServer, Batch], batch: Open, states: States, forget: Forget
) -> None:
    provider, night = restored
    provider = await forget(provider)
    summary = await batch(provider).run()
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 0, ROWS)
    assert set(states(night).values()) == {"done"}
    assert not (night.folder / "outputs/earlier").exists()


async def test_rows_that_a_restored_ledger_does_not_know_are_adopted_from_the_service(
    restored: tuple[EmulatorServer, Batch], batch: Open, states: States, result: Any
) -> None:
    provider, night = restored
    seeds = {line["row"]: line["seed"] for line in record(night) if "intent" in line}
    lose_pictures(night)
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert provider.billed == ROWS
    assert set(states(night).values()) == {"done"}
    assert len(pictures(night)) == ROWS
    assert all(result(night, id_).seed == seed for id_, seed in seeds.items())


async def test_rows_that_nobody_knows_are_exit_2_with_count_and_price_until_just_so_many_are_accepted(
    restored: tuple[EmulatorServer, Batch], batch: Open, states: States, forget: Forget
) -> None:
    provider, night = restored
    provider = await forget(provider)
    lose_pictures(night)
    told = rf"ledger\.sqlite is older than paid\.jsonl.* {HALF} rows .*--accept-loss {HALF}"
    for _ in range(2):
        with pytest.raises(UsageError, match=told):
            await batch(provider).run()
    with pytest.raises(UsageError, match=rf"--accept-loss {HALF} \(not 2\)"):
        await batch(provider, accept_loss=2).run()
    assert provider.billed == ROWS
    provider = await forget(provider, HALF)
    summary = await batch(provider, accept_loss=HALF, limit=1).run()
    assert (summary.exit_code, provider.billed) == (3, ROWS + 1)
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == ROWS + HALF
    assert set(states(night).values()) == {"done"}


async def test_the_price_of_what_is_lost_is_told_and_stays_reserved(
    service: Serve, batch: Open, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, 2, head={"price": "0.5"})
    await night.run()
    lose_ledger(night)
    lose_pictures(night)
    provider = await forget(provider)
    with pytest.raises(UsageError, match=r"for about \$1\.00, add --accept-loss 2"):
        await batch(provider).run()
    provider = await forget(provider, 2)
    assert (await batch(provider, accept_loss=2).run()).exit_code == 0
    cost = night.status().cost
    assert (cost.reserved, cost.spent) == (1_000_000, 1_000_000)


@pytest.mark.parametrize("how", ["refused", "failed"])
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("ledger", ["gone", "older"])
async def test_a_picture_that_was_paid_for_is_known_though_an_attempt_behind_it_was_free(
    half_done: tuple[EmulatorServer, Batch, Path],
    batch: Open,
    states: States,
    result: Any,
    how: str,
    gone: bool,
    ledger: str,
) -> None:
    """*gone*: its file is; then the service has it still."""
    provider, night, copy = half_done
    await batch(provider).run()
    id_ = [line["row"] for line in record(night) if "intent" in line][-1]
    before = result(night, id_)
    rejected = ReviewDecision(prediction_id=before.prediction_id, decision=Decision.REJECTED, at=1.0)
    await night.decide([rejected])
    faults = {
        "refused": Fault("create", "status", options={"status": 422, "body": {"detail": "no"}}),
        "failed": Fault("create", "fail", options={"error": "out of paint"}),
    }
    provider.faults.add(faults[how])
    assert (await batch(provider, retry="rejected").run()).exit_code == 1
    provider.faults.clear()
    assert any("free" in line for line in record(night))
    if gone:
        lose_pictures(night)
    lose_ledger(night)
    if ledger == "older":
        shutil.copy(copy, night.folder / "ledger.sqlite")
    billed = provider.billed
    assert (await batch(provider).run()).submitted_now == 0
    assert provider.billed == billed
    assert states(night)[id_] == "done"
    assert (result(night, id_).prediction_id, result(night, id_).seed) == (before.prediction_id, before.seed)


async def test_a_redo_that_was_canceled_is_not_paid_again(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, service: Any, states: States
) -> None:
    provider, night, copy = half_done
    await batch(provider).run()
    id_ = [line["row"] for line in record(night) if "intent" in line][-1]
    before = pictures(night)
    done = next(str(one.prediction_id) for one in night.results() if one.id == id_)
    await night.decide([ReviewDecision(prediction_id=done, decision=Decision.REJECTED, at=1.0)])
    provider = await service.again(provider, latency=60.0)
    running = asyncio.ensure_future(batch(provider, retry="rejected").run())
    await provider.until(lambda: provider.billed > ROWS)
    await provider.until(lambda: len([line for line in record(night) if "accepted" in line]) > ROWS)
    running.cancel()
    await asyncio.wait({running})
    await batch(provider).cancel()
    lose_ledger(night)
    shutil.copy(copy, night.folder / "ledger.sqlite")
    summary = await batch(provider).run()
    assert (summary.submitted_now, provider.billed) == (0, ROWS + 1)
    assert states(night)[id_] == "canceled"
    assert pictures(night) == before


async def test_only_what_remains_is_asked_about(
    restored: tuple[EmulatorServer, Batch], batch: Open, forget: Forget
) -> None:
    provider, night = restored
    lose_pictures(night)
    provider = await forget(provider, 2)
    with pytest.raises(UsageError, match=r"2 rows .*; 1 more are known still.*--accept-loss 2"):
        await batch(provider).run()
    provider = await forget(provider, 2)
    await batch(provider, accept_loss=2).run()
    assert provider.billed == ROWS + 2


async def test_a_prediction_of_another_seed_is_not_adopted(
    restored: tuple[EmulatorServer, Batch], batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, night = restored
    lose_pictures(night)
    path = night.folder / "paid.jsonl"
    path.write_text(re.sub(r'"seed":\d+', '"seed":77', path.read_text("utf-8")), "utf-8")
    with pytest.raises(UsageError, match=f"--accept-loss {HALF}"):
        await batch(provider).run()


async def test_a_service_that_does_not_tell_ends_the_start_and_nothing_is_paid(
    restored: tuple[EmulatorServer, Batch], batch: Open, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, question_retries=(0.0, 0.0))
    provider, night = restored
    lose_pictures(night)
    provider = await service.again(provider, faults=Faults([Fault("get", "status", options={"status": 503})]))
    with pytest.raises(UsageError, match="does not tell what became of prediction"):
        await batch(provider).run()
    assert provider.billed == ROWS


async def test_cancel_reaches_what_a_restored_ledger_does_not_know(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, service: Any
) -> None:
    provider, night, copy = half_done
    provider = await service.again(provider, latency=60.0)
    running = asyncio.ensure_future(batch(provider, limit=1).run())
    await provider.until(lambda: provider.billed > HALF)
    await provider.until(lambda: provider.requests["list"] + provider.requests["get"] > 0)
    running.cancel()
    await asyncio.wait({running})
    lose_ledger(night)
    shutil.copy(copy, night.folder / "ledger.sqlite")
    await batch(provider).cancel()
    assert provider.predictions()[-1].status == "canceled"


# No ledger (cases 4 and 6)


async def test_a_ledger_that_is_gone_is_made_again_where_every_picture_is_there(
    service: Serve, batch: Open, states: States, forget: Forget
) -> None:
    provider = await service()
    rows = ROWS
    night = batch(provider, rows)
    await night.run()
    before = {result.id: (result.seed, result.prediction_id, result.outputs) for result in night.results()}
    lose_ledger(night)
    provider = await forget(provider)
    summary = await batch(provider).run()
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 0, rows)
    after = {result.id: (result.seed, result.prediction_id, result.outputs) for result in night.results()}
    assert after == before


async def test_a_picture_that_somebody_worked_on_is_kept_with_a_ledger_that_is_made_again(
    service: Serve, batch: Open, desk: Any, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    lose_ledger(night)
    provider = await forget(provider)
    mine = next((night.folder / "outputs").glob("r1.*"))
    shutil.copy(desk.folder / "images/a.png", mine)
    content = mine.read_bytes()
    assert (await batch(provider).run()).exit_code == 0
    assert (mine.read_bytes(), provider.billed) == (content, 2)


async def test_pictures_that_are_paid_for_again_do_not_replace_those_of_a_lost_ledger(
    service: Serve, batch: Open, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    old = next((night.folder / "outputs").glob("r1.*"))
    old.write_bytes(old.read_bytes()[:-20])
    content = old.read_bytes()
    lose_ledger(night)
    provider = await forget(provider)
    with pytest.raises(UsageError, match=r"ledger\.sqlite is gone.*1 row .*\(r1\).*1 more .*--accept-loss 1"):
        await batch(provider).run()
    assert provider.billed == 2
    provider = await forget(provider, 1)
    assert (await batch(provider, accept_loss=1).run()).exit_code == 0
    assert provider.billed == 3
    assert content in [path.read_bytes() for path in (night.folder / "outputs/earlier").iterdir()]


async def test_an_id_that_the_ledger_did_not_come_to_note_is_taken_from_the_record(
    service: Serve, batch: Open, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service(quirks=Quirks(offers=frozenset()))
    night = batch(provider, 1)
    flushed = PaymentRecord.flush_ids

    def flush_and_die(self: PaymentRecord) -> None:
        """The ids are flushed, and the group is not committed."""
        flushed(self)
        if provider.billed:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(PaymentRecord, "flush_ids", flush_and_die)
        with pytest.raises((Crash, BaseExceptionGroup)):
            await night.run()
    assert "accepted" in (night.folder / "paid.jsonl").read_text("utf-8")
    assert states(night) == {"r1": "submitting"}
    summary = await batch(provider).run()
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 0, 1)


@pytest.mark.parametrize(("known", "state"), [(True, "done"), (False, "in_doubt")])
async def test_an_id_of_the_record_that_an_answer_only_seemed_to_name_is_asked_for_before_its_row_runs(
    service: Serve, batch: Open, states: States, monkeypatch: pytest.MonkeyPatch, known: bool, state: str
) -> None:
    quirks = Quirks(offers=frozenset(), dialect=Dialect(id_key="task_id"))
    provider = await service(quirks=quirks)
    night = batch(provider, 1, **SOON)
    flushed = PaymentRecord.flush_ids

    def flush_and_die(self: PaymentRecord) -> None:
        flushed(self)
        if provider.billed:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(PaymentRecord, "flush_ids", flush_and_die)
        with pytest.raises((Crash, BaseExceptionGroup)):
            await night.run()
    assert [line.get("unconfirmed") for line in record(night) if "accepted" in line] == [True]
    if not known:
        provider.faults.add(Fault("get", "status", options={"status": 404}))
    summary = await batch(provider, **SOON).run()
    assert (states(night), provider.creates_seen) == ({"r1": state}, 1)
    assert all("seems to name prediction" in doubt.reason for doubt in summary.doubts)
    told = [line.get("unconfirmed", False) for line in record(night) if "accepted" in line]
    assert told[-1] is not known
    # A record that is made again from the ledger tells the same.
    lose_record(night)
    await batch(provider, **SOON).run()
    assert [line.get("unconfirmed", False) for line in record(night) if "accepted" in line] == [not known]


async def test_without_ledger_and_record_the_pictures_are_asked_about(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    lose_ledger(night)
    (night.folder / "paid.jsonl").unlink()
    (night.folder / "run.log").unlink()
    told = rf"outputs holds pictures that ledger\.sqlite does not know.* {ROWS} rows .*--accept-loss {ROWS}"
    with pytest.raises(UsageError, match=told):
        await batch(provider).run()
    assert provider.billed == ROWS
    assert (await batch(provider, accept_loss=ROWS).run()).exit_code == 0
    assert provider.billed == 2 * ROWS


async def test_pictures_of_several_outputs_count_as_one_row(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    night = batch(provider, desk.rows(2, num_outputs="2"))
    await night.run()
    lose_ledger(night)
    (night.folder / "paid.jsonl").unlink()
    with pytest.raises(UsageError, match="--accept-loss 2"):
        await batch(provider).run()


async def test_an_older_ledger_without_a_record_is_asked_about_by_its_pictures(
    restored: tuple[EmulatorServer, Batch], batch: Open
) -> None:
    provider, night = restored
    (night.folder / "paid.jsonl").unlink()
    with pytest.raises(UsageError, match=f"{HALF} rows .*--accept-loss {HALF}"):
        await batch(provider).run()
    assert provider.billed == ROWS


@pytest.mark.parametrize("ledger", ["gone", "older"])
@pytest.mark.parametrize("lines", ["half", "heading"])
async def test_pictures_that_a_short_record_does_not_explain_are_asked_about(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, ledger: str, lines: str, forget: Forget
) -> None:
    """Both the ledger and its record are from a copy, or gone; the pictures are of today."""
    provider, night, copy = half_done
    path = night.folder / "paid.jsonl"
    content = path.read_bytes()
    await batch(provider).run()
    path.write_bytes(content if lines == "half" else content.splitlines(keepends=True)[0])
    lose_ledger(night)
    if ledger == "older":
        shutil.copy(copy, night.folder / "ledger.sqlite")
    lost = ROWS if (ledger, lines) == ("gone", "heading") else HALF
    told = rf"outputs holds pictures that ledger\.sqlite does not know.* {lost} rows .*--accept-loss {lost}"
    for _ in range(2):
        with pytest.raises(UsageError, match=told):
            await batch(provider).run()
    assert provider.billed == ROWS
    # Who consents is not asked once more about the rows that are still to be submitted.
    assert (await batch(provider, accept_loss=lost, limit=1).run()).exit_code == 3
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == ROWS + lost


async def test_pictures_as_they_came_are_asked_about_where_nothing_tells_of_their_rows(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, 2)
    raw = night.folder / "outputs/raw"
    raw.mkdir(parents=True)
    for name in ("abc-1", "abc-2", "d-e-1"):
        (raw / f"{name}.webp").write_bytes(b"a picture")
    told = r"holds pictures that .* 2 rows .*\(prediction abc, prediction d-e\).*--accept-loss 2"
    with pytest.raises(UsageError, match=told):
        await batch(provider).run()
    assert provider.billed == 0
    assert (await batch(provider, accept_loss=2, limit=1).run()).exit_code == 3
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 2


@pytest.mark.parametrize(
    "name", ["other.webp", "r1.webp", "raw/abc-1.webp", "earlier/r2-1.webp", "r2.webp/of a folder.txt"]
)
async def test_files_that_tell_of_no_row_that_is_to_be_submitted_are_no_hindrance(
    service: Serve, batch: Open, name: str
) -> None:
    provider = await service()
    night = batch(provider, 2, limit=1)
    await night.run()
    (done,) = pictures(night) - {"earlier", "raw"}
    if name.startswith("r") and "/" not in name:
        name = f"{done}.jpg"
    path = night.folder / "outputs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"the user's own")
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 2


async def test_outputs_is_not_walked_where_nothing_would_be_submitted(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchfill.session import stray_pictures

    provider = await service()
    await batch(provider, 2).run()
    walked: list[Any] = []
    monkeypatch.setattr(stray_pictures, "find_pictured", lambda *given, **named: walked.append(given))
    assert (await batch(provider).run()).submitted_now == 0
    assert walked == []


async def test_consent_that_is_not_needed_changes_nothing(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 2, limit=1).run()
    assert (await batch(provider, accept_loss=5).run()).exit_code == 0
    assert provider.billed == 2


# Renamed, moved, copied (case 6)


async def test_a_renamed_folder_is_noticed_and_nothing_is_paid_twice(
    service: Serve, batch: Open, states: States, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    other = night.folder.rename(night.folder.with_name("kept.batch"))
    provider = await forget(provider)
    for _ in range(2):
        with pytest.raises(UsageError, match=rf"--out {re.escape(str(other))}\. .*--accept-loss {ROWS}"):
            await batch(provider).run()
    assert provider.billed == ROWS
    assert (await batch(provider, out=other).run()).submitted_now == 0
    # Whoever renames it back now moves it into the folder that is there.
    shutil.move(other, night.folder)
    with pytest.raises(UsageError, match=rf"--accept-loss {ROWS}"):
        await batch(provider).run()
    provider = await forget(provider, ROWS)
    assert (await batch(provider, accept_loss=ROWS).run()).exit_code == 0
    assert provider.billed == 2 * ROWS


async def test_a_renamed_folder_that_was_begun_before_there_were_records_is_noticed(
    service: Serve, batch: Open, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    (night.folder / "paid.jsonl").unlink()
    night.folder.rename(night.folder.with_name("kept.batch"))
    provider = await forget(provider)
    with pytest.raises(UsageError, match=f"--accept-loss {ROWS}"):
        await batch(provider).run()
    assert provider.billed == ROWS


async def test_a_renamed_folder_without_its_ledger_is_noticed(
    service: Serve, batch: Open, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    lose_ledger(night)
    night.folder.rename(night.folder.with_name("kept.batch"))
    provider = await forget(provider)
    with pytest.raises(UsageError, match=f"--accept-loss {ROWS}"):
        await batch(provider).run()


def keep_heading(night: Batch) -> None:
    path = night.folder / "paid.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def empty(night: Batch) -> None:
    lose_ledger(night)
    (night.folder / "ledger.sqlite").touch()


def lose_record(night: Batch) -> None:
    (night.folder / "paid.jsonl").unlink()


HARMS: dict[str, tuple[Callable[[Batch], object], ...]] = {
    "a short record": (keep_heading,),
    "a short record, no ledger": (keep_heading, lose_ledger),
    "no record, no ledger": (lose_record, lose_ledger),
    "no record, an empty ledger": (lose_record, empty),
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_renamed_folder_that_tells_less_than_all_is_noticed(
    service: Serve, batch: Open, harm: str, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    for step in HARMS[harm]:
        step(night)
    other = night.folder.rename(night.folder.with_name("kept.batch"))
    provider = await forget(provider)
    told = (
        rf"kept\.batch holds rows of this manifest: .*--out {re.escape(str(other))}\. .*--accept-loss {ROWS}"
    )
    with pytest.raises(UsageError, match=told):
        await batch(provider).run()
    assert provider.billed == ROWS


def damage_ledger(night: Batch) -> None:
    path = night.folder / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    lose_ledger(night)
    content[100:4000] = b"\xff" * 3900
    path.write_bytes(content)


def damage_record(night: Batch, *lines: int) -> None:
    path = night.folder / "paid.jsonl"
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(b"?\n" if number in lines else line for number, line in enumerate(content, 1)))


TROUBLES: dict[str, tuple[str, tuple[Callable[[Batch], object], ...]]] = {
    "a damaged ledger": (r"ledger\.sqlite", (damage_ledger,)),
    "a ledger of something else": (
        r"ledger\.sqlite",
        (lose_ledger, lambda night: (night.folder / "ledger.sqlite").write_text("a note")),
    ),
    "a damaged record": (
        r"paid\.jsonl: no line of it can be read",
        (lambda night: (night.folder / "paid.jsonl").write_bytes(b"\0" * 99),),
    ),
    "damaged lines, no ledger": (
        r"paid\.jsonl: line 3, 5 cannot be read",
        (lambda night: damage_record(night, 3, 5), lose_ledger),
    ),
    "a folder in place of the record": (
        r"paid\.jsonl: cannot be read",
        (lose_record, lambda night: (night.folder / "paid.jsonl").mkdir()),
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_renamed_folder_that_cannot_be_read_ends_the_start_with_what_to_do(
    service: Serve, batch: Open, trouble: str
) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    told, steps = TROUBLES[trouble]
    for step in steps:
        step(night)
    other = night.folder.rename(night.folder.with_name("kept.batch"))
    told = rf"{told}.* kept\.batch may hold .* --out {re.escape(str(other))}; .* move it away"
    with pytest.raises(UsageError, match=told):
        await batch(provider, accept_loss=ROWS).run()
    assert provider.billed == ROWS
    shutil.move(other, other.parent.parent / "away")
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 2 * ROWS


async def test_damaged_lines_of_a_renamed_folder_that_its_ledger_knows_do_not_matter(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, ROWS, concurrency=1)
    await night.run()
    damage_record(night, 2, 3)
    night.folder.rename(night.folder.with_name("kept.batch"))
    assert (await batch(provider).run()).submitted_now == 0
    assert provider.billed == ROWS


async def test_rows_of_a_renamed_manifest_are_adopted_while_the_service_has_them(
    service: Serve, batch: Open, desk: Any, states: States
) -> None:
    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    evening = batch(provider, ROWS, name="evening.csv")
    (desk.folder / "night.csv").unlink()
    summary = await evening.run()
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 0, ROWS)
    assert set(states(evening).values()) == {"done"}
    assert (await evening.run()).submitted_now == 0


async def test_a_renamed_manifest_with_new_rows_pays_for_these_alone(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    await batch(provider, ROWS).run()
    evening = batch(provider, ROWS + 2, name="evening.csv")
    (desk.folder / "night.csv").unlink()
    assert (await evening.run()).submitted_now == 2
    assert provider.billed == ROWS + 2


async def test_a_leftover_folder_with_other_rows_is_no_hindrance(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    await batch(provider, desk.rows(2, guidance="7")).run()
    evening = batch(provider, 2, name="evening.csv")
    (desk.folder / "night.csv").unlink()
    assert (await evening.run()).exit_code == 0
    assert provider.billed == 4


async def test_the_same_rows_in_another_manifest_are_another_batch(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 2).run()
    assert (await batch(provider, 2, name="evening.csv").run()).exit_code == 0
    assert provider.billed == 4


async def test_manifest_and_folder_moved_together_are_the_same_batch(
    service: Serve, batch: Open, desk: Any, states: States, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, ROWS, limit=HALF)
    await night.run()
    provider = await forget(provider)
    (desk.folder / "night.csv").unlink()
    evening = batch(provider, ROWS, name="evening.csv")
    night.folder.rename(evening.folder)
    assert (await evening.run()).exit_code == 0
    assert provider.billed == ROWS
    assert record(evening)[0]["manifest"] == "evening.csv"


async def test_a_copy_of_the_whole_desk_is_the_same_batch(
    service: Serve, batch: Open, desk: Any, tmp_path: Path, forget: Forget
) -> None:
    from batchfill.batch import Batch as Opened

    provider = await service()
    night = batch(provider, ROWS)
    await night.run()
    provider = await forget(provider)
    shutil.copytree(desk.folder, tmp_path / "copied")
    copied = Opened.open(tmp_path / "copied/night.csv", environ={"BATCHFILL_TOKEN": "r8_for_tests_only"})
    assert (await copied.run()).submitted_now == 0
    assert provider.billed == ROWS


async def test_a_rehearsal_that_lost_its_ledger_finds_its_predictions_again(
    batch: Open, states: States
) -> None:
    rehearsal = batch(None, 2, local=True)
    await rehearsal.run()
    lose_ledger(rehearsal)
    lose_pictures(rehearsal)
    summary = await batch(None, local=True).run()
    assert (summary.exit_code, summary.submitted_now) == (0, 0)
    assert set(states(rehearsal).values()) == {"done"}


async def test_without_a_terminal_as_with_one_it_is_exit_2_before_anything_is_paid(
    service: Serve, batch: Open, batchfill: Any, forget: Forget
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    night.folder.rename(night.folder.with_name("kept.batch"))
    provider = await forget(provider)
    ran = await batchfill("run", "night.csv", "--base-url", provider.base)
    assert (ran.code, provider.billed) == (2, 2)
    assert "add --accept-loss 2" in ran.err
    provider = await forget(provider, 2)
    ran = await batchfill("run", "night.csv", "--base-url", provider.base, "--accept-loss", "2")
    assert (ran.code, provider.billed) == (0, 4)


@pytest.mark.parametrize("where", ["manifest", "environment"])
async def test_only_a_flag_accepts_a_loss(
    service: Serve, batch: Open, desk: Any, batchfill: Any, where: str
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    lose_ledger(night)
    (night.folder / "paid.jsonl").unlink()
    name = "night.csv"
    if where == "manifest":
        name = desk.write(desk.rows(2), accept_loss=2).name
    else:
        batchfill.environ["BATCHFILL_ACCEPT_LOSS"] = "2"
    ran = await batchfill("run", name, "--base-url", provider.base)
    assert (ran.code, provider.billed) == (2, 2)


# Another record


async def test_another_batchs_record_is_refused(service: Serve, batch: Open) -> None:
    provider = await service()
    night, evening = batch(provider, 2, limit=1), batch(provider, 2, name="evening.csv")
    await night.run()
    await evening.run()
    shutil.copy(evening.folder / "paid.jsonl", night.folder / "paid.jsonl")
    again = type(night)(night.manifest, {**night.flags, "limit": None}, night.environ)
    with pytest.raises(UsageError, match=r"paid\.jsonl belongs to another batch than the ledger\.sqlite"):
        await again.run()
    assert provider.billed == 3


async def test_a_lost_ledger_is_not_looked_for_at_another_provider(service: Serve, batch: Open) -> None:
    provider, other = await service(), await service("other")
    night = batch(provider, 2)
    await night.run()
    lose_ledger(night)
    with pytest.raises(UsageError, match=r"begun at another provider than .*--base-url"):
        await batch(other).run()
    assert other.billed == 0


async def test_a_lost_ledger_of_another_model_goes_on_with_that(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 2, model="black-forest-labs/flux-fill-pro")
    await night.run()
    lose_ledger(night)
    assert (await batch(provider).run()).submitted_now == 0


async def test_a_torn_last_line_is_cut_off(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open
) -> None:
    provider, night, _ = half_done
    path = night.folder / "paid.jsonl"
    path.write_bytes(path.read_bytes() + b'{"intent":9,"key":"ab' + b"\0" * 500)
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == ROWS
    assert len(record(night)) > 1


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
async def test_a_record_that_lost_its_end_is_made_again_from_the_ledger(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, kept: float
) -> None:
    provider, night, _ = half_done
    path = night.folder / "paid.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == ROWS
    assert sum("accepted" in line for line in record(night)) == ROWS


async def test_a_damaged_record_is_made_again_where_the_ledger_has_forgotten_nothing(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, ROWS, limit=HALF)
    await night.run()
    path = night.folder / "paid.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\xff\x00garbage\n", *lines[3:]]))
    # Its end is gone, too, so that all of it is read.
    path.write_bytes(path.read_bytes()[:-5])
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == ROWS
    assert all(record(night))


async def test_lines_that_cannot_be_read_are_asked_about_where_the_ledger_is_gone(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, 3)
    await night.run()
    path = night.folder / "paid.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"\xff\x00garbage\n", *lines[2:]]))
    lose_ledger(night)
    with pytest.raises(UsageError, match=r"line 2 of paid\.jsonl.*--accept-loss"):
        await batch(provider).run()
    assert provider.billed == 3


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda line: line.decode().encode("utf-16"),
    "zeros": lambda line: b"\0" * len(line),
    "zeros a line": lambda line: b"\0" * (len(line) - 1) + b"\n",
    "text": lambda line: b"conflict" + b"\n",
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("ledger", ["gone", "older", "of today"])
async def test_a_record_that_is_damaged_all_over_ends_the_start_with_what_to_do(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, how: str, ledger: str
) -> None:
    provider, night, copy = half_done
    await batch(provider).run()
    path = night.folder / "paid.jsonl"
    lines = [path.read_bytes()] if how == "UTF-16" else path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(map(DAMAGES[how], lines)))
    content = path.read_bytes()
    if ledger != "of today":
        lose_ledger(night)
        lose_pictures(night)
    if ledger == "older":
        shutil.copy(copy, night.folder / "ledger.sqlite")
    with pytest.raises(UsageError, match=r"paid\.jsonl: no line of it can be read: .* or move it away"):
        await batch(provider).run()
    assert (path.read_bytes(), provider.billed) == (content, ROWS)
    if ledger == "of today":
        path.unlink()
        assert (await batch(provider).run()).submitted_now == 0


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("how", ["zeros a line", "text"])
async def test_lines_at_the_end_that_cannot_be_read_are_asked_about_where_the_ledger_is_older(
    half_done: tuple[EmulatorServer, Batch, Path], batch: Open, how: str, late: bool
) -> None:
    """*late*: behind them is a line about an attempt that the ledger knows."""
    provider, night, copy = half_done
    await batch(provider).run()
    path = night.folder / "paid.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    first = [n for n, line in enumerate(lines) if line.startswith(b'{"intent"')][HALF]
    kept = [line for line in lines if line.startswith(b'{"kept":1,')] if late else []
    path.write_bytes(b"".join([*lines[:first], *map(DAMAGES[how], lines[first:]), *kept]))
    lose_ledger(night)
    shutil.copy(copy, night.folder / "ledger.sqlite")
    lose_pictures(night)
    lost = len(lines) - first
    told = rf"ledger\.sqlite may be older.*line {first + 1} of .*--accept-loss {lost}"
    with pytest.raises(UsageError, match=told):
        await batch(provider).run()
    assert provider.billed == ROWS
    assert (await batch(provider, accept_loss=lost).run()).exit_code == 0
    assert provider.billed == ROWS + HALF


async def test_a_record_of_a_newer_batchfill_is_refused(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    path = night.folder / "paid.jsonl"
    path.write_text(path.read_text("utf-8").replace('"batchfill":1', '"batchfill":2'), "utf-8")
    with pytest.raises(UsageError, match="was written by a newer batchfill"):
        await batch(provider, 2).run()
