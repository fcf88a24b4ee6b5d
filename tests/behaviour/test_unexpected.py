"""What no stage expects: it fails its row or stops the run in words, and nothing more is paid for."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.errors import RunBroken
from batchfill.ledger.reader import Reader
from batchfill.providers.replicate.client import Service
from batchfill.run.placement import OutputPlacer
from batchfill.run.submit import inputs
from batchfill.storage.inbox import Request
from batchfill.storage.output_store import OutputStore
from tests.support.capabilities import obey_modes
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]


def of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


SHORT = [
    of(errno.EMFILE),
    of(errno.ENFILE),
    MemoryError(),
    RuntimeError("can't start new thread"),
    RuntimeError("can't allocate lock"),
    ValueError("[digital envelope routines] malloc failure"),
    ImportError("libjpeg.so: failed to map segment from shared object"),
]
ERRORS = [*SHORT, of(errno.EIO), of(errno.EACCES), of(errno.ESTALE), of(errno.ENOSPC)]
BUGS = [KeyError("seed"), ValueError("no such thing"), AssertionError()]

LONG = 700.0
"""Seconds after which no answer is on its way any more."""


def name_of(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return type(error).__name__ if number is None else errno.errorcode[number]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`fail(OutputStore, "commit", error, times=2)` has the first calls of a method raise *error*."""

    def arrange(owner: Any, method: str, error: Exception, *, times: int = 10**9) -> None:
        real, left = getattr(owner, method), [times]

        def due() -> bool:
            left[0] -= 1
            return left[0] >= 0

        async def failing(*args: Any, **kwargs: Any) -> Any:
            if due():
                raise error
            return await real(*args, **kwargs)

        def failing_at_once(*args: Any, **kwargs: Any) -> Any:
            if due():
                raise error
            return real(*args, **kwargs)

        replaced = failing if asyncio.iscoroutinefunction(real) else failing_at_once
        monkeypatch.setattr(owner, method, replaced)

    return arrange


@pytest.mark.parametrize("error", ERRORS, ids=name_of)
@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (OutputStore, "find_staged"),
        (OutputStore, "commit"),
        (OutputPlacer, "place_outputs"),
        (Service, "get"),
    ],
)
async def test_what_the_machine_lacks_for_a_while_is_tried_again_and_every_row_is_done(
    service: Serve, batch: Open, states: States, fail: Any, error: Exception, owner: type, method: str
) -> None:
    provider = await service(latency=0.05)
    fail(owner, method, error, times=2)
    assert (await batch(provider, 3).run()).exit_code == 0
    assert (provider.billed, set(states(batch(provider)).values())) == (3, {"done"})


@pytest.mark.parametrize("error", SHORT, ids=name_of)
async def test_a_row_whose_file_could_not_be_opened_for_want_of_files_is_not_at_fault(
    service: Serve, batch: Open, states: States, fail: Any, error: Exception
) -> None:
    provider = await service()
    fail(inputs, "read_input_file", error, times=3)
    assert (await batch(provider, 2).run()).exit_code == 0
    assert provider.billed == 2


