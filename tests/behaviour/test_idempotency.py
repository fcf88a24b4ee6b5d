"""Lost answers at a provider that honours keys: the same create goes out again, and nothing is made twice."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.emulator.dialects.dialect import Dialect
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.errors import UsageError
from batchfill.run.submit.admission import MOST_LOST, AdmissionGate
from batchfill.run.submit.resender import RESENDS
from tests.support.faults import LOST, NEVER_TAKEN
from tests.support.providers import TOKEN
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

HONOURED = Quirks(offers=frozenset(), dialect=Dialect(keys="honoured"))
"""A provider that knows keys, and has no list that could tell what was made."""

IGNORED = Quirks(offers=frozenset())


def at(kind: str, *places: int, **options: Any) -> Fault:
    """Return a fault of the creates at these places."""
    return Fault("create", kind, at=frozenset(places), options=options)


def asked(batch: Batch, question: str) -> list[Any]:
    """Return what the ledger answers to a question in SQL."""
    with closing(sqlite3.connect(batch.folder / "ledger.sqlite")) as db, db:
        return db.execute(question).fetchall()


async def test_every_create_carries_a_key_of_its_own_that_the_ledger_has(service: Serve, batch: Open) -> None:
    provider = await service(quirks=HONOURED)
    night = batch(provider, 3)
    assert (await night.run()).exit_code == 0
    sent = {record.id: record.key for record in provider.predictions()}
    known = dict(asked(night, "SELECT prediction_id, idempotency_key FROM attempts"))
    assert (sent, len(set(sent.values()))) == (known, 3)
    assert all(key and len(key) == 36 and TOKEN not in key for key in sent.values())


async def test_the_key_of_a_create_is_on_disk_before_it_leaves(service: Serve, batch: Open) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([NEVER_TAKEN]))
    night = batch(provider, 1, **SOON)
    await night.run()
    ((key, sent),) = asked(night, "SELECT idempotency_key, prediction_id FROM attempts")
    assert (bool(key), sent) == (True, None)


async def test_lost_answers_are_sent_again_and_each_row_is_billed_once(
    service: Serve, batch: Open, states: States
) -> None:
    lost = range(3, 48, 10)
    faults = Faults([at("reset_after", *lost[::2]), at("reset_before", *lost[1::2])])
    provider = await service(quirks=HONOURED, faults=faults)
    night = batch(provider, 40, idempotent=True, **SOON)
    summary = await night.run()
    assert (summary.exit_code, set(states(night).values())) == (0, {"done"})
    assert (provider.billed, summary.submitted_now) == (40, 40)
    assert provider.creates_seen == 40 + len([n for n in lost if n <= provider.creates_seen])
    assert {found.attempts for found in night.results()} == {1}


async def test_a_provider_that_is_not_said_to_honour_keys_is_sent_nothing_again(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=IGNORED, faults=Faults([at("reset_after", 3, 13, 23)]))
    night = batch(provider, 30, **SOON)
    summary = await night.run()
    assert (summary.exit_code, provider.creates_seen, provider.billed) == (1, 30, 30)
    assert sorted(states(night).values()).count("in_doubt") == 3


async def test_one_that_ignores_keys_is_the_word_of_the_user_who_said_that_it_honours_them(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=IGNORED, faults=Faults([LOST]))
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    assert (states(night), provider.billed) == ({"r1": "done"}, 2)


@pytest.mark.parametrize("concurrency", [1, 2, 32])
async def test_a_row_that_waits_to_be_sent_again_and_new_rows_do_not_wait_for_each_other(
    service: Serve, batch: Open, concurrency: int
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([at("reset_after", 1, 4, 5, 9)]))
    night = batch(provider, 8, idempotent=True, concurrency=concurrency, **SOON)
    assert ((await night.run()).exit_code, provider.billed) == (0, 8)


@pytest.mark.parametrize("fault", [LOST, NEVER_TAKEN], ids=["made", "never made"])
async def test_a_row_in_doubt_is_sent_again_by_the_next_start_once_keys_are_said_to_be_honoured(
    service: Serve, batch: Open, states: States, fault: Fault
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([fault]))
    night = batch(provider, 2, **SOON)
    await night.run()
    assert sorted(states(night).values()) == ["done", "in_doubt"]
    assert (await batch(provider, idempotent=True, **SOON).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (2, 3)
    assert [found.attempts for found in night.results()] == [1, 1]


async def test_what_was_said_of_keys_is_remembered_and_can_be_taken_back(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=HONOURED)
    await batch(provider, 1, idempotent=True).run()
    provider.faults.add(Fault("create", "reset_after", first=2, times=1))
    await batch(provider, 2, **SOON).run()
    assert (provider.creates_seen, provider.billed) == (3, 2)
    provider.faults.add(Fault("create", "reset_after", first=4, times=1))
    again = batch(provider, 3, idempotent=False, **SOON)
    await again.run()
    await batch(provider, **SOON).run()
    assert (states(again)["r3"], provider.creates_seen) == ("in_doubt", 4)


async def test_what_was_said_of_one_base_is_not_taken_for_another(service: Serve, batch: Open) -> None:
    provider = await service(quirks=HONOURED)
    night = batch(provider, 1, idempotent=True)
    await night.run()
    said = "UPDATE facts SET value = 'https://api.example.com/v1' WHERE name = 'idempotent'"
    asked(night, said)
    provider.faults.add(Fault("create", "reset_after", first=2, times=1))
    await batch(provider, 2, **SOON).run()
    assert provider.creates_seen == 2


async def test_a_manifest_cannot_say_that_keys_are_honoured(batch: Open) -> None:
    with pytest.raises(UsageError, match="idempotent cannot be set in a manifest"):
        await batch("https://api.example.com/v1", 1, name="night.yaml", head={"idempotent": "true"}).run()


MADE = {
    "other words": at("status", 1, status=201, late=True, body={"ok": True}),
    "a web page": at("status", 1, status=200, late=True, body="<!doctype html><title>Thanks</title>"),
    "no body": at("status", 1, status=202, late=True, body=""),
}


@pytest.mark.parametrize("fault", MADE.values(), ids=MADE.keys())
async def test_an_answer_that_says_made_is_never_sent_again(
    service: Serve, batch: Open, states: States, fault: Fault
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([fault]))
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    await batch(provider, **SOON).run()
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 1)


async def test_an_answer_that_seems_to_name_a_prediction_is_never_sent_again(
    service: Serve, batch: Open, states: States
) -> None:
    quirks = Quirks(offers=frozenset(), dialect=Dialect(keys="honoured", id_key="task_id"))
    provider = await service(quirks=quirks, faults=Faults([Fault("get", "status", options={"status": 404})]))
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    await batch(provider, **SOON).run()
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 1)


REFUSALS = [401, 402, 404, 413, 422]


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refusal_of_the_second_create_proves_nothing_of_the_first(
    service: Serve, batch: Open, states: States, status: int
) -> None:
    provider = await service(
        quirks=HONOURED, faults=Faults([at("reset_after", 1), at("status", 2, status=status)])
    )
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    # Whether the run ended for it or not, the row is not pending: the next start makes it with its own key.
    assert states(night)["r1"] in ("submitting", "in_doubt")
    # After a 404 the other form of a create is tried, with the same key.
    seen = 3 if status == 404 else 2
    assert provider.creates_seen == seen
    await batch(provider, **SOON).run()
    assert (states(night), provider.billed, provider.creates_seen) == ({"r1": "done"}, 1, seen + 1)


WAITS = {
    "throttled": {"status": 429, "form": "retry_after", "seconds": 0},
    "busy": {"status": 409, "headers": {"Retry-After": "0"}, "body": {"error": "At capacity"}},
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
async def test_a_second_create_that_has_to_wait_goes_out_once_more(
    service: Serve, batch: Open, states: States, wait: dict[str, Any]
) -> None:
    provider = await service(
        quirks=HONOURED, faults=Faults([at("reset_after", 1), at("status", 2, 3, **wait)])
    )
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    assert (states(night), provider.billed, provider.creates_seen) == ({"r1": "done"}, 1, 4)


async def test_losses_in_a_row_end_submissions_as_without_keys(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([Fault("create", "reset_after")]))
    night = batch(provider, 10, idempotent=True, **SOON)
    summary = await night.run()
    assert f"the answers to {MOST_LOST} rows in a row were lost" in (summary.stopped_because or "")
    assert provider.creates_seen == MOST_LOST
    provider.faults.clear()
    assert (await batch(provider, **SOON).run()).exit_code == 0
    assert (provider.billed, set(states(night).values())) == (10, {"done"})


async def test_a_lost_resend_is_a_loss_like_every_other(service: Serve, batch: Open) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([Fault("create", "reset_after")]))
    summary = await batch(provider, 2, idempotent=True, concurrency=1, **SOON).run()
    assert (summary.stopped_because or "").startswith(f"the answers to {MOST_LOST} rows in a row were lost")
    assert provider.creates_seen == MOST_LOST


async def test_one_row_whose_error_is_repeated_by_its_key_does_not_end_the_night(
    service: Serve, batch: Open, states: States
) -> None:
    assert RESENDS + 1 < MOST_LOST
    poisoned = Fault("create", "status", at=frozenset({1, 2, 3, 4}), options={"status": 500, "late": True})
    provider = await service(quirks=HONOURED, faults=Faults([poisoned]))
    night = batch(provider, 4, idempotent=True, concurrency=1, **SOON)
    summary = await night.run()
    assert (summary.exit_code, summary.stopped_because) in ((0, None), (1, None))
    await batch(provider, **SOON).run()
    assert (provider.billed, set(states(night).values())) == (4, {"done"})


async def test_the_words_of_a_lost_answer_stay_though_its_resend_has_none(
    service: Serve, batch: Open
) -> None:
    said = at("status", 1, status=500, late=True, body={"detail": "upstream gone"})
    provider = await service(quirks=HONOURED, faults=Faults([said, at("reset_before", 2, 3, 4)]))
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    (doubt,) = night.status().doubts
    assert "upstream gone" in (doubt.answer or "")


async def test_a_limit_counts_a_row_once_and_waits_for_its_answer(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([at("reset_after", 1, 2)]))
    night = batch(provider, 3, idempotent=True, limit=2, concurrency=1, **SOON)
    summary = await night.run()
    assert summary.submitted_now == provider.billed == 2
    assert sorted(states(night).values()) == ["done", "done", "pending"]


async def test_a_key_that_the_provider_may_have_forgotten_is_not_sent_again(
    service: Serve, batch: Open, states: States, later: Callable[[float], None]
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([NEVER_TAKEN]))
    night = batch(provider, 1, **SOON)
    await night.run()
    later(REPLICATE_API.keys_kept)
    await batch(provider, idempotent=True, **SOON).run()
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 1)


async def test_a_key_that_became_too_old_while_its_create_waited_is_not_sent_again(
    service: Serve,
    batch: Open,
    states: States,
    later: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([LOST]))
    night = batch(provider, 1, idempotent=True, **SOON)
    acquire_again = AdmissionGate.acquire_again

    async def wait_for_a_day(self: AdmissionGate, **ours: bool) -> None:
        later(REPLICATE_API.keys_kept)
        await acquire_again(self, **ours)

    monkeypatch.setattr(AdmissionGate, "acquire_again", wait_for_a_day)
    await night.run()
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE attempts SET idempotency_key = NULL",
        "UPDATE attempts SET sent = json_set(sent, '$.prompt', 'another')",
        "UPDATE attempts SET sent = json_set(sent, '$.guidance', 3)",
        # As another version of this program, or another machine, packed the same picture.
        "UPDATE attempts SET sent = json_set(sent, '$.image', 'sha256:' || printf('%064d', 1) || ':99')",
        "UPDATE attempts SET origin = 'https://api.example.com/v1'",
        "UPDATE attempts SET acknowledged = 1",
    ],
    ids=["no key", "other prompt", "other inputs", "other bytes", "other base", "acknowledged"],
)
async def test_a_create_that_would_not_be_the_same_one_is_not_sent_again(
    service: Serve, batch: Open, states: States, change: str
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([NEVER_TAKEN]))
    night = batch(provider, 1, **SOON)
    await night.run()
    asked(night, change)
    await batch(provider, idempotent=True, **SOON).run()
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 1)


async def test_a_row_that_is_gone_from_the_manifest_is_not_sent_again(service: Serve, batch: Open) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([NEVER_TAKEN]))
    await batch(provider, [*batch_rows(2)], **SOON).run()
    night = batch(provider, [*batch_rows(2)][1:], idempotent=True, **SOON)
    await night.run()
    assert (provider.creates_seen, night.in_doubt()) == (2, 1)


def batch_rows(count: int) -> list[dict[str, str]]:
    """Return rows of pictures at addresses."""
    picture = {"image": "https://example.com/a.png", "mask": "https://example.com/m.png"}
    return [{"id": f"r{n}", **picture, "prompt": f"picture {n}"} for n in range(1, count + 1)]


async def test_consent_sends_with_the_old_key_what_may_be_and_with_a_new_one_what_may_not(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([at("reset_after", 1, 3)]))
    night = batch(provider, 3, concurrency=1, **SOON)
    await night.run()
    assert sorted(states(night).values()) == ["done", "in_doubt", "in_doubt"]
    asked(night, "UPDATE attempts SET idempotency_key = NULL WHERE number = 1")
    assert (await batch(provider, idempotent=True, retry="in-doubt", **SOON).run()).exit_code == 0
    # The first one's key is lost: the user said that it may be paid for twice.
    assert (provider.billed, provider.creates_seen) == (4, 5)


async def test_status_says_which_rows_in_doubt_a_start_sends_again(service: Serve, batch: Open) -> None:
    provider = await service(
        quirks=HONOURED,
        faults=Faults([at("reset_after", 1), at("status", 2, status=201, late=True, body={"ok": True})]),
    )
    night = batch(provider, 2, concurrency=1, **SOON)
    await night.run()
    assert [doubt.resent_until for doubt in night.status().doubts] == [None, None]
    asked(night, "INSERT OR REPLACE INTO facts SELECT 'idempotent', value FROM facts WHERE name = 'base'")
    assert [doubt.resent_until is not None for doubt in night.status().doubts] == [True, False]


async def test_a_restored_ledger_that_knows_no_intent_is_as_it_was_without_keys(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=HONOURED)
    night = batch(provider, 1, idempotent=True, **SOON)
    await night.run()
    copy = night.folder / "copy.sqlite"
    shutil.copy(night.folder / "ledger.sqlite", copy)
    provider.faults.add(Fault("create", "reset_after"))
    await batch(provider, 2, limit=1, **SOON).run()
    copy.replace(night.folder / "ledger.sqlite")
    provider.faults.clear()
    before = provider.creates_seen
    with pytest.raises(UsageError, match=r"is older than paid\.jsonl.*--accept-loss 1"):
        await batch(provider, **SOON).run()
    assert provider.creates_seen == before


async def test_the_list_is_asked_as_before_where_nothing_may_be_sent_again(
    service: Serve, batch: Open, states: States
) -> None:
    quirks = Quirks(dialect=Dialect(keys="honoured"))
    provider = await service(
        quirks=quirks, faults=Faults([at("reset_after", 2), at("status", 3, status=422)])
    )
    night = batch(provider, 2, idempotent=True, concurrency=1, **SOON)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, provider.creates_seen, provider.requests["list"] > 0) == (2, 3, True)
