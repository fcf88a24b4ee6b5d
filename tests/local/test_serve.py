from __future__ import annotations

import signal
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
HANGS = 120.0
"""Seconds after which an answer does not come any more; a busy machine takes a while."""
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
        async with httpx.AsyncClient(timeout=HANGS) as client:
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
    with process, httpx.Client(base_url=base, timeout=HANGS) as client:
        made = [
            client.post(f"/models/{MODEL}/predictions", json={"input": {**inputs, "seed": n}}).json()["id"]
            for n in range(1, 6)
        ]
        process.kill()
    assert [line.prediction_id for line in read_bill(tmp_path)] == made
    process, base = started(0)
    with process, httpx.Client(base_url=base, timeout=HANGS) as client:
        body = client.post(f"/models/{MODEL}/predictions", json={"input": inputs}, headers={"Prefer": "wait"})
        assert body.json()["status"] == "succeeded"
        listed = client.get("/predictions").json()["results"]
        process.kill()
    assert [item["id"] for item in listed[:0:-1]] == made
    assert len(read_bill(tmp_path)) == 6


async def test_a_plan_is_carried_out_and_the_bill_is_told_in_the_end(
    batchfill: Any, desk: Any, inputs: Mapping[str, Any]
) -> None:
    plan = """
        credit: low
        faults:
          - {call: create, kind: status, status: 503, at: [1]}
          - {call: create, kind: aborted, at: [2]}
    """
    (desk.folder / "plan.yaml").write_text(plan, "utf-8")
    running = await batchfill.start("serve", "--port", "0", "--faults", "plan.yaml")
    base = (await running.prints()).split()[-1]
    async with httpx.AsyncClient(base_url=base, timeout=HANGS) as client:
        answers = [
            await client.post(f"/models/{MODEL}/predictions", json={"input": inputs}) for _ in range(3)
        ]
    assert [answer.status_code for answer in answers] == [503, 201, 429]
    running.signal(signal.SIGINT)
    ended = await running.ended()
    assert (ended.code, ended.err) == (
        0,
        "the bill: rows 1, attempts 1, paid 0, paid twice 0 (0 after a cancel)\n",
    )


async def test_a_plan_with_mistakes_is_refused_in_words(batchfill: Any, desk: Any) -> None:
    (desk.folder / "plan.yaml").write_text("sed: 7\nfaults: [{call: creat, kind: cut}]", "utf-8")
    ran = await batchfill("serve", "--port", "0", "--faults", "plan.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "plan.yaml: unknown setting 'sed'; did you mean seed?\n"
        "plan.yaml: fault 1: unknown call 'creat'; did you mean create?\n"
    )
    assert not (desk.folder / "provider").exists()


async def test_a_rate_that_is_given_wins_over_the_plans(
    batchfill: Any, desk: Any, inputs: Mapping[str, Any]
) -> None:
    (desk.folder / "plan.yaml").write_text("credit: low", "utf-8")
    running = await batchfill.start(
        "serve", "--port", "0", "--faults", "plan.yaml", "--per-minute", "6000", "--token", "x"
    )
    base = (await running.prints()).split()[-1]
    async with httpx.AsyncClient(
        base_url=base, headers={"Authorization": "Bearer x"}, timeout=HANGS
    ) as client:
        answers = [
            await client.post(f"/models/{MODEL}/predictions", json={"input": inputs}) for _ in range(3)
        ]
    assert [answer.status_code for answer in answers] == [201] * 3
