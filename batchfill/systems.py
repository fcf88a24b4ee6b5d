"""What differs between operating systems: locks, flushing, renaming, signals, consoles, disks, long paths.

Each family of systems is a class, and its objects can be made on any system: so tests of one run on others.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

NETWORK_DRIVE = "network drive"
"""What `Windows.file_system` says of a disk of another machine."""


def system_words(error: OSError) -> str:
    """Return what the system says of *error*, without what a library adds to it."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


class System(Protocol):
    """What batchfill asks of an operating system."""

    def lock_file(self, file: IO[Any], *, looking: bool = False) -> None:
        """Lock an open *file* until it is closed. Raises OSError when another open file has the lock.

        With *looking* those who do the same do not take each other for holders, where the system can.
        """

    def flush_folder(self, folder: Path) -> None:
        """Return once the names in *folder* are on disk, where that takes a call. Raises OSError."""

    def replace_file(self, source: Path, target: Path) -> None:
        """Give *source* the name *target*, in the place of what has it. Raises OSError."""

    def receive_signals(self) -> AbstractContextManager[AsyncIterator[int]]:
        """Give the signals by which a user stops a program, as they come; only for the main thread."""

    def stop_accepting(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        """Let *loop* look no more for new connections, where it can be told so."""

    def output_encoding(self, *, terminal: bool) -> str | None:
        """Return the encoding of what is printed; None: the one that the stream has."""

    def has_screen(self, environ: Mapping[str, str]) -> bool:
        """Whether a browser that is started here can be seen."""

    def peak_memory(self) -> int | None:
        """Return the bytes that this process took at most; None where the system does not say."""

    def file_system(self, folder: Path) -> str:
        """Return the type of the file system that holds *folder*; empty where the system does not say."""

    def split_command(self, command: str) -> list[str]:
        """Return the words of a command line. Raises ValueError for a quote that is not closed."""

    def join_command(self, words: Iterable[str]) -> str:
        """Return the command line of *words*, to be copied."""

    def longest_path(self) -> int | None:
        """Return how many characters a path may have; None where no folder comes near the limit."""

    def network(self) -> str | None:
        """Return what tells the network that this process is in from every other; None: it is not known."""


class Posix:
    """Linux, macOS and their like; *system* is what `sys.platform` says of it."""

    def __init__(self, system: str = sys.platform) -> None:
        self._system = system

    def lock_file(self, file: IO[Any], *, looking: bool = False) -> None:
        """Lock an open *file*."""
        fcntl = import_module("fcntl")
        fcntl.flock(file, (fcntl.LOCK_SH if looking else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    def flush_folder(self, folder: Path) -> None:
        """Return once the names in *folder* are on disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace_file(self, source: Path, target: Path) -> None:
        """Give *source* the name *target*."""
        source.replace(target)

    def receive_signals(self) -> AbstractContextManager[AsyncIterator[int]]:
        """Give Ctrl-C, the end of a terminal, and `kill`."""
        from anyio import open_signal_receiver

        return open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop_accepting(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        """Let *loop* look no more for new connections."""
        loop.remove_reader(listening)

    def output_encoding(self, *, terminal: bool) -> str | None:
        """Return None: a locale says it, for files and pipes too."""
        return None

    def has_screen(self, environ: Mapping[str, str]) -> bool:
        """Whether there is a display; macOS has one anyway."""
        return self._system == "darwin" or any(map(environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))

    def peak_memory(self) -> int | None:
        """Return the bytes that this process took at most."""
        resource = import_module("resource")
        most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if self._system == "darwin" else most * 1024

    def file_system(self, folder: Path) -> str:
        """Return the type of the file system, which Linux tells."""
        return _linux_file_system(folder) if self._system.startswith("linux") else ""

    def split_command(self, command: str) -> list[str]:
        """Return the words as a shell parts them."""
        return shlex.split(command)

    def join_command(self, words: Iterable[str]) -> str:
        """Return a command line of *words*, as a shell takes it."""
        return shlex.join(words)

    def longest_path(self) -> int | None:
        """Return None: it is thousands of characters."""
        return None

    def network(self) -> str | None:
        """Return what Linux tells of it."""
        return _linux_network() if self._system == "linux" else None


_REMOTE_DRIVE = 4
"""What Windows calls a drive of another machine."""
_LONGEST_OF_OLD = 259
"""Characters of a path where long ones are not enabled; one more ends the text."""
_FAR = 2**30
"""Where a file is locked: far beyond its text, so that others can still read who holds it."""
_PAUSES = tuple(0.01 * 2**n for n in range(8))
"""Seconds between tries to take a name that another program has open: two and a half in all."""


class Windows:
    """Windows. *load* gives its modules, which only Windows has; *pause* waits for so many seconds."""

    def __init__(
        self, load: Callable[[str], Any] = import_module, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._load, self._pause = load, pause

    def lock_file(self, file: IO[Any], *, looking: bool = False) -> None:
        """Lock an open *file*: others that look meanwhile find it locked."""
        msvcrt = self._load("msvcrt")
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

    def flush_folder(self, folder: Path) -> None:
        """Do nothing: folders cannot be flushed, and need not be."""

    def replace_file(self, source: Path, target: Path) -> None:
        """Give *source* the name *target*, as soon as no other program has either open."""
        # A virus scanner, an indexer or the review page opens a file for a moment. No other system minds.
        for seconds in _PAUSES:
            with suppress(PermissionError):
                source.replace(target)
                return
            self._pause(seconds)
        source.replace(target)

    @contextmanager
    def receive_signals(self) -> Iterator[AsyncIterator[int]]:
        """Give Ctrl-C, Ctrl-Break and the end of a console: event loops of Windows have no handlers."""
        import asyncio
        from math import inf

        from anyio import create_memory_object_stream

        loop = asyncio.get_running_loop()
        send, receive = create_memory_object_stream[int](inf)
        names = [number for name in ("SIGINT", "SIGBREAK") if (number := getattr(signal, name, None))]
        # The handler runs between two steps of any code.
        hear = lambda number, frame: loop.call_soon_threadsafe(send.send_nowait, number)  # noqa: E731
        before = {number: signal.signal(number, hear) for number in names}
        try:
            with send, receive:
                yield receive
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop_accepting(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        """Do nothing: event loops of Windows cannot be told."""

    def output_encoding(self, *, terminal: bool) -> str | None:
        """Return UTF-8 for files and pipes, which would have a code page without most letters."""
        return None if terminal else "utf-8"

    def has_screen(self, environ: Mapping[str, str]) -> bool:
        """Return True."""
        return True

    def peak_memory(self) -> int | None:
        """Return None."""
        return None

    def file_system(self, folder: Path) -> str:
        """Return NETWORK_DRIVE for a drive or a folder of another machine; else nothing."""
        drive = PureWindowsPath(str(folder)).drive or Path.cwd().drive
        if drive.startswith("\\\\"):
            return NETWORK_DRIVE
        kind = self._load("ctypes").windll.kernel32.GetDriveTypeW(f"{drive}\\")
        return NETWORK_DRIVE if kind == _REMOTE_DRIVE else ""

    def split_command(self, command: str) -> list[str]:
        """Return the words, which double quotes keep together: a backslash is a part of a path."""
        if command.count('"') % 2:
            raise ValueError("No closing quotation")
        return [word.replace('"', "") for word in re.findall(r'(?:[^\s"]|"[^"]*")+', command)]

    def join_command(self, words: Iterable[str]) -> str:
        """Return a command line of *words*, as a console takes it."""
        from subprocess import list2cmdline

        return list2cmdline(words)

    def longest_path(self) -> int | None:
        """Return the old limit, unless the administrator has lifted it."""
        winreg = self._load("winreg")
        try:
            place = r"SYSTEM\CurrentControlSet\Control\FileSystem"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
                enabled = winreg.QueryValueEx(key, "LongPathsEnabled")[0]
        except OSError:
            enabled = 0
        return None if enabled else _LONGEST_OF_OLD

    def network(self) -> None:
        """Return None: it is not known."""


def _linux_network() -> str | None:
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        # Containers of one machine have networks of their own.
        return f"{os.uname().nodename} {boot} {Path('/proc/self/ns/net').stat().st_ino}"
    return None


def _linux_file_system(folder: Path) -> str:
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    mounts: dict[str, str] = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        mounts[re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), before.split()[4])] = after.split()[0]
    place = folder.resolve()
    return next((mounts[str(p)] for p in (place, *place.parents) if str(p) in mounts), "")


_here: System = Windows() if sys.platform == "win32" else Posix()


def here() -> System:
    """Return the system that this program runs on."""
    return _here
