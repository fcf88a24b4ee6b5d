from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from batchfill.domain.reports import Cost
from batchfill.domain.rows import Attempt, Outcome, RowState
from batchfill.errors import AnswerLost, BudgetReached, LedgerFailed
from batchfill.ledger.ledger import Ledger, open_ledger
from batchfill.ledger.output_events import InTheWay
from tests.unit.ledger.conftest import BASE, PRICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Row

Ask = Any
Import = Any


@pytest.fixture
def bring(
    ledger: Ledger,
    take_in: Import,
    row: Callable[..., Row],
    intend: Callable[..., Awaitable[Attempt]],
    prediction: Callable[..., Prediction],
) -> Callable[[RowState], Awaitable[Attempt]]:
    """Bring the one row of a batch to a state that an attempt is in."""

    async def bring(state: RowState) -> Attempt:
        await take_in(row("hero"))
        attempt = await intend("hero")
        if state is RowState.SUBMITTING:
            return attempt
        if state is RowState.IN_DOUBT:
            await ledger.record_in_doubt(attempt, "lost")
            (doubtful,) = await ledger.open_attempts(RowState.IN_DOUBT)
            return doubtful
        running = await ledger.record_accepted(attempt, prediction("p1", status="starting"))
        if state is RowState.COLLECTING:
            await ledger.record_succeeded(running, prediction("p1"))
        return replace(running, state=state)

    return bring


class Case(NamedTuple):
    """What an event makes of a row: its state, its attempt, and the batch's money in prices."""

    event: str
    before: RowState
    after: RowState
    outcome: Outcome
    tries: int
    cost: tuple[int, int, int]
    """Spent, reserved, to go."""


SPENT, RESERVED, TO_GO, RELEASED = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)
SPENT_AND_TO_GO = (1, 0, 1)
S = RowState

CASES = [
    Case("accepted", S.SUBMITTING, S.RUNNING, Outcome.OPEN, 1, RESERVED),
    Case("refused", S.SUBMITTING, S.PENDING, Outcome.NOTHING_MADE, 0, TO_GO),
    Case("rejected", S.SUBMITTING, S.FAILED, Outcome.NOTHING_MADE, 1, RELEASED),
    Case("answer_lost", S.SUBMITTING, S.SUBMITTING, Outcome.OPEN, 0, RESERVED),
    Case("absent_once", S.SUBMITTING, S.SUBMITTING, Outcome.OPEN, 0, RESERVED),
    Case("in_doubt", S.SUBMITTING, S.IN_DOUBT, Outcome.OPEN, 1, RESERVED),
    Case("in_doubt", S.IN_DOUBT, S.IN_DOUBT, Outcome.OPEN, 1, RESERVED),
    Case("accepted", S.IN_DOUBT, S.RUNNING, Outcome.OPEN, 1, RESERVED),
    Case("refused", S.IN_DOUBT, S.PENDING, Outcome.NOTHING_MADE, 0, TO_GO),
    Case("absent_once", S.IN_DOUBT, S.IN_DOUBT, Outcome.OPEN, 1, RESERVED),
    Case("followed_again", S.IN_DOUBT, S.RUNNING, Outcome.OPEN, 1, RESERVED),
    Case("in_doubt", S.RUNNING, S.IN_DOUBT, Outcome.OPEN, 1, RESERVED),
    Case("cancel_asked", S.RUNNING, S.RUNNING, Outcome.OPEN, 1, RESERVED),
    Case("succeeded", S.RUNNING, S.COLLECTING, Outcome.SUCCEEDED, 1, SPENT),
    Case("failed", S.RUNNING, S.FAILED, Outcome.FAILED, 1, RELEASED),
    Case("failed_retried", S.RUNNING, S.PENDING, Outcome.FAILED, 1, TO_GO),
    Case("canceled", S.RUNNING, S.FAILED, Outcome.CANCELED, 1, SPENT),
    Case("canceled_retried", S.RUNNING, S.PENDING, Outcome.CANCELED, 1, SPENT_AND_TO_GO),
    Case("cancel_failed", S.RUNNING, S.RUNNING, Outcome.OPEN, 1, RESERVED),
    Case("planned", S.COLLECTING, S.COLLECTING, Outcome.SUCCEEDED, 1, SPENT),
    Case("put_off", S.COLLECTING, S.COLLECTING, Outcome.SUCCEEDED, 1, SPENT),
    Case("urls", S.COLLECTING, S.COLLECTING, Outcome.SUCCEEDED, 1, SPENT),
    Case("collected", S.COLLECTING, S.DONE, Outcome.SUCCEEDED, 1, SPENT),
    Case("expired", S.COLLECTING, S.EXPIRED, Outcome.SUCCEEDED, 1, SPENT),
    Case("uncollectable", S.COLLECTING, S.FAILED, Outcome.SUCCEEDED, 1, SPENT),
]


