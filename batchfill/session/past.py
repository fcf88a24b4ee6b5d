"""A past that does not fit: what was paid for and the ledger does not know is looked up, or asked about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.domain.progress import Level
from batchfill.domain.rows import StoredFile
from batchfill.errors import NotFound, NotOffered, TransientError, UsageError, first_few, unwrap_single
from batchfill.ledger.adoption import Found
from batchfill.ledger.payment_record import PAID
from batchfill.ledger.payments import Payment, PaymentReading
from batchfill.session import identity, stray_pictures
from batchfill.session.free_questions import ask_patiently
from batchfill.session.other_folders import read_folder
from batchfill.storage.output_store import OUTPUTS
from batchfill.storage.placed_files import find_lost, open_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from batchfill.domain.predictions import Prediction
    from batchfill.ledger.adoption import Pictured
    from batchfill.ledger.ledger import Ledger
    from batchfill.ledger.payments import Judgement, KeptFile
    from batchfill.run.context import RunContext

AT_ONCE = 32
"""Predictions that are looked up at once."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A row that may have been paid for without the ledger's knowing."""

    row: str
    """Its id, else what tells of it."""
    price: int | None


@dataclass(slots=True)
class _Missing:
    """What may have been paid for, and of which nothing tells what was made."""

    payments: Sequence[Payment]
    lines: Sequence[int]
    """Of the record, that cannot be read."""
    pictured: Sequence[Payment] = ()
    """Rows of pictures that nothing else tells of, as payments."""
    raw: Sequence[str] = ()
    """Predictions of no known row."""

    @property
    def losses(self) -> list[Loss]:
        """All of it, as it is told."""
        return [
            *(Loss(payment.row, payment.price) for payment in self.payments),
            *(Loss(f"line {number} of {PAID}", None) for number in self.lines),
            *(Loss(payment.row, payment.price) for payment in self.pictured),
            *(Loss(f"prediction {id_}", None) for id_ in self.raw),
        ]


@dataclass(frozen=True, slots=True)
class Past:
    """What a start has found of its batch's past."""

    reading: PaymentReading | None = None
    lost: tuple[Payment, ...] = ()
    """What the user accepts as lost."""
    known: bool = True
    """Whether the ledger knows, or is about to be told, all that the record knows."""

    @property
    def last(self) -> int:
        """The largest number of an attempt in the record."""
        return max((payment.number for payment in self.reading.payments), default=0) if self.reading else 0


async def may_have_made(ledger: Ledger) -> bool:
    """Whether anything may have been made, as the ledger or its record knows. Raises LedgerError."""
    return ledger.has_made or _tells_of_payments(await ledger.read_record())


def _tells_of_payments(reading: PaymentReading | None) -> bool:
    return reading is not None and (
        bool(reading.damaged) or not all(payment.free for payment in reading.payments)
    )


async def recall(context: RunContext, *, incoming: bool, asks: bool = True) -> Past:
    """Compare the ledger with what else tells of payments, and adopt what the service or the folder has.

    *incoming*: an import of the manifest's rows is open. Raises UsageError, with nothing changed, for what
    remains, unless --accept-loss names just that; not *asks*: it is left for another start.
    """
    ledger, settings = context.ledger, context.settings
    reading = await ledger.read_record()
    told = reading or PaymentReading(heading=None)
    # Of a ledger that was restored the record may know better what the batch is held to.
    facts = identity.binding_facts(ledger.metadata, made=ledger.has_made)
    made = ledger.has_made or _tells_of_payments(told)
    identity.refuse_other_record(facts, told.heading, settings, made=made)
    judged = await ledger.judge(told.payments)
    is_new = incoming and reading is None and "manifest" not in ledger.metadata
    elsewhere = await _elsewhere(context) if is_new else {}
    unknown = await _unclaimed(context, chain(judged.unknown, *elsewhere.values()))
    found = await _find(context, unknown)
    missing = _Missing(
        payments=[payment for payment in unknown if payment.key not in found],
        lines=[line for line in told.damaged if line > judged.known_to],
    )
    if asks:
        await _add_strays(context, missing, told.payments, unknown, incoming=incoming)
        if missing.losses and settings.accept_loss != len(missing.losses):
            why = _reason(context, list(elsewhere), missing, recorded=reading is not None)
            raise UsageError(_refusal(why, missing.losses, len(found), settings.accept_loss))
    past = Past(reading, (*missing.payments, *missing.pictured), known=asks or not missing.losses)
    await _learn(context, told.payments, judged)
    if found:
        await ledger.adopt(tuple(found.values()), origin=settings.base, last=past.last, incoming=incoming)
    _log_findings(context, len(found), told.damaged)
    return past


