"""What `paid.jsonl` tells line by line, and what it means for a ledger that knows less of it. No I/O.

The first line is the heading: whose record it is. Then a line for each event, in its order, by the number
that the ledger gave the attempt:

    {"intent": 9, "key": …, "row": "hero", "at": …, "seed": …, "price": …}    before the POST
    {"accepted": 9, "id": …}                                  before the ledger has the id
    {"accepted": 9, "id": …, "unconfirmed": true}             the same, where an answer only seems to name it
    {"free": 9}                                               nothing was made, or charged
    {"kept": 9, "files": [{"n": 1, "file": "outputs/hero.webp", "size": …, "sha256": …}]}

The last two only spare questions: they are not flushed. It holds no prompt, address or token, and names
instead of absolute paths.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchfill.domain.rows import Box

VERSION = 1
LARGEST = 2**63 - 1
"""The largest number that a ledger holds."""

ON_ITS_WAY = frozenset({"submitting", "running", "collecting", "in_doubt"})
"""States of a row whose picture the ledger does not have yet."""

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Heading:
    """Whose record it is."""

    batch: str
    """What the ledger and its record share, and no other batch has."""
    file: str
    """What this file has and no other record of the batch: positions are good for one file."""
    manifest: str
    """The name of its file."""
    model: str
    base: str
    """A salted digest of the provider's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """One output that was put in its place; as the fields of an Output."""

    n: int
    file: str
    size: int
    sha256: str
    raw: str | None = None
    raw_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt, as the record knows it."""

    number: int
    key: str = ""
    """Of its row; empty where its intent stands before the part that was read."""
    row: str = ""
    """The row's id at the intent."""
    at: float = 0.0
    """When it was intended: with the key it tells the attempt from every other."""
    seed: int | None = None
    price: int | None = None
    area: Box | None = None
    prediction_id: str | None = None
    unconfirmed: bool = False
    """The service was not asked yet whether that is its prediction."""
    free: bool = False
    """Nothing was made, or nothing charged."""
    kept: tuple[KeptFile, ...] = ()
    line: int = field(default=0, compare=False)
    """Of its intent in the record; 0: none that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReading:
    """What was read of a record."""

    heading: Heading | None
    payments: tuple[Payment, ...] = ()
    damaged: tuple[int, ...] = ()
    """The numbers of lines that cannot be read, though they have an end: no crash leaves such."""
    size: int = 0
    """Bytes up to the end of the last line that can be read."""
    newer: bool = False
    """Whether a newer batchfill wrote it."""
    whole: bool = True
    """Whether it was read from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One attempt, as the ledger knows it."""

    number: int
    key: str
    at: float
    prediction_id: str | None
    open: bool
    """Whether its end is not known."""
    counts: bool
    """Whether it is the attempt that its row is about."""
    state: str
    """The row's."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the record knows and the ledger does not."""

    ids: Mapping[int, str] = field(default_factory=dict)
    """Predictions of attempts that the ledger knows without one, by the ledger's number."""
    unconfirmed: frozenset[int] = frozenset()
    """Those of these attempts whose predictions have to be asked for first."""
    kept: Mapping[int, tuple[KeptFile, ...]] = field(default_factory=dict)
    """Files of attempts whose rows the ledger takes to be on their way."""
    unknown: tuple[Payment, ...] = ()
    """The last attempts of rows, where the ledger does not know them and they may have been paid for."""
    known_to: int = 0
    """The record's line up to which the ledger has forgotten nothing: of the last intent that is its own."""


def heading_line(heading: Heading) -> str:
    """Return the line that says whose record it is."""
    return _line({"batchfill": VERSION, **asdict(heading)})


def intent_line(
    number: int, *, key: str, row: str, at: float, seed: int | None, price: int | None, area: Box | None
) -> str:
    """Return the line of an attempt that is about to be made."""
    fields = {"intent": number, "key": key, "row": row, "at": at, "seed": seed, "price": price, "area": area}
    return _line({name: value for name, value in fields.items() if value is not None})


def accepted_line(number: int, prediction_id: str, *, unconfirmed: bool = False) -> str:
    """Return the line of an attempt's prediction; *unconfirmed*: an answer only seems to name it."""
    known = {"accepted": number, "id": prediction_id}
    return _line({**known, "unconfirmed": True} if unconfirmed else known)


def free_line(number: int) -> str:
    """Return the line of an attempt that cost nothing."""
    return _line({"free": number})


def kept_line(number: int, files: Iterable[Mapping[str, Any]]) -> str:
    """Return the line of the files that an attempt's row has."""
    told = [{name: value for name, value in file.items() if value is not None} for file in files]
    return _line({"kept": number, "files": told})


def digest_of_base(batch: str, base: str) -> str:
    """Return what stands in the heading for a provider's address."""
    return sha256(f"{batch} {base}".encode()).hexdigest()[:32]


def read_lines(lines: Iterable[bytes], *, whole: bool = True, at: int = 0) -> PaymentReading:
    """Read a record line by line; not *whole*: from the byte *at* on, behind its heading.

    Any bytes can be read. A last line without its end counts as torn, whatever it says; no other line does.
    """
    reader = _Lines(whole=whole, at=at)
    for line in lines:
        reader.add(line)
    return reader.reading()


