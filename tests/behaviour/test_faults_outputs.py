"""Paid pictures that are hard to fetch: never lost while the service has them, never half there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batchfill.domain.rows import RowState
from batchfill.emulator.emulator_model import TINY
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.run.download.unfetched import ENOUGH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.progress import LogEvent
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]
    Gateway = Callable[[EmulatorServer, Callable[[str], str]], Awaitable[str]]

HOUR = 3600.0


def served(status: int, times: int | None = None) -> Fault:
    return Fault("output", "status", times=times, options={"status": status})


class Listener:
    """Hears one word in what a run says."""

    def __init__(self, word: str) -> None:
        self._word = word
        self.heard = asyncio.Event()

    def notice(self, notice: LogEvent) -> None:
        if self._word in notice.text:
            self.heard.set()

    def progress(self, progress: object) -> None:
        """Not listened to."""


def kept(night: Batch, folder: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((night.folder / folder).rglob("*")) if path.is_file()]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("output", "cut", times=2),
        Fault("output", "reset_before", times=2),
        Fault("output", "reset_after", times=2),
        served(500, 2),
        served(502, 2),
        served(429, 2),
        served(403, 2),
    ],
    ids=["cut", "reset before", "reset after", "500", "502 page", "429", "403"],
)
async def test_a_download_that_fails_is_made_again(service: Serve, batch: Open, fault: Fault) -> None:
    provider = await service(faults=Faults([fault]))
    night = batch(provider, 2)
    assert (await night.run()).exit_code == 0
    assert kept(night, "outputs") == [TINY, TINY]
    assert provider.billed == 2


@pytest.mark.parametrize("kind", ["garbage", "html", "wrong_length"])
async def test_bytes_that_are_no_whole_picture_are_kept_aside_and_fetched_again(
    service: Serve, batch: Open, kind: str
) -> None:
    provider = await service(faults=Faults([Fault("output", kind, times=1)]))
    night = batch(provider, 1)
    assert (await night.run()).exit_code == 0
    assert kept(night, "outputs") == [TINY]
    (suspect,) = kept(night, "suspect")
    assert suspect != TINY
    assert provider.requests["output"] == 2


async def test_a_slow_download_is_waited_for(service: Serve, batch: Open) -> None:
    slow = Fault("output", "slow", times=1, options={"seconds": 0.05})
    night = batch(await service(faults=Faults([slow])), 1)
    assert (await night.run()).exit_code == 0
    assert kept(night, "outputs") == [TINY]


async def test_an_output_that_is_gone_is_expired_once_the_service_confirms_it(
    service: Serve, batch: Open, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([Fault("output", "expired", times=1)]))
    night = batch(provider, 2, head={"price": "0.04"}, concurrency=1)
    summary = await night.run()
    assert (summary.exit_code, summary.counts[RowState.EXPIRED], summary.counts[RowState.DONE]) == (1, 1, 1)
    lost = next(found for found in night.results() if found.state == "expired")
    assert "paid for, but the service removed it before it was fetched" in (lost.error or "")
    assert (lost.cost, summary.cost.spent, summary.reasons) == (40_000, 80_000, {})
    assert provider.billed == 2


async def test_an_expired_row_is_made_again_only_when_asked(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(faults=Faults([Fault("output", "expired", times=1)]))
    night = batch(provider, 1)
    await night.run()
    assert (await batch(provider).run()).exit_code == 1
    assert (provider.billed, states(night)) == (1, {"r1": "expired"})
    assert (await batch(provider, retry="expired").run()).exit_code == 0
    assert provider.billed == 2


@pytest.mark.parametrize("status", [404, 410])
async def test_an_output_that_is_missing_for_a_moment_is_fetched_while_the_service_names_it(
    service: Serve, batch: Open, status: int
) -> None:
    provider = await service(faults=Faults([served(status, 3)]))
    night = batch(provider, 1)
    assert (await night.run()).exit_code == 0
    assert provider.requests["output"] == 4


async def test_data_that_was_removed_before_the_end_was_seen_is_expired(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(faults=Faults([Fault("get", "status", options={"status": 401})]))
    night = batch(provider, 1)
    await night.run()
    await provider.until(lambda: all(record.ended for record in provider.predictions()))
    for record in provider.predictions():
        provider.expire(record.id)
    provider.faults.clear()
    assert (await batch(provider).run()).exit_code == 1
    assert states(night) == {"r1": "expired"}


async def test_a_picture_is_fetched_after_the_hour_while_the_service_still_has_it(
    service: Serve, batch: Open, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([served(500, 2)]))
    night = batch(provider, 1)
    later(2 * HOUR)
    assert (await night.run()).exit_code == 0


async def test_bytes_that_never_decode_fail_their_row_after_the_hour(
    service: Serve, batch: Open, later: Callable[[float], None], result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([Fault("output", "garbage")]))
    night = batch(provider, 1)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["output"] >= 3)
    later(HOUR + 1)
    summary = await run
    assert (summary.exit_code, summary.counts[RowState.FAILED]) == (1, 1)
    assert "no whole picture" in (result(night).error or "")
    assert kept(night, "outputs") == []
    assert len(kept(night, "suspect")) == 1
    assert provider.billed == 1


async def test_an_output_host_that_cannot_be_reached_is_tried_until_it_can(
    service: Serve, batch: Open, gateway: Gateway, origin: Callable[..., Awaitable[str]], free_port: int
) -> None:
    provider = await service()
    host = f"http://127.0.0.1:{free_port}"
    base = await gateway(provider, lambda text: text.replace(provider.outputs_base, host))
    watcher = Listener("fetching")
    night = batch(base, 2)
    run = asyncio.create_task(night.run(watch=watcher))
    await watcher.heard.wait()
    assert kept(night, "outputs") == []

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=TINY, content_type="image/webp")

    await origin(picture, free_port)
    assert (await run).exit_code == 0
    assert kept(night, "outputs") == [TINY, TINY]
    assert provider.billed == 2


@pytest.mark.parametrize(
    "address",
    ["http://10.0.0.9/out-0.webp", "ftp://127.0.0.1/out-0.webp", "file:///etc/hostname", "nonsense"],
)
async def test_an_address_that_is_not_fetched_from_fails_its_row_loudly_after_some_fresh_looks(
    service: Serve, batch: Open, gateway: Gateway, result: Callable[..., Result], address: str
) -> None:
    provider = await service()

    def change(text: str) -> str:
        for record in provider.predictions():
            text = text.replace(f"{provider.outputs_base}/outputs/{record.id}/out-0.webp", address)
        return text

    night = batch(await gateway(provider, change), 1)
    looked = provider.requests["get"]
    summary = await night.run()
    assert (summary.exit_code, summary.counts[RowState.FAILED], provider.billed) == (1, 1, 1)
    assert ENOUGH < provider.requests["get"] - looked < 4 * ENOUGH
    error = result(night).error or ""
    assert "It was paid for, and the service removes it about" in error
    assert "fetch it yourself" in error


async def test_a_token_refused_while_a_missing_output_is_confirmed_ends_the_run_after_the_hour(
    service: Serve, batch: Open, states: States, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([served(404)]))
    provider.faults.add(Fault("get", "status", first=2, options={"status": 401}))
    night = batch(provider, 1, concurrency=1)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] >= 4)
    later(HOUR + 1)
    summary = await run
    assert (summary.exit_code, states(night)) == (4, {"r1": "collecting"})


async def test_outputs_inside_the_answer_become_files(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service(quirks=Quirks(inline_outputs=True))
    night = batch(provider, desk.rows(2, num_outputs="2"))
    assert (await night.run()).exit_code == 0
    assert kept(night, "outputs") == [TINY] * 4
    assert provider.requests["output"] == 0