def _log_findings(context: RunContext, found: int, damaged: Sequence[int]) -> None:
    if found:
        rows = _count(found)
        context.log.notice(f"found again, and not paid for twice: {rows} that the ledger did not know")
    if damaged:
        lines = first_few(damaged)
        context.log.notice(
            f"{PAID} is damaged in line {lines}: it is made again from the ledger", Level.WARNING
        )


async def close(context: RunContext, past: Past) -> None:
    """Keep in mind what is lost, and have every payment recorded from now on. Raises LedgerFailed."""
    if not past.known:
        return  # what is in the record alone must stay there
    ledger, settings, reading = context.ledger, context.settings, past.reading
    if past.lost:
        await ledger.give_up(past.lost, origin=settings.base, last=past.last)
    before = None if reading is None else reading.heading
    heading = identity.heading_for(ledger.metadata, before, settings)
    await ledger.begin_record(heading, reading if heading == before else None)


# What is known of it elsewhere


async def _elsewhere(context: RunContext) -> dict[Path, Sequence[Payment]]:
    """Return what was paid for rows of this manifest in folders that may be this batch's, by folder.

    Raises UsageError for a folder that does not tell.
    """
    ledger = context.ledger
    found: dict[Path, Sequence[Payment]] = {}
    for folder in await to_thread.run_sync(identity.forsaken_folders, context.settings):
        told = await to_thread.run_sync(read_folder, folder)
        ours = await ledger.incoming_among([payment.key for payment in told.payments])
        judged = await ledger.judge([payment for payment in told.payments if payment.key in ours])
        # Its files stay where they are.
        paid = [replace(payment, kept=()) for payment in judged.unknown]
        pictured = await stray_pictures.find_pictured(ledger, folder, told.files, incoming=True)
        if paid or pictured:
            found[folder] = [*paid, *_as_payments(context, pictured, paid)]
    return found


def _as_payments(
    context: RunContext, pictured: Iterable[Pictured], others: Iterable[Payment]
) -> list[Payment]:
    """Return the rows *pictured*, but those of the *others*, as payments of which nothing more is known."""
    keys, now = {payment.key for payment in others}, context.clock.now()
    return [
        Payment(number=0, key=row.key, row=row.id, at=now, price=row.price)
        for row in pictured
        if row.key not in keys
    ]


async def _add_strays(
    context: RunContext,
    missing: _Missing,
    payments: Sequence[Payment],
    unknown: Sequence[Payment],
    *,
    incoming: bool,
) -> None:
    """Add to *missing* what only pictures tell of.

    *payments*: what the record tells; *unknown*: what the ledger does not know of that.
    """
    ledger, folder = context.ledger, context.store.folder
    if not await ledger.has_pending(incoming=incoming):
        return  # nothing would be paid for
    known = await ledger.known_files() | stray_pictures.recorded_files(payments)
    found = await stray_pictures.find_pictured(ledger, folder, known, incoming=incoming)
    missing.pictured = _as_payments(context, found, unknown)
    if "manifest" not in ledger.metadata:
        # One for each of these rows may be its picture as it came.
        raw = await stray_pictures.find_raw_ids(folder, payments)
        missing.raw = raw[len(missing.pictured) :]


# What is left of it


async def _unclaimed(context: RunContext, unknown: Iterable[Payment]) -> list[Payment]:
    """Return *unknown*, each row once, without predictions that are another attempt's."""
    # One of which the prediction is known tells more than another folder's picture.
    last = {one.key: one for one in sorted(unknown, key=lambda one: one.prediction_id is not None)}
    ids = Counter(payment.prediction_id for payment in last.values())
    claimed = await context.ledger.claimed_ids([id_ for id_ in ids if id_ is not None])
    taken = claimed | {id_ for id_, times in ids.items() if times > 1}
    return [
        replace(payment, prediction_id=None) if payment.prediction_id in taken else payment
        for payment in last.values()
    ]


async def _find(context: RunContext, unknown: Sequence[Payment]) -> dict[str, Found]:
    """Return the payments whose files are in place, or that the service has, by their rows' keys."""
    found, asked = {}, []
    for payment in unknown:
        if payment.prediction_id is None:
            continue
        if await _are_in_place(context, payment.kept):
            found[payment.key] = Found(payment, None)
        else:
            asked.append(payment)
    for payment, prediction in await _look_up(context, asked):
        found[payment.key] = Found(payment, prediction)
    return found


