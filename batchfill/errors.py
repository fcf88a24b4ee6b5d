"""What can go wrong, grouped by what the caller does next."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_VALUES_SHOWN = 2
"""Different values of rows that share a mistake, and are named."""

_SHOWN_OF_TEXT = 60
"""Characters of a wrong value that a message repeats."""


class BatchfillError(Exception):
    """Anything batchfill raises on purpose. Its text is for a person: what, where, what to do now."""


class UsageError(BatchfillError):
    """Nothing was done: the request cannot be carried out as it is (exit 2)."""


class LedgerError(UsageError):
    """The ledger cannot be used: damaged, of a newer version, held by another run, on a network disk."""


class MissingFile(ValueError):
    """There is no file, or no object, of the name that a row gives."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a manifest: `night.csv:12: guidance must be between 0 and 100, not 1000`."""

    file: Path
    line: int
    """1-based; 0 when it is about the whole file."""
    message: str
    ends: bool = False
    """Nothing behind it could be read."""
    kind: str | None = None
    """For what is wrong with a picture or a mask: the word of its finding."""
    many: str = ""
    """What to say where several rows share it; empty: the message."""
    values: tuple[str, ...] = ()
    """Up to three different values of the rows that share it, told behind the cause."""
    apart: int = 0
    """Up to so many rows that share it are told one by one."""
    rows: int = 1
    """How many rows share it; the first one is in *line*."""
    parts: tuple[Mistake, ...] = ()
    """The first of those that share it, as far as they may be told one by one."""

    @property
    def cause(self) -> str:
        """What the mistakes of several rows share when they are one."""
        return self.many or self.message

    @property
    def text(self) -> str:
        """What to say of its rows, without how many they are."""
        alike = self.message != self.cause if self.values else self.message.startswith(self.cause)
        if self.rows == 1 or alike:
            return self.message
        more = " …" if len(self.values) > _VALUES_SHOWN else ""
        return f"{self.cause}{', '.join(self.values[:_VALUES_SHOWN])}{more}"

    def shared(self, other: Mistake) -> Mistake:
        """Return the mistake of the rows of this one and of *other*, which has the same cause."""
        values = tuple(dict.fromkeys((*self.values, *other.values)))[: _VALUES_SHOWN + 1]
        return replace(
            self,
            message=self.message if self.message == other.message else self.cause,
            rows=self.rows + other.rows,
            ends=self.ends or other.ends,
            values=values,
            parts=(*(self.parts or (self,)), other)[: self.apart],
        )

    def told(self) -> tuple[Mistake, ...]:
        """Return what to tell: this one, or the few rows that share it, one by one."""
        return self.parts if 1 < self.rows <= self.apart else (self,)

    def __str__(self) -> str:
        where = f"{self.file.name}:{self.line}" if self.line else self.file.name
        return f"{where}: {f'{self.rows:,} rows: ' if self.rows > 1 else ''}{self.text}"

    def sort_key(self) -> tuple[bool, int, int]:
        """Return what sorts the worst first: about the whole file, then by the rows that share it."""
        return not (self.ends or not self.line), -self.rows, self.line


class ManifestError(UsageError):
    """The manifest cannot be used; holds every mistake that was found (at least one)."""

    SHOWN = 20

    def __init__(self, mistakes: Sequence[Mistake], *, more: int = 0) -> None:
        """*more*: how many were found beyond those in *mistakes*."""
        self.mistakes = tuple(mistakes)
        self.more = more
        shown = [str(mistake) for mistake in self.mistakes[: self.SHOWN]]
        hidden = sum(mistake.rows for mistake in self.mistakes[self.SHOWN :]) + more
        if hidden:
            shown.append(f"… and {hidden} more")
        super().__init__("\n".join(shown))


class NotExported(UsageError):
    """Nothing was exported, for reasons that are all known before the first copy (at least one)."""

    SHOWN = 20

    def __init__(self, troubles: Iterable[str]) -> None:
        stream = iter(troubles)
        self.troubles = tuple(islice(stream, self.SHOWN))
        self.more = sum(1 for _ in stream)
        """How many there are beyond those in *troubles*."""
        hidden = [f"… and {self.more:,} more"] if self.more else []
        super().__init__("\n".join([*self.troubles, *hidden, "nothing was exported"]))


