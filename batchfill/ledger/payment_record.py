"""`paid.jsonl`: read, written again from a ledger, and appended to together with the ledger's commits."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

from batchfill.errors import LedgerError
from batchfill.ledger import payments
from batchfill.ledger.database import flush_name
from batchfill.ledger.location import LEDGER
from batchfill.regular_files import open_regular, open_to_append
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from batchfill.ledger.payments import Heading, PaymentReading

PAID = "paid.jsonl"
"""Its name in the batch folder."""


def read_record(path: Path, mark: str | None = None) -> PaymentReading | None:
    """Return what stands in the record at *path*; None where there is none, or an empty file.

    *mark*: the PaymentRecord's when the ledger was last committed. Where it fits, only what is behind it is
    read: all that is before, the ledger knows. Raises LedgerError, also where no line can be read.
    """
    try:
        with open_regular(path) as file:
            found = _read_unknown(file, mark)
            empty = not file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        return None
    except OSError as error:
        refused = isinstance(error, PermissionError)
        remedy = (
            "check its permissions" if refused else f"move it away if the {LEDGER} next to it is the newest"
        )
        raise LedgerError(f"{path}: cannot be read: {error.strerror}; {remedy}") from error
    if found.newer:
        raise LedgerError(f"{path}: was written by a newer batchfill: update it")
    if not found.size and not empty:
        raise LedgerError(
            f"{path}: no line of it can be read: put a sound copy in its place, or move it away if "
            f"the {LEDGER} next to it is the newest"
        )
    return None if empty else found


def read_heading(path: Path) -> Heading | None:
    """Return whose record stands at *path*; None where that cannot be read."""
    try:
        with open_regular(path) as file:
            return payments.read_lines(file.readlines(1)).heading
    except OSError:
        return None


def _read_unknown(file: BinaryIO, mark: str | None) -> PaymentReading:
    """Read the heading of *file*, and its lines behind *mark* where that fits; else all of them."""
    heading = payments.read_lines(file.readlines(1)).heading
    start = _start(file, heading, mark)
    file.seek(start)
    found = payments.read_lines(file, whole=not start, at=start)
    if not start:
        return found
    if found.damaged:
        found = _count_from(found, _lines_before(file, start))
    return replace(found, heading=heading)


def _start(file: BinaryIO, heading: Heading | None, mark: str | None) -> int:
    """Return the byte from which on *file* holds what is not known yet."""
    if heading is None or mark is None:
        return 0
    name, size, _ = mark.split()
    file.seek(int(size) - 1)
    return int(size) if name == heading.file and file.read(1) == b"\n" else 0


def _count_from(found: PaymentReading, before: int) -> PaymentReading:
    """Return *found* with its lines counted from the beginning of the file, *before* lines above."""
    read = (replace(payment, line=payment.line and before + payment.line) for payment in found.payments)
    return replace(found, payments=tuple(read), damaged=tuple(before + line for line in found.damaged))


def _lines_before(file: BinaryIO, start: int) -> int:
    file.seek(0)
    return file.read(start).count(b"\n")


def write_record(path: Path, heading: Heading, lines: Iterable[str]) -> int:
    """Write a record of *lines* to *path*, whole or not at all, and return its size. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)  # whatever is there, a pipe perhaps, is not written to
    with unfinished.open("x", encoding="ascii", newline="") as file:
        file.writelines(chain([payments.heading_line(heading)], lines))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    here().replace_file(unfinished, path)
    flush_name(path)
    return size


