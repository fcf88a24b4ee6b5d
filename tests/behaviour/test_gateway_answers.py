"""Answers to create, get and list that are not as Replicate's: what was paid for is understood, or kept."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import brotli
import pytest
import zstandard

from tests.support.raw_gateway import NOT_FOUND, PICTURES, Open, RawGateway, answer, picture

if TYPE_CHECKING:
    from collections.abc import Callable


def enveloped(value: Any) -> dict[str, Any]:
    """Return *value* as some gateways wrap it."""
    return {"code": 200, "message": "success", "data": value}


def created_with(**fields: str) -> Callable[[RawGateway], dict[str, Any]]:
    """Return replies whose create answer has these header fields."""
    return lambda it: {"create": lambda id_, n: answer(it.created(id_), "201 Created", **fields)}


def changed_body(
    change: Callable[[dict[str, Any]], Any], **fields: str
) -> Callable[[RawGateway], dict[str, Any]]:
    """Return replies whose create answer is what *change* makes of the right one."""
    return lambda it: {"create": lambda id_, n: answer(change(it.created(id_)), "201 Created", **fields)}


def raw_head(*lines: bytes) -> Callable[[RawGateway], dict[str, Any]]:
    """Return replies whose create answer has these lines in its head, besides a right Content-Length."""

    def make(it: RawGateway) -> dict[str, Any]:
        def create(id_: str, n: int) -> bytes:
            body = json.dumps(it.created(id_)).encode()
            length = b"Content-Length: %d" % len(body)
            head = [b"HTTP/1.1 201 Created", *(line.replace(b"LENGTH", length) for line in lines)]
            return b"\r\n".join([*head, b"Connection: close", b"", body])

        return {"create": create}

    return make


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


POLICY = "default-src 'self' " + "https://cdn.example.com " * 420
CREATES: dict[str, Callable[[RawGateway], dict[str, Any]]] = {
    "a large header": created_with(content_security_policy=POLICY),
    "many headers": created_with(**{f"x_{n}": "y" for n in range(400)}),
    "br": changed_body(lambda made: brotli.compress(dumped(made)), content_encoding="br"),
    "zstd": changed_body(lambda made: zstandard.compress(dumped(made)), content_encoding="zstd"),
    "gzip twice": changed_body(
        lambda made: gzip.compress(gzip.compress(dumped(made))), content_encoding="gzip, gzip"
    ),
    "plain JSON called br": created_with(content_encoding="br"),
    "plain JSON called gzip": created_with(content_encoding="gzip"),
    "equal lengths": raw_head(b"LENGTH", b"LENGTH"),
    "a space in a header's name": raw_head(b"LENGTH", b"X Powered By: PHP"),
    "a header without a colon": raw_head(b"LENGTH", b"nonsense"),
    "a space before the colon": raw_head(b"LENGTH", b"Server : x"),
    "a folded header": raw_head(b"LENGTH", b"X-Long: a", b"  b"),
    "a control character": raw_head(b"LENGTH", b"X-Odd: a\x01b"),
    "a length that is too long": raw_head(b"Content-Length: 999999"),
    "no length": raw_head(b"Server: x"),
    "an envelope": changed_body(enveloped),
    "an envelope of a list": changed_body(lambda made: {"result": [made]}),
    "task_id": changed_body(lambda made: {"task_id": made["id"], "status": "starting"}),
    "a number as id": lambda it: {
        "create": lambda id_, n: answer({"id": 17, "status": "starting"}, "201 Created"),
        "get": lambda id_, n: it.succeeded("17"),
    },
    "303 with Location": lambda it: {
        "create": lambda id_, n: answer(b"", "303 See Other", location=f"/replicate/v1/predictions/{id_}")
    },
    "201 with Location alone": lambda it: {
        "create": lambda id_, n: answer(b"", "201 Created", location=f"{it.base}/predictions/{id_}")
    },
    "GBK": changed_body(
        lambda made: json.dumps(made | {"logs": "任务已提交"}, ensure_ascii=False).encode("gbk"),
        content_type="application/json; charset=gbk",
    ),
    "UTF-16": changed_body(lambda made: json.dumps(made).encode("utf-16")),
    "a warning before the JSON": changed_body(lambda made: b"Warning: deprecated in line 3\n" + dumped(made)),
    "JSON that was cut": changed_body(lambda made: dumped(made)[:-20]),
    "JSON in a text": changed_body(lambda made: json.dumps(json.dumps(made)).encode()),
    "an id with a slash": lambda it: {
        "create": lambda id_, n: answer(it.created("a/b"), "201 Created"),
        "get": None,
        "/predictions/a%2Fb": None,
    },
}


@pytest.mark.parametrize("manner", sorted(CREATES.keys() - {"an id with a slash"}))
async def test_a_create_that_is_answered_in_another_manner_is_paid_for_once(
    raw_gateway: Open, night: Any, states: Any, manner: str
) -> None:
    it = await raw_gateway()
    it.replies |= CREATES[manner](it)
    made = night(it, 3 if manner != "a number as id" else 1)
    summary = await made.run()
    assert set(states(made).values()) == {"done"}, [found.error for found in made.results()]
    assert (summary.exit_code, it.creates) == (0, len(states(made)))


async def test_a_picture_without_an_id_is_kept_under_one_of_our_own(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    data = f"data:image/webp;base64,{b64encode(picture()).decode()}"
    times = {"started_at": "2026-11-29T12:00:00+00:00", "completed_at": "2026-11-29T12:00:01+00:00"}
    told: dict[str, Any] = {
        "input": {},
        "output": [data],
        "id": None,
        "version": None,
        "created_at": None,
        "logs": "",
    }
    told |= {"error": None, "status": "succeeded", "metrics": {"predict_time": 1.0}, **times}
    it = await raw_gateway(create=answer(told))
    made = night(it, 3)
    await made.run()
    assert states(made) == {"r1": "done", "r2": "done", "r3": "done"}
    assert it.creates == 3
    assert len({found.prediction_id for found in made.results()}) == 3
    assert not any("unnamed" in call for call in it.calls)


async def test_an_id_that_is_never_confirmed_is_kept_in_doubt_and_not_paid_for_again(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    gone = answer({"detail": "no such task"}, NOT_FOUND)
    it = await raw_gateway(create=lambda id_, n: {"task_id": id_, "status": "starting"}, get=gone)
    made = night(it, doubt=True)
    await made.run()
    await made.run()
    found = next(iter(made.results()))
    assert (found.state.value, found.prediction_id, it.creates) == ("in_doubt", "p1", 1)
    assert "seems to name prediction p1, and the service does not know it" in found.error
    it.replies["get"] = lambda id_, n: it.succeeded(id_)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "done"}, 1)


async def test_an_unconfirmed_id_of_another_seed_is_no_proof(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway(create=lambda id_, n: {"task_id": id_, "status": "starting"})
    it.replies["get"] = lambda id_, n: it.succeeded(id_, input={"seed": 1})
    made = night(it, doubt=True)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


async def test_a_see_other_that_names_no_prediction_is_never_pending(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway(create=answer(b"", "303 See Other", location="/replicate/v1/tasks"))
    made = night(it, doubt=True)
    for _ in range(3):
        await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)


ENDED = "2026-11-29T12:00:00.05Z"
UNREADABLE = {"task": "accepted", "see": "https://gw.example/t?signature=secret", "note": "查询任务"}


async def test_an_answer_that_is_not_understood_is_kept_and_three_of_them_stop_the_run(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway(create=answer(UNREADABLE, "201 Created"))
    made = night(it, 6, concurrency=1, doubt=True)
    summary = await made.run()
    assert (summary.exit_code, it.creates) == (3, 3)
    assert "answer that cannot be read" in (summary.stopped_because or "")
    assert sorted(states(made).values()) == ["in_doubt"] * 3 + ["pending"] * 3
    kept = made.status().doubts[0].answer
    assert kept is not None
    assert "查询任务" in kept
    assert "secret" not in kept


GETS: dict[str, Callable[[RawGateway, str], Any]] = {
    "a large cookie": lambda it, id_: answer(it.succeeded(id_), set_cookie="s=" + "x" * 9000),
    "an envelope": lambda it, id_: enveloped(it.succeeded(id_)),
    "an envelope with a status of its own": lambda it, id_: {"status": "success", "data": it.succeeded(id_)},
    "SUCCESS": lambda it, id_: it.succeeded(id_, status="SUCCESS"),
    "successful": lambda it, id_: it.succeeded(id_, status="successful", completed_at=ENDED),
    "completed": lambda it, id_: it.succeeded(id_, status="completed"),
    "In Progress, then output and end": lambda it, id_: it.succeeded(
        id_, status="fertig", completed_at=ENDED
    ),
    "no id": lambda it, id_: {k: v for k, v in it.succeeded(id_).items() if k != "id"},
    "null as id": lambda it, id_: it.succeeded(id_, id=None),
    "GBK": lambda it, id_: answer(
        json.dumps(it.succeeded(id_, logs="完成"), ensure_ascii=False).encode("gbk"),
        content_type="application/json; charset=gbk",
    ),
    "br": lambda it, id_: answer(brotli.compress(dumped(it.succeeded(id_))), content_encoding="br"),
}


@pytest.mark.parametrize("manner", GETS)
async def test_a_prediction_that_is_told_in_another_manner_is_followed_to_its_end(
    raw_gateway: Open, night: Any, states: Any, manner: str
) -> None:
    it = await raw_gateway()
    it.replies["get"] = lambda id_, n: it.created(id_) if n == 1 else GETS[manner](it, id_)
    made = night(it, 2)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "done", "r2": "done"}, 2)


@pytest.mark.parametrize("word", ["FAILURE", "error", "Failed"])
async def test_a_failure_in_another_word_is_one(raw_gateway: Open, night: Any, word: str) -> None:
    it = await raw_gateway()
    it.replies["get"] = lambda id_, n: it.created(id_, status=word, error="upstream error")
    made = night(it, attempts=1)
    await made.run()
    found = next(iter(made.results()))
    assert (found.state.value, found.error) == ("failed", "upstream error")


async def test_a_cache_on_the_way_is_asked_not_to_repeat_itself(
    raw_gateway: Open, night: Any, states: Any
) -> None:
    it = await raw_gateway()

    def get(id_: str, n: int) -> Any:
        head = it.heads[-1].lower()
        fresh = "cache-control: no-cache" in head and "pragma: no-cache" in head
        return it.succeeded(id_) if fresh and n > 1 else it.created(id_)

    it.replies["get"] = get
    made = night(it, prediction_timeout=30)
    await made.run()
    assert states(made) == {"r1": "done"}


async def test_the_room_for_an_answer_follows_from_what_was_asked_for(
    raw_gateway: Open, batch: Any, states: Any
) -> None:
    data = f"data:image/png;base64,{b64encode(picture('PNG')).decode()}"
    padded = data + "\n" * 8_000_000
    it = await raw_gateway()
    it.replies["get"] = lambda id_, n: it.succeeded(id_, output=[padded] * 3)
    made = batch(it.base, [{"id": "r1", **PICTURES, "prompt": "x", "num_outputs": "3"}])
    await made.run()
    assert states(made) == {"r1": "done"}


class Ears:
    """Hears what a run tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, event: Any) -> None:
        self.told.append(event.text)

    def progress(self, progress: Any) -> None:
        """Nothing of it matters."""