async def cause(ledger: Ledger, event: str, attempt: Attempt, prediction: Callable[..., Prediction]) -> None:
    """Record *event* of *attempt*."""
    later = 1_763_850_060.0
    match event:
        case "accepted":
            await ledger.record_accepted(attempt, prediction("p1", status="starting"))
        case "refused":
            await ledger.record_refused(attempt, "429", due_at=0)
        case "rejected":
            await ledger.record_rejected(attempt, "guidance: too large")
        case "answer_lost":
            assert (await ledger.record_answer_lost(attempt, "reset")).lost_at == 1_763_850_000.0
        case "absent_once":
            assert (await ledger.record_absent_once(attempt)).absent_at == 1_763_850_000.0
        case "in_doubt":
            await ledger.record_in_doubt(attempt, "lost")
        case "followed_again":
            await ledger.record_followed_again(attempt)
        case "cancel_asked":
            assert (await ledger.record_cancel_asked(attempt, "user")).cancel_asked == "user"
        case "cancel_failed":
            asked = await ledger.record_cancel_asked(attempt, "user")
            assert (await ledger.record_cancel_asked(asked, None)).cancel_asked is None
        case "planned":
            (output,) = await ledger.outputs_of("p1")
            planned = replace(output, planned="outputs/hero.webp", size=10, sha256="ab" * 32)
            await ledger.record_planned([planned])
            assert await ledger.outputs_of("p1") == [planned]
        case "succeeded":
            await ledger.record_succeeded(attempt, prediction("p1"))
        case "failed" | "failed_retried":
            retry_at = later if event.endswith("retried") else None
            await ledger.record_failed(attempt, "failed", "E", outcome=Outcome.FAILED, retry_at=retry_at)
        case "canceled" | "canceled_retried":
            retry_at = later if event.endswith("retried") else None
            await ledger.record_failed(attempt, "canceled", "E", outcome=Outcome.CANCELED, retry_at=retry_at)
        case "put_off":
            await ledger.record_put_off(attempt, "503", due_at=later)
        case "urls":
            await ledger.record_urls(attempt, ["https://elsewhere.example.com/1.webp"])
        case "collected":
            (output,) = await ledger.outputs_of("p1")
            placed = replace(output, file="outputs/hero.webp", size=10, sha256="ab" * 32)
            await ledger.record_collected(attempt, [(placed, 64, 48)], None)
        case "expired":
            await ledger.record_expired(attempt, "removed")
        case "uncollectable":
            await ledger.record_uncollectable(attempt, "no picture")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.event} {case.before.value}")
async def test_every_event_leads_to_its_state_and_counts_its_money(
    ledger: Ledger, bring: Any, prediction: Callable[..., Prediction], ask: Ask, case: Case
) -> None:
    attempt = await bring(case.before)
    await cause(ledger, case.event, attempt, prediction)
    assert ask("SELECT state, tries FROM rows") == [(case.after.value, case.tries)]
    assert ask("SELECT outcome, counted FROM attempts") == [(case.outcome.value, case.tries)]
    assert ledger.counts == {state: int(state is case.after) for state in RowState}
    spent, reserved, to_go = (PRICE * times for times in case.cost)
    assert ledger.cost == Cost(spent, reserved, to_go, None)


@pytest.mark.parametrize("before", [S.SUBMITTING, S.IN_DOUBT])
async def test_an_event_returns_the_attempt_as_the_ledger_knows_it(
    ledger: Ledger, bring: Any, prediction: Callable[..., Prediction], clock: Any, before: RowState
) -> None:
    attempt = await bring(before)
    clock.time += 5
    attempt = await ledger.record_answer_lost(attempt, "reset")
    assert await ledger.open_attempts(before) == [attempt]
    attempt = await ledger.record_absent_once(attempt)
    assert await ledger.open_attempts(before) == [attempt]
    running = await ledger.record_accepted(attempt, prediction("p1", status="starting"))
    asked = await ledger.record_cancel_asked(running, "time-out")
    assert await ledger.open_attempts(S.RUNNING) == [asked]


async def test_a_row_that_cannot_be_prepared_fails_without_an_attempt(
    ledger: Ledger, take_in: Import, row: Callable[..., Row], ask: Ask
) -> None:
    await take_in(row("hero"))
    (due,) = await ledger.due_rows(1)
    await ledger.record_unusable(due, "image hero.png cannot be read")
    assert ask("SELECT state, error FROM rows") == [("failed", "image hero.png cannot be read")]
    assert ask("SELECT count(*) FROM attempts") == [(0,)]
    assert ledger.cost == Cost(0, 0, 0, None)


async def test_a_row_that_is_not_ready_waits_for_its_time(
    ledger: Ledger, take_in: Import, row: Callable[..., Row], clock: Any
) -> None:
    await take_in(row("hero"))
    (due,) = await ledger.due_rows(1)
    await ledger.record_unready(due, "the upload failed", due_at=clock() + 15)
    assert await ledger.due_rows(1) == []
    assert await ledger.next_due_at(clock()) == clock() + 15
    clock.time += 15
    assert await ledger.due_rows(1) == [due]


