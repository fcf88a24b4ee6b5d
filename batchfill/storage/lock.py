"""One process writes a batch: an operating system's lock on a file that is never deleted."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

import anyio

from batchfill.errors import UsageError
from batchfill.regular_files import open_regular, open_to_append
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "lock"
LOOKS = 20
BETWEEN_LOOKS = 0.01
"""Seconds."""

MOMENT = ", for a moment"
"""Behind the holder's name: the lock is held to note something, and no run works on the batch."""

LONGEST_MOMENT = 10.0
"""Seconds that a run waits for such a holder to be done."""


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the batch folder's lock. Raises UsageError when another process does."""
    path = folder / NAME
    with _open_file(path) as file:
        if not _take_lock(file):
            raise UsageError(
                f"another batchfill works on this batch ({_read_holder(path)}): wait for it, "
                "or stop it with `batchfill stop`"
            )
        _sign_file(file, _our_name())
        yield


@contextmanager
def held_for_a_moment(folder: Path) -> Iterator[bool]:
    """Hold the batch folder's lock to note something; False: a runner has it, and looks for it in the end.

    Meanwhile no run counts as working on the batch, and a run that starts waits.
    """
    path = folder / NAME
    with _open_file(path) as file:
        if not _take_lock(file, unless=lambda: _is_locked(path)):
            yield False
            return
        _sign_file(file, f"{_our_name()}{MOMENT}")
        try:
            yield True
        finally:
            # No other holder must be taken for one that holds it for a moment.
            with suppress(OSError):
                os.ftruncate(file.fileno(), 0)


async def wait_out_moments(folder: Path) -> None:
    """Return once no program holds the lock for a moment only; a program that hangs is not waited for."""
    with anyio.move_on_after(LONGEST_MOMENT):
        # A lock does not tell when it is let go.
        while _is_momentary(folder / NAME) and _is_locked(folder / NAME):  # noqa: ASYNC110
            await anyio.sleep(BETWEEN_LOOKS)


def _sign_file(file: IO[str], who: str) -> None:
    # On a full disk it is held all the same.
    with suppress(OSError):
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), f"{who}\n".encode())


def is_ours(folder: Path) -> bool:
    """Whether this process holds the batch folder's lock."""
    return is_held(folder) and _read_holder(folder / NAME) == _our_name()


def _our_name() -> str:
    return f"process {os.getpid()}"


def _open_file(path: Path) -> IO[str]:
    try:
        return os.fdopen(open_to_append(path), "a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}; check the folder's permissions, "
            "or give another with --out"
        ) from error


def is_held(folder: Path) -> bool:
    """Whether some process works on the batch."""
    path = folder / NAME
    return _is_locked(path) and not _is_momentary(path)


def _is_locked(path: Path) -> bool:
    try:
        file = open_regular(path)
    except OSError:
        return False  # none yet, or an archive that cannot be written to
    with file:
        try:
            here().lock_file(file, looking=True)
        except OSError:
            return True
    return False


def _is_momentary(path: Path) -> bool:
    return _read_holder(path).endswith(MOMENT)


def _take_lock(file: IO[str], *, unless: Callable[[], bool] = lambda: False) -> bool:
    """Take the lock within a few looks; False: another program holds it, or *unless* says so before."""
    # A program that asks whether it is held takes it for a moment, which must not turn a run away.
    for _ in range(LOOKS):
        try:
            here().lock_file(file)
        except OSError:
            if unless():
                return False
            time.sleep(BETWEEN_LOOKS)
        else:
            return True
    return False


def _read_holder(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return file.read().decode("utf-8", "replace").strip() or "it has just begun"
    except OSError:
        return "it does not say which process"
