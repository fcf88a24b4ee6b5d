"""What other processes want of a batch: files in its inbox, read by the holder of the lock."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from batchfill.domain.review import Decision, DecisionFile, ReviewDecision
from batchfill.regular_files import open_regular
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from batchfill.ledger.ledger import Ledger
    from batchfill.ledger.reader import Reader

NAME = "inbox"
REQUEST, RULINGS, UNFINISHED, DAMAGED = ".request", ".rulings", ".tmp", ".damaged"

_UNREADABLE = (ValueError, KeyError, TypeError, RecursionError)
"""What reading a letter raises that post_rulings did not write."""


class Request(StrEnum):
    """What can be asked of a run."""

    STOP = "stop"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class AppliedDecisions:
    """What was found among the decisions that waited."""

    met: frozenset[str] = frozenset()
    """The names of all files that were there."""
    rulings: int = 0
    damaged: tuple[str, ...] = ()
    """The names of files that could not be read as decisions; they are kept next to the others."""


def post_request(folder: Path, request: Request) -> None:
    """Leave *request* for the run that holds the batch folder's lock."""
    # A run that a full disk troubles is to be stopped all the same, and no request outlives a power cut.
    _write_whole(folder, request.value, REQUEST, flush=lambda _: None)


def post_rulings(folder: Path, rulings: Sequence[ReviewDecision]) -> None:
    """Leave *rulings* for the next holder of the lock; they are on disk, all of them, when this returns."""
    text = json.dumps([ruling.as_record() for ruling in rulings], ensure_ascii=False)
    _write_whole(folder, text, RULINGS, flush=os.fsync)
    for flushed in (folder, folder / NAME):
        here().flush_folder(flushed)


def drain_requests(folder: Path) -> list[Request]:
    """Take every request, oldest first; unknown ones (of a newer version) are left out."""
    found = []
    for path in _waiting_files(folder, REQUEST):
        try:
            text = _content_of(path).decode("utf-8", "replace").strip()
            path.unlink(missing_ok=True)
        except OSError:
            continue  # no request of ours, or one that may be read the next time
        if text in list(Request):
            found.append(Request(text))
    return found


def rulings_waiting(folder: Path) -> frozenset[str]:
    """Return the names of the files in which decisions wait."""
    return frozenset(path.name for path in _waiting_files(folder, RULINGS))


def waiting_rulings(folder: Path, *, taken: Callable[[], frozenset[str]]) -> list[ReviewDecision]:
    """Return the decisions that wait, in their order; *taken* tells which letters the ledger has."""
    letters = []
    for name in sorted(rulings_waiting(folder)):
        # The run may take it at any moment, and sets aside what cannot be read.
        with suppress(OSError, *_UNREADABLE):
            letters.append(DecisionFile(name, _read_content(_content_of(folder / NAME / name))))
    # In this order: the ledger forgets that it has a letter only once its file is gone.
    known = taken()
    waiting = rulings_waiting(folder) - known
    return [ruling for letter in letters if letter.name in waiting for ruling in letter.decisions]


def refusals(rulings: Sequence[ReviewDecision], reader: Reader) -> dict[int, str]:
    """Return why some are about pictures that the batch of *reader* does not have, by their place."""
    made = reader.outputs_made({ruling.prediction_id for ruling in rulings})
    found = ((place, _refusal(ruling, made)) for place, ruling in enumerate(rulings))
    return {place: why for place, why in found if why is not None}


def _refusal(ruling: ReviewDecision, made: Mapping[str, int]) -> str | None:
    if ruling.prediction_id not in made:
        return f"{ruling.prediction_id} is no prediction of this batch"
    if (ruling.chosen or 0) > (there := made[ruling.prediction_id]):
        return f"{ruling.prediction_id} has {there} pictures, so number {ruling.chosen} cannot be chosen"
    return None


async def take_rulings(folder: Path, ledger: Ledger) -> AppliedDecisions:
    """Record the decisions that wait, oldest first, and clear their files away; only for who holds the lock.

    A program that dies here loses none, and takes none twice.
    """
    waiting = rulings_waiting(folder)
    letters, damaged = _read_files(folder, waiting)
    if not letters:
        return AppliedDecisions(waiting, damaged=damaged)
    await ledger.record_decisions(letters, there=waiting)
    _clear_files(folder, letters)
    return AppliedDecisions(waiting, sum(len(letter.decisions) for letter in letters), damaged)


def _write_whole(folder: Path, text: str, suffix: str, *, flush: Callable[[int], None]) -> None:
    """Write a file that is whole or not there; *flush* is given its descriptor."""
    inbox = folder / NAME
    inbox.mkdir(exist_ok=True)
    name = f"{_next_number(inbox)}-{uuid4().hex[:8]}"
    unfinished = inbox / f"{name}{UNFINISHED}"
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            flush(file.fileno())
        here().replace_file(unfinished, inbox / f"{name}{suffix}")
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _next_number(inbox: Path) -> int:
    """Return a number above those of all that waits: the clock may have been put back."""
    numbers = (path.name.partition("-")[0] for path in inbox.iterdir())
    return max([time.time_ns(), *(int(n) + 1 for n in numbers if n.isdecimal())])


def _waiting_files(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / NAME).glob(f"*{suffix}"))


def _read_files(folder: Path, names: Iterable[str]) -> tuple[list[DecisionFile], tuple[str, ...]]:
    letters, damaged = [], []
    for path in (folder / NAME / name for name in sorted(names)):
        try:
            letters.append(DecisionFile(path.name, _read_content(_content_of(path))))
        except OSError:
            continue  # it may be read the next time
        except _UNREADABLE:
            with suppress(OSError):
                here().replace_file(path, path.with_suffix(DAMAGED))
            damaged.append(path.name)
    return letters, tuple(damaged)


def _content_of(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read()


def _read_content(content: bytes) -> tuple[ReviewDecision, ...]:
    """Read what post_rulings wrote. Raises ValueError, KeyError or TypeError for anything else."""
    return tuple(map(_read_decision, json.loads(content)))


def _read_decision(fields: dict[str, Any]) -> ReviewDecision:
    decision = fields["decision"]
    return ReviewDecision(**{**fields, "decision": None if decision is None else Decision(decision)})


def _clear_files(folder: Path, letters: Iterable[DecisionFile]) -> None:
    for letter in letters:
        # One that cannot be removed now is known by its name the next time.
        with suppress(OSError):
            (folder / NAME / letter.name).unlink(missing_ok=True)
    with suppress(OSError):
        here().flush_folder(folder / NAME)
