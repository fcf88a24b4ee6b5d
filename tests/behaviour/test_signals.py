"""A run is stopped: by signals, from another process, by closing its terminal."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.batches import counts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from batchfill.emulator.emulator_server import EmulatorServer

    Serve = Callable[..., Awaitable[EmulatorServer]]

FIRST = "stopping: nothing new is submitted, what runs is finished and fetched"
SECOND = "stopping now: only answers to open submissions are waited for"
CONCURRENCY = 4
ROWS = 24

HELD = Fault("create", "delay", at=frozenset({CONCURRENCY}), options={"seconds": 600})
"""The answer to one create that is long in coming; the prediction is made."""

STUCK = Fault("create", "stuck")


@pytest.fixture
async def begin(batchfill: Any, desk: Any) -> Callable[..., Awaitable[Any]]:
    """Start a run of ROWS rows and return once as many predictions are made as may be in flight."""
    desk.write(desk.rows(ROWS))

    async def start(provider: EmulatorServer, *flags: str, **options: Any) -> Any:
        command = ("run", "night.csv", "--base-url", provider.base, "--concurrency", CONCURRENCY)
        running = await batchfill.start(*command, "--rate", "100000", *flags, **options)
        await running.meanwhile(provider.until(lambda: provider.billed >= CONCURRENCY))
        return running

    return start


@pytest.fixture
def opened(desk: Any) -> Batch:
    return Batch.open(desk.folder / "night.csv")


async def test_the_first_ctrl_c_finishes_what_runs_and_the_next_run_goes_on(
    service: Serve, begin: Any, batchfill: Any, opened: Batch, let_go: asyncio.Event
) -> None:
    provider = await service()
    running = await begin(provider)
    running.signal(signal.SIGINT)
    await running.says(FIRST)
    let_go.set()
    ran = await running.ended()
    assert ran.code == 3, ran.err
    assert "to go on: batchfill run night.csv" in ran.err
    assert provider.billed == CONCURRENCY
    assert counts(opened) == {"done": CONCURRENCY, "pending": ROWS - CONCURRENCY}
    assert opened.status().stopped_because == "stopped by the user"
    again = await batchfill("run", "night.csv")
    assert again.code == 0, again.err
    assert provider.billed == ROWS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_what_ends_other_programs_is_as_the_first_ctrl_c(
    number: int, service: Serve, begin: Any, opened: Batch, let_go: asyncio.Event
) -> None:
    provider = await service()
    running = await begin(provider)
    running.signal(number)
    await running.says(FIRST)
    let_go.set()
    ran = await running.ended()
    assert ran.code == 3, ran.err
    assert counts(opened) == {"done": CONCURRENCY, "pending": ROWS - CONCURRENCY}


async def test_a_row_that_is_stopped_between_retry_and_end_is_not_sent_again(
    service: Serve, begin: Any, opened: Batch, let_go: asyncio.Event
) -> None:
    provider = await service(faults=Faults([Fault("create", "nsfw")]))
    running = await begin(provider)
    running.signal(signal.SIGINT)
    await running.says(FIRST)
    let_go.set()
    assert (await running.ended()).code == 3
    assert counts(opened) == {"pending": ROWS}


async def test_the_second_signal_waits_only_for_open_answers_and_leaves_the_rest_running(
    service: Serve, begin: Any, batchfill: Any, opened: Batch
) -> None:
    provider = await service(faults=Faults([STUCK]))
    running = await begin(provider)
    await running.meanwhile(provider.until(lambda: counts(opened).get("running") == CONCURRENCY))
    running.signal(signal.SIGINT)
    await running.says(FIRST)
    running.signal(signal.SIGINT)
    ran = await running.ended()
    assert ran.code == 3, ran.err
    assert SECOND in ran.err
    assert provider.billed == CONCURRENCY
    assert counts(opened) == {"running": CONCURRENCY, "pending": ROWS - CONCURRENCY}


async def test_after_the_second_signal_an_open_answer_is_still_recorded(
    service: Serve, begin: Any, opened: Batch, let_go: asyncio.Event
) -> None:
    provider = await service(faults=Faults([STUCK, HELD]))
    running = await begin(provider)
    await running.meanwhile(provider.until(lambda: counts(opened).get("running") == CONCURRENCY - 1))
    running.signal(signal.SIGINT)
    await running.says(FIRST)
    running.signal(signal.SIGINT)
    await running.says(SECOND)
    assert counts(opened)["submitting"] == 1
    let_go.set()
    assert (await running.ended()).code == 3
    assert counts(opened) == {"running": CONCURRENCY, "pending": ROWS - CONCURRENCY}


async def test_ctrl_c_in_a_terminal_stops_in_the_same_stages(
    service: Serve, begin: Any, terminal: Any, opened: Batch
) -> None:
    provider = await service(faults=Faults([STUCK]))
    running = await begin(provider, "--yes", **terminal.options())
    await running.meanwhile(provider.until(lambda: counts(opened).get("running") == CONCURRENCY))
    terminal.types("\x03")
    await running.meanwhile(terminal.shows("stopping: nothing new is submitted"))
    terminal.types("\x03")
    await running.meanwhile(terminal.shows("ended early: stopped by the user"))
    assert (await running.ended()).code == 3
    assert counts(opened) == {"running": CONCURRENCY, "pending": ROWS - CONCURRENCY}


async def test_a_terminal_that_is_closed_takes_no_picture_with_it(
    service: Serve, begin: Any, terminal: Any, opened: Batch
) -> None:
    provider = await service(latency=1.5)
    running = await begin(provider, "--yes", **terminal.options())
    await running.meanwhile(terminal.shows("running"))
    terminal.close()
    assert (await running.ended()).code == 3
    assert counts(opened) == {"done": provider.billed, "pending": ROWS - provider.billed}


async def test_nobody_who_reads_is_no_reason_to_stop(
    service: Serve, begin: Any, batchfill: Any, opened: Batch
) -> None:
    """As `batchfill run night.csv 2>&1 | head -1`."""
    provider = await service(latency=0.1)
    ours, theirs = os.pipe()
    running = await begin(provider, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.close(ours)
    assert (await running.ended()).code == 0
    assert counts(opened) == {"done": ROWS}


async def test_the_third_signal_ends_at_once_and_what_was_open_is_found_by_the_next_run(
    service: Serve, begin: Any, batchfill: Any, opened: Batch
) -> None:
    provider = await service(faults=Faults([HELD]), latency=0.2)
    running = await begin(provider, "--answer-timeout", "900")
    await running.meanwhile(provider.until(lambda: counts(opened).get("submitting", 0) > 0))
    for said in (FIRST, SECOND):
        running.signal(signal.SIGINT)
        await running.says(said)
    running.signal(signal.SIGINT)
    assert (await running.ended()).code == 3
    assert counts(opened)["submitting"] >= 1
    soon = ("--answer-timeout", "1", "--recover-wait", "0")
    again = await batchfill("run", "night.csv", "--rate", "100000", *soon)
    assert again.code == 0, again.err
    assert "its lost submission was found at the service" in again.err
    assert provider.billed == ROWS


async def test_a_second_runner_is_refused_and_harms_nothing(
    service: Serve, begin: Any, batchfill: Any, opened: Batch
) -> None:
    provider = await service(faults=Faults([STUCK]))
    running = await begin(provider)
    for command in (("run", "night.csv"), ("run", "night.csv", "--skip-bad", "--retry", "failed")):
        second = await batchfill(*command)
        assert second.code == 2
        assert "another batchfill works on this batch (process " in second.err
    assert opened.status().running
    assert provider.billed == CONCURRENCY
    running.signal(signal.SIGKILL)
    await running.ended()
    assert not opened.status().running


async def test_stop_from_elsewhere_is_as_the_first_signal(
    service: Serve, begin: Any, batchfill: Any, opened: Batch, let_go: asyncio.Event
) -> None:
    provider = await service()
    running = await begin(provider)
    asked = await batchfill("stop", "night.csv")
    assert asked.code == 0
    assert asked.out == "asked to stop: it submits nothing new, finishes what runs, and ends\n"
    await running.says("asked to stop by another batchfill")
    let_go.set()
    ran = await running.ended()
    assert ran.code == 3, ran.err
    assert counts(opened) == {"done": CONCURRENCY, "pending": ROWS - CONCURRENCY}


async def test_stop_says_so_when_nothing_runs(batchfill: Any, desk: Any) -> None:
    desk.write(desk.rows(1))
    ran = await batchfill("stop", "night.csv")
    assert ran.code == 2
    assert "night.csv: no batchfill works on it, so there is nothing to stop" in ran.err
    assert not (desk.folder / "night.batch").exists()


async def test_cancel_from_elsewhere_reaches_the_runner_and_waits_for_it(
    service: Serve, begin: Any, batchfill: Any, opened: Batch
) -> None:
    provider = await service(faults=Faults([STUCK]))
    running = await begin(provider)
    asked = await batchfill("cancel", "night.csv")
    assert asked.code == 0, asked.err
    assert "nothing runs at the service" in asked.err
    assert not opened.is_running()
    ran = await running.ended()
    assert ran.code == 3, ran.err
    assert {record.status for record in provider.predictions()} == {"canceled"}
    assert counts(opened) == {"canceled": CONCURRENCY, "pending": ROWS - CONCURRENCY}


async def test_cancel_without_a_runner_cancels_what_an_earlier_run_left(
    service: Serve, begin: Any, batchfill: Any, opened: Batch
) -> None:
    provider = await service(faults=Faults([STUCK]))
    running = await begin(provider)
    await running.meanwhile(provider.until(lambda: counts(opened).get("running") == CONCURRENCY))
    running.signal(signal.SIGKILL)
    await running.ended()
    ran = await batchfill("cancel", "night.csv")
    assert ran.code == 0, ran.err
    told = [line for line in ran.err.splitlines() if line.endswith(": canceled at your request")]
    assert len(told) == len(set(told)) == CONCURRENCY, ran.err
    assert "nothing runs at the service" in ran.err
    assert {record.status for record in provider.predictions()} == {"canceled"}
    assert provider.billed == CONCURRENCY
    assert counts(opened) == {"canceled": CONCURRENCY, "pending": ROWS - CONCURRENCY}
    assert opened.status().reasons == {}


async def test_cancel_fetches_what_had_succeeded_already(
    service: Serve, begin: Any, batchfill: Any, opened: Batch, let_go: asyncio.Event
) -> None:
    provider = await service()
    running = await begin(provider)
    running.signal(signal.SIGKILL)
    await running.ended()
    let_go.set()
    for record in provider.predictions():
        await provider.wait(record.id)
    ran = await batchfill("cancel", "night.csv")
    assert ran.code == 0, ran.err
    assert counts(opened) == {"done": CONCURRENCY, "pending": ROWS - CONCURRENCY}