async def test_a_row_in_doubt_that_is_given_up_is_sent_anew_and_its_price_stays_reserved(
    ledger: Ledger, bring: Any, take_in: Import, row: Callable[..., Row]
) -> None:
    await ledger.record_given_up(await bring(S.IN_DOUBT))
    (due,) = await ledger.due_rows(1)
    assert (due.id, due.tries) == ("hero", 0)
    assert ledger.cost == Cost(0, PRICE, PRICE, None)


async def test_a_row_in_doubt_that_is_gone_is_not_given_up(
    ledger: Ledger, bring: Any, take_in: Import, row: Callable[..., Row]
) -> None:
    attempt = await bring(S.IN_DOUBT)
    await take_in(row("cat"))
    await ledger.record_given_up(attempt)
    assert ledger.gone == {RowState.IN_DOUBT: 1}


@pytest.mark.parametrize(
    ("event", "state", "cost"),
    [
        ("failed", S.FAILED, TO_GO),
        ("canceled", S.FAILED, SPENT_AND_TO_GO),
        ("expired", S.EXPIRED, SPENT_AND_TO_GO),
        ("collected", S.DONE, SPENT_AND_TO_GO),
    ],
)
async def test_consent_to_a_retry_gives_a_row_all_its_attempts_again(
    ledger: Ledger,
    bring: Any,
    retry: Any,
    prediction: Callable[..., Prediction],
    event: str,
    state: RowState,
    cost: tuple[int, int, int],
) -> None:
    before = {"collected": S.COLLECTING, "expired": S.COLLECTING}
    await cause(ledger, event, await bring(before.get(event, S.RUNNING)), prediction)
    await retry(*set(RowState) - {state})
    assert await ledger.due_rows(1) == []
    await retry(state)
    (due,) = await ledger.due_rows(1)
    assert (due.id, due.tries) == ("hero", 0)
    spent, reserved, to_go = (PRICE * times for times in cost)
    assert ledger.cost == Cost(spent, reserved, to_go, None)


async def test_consent_to_pay_for_a_row_in_doubt_again_keeps_its_price_reserved(
    ledger: Ledger, bring: Any, prediction: Callable[..., Prediction], retry: Any
) -> None:
    attempt = await bring(S.SUBMITTING)
    await cause(ledger, "in_doubt", attempt, prediction)
    chosen = await retry(S.IN_DOUBT)
    assert chosen.group.rows == 1
    assert await ledger.due_rows(1) == []  # it is looked for once more first
    await ledger.record_given_up(attempt)
    (due,) = await ledger.due_rows(1)
    assert (due.id, due.tries) == ("hero", 0)
    assert ledger.cost == Cost(0, PRICE, PRICE, None)


async def test_a_row_gone_from_the_manifest_is_not_retried(
    ledger: Ledger,
    bring: Any,
    retry: Any,
    prediction: Callable[..., Prediction],
    take_in: Import,
    row: Callable[..., Row],
) -> None:
    await cause(ledger, "failed", await bring(S.RUNNING), prediction)
    await take_in(row("cat"))
    await retry(RowState.FAILED)
    assert ledger.gone == {RowState.FAILED: 1}


async def test_the_intent_holds_all_that_recovery_will_need(
    ledger: Ledger, take_in: Import, row: Callable[..., Row], accept: Any, clock: Any
) -> None:
    await take_in(row("cat"), row("hero"))
    await accept("cat", "p-cat")
    clock.time += 5
    (due,) = await ledger.due_rows(1)
    intent = await ledger.record_intent(
        due,
        seed=None,
        choose_seed=lambda: 77,
        origin=BASE,
        sent=lambda seed: {"prompt": "猫", "seed": seed},
        service_time=clock() + 3,
    )
    (known,) = await ledger.open_attempts(RowState.SUBMITTING)
    assert intent is not None
    assert known == intent
    assert (known.id, known.line, known.key) == ("hero", 3, due.key)
    assert (known.seed, known.own_seed, known.sent) == (77, True, {"prompt": "猫", "seed": 77})
    assert (known.intended_at, known.service_time) == (clock(), clock() + 3)
    assert known.anchor == "p-cat"
    (before,) = await ledger.accepted_before(known, seconds=60, limit=8)
    assert (before.prediction_id, before.created_at) == ("p-cat", 1_763_850_001.0)
    assert (known.origin, known.outputs_asked, known.prediction_id) == (BASE, 1, None)


async def test_what_was_accepted_just_before_an_intent_is_known_newest_first(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, intend: Any, clock: Any
) -> None:
    await take_in(*(row(f"r{n}") for n in range(6)))
    for n in range(4):
        clock.time += 100
        await accept(f"r{n}", f"p{n}")
    lost = await intend("r4")
    await accept("r5", "later")
    before = await ledger.accepted_before(lost, seconds=250, limit=9)
    assert [one.prediction_id for one in before] == ["p3", "p2", "p1"]
    assert [one.prediction_id for one in await ledger.accepted_before(lost, seconds=250, limit=2)] == [
        "p3",
        "p2",
    ]


