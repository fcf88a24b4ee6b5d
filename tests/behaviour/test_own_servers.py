"""A batch on own model servers: a run before a pool of containers, and a run that is pointed at one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator import responses
from batchfill.emulator.backends.cog_backend import CogBackend
from batchfill.emulator.backends.pool_addresses import PoolAddresses
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.errors import UsageError
from tests.support.cogs import QUICK_POOL, FakeCog
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from tests.support.programs import Program

    Cogs = Callable[..., Awaitable[FakeCog]]
    Serve = Callable[..., Awaitable[EmulatorServer]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """`await serve(cog, cog)` is `batchfill serve --behind cog` before them."""
    started: list[EmulatorServer] = []

    async def begin(*cogs: FakeCog, port: int = 0) -> EmulatorServer:
        addresses = PoolAddresses([cog.at for cog in cogs])

        def behind(*parts: Any) -> CogBackend:
            return CogBackend(addresses, *parts, tell=lambda line: None, timings=QUICK_POOL)

        server = EmulatorServer(tmp_path / "front", behind=behind)
        started.append(server)
        await server.start(port=port)
        return server

    yield begin
    for server in started:
        await server.stop()


@pytest.mark.parametrize("path", ["", "/v1", "/predictions"])
@pytest.mark.parametrize("coglet", [False, True], ids=["cog 0.16", "coglet 0.23"])
async def test_a_run_that_is_pointed_at_a_container_says_what_to_do(
    cogs: Cogs, batch: Callable[..., Batch], coglet: bool, path: str
) -> None:
    cog = await cogs(coglet=coglet)
    with pytest.raises(UsageError) as refused:
        await batch(cog.at + path, 1).run()
    assert str(refused.value) == (
        f"{cog.at}{path.removesuffix('/predictions')} is a Cog container, which has another API: start "
        f"`batchfill serve --behind cog --at {cog.at}` and give its address as --base-url"
    )
    assert cog.begun == []


async def test_check_online_of_a_container_says_so_too(cogs: Cogs, batch: Callable[..., Batch]) -> None:
    cog = await cogs()
    with pytest.raises(UsageError, match="is a Cog container"):
        await batch(cog.at, 1).check(online=True)


async def test_a_batch_is_made_by_a_pool_and_every_row_once(
    cogs: Cogs, serve: Serve, batch: Callable[..., Batch]
) -> None:
    both = [await cogs(coglet=coglet) for coglet in (False, True)]
    server = await serve(*both)
    summary = await batch(server, 12).run()
    assert (summary.exit_code, server.billed) == (0, 12)
    assert sorted(both[0].begun + both[1].begun) == sorted(record.id for record in server.predictions())


async def test_two_batches_that_share_a_front_have_their_rows_made_in_turn(
    cogs: Cogs, serve: Serve, batch: Callable[..., Batch]
) -> None:
    cog = await cogs()
    server = await serve(cog)
    cog.gate.clear()
    first = batch(server, 12, concurrency=12)
    second = batch(server, 6, name="other.csv", concurrency=6)
    running = asyncio.ensure_future(first.run())
    await server.until(lambda: server.billed == 12)
    later = asyncio.ensure_future(second.run())
    await server.until(lambda: server.billed == 18)
    cog.gate.set()
    assert {(await running).exit_code, (await later).exit_code} == {0}
    senders = {record.id: record.sender for record in server.predictions()}
    assert len(set(senders.values())) == 2
    late = next(iter({senders[id_] for id_ in cog.begun} - {senders[cog.begun[0]]}))
    assert [senders[id_] for id_ in cog.begun[1:13]].count(late) == 6, "each in turn, not one after the other"


async def test_serve_tells_of_its_pool_and_what_it_made(cogs: Cogs, batchfill: Program) -> None:
    cog = await cogs()
    served = await batchfill.start("serve", "--behind", "cog", "--at", cog.at, "--port", "0")
    await served.says(f"{cog.at} is ready")
    served.signal(2)
    ended = await served.ended()
    assert ended.code == 0
    assert "pictures made: 0 of 0 runs begun, 0 failed; nothing is billed" in ended.err


async def test_a_run_waits_for_a_pool_of_none_and_goes_on_when_a_container_is_there(
    cogs: Cogs, serve: Serve, batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "HELD", 1)
    cog = await cogs()
    await cog.kill()
    server = await serve(cog)
    running = asyncio.ensure_future(batch(server, 3, concurrency=1).run())
    # The second one comes after the first one's refusal.
    await server.until(lambda: server.creates_seen > 1)
    await cog.start()
    summary = await running
    assert (summary.exit_code, len(cog.begun)) == (0, 3)
    log = (batch(server).folder / "run.log").read_text()
    assert f"no container is ready, so nothing is created: {cog.at} cannot be reached" in log


async def test_a_front_that_is_started_again_goes_on_and_makes_no_row_twice(
    cogs: Cogs, serve: Serve, batch: Callable[..., Batch]
) -> None:
    cog = await cogs()
    before = await serve(cog)
    cog.gate.clear()  # the first run is under way when the front ends
    # The end of the front may take an answer with it.
    running = asyncio.ensure_future(batch(before, 6, **SOON).run())
    await cog.until(lambda cog: bool(cog.begun))
    port = int(before.base.split(":")[2].partition("/")[0])
    await before.stop()
    cog.gate.set()
    after = await serve(cog, port=port)
    assert (await running).exit_code == 0
    assert after.billed == 6
    assert len(cog.begun) <= 6 + 1