class ExportStopped(BatchfillError):
    """An export broke off: what is there is whole, and the same command goes on with it (exit 3)."""


class RunBroken(BatchfillError):
    """A run broke off after it had submitted something: work is left, and the next start goes on (exit 3)."""


class BatchStopped(BatchfillError):
    """Stop submitting: no row can succeed until a person has done something. Rows stay pending."""


class ServiceRefused(BatchStopped):
    """The service refuses this account or model: 401, 402, 403, 404 on create, a 3xx (exit 4)."""

    def __init__(self, message: str, *, status: int, final: bool = False) -> None:
        """*final*: the account's credit is used up, so that every other row meets the same."""
        super().__init__(message)
        self.status = status
        self.final = final


class BudgetReached(BatchStopped):
    """The next attempt would pass --max-cost."""


class LedgerFailed(BatchStopped):
    """The ledger could not be written (disk full, read-only, taken away): nothing more is submitted."""


class TakenOver(LedgerFailed):
    """Another run has taken the batch over from a mirror: this one must pay for nothing more."""


class RowRejected(BatchfillError):
    """This row never: asking again unchanged gives the same answer, and nothing was made."""


class TooLarge(RowRejected):
    """The service takes no request of this size (413): it may take a smaller one."""


class TransientError(BatchfillError):
    """Nothing was made or changed; ask again later."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        """*wait*: seconds that the service asked for, None where it named no time."""
        super().__init__(message)
        self.wait = wait


class Throttled(TransientError):
    """429: all requests wait. Costs no attempt."""

    def __init__(self, message: str, *, wait: float | None = None, per_minute: float | None = None) -> None:
        """*per_minute*: the limit that the service named, None where it named none."""
        super().__init__(message, wait=wait)
        self.per_minute = per_minute


class Held(Throttled):
    """What runs the model is away for now, and comes back: a person who watches is told at once."""


class Unavailable(TransientError):
    """The service has nothing to run the model with: rows wait, and a few in a row end submitting."""


class NoAnswer(TransientError):
    """No answer came to a question that can be asked again: the network, or the whole service, is down."""


class MachineFailed(TransientError):
    """This machine is short of something (files to open, threads, memory), or its file system fails."""


class StorageError(TransientError):
    """The batch folder took no file (disk full, read-only): a picture is fetched again once it does."""


class NotSent(TransientError):
    """The request never reached the service: no connection, or not fully handed to the socket."""


class AnswerLost(BatchfillError):
    """The request may have been taken, and paid for; its answer is not known.

    It is looked up. It is sent again only with its own key, and where the user says that keys are honoured.
    """

    def __init__(
        self, message: str, *, acknowledged: bool = False, refused: bool = False, kept: str | None = None
    ) -> None:
        """*acknowledged*: an answer said that the request was taken, so that no list proves otherwise.

        *refused*: every other row would meet the same (exit 4). *kept*: the beginning of an answer that was
        not understood, without secrets.
        """
        super().__init__(message)
        self.kept = kept
        self.acknowledged = acknowledged
        self.refused = refused


class NotFound(BatchfillError):
    """The service answered 404 or 410 for a thing whose address is right (a prediction, an output)."""


class NotOffered(BatchfillError):
    """This provider has no such call (404, 405 or 501 on list, cancel, files, account); go on without."""


class OutputRefused(BatchfillError):
    """An output's address is one that batchfill does not fetch from (scheme, private address)."""


class ObjectGone(BatchfillError):
    """An object in a bucket is not there any more, or has become another than was listed."""


class ObjectsRefused(BatchStopped):
    """A bucket cannot be used as things are: no rights, no credentials, another region, no package for it."""


class NotFetched(BatchfillError):
    """What is at an address could not be fetched to be looked at; says which and why."""


class NotifyError(BatchfillError):
    """A notification did not reach its receiver. The run goes on, or ends, as it would have."""


