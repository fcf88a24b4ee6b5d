from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.emulator.faults.failures import ERRORS
from batchfill.emulator.faults.rules import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchfill.emulator.emulator_server import EmulatorServer

    Start = Callable[..., Awaitable[EmulatorServer]]
    Connect = Callable[[EmulatorServer], Any]


NEVER_STARTS = Fault("create", "never_starts")


@pytest.mark.parametrize(
    ("kind", "options", "ending", "error"),
    [
        ("fail", {"error": "CUDA out of paint"}, "failed", "CUDA out of paint"),
        ("fail", {}, "failed", ERRORS["E9828"]),
        ("nsfw", {}, "failed", "NSFW content detected. Try running it again, or try a different prompt."),
        ("aborted", {}, "aborted", None),
    ],
)
async def test_a_prediction_may_be_fated(
    start: Start,
    connect: Connect,
    inputs: Mapping[str, Any],
    kind: str,
    options: dict[str, Any],
    ending: str,
    error: str | None,
) -> None:
    client = connect(await start(faults=Faults([Fault("create", kind, options=options)])))
    body = await client.made(inputs)
    assert (body["status"], body["error"], body["output"]) == (ending, error, None)


async def test_every_documented_error_has_a_name(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    rules = [
        Fault("create", "fail", at=frozenset({n}), options={"error": name})
        for n, name in enumerate(ERRORS, 1)
    ]
    client = connect(await start(tiny=True, faults=Faults(rules)))
    assert [(await client.made(inputs))["error"] for _ in ERRORS] == list(ERRORS.values())


async def test_outputs_may_be_left_out_but_one(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(tiny=True, faults=Faults([Fault("create", "fewer", options={"count": 3})])))
    assert len((await client.made({**inputs, "num_outputs": 4}))["output"]) == 1
    assert len((await client.made({**inputs, "num_outputs": 2}))["output"]) == 1


async def test_a_stuck_prediction_ends_by_its_deadline(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(faults=Faults([Fault("create", "stuck")]))
    client = connect(provider)
    id_ = (await client.create(inputs, headers={"Cancel-After": "5"})).json()["id"]
    await provider.until(lambda: provider.predictions()[0].status == "processing")
    await provider.stop()
    later = await start(faults=Faults(clock_skew=10))
    assert (await later.wait(id_)).status == "canceled"


@pytest.mark.parametrize(("latency", "rules"), [(600, []), (0, [NEVER_STARTS])])
async def test_a_deadline_before_the_start_aborts(
    start: Start, connect: Connect, inputs: Mapping[str, Any], latency: int, rules: list[Fault]
) -> None:
    provider = await start(tiny=True, latency=latency, faults=Faults(rules))
    client = connect(provider)
    id_ = (await client.create(inputs, headers={"Cancel-After": "5"})).json()["id"]
    assert (await client.get(id_))["status"] == "starting"
    await provider.stop()
    later = await start(latency=600, faults=Faults(clock_skew=10))
    assert (await later.wait(id_)).status == "aborted"


async def test_what_never_starts_is_canceled_at_no_cost(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True, faults=Faults([NEVER_STARTS]))
    client = connect(provider)
    id_ = (await client.create(inputs)).json()["id"]
    canceled = (await client.http.post(f"/predictions/{id_}/cancel")).json()
    assert (canceled["status"], "started_at" in canceled) == ("canceled", False)
    assert [charge.paid for charge in provider.bill] == [False]


async def test_a_cancel_may_lose_to_success(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True, latency=0.2, faults=Faults([Fault("cancel", "loses")]))
    client = connect(provider)
    id_ = (await client.create(inputs)).json()["id"]
    answer = await client.http.post(f"/predictions/{id_}/cancel")
    assert answer.status_code == 200
    assert answer.json()["status"] in ("starting", "processing")
    assert (await provider.wait(id_)).status == "succeeded"


async def test_outputs_may_have_expired_when_they_are_first_heard_of(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(tiny=True, faults=Faults([Fault("get", "expired")])))
    id_ = (await client.made(inputs))["id"]
    body = await client.get(id_)
    assert (body["status"], body["output"], body["data_removed"]) == ("succeeded", None, True)


async def test_what_still_runs_does_not_expire(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(tiny=True, latency=600, faults=Faults([Fault("get", "expired")])))
    id_ = (await client.create(inputs)).json()["id"]
    assert (await client.get(id_))["data_removed"] is False


@pytest.mark.parametrize("kind", ["garbage", "html", "wrong_length", "slow", "expired", "cut", "status"])
async def test_an_output_may_be_spoilt(
    start: Start, connect: Connect, inputs: Mapping[str, Any], kind: str
) -> None:
    options: dict[str, dict[str, Any]] = {"status": {"status": 404}, "slow": {"seconds": 0.01}}
    rule = Fault("output", kind, times=1, options=options.get(kind, {}))
    client = connect(await start(faults=Faults([rule])))
    body = await client.made(inputs)
    url = body["output"][0]
    if kind == "cut":
        with pytest.raises(httpx.RemoteProtocolError):
            await client.fetch(url)
        return
    first, second = await client.fetch(url), await client.fetch(url)
    if kind == "expired":
        assert (first.status_code, second.status_code) == (404, 404)
        assert (await client.get(body["id"]))["data_removed"] is True
        return
    assert second.content[:4] == b"RIFF"
    if kind == "garbage":
        assert len(first.content) == len(second.content)
    if kind == "wrong_length":
        assert len(first.content) == int(first.headers["Content-Length"]) == len(second.content) // 2
    assert (first.content == second.content) == (kind == "slow")
    assert first.status_code == (404 if kind == "status" else 200)
