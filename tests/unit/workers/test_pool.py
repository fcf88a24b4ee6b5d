from __future__ import annotations

import operator
import os
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill.errors import BadPicture
from batchfill.images.codec.decode import read_header
from batchfill.workers.pool import Processes
from tests.support.bounds import HANGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def processes() -> Iterator[Processes]:
    found = Processes(2)
    yield found
    found.close()


async def test_work_is_done_in_another_process(processes: Processes) -> None:
    assert await processes.do(sum, (1, 2, 3)) == 6
    assert await processes.do(operator.methodcaller("__len__"), "four") == 4
    assert await processes.do(_pid(), None) != os.getpid()


async def test_no_more_processes_are_started_than_allowed(processes: Processes) -> None:
    seen: list[Any] = []

    async def ask() -> None:
        seen.append(await processes.do(_pid(), None))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    assert len(seen) == 8
    assert len(set(seen)) <= 2


async def test_what_the_work_raises_is_raised_here(processes: Processes, tmp_path: Path) -> None:
    path = tmp_path / "hero.png"
    path.write_text("no picture")
    with pytest.raises(BadPicture, match=r"hero\.png is text, not a picture"):
        await processes.do(read_header, path)
    assert await processes.do(sum, (1, 1)) == 2


async def test_work_that_takes_its_process_along_is_an_error_of_the_picture(processes: Processes) -> None:
    with pytest.raises(BadPicture, match=r"too much for this machine: .* \(exit code 9\)"):
        await processes.do(os._exit, 9)
    assert await processes.do(sum, (1, 1)) == 2


async def test_work_that_takes_too_long_ends_with_its_process(processes: Processes) -> None:
    with pytest.raises(TimeoutError):
        await processes.do_within(time.sleep, HANGS, 0.01)
    assert await processes.do(sum, (1, 1)) == 2


async def test_work_within_its_time_answers_raises_and_ends_as_other_work_does(processes: Processes) -> None:
    assert await processes.do_within(sum, (1, 1), HANGS) == 2
    with pytest.raises(AttributeError):
        await processes.do_within(operator.methodcaller("nothing"), 1, HANGS)
    with pytest.raises(BadPicture, match="too much for this machine"):
        await processes.do_within(os._exit, 9, HANGS)


async def test_a_worker_keeps_the_memory_of_a_picture_unless_the_user_says_otherwise(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "MALLOC_TRIM_THRESHOLD_"
    monkeypatch.delenv(name, raising=False)
    assert int(await processes.do(_environment(), name)) > 200_000_000
    others = Processes(1)
    monkeypatch.setenv(name, "4096")
    assert await others.do(_environment(), name) == "4096"
    others.close()


async def test_the_token_does_not_travel(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHFILL_TOKEN", "r8_secret")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_other")
    monkeypatch.setenv("BATCHFILL_BASE_URL", "https://gateway.example.com")
    found = await processes.do(_environment(), "BATCHFILL_BASE_URL")
    assert found == "https://gateway.example.com"
    for name in ("BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"):
        assert await processes.do(_environment(), name) is None


async def test_modules_in_the_current_folder_are_not_taken_for_ours(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "PIL.py").write_text("raise SystemExit('not this one')")
    (tmp_path / "hero.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadPicture, match="is empty"):
        await processes.do(read_header, tmp_path / "hero.png")


async def test_another_batchfill_that_is_installed_is_not_taken_for_this_one(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "batchfill" / "__init__.py"
    other.parent.mkdir()
    other.write_text("raise SystemExit('not this one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert await processes.do(sum, (1, 2)) == 3


async def test_work_that_cannot_be_imported_there_is_told_as_that(processes: Processes) -> None:
    with pytest.raises(ImportError, match="nowhere"):
        await processes.do(_Missing(), None)
    assert await processes.do(sum, (1, 1)) == 2


class _Missing:
    """Work of a module that its process does not have."""

    def __call__(self, task: object) -> None:
        """Do nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('nowhere')",)


async def test_processes_end_with_their_owner(processes: Processes) -> None:
    pid = await processes.do(_pid(), None)
    processes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def _pid() -> Any:
    """Return what tells the id of its process, whatever it is given."""
    return _Expression("lambda _: __import__('os').getpid()")


def _environment() -> Any:
    return os.getenv


class _Expression:
    """A function of a process: pickled as what makes it there."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (self._text,)


class _NoMemory:
    """Work that there is not enough memory for."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("lambda _: bytearray(1 << 62)",)


async def test_too_little_memory_is_an_error_of_the_picture(processes: Processes) -> None:
    with pytest.raises(BadPicture, match="there is not enough memory"):
        await processes.do(_NoMemory(), None)  # type: ignore[arg-type]
