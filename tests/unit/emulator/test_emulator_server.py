from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from batchfill.emulator.emulator_server import serve_emulator
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.journal import read_bill
from batchfill.errors import UsageError
from tests.support.bounds import HANGS
from tests.support.models import DEV

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import Any

    from batchfill.emulator.emulator_server import EmulatorServer

    Connect = Callable[[EmulatorServer], Any]
    Start = Callable[..., Awaitable[EmulatorServer]]


async def test_predictions_and_their_outputs_survive_a_restart(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    first = await start()
    made = await connect(first).made(inputs)
    await first.stop()
    client = connect(await start())
    again = await client.get(made["id"])
    assert again["output"] == made["output"], "the second origin keeps its address"
    assert (await client.fetch(again["output"][0])).status_code == 200
    assert again["logs"] == made["logs"]


async def test_a_restarted_provider_goes_on_with_what_was_unfinished(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    first = await start(latency=600)
    id_ = (await connect(first).create(inputs)).json()["id"]
    await first.stop()
    second = await start(latency=0)
    assert (await second.wait(id_)).status == "succeeded"
    assert second.billed == 1


async def test_a_stuck_prediction_is_stuck_after_a_restart_too(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    first = await start(faults=Faults([Fault("create", "stuck")]))
    id_ = (await connect(first).create(inputs)).json()["id"]
    await first.stop()
    client = connect(await start())
    assert (await client.get(id_))["status"] in ("starting", "processing")
    assert (await client.http.post(f"/predictions/{id_}/cancel")).json()["status"] == "canceled"


async def test_data_is_removed_after_the_retention(
    start: Start, connect: Connect, inputs: Mapping[str, Any], tmp_path: Path
) -> None:
    provider = await start(retention=3600)
    client = connect(provider)
    made = await client.made(inputs)
    provider.faults.clock_skew = 3601
    body = await client.get(made["id"])
    assert (body["status"], body["output"], body["data_removed"]) == ("succeeded", None, True)
    assert (body["input"], body["logs"]) == ({}, "")
    assert (await client.fetch(made["output"][0])).status_code == 404
    assert list((tmp_path / "provider" / "outputs").iterdir()) == []


async def test_contents_of_data_urls_are_kept_only_while_they_are_needed(
    start: Start, connect: Connect, inputs: Mapping[str, Any], tmp_path: Path
) -> None:
    provider = await start(latency=600)
    client = connect(provider)
    folder = tmp_path / "provider" / "inputs"
    ids = [(await client.create(inputs)).json()["id"] for _ in range(2)]
    assert len(list(folder.iterdir())) == 2, "equal contents are kept once"
    await client.http.post(f"/predictions/{ids[0]}/cancel")
    assert len(list(folder.iterdir())) == 2
    await client.http.post(f"/predictions/{ids[1]}/cancel")
    assert list(folder.iterdir()) == []


async def test_the_bill_tells_equal_requests_apart_by_their_seeds_only(
    start: Start, connect: Connect, inputs: Mapping[str, Any], tmp_path: Path
) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    for change in ({}, {"seed": 8}, {"prompt": "another"}):
        await client.made({**inputs, **change})
    one, two, other = provider.bill
    assert one.digest == two.digest != other.digest
    assert (one.seed, two.seed, one.status, one.outputs) == (7, 8, "succeeded", 1)
    assert read_bill(tmp_path / "provider") == provider.bill


async def test_an_upload_counts_for_what_it_holds_on_the_bill(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    for _ in range(2):
        upload = await client.http.post("/files", files={"content": b"abc"})
        await client.create({**inputs, "image": upload.json()["urls"]["get"]})
    one, two = provider.bill
    assert one.digest == two.digest


async def test_requests_are_counted_by_call(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    made = await client.made(inputs)
    await client.get(made["id"])
    await client.http.get("/predictions")
    await client.http.post(f"/predictions/{made['id']}/cancel")
    for path in ("/files", "/account", "/models/a/b", "/nowhere"):
        await client.http.get(path)
    await client.fetch(made["output"][0])
    assert provider.requests == dict.fromkeys(
        ("create", "get", "list", "cancel", "files", "account", "model", "other", "output"), 1
    )


async def test_without_a_token_everybody_is_let_in(start: Start, connect: Connect) -> None:
    client = connect(await start(token=None))
    del client.http.headers["Authorization"]
    assert (await client.http.get("/account")).status_code == 200


async def test_stopping_lets_go_of_those_who_wait(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(latency=600)
    waiting = asyncio.create_task(connect(provider).create(inputs, headers={"Prefer": "wait"}))
    await provider.until(lambda: provider.billed == 1)
    await provider.stop()
    assert (await waiting).status_code == 202


async def test_a_hundred_at_once_are_each_made_once(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    answers = await asyncio.gather(*(client.made({**inputs, "seed": n + 1}) for n in range(100)))
    assert len({body["id"] for body in answers}) == provider.billed == 100
    assert {body["status"] for body in answers} == {"succeeded"}


PROGRAM = """
import asyncio, pathlib, sys
from batchfill.emulator.emulator_server import serve_emulator as serve
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

        tasks.start_soon(lambda: serve_emulator(tmp_path, on_ready=on_ready))
        await ready.wait()
        async with httpx.AsyncClient(timeout=HANGS) as client:
            assert (await client.get(f"{told[0]}/account")).status_code == 200
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("below", ["", "folder"])
async def test_a_folder_that_cannot_be_had_is_a_usage_error(tmp_path: Path, below: str) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"a file")
    with pytest.raises(UsageError, match=r"taken.* cannot be used: .*; give a folder that can be written"):
        await serve_emulator(taken / below, on_ready=lambda _: None)


async def test_a_port_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener:
        in_use = rf"on 127\.0\.0\.1 port {port} \(Address already in use\): give another --port"
        with pytest.raises(UsageError, match=in_use):
            await serve_emulator(tmp_path, port=port, on_ready=lambda _: None)


def test_every_answered_create_is_known_after_a_kill(tmp_path: Path, inputs: Mapping[str, Any]) -> None:
    def started(latency: float) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(latency)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    process, base = started(600)
    with process, httpx.Client(base_url=base, timeout=HANGS) as client:
        made = [
            client.post(f"/models/{DEV}/predictions", json={"input": {**inputs, "seed": n}}).json()["id"]
            for n in range(1, 6)
        ]
        process.kill()
    assert [line.prediction_id for line in read_bill(tmp_path)] == made
    process, base = started(0)
    with process, httpx.Client(base_url=base, timeout=HANGS) as client:
        body = client.post(f"/models/{DEV}/predictions", json={"input": inputs}, headers={"Prefer": "wait"})
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
        answers = [await client.post(f"/models/{DEV}/predictions", json={"input": inputs}) for _ in range(3)]
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
        answers = [await client.post(f"/models/{DEV}/predictions", json={"input": inputs}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
