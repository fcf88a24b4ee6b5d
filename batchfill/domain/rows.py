"""Rows and attempts: what is asked for, what was paid for, and where each of them stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from batchfill.domain.objects import ObjectFile

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from batchfill.domain.predictions import Output
    from batchfill.domain.review import Decision, Redo


Box = tuple[int, int, int, int]
"""Left, top, right, bottom of a part of an upright picture, in pixels; right and bottom are outside of it."""

Input = str | int | float | bool
"""One typed input of a model. Files are strings: a path as written, a URL, or a data URL."""


LARGEST = 512 * 1024 * 1024
"""Bytes of one file: it is read into memory to be scaled down, and the service takes 100 MiB."""


class RowState(StrEnum):
    """Where a row stands; the words of the ledger, of `status` and of `results`."""

    PENDING = "pending"
    SUBMITTING = "submitting"
    RUNNING = "running"
    COLLECTING = "collecting"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    IN_DOUBT = "in_doubt"


class Outcome(StrEnum):
    """How an attempt ended; decides what it counts for in the cost."""

    OPEN = "open"
    """Submitting, running or in doubt: its price is reserved."""
    SUCCEEDED = "succeeded"
    """Made: spent, whatever becomes of the files."""
    CANCELED = "canceled"
    """May be charged: keeps counting as spent."""
    FAILED = "failed"
    """Not charged: released. `aborted` too."""
    NOTHING_MADE = "nothing_made"
    """Refused, throttled, never sent, or surely absent: released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSelection:
    """Which rows a run is to submit in addition to those that are pending, or instead of them."""

    states: frozenset[RowState] = frozenset()
    decisions: frozenset[Decision] = frozenset()
    flags: frozenset[str] = frozenset()
    """Rows with a picture that is flagged with one of these words, and that is not approved."""
    ids: tuple[str, ...] = ()
    """Where any is named, no other row is submitted."""

    def __bool__(self) -> bool:
        return bool(self.states or self.decisions or self.flags or self.ids)


class RedoRule(NamedTuple):
    """Which rows a run makes again by itself, with a new seed."""

    flags: tuple[str, ...]
    """Rows whose every picture has one of these."""
    times: int
    """At most, over the life of a row."""
    since: float = 0.0
    """Only rows that are done since then: the others are in no plan that the user has seen."""


class Stamp(NamedTuple):
    """What tells that a file is the one that was read, without reading it.

    Size and time survive when another file is copied over it; the time of change and the number do not. They
    are new after a link, a move or a restore too: then the file is read again, which costs nothing else.
    """

    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int = 0
    """0: not known."""
    inode: int = 0

    @classmethod
    def of(cls, facts: os.stat_result) -> Stamp:
        """Return the stamp of the file that *facts* are about."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local input file as it was when the manifest was read."""

    path: Path
    """Absolute."""
    stamp: Stamp
    sha256: str
    """64 hex digits of the content."""
    spelled: str | None = None
    """Its address as its folder has it, where the manifest has another case; the ledger does not keep it."""


RowFile = LocalFile | ObjectFile
"""A file that a row names and that is read here. What it names by http is read by the service alone."""
File = TypeVar("File", bound=RowFile)


