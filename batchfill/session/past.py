"""A past that does not fit: what was paid for and the ledger does not know is looked up, or asked about."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.domain.progress import Weight
from batchfill.domain.rows import Placed
from batchfill.errors import LedgerError, NotFound, NotOffered, TryAgain, UsageError, alone
from batchfill.ledger.adoption import Found
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.payment_record import PAID, read_record
from batchfill.ledger.reader import open_reader
from batchfill.session import identity
from batchfill.storage.missing import Fate, fate_of
from batchfill.storage.output_store import EARLIER, OUTPUTS, RAW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from batchfill.domain.predictions import Prediction
    from batchfill.ledger.payments import Judgement, KeptFile, Payment, Reading
    from batchfill.run.context import Tools

AT_ONCE = 32
"""Predictions that are looked up at once."""

WAITS = (1.0, 3.0, 10.0)
"""Seconds between questions that the service cannot answer just now."""
LONGEST_WAIT = 60.0

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Loss:
    """A row that may have been paid for without the ledger's knowing."""

    key: str
    """Empty where it is not known which row it is."""
    row: str
    price: int | None


@dataclass(frozen=True, slots=True)
class Past:
    """What a start has found of its batch's past."""

    reading: Reading | None = None
    lost: tuple[Payment, ...] = ()
    """What the user accepts as lost."""
    known: bool = True
    """Whether the ledger knows, or is about to be told, all that the record knows."""

    @property
    def last(self) -> int:
        """The largest number of an attempt in the record."""
        return max((payment.number for payment in self.reading.payments), default=0) if self.reading else 0


async def recall(tools: Tools, *, incoming: bool, asks: bool = True) -> Past:
    """Compare the ledger with what else tells of payments, and adopt what the service or the folder has.

    *incoming*: an import of the manifest's rows is open. Raises UsageError, with nothing changed, for what
    remains, unless --accept-loss names just that; not *asks*: it is left for another start.
    """
    ledger, settings = tools.ledger, tools.settings
    reading = await ledger.read_record()
    identity.refuse_other_record(ledger.facts, None if reading is None else reading.heading, settings)
    payments = () if reading is None else reading.payments
    judged = await ledger.judge(payments)
    new = incoming and reading is None and "manifest" not in ledger.facts
    elsewhere = await _elsewhere(tools) if new else {}
    unknown = await _unclaimed(tools, chain(judged.unknown, *elsewhere.values()))
    found = await _find(tools, unknown)
    lost = tuple(payment for payment in unknown if payment.key not in found)
    losses = [Loss(payment.key, payment.row, payment.price) for payment in lost]
    if reading is None:
        losses += await _pictured(tools, {payment.key for payment in unknown}, incoming=incoming)
    elif not judged.covered:
        losses += [Loss("", f"line {number} of {PAID}", None) for number in reading.damaged]
    if asks and losses and settings.accept_loss != len(losses):
        why = _reason(tools, list(elsewhere), recorded=reading is not None)
        raise UsageError(_refusal(why, losses, len(found), settings.accept_loss))
    past = Past(reading, lost, known=asks or not losses)
    await _learn(tools, payments, judged)
    if found:
        adopted = tuple(found.values())
        await ledger.adopt(adopted, origin=settings.base, last=past.last, incoming=incoming)
        rows = _count(len(found))
        tools.telling.say(f"found again, and not paid for twice: {rows} that the ledger did not know")
    if reading is not None and reading.damaged:
        lines = _some(map(str, reading.damaged))
        tools.telling.say(
            f"{PAID} is damaged in line {lines}: it is made again from the ledger", Weight.WARNING
        )
    return past


async def close(tools: Tools, past: Past) -> None:
    """Keep in mind what is lost, and have every payment recorded from now on. Raises LedgerFailed."""
    if not past.known:
        return  # what is in the record alone must stay there
    ledger, settings, reading = tools.ledger, tools.settings, past.reading
    if past.lost:
        await ledger.give_up(past.lost, origin=settings.base, last=past.last)
    before = None if reading is None else reading.heading
    heading = identity.heading_for(ledger.facts, before, settings)
    await ledger.begin_record(heading, reading if heading == before else None)


# What is known of it elsewhere


async def _elsewhere(tools: Tools) -> dict[Path, Sequence[Payment]]:
    """Return what was paid for rows of this manifest in folders that may be this batch's, by folder."""
    found: dict[Path, Sequence[Payment]] = {}
    for folder in await to_thread.run_sync(identity.forsaken_folders, tools.settings):
        payments = await to_thread.run_sync(_payments_in, folder)
        ours = await tools.ledger.incoming_among([payment.key for payment in payments])
        judged = await tools.ledger.judge([payment for payment in payments if payment.key in ours])
        if judged.unknown:
            # Its files stay where they are.
            found[folder] = [replace(payment, kept=()) for payment in judged.unknown]
    return found


def _payments_in(folder: Path) -> list[Payment]:
    """Return what was paid for in a batch folder, by its record, else by its ledger."""
    try:
        if (reading := read_record(folder / PAID)) is not None:
            return list(reading.payments)
        if is_there(folder / LEDGER):
            with open_reader(folder / LEDGER) as reader:
                return list(reader.payments())
    except LedgerError:
        pass  # nothing can be known of it
    return []


