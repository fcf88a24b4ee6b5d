from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.local import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchfill.local import Provider

    Start = Callable[..., Awaitable[Provider]]
    Connect = Callable[[Provider], Any]


def struck(faults: Faults, call: str, count: int) -> list[int]:
    return [place for place in range(1, count + 1) if faults.strike(call)]


def status(status: int, **options: Any) -> Fault:
    return Fault("create", "status", options={"status": status, **options})


@pytest.mark.parametrize(
    ("call", "kind", "options", "message"),
    [
        ("creat", "cut", {}, "unknown call 'creat'"),
        ("create", "explode", {}, "unknown fault 'explode'"),
        ("get", "stuck", {}, "the fault stuck does not exist for the call get"),
        ("output", "invalid_json", {}, "does not exist for the call output"),
        ("get", "delay", {"minutes": 1}, "the fault delay has no option minutes"),
        ("get", "status", {}, "needs the option status"),
    ],
)
def test_what_does_not_exist_is_refused(call: str, kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(call, kind, options=options)


def test_positions_count_the_requests_of_one_call() -> None:
    faults = Faults([Fault("get", "cut", at=frozenset({2, 5}))])
    faults.strike("create")
    assert struck(faults, "get", 6) == [2, 5]


def test_a_fault_may_begin_late_and_end_early() -> None:
    assert struck(Faults([Fault("get", "cut", first=3, times=2)]), "get", 9) == [3, 4]


def test_chance_is_the_same_for_the_same_seed() -> None:
    rule = Fault("get", "cut", probability=0.5)
    hits = struck(Faults([rule], seed=1), "get", 200)
    assert hits == struck(Faults([rule], seed=1), "get", 200)
    assert hits != struck(Faults([rule], seed=2), "get", 200)
    assert 60 < len(hits) < 140


def test_rules_come_and_go_while_it_runs() -> None:
    faults = Faults()
    assert struck(faults, "get", 2) == []
    faults.add(Fault("get", "cut", at=frozenset({3})))
    assert len(faults.strike("get")) == 1
    faults.clear()
    assert faults.strike("get") == ()


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


@pytest.mark.parametrize(("kind", "billed"), [("reset_before", 0), ("reset_after", 1)])
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


@pytest.mark.parametrize(
    ("kind", "options", "ending", "error"),
    [
        ("fail", {"error": "CUDA out of memory"}, "failed", "CUDA out of memory"),
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


async def test_a_deadline_before_the_start_aborts(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(latency=600)
    id_ = (await connect(provider).create(inputs, headers={"Cancel-After": "5"})).json()["id"]
    await provider.stop()
    later = await start(latency=600, faults=Faults(clock_skew=10))
    assert (await later.wait(id_)).status == "aborted"


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


async def test_the_clock_may_be_off(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    client = connect(await start(faults=Faults(clock_skew=-100 * 86400), tiny=True))
    right = connect(await start("right", tiny=True))
    late, now = await client.create(inputs), await right.create(inputs)
    assert late.json()["created_at"] < now.json()["created_at"]
    assert late.headers["Date"] != now.headers["Date"]
