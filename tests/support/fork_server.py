"""A *fork server*: a process that has imported batchfill, and forks for each command that a test runs.

A fork is a process of its own in all that tests look at: number, signals, streams, folder, environment, end.
Only the start of the interpreter and its imports are paid for once, and they are most of a command's time.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import shlex
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from tests.support import forked_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batchfill.settings.timings import Timings

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


class Fork:
    """A command that was forked, as asyncio.subprocess.Process has it."""

    def __init__(
        self, pid: int, news: asyncio.StreamReader, outputs: Sequence[asyncio.StreamReader | None]
    ) -> None:
        self.pid = pid
        self.stdout, self.stderr = outputs
        self._ended = asyncio.ensure_future(news.read())

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None as long as it runs."""
        return int(self._ended.result()) if self._ended.done() else None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """Return its exit code, once it has ended."""
        return int(await asyncio.shield(self._ended))

    async def communicate(self) -> tuple[bytes | None, bytes | None]:
        """Return the rest of what it writes, once it has ended."""
        out, err, _ = await asyncio.gather(_rest(self.stdout), _rest(self.stderr), self.wait())
        return out, err


class ForkServer:
    """Starts commands in forks of one process, which ends with `close`, or with this process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._folder = TemporaryDirectory(prefix="forks-")
        self.address = str(Path(self._folder.name) / "orders")
        """Where orders are taken; tests.support.forks says in what form."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forks", str(listener.fileno())],
                stdin=PIPE,
                # Forks of a process with threads would be unsound.
                env={**environ, "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )

    async def fork(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str],
        waits: Timings | None = None,
        terminal: bool = False,
        first: Callable[[], object] | None = None,
        **streams: int,
    ) -> Fork:
        """Start a command; *streams*: stdin, stdout, stderr as subprocess has them.

        *waits* replace those of a run. With *terminal* its standard input is the terminal that it belongs to.
        It calls *first* before the command; its workers do not.
        """
        order = {
            "arguments": arguments,
            "folder": str(cwd),
            "environ": dict(env),
            "waits": asdict(waits) if waits else None,
            "terminal": terminal,
            "first": pickle.dumps(first).hex() if first else None,
        }
        outputs, ends = [], [os.open(os.devnull, os.O_RDONLY)]
        try:
            ends.append(os.dup(ends[0] if streams["stdin"] == DEVNULL else streams["stdin"]))
            for given in (streams["stdout"], streams["stderr"]):
                outputs.append(await _open_pipe(ends) if given == PIPE else None)
                if given != PIPE:
                    ends.append(os.dup(given))
            news = await _read(self._connect(order, ends[1:]))
        finally:
            for descriptor in ends:
                os.close(descriptor)
        return Fork(int(await news.readline()), news, outputs)

    def write_program(self, path: Path, *, waits: Timings | None = None) -> None:
        """Write a program that a shell starts as `batchfill`, and that has this server fork for it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        told = json.dumps(asdict(waits) if waits else None)
        # Each command of a shell starts it, so that little is imported.
        program = [sys.executable, "-ISX", "utf8", forked_command.__file__, self.address, told]
        path.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n', "utf-8")
        path.chmod(0o755)

    def _connect(self, order: Mapping[str, Any], streams: Sequence[int]) -> socket.socket:
        """Send an order; returns the connection on which the fork's number comes, and its exit code last."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.address)
        socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], streams)
        return connection

    def close(self) -> None:
        """End the server; commands that still run go on."""
        self._process.communicate()
        with suppress(OSError):
            self._folder.cleanup()


async def _open_pipe(ends: list[int]) -> asyncio.StreamReader:
    """Open a pipe, add its writing end to *ends*, and return what reads the other."""
    ours, theirs = os.pipe()
    ends.append(theirs)
    return await _read(os.fdopen(ours, "rb"))


async def _read(source: BinaryIO | socket.socket) -> asyncio.StreamReader:
    """Return what reads *source*, and closes it at its end."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    return reader


async def _rest(reader: asyncio.StreamReader | None) -> bytes | None:
    return await reader.read() if reader else None