async def test_a_prediction_of_ours_that_a_list_leaves_out_is_named(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, clock: Any
) -> None:
    await take_in(*(row(f"r{n}") for n in range(3)))
    numbers = [(await accept(f"r{n}", f"p{n}")).number for n in range(3)]
    now = clock()
    assert await ledger.unlisted(["p0", "p1", "p2"], first=0, accepted_by=now) is None
    assert await ledger.unlisted(["p0", "p2", "other"], first=0, accepted_by=now) == "p1"
    assert await ledger.unlisted(["p2"], first=numbers[2], accepted_by=now) is None
    assert await ledger.unlisted([], first=0, accepted_by=now - 1) is None


async def test_an_attempt_remembers_that_an_answer_said_it_was_taken(
    ledger: Ledger, take_in: Import, row: Any, intend: Any
) -> None:
    await take_in(row("hero"))
    lost = await ledger.record_answer_lost(await intend("hero"), "no id", acknowledged=True)
    (known,) = await ledger.open_attempts(RowState.SUBMITTING)
    assert known == lost
    assert known.acknowledged


async def test_an_intent_is_on_disk_before_it_is_given_out(
    take_in: Import, row: Any, intend: Any, ask: Ask
) -> None:
    await take_in(row("hero"))
    attempt = await intend("hero")
    assert ask("SELECT number, seed, outcome FROM attempts") == [(attempt.number, attempt.seed, "open")]
    assert ask("SELECT state FROM rows") == [("submitting",)]


async def test_a_row_in_flight_is_never_intended_again(
    ledger: Ledger, take_in: Import, row: Any, ask: Ask
) -> None:
    await take_in(row("hero"))
    (due,) = await ledger.due_rows(1)

    async def intend() -> Attempt | None:
        return await ledger.record_intent(
            due, seed=7, choose_seed=None, origin=BASE, sent=lambda seed: {}, service_time=None
        )

    answers = await asyncio.gather(*(intend() for _ in range(10)))
    assert sum(answer is not None for answer in answers) == 1
    assert ask("SELECT count(*) FROM attempts") == [(1,)]


async def test_seeds_of_our_own_are_unique_in_the_ledger(
    ledger: Ledger, take_in: Import, row: Any, ask: Ask
) -> None:
    """Rows may fix any seed, even one that we drew; we never draw one that was used."""
    await take_in(*(row(f"r{n}") for n in range(60)))
    draw = random.Random(5)
    for n, due in enumerate(await ledger.due_rows(60)):
        fixed = 3 if n % 10 == 0 else None
        await ledger.record_intent(
            due,
            seed=fixed,
            choose_seed=None if fixed else lambda: draw.randint(1, 70),
            origin=BASE,
            sent=lambda seed: {"seed": seed},
            service_time=None,
        )
    own = [seed for (seed,) in ask("SELECT seed FROM attempts WHERE own_seed")]
    assert len(own) == len(set(own)) == 54
    assert 3 not in own
    assert ask("SELECT count(*) FROM attempts WHERE NOT own_seed AND seed = 3") == [(6,)]
    assert ask("SELECT count(*) FROM attempts WHERE json_extract(sent, '$.seed') <> seed") == [(0,)]


async def test_a_prediction_is_never_two_attempts(
    ledger: Ledger, take_in: Import, row: Any, intend: Any, prediction: Any, ask: Ask
) -> None:
    await take_in(row("a"), row("b"))
    first, second = await intend("a"), await intend("b")
    await ledger.record_accepted(first, prediction("p1", "starting"))
    with pytest.raises(AnswerLost, match="p1, which is another row's"):
        await ledger.record_accepted(second, prediction("p1", "starting"))
    assert ask("SELECT id, state, prediction_id FROM results") == [
        ("a", "running", "p1"),
        ("b", "submitting", None),
    ]
    assert await ledger.claimed_ids(["p1", "p2"]) == {"p1"}
    assert await ledger.claimed_seeds(["p1", "p2"]) == {"p1": first.seed}


@pytest.mark.parametrize("cap", [0, PRICE - 1, 5 * PRICE - 1, 5 * PRICE, 7 * PRICE + 1])
async def test_many_intents_at_once_never_pass_the_cap(
    ledger: Ledger, take_in: Import, row: Any, intend: Any, cap: int, ask: Ask
) -> None:
    await take_in(*(row(f"r{n}") for n in range(20)))
    await ledger.set_metadata(max_cost=str(cap))
    answers = await asyncio.gather(*(intend(f"r{n}") for n in range(20)), return_exceptions=True)
    allowed = cap // PRICE
    assert sum(isinstance(answer, Attempt) for answer in answers) == allowed
    assert sum(isinstance(answer, BudgetReached) for answer in answers) == 20 - allowed
    assert ledger.cost == Cost(0, allowed * PRICE, (20 - allowed) * PRICE, cap)
    assert ask("SELECT count(*) FROM attempts") == [(allowed,)]


