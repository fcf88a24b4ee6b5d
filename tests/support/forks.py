"""The process behind a fork server, and the forks that it makes.

An *order* is a line of JSON on a connection, and with it the descriptors of three standard streams. What
comes back is a line with the fork's number, and one with its exit code when it has ended.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pickle
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LONGEST = 65_536
_OPENED = range(3, 4096)
"""Descriptors that are not of standard streams."""
_LATE = ("anyio._backends._asyncio", "encodings.utf_8_sig", "gzip", "resource")
"""What libraries, or functions, import only when it is needed."""
_STREAMS = (
    ("stdin", "r", -1, "surrogateescape"),
    ("stdout", "w", -1, "surrogateescape"),
    ("stderr", "w", 1, "backslashreplace"),
)
"""Standard streams, how they are opened and buffered, and what becomes of what is no UTF-8."""


class Order(NamedTuple):
    """A command to run. *waits*: those of a run's Timings; *terminal*: whether stdin is one, to belong to.

    *first*: what the fork calls before the command, pickled, in hexadecimal digits.
    Without *arguments* the command is a worker of another fork.
    """

    streams: Sequence[int]
    arguments: Sequence[str] | None
    folder: str
    environ: Mapping[str, str]
    waits: Mapping[str, Any] | None = None
    terminal: bool = False
    first: str | None = None


def main() -> None:
    """Serve until standard input ends."""
    import_all()
    from tests.support.made_before import hash_before, make_before
    from tests.support.providers import TOKEN

    make_before()
    hash_before(TOKEN)
    # What lives now lives in every fork: looking for garbage in it would copy all its pages.
    gc.freeze()
    listener = socket.socket(fileno=int(sys.argv[1]))
    address: str = listener.getsockname()
    order = _serve(listener)
    _become(order)
    if order.arguments is None:
        from batchfill.workers import worker

        worker.main()
    else:
        from batchfill.cli import app
        from batchfill.workers import pool

        started = SimpleNamespace(
            Popen=lambda _, *, env, **__: ForkedWorker(address, env), PIPE=subprocess.PIPE
        )
        pool.subprocess = started  # type: ignore[assignment,attr-defined]
        _run(app.main)


def import_all() -> None:
    """Import all of batchfill, and what it imports only when it is needed."""
    from batchfill.process import leave_out_unused

    leave_out_unused()
    from PIL import Image

    import batchfill

    ours = (module.name for module in pkgutil.walk_packages(batchfill.__path__, "batchfill."))
    for name in (*_LATE, *ours):
        if not name.endswith("__main__"):
            import_module(name)
    Image.init()


def _serve(listener: socket.socket) -> Order:
    """Fork for every order; returns in the forks only."""
    deaths, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as events:
        for source in (0, deaths, listener):
            events.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fd == deaths:
                    os.read(deaths, _LONGEST)
                    _tell_ends(running)
                elif key.fd == 0:
                    os._exit(0)  # the tests are over
                elif (order := _fork(listener.accept()[0], running)) is not None:
                    return order


def _fork(connection: socket.socket, running: dict[int, socket.socket]) -> Order | None:
    """Fork for an order, which the fork gets; none comes from who was killed as it connected."""
    text, streams, *_ = socket.recv_fds(connection, _LONGEST, 3)
    while not text.endswith(b"\n") and (more := connection.recv(_LONGEST)):
        text += more
    whole = text.endswith(b"\n")
    if whole and (pid := os.fork()) == 0:
        return Order(streams, **json.loads(text))
    for descriptor in streams:
        os.close(descriptor)
    if whole:
        running[pid] = connection
        _tell(connection, pid)
    else:
        connection.close()
    return None


def _tell_ends(running: dict[int, socket.socket]) -> None:
    """Tell the exit code of every fork that has ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as connection:
            _tell(connection, os.waitstatus_to_exitcode(status))


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # the test that asked may be over
        connection.sendall(b"%d\n" % number)


def _become(order: Order) -> None:
    """Make of this fork what a new process would be."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for place, descriptor in enumerate(order.streams):
        os.dup2(descriptor, place)
    os.closerange(_OPENED.start, _OPENED.stop)
    if order.terminal:
        os.login_tty(0)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environ)
    time.tzset()
    sys.argv = ["batchfill", *(order.arguments or ())]
    _open_streams()
    if order.waits is not None:
        from batchfill.settings import timings

        timings.DEFAULT = timings.Timings(**order.waits)
    if order.first is not None:
        pickle.loads(bytes.fromhex(order.first))()


def _open_streams() -> None:
    """Open the standard streams as Python does in UTF-8 mode."""
    for descriptor, (name, mode, buffering, errors) in enumerate(_STREAMS):
        stream = open(descriptor, mode, buffering, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(command: Callable[[], None]) -> None:
    """Run a command, and end as an interpreter does that leaves its memory to the system: quickly."""
    code = 1
    try:
        command()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class ForkedWorker:
    """A worker of a fork, as subprocess.Popen has it; it is a fork of the server, which has no threads."""

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        questions, answers = os.pipe(), os.pipe()
        self.stdin: IO[bytes] = os.fdopen(questions[1], "wb")
        self.stdout: IO[bytes] = os.fdopen(answers[0], "rb")
        self.returncode = 0
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            order = {"arguments": None, "folder": str(Path.cwd()), "environ": dict(environ)}
            socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], [questions[0], answers[1], 2])
            self._news = connection.makefile("rb")
        for descriptor in (questions[0], answers[1]):
            os.close(descriptor)
        self._pid = int(self._news.readline())

    def kill(self) -> None:
        """End it in the middle of its work."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def communicate(self) -> None:
        """Return when it has ended, which it does without questions."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.returncode = int(self._news.readline())
        self._news.close()
        self.stdout.close()


if __name__ == "__main__":
    main()