class NamedFile(NamedTuple):
    """A local file as a row names it, and as it was when the manifest was read."""

    address: str
    """As it stands in the manifest, whose folder it is relative to."""
    path: str
    """Absolute, links followed."""
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Row:
    """One validated line of a manifest."""

    position: int
    """0-based place among the rows."""
    line: int
    """1-based line of the file where the row begins."""
    id: str | None
    """As given; None when the ledger is to make one from stem and key."""
    stem: str
    """What a made id begins with: the image's stem, made safe."""
    inputs: Mapping[str, Input]
    """Typed values as given by cells and the user's defaults, by the model's input names."""
    files: Mapping[str, RowFile]
    """The files among the inputs that are read here, by input name."""
    extra: Mapping[str, str]
    """Columns that are only carried to the results."""
    fingerprint: str
    """64 hex digits: what the row asks for."""
    outputs_asked: int
    price: int | None
    """Of one attempt, in millionths of the currency; None where no price is known."""

    @property
    def local_files(self) -> dict[str, LocalFile]:
        """Those of its files that are on this machine."""
        return {name: file for name, file in self.files.items() if isinstance(file, LocalFile)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row asks for."""

    inputs: Mapping[str, Input]
    files: Mapping[str, RowFile]


class Mark(StrEnum):
    """What a file says of AI."""

    EDITED = "edited"
    MADE = "made"
    """All of it."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a finished row, as it was put in its place."""

    id: str
    """The row's id."""
    line: int
    attempt: int
    """The number of the attempt that made it."""
    price: int | None
    """Of one attempt of the row, in millionths; None where no price is known."""
    file: str
    """Relative to the batch folder, with forward slashes."""
    size: int
    sha256: str
    n: int
    """1-based, among the outputs of its attempt."""
    mark: Mark | None = None
    """What a copy of it has to say; None: the file says it, or is not to."""
    names_model: bool = True
    """Whether the mark may name the model."""


class HeldFile(NamedTuple):
    """A file on the disk, as long as it is held."""

    path: Path
    sha256: str
    copied: bool = False
    """Whether it is a copy that may go afterwards."""


INLINE = "sha256:"
"""How the note of a file begins that was sent inside the request."""


def inline_note(content: bytes, data_url: str) -> str:
    """Return what stands for *data_url* in notes: the digest of its *content*, and its own length."""
    return f"{INLINE}{sha256(content).hexdigest()}:{len(data_url)}"


SENT = "sent/"
"""Where a bucket has what a service fetches from it, and how the note of such a file begins."""


def sent_note(digest: str) -> str:
    """Return what stands in notes for the address of what was put into a bucket; *digest*: its SHA-256."""
    return f"{SENT}{digest}"


def is_sent_note(text: str) -> bool:
    """Whether *text* is such a note."""
    return re.fullmatch(rf"{SENT}[0-9a-f]{{64}}", text) is not None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One intention to pay, with the row it is for and what has become of it."""

    number: int
    """Unique in the ledger, in the order of the intents."""
    key: str
    id: str
    """The row's id."""
    line: int
    state: RowState
    """The row's."""
    seed: int | None
    own_seed: bool
    """Chosen by us, so unique in the ledger; False when the row fixed it or the model has none."""
    origin: str
    """The base it was sent to."""
    sent: Mapping[str, Any]
    """The input as sent, except that long data URLs are replaced by their SHA-256."""
    outputs_asked: int
    intended_at: float
    """Seconds since the epoch by our clock."""
    service_time: float | None
    """The service's clock at the intent, where it was known."""
    anchor: str | None
    """The prediction accepted last before the intent."""
    prediction_id: str | None = None
    created_at: float | None = None
    """When the prediction was made, by the service's clock."""
    lost_at: float | None = None
    """When its answer was given up."""
    accepted_at: float | None = None
    ended_at: float | None = None
    """When we learned of the terminal status."""
    absent_at: float | None = None
    """When a look first found it surely absent."""
    acknowledged: bool = False
    """An answer said that it was taken, without an id that could be used."""
    cancel_asked: str | None = None
    """`time-out` or `user`."""
    tries: int = 1
    """Attempts of the row that counted, this one included, since the last consent."""
    area: Box | None = None
    """What was sent of the picture; None: all of it."""
    resent_at: float | None = None
    """When its create last went out again, by our clock."""
    idempotency_key: str | None = None
    """Random, sent with the create; None for attempts of older ledgers, and for those of a record alone."""

    @property
    def unconfirmed(self) -> bool:
        """Whether the service was not asked yet for the prediction that an answer seems to name."""
        return self.prediction_id is not None and self.accepted_at is None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A prediction of ours, and when it was asked for and made, each by the clock that said so."""

    number: int
    """Of its attempt."""
    prediction_id: str
    created_at: float | None
    """As the service's records have it."""
    service_time: float | None
    """As the service's answers had it at the intent."""
    intended_at: float
    """By our clock."""


@dataclass(frozen=True, slots=True)
class DownloadJob:
    """An attempt that succeeded, and whose outputs are to be fetched now."""

    attempt: Attempt
    outputs: tuple[Output, ...]
    """In order; none where the service named none."""
    asked: Asked


@dataclass(frozen=True, slots=True)
class DownloadQueue:
    """What there is to fetch."""

    due: tuple[DownloadJob, ...]
    """Oldest first."""
    oldest: float | None
    """Since when the oldest row waits, due or put off; seconds since the epoch."""
    next_at: float | None
    """When the next one that was put off comes due."""


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A row whose turn it is to be prepared and submitted."""

    key: str
    id: str
    line: int
    inputs: Mapping[str, Input]
    files: Mapping[str, RowFile]
    outputs_asked: int
    price: int | None
    tries: int
    """Attempts that counted so far, since the last consent."""
    redo: Redo | None = None
    """How it is made again; None: as the row says."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row's inputs as they go into the request, all but the seed."""

    inputs: Mapping[str, Any] = field(repr=False)
    """Addresses among them may be signed."""
    redacted: Mapping[str, Any]
    """The same for the ledger: data URLs replaced by `sha256:DIGEST:LENGTH`, signed ones by `sent/DIGEST`."""
    area: Box | None = None
    """What is sent of the picture; None: all of it."""


def inline_bytes(sent: Mapping[str, Any]) -> int:
    """Return how long the data URLs of a noted input were."""
    notes = (value for value in sent.values() if isinstance(value, str) and value.startswith(INLINE))
    return sum(int(note.rpartition(":")[2]) for note in notes)


OPEN = (RowState.SUBMITTING, RowState.RUNNING, RowState.COLLECTING)
LEFT = (RowState.PENDING, *OPEN)
"""States from which a run can still carry a row on."""

ENDED = frozenset({RowState.DONE, RowState.FAILED, RowState.CANCELED, RowState.EXPIRED})
"""States in which a row stays unless the user asks for more."""
