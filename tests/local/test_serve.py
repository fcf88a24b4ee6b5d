from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from batchfill.errors import UsageError
from batchfill.local import read_bill, serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODEL = "black-forest-labs/flux-fill-dev"
PROGRAM = """
import asyncio, pathlib, sys
from batchfill.local import serve
print_base = lambda base: print(base, flush=True)
asyncio.run(serve(pathlib.Path(sys.argv[1]), latency=float(sys.argv[2]), on_ready=print_base))
"""


async def test_it_tells_its_base_and_stops_when_cancelled(tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks:
        told: list[str] = []
        ready = anyio.Event()

        def on_ready(base: str) -> None:
            told.append(base)
            ready.set()

        tasks.start_soon(lambda: serve(tmp_path, on_ready=on_ready))
        await ready.wait()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{told[0]}/account")).status_code == 200
        tasks.cancel_scope.cancel()


async def test_a_port_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener:
        with pytest.raises(UsageError, match=rf"cannot serve on 127\.0\.0\.1 port {port}: "):
            await serve(tmp_path, port=port, on_ready=lambda _: None)


def test_every_answered_create_is_known_after_a_kill(tmp_path: Path, inputs: Mapping[str, Any]) -> None:
    def started(latency: float) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(latency)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    process, base = started(600)
    with process, httpx.Client(base_url=base) as client:
        made = [
            client.post(f"/models/{MODEL}/predictions", json={"input": {**inputs, "seed": n}}).json()["id"]
            for n in range(1, 6)
        ]
        process.kill()
    assert [line.prediction_id for line in read_bill(tmp_path)] == made
    process, base = started(0)
    with process, httpx.Client(base_url=base, timeout=60) as client:
        body = client.post(f"/models/{MODEL}/predictions", json={"input": inputs}, headers={"Prefer": "wait"})
        assert body.json()["status"] == "succeeded"
        listed = client.get("/predictions").json()["results"]
        process.kill()
    assert [item["id"] for item in listed[:0:-1]] == made
    assert len(read_bill(tmp_path)) == 6
