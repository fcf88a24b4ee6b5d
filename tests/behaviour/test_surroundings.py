"""What happens around a run: the clock is set, the laptop sleeps, the network goes, the system is stingy."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill import clock
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.run import engine
from batchfill.run.download import downloader
from batchfill.run.submit import admission
from tests.support.capabilities import obey_modes
from tests.support.modes import bound
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.progress import LogEvent, Progress
    from batchfill.domain.reports import Summary
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

HOUR = 3600.0


class Wall:
    """The machine's clock, which can be set; those who look at it run on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Return what it shows, in seconds since the epoch."""
        return time.time() + self.ahead


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """What batchfill sees when it looks what o'clock it is."""
    wall = Wall()
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=wall.now))
    return wall


class Watch:
    """Counts how often a run reports its progress."""

    def __init__(self) -> None:
        self._reports = 0
        self._news = asyncio.Event()

    def notice(self, notice: LogEvent) -> None:
        """Do nothing."""

    def progress(self, progress: Progress) -> None:
        self._reports += 1
        self._news.set()

    async def reports(self, times: int, running: asyncio.Future[Summary]) -> None:
        """Return when the run has reported so many more times, which it must do before it ends."""
        end = self._reports + times
        while self._reports < end and not running.done():
            self._news.clear()
            events: set[asyncio.Future[Any]] = {running, asyncio.ensure_future(self._news.wait())}
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), await running


def reached(provider: EmulatorServer, creates: int) -> bool:
    return provider.creates_seen >= creates


# The clock


@pytest.mark.parametrize("hours", [3, -1])
async def test_a_clock_that_is_set_while_an_answer_is_lost_pays_for_nothing_twice(
    service: Serve, batch: Open, wall: Wall, hours: float
) -> None:
    provider = await service()
    running = asyncio.ensure_future(batch(provider, 12, concurrency=1, **SOON).run())
    await provider.until(lambda: provider.billed >= 5)
    wall.ahead = hours * HOUR
    provider.faults.add(Fault("create", "reset_after", times=1))
    assert (await running).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (12, 12)


@pytest.mark.parametrize("hours", [-2])
async def test_a_clock_that_is_set_back_keeps_nobody_waiting(
    service: Serve, batch: Open, wall: Wall, hours: float
) -> None:
    faults = [
        Fault("create", "reset_before", at=frozenset({4})),
        Fault("create", "fail", times=1, options={"error": "E003"}),
        Fault("output", "cut", times=2),
    ]
    provider = await service(faults=Faults(faults), latency=0.02)
    running = asyncio.ensure_future(batch(provider, 10, concurrency=2, **SOON).run())
    for seen in (2, 4, 6):
        await provider.until(partial(reached, provider, seen))
        wall.ahead += hours * HOUR
    assert (await running).exit_code == 0
    assert provider.billed == 11


async def test_pictures_that_expired_while_the_laptop_slept_are_told_and_the_others_are_made(
    service: Serve, batch: Open, wall: Wall, states: States
) -> None:
    # Nothing is heard of the first three any more; time goes on for the service too.
    deaf = Faults([Fault("get", "status", options={"status": 503})])
    provider = await service(faults=deaf, clock=wall.now)
    running = asyncio.ensure_future(batch(provider, 6, concurrency=3).run())
    await provider.until(lambda: [record.ended for record in provider.predictions()] == [True] * 3)
    slept = {record.input["prompt"] for record in provider.predictions()}
    wall.ahead = 3 * HOUR
    deaf.clear()
    summary = await running
    assert provider.billed == 6
    assert summary.exit_code == 1
    made = {f"r{prompt.rpartition(' ')[2]}" for prompt in slept}
    assert states(batch(provider)) == {f"r{n}": "expired" if f"r{n}" in made else "done" for n in range(1, 7)}


async def test_until_passes_while_the_laptop_sleeps(
    service: Serve, batch: Open, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOOK_AT_CLOCK", 0.02)
    provider = await service(latency=0.2)
    end = datetime.fromtimestamp(time.time() + 2 * HOUR) + timedelta(minutes=1)
    running = asyncio.ensure_future(batch(provider, 12, concurrency=3, until=f"{end:%H:%M}").run())
    await provider.until(lambda: provider.billed == 3)
    wall.ahead = 2.5 * HOUR
    summary = await running
    assert (summary.exit_code, summary.stopped_because) == (3, f"--until {end:%H:%M} reached")
    assert provider.billed < 12


# The network


async def test_an_hour_without_network_is_waited_for_and_no_row_fails(
    service: Any, batch: Open, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(downloader, "LONGEST_WAIT", 0.1)
    provider = await service(latency=0.1)
    watch, batch_ = Watch(), batch(provider, 15, concurrency=3, attempts=1, **SOON)
    running = asyncio.ensure_future(batch_.run(watch=watch))
    await provider.until(lambda: provider.billed >= 4)
    await provider.stop()
    await watch.reports(10, running)
    wall.ahead = 0.9 * HOUR
    await watch.reports(10, running)
    back = await service.again(provider)
    assert (await running).exit_code == 0
    assert back.billed == 15
    assert {result.attempts for result in batch_.results()} == {1}


# The system


@bound
@pytest.mark.parametrize("name", ["outputs", "tmp"])
async def test_a_folder_that_takes_no_picture_is_refused_before_anything_is_paid_for(
    service: Serve, batchfill: Any, desk: Any, name: str
) -> None:
    provider = await service()
    desk.write(desk.rows(1))
    closed = desk.folder / "night.batch" / name
    closed.mkdir(parents=True)
    closed.chmod(0o555)
    ran = await batchfill("run", "night.csv", "--base-url", provider.base, first=obey_modes)
    assert ran.code == 2
    assert f"night.batch/{name}: Permission denied. Check its permissions" in ran.err
    assert provider.creates_seen == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bound")
async def test_a_run_at_a_hundred_in_flight_needs_few_open_files(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    import resource

    stingy = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (128, 128))
    provider = await service(latency=0.3)
    desk.write(desk.rows(150))
    flags = ("--base-url", provider.base, "--concurrency", 100, "--rate", 100_000)
    ran = await batchfill("run", "night.csv", *flags, first=stingy)
    assert ran.code == 0, ran.err
    assert provider.billed == 150
    assert "open files" not in ran.err
    log = (desk.folder / "night.batch/run.log").read_text("utf-8")
    assert "Too many open files" not in log
