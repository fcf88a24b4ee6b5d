"""A disk that forgets: what a power failure leaves of the batch folder, by what was flushed before it.

A file's content is there after a power failure as it was when the file was last flushed, and a name as it was
when its folder was. What was not flushed may be there all the same, so there are several ways to lose it.
SQLite writes below Python; of its log there is what was there when the last commit that flushes returned.
"""

from __future__ import annotations

import os
import pickle
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfill.ledger.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from tests.chaos.crashes.effects import Effects

LEDGER = "ledger.sqlite"
LOG = f"{LEDGER}-wal"
FLUSHING = (("wal", "2"), ("wal", "3"))
"""Journal mode and `synchronous` with which a commit that has returned is on disk."""

JUNK = b"\x5a" * 3000


class Lost(StrEnum):
    """What a power failure takes."""

    ALL = "all"
    """Every name and every content that was not flushed."""
    CONTENTS = "contents"
    """Contents that were not flushed; files bear their new names."""
    NAMES = "names"
    """Names that were not flushed; files have their contents."""


class Disk:
    """Keeps, beside the batch folder, what a power failure would leave of it."""

    def __init__(self, folder: Path) -> None:
        """*folder*: the batch folder, which need not be there yet; all that is there now is flushed."""
        self._folder = folder
        self._counter = count(1)
        self._numbers: dict[int, int] = {}
        """Of files and folders, by inode: an inode may be given to another file later."""
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._log = _content(folder / LOG)
        for place in self._places():
            self._flush(place)

    @classmethod
    def known(cls, folder: Path) -> Disk:
        """Return the disk as an earlier process kept it, where nothing is flushed by its death."""
        memory = _memory(folder)
        return pickle.loads(memory.read_bytes()) if memory.exists() else cls(folder)

    def keep(self) -> None:
        """Write down what is flushed, for the next process."""
        _memory(self._folder).write_bytes(pickle.dumps(self))

    def watch(self, effects: Effects) -> None:
        """See every flush, renaming and commit of this process from now on, each one of its *effects*."""
        changed: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
            (os, "mkdir", self._calling(effects, "mkdir", os.mkdir)),
            (os, "unlink", self._taking(effects, "unlink", os.unlink, 0)),
            (os, "replace", self._taking(effects, "replace", os.replace, 1)),
            (os, "fsync", self._flushing(effects, os.fsync)),
            (Writer, "_apply_all", self._committing(effects, Writer._apply_all)),
        )
        for owner, name, call in changed:
            setattr(owner, name, call)

    def leave(self, target: Path, lost: Lost) -> None:
        """Write to *target* what is left of the batch folder; nothing when its own name is lost."""
        if self._folder.name in self._left(self._folder.parent, lost):
            self._leave(self._folder, target, lost)
            self._leave_log(target, lost)
        _memory(self._folder).unlink(missing_ok=True)

    def _left(self, folder: Path, lost: Lost) -> dict[str, int]:
        return self._listing(folder) if lost is Lost.CONTENTS else self._names.get(self._number(folder), {})

    def _leave(self, folder: Path, target: Path, lost: Lost) -> None:
        target.mkdir()
        here = {self._number(place): place for place in self._places()}
        for name, number in self._left(folder, lost).items():
            place = here.get(number)
            if name == LEDGER:
                (target / name).write_bytes(_content(self._folder / name))
            elif place is not None and place.is_dir():
                self._leave(place, target / name, lost)
            else:
                kept = place is not None and lost is Lost.NAMES
                content = _content(place) if kept and place else self._contents.get(number, b"")
                (target / name).write_bytes(content)

    def _leave_log(self, target: Path, lost: Lost) -> None:
        """SQLite itself sees to the name of its log, and may have been writing to it."""
        if self._log:
            begun = _content(self._folder / LOG)[len(self._log) :]
            torn = begun[: len(begun) // 2] or JUNK
            (target / LOG).write_bytes(self._log + (b"" if lost is Lost.ALL else torn))

    def _places(self) -> Iterator[Path]:
        """Yield every folder and file that there is, but those of SQLite, which come and go unseen."""
        yield self._folder.parent
        if self._folder.exists():
            yield self._folder
            yield from (place for place in self._folder.rglob("*") if not place.name.startswith(LEDGER))

    def _number(self, place: Path) -> int:
        inode = place.stat().st_ino
        if inode not in self._numbers:
            self._numbers[inode] = next(self._counter)
        return self._numbers[inode]

    def _listing(self, folder: Path) -> dict[str, int]:
        inside = [place for place in self._places() if place.parent == folder]
        ledger = {LEDGER: 0} if folder == self._folder and (folder / LEDGER).exists() else {}
        return {place.name: self._number(place) for place in inside} | ledger

    def _flush(self, place: Path) -> None:
        if place.is_dir():
            self._names[self._number(place)] = self._listing(place)
        else:
            self._contents[self._number(place)] = _content(place)

    def _flushing(self, effects: Effects, fsync: Callable[[int], None]) -> Callable[[int], None]:
        def flushing(descriptor: int) -> None:
            # Alone: a list of names made before another thread's flush would take back what that one kept,
            # and what is renamed meanwhile cannot be looked at.
            with effects.lock:
                found = os.fstat(descriptor)
                ours = [place for place in self._places() if os.path.samestat(place.stat(), found)]
                with effects.around("Disk.fsync", *map(str, ours)):
                    fsync(descriptor)
                    for place in ours:
                        self._flush(place)

        return flushing

    def _calling(self, effects: Effects, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def calling(*given: Any, **named: Any) -> None:
            with effects.lock, effects.around(f"Disk.{name}", *map(str, given)):
                call(*given, **named)

        return calling

    def _taking(
        self, effects: Effects, name: str, call: Callable[..., None], taken: int
    ) -> Callable[..., None]:
        """Of a file that loses its name; after a power failure it may bear it again."""

        def taking(*given: Any, **named: Any) -> None:
            with effects.lock, effects.around(f"Disk.{name}", *map(str, given)):
                target = Path(given[taken])
                if target.exists() and not (taken and target.samefile(given[0])):
                    self._numbers.pop(target.stat().st_ino, None)
                call(*given, **named)

        return taking

    def _committing(self, effects: Effects, apply: Callable[..., Any]) -> Callable[..., Any]:
        def committing(writer: Writer, db: sqlite3.Connection, *events: Any) -> Any:
            answers = apply(writer, db, *events)
            settings = tuple(
                str(db.execute(f"PRAGMA {p}").fetchone()[0]) for p in ("journal_mode", "synchronous")
            )
            with effects.around("Disk.commit", *settings):
                if settings in FLUSHING:
                    self._log = _content(self._folder / LOG)
            return answers

        return committing


def _memory(folder: Path) -> Path:
    return folder.with_name("flushed.pickle")


def _content(place: Path) -> bytes:
    return place.read_bytes() if place.is_file() else b""
