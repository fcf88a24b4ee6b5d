"""What is done on each operating system; small modules of the same manner stand in for those of another."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill import systems
from batchfill.clock import SystemClock
from batchfill.errors import LedgerError, StorageError, UsageError
from batchfill.ledger.database import refuse_network
from batchfill.process import let_all_text_be_printed
from batchfill.run.shutdown import StopSignal, watch_signals
from batchfill.storage import lock
from batchfill.storage.disk import BELOW
from batchfill.storage.output_store import OutputStore
from batchfill.systems import NETWORK_DRIVE, Posix, Windows, here

if TYPE_CHECKING:
    from collections.abc import Callable


class Locks:
    """`msvcrt`: a byte of a file is locked by one open file, until that is closed."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], int] = {}

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        byte = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
        holder = self._held.setdefault(byte, descriptor)
        if holder != descriptor and self._is_open(holder, byte[0]):
            raise PermissionError(13, "Permission denied")
        self._held[byte] = descriptor

    @staticmethod
    def _is_open(descriptor: int, number: int) -> bool:
        try:
            return os.fstat(descriptor).st_ino == number
        except OSError:
            return False


class Registry:
    """`winreg` with one value, or without it."""

    HKEY_LOCAL_MACHINE = "HKLM"

    def __init__(self, enabled: int | None) -> None:
        self._enabled = enabled

    def OpenKey(self, root: str, name: str) -> Any:  # noqa: N802 - as Windows calls it
        assert (root, name) == ("HKLM", r"SYSTEM\CurrentControlSet\Control\FileSystem")
        return io.BytesIO()

    def QueryValueEx(self, key: object, name: str) -> tuple[int, int]:  # noqa: N802 - as Windows calls it
        assert name == "LongPathsEnabled"
        if self._enabled is None:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        return self._enabled, 4