async def test_the_cap_counts_what_was_spent_and_what_is_in_doubt(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, intend: Any, prediction: Any
) -> None:
    await take_in(*(row(name) for name in "abcdef"))
    await ledger.set_metadata(max_cost=str(4 * PRICE))
    done, canceled, failed = [await accept(name) for name in "abc"]
    await ledger.record_succeeded(done, prediction(done.prediction_id))
    await ledger.record_expired(replace(done, state=RowState.COLLECTING), "removed")
    await ledger.record_failed(canceled, "canceled", "E", outcome=Outcome.CANCELED, retry_at=None)
    await ledger.record_in_doubt(await intend("d"), "lost")
    with pytest.raises(BudgetReached):
        await intend("e")
    # Only what failed is given back.
    await ledger.record_failed(failed, "failed", "E", outcome=Outcome.FAILED, retry_at=None)
    await intend("e")
    with pytest.raises(BudgetReached):
        await intend("f")
    assert ledger.cost == Cost(2 * PRICE, 2 * PRICE, PRICE, 4 * PRICE)


async def test_a_price_that_rises_later_changes_nothing_of_what_was_intended(
    ledger: Ledger, take_in: Import, row: Any, accept: Any
) -> None:
    await take_in(row("a"), row("b"))
    await accept("a")
    await take_in(row("a", price=90_000), row("b", price=90_000))
    assert ledger.cost == Cost(0, PRICE, 90_000, None)


async def test_under_a_cap_a_row_without_a_price_is_not_submitted(
    ledger: Ledger, take_in: Import, row: Any, intend: Any
) -> None:
    await take_in(row("a", price=None))
    await ledger.set_metadata(max_cost=str(PRICE))
    with pytest.raises(BudgetReached, match="needs a price"):
        await intend("a")


async def test_a_row_without_a_price_makes_the_cost_unknown(
    ledger: Ledger, take_in: Import, row: Any, accept: Any
) -> None:
    await take_in(row("a", price=None), row("b"))
    await accept("b")
    assert ledger.cost == Cost(0, PRICE, None, None)
    await accept("a")
    assert ledger.cost == Cost(None, None, 0, None)


async def test_rows_never_tried_come_before_retries_and_retries_at_their_time(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, clock: Any
) -> None:
    await take_in(*(row(name) for name in "abcd"))
    for name, wait in (("a", 20.0), ("b", 10.0)):
        attempt = await accept(name)
        retry_at = clock() + wait
        await ledger.record_failed(attempt, "failed", "E", outcome=Outcome.FAILED, retry_at=retry_at)
    assert [due.id for due in await ledger.due_rows(10)] == ["c", "d"]
    assert await ledger.next_due_at(clock()) == clock() + 10
    clock.time += 10
    assert [due.id for due in await ledger.due_rows(10)] == ["c", "d", "b"]
    clock.time += 10
    assert [due.id for due in await ledger.due_rows(10)] == ["c", "d", "b", "a"]
    assert [due.id for due in await ledger.due_rows(3)] == ["c", "d", "b"]
    assert await ledger.next_due_at(clock()) is None


async def test_the_oldest_waits_longest_for_nothing(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any, clock: Any
) -> None:
    await take_in(*(row(name) for name in "abc"))
    running = [await accept(name) for name in "abc"]
    for attempt in reversed(running):
        clock.time += 1
        made = prediction(attempt.prediction_id)
        await ledger.record_succeeded(attempt, made)
    found = await ledger.download_queue(10)
    assert ([one.attempt.id for one in found.due], found.oldest) == (["c", "b", "a"], clock() - 2)
    assert [[output.url for output in one.outputs] for one in found.due] == [list(made.outputs)] * 3
    left = await ledger.download_queue(10, without=[running[2].number])
    assert ([one.attempt.id for one in left.due], left.oldest) == (["b", "a"], clock() - 1)
    (first,) = (await ledger.download_queue(1)).due
    await ledger.record_put_off(first.attempt, "503", due_at=clock() + 4)
    put_off = await ledger.download_queue(10)
    assert ([one.attempt.id for one in put_off.due], put_off.next_at) == (["b", "a"], clock() + 4)
    clock.time += 4
    again = await ledger.download_queue(10)
    assert ([one.attempt.id for one in again.due], again.oldest) == (["c", "b", "a"], clock() - 6)
    assert again.next_at is None


async def test_outputs_keep_their_order_and_take_new_addresses(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any
) -> None:
    await take_in(row("a", outputs_asked=12))
    attempt = await accept("a", "p1")
    urls = tuple(f"https://files.example.com/{n}.webp" for n in range(12))
    await ledger.record_succeeded(attempt, prediction("p1", outputs=urls))
    assert [output.url for output in await ledger.outputs_of("p1")] == list(urls)
    await ledger.record_urls(attempt, ["https://elsewhere.example.com/0.webp", *urls[1:]])
    first, second, *_ = await ledger.outputs_of("p1")
    assert (first.n, first.url) == (1, "https://elsewhere.example.com/0.webp")
    assert (second.n, second.url) == (2, urls[1])


