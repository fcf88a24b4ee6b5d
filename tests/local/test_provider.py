from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batchfill.local import Fault, Faults, read_bill

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from batchfill.local import Provider

    Start = Callable[..., Awaitable[Provider]]
    Connect = Callable[[Provider], Any]


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
