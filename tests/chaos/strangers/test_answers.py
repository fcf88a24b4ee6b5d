"""What a service answers that is broken, or that hates us: rows say so, and nothing else is harmed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.providers.pagination import window_query
from batchfill.providers.parsing import read_moment
from batchfill.providers.status_codes import read_http_date
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Between = Callable[..., Awaitable[str]]
    Check = Callable[[Batch], None]

ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.exe\u2028\x9b31m\x00"


def answered(call: str, body: object, **options: Any) -> Fault:
    """Return the fault that makes every *call* take effect and answers it with *body*."""
    return Fault(call, "status", options={"status": 201, "late": True, "body": body}, **options)


# What an answer names


IDS = [
    "../../../etc/passwd",
    "a/../b",
    "..",
    "a\nX-Header: b",
    "a\0b",
    ESCAPES,
    "x" * 2**20,
    {"id": "p"},
    "",
]


async def test_an_id_that_cannot_be_used_is_a_lost_answer(
    service: Serve, batch: Open, ears: Any, harmless: Check
) -> None:
    # Every other create is accepted, so that creates do not slow down.
    faults = [answered("create", {"id": id_}, at=frozenset({2 * n})) for n, id_ in enumerate(IDS, 1)]
    provider = await service(faults=Faults(faults))
    night = batch(provider, 2 * len(IDS), concurrency=1, **SOON)
    assert (await night.run(watch=ears)).exit_code == 0
    # All were made, and the list shows by which ids.
    assert sum("its lost submission was found" in text for text in ears.texts) == len(IDS)
    assert provider.billed == 2 * len(IDS)
    harmless(night)


async def test_an_id_that_two_rows_are_given_is_the_first_ones(
    service: Serve, batch: Open, between: Between, ears: Any, harmless: Check
) -> None:
    provider = await service()
    given: list[str] = []

    def alter(call: str, value: dict[str, Any]) -> Any:
        if call == "create":
            given.append(value["id"])
            return {**value, "id": given[0]}
        return value

    night = batch(await between(provider, alter), 3, concurrency=1, **SOON)
    assert (await night.run(watch=ears)).exit_code == 0
    assert len({result.prediction_id for result in night.results()}) == 3
    assert provider.billed == 3
    harmless(night)


@pytest.mark.parametrize("fixed", [{}, {"seed": "7"}], ids=["own seeds", "one seed for all"])
async def test_an_answer_about_another_prediction_is_not_taken_for_ones_own(
    service: Serve, batch: Open, between: Between, desk: Any, ears: Any, harmless: Check, fixed: Any
) -> None:
    provider = await service()
    confused = asyncio.Event()
    first: dict[str, Any] = {}

    def alter(call: str, value: dict[str, Any]) -> Any:
        if call != "get" or value.get("status") != "succeeded":
            return value
        if not first:
            first.update(value)
        elif not confused.is_set() and value["id"] != first["id"]:
            # A cache that forgot whose answer it holds.
            confused.set()
            return first
        return value

    night = batch(await between(provider, alter), desk.rows(3, **fixed))
    assert (await night.run(watch=ears)).exit_code == 0
    assert confused.is_set()
    assert f"the service answered with {first['id']}" in (night.folder / "run.log").read_text("utf-8")
    with_urls = {record.id for record in provider.predictions()}
    assert {result.prediction_id for result in night.results()} == with_urls
    harmless(night)


async def test_a_gateway_may_call_a_prediction_by_another_name_when_asked(
    service: Serve, batch: Open, between: Between
) -> None:
    provider = await service()

    def alter(call: str, value: dict[str, Any]) -> Any:
        return {**value, "id": f"upstream-{value['id']}"} if call == "get" else value

    assert (await batch(await between(provider, alter), 2).run()).exit_code == 0


# What it says


async def test_what_a_service_says_cannot_command_a_terminal(
    service: Serve, batch: Open, desk: Any, batchfill: Any
) -> None:
    provider = await service(
        faults=Faults(
            [
                Fault("create", "fail", at=frozenset({1}), options={"error": f"no {ESCAPES} way"}),
                Fault(
                    "create",
                    "status",
                    at=frozenset({2}),
                    options={"status": 422, "body": {"detail": ESCAPES + "no"}},
                ),
            ]
        )
    )
    desk.write(desk.rows(2))
    ran = await batchfill("run", "night.csv", "--base-url", provider.base, "--concurrency", 1)
    assert ran.code == 1
    for text in (ran.err, ran.out, (await batchfill("results", "night.csv")).out):
        assert not set(text) & {"\x1b", "\x07", "\x9b", "\0", "\u202e", "\u2028"}, text


async def test_ten_megabytes_of_logs_and_ten_thousand_outputs_are_no_obstacle(
    service: Serve, batch: Open, between: Between, ears: Any, harmless: Check
) -> None:
    provider = await service()

    def alter(call: str, value: dict[str, Any]) -> Any:
        if call != "get" or not value.get("output"):
            return value
        return {**value, "logs": "step, " * 1_700_000, "output": value["output"] + ["nonsense"] * 9_999}

    night = batch(await between(provider, alter), 1)
    summary = await night.run(watch=ears)
    assert summary.counts[RowState.DONE] == 1
    (row,) = night.results()
    assert len(row.outputs) == 1
    assert row.error is None, "it has what it asked for"
    harmless(night)


BODIES = [
    "[" * 100_000,
    '{"id":' * 5_000,
    '{"id": "p", "x": ' + "9" * 100_000 + "}",
    '{"id": 1e999, "status": NaN}',
    '{"results": ' + "[" * 900 + "]" * 900 + "}",
    "{" + '"a":[],' * 1_100_000 + '"id":"p"}',
    "<title>" * 9_000,
    '{"detail": "\\ud800"}',
    '{"invalid_fields": [{"field": ' + "[" * 800 + "]" * 800 + "}]}",
    "\0" * 1000,
]


@pytest.mark.parametrize(("status", "bodies"), [(200, BODIES), (500, BODIES[-4:])], ids=["200", "500"])
async def test_an_answer_that_cannot_be_understood_is_asked_for_again(
    service: Serve, batch: Open, ears: Any, harmless: Check, status: int, bodies: list[str]
) -> None:
    rules = [
        Fault(
            call,
            "status",
            at=frozenset({2 * n}),
            options={"status": status, "late": True, "body": body, "content_type": "application/json"},
        )
        for n, body in enumerate(bodies, 1)
        for call in (["create", "get"] if n > 1 else ["create", "get", "list"])
    ]
    provider = await service(faults=Faults(rules))
    night = batch(provider, 2 * len(bodies), concurrency=1, **SOON)
    assert (await night.run(watch=ears)).exit_code == 0
    assert provider.billed == 2 * len(bodies)
    harmless(night)


@pytest.mark.parametrize(
    ("moment", "date"),
    [
        ("0001-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:01 GMT"),
        ("9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("1969-12-31T00:00:00+14:00", "Mon, 99 Foo 0000"),
    ],
)
async def test_times_that_cannot_be_stop_neither_following_nor_recovery(
    service: Serve, batch: Open, between: Between, moment: str, date: str
) -> None:
    provider = await service()
    creates: list[str] = []

    def alter(call: str, value: dict[str, Any]) -> Any:
        if call == "create":
            creates.append(value["id"])
            if len(creates) == 2:
                return web.Response(status=500, headers={"Date": date})
        if call in ("create", "get"):
            value = {
                **value,
                "created_at": moment,
                "completed_at": value.get("completed_at") and "2026-01-01T00:00:00Z",
            }
        return web.json_response(value, headers={"Date": date})

    night = batch(await between(provider, alter), 3, concurrency=1, **SOON)
    summary = await night.run()
    # Whether the lost one can be found depends on the times; the others do not.
    assert summary.counts[RowState.DONE] + summary.counts[RowState.IN_DOUBT] == 3
    assert summary.counts[RowState.DONE] >= 2
    assert provider.billed == 3


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00+99:99"],
)
def test_a_time_that_no_service_can_mean_is_none(text: str) -> None:
    assert read_moment(text) is None


@pytest.mark.parametrize(
    "text", ["Mon, 01 Jan 0100 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 99 Foo 0000"]
)
def test_a_date_that_no_clock_can_show_is_none(text: str) -> None:
    assert read_http_date(text) is None


def test_a_window_begins_no_earlier_than_time_itself() -> None:
    assert window_query(-300.0, None) == {"created_after": "1970-01-01T00:00:00.000Z"}


# A list that leads nowhere


@pytest.mark.parametrize("cursor", ["same", "x" * 100_000], ids=["the same", "long"])
async def test_a_list_whose_next_page_leads_nowhere_leaves_its_row_in_doubt(
    service: Serve, batch: Open, between: Between, cursor: str
) -> None:
    provider = await service(faults=Faults([Fault("create", "reset_after", times=1)]))

    def alter(call: str, value: dict[str, Any]) -> Any:
        if call == "list":
            return {"results": [], "next": f"https://x/y?cursor={cursor}"}
        return value

    night = batch(await between(provider, alter), 2, concurrency=1, **SOON)
    summary = await night.run()
    assert (summary.counts[RowState.DONE], summary.counts[RowState.IN_DOUBT]) == (1, 1)
    assert provider.requests["list"] < 50


async def test_a_list_too_long_to_be_read_leaves_its_row_in_doubt(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    monkeypatch.setattr("batchfill.providers.replicate.client.LONGEST_PAGE", 10)
    provider = await service(faults=Faults([Fault("create", "reset_after", times=1)]))
    night = batch(provider, 1, **SOON)
    assert (await night.run()).counts[RowState.IN_DOUBT] == 1
    assert "the answer is longer than" in result(night).error


# The wire itself


async def flood_of_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2**20 + b"\r\n\r\n")
    await writer.drain()


async def many_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n")
    await writer.drain()


async def never_begins(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def dribbles(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def bad_chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n")
    await writer.drain()


async def two_lengths(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: -1\r\n\r\n{}")
    await writer.drain()


async def escapes(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 \x1b[2J\x07\r\n\x1b[31m: x\r\n\r\n{}")
    await writer.drain()


@pytest.mark.parametrize("script", [two_lengths, escapes])
async def test_a_head_that_is_mended_brings_nothing_along_that_harms(
    batch: Open, peer: Between, harmless: Check, script: Any
) -> None:
    night = batch(f"{await peer(script)}/v1", 1, **SOON)
    assert (await night.run()).counts[RowState.IN_DOUBT] == 1
    harmless(night)


@pytest.mark.parametrize("script", [flood_of_headers, many_headers, never_begins, dribbles, bad_chunks])
async def test_an_answer_that_is_no_http_is_one_line_that_says_so(
    batch: Open, peer: Between, monkeypatch: pytest.MonkeyPatch, script: Any
) -> None:
    monkeypatch.setattr("batchfill.providers.requests._whole_timeout", lambda timeout: 0.3)
    with pytest.raises(Exception, match="does not answer") as caught:
        await batch(f"{await peer(script)}/v1", 1).run()
    assert type(caught.value).__name__ == "UsageError"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