class BadPicture(BatchfillError):
    """Bytes that are not a whole picture, or a picture that cannot be used; says which and why."""

    def __init__(self, message: str, *, kind: str = "unreadable", foreign: str | None = None) -> None:
        """*kind*: in a word, what is wrong, as `check` sums it up.

        *foreign*: the name of the format, where it is one that no decoder here reads.
        """
        super().__init__(message)
        self.kind = kind
        self.foreign = foreign


SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""Errors of the system that are about this process or machine, whatever file it was asked for."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of the system that a person mends by making room."""

_NO_THREAD = "can't start new thread"
_NO_MEMORY = ("can't allocate lock", "malloc failure", "failed to map segment")
"""What Python, OpenSSL and the loader of libraries say that have no error of their own for it."""


def is_shortage(error: BaseException) -> bool:
    """Whether *error* says that the machine is short of something, and nothing about what was worked on."""
    if isinstance(error, OSError):
        return error.errno in SHORTAGES
    return _is_memory(error) or (isinstance(error, RuntimeError) and _NO_THREAD in str(error))


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, RuntimeError | ValueError | ImportError):
        return any(words in str(error) for words in _NO_MEMORY)
    return isinstance(error, MemoryError)


def is_full(error: Exception) -> bool:
    """Whether *error*, or what it was raised from, says that the disk has no room."""
    cause = error.__cause__ if isinstance(error, StorageError) else error
    return isinstance(cause, OSError) and cause.errno in NO_ROOM


def first_few(names: Iterable[object], most: int = 5) -> str:
    """Return *names* in a line: at most so many, and how many more there are."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *word* may have been meant for. Case does not matter."""
    by_lower = {each.lower(): each for each in known}
    lower = word.strip().lower()
    near = get_close_matches(lower, by_lower, 1)
    # Of `bild` half the letters are those of `id`.
    if not near or abs(len(near[0]) - len(lower)) >= min(len(near[0]), len(lower)):
        return None
    return by_lower[near[0]]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean jpg?`, or nothing when no known word is near."""
    near = nearest_word(word, known)
    return "" if near is None else f"; did you mean {near}?"


def did_you_mean_or_known(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean jpg?`, or all that are known when none is near."""
    every = list(known)
    return did_you_mean(word, every) or f"; known are {', '.join(every)}"


def quote_shortened(text: str) -> str:
    """Return *text* quoted for a message: one line, no control characters, not too long."""
    return repr(cut_short(text))


def cut_short(text: str) -> str:
    """Return *text*, or its first 60 characters and `…`."""
    return text if len(text) <= _SHOWN_OF_TEXT else f"{text[:_SHOWN_OF_TEXT]}…"


def in_words(error: BaseException) -> str:
    """Return *error* for a person, whatever it is; of several at once the first."""
    if isinstance(error, BaseExceptionGroup):
        return in_words(error.exceptions[0])
    if isinstance(error, BatchfillError):
        return str(error)
    if _is_memory(error):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_shortage(error):
        return "the system allows no more threads"
    # A mistake of ours: where it is matters more to who mends it than what it is to who reads it.
    return f"something unexpected, {type(error).__name__}: {error}{_place(error)}"


def _place(error: BaseException) -> str:
    """Return the last line of this package that *error* came by."""
    ours = Path(__file__).parent
    frames = [(Path(f.f_code.co_filename), line) for f, line in walk_tb(error.__traceback__)]
    places = [(path.relative_to(ours), line) for path, line in frames if path.is_relative_to(ours)]
    return " (batchfill/{}:{})".format(*places[-1]) if places else ""


def kind_of(reason: str) -> str:
    """Return what reasons that are alike have in common: numbers, and the ids of requests, do not count."""
    words = (word for word in reason.lower().split() if not any(character.isdigit() for character in word))
    return " ".join(re.sub(r"\W+", " ", " ".join(words)).split())


@contextmanager
def short_of_something() -> Iterator[None]:
    """Raise what the machine lacks, and errors of the file system, as MachineFailed: another try may work."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError, ValueError, ImportError) as error:
        if isinstance(error, OSError) or is_shortage(error):
            raise MachineFailed(in_words(error)) from error
        raise


@contextmanager
def unwrap_single() -> Iterator[None]:
    """Let an error that is the only one leave a task group by itself, as those who catch it expect it."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        error = group.exceptions[0]
        raise error from error.__cause__