async def test_outputs_that_are_named_in_another_order_keep_their_numbers(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any
) -> None:
    await take_in(row("a", outputs_asked=3))
    attempt = await accept("a", "p1")
    urls = [f"https://files.example.com/{n}.webp" for n in range(3)]
    await ledger.record_succeeded(attempt, prediction("p1", outputs=tuple(urls)))
    # The second answer to a get that was under way.
    await ledger.record_succeeded(attempt, prediction("p1", outputs=tuple(urls[::-1])))
    await ledger.record_urls(attempt, [f"{url}?2" for url in (urls[1], urls[2], urls[0])])
    assert [output.url for output in await ledger.outputs_of("p1")] == [f"{url}?2" for url in urls]


async def test_a_settled_row_is_not_settled_again(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any, clock: Any, ask: Ask
) -> None:
    """A second answer to a get, that was under way while the first was recorded."""
    await take_in(row("a"))
    attempt = await accept("a", "p1")
    await ledger.record_succeeded(attempt, prediction("p1"))
    (output,) = await ledger.outputs_of("p1")
    placed = replace(output, file="outputs/a.webp", size=10, sha256="ab" * 32)
    await ledger.record_collected(attempt, [(placed, 64, 48)], None)
    await ledger.record_succeeded(attempt, prediction("p1"))
    assert ask("SELECT state, outputs FROM results") == [("done", "outputs/a.webp")]


async def test_an_earlier_attempt_no_longer_moves_its_row(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, intend: Any, prediction: Any, ask: Ask
) -> None:
    """A row in doubt was sent again with consent; then the first submission turns up after all."""
    await take_in(row("a"))
    first = await intend("a")
    await ledger.record_in_doubt(first, "lost")
    await ledger.record_given_up(first)
    await accept("a", "p2")
    await ledger.record_accepted(first, prediction("p1"))
    await ledger.record_failed(first, "failed", "E", outcome=Outcome.FAILED, retry_at=None)
    assert ask("SELECT state, prediction_id FROM results") == [("running", "p2")]
    assert ledger.cost == Cost(0, PRICE, 0, None)


async def test_facts_are_remembered_changed_and_forgotten(ledger: Ledger, path: Path, clock: Any) -> None:
    await ledger.set_metadata(manifest="night.csv", model="a/b", max_cost="25000000")
    await ledger.set_metadata(model="c/d", max_cost=None, stopped_because="--limit 3 reached")
    assert ledger.metadata == {
        "manifest": "night.csv",
        "model": "c/d",
        "stopped_because": "--limit 3 reached",
    }
    assert ledger.cap is None


async def test_a_new_start_knows_all_that_the_last_one_did(
    path: Path,
    clock: Any,
    take_in: Import,
    row: Any,
    accept: Any,
    intend: Any,
    prediction: Any,
    ledger: Ledger,
) -> None:
    await take_in(*(row(name) for name in "abc"))
    await ledger.set_metadata(manifest="night.csv", max_cost=str(9 * PRICE))
    running = await accept("a", "p-a")
    lost = await intend("b")
    await ledger.record_answer_lost(lost, "reset")
    with (
        closing(sqlite3.connect(path)) as db,
        closing(sqlite3.connect(path.with_name("copy.sqlite"))) as copy,
    ):
        db.backup(copy)
    async with open_ledger(path.with_name("copy.sqlite"), clock) as again:
        assert (again.counts, again.gone, again.cost) == (ledger.counts, ledger.gone, ledger.cost)
        assert again.metadata == {**ledger.metadata, "updated_at": str(clock())}
        assert again.cap == 9 * PRICE
        assert [a.number for a in await again.open_attempts(RowState.RUNNING)] == [running.number]
        (found,) = await again.open_attempts(RowState.SUBMITTING)
        assert (found.number, found.lost_at) == (lost.number, clock())
        (due,) = await again.due_rows(10)
        intent = await again.record_intent(
            due, seed=9, choose_seed=None, origin=BASE, sent=lambda seed: {}, service_time=None
        )
        assert intent is not None
        assert (intent.number, intent.anchor) == (3, "p-a")


async def test_run_times_are_those_of_the_last_predictions_oldest_first_and_no_longer_than_they_can_be(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any, clock: Any
) -> None:
    await take_in(*(row(name) for name in "abcd"))
    for seconds, name in enumerate("abcd", 1):
        attempt = await accept(name)
        clock.time += 3.5
        ended = prediction(attempt.prediction_id, created_at=100.0, completed_at=100.0 + seconds)
        await ledger.record_succeeded(attempt, ended)
    assert await ledger.run_times(3) == [2.0, 3.0, 3.5]


