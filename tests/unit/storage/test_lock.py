from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from batchfill.errors import UsageError
from batchfill.storage import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from batchfill.storage import lock
with lock.hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    hold = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_lock_is_held_by_one_and_free_again_afterwards(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path)
    with lock.hold_lock(tmp_path):
        assert lock.is_held(tmp_path)
        with pytest.raises(UsageError, match=r"another batchfill works on this batch \(process \d+\)"):
            lock.hold_lock(tmp_path).__enter__()
    assert not lock.is_held(tmp_path)


def test_another_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        assert lock.is_held(tmp_path)
        with pytest.raises(UsageError, match=rf"\(process {process.pid}\): wait for it, or stop it with"):
            lock.hold_lock(tmp_path).__enter__()
    assert not lock.is_held(tmp_path)
    with lock.hold_lock(tmp_path):
        pass


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / "lock").exists()
        assert not lock.is_held(tmp_path)
        with lock.hold_lock(tmp_path):
            pass


def test_who_only_asks_leaves_no_file_behind(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(UsageError, match=r"lock cannot be written: .*; check the folder's permissions"):
        lock.hold_lock(tmp_path).__enter__()


@contextmanager
def again_and_again(look: Callable[[], object], *, threads: int = 1) -> Iterator[None]:
    done = threading.Event()

    def keep_looking() -> None:
        while not done.is_set():
            look()

    looking = [threading.Thread(target=keep_looking) for _ in range(threads)]
    for thread in looking:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in looking:
            thread.join()


def test_somebody_who_looks_again_and_again_never_turns_a_run_away(tmp_path: Path) -> None:
    with again_and_again(lambda: lock.is_held(tmp_path)):
        for _ in range(300):
            with lock.hold_lock(tmp_path):
                pass


@pytest.mark.skipif(sys.platform == "win32", reason="its locks cannot be shared")
def test_those_who_only_look_do_not_take_each_other_for_a_run(tmp_path: Path) -> None:
    with lock.hold_lock(tmp_path):
        pass
    with again_and_again(lambda: lock.is_held(tmp_path), threads=2):
        assert not any(lock.is_held(tmp_path) for _ in range(2000))


async def test_who_holds_it_for_a_moment_does_not_count_as_a_run_and_is_waited_for(tmp_path: Path) -> None:
    waited = anyio.Event()

    async def start_a_run() -> None:
        await lock.wait_out_moments(tmp_path)
        waited.set()
        with lock.hold_lock(tmp_path):
            pass

    async with anyio.create_task_group() as tasks:
        with lock.held_for_a_moment(tmp_path) as ours:
            assert ours
            assert not lock.is_held(tmp_path)
            tasks.start_soon(start_a_run)
            await anyio.wait_all_tasks_blocked()
            assert not waited.is_set()


def test_a_moment_is_refused_at_once_while_somebody_holds_it(tmp_path: Path) -> None:
    with lock.hold_lock(tmp_path), lock.held_for_a_moment(tmp_path) as ours:
        assert not ours
        assert lock.is_held(tmp_path)
    with lock.held_for_a_moment(tmp_path) as ours, lock.held_for_a_moment(tmp_path) as second:
        assert (ours, second) == (True, False)


def test_who_only_looks_does_not_keep_anybody_from_a_moment(tmp_path: Path) -> None:
    with lock.hold_lock(tmp_path):
        pass
    with again_and_again(lambda: lock.is_held(tmp_path)):
        for _ in range(300):
            with lock.held_for_a_moment(tmp_path) as ours:
                assert ours