def judge(payments: Sequence[Payment], known: Iterable[Known]) -> Judgement:
    """Say what the ledger, which knows the attempts *known*, has to learn from *payments*.

    Of each row only the last attempt that may have cost something matters: one is made when the one before it
    has ended, was proved absent, or was given up by the user. One that was free leaves the row what it had.
    """
    by_intent, by_number = {}, {}
    for attempt in known:
        by_intent[attempt.key, attempt.at] = by_number[attempt.number] = attempt
    ids: dict[int, str] = {}
    unconfirmed: set[int] = set()
    kept: dict[int, tuple[KeptFile, ...]] = {}
    last: dict[str, tuple[Payment, Known | None]] = {}
    known_to = 0
    for payment in payments:
        found = by_intent.get((payment.key, payment.at)) if payment.key else by_number.get(payment.number)
        if found is not None and found.open and found.prediction_id is None and payment.prediction_id:
            ids[found.number] = payment.prediction_id
            if payment.unconfirmed:
                unconfirmed.add(found.number)
        if found is not None and found.counts and found.state in ON_ITS_WAY and payment.kept:
            kept[found.number] = payment.kept
        if payment.key:
            if not payment.free:
                last.pop(payment.key, None)
                last[payment.key] = payment, found
            # What was adopted has another number, and tells nothing of what was made before it.
            if found is not None and found.number == payment.number:
                known_to = payment.line
    unknown = tuple(payment for payment, found in last.values() if found is None)
    return Judgement(ids, frozenset(unconfirmed), kept, unknown, known_to)


def _line(fields: Mapping[str, Any]) -> str:
    return f"{_encode(fields)}\n"


class _Lines:
    """A record while it is read."""

    def __init__(self, *, whole: bool, at: int) -> None:
        self._whole = whole
        self._heading: Heading | None = None
        self._payments: list[Payment] = []
        self._place: dict[int, int] = {}
        """Of an attempt's last intent among the payments, by its number."""
        self._number = 0
        self._end = self._size = at
        self._damaged: list[int] = []
        self._orphans: set[int] = set()
        """Attempts whose intents were not read."""
        self._newer = False

    def add(self, line: bytes) -> None:
        """Take the next line, with its end."""
        self._number += 1
        self._end += len(line)
        if not line.endswith(b"\n"):
            return  # the last one, and torn
        if self._take(_parsed(line)):
            self._size = self._end
        else:
            self._damaged.append(self._number)

    def reading(self) -> PaymentReading:
        """Return what was read."""
        return PaymentReading(
            heading=self._heading,
            payments=tuple(self._payments),
            damaged=tuple(self._damaged),
            size=self._size,
            newer=self._newer,
            whole=self._whole,
        )

    def _take(self, fields: Any) -> bool:
        """Take what a line says; False: nothing that a record says."""
        match fields:
            case {"batchfill": int(version)} if version > VERSION:
                self._newer = True
            case {"batchfill": int()} if (heading := _heading(fields)) is not None:
                self._heading = heading
            case {"intent": int(), "key": str(key), "row": str(), "at": int() | float()} if key:
                return self._add_intent(fields)
            case {"accepted": int(number), "id": str(prediction_id)}:
                unconfirmed = fields.get("unconfirmed") is True
                return self._change(number, prediction_id=prediction_id, unconfirmed=unconfirmed)
            case {"free": int(number)}:
                return self._change(number, free=True)
            case {"kept": int(number), "files": list(files)}:
                kept = [file for file in map(_kept, files) if file is not None]
                return len(kept) == len(files) and self._change(number, kept=tuple(kept))
            case _:
                return False
        return True

    def _add_intent(self, fields: Mapping[str, Any]) -> bool:
        seed, price, area = fields.get("seed"), fields.get("price"), fields.get("area")
        if not (_is_whole(seed) and _is_whole(price) and _is_box(area)):
            return False
        number, told = fields["intent"], {name: fields[name] for name in ("key", "row", "at")}
        area = area and tuple(area)
        self._place[number] = len(self._payments)
        self._payments.append(
            Payment(number=number, **told, seed=seed, price=price, area=area, line=self._number)
        )
        return True

    def _change(self, number: int, **fields: Any) -> bool:
        """Note what became of an attempt; False where its intent should have been read and was not.

        Each line that cannot be read may be one such intent: then the attempt is counted already.
        """
        if number not in self._place:
            if self._whole:
                self._orphans.add(number)
                return len(self._orphans) <= len(self._damaged)
            self._place[number] = len(self._payments)
            self._payments.append(Payment(number=number))
        place = self._place[number]
        self._payments[place] = replace(self._payments[place], **fields)
        return True


def _parsed(line: bytes) -> Any:
    try:
        fields = json.loads(line.decode("ascii"))
        return fields if _is_sound(fields) else None
    except (ValueError, RecursionError):
        return None


def _heading(fields: Mapping[str, Any]) -> Heading | None:
    match fields:
        case {"batch": str(b), "file": str(f), "manifest": str(m), "model": str(o), "base": str(a)}:
            return Heading(b, f, m, o, a)
    return None


def _is_sound(value: Any) -> bool:
    """Whether a ledger can hold every text and number in *value*: no half of a pair, no infinity."""
    match value:
        case dict():
            return all(map(_is_sound, value.values()))
        case list():
            return all(map(_is_sound, value))
        case str():
            return not any("\ud800" <= c <= "\udfff" for c in value)
        case float():
            return isfinite(value)
        case int():
            return abs(value) <= LARGEST
    return value is None


def _is_whole(value: Any) -> bool:
    return value is None or isinstance(value, int)


def _is_box(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and len(value) == 4 and all(type(side) is int for side in value)
    )


def _kept(file: Any) -> KeptFile | None:
    match file:
        case {"n": int(n), "file": str(name), "size": int(size), "sha256": str(digest)}:
            raw, raw_digest = file.get("raw"), file.get("raw_sha256")
            if isinstance(raw, str | None) and isinstance(raw_digest, str | None):
                return KeptFile(n=n, file=name, size=size, sha256=digest, raw=raw, raw_sha256=raw_digest)
    return None
