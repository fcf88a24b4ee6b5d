from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchfill.emulator.faults.rules import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchfill.emulator.emulator_server import EmulatorServer

    Start = Callable[..., Awaitable[EmulatorServer]]
    Connect = Callable[[EmulatorServer], Any]


async def test_a_list_may_hide_and_add(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    id_ = (await client.made(inputs))["id"]

    async def listed(kind: str, **options: Any) -> list[dict[str, Any]]:
        provider.faults.clear()
        provider.faults.add(Fault("list", kind, options=options))
        return list((await client.http.get("/predictions")).json()["results"])

    assert await listed("empty") == []
    assert await listed("lagging", seconds=600) == []
    assert [item["input"] for item in await listed("without_inputs")] == [{}]
    crowd = await listed("strangers", count=2)
    assert [item["id"] == id_ for item in crowd] == [False, False, True]
    assert crowd[0]["input"]["prompt"] != inputs["prompt"]
    assert [item["id"] for item in await listed("strangers", count=2)] == [item["id"] for item in crowd]
    twin = {"prompt": inputs["prompt"], "seed": 3}
    assert (await listed("strangers", count=1, input=twin))[0]["input"] == twin


async def test_strangers_stand_where_what_is_made_now_would(start: Start, connect: Connect) -> None:
    client = connect(await start(faults=Faults([Fault("list", "strangers")])))
    past = await client.http.get("/predictions", params={"created_before": "2020-01-01T00:00:00Z"})
    assert past.json()["results"] == []
    assert len((await client.http.get("/predictions")).json()["results"]) == 3


async def test_a_list_may_leave_some_out(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    ids = [(await client.create(inputs)).json()["id"] for _ in range(40)][::-1]

    async def listed(**options: Any) -> list[str]:
        provider.faults.clear()
        provider.faults.add(Fault("list", "filtered", options=options))
        return [item["id"] for item in (await client.http.get("/predictions")).json()["results"]]

    assert await listed(count=3) == ids[3:]
    half = await listed(share=0.5)
    assert 5 < len(half) < 35
    assert half == [id_ for id_ in ids if id_ in half], "in their order"
    assert half == await listed(share=0.5), "the same ones each time"
    assert await listed(share=1) == []


async def test_a_list_by_a_clock_that_was_put_back_leaves_nothing_out(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    ahead = []
    for skew in (0, 300, -300, 0):
        provider.faults.clock_skew = skew
        made = (await client.create(inputs)).json()
        if skew >= 0:
            ahead.append(made["id"])
    now = provider.predictions()[0].created_at
    window = {"created_after": datetime.fromtimestamp(now, UTC).isoformat()}
    listed = (await client.http.get("/predictions", params=window)).json()["results"]
    assert [item["id"] for item in listed] == ahead[::-1]


async def test_the_clock_may_be_off(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    client = connect(await start(faults=Faults(clock_skew=-100 * 86400), tiny=True))
    right = connect(await start("right", tiny=True))
    late, now = await client.create(inputs), await right.create(inputs)
    assert late.json()["created_at"] < now.json()["created_at"]
    assert late.headers["Date"] != now.headers["Date"]
