"""Providers without sockets, on whose clock hours pass in no time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from email.utils import formatdate
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.faults.rules import Fault, Faults
from tests.chaos.nights.loop import SimLoop
from tests.chaos.nights.wire import Wire
from tests.support.models import DEV

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

CREATE = f"/models/{DEV}/predictions"
EPOCH = 1_800_000_000.0


class Unplugged(EmulatorServer):
    """A provider at the end of a wire instead of a port."""

    def __init__(self, folder: Path, wire: Wire, **options: Any) -> None:
        loop, numbers = asyncio.get_running_loop(), count(1)
        super().__init__(
            folder,
            tiny=True,
            clock=lambda: EPOCH + loop.time(),
            new_id=lambda: f"{next(numbers):026d}",
            **options,
        )
        self._wire = wire

    async def _open_site(self, app: web.Application, host: str, *ports: int) -> str:
        app.on_response_prepare.append(self._add_date)
        runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await runner.setup()
        self._stops.append(runner.cleanup)
        assert runner.server is not None
        origin = f"http://{host}:{len(self._wire.servers) + 1}"
        self._wire.servers[origin] = runner.server
        return origin


@asynccontextmanager
async def connected(
    folder: Path, *rules: Fault, **options: Any
) -> AsyncIterator[tuple[EmulatorServer, httpx.AsyncClient]]:
    wire = Wire()
    provider = Unplugged(folder, wire, faults=Faults(rules), **options)
    await provider.start()
    async with httpx.AsyncClient(transport=wire, base_url=provider.base, timeout=60) as client:
        yield provider, client
    await provider.stop()


def play(main: Callable[[], Awaitable[Any]]) -> Any:
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(main())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "error", "billed"),
    [
        ("down", httpx.ReadError, 0),
        ("reset_before", httpx.ReadError, 0),
        ("reset_after", httpx.ReadError, 1),
        ("cut", httpx.RemoteProtocolError, 1),
    ],
)
def test_a_connection_breaks_without_a_socket_too(
    tmp_path: Path, inputs: Mapping[str, Any], kind: str, error: type[Exception], billed: int
) -> None:
    async def main() -> None:
        async with connected(tmp_path, Fault("create", kind)) as (provider, client):
            with pytest.raises(error):
                await client.post(CREATE, json={"input": inputs})
            assert provider.billed == billed

    play(main)


def test_a_create_is_taken_after_the_time_out_of_whoever_asked(
    tmp_path: Path, inputs: Mapping[str, Any]
) -> None:
    late = Fault("create", "taken_late", options={"seconds": 90})

    async def main() -> None:
        async with connected(tmp_path, late) as (provider, client):
            with pytest.raises(httpx.ReadTimeout):
                await client.post(CREATE, json={"input": inputs})
            assert provider.billed == 0
            await asyncio.sleep(31)
            assert provider.billed == 1
            assert provider.predictions()[0].created_at == EPOCH + 90

    play(main)


def test_an_answer_comes_after_the_time_out(tmp_path: Path, inputs: Mapping[str, Any]) -> None:
    delayed = Fault("create", "delay", options={"seconds": 90})

    async def main() -> None:
        async with connected(tmp_path, delayed) as (provider, client):
            with pytest.raises(httpx.ReadTimeout):
                await client.post(CREATE, json={"input": inputs})
            assert provider.predictions()[0].created_at == EPOCH

    play(main)


def test_nobody_minds_that_whoever_waits_too_long_has_gone(
    tmp_path: Path, inputs: Mapping[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    rules = [
        Fault("output", "slow", options={"seconds": 90}),
        Fault("get", "delay", options={"seconds": 90}),
        Fault("get", "cut"),
    ]

    async def main() -> None:
        async with connected(tmp_path, *rules) as (provider, client):
            id_ = (await client.post(CREATE, json={"input": inputs})).json()["id"]
            await provider.wait(id_)
            for url in (f"/predictions/{id_}", f"{provider.outputs_base}/outputs/{id_}/out-0.webp"):
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(url)
            await asyncio.sleep(600)

    play(main)
    assert caplog.text == ""


def test_an_outage_lasts_from_one_moment_to_another(tmp_path: Path) -> None:
    outage = Fault("any", "down", after=3600, before=7200)

    async def main() -> list[bool]:
        async with connected(tmp_path, outage) as (_, client):
            return [await up(client) for _ in range(5)]

    async def up(client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get("/account")).status_code == 200
        except httpx.ReadError:
            return False
        finally:
            await asyncio.sleep(1800)

    assert play(main) == [True, True, False, False, True]


def test_an_account_of_low_credit_may_submit_six_times_a_minute(
    tmp_path: Path, inputs: Mapping[str, Any]
) -> None:
    async def main() -> list[int]:
        async with connected(tmp_path, rate=6, burst=1) as (_, client):
            return [await tried(client) for _ in range(24)]

    async def tried(client: httpx.AsyncClient) -> int:
        answer = await client.post(CREATE, json={"input": inputs})
        if answer.status_code == 429:
            assert "reduced to 6 requests per minute with a burst of 1" in answer.json()["detail"]
        await asyncio.sleep(2.5)
        return answer.status_code

    assert play(main) == [201, 429, 429, 429] * 6


def test_the_same_requests_are_answered_the_same(tmp_path: Path, inputs: Mapping[str, Any]) -> None:
    rules = [
        Fault("create", "status", probability=0.3, options={"status": 429, "form": "date"}),
        Fault("create", "fail", probability=0.3),
        Fault("list", "strangers", options={"count": 2}),
        Fault("list", "filtered", probability=0.5),
        Fault("output", "garbage", probability=0.5),
    ]

    async def main() -> list[tuple[int, dict[str, str], bytes]]:
        said = []
        async with connected(tmp_path / str(next(folders)), *rules) as (provider, client):
            for number in range(20):
                seedless = {**inputs, "prompt": f"picture {number}", "seed": None}
                said.append(await client.post(CREATE, json={"input": seedless}))
                await asyncio.sleep(1)
                said.append(await client.get("/predictions"))
            said.append(await client.post("/files", files={"content": b"abc"}))
            done = [record for record in provider.predictions() if record.outputs]
            urls = [f"{provider.outputs_base}/outputs/{record.id}/out-0.webp" for record in done]
            said += [await client.get(url) for url in urls]
        return [(answer.status_code, dict(answer.headers), answer.content) for answer in said]

    folders = count()
    first = play(main)
    assert first == play(main)
    assert {201, 429, 200} <= {status for status, _, _ in first}
    assert first[0][1]["date"] == formatdate(EPOCH, usegmt=True)