async def _pictured(tools: Tools, keys: Collection[str], *, incoming: bool) -> list[Loss]:
    """Return the rows never submitted whose pictures are in `outputs/`; those with *keys* left out."""
    folder = tools.shelf.folder
    known = await tools.ledger.known_files()
    ids = await to_thread.run_sync(lambda: [_id_of(file) for file in _pictures(folder) if file not in known])
    if not ids:
        return []
    found = await tools.ledger.pictured(ids, incoming=incoming)
    return [Loss(row.key, row.id, row.price) for row in found if row.key not in keys]


def _pictures(folder: Path) -> Iterator[str]:
    """Yield the files in `outputs/` that bear a row's id, relative to the batch folder."""
    for path in (folder / OUTPUTS).rglob("*"):
        file = path.relative_to(folder).as_posix()
        if path.is_file() and not file.startswith((f"{EARLIER}/", f"{RAW}/")):
            yield file


def _id_of(file: str) -> str:
    return re.sub(r"@\d+$", "", PurePosixPath(file).stem)


# What is left of it


async def _unclaimed(tools: Tools, unknown: Iterable[Payment]) -> list[Payment]:
    """Return *unknown*, each row once, without predictions that are another attempt's."""
    last = {payment.key: payment for payment in unknown}
    ids = Counter(payment.prediction_id for payment in last.values())
    claimed = await tools.ledger.claimed([id_ for id_ in ids if id_ is not None])
    taken = claimed | {id_ for id_, times in ids.items() if times > 1}
    return [
        replace(payment, prediction_id=None) if payment.prediction_id in taken else payment
        for payment in last.values()
    ]


async def _find(tools: Tools, unknown: Sequence[Payment]) -> dict[str, Found]:
    """Return the payments whose files are in place, or that the service has, by their rows' keys."""
    found, asked = {}, []
    for payment in unknown:
        if payment.prediction_id is None:
            continue
        if await to_thread.run_sync(_stand, tools.shelf.folder, payment.kept):
            found[payment.key] = Found(payment, None)
        else:
            asked.append(payment)
    for payment, prediction in await _look_up(tools, asked):
        found[payment.key] = Found(payment, prediction)
    return found


def _stand(folder: Path, files: Sequence[KeptFile]) -> bool:
    """Whether every one of *files* is a whole picture in its place, whoever has worked on it since."""
    placed = (Placed("", 0, 0, None, file.file, file.size, file.sha256, file.n) for file in files)
    return bool(files) and all(fate_of(folder, one) in (Fate.IN_PLACE, Fate.CHANGED) for one in placed)


async def _look_up(tools: Tools, asked: Sequence[Payment]) -> list[tuple[Payment, Prediction]]:
    """Ask the service for each prediction, which is free; return those that it has."""
    if asked:
        tools.telling.say(f"looking up {len(asked):,} predictions that {tools.ledger.name} does not know")
    found = []
    room = anyio.CapacityLimiter(AT_ONCE)

    async def look(payment: Payment) -> None:
        async with room:
            if (prediction := await _get(tools, payment)) is not None:
                found.append((payment, prediction))

    with alone():
        async with anyio.create_task_group() as tasks:
            for payment in asked:
                tasks.start_soon(look, payment)
    return found


async def _get(tools: Tools, payment: Payment) -> Prediction | None:
    """Return the prediction of *payment* as the service has it; None where it has none that fits."""
    assert payment.prediction_id is not None
    for wait in WAITS:
        try:
            prediction = await tools.service.get(payment.prediction_id)
        except (NotFound, NotOffered):
            return None
        except TryAgain as error:
            await anyio.sleep(min(error.wait or wait, LONGEST_WAIT))
            continue
        return prediction if _fits(payment, prediction) else None
    raise UsageError(
        f"{tools.settings.base} does not tell what became of prediction {payment.prediction_id}, which "
        f"{tools.ledger.name} does not know: try again later"
    )


def _fits(payment: Payment, prediction: Prediction) -> bool:
    """Whether an answer can be about the prediction that was asked for."""
    same_seed = payment.seed is None or prediction.seed in (None, payment.seed)
    return prediction.id == payment.prediction_id and same_seed


async def _learn(tools: Tools, payments: Sequence[Payment], judged: Judgement) -> None:
    """Have the ledger take what the record knows of attempts that both know."""
    if not judged.ids and not judged.kept:
        return
    claimed = await tools.ledger.claimed(list(judged.ids.values()))
    ids = {number: id_ for number, id_ in judged.ids.items() if id_ not in claimed}
    kept = {
        number: files
        for number, files in judged.kept.items()
        if await to_thread.run_sync(_stand, tools.shelf.folder, files)
    }
    await tools.ledger.learn(replace(judged, ids=ids, kept=kept), payments)


# What to say of it


def _reason(tools: Tools, elsewhere: Sequence[Path], *, recorded: bool) -> str:
    """Return what does not fit, and what to do instead of paying."""
    folder, ledger = tools.shelf.folder.name, tools.ledger.name
    if elsewhere:
        others = _some(other.name for other in elsewhere)
        return f"{others} holds rows of this manifest: if it was renamed, go on with --out {elsewhere[0]}"
    if not recorded:
        return (
            f"{folder}/{OUTPUTS} holds pictures that {ledger} does not know: put back the {ledger} that does"
        )
    if "manifest" not in tools.ledger.facts:
        return f"{folder}/{ledger} is gone, and {PAID} tells of what was paid for: put {ledger} back"
    return f"{folder}/{ledger} is older than {PAID}: put the newer {ledger} back"


def _refusal(why: str, losses: Sequence[Loss], found: int, accepted: int | None) -> str:
    rows = _some(loss.row for loss in losses)
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


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
