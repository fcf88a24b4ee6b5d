"""Hostile and sloppy gateways against the three promises: nothing paid twice or lost, no token told."""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.errors import LedgerFailed
from batchfill.ledger.events import LedgerEvents
from batchfill.providers.replicate.client import Service
from tests.support.bounds import HANGS
from tests.support.providers import TOKEN
from tests.support.raw_gateway import NOT_FOUND, Open, RawGateway, answer, picture

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = answer(b"<!doctype html><title>New API</title>", content_type="text/html")
DATA = f"data:image/webp;base64,{b64encode(picture()).decode()}"


def named(id_: str, n: int) -> Any:
    """Answer a create with an id that has to be confirmed."""
    return {"task_id": id_, "status": "starting"}


def listed(it: Any, ids: list[str]) -> Any:
    return {"next": None, "previous": None, "results": [it.succeeded(id_) for id_ in ids]}


@pytest.mark.parametrize("status", ["500 Error", "403 Forbidden"])
async def test_an_id_that_cannot_be_asked_for_keeps_no_other_row_from_being_found(
    raw_gateway: Open, night: Any, states: Any, status: str
) -> None:
    it = await raw_gateway()
    answers: dict[str, Any] = {"p1": named("p1", 1), "p2": named("p2", 1), "p3": None}
    it.replies["create"] = lambda id_, n: answers[id_]
    it.replies["list"] = lambda id_, n: listed(it, ["p3"])
    tries: list[str] = []

    def get(id_: str, n: int) -> Any:
        tries.append(id_)
        if id_ == "p1" or (id_ == "p2" and tries.count("p2") == 1):
            return answer({"error": "no"}, status)
        return it.succeeded(id_)

    it.replies["get"] = get
    made = night(it, 3, concurrency=3, doubt=True)
    await made.run()
    assert states(made) == {"r1": "in_doubt", "r2": "done", "r3": "done"}
    assert it.creates == 3


async def test_an_id_that_is_none_is_looked_up_in_the_list_by_its_seed(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway(create=lambda id_, n: {"request_id": f"req-{id_}", "message": "ok"})
    it.replies["get"] = lambda id_, n: None if id_ == "x" else answer({"detail": "none"}, NOT_FOUND)
    it.replies["list"] = lambda id_, n: listed(it, [f"p{k}" for k in range(1, len(it.inputs) + 1)])
    it.replies["get"] = lambda id_, n: (
        answer({"detail": "none"}, NOT_FOUND) if id_.startswith("req") else it.succeeded(id_)
    )
    made = night(it)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "done"}, 1)


