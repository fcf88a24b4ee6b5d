"""The relay of a simulated night does what it is told: else its nights would prove nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.chaos.nights.relay import CLOCKS, DATES, LISTS, Relay

NOW = 1_800_000_100.0
LIST = httpx.Request("GET", "http://127.0.0.1:1/v1/predictions")


def made(n: int) -> dict[str, Any]:
    given = {"prompt": "a cat", "seed": n}
    return {"id": f"p{n}", "created_at": f"2027-01-15T08:01:0{n}.000Z", "input": given, "logs": ""}


async def shown(relay: Relay, **params: str) -> list[dict[str, Any]]:
    """Return what the program sees of three predictions, made 39, 38 and 37 seconds ago."""
    body = {"results": [made(n) for n in (3, 2, 1)], "next": None}
    request = httpx.Request("GET", LIST.url, params=params)
    answer = httpx.Response(200, json=body, headers={"Date": "Fri, 15 Jan 2027 08:01:40 GMT"})
    told = await relay.answered(request, answer, NOW)
    results: list[dict[str, Any]] = json.loads(await told.aread())["results"]
    return results


@pytest.mark.parametrize("lists", LISTS)
async def test_every_kind_of_list_differs_from_the_whole_one(lists: str) -> None:
    whole = await shown(Relay())
    other = await shown(Relay(lists=lists, many={"recent": 0, "newest": 2, "shuffled": 1}.get(lists, 4)))
    assert (other == whole) == (lists == "whole")


@pytest.mark.parametrize("clock", CLOCKS)
async def test_every_kind_of_clock_differs_from_the_true_one(clock: str) -> None:
    true = [item["created_at"] for item in await shown(Relay(off=-5.0))]
    other = [item.get("created_at") for item in await shown(Relay(clock=clock, off=-5.0))]
    assert (other == true) == (clock == "true")


@pytest.mark.parametrize("date", DATES)
async def test_every_kind_of_date_differs_from_the_true_one(date: str) -> None:
    relay = Relay(date=date, off=60.0)
    answer = httpx.Response(404, headers={"Date": "Fri, 15 Jan 2027 08:01:40 GMT"})
    told = (await relay.answered(LIST, answer, NOW)).headers.get("date")
    assert (told == "Fri, 15 Jan 2027 08:01:40 GMT") == (date == "true")


async def test_a_window_is_asked_for_in_the_time_of_the_records() -> None:
    window = {"created_after": "2027-01-15T08:01:02.500Z"}
    assert [item["id"] for item in await shown(Relay(), **window)] == ["p3"]
    assert await shown(Relay(clock="shifted", off=-60.0), **window) == []
    assert len(await shown(Relay(clock="local", off=-60.0), **window)) == 1
