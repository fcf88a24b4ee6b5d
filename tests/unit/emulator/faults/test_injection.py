from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.emulator.faults.kinds import CALLS, OPTIONS
from batchfill.emulator.faults.rules import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchfill.emulator.emulator_server import EmulatorServer

    Start = Callable[..., Awaitable[EmulatorServer]]
    Connect = Callable[[EmulatorServer], Any]


SHORT: dict[str, dict[str, Any]] = {
    "status": {"status": 502, "late": True},
    **{kind: {"seconds": 0.01} for kind in ("delay", "slow", "taken_late")},
}
"""Options without which a fault is none, or takes long."""


def knows(call: str, kind: str) -> bool:
    """Whether the fault exists for that call."""
    try:
        Fault(call, kind, options=SHORT.get(kind, {}))
    except ValueError:
        return False
    return True


def status(status: int, **options: Any) -> Fault:
    return Fault("create", "status", options={"status": status, **options})


@pytest.mark.parametrize("wanted", [401, 402, 403, 404, 422, 500])
async def test_a_status_has_its_documented_body_and_makes_nothing(
    start: Start, connect: Connect, inputs: Mapping[str, Any], wanted: int
) -> None:
    provider = await start(faults=Faults([status(wanted)]))
    answer = await connect(provider).create(inputs)
    assert (answer.status_code, answer.json()["status"]) == (wanted, wanted)
    assert answer.json()["detail"]
    assert provider.billed == 0


async def test_a_502_is_a_page(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    answer = await connect(await start(faults=Faults([status(502)]))).create(inputs)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert "<h1>502 Bad Gateway</h1>" in answer.text


async def test_any_body_and_header_can_be_answered(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    body = {"error": {"message": "no quota", "type": "new_api_error", "code": ""}}
    rules = [status(503, body=body, headers={"X-Gateway": "1"}), status(302, body="moved")]
    for rule in rules:
        answer = await connect(await start(str(rule.options["status"]), faults=Faults([rule]))).create(inputs)
        assert answer.status_code == rule.options["status"]
    assert answer.text == "moved"


@pytest.mark.parametrize(
    ("form", "header", "text"),
    [
        ("resets", None, "Your rate limit resets in ~7s."),
        ("retry_after", None, '"retry_after": 7'),
        ("available", None, "Expected available in 7 second."),
        (
            "low_credit",
            None,
            "6 requests per minute with a burst of 1 requests while you have less than $5.0",
        ),
        ("header", "7", "throttled"),
        ("date", r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "throttled"),
        ("bare", None, "throttled"),
    ],
)
async def test_a_429_has_every_documented_form(
    start: Start, connect: Connect, inputs: Mapping[str, Any], form: str, header: str | None, text: str
) -> None:
    answer = await connect(await start(faults=Faults([status(429, form=form, seconds=7)]))).create(inputs)
    assert answer.status_code == 429
    assert text in answer.text
    told = answer.headers.get("Retry-After")
    assert told is None if header is None else re.fullmatch(header, told)


async def test_a_late_status_hides_a_prediction_that_was_made(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(faults=Faults([status(500, late=True)]))
    assert (await connect(provider).create(inputs)).status_code == 500
    assert provider.billed == 1


@pytest.mark.parametrize(("kind", "billed"), [("down", 0), ("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_comes_before_or_after_the_effect(
    start: Start, connect: Connect, inputs: Mapping[str, Any], kind: str, billed: int
) -> None:
    provider = await start(faults=Faults([Fault("create", kind)]))
    with pytest.raises((httpx.ReadError, httpx.WriteError)):
        await connect(provider).create(inputs)
    assert (provider.billed, provider.creates_seen) == (billed, 1)


async def test_a_delayed_answer_is_lost_to_who_cannot_wait(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True, faults=Faults([Fault("create", "delay", options={"seconds": 600})]))
    asking = asyncio.create_task(connect(provider).create(inputs))
    await provider.until(lambda: provider.billed == 1)
    assert not asking.done()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def test_a_create_may_be_taken_when_whoever_asked_has_gone(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    late = Fault("create", "taken_late", options={"seconds": 0.1})
    provider = await start(tiny=True, faults=Faults([late]))
    client = connect(provider)
    asking = asyncio.create_task(client.create(inputs))
    await provider.until(lambda: provider.creates_seen == 1)
    assert provider.billed == 0
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    await client.http.aclose()
    await provider.until(lambda: provider.billed == 1)


async def test_a_provider_that_stops_takes_nothing_late(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    late = Fault("create", "taken_late", options={"seconds": 600})
    provider = await start(tiny=True, faults=Faults([late]))
    asking = asyncio.create_task(connect(provider).create(inputs))
    await provider.until(lambda: provider.creates_seen == 1)
    await provider.stop()
    with pytest.raises(httpx.TransportError):
        await asking
    assert provider.billed == 0


@pytest.mark.parametrize(
    ("call", "path"), [("list", "/predictions"), ("files", "/files"), ("account", "/account")]
)
async def test_a_call_may_be_missing(start: Start, connect: Connect, call: str, path: str) -> None:
    missing = [Fault(call, "missing", times=1), Fault(call, "missing", options={"status": 405})]
    client = connect(await start(faults=Faults(missing)))
    assert [(await client.http.get(path)).status_code for _ in range(2)] == [404, 405]


async def test_a_cut_answer_ends_in_the_middle(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(faults=Faults([Fault("create", "cut")]))
    with pytest.raises(httpx.RemoteProtocolError):
        await connect(provider).create(inputs)
    assert provider.billed == 1


async def test_an_answer_may_be_no_json_or_lack_its_id(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    rules = [Fault("create", "invalid_json", at=frozenset({1})), Fault("create", "no_id", at=frozenset({2}))]
    provider = await start(faults=Faults(rules))
    client = connect(provider)
    broken = await client.create(inputs)
    with pytest.raises(ValueError, match="Expecting"):
        broken.json()
    nameless = await client.create(inputs)
    assert nameless.status_code == 201
    assert "id" not in nameless.json()
    assert provider.billed == 2


async def test_no_faults_together_break_the_provider(
    start: Start, connect: Connect, inputs: Mapping[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    every = [
        Fault(call, kind, probability=0.2, options=SHORT.get(kind, {}))
        for kind in OPTIONS
        for call in CALLS
        if knows(call, kind)
    ]
    provider = await start(tiny=True, faults=Faults(every, seed=3))
    client = connect(provider)
    asked = 0
    for number in range(25):
        made = provider.predictions()
        id_ = made[-1].id if made else "none"
        calls = [
            client.create({**inputs, "num_outputs": 2}),
            client.http.get(f"/predictions/{id_}"),
            client.http.get("/predictions"),
            client.http.post("/files", files={"content": b"abc"}),
            client.http.get(f"{provider.outputs_base}/outputs/{id_}/out-0.webp"),
            client.http.post(f"/predictions/{id_}/cancel" if number % 5 == 0 else "/nowhere"),
        ]
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(answer, httpx.Response | httpx.TransportError)
            asked += 1
    provider.faults.clear()
    assert (await client.http.get("/account")).status_code == 200
    assert (asked, caplog.text) == (150, "")
