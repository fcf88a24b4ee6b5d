"""Heavy work next to the event loop: frozen tasks in, values out, at most one a core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
from anyio import to_thread

from batchfill.errors import BadPicture
from batchfill.settings.credentials import without_secrets
from batchfill.workers import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Task = TypeVar("Task")
Answer = TypeVar("Answer")

TRIES = 2
"""Processes that a task may take along into their end before it is given up."""


_START = "import sys; sys.path.insert(0, sys.argv[1]); from batchfill.workers.worker import main; main()"
"""This batchfill before an installed one, and without the current folder, which may hold any modules."""


class Workers(Protocol):
    """Who does heavy work. A task is picklable, holds no token and no ledger, and may run twice."""

    async def do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        """Return what *work* makes of *task*."""


class Threads:
    """Threads: for short work that lets go of the interpreter, as decoding does."""

    def __init__(self, most: int | None = None) -> None:
        self._limit = anyio.CapacityLimiter(most or os.cpu_count() or 2)

    async def do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        """Return what *work* makes of *task*."""
        return await to_thread.run_sync(work, task, limiter=self._limit)


class Processes:
    """Processes, started when there is work for them; `close` ends them.

    Their environment holds no token; Ctrl-C does not reach them; they end when this process does.
    """

    def __init__(self, most: int | None = None, *, hidden: Iterable[str] = ()) -> None:
        """*hidden*: variables of the environment that hold secrets, in addition to the token's."""
        self.most = most or os.cpu_count() or 2
        """How many work at once."""
        self._limit = anyio.CapacityLimiter(self.most)
        self._hidden = frozenset(hidden)
        self._idle: list[_Process] = []

    async def do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        """Return what *work*, a function of a module, makes of *task*.

        Raises what *work* raises, and BadPicture when it takes its process along: out of memory, mostly.
        """
        return await to_thread.run_sync(self._do, work, task, limiter=self._limit)

    async def do_within(self, work: Callable[[Task], Answer], task: Task, seconds: float) -> Answer:
        """As `do`; raises TimeoutError when it takes longer than *seconds*, and ends the process."""
        return await to_thread.run_sync(self._do_within, work, task, seconds, limiter=self._limit)

    def _do_within(self, work: Callable[[Task], Answer], task: Task, seconds: float) -> Answer:
        process = self._idle.pop() if self._idle else _Process(self._hidden)
        late = Event()

        def stop_waiting() -> None:
            late.set()
            process.kill()

        timer = Timer(seconds, stop_waiting)
        timer.start()
        try:
            done, answer = process.ask(work, task)
        except (EOFError, OSError) as error:
            if late.is_set():
                raise TimeoutError from error
            raise BadPicture("too much for this machine: working on it ended its process") from error
        finally:
            # It may be killed yet, so that it has no other work.
            timer.cancel()
            process.end()
        return worker.answer_of(done, answer)  # type: ignore[no-any-return]

    def _do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        ended = ""
        for _ in range(TRIES):
            process = self._idle.pop() if self._idle else _Process(self._hidden)
            try:
                done, answer = process.ask(work, task)
            except (EOFError, OSError):
                ended = process.end()
                continue
            except BaseException:
                process.end()
                raise
            self._idle.append(process)
            return worker.answer_of(done, answer)  # type: ignore[no-any-return]
        raise BadPicture(f"too much for this machine: working on it ended its process ({ended})")

    def close(self) -> None:
        """End the processes, none of which has work."""
        while self._idle:
            self._idle.pop().end()


class _Process:
    """One process and the two pipes to it."""

    def __init__(self, hidden: Iterable[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-P", "-c", _START, str(Path(worker.__file__).parents[2])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**worker.KEPT_MEMORY, **without_secrets(os.environ, also=hidden)},
            start_new_session=True,
        )

    def ask(self, work: Any, task: Any) -> tuple[bool, Any]:
        """Return whether *work* was done, and its answer or its error. Raises EOFError, OSError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        worker.send(self._process.stdin, (work, task))
        done, answer = worker.receive(self._process.stdout)
        return done, answer

    def kill(self) -> None:
        """End it in the middle of its work."""
        self._process.kill()

    def end(self) -> str:
        """End it and return how it ended, in words."""
        self._process.communicate()
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"