@pytest.mark.parametrize("error", SHORT, ids=name_of)
async def test_a_machine_that_stays_short_ends_submitting_and_leaves_the_rows_pending(
    service: Serve,
    batch: Open,
    states: States,
    fail: Any,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_timings(monkeypatch, upload_retry=0.001)
    provider = await service()
    fail(inputs, "read_input_file", error)
    summary = await batch(provider, 3).run()
    assert (summary.exit_code, provider.creates_seen) == (3, 0)
    assert "rows cannot be made ready: " in str(summary.stopped_because)
    assert set(states(batch(provider)).values()) == {"pending"}


@pytest.mark.parametrize("error", [*ERRORS, *BUGS], ids=name_of)
async def test_what_submitting_did_not_expect_ends_it_in_words_and_what_was_made_is_fetched(
    service: Serve,
    batch: Open,
    let_go: asyncio.Event,
    later: Callable[[float], None],
    fail: Any,
    error: Exception,
) -> None:
    """It comes between intent and answer: nothing tells whether the row was made, so it is looked up."""
    provider = await service()
    running = asyncio.ensure_future(batch(provider, 5, concurrency=2).run())
    await provider.until(lambda: provider.billed == 2)
    fail(Service, "create", error, times=1)
    let_go.set()
    summary = await running
    assert summary.exit_code == 3
    assert str(summary.stopped_because).startswith("the run cannot go on: ")
    made = provider.billed
    assert made < 5
    assert summary.counts[RowState.DONE] == made
    provider.faults.clock_skew = LONG
    later(LONG)
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 5


@pytest.mark.parametrize(
    "error", [sqlite3.DatabaseError("malformed"), of(errno.EIO), KeyError("x")], ids=name_of
)
async def test_what_ends_a_run_after_it_submitted_is_no_refusal(
    service: Serve, batch: Open, fail: Any, error: Exception
) -> None:
    provider = await service()
    opened = batch(provider, 2)
    with pytest.MonkeyPatch.context() as patched:

        def refuse(*_: Any, **__: Any) -> Any:
            raise error

        patched.setattr(Reader, "doubts", refuse)
        with pytest.raises(RunBroken, match="run again to go on"):
            await opened.run()
    assert provider.billed == 2
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 2


@pytest.mark.parametrize("error", [of(errno.EIO), MemoryError(), KeyError("x")], ids=name_of)
async def test_what_ends_a_run_before_it_submitted_is_a_refusal(
    service: Serve, batch: Open, fail: Any, error: Exception
) -> None:
    provider = await service()
    fail(Service, "account", error)
    with pytest.raises(type(error)):
        await batch(provider, 2).run()
    assert provider.creates_seen == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bound")
@pytest.mark.parametrize("files", [6, 12, 20, 22, 23, 24, 32, 64])
async def test_a_run_that_may_open_too_few_files_begins_nothing(
    service: Serve, batchfill: Any, desk: Any, files: int
) -> None:
    import resource

    provider = await service()
    desk.write(desk.rows(3))
    bound = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files))
    # One of them has to be enough for an interpreter to start with, and one is at the edge.
    how = {"preexec_fn" if files in (6, 24) else "first": bound}
    ran = await batchfill("run", "night.csv", "--base-url", provider.base, **how)
    assert (ran.code, provider.creates_seen) == (2, 0)
    assert "more files can be opened" in ran.err
    assert "Traceback" not in ran.err
    assert not (desk.folder / "night.batch").exists()


BELOW = [
    ("run", "night.csv", "--local", "--out", "shut/in/night.batch"),
    ("status", "night.csv", "--out", "shut/in/night.batch"),
    ("results", "night.csv", "--out", "shut/in/night.batch"),
    ("export", "night.csv", "shut/in/final", "--local"),
    ("report", "night.csv", "shut/in/report", "--local"),
    ("serve", "--folder", "shut/in/provider", "--port", "0"),
    ("init", "shut/in/night.csv"),
    ("pair", "shut/in/images", "shut/in/masks"),
    ("check", "shut/in/night.csv"),
]
"""A command each for a place that cannot be reached."""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="how root can be made to obey a folder's mode"
)
async def test_a_place_below_a_folder_that_may_not_be_entered_is_told_in_words(
    batchfill: Any, desk: Any
) -> None:
    desk.write(desk.rows(1))
    assert (await batchfill("run", "night.csv", "--local")).code == 0
    (desk.folder / "shut/in").mkdir(parents=True)
    (desk.folder / "shut").chmod(0)
    try:
        said = {command[0]: await batchfill(*command, first=obey_modes) for command in BELOW}
    finally:
        (desk.folder / "shut").chmod(0o700)
    for command, ran in said.items():
        assert ran.code == 2, (command, ran.err)
        assert "Permission denied" in ran.err, command
        assert "Traceback" not in ran.err, command


def turn_read_only(folder: Path) -> None:
    (folder / "outputs").chmod(0o555)


def become_a_file(folder: Path) -> None:
    (folder / "outputs").rename(folder / "before")
    (folder / "outputs").write_text("not a folder")


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="how root can be made to obey a folder's mode"
)
@pytest.mark.parametrize("deed", [turn_read_only, become_a_file])
async def test_a_folder_that_takes_no_picture_during_the_run_keeps_creates_waiting(
    service: Serve, batchfill: Any, desk: Any, deed: Callable[[Path], None]
) -> None:
    provider = await service(latency=0.3)
    desk.write(desk.rows(30))
    flags = ("--base-url", provider.base, "--concurrency", 2)
    running = await batchfill.start("run", "night.csv", *flags, first=obey_modes)
    await running.meanwhile(provider.until(lambda: provider.billed >= 2))
    folder = desk.folder / "night.batch"
    deed(folder)
    await running.says("nothing more is submitted until night.batch takes pictures again")
    made = provider.billed
    await batchfill(Request.STOP.value, "night.csv")
    ran = await running.ended()
    assert (ran.code, provider.billed) == (3, made)
    assert "Traceback" not in ran.err