@pytest.mark.parametrize("cancel", [None, answer({"error": "busy"}, "503 Busy"), answer({"id": "p1"})])
async def test_a_prediction_that_never_ends_is_in_doubt_some_time_after_its_time(
    raw_gateway: Open, night: Any, states: Any, later: Any, cancel: bytes | None
) -> None:
    it = await raw_gateway(cancel=cancel)
    it.replies["get"] = lambda id_, n: (later(10), it.created(id_))[1]
    made = night(it, prediction_timeout=5, doubt=True)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "in_doubt"}, 1)
    it.replies["get"] = lambda id_, n: it.succeeded(id_)
    await made.run()
    assert (states(made), it.creates) == ({"r1": "done"}, 1)


async def test_an_answer_that_cannot_be_read_is_told_in_the_services_words(
    raw_gateway: Open, night: Any, states: Any, later: Any
) -> None:
    it = await raw_gateway()
    gone = {"code": 500, "message": "任务不存在或已过期", "data": None}
    it.replies["get"] = lambda id_, n: (later(10 if n > 6 else 0), gone)[1]
    made, ears = night(it, prediction_timeout=5, doubt=True), Ears()
    await made.run(watch=ears)
    assert any("任务不存在或已过期" in text and "asked again" in text for text in ears.told)
    found = next(iter(made.results()))
    assert found.state.value == "in_doubt"
    assert "任务不存在或已过期" in found.error


@pytest.mark.parametrize("wrap", [lambda page: page, enveloped], ids=["plain", "in an envelope"])
async def test_a_lost_answer_is_found_in_a_list_by_its_seed_whatever_tells_no_time(
    raw_gateway: Open, night: Any, states: Any, wrap: Callable[[Any], Any]
) -> None:
    it = await raw_gateway()
    lost = it.replies["create"]
    it.replies["create"] = lambda id_, n: None if id_ == "p1" else lost(id_, n)

    def listed(id_: str, n: int) -> Any:
        made_so_far = [it.succeeded(f"p{number}") for number in range(1, len(it.inputs) + 1)]
        return wrap({"next": None, "previous": None, "results": made_so_far})

    it.replies["list"] = listed
    made = night(it, 3)
    await made.run()
    assert states(made) == {"r1": "done", "r2": "done", "r3": "done"}
    assert it.creates == 3