async def test_files_under_an_id_that_another_attempt_takes_are_in_the_way(
    ledger: Ledger, bring: Any, prediction: Any, accept: Any, retry: Any
) -> None:
    await cause(ledger, "collected", await bring(S.COLLECTING), prediction)
    await retry(RowState.DONE)
    second = await accept("hero", "p2")
    in_the_way = await ledger.outputs_in_the_way(second, "hero")
    assert in_the_way is not None
    (output,) = in_the_way
    assert (output.prediction_id, output.file) == ("p1", "outputs/hero.webp")
    unless = InTheWay(second, "hero")
    assert not await ledger.record_planned([replace(output, planned="outputs/a.webp")], unless=unless)
    assert (await ledger.outputs_of("p1"))[0].planned != "outputs/a.webp", "nothing was recorded"
    await ledger.record_moved(output, "outputs/earlier/p1-1.webp")
    assert await ledger.outputs_in_the_way(second, "hero") == []
    assert await ledger.record_planned([replace(output, planned="outputs/a.webp")], unless=unless)
    assert (await ledger.outputs_of("p1"))[0].planned == "outputs/a.webp"


async def test_an_upload_is_used_again_while_it_is_good(ledger: Ledger) -> None:
    await ledger.record_upload("ab" * 32, BASE, "https://api.example.com/v1/files/1", 2000.0)
    assert await ledger.upload_of("ab" * 32, BASE, good_until=1999.0) == "https://api.example.com/v1/files/1"
    assert await ledger.upload_of("ab" * 32, BASE, good_until=2000.0) is None
    assert await ledger.upload_of("ab" * 32, "https://other.example.com/v1", good_until=1999.0) is None
    await ledger.record_upload("ab" * 32, BASE, "https://api.example.com/v1/files/2", 3000.0)
    assert await ledger.upload_of("ab" * 32, BASE, good_until=2000.0) == "https://api.example.com/v1/files/2"


async def test_uploads_that_the_service_has_lost_are_forgotten_by_their_addresses(ledger: Ledger) -> None:
    urls = [f"https://api.example.com/v1/files/{n}" for n in (1, 2, 3)]
    for n, url in enumerate(urls):
        await ledger.record_upload(f"{n}" * 64, BASE, url, 2000.0)
    await ledger.forget_uploads(BASE, urls[:2])
    await ledger.forget_uploads("https://other.example.com/v1", urls)
    known = [await ledger.upload_of(f"{n}" * 64, BASE, good_until=1.0) for n in range(3)]
    assert known == [None, None, urls[2]]


@pytest.fixture
def four(ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any) -> Any:
    """Return an attempt that made four outputs, of a row that asked for them."""

    async def made() -> Any:
        await take_in(row("hero", outputs_asked=4))
        attempt = await accept("hero", "p1")
        urls = tuple(f"https://files.example.com/{n}.webp" for n in range(1, 5))
        await ledger.record_succeeded(attempt, prediction("p1", outputs=urls))
        return attempt

    return made


def placed(output: Any) -> Any:
    return (replace(output, file=f"outputs/hero@{output.n}.webp", size=1, sha256="ab" * 32), 64, 48)


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 2, 1, 3)])
@pytest.mark.parametrize("lost", [(), (2,), (1, 4), (1, 3, 4)])
async def test_a_row_is_done_with_the_last_of_its_files_beside_those_that_are_lost(
    ledger: Ledger, four: Any, ask: Ask, order: tuple[int, ...], lost: tuple[int, ...]
) -> None:
    attempt = await four()
    if lost:
        await ledger.record_lost(attempt, dict.fromkeys(lost, "gone"))
    outputs = {output.n: output for output in await ledger.outputs_of("p1")}
    assert [n for n, output in outputs.items() if output.lost] == list(lost)
    coming = [n for n in order if n not in lost]
    for left, n in zip(range(len(coming) - 1, -1, -1), coming, strict=True):
        await ledger.record_collected(attempt, [placed(outputs[n])], "some are lost", more=True)
        state = "collecting" if left else "done"
        assert ask("SELECT state, error IS NULL, placed_id FROM rows") == [(state, bool(left), "hero")]
    await ledger.fetch_again([attempt.number])
    assert ask("SELECT count(file), count(lost), count(planned) FROM outputs") == [(0, 0, 4 - len(lost))]
    assert ask("SELECT state FROM rows") == [("collecting",)]


async def test_a_row_is_to_be_finished_once_nothing_but_what_is_lost_is_missing(
    ledger: Ledger, four: Any
) -> None:
    attempt = await four()
    first, second, third, _ = [
        replace(output, raw=f"outputs/raw/p1-{output.n}.webp", raw_sha256="ab" * 32)
        for output in await ledger.outputs_of("p1")
    ]
    await ledger.record_lost(attempt, {4: "refused"})
    waiting = []
    for output in (third, first, second):
        await ledger.record_kept(attempt, [output])
        waiting.append(len(await ledger.to_finish(9)))
    assert waiting == [0, 0, 1]
    await ledger.record_kept(attempt, [replace(second, raw=None, raw_sha256=None)])
    assert (await ledger.to_finish(9), ledger.kept) == ([], 0)
    (one,) = (await ledger.download_queue(9)).due
    assert [output.raw is None for output in one.outputs] == [False, True, False, True]


