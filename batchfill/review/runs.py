"""Runs that the page starts: what one would do, as it is asked for, and a process that does just that."""

from __future__ import annotations

import json
import subprocess
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from batchfill.domain.review import AGREED_TO_NOTHING, Agreed
from batchfill.errors import UsageError
from batchfill.review.decisions import MOST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_WORDS = 4000
"""Bytes of what a process says that are read."""


class PageRuns:
    """Starts runs as processes of their own, which go on when the page's server ends.

    A process prints what it is about to do, as a line of JSON, and goes on if that is what was agreed to.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """*command*: of a run, which takes what was agreed to with --agreed; *environ* holds the token."""
        self._command, self._environ = command, environ
        self._one_at_a_time = anyio.Lock()

    async def plan(self) -> Any:
        """Return what a run would do, a JSON object; nothing is started. Raises UsageError, in words."""
        async with self._one_at_a_time:
            process, plan = await self._first_words(AGREED_TO_NOTHING)
            # It holds the batch until it has ended.
            await to_thread.run_sync(process.wait)
            return plan

    async def start(self, agreed: Agreed) -> Any:
        """Start a run, and return what it does. Raises UsageError when that is not what was agreed to."""
        async with self._one_at_a_time:
            process, plan = await self._first_words(agreed.flag)
            _wait_aside(process)
            return plan

    async def _first_words(self, agreed: str) -> tuple[subprocess.Popen[bytes], Any]:
        # A file: a process that outlives its reader breaks no pipe.
        with TemporaryFile() as told:
            process = self._open_process(agreed, told)
            line = await _first_line(process)
            if not line:
                await to_thread.run_sync(process.wait)
                raise UsageError(_words_of(told))
        return process, json.loads(line)

    def _open_process(self, agreed: str, told: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603  (our own interpreter and program)
                [*self._command, "--agreed", agreed],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=told,
                env=dict(self._environ),
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"a run cannot be started: {error.strerror}") from error


async def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Return what a process prints first, b"" where it ends without a line; it is stopped when cancelled."""
    try:
        return await to_thread.run_sync(_read_line, process, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        # The page does not hear any more whether a run has begun.
        process.terminate()
        _wait_aside(process)
        raise


def _read_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    with process.stdout as said:
        return said.readline()


def _wait_aside(process: subprocess.Popen[bytes]) -> None:
    """Have the process waited for, however long it goes on: what has ended takes a number until then."""
    Thread(target=_wait_for, args=(process,), daemon=True).start()


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes its pipe, too, which no one may have read
        pass


def read_agreed(said: object) -> Agreed:
    """Return what *said*, a JSON value, agrees to. Raises ValueError."""
    if not isinstance(said, dict) or said.keys() != {"rows", "price"}:
        raise ValueError("a run is agreed to by an object of rows and price")
    rows, price = said["rows"], said["price"]
    if not (_is_number(rows) and (price is None or _is_number(price))):
        raise ValueError("rows and price are numbers, the price in millionths, or null where it is unknown")
    return Agreed(rows, price)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_NUMBER


def _words_of(told: IO[bytes]) -> str:
    """Return what a process said before it ended."""
    told.seek(0)
    words = told.read(MAX_WORDS).decode("utf-8", "replace").strip().removeprefix("batchfill: ")
    return words or "the run ended without a word: see run.log in the batch folder"