def windows(
    *, long_paths: int | None = None, drives: dict[str, int] | None = None, **changes: Any
) -> Windows:
    """Return Windows with modules of the same manner as its own."""
    kernel = SimpleNamespace(GetDriveTypeW=lambda root: (drives or {})[root])
    modules: dict[str, Any] = {
        "msvcrt": Locks(),
        "winreg": Registry(long_paths),
        "ctypes": SimpleNamespace(windll=SimpleNamespace(kernel32=kernel)),
    }
    return Windows(modules.__getitem__, **changes)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Let this program run on that system."""

    def run_on(system: Any) -> Any:
        monkeypatch.setattr(systems, "_here", system)
        return system

    return run_on


@pytest.mark.parametrize("system", [Posix(), windows()], ids=["POSIX", "Windows"])
def test_a_batch_is_locked_by_one_program_and_free_when_its_file_is_closed(
    system: Any, on: Callable[[Any], Any], tmp_path: Path
) -> None:
    on(system)
    assert not lock.is_held(tmp_path)
    for _ in range(2):
        with lock.hold_lock(tmp_path):
            assert lock.is_held(tmp_path)
            assert lock.is_ours(tmp_path)
            with pytest.raises(UsageError, match=rf"another batchfill .*\(process {os.getpid()}\)"):
                lock.hold_lock(tmp_path).__enter__()
        assert not lock.is_held(tmp_path)


class Busy:
    """A file that another program has open for so many tries to rename it."""

    def __init__(self, path: Path, left: int) -> None:
        self.path, self.left = path, left
        path.write_bytes(b"new")

    def replace(self, target: Path) -> None:
        if self.left:
            self.left -= 1
            raise PermissionError(13, "Access is denied")
        self.path.replace(target)


@pytest.mark.parametrize("busy", [0, 1, 8])
def test_on_windows_a_name_is_taken_once_no_other_program_has_the_file_open(
    busy: int, tmp_path: Path
) -> None:
    waited: list[float] = []
    source: Any = Busy(tmp_path / "new", busy)
    (tmp_path / "old").write_bytes(b"old")
    windows(pause=waited.append).replace_file(source, tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"new"
    assert len(waited) == busy
    assert sum(waited) < 3


@pytest.mark.parametrize(
    ("system", "tries"), [(windows(pause=lambda seconds: None), 9), (Posix(), 1)], ids=["Windows", "POSIX"]
)
def test_a_file_that_stays_open_is_an_error_in_the_end(system: Any, tries: int, tmp_path: Path) -> None:
    source: Any = Busy(tmp_path / "new", 100)
    with pytest.raises(PermissionError):
        system.replace_file(source, tmp_path / "old")
    assert source.left == 100 - tries


def test_other_errors_of_renaming_are_not_waited_out(tmp_path: Path) -> None:
    waited: list[float] = []
    with pytest.raises(FileNotFoundError):
        windows(pause=waited.append).replace_file(tmp_path / "none", tmp_path / "old")
    assert waited == []


def test_a_folder_is_flushed_where_that_takes_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    windows().flush_folder(tmp_path)
    assert flushed == []
    Posix().flush_folder(tmp_path)
    assert len(flushed) == 1


@pytest.mark.parametrize("system", [here(), windows()], ids=["here", "Windows"])
async def test_ctrl_c_stops_a_run_in_stages_on_every_system(system: Any, on: Callable[[Any], Any]) -> None:
    on(system)
    stopping, before = StopSignal(), signal.getsignal(signal.SIGINT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_signals, stopping, None, SystemClock())
        await anyio.wait_all_tasks_blocked()
        stages: list[Callable[[], bool]] = [lambda: stopping.by_user, lambda: stopping.at_once]
        for reached in stages:
            version = stopping.changed.version
            signal.raise_signal(signal.SIGINT)
            await stopping.changed.wait(version)
            assert reached()
        tasks.cancel_scope.cancel()
    if isinstance(system, Windows):
        assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("system", "encoding", "printed"),
    [
        (windows(), "cp1252", "猫 …".encode()),
        (windows(), "utf-8", "猫 …".encode()),
        (Posix(), "utf-8", "猫 …".encode()),
        (Posix(), "latin-1", rb"\u732b \u2026"),
        (Posix(), "ascii", rb"\u732b \u2026"),
    ],
)
def test_every_text_can_be_printed_into_a_file(
    system: Any, encoding: str, printed: bytes, on: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    on(system)
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding=encoding))
    let_all_text_be_printed()
    print("猫 …", end="", flush=True)
    assert file.getvalue() == printed


def test_a_console_of_windows_keeps_its_encoding() -> None:
    assert windows().output_encoding(terminal=True) is None


def test_what_stands_in_for_a_stream_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        let_all_text_be_printed()


@pytest.mark.parametrize(
    ("system", "environ", "seen"),
    [
        (Posix("linux"), {}, False),
        (Posix("linux"), {"DISPLAY": ":0"}, True),
        (Posix("freebsd14"), {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (Posix("darwin"), {}, True),
        (windows(), {}, True),
    ],
)
def test_a_browser_is_started_where_it_can_be_seen(system: Any, environ: dict[str, str], seen: bool) -> None:
    assert system.has_screen(environ) is seen


def test_memory_is_told_in_bytes_or_not_at_all() -> None:
    kilobytes, of_mac = Posix("linux").peak_memory(), Posix("darwin").peak_memory()
    assert kilobytes is not None
    assert of_mac is not None
    assert 10 << 20 < kilobytes < 1 << 40
    assert kilobytes // of_mac >= 1000
    assert windows().peak_memory() is None


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        (r"C:\Users\me\night.batch", ""),
        (r"Z:\shared\night.batch", NETWORK_DRIVE),
        (r"\\server\share\night.batch", NETWORK_DRIVE),
        ("//server/share/night.batch", NETWORK_DRIVE),
    ],
)
def test_a_ledger_is_not_kept_on_a_network_drive_of_windows(
    folder: str, kind: str, on: Callable[[Any], Any]
) -> None:
    system = on(windows(drives={"C:\\": 3, "Z:\\": 4}))
    assert system.file_system(PureWindowsPath(folder)) == kind
    if kind:
        with pytest.raises(LedgerError, match=r"is on a network file system \(network drive\)"):
            refuse_network(Path(folder.replace("\\", "/")) / "ledger.sqlite")


@pytest.mark.parametrize(
    ("system", "command", "words"),
    [
        (Posix(), "notify 'night is over' --to=me", ["notify", "night is over", "--to=me"]),
        (Posix(), r"my\ tool now", ["my tool", "now"]),
        (windows(), r"C:\tools\tell.exe -q", [r"C:\tools\tell.exe", "-q"]),
        (
            windows(),
            r'"C:\Program Files\tell.exe" "night is over"',
            [r"C:\Program Files\tell.exe", "night is over"],
        ),
        (windows(), 'tell --to="my desk" "" it\'s', ["tell", "--to=my desk", "", "it's"]),
    ],
)
def test_a_command_is_parted_as_its_system_writes_paths(system: Any, command: str, words: list[str]) -> None:
    assert system.split_command(command) == words


@pytest.mark.parametrize("system", [Posix(), windows()], ids=["POSIX", "Windows"])
def test_a_command_that_is_shown_can_be_copied(system: Any) -> None:
    words = ["batchfill", "run", "my night/it's.csv", "--out", "C:/night", ""]
    assert system.split_command(system.join_command(words)) == words


@pytest.mark.parametrize("system", [Posix(), windows()], ids=["POSIX", "Windows"])
def test_a_quote_that_is_not_closed_is_an_error_on_every_system(system: Any) -> None:
    with pytest.raises(ValueError, match="No closing quotation"):
        system.split_command('tell "night')


def test_systems_that_do_not_tell_are_believed_to_have_a_local_disk(tmp_path: Path) -> None:
    assert Posix("darwin").file_system(tmp_path) == ""


@pytest.mark.parametrize(("enabled", "limit"), [(1, None), (0, 259), (None, 259)])
def test_a_folder_of_windows_that_is_too_deep_is_refused_before_a_payment(
    enabled: int | None, limit: int | None, on: Callable[[Any], Any], tmp_path: Path
) -> None:
    system = on(windows(long_paths=enabled))
    assert system.longest_path() == limit
    near, far = tmp_path / "night.batch", tmp_path / ("n" * (259 - BELOW)) / "night.batch"
    OutputStore(near).make_folders()
    if limit is None:
        OutputStore(far).make_folders()
        return
    with pytest.raises(StorageError, match=r"and this system takes 259: give a folder nearer"):
        OutputStore(far).make_folders()
    assert not far.exists()


def test_no_other_module_asks_which_system_it_runs_on() -> None:
    asks = ("sys.platform", "os.name", "platform.system", "msvcrt", "fcntl")
    package = Path(systems.__file__).parent
    found = {
        path.relative_to(package).as_posix(): [word for word in asks if word in path.read_text("utf-8")]
        for path in package.rglob("*.py")
    }
    # Names that each system has of its own, for folders and for notices, are tables there.
    allowed = {"systems.py", "settings/user_folders.py", "notify/service_receiver.py"}
    assert {file: words for file, words in found.items() if words and file not in allowed} == {}