async def test_a_list_reaches_as_far_as_the_newest_of_ours_that_it_shows_and_that_is_surely_ours(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, intend: Any, prediction: Any, clock: Any
) -> None:
    await take_in(row("a"), row("b"), row("c"))
    began = clock()
    for n, name in enumerate("ab"):
        clock.time = began + 10 * n
        await accept(name, f"p-{name}")
    clock.time = began + 20
    await ledger.record_unconfirmed(await intend("c"), prediction("p-older"))
    assert await ledger.last_intent_of(["p-b", "p-a", "other"]) == began + 10
    assert await ledger.last_intent_of(["p-a"]) == began
    assert await ledger.last_intent_of(["p-a", "p-older"]) == began
    assert await ledger.last_intent_of(["other"]) is None


async def test_views_can_be_read_by_anybody_with_sqlite(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any, ask: Ask
) -> None:
    await take_in(row("a", outputs_asked=2, price=2 * PRICE), row("b"), row("gone"))
    attempt = await accept("a", "p1")
    urls = tuple(f"https://files.example.com/{n}.webp" for n in (1, 2))
    await ledger.record_succeeded(attempt, prediction("p1", outputs=urls))
    placed = [
        (replace(output, file=f"outputs/a@{output.n}.webp", size=1, sha256="ab" * 32), 64, 48)
        for output in await ledger.outputs_of("p1")
    ]
    await ledger.record_collected(attempt, placed, None)
    await take_in(row("a", outputs_asked=2, price=2 * PRICE), row("b"))
    assert ask(
        "SELECT id, line, state, outputs, seed, prediction_id, attempts, cost, error FROM results"
    ) == [
        ("a", 2, "done", "outputs/a@1.webp;outputs/a@2.webp", attempt.seed, "p1", 1, 0.08, None),
        ("b", 3, "pending", None, None, None, 0, 0.0, None),
    ]
    assert ask("SELECT * FROM counts ORDER BY state, place") == [
        ("done", "in the manifest", 1),
        ("pending", "gone from the manifest", 1),
        ("pending", "in the manifest", 1),
    ]


async def test_what_could_not_be_written_is_not_counted(
    ledger: Ledger, bring: Callable[[RowState], Awaitable[Attempt]], prediction: Callable[..., Prediction]
) -> None:
    running = await bring(RowState.RUNNING)
    real = ledger._writer.before_commit

    def full(db: sqlite3.Connection) -> None:
        real(db)
        raise sqlite3.OperationalError("database or disk is full")

    ledger._writer.before_commit = full
    with pytest.raises(LedgerFailed):
        await ledger.record_succeeded(running, prediction("p1"))
    ledger._writer.before_commit = real
    assert ledger.in_state(RowState.RUNNING) == 1
    assert ledger.in_state(RowState.COLLECTING) == 0


async def test_a_resend_is_noted_and_what_was_seen_before_it_says_nothing_any_more(
    ledger: Ledger, take_in: Any, row: Any, intend: Any, ask: Any
) -> None:
    await take_in(row())
    lost = await ledger.record_absent_once(await intend())
    sent = await ledger.record_resent(lost)
    assert (sent.absent_at, sent.resent_at) == (None, ledger._now())
    assert ask("SELECT absent_at, resent_at FROM attempts") == [(None, sent.resent_at)]


@pytest.mark.parametrize("end", ["succeeded", "failed", "tried again", "none"])
async def test_a_prediction_that_has_ended_makes_room_once_whatever_its_row_says_by_then(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any, end: str
) -> None:
    await take_in(row("hero"), row("other"))
    attempt, _ = await accept("hero"), await accept("other")
    assert ledger.running == 2
    with ledger.ending(attempt):
        assert (ledger.running, ledger.counts[RowState.RUNNING]) == (1, 2), "its end is not on disk"
        if end == "succeeded":
            await ledger.record_succeeded(attempt, prediction(attempt.prediction_id))
        elif end != "none":
            again = None if end == "failed" else 7.0
            await ledger.record_failed(attempt, "failed", "no", outcome=Outcome.FAILED, retry_at=again)
        assert ledger.running == 1
    assert ledger.running == ledger.counts[RowState.RUNNING] == 1 + (end == "none")


async def test_an_end_that_is_about_to_be_counted_makes_no_room_before_that(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, prediction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take_in(row("hero"), row("other"))
    attempt, _ = await accept("hero"), await accept("other")
    seen, count_rows = [], ledger.count_rows

    def counting(db: sqlite3.Connection) -> None:
        seen.append(ledger.running)
        count_rows(db)
        seen.append(ledger.running)

    monkeypatch.setattr(ledger, "count_rows", counting)
    with ledger.ending(attempt):
        await ledger.record_succeeded(attempt, prediction(attempt.prediction_id))
    assert seen == [2, 1], "one more would have been let in"


async def test_a_picture_that_came_with_its_id_makes_no_room_where_it_took_none(
    ledger: Ledger, take_in: Import, row: Any, accept: Any, intend: Any, prediction: Any
) -> None:
    await take_in(row("hero"), row("other"))
    await accept("other")
    attempt = await ledger.record_accepted(await intend("hero"), prediction("p-hero"))
    assert attempt.state is RowState.COLLECTING
    with ledger.ending(attempt):
        assert ledger.running == 1