async def test_a_page_after_a_create_proves_nothing_where_predictions_can_be_asked_for(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway(create=PAGE)
    it.replies["/account"] = PAGE
    made = night(it, doubt=True)
    for _ in range(3):
        await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


async def test_words_that_were_cut_prove_nothing(raw_gateway: Open, night: Any, states: Any) -> None:
    whole = json.dumps({"error": {"message": "No available channels (retry 3)", "id": "x"}}).encode()
    cut = answer(whole[:46], "503 Unavailable", content_length=str(len(whole)))
    it = await raw_gateway(create=cut)
    made = night(it, doubt=True)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


async def test_a_bomb_that_was_cut_ends_nothing(raw_gateway: Open, night: Any, states: Any) -> None:
    bomb = gzip.compress(b"[" + b" " * 40_000_000)
    it = await raw_gateway(
        create=answer(bomb, "201 Created", content_encoding="gzip", content_length="9999999")
    )
    made = night(it, doubt=True)
    summary = await made.run()
    assert "unexpected" not in (summary.stopped_because or "")
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32-be"])
async def test_the_token_is_found_in_text_of_wide_characters(
    raw_gateway: Open, night: Any, coding: str
) -> None:
    it = await raw_gateway()
    it.replies["get"] = lambda id_, n: answer(
        json.dumps(it.created(id_, status="failed", error=f"bad key {TOKEN}")).encode(coding)
    )
    made = night(it, attempts=1)
    await made.run()
    found = next(iter(made.results()))
    assert found.error == "bad key ***"


async def test_a_lost_answer_with_an_error_status_is_kept_without_signatures(
    raw_gateway: Open, night: Any
) -> None:
    told = (
        rb'{"note":"odd","see":"https:\/\/cdn.example\/out\/p.webp?Signature=s3cret","b":"/out/a?sig=s3cret"}'
    )
    it = await raw_gateway(create=answer(told, "500 Internal Server Error"))
    made = night(it)
    await made.run()
    kept = made.status().doubts[0].answer
    assert kept is not None
    assert "odd" in kept
    assert "s3cret" not in kept


async def test_an_id_like_one_of_ours_is_not_taken_for_one(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway()
    it.replies["create"] = lambda id_, n: answer(it.created("unnamed-7-1"), "201 Created")
    made = night(it, doubt=True)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


async def test_an_id_that_stands_in_an_address_alone_is_found(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it: RawGateway = await raw_gateway()
    it.replies["create"] = lambda id_, n: {
        "status": "starting",
        "urls": {"get": f"{it.base}/predictions/{id_}"},
    }
    made = night(it)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "done"}, 1)


async def test_pictures_in_an_answer_are_kept_with_its_id(
    raw_gateway: Open, night: Any, states: Any, crash: Callable[..., type[BaseException]]
) -> None:
    it = await raw_gateway(get=answer({"detail": "gone"}, NOT_FOUND))
    it.replies["create"] = lambda id_, n: answer(it.succeeded(id_, output=[DATA]), "201 Created")
    made = night(it)
    died = crash(LedgerEvents, "record_accepted", after=True)
    with pytest.raises((died, BaseExceptionGroup)):
        await made.run()
    await night(it).run()
    assert (states(made), it.creates) == ({"r1": "done"}, 1)


async def test_a_kill_between_an_unconfirmed_id_and_its_question_pays_nothing_twice(
    raw_gateway: Open, night: Any, states: Any, crash: Callable[..., type[BaseException]]
) -> None:
    it = await raw_gateway(create=named)
    it.replies["get"] = lambda id_, n: it.succeeded(id_)
    died = crash(Service, "get")
    with pytest.raises((died, BaseExceptionGroup)):
        await night(it).run()
    made = night(it)
    assert made.status().counts[RowState.SUBMITTING] == 1
    await made.run()
    assert (states(made), it.creates) == ({"r1": "done"}, 1)


async def test_an_id_that_the_ledger_cannot_note_is_told(
    raw_gateway: Open, night: Any, monkeypatch: pytest.MonkeyPatch, ears: Any
) -> None:
    async def fail(*_: Any) -> Any:
        raise LedgerFailed("the disk is gone")

    monkeypatch.setattr(LedgerEvents, "record_unconfirmed", fail)
    it = await raw_gateway(create=named)
    summary = await night(it, 2, concurrency=1).run(watch=ears)
    assert (summary.exit_code, it.creates) == (3, 1)
    assert "r1: accepted as p1, which the ledger could not note" in ears.texts


async def test_a_service_that_throttles_every_look_has_its_row_in_doubt_after_its_time(
    raw_gateway: Open, night: Any, states: Any, later: Any
) -> None:
    it = await raw_gateway()
    it.replies["get"] = lambda id_, n: (later(10), answer({"detail": "slow"}, "429 Slow", retry_after="0"))[1]
    made = night(it, prediction_timeout=5, doubt=True)
    async with asyncio.timeout(HANGS):
        await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


async def test_a_question_that_is_held_up_does_not_hold_up_a_stop(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    asked = asyncio.Event()
    it = await raw_gateway(create=named)

    def get(id_: str, n: int) -> Any:
        if id_ in ("p1", "p2"):
            return it.succeeded(id_)
        asked.set()
        return answer({"detail": "slow down"}, "429 Slow", retry_after="3600")

    it.replies["get"] = get
    made = night(it, 12, concurrency=12, doubt=True)
    running = asyncio.ensure_future(made.run())
    await asked.wait()
    made.stop()
    async with asyncio.timeout(HANGS):
        summary = await running
    assert summary.exit_code == 3
    assert it.creates == len(it.inputs)
    assert set(states(made).values()) <= {"done", "pending", "submitting", "running", "collecting"}