class PaymentRecord:
    """The record as a run appends to it, on the thread of the ledger's writer alone.

    What belongs to the ledger's open group is gathered. Ids are flushed before the group is committed: one
    that the ledger cannot take is not lost. Intents are flushed behind it, before their POSTs: an intent that
    stands here was in the ledger, so that a ledger without it is an older one.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1
        self._size = 0
        self._file, self._flushed = "", 0
        self.last = 0
        """The largest number of an intent that is flushed."""
        self._ids: list[str] = []
        self._intents: dict[int, str] = {}
        self._ends: list[str] = []
        self._owed: list[str] = []
        """Lines that could not be written: tried again with the next ones."""
        self.trouble: str | None = None
        """Why the last lines could not be written."""
        self.full = False
        """Whether that was for want of room."""

    @property
    def attached(self) -> bool:
        """Whether lines are written anywhere."""
        return self._path is not None

    @property
    def mark(self) -> str:
        """How far it is flushed: its file, its size, and the number of the last intent in it."""
        return f"{self._file} {self._flushed} {self.last}"

    def attach(self, path: Path, heading: Heading, *, size: int, last: int) -> None:
        """Append to the record at *path*, of which *size* bytes are sound. Raises OSError.

        *last*: the largest number of an attempt that is in it, or is about to be.
        """
        self._descriptor = open_to_append(path)
        os.ftruncate(self._descriptor, size)
        os.fsync(self._descriptor)
        self._path, self._file = path, heading.file
        self._size = self._flushed = size
        self.last = last

    def complete(self, lines: Iterable[str]) -> None:
        """Append *lines* of attempts that the ledger knows alone. Raises OSError."""
        self._append(list(lines), flush=True)

    def close(self) -> None:
        """Write what is owed, if that can be done, and append no more."""
        if self.attached:
            with suppress(OSError):
                self._append(self._owed, flush=True)
            os.close(self._descriptor)
            self._path = None

    def intend(self, number: int, **fields: Any) -> None:
        """Note an intent; *fields* are those of its line."""
        self._intents[number] = payments.intent_line(number, **fields)

    def accept(self, number: int, prediction_id: str, *, unconfirmed: bool = False) -> None:
        """Note the prediction of an attempt; *unconfirmed*: an answer only seems to name it."""
        self._ids.append(payments.accepted_line(number, prediction_id, unconfirmed=unconfirmed))

    def free(self, number: int) -> None:
        """Note that an attempt cost nothing."""
        self._ends.append(payments.free_line(number))

    def keep(self, number: int, files: Iterable[Mapping[str, Any]]) -> None:
        """Note which files an attempt's row has."""
        self._ends.append(payments.kept_line(number, files))

    def forget(self) -> None:
        """Drop what was gathered: the group was undone."""
        self._ids, self._intents, self._ends = [], {}, []

    def drop_intents(self) -> list[int]:
        """Drop the intents of the group, which are not to be sent, and return them."""
        dropped, self._intents = list(self._intents), {}
        return dropped

    def flush_ids(self) -> None:
        """Flush the ids of the group; where that fails, `trouble` says why, and the ledger has them alone."""
        lines, self._ids = [*self._owed, *self._ids], []
        if lines:
            self._write(lines, flush=True)

    def flush_intents(self) -> list[int]:
        """Flush the intents of the group, write its ends; return the intents that could not be flushed."""
        intents, ends = self._intents, self._ends
        self.forget()
        lines = [*self._owed, *intents.values(), *ends]
        if not lines or self._write(lines, flush=bool(intents or self._owed)):
            self.last = max([self.last, *intents])
            return []
        self._owed = [line for line in lines if line not in intents.values()]
        return list(intents)

    def _write(self, lines: list[str], *, flush: bool) -> bool:
        if not self.attached:
            return True
        try:
            self._append(lines, flush=flush)
        except OSError as error:
            self._owed = lines
            self.full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self.trouble = f"{PAID} could not be written: {error.strerror}"
            return False
        self._owed, self.trouble = [], None
        return True

    def _append(self, lines: list[str], *, flush: bool) -> None:
        assert self._path is not None
        if not os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
            raise FileNotFoundError(0, "it was taken away while the run went on")
        content = memoryview("".join(lines).encode("ascii"))
        try:
            written = 0
            while written < len(content):
                written += os.write(self._descriptor, content[written:])
            if flush:
                os.fsync(self._descriptor)
        except OSError:
            # No line may be torn with others behind it.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += written
        if flush:
            self._flushed = self._size