async def _are_in_place(context: RunContext, files: Sequence[KeptFile]) -> bool:
    """Whether every one of *files* is a whole picture in its place, worked on since or not."""
    placed = [StoredFile("", 0, 0, None, file.file, file.size, file.sha256, file.n) for file in files]
    with open_files(context.store.folder, context.settings.outputs) as there:
        return bool(files) and not await to_thread.run_sync(find_lost, there, placed)


async def _look_up(context: RunContext, asked: Sequence[Payment]) -> list[tuple[Payment, Prediction]]:
    """Ask the service for each prediction, which is free; return those that it has."""
    if asked:
        context.log.notice(f"looking up {len(asked):,} predictions that {context.ledger.name} does not know")
    found = []
    room = anyio.CapacityLimiter(AT_ONCE)

    async def look(payment: Payment) -> None:
        async with room:
            if (prediction := await _get(context, payment)) is not None:
                found.append((payment, prediction))

    with unwrap_single():
        async with anyio.create_task_group() as tasks:
            for payment in asked:
                tasks.start_soon(look, payment)
    return found


async def _get(context: RunContext, payment: Payment) -> Prediction | None:
    """Return the prediction of *payment* as the service has it; None where it has none that fits."""
    assert payment.prediction_id is not None
    try:
        prediction = await ask_patiently(
            partial(context.service.get, payment.prediction_id), context.timings.question_retries
        )
    except (NotFound, NotOffered):
        return None
    except TransientError as error:
        raise UsageError(
            f"{context.settings.base} does not tell what became of prediction {payment.prediction_id}, which "
            f"{context.ledger.name} does not know: try again later"
        ) from error
    return prediction if _fits(payment, prediction) else None


def _fits(payment: Payment, prediction: Prediction) -> bool:
    """Whether an answer can be about the prediction that was asked for."""
    same_seed = payment.seed is None or prediction.seed in (None, payment.seed)
    return prediction.id == payment.prediction_id and same_seed


async def _learn(context: RunContext, payments: Sequence[Payment], judged: Judgement) -> None:
    """Have the ledger take what the record knows of attempts that both know."""
    if not judged.ids and not judged.kept:
        return
    claimed = await context.ledger.claimed_ids(list(judged.ids.values()))
    ids = {number: id_ for number, id_ in judged.ids.items() if id_ not in claimed}
    kept = {number: files for number, files in judged.kept.items() if await _are_in_place(context, files)}
    await context.ledger.learn(replace(judged, ids=ids, kept=kept), payments)


# What to say of it


def _reason(context: RunContext, elsewhere: Sequence[Path], missing: _Missing, *, recorded: bool) -> str:
    """Return what does not fit, and what to do instead of paying."""
    folder, ledger = context.store.folder.name, context.ledger.name
    if elsewhere:
        others = first_few(other.name for other in elsewhere)
        return f"{others} holds rows of this manifest: if it was renamed, go on with --out {elsewhere[0]}"
    if missing.lines and "manifest" in context.ledger.metadata:
        return f"{folder}/{PAID} is damaged, and {ledger} may be older than it: put a sound copy of both back"
    if not recorded or not (missing.payments or missing.lines):
        return (
            f"{folder}/{OUTPUTS} holds pictures that {ledger} does not know: put back the {ledger} that does"
        )
    if "manifest" not in context.ledger.metadata:
        return f"{folder}/{ledger} is gone, and {PAID} tells of what was paid for: put {ledger} back"
    return f"{folder}/{ledger} is older than {PAID}: put the newer {ledger} back"


def _refusal(why: str, losses: Sequence[Loss], found: int, accepted: int | None) -> str:
    rows = first_few(loss.row for loss in losses)
    still = f"; {found:,} more are known still, and will be taken over" if found else ""
    wrong = "" if accepted is None else f" (not {accepted})"
    return (
        f"{why}. {_count(len(losses))} may have been paid for ({rows}), and nothing tells what was made"
        f"{still}. "
        f"To submit again what is lost, for {_price(losses)}, add --accept-loss {len(losses)}{wrong}"
    )


def _count(rows: int) -> str:
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"


def _price(losses: Sequence[Loss]) -> str:
    prices = [loss.price for loss in losses]
    known = [price for price in prices if price is not None]
    return f"about ${sum(known) / 1_000_000:,.2f}" if len(known) == len(prices) else "an unknown price"
