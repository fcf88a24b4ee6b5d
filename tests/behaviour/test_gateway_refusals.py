"""A gateway says no, or wait, in its own way: one refusal ends no night, and no refusal is a doubt."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import anyio.lowlevel
import pytest
from aiohttp import web

from batchfill.emulator.emulator_model import TINY
from batchfill.ledger.ledger import Ledger
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.run.submit.admission import AdmissionGate
from tests.support.timings import SOON, set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.progress import LogEvent

    Open = Callable[..., Batch]
    States = Callable[[Batch], dict[str, str]]
    Origin = Callable[..., Awaitable[str]]


class Says(NamedTuple):
    """An answer that is not the usual one."""

    status: int
    body: Any
    headers: dict[str, str] = {}  # noqa: RUF012 - nothing changes it

    def response(self) -> web.Response:
        """Return it: JSON, or a page as it is."""
        page = isinstance(self.body, str)
        text = self.body if page else json.dumps(self.body, ensure_ascii=False)
        mime = "text/html" if page else "application/json"
        return web.Response(status=self.status, text=text, content_type=mime, headers=self.headers)


class Gateway:
    """Creates and gets, as relays of Replicate do; all other paths are 404.

    *create* and *get* may answer otherwise: they get the row's prompt or the prediction's id, and how often
    such a call came before.
    """

    def __init__(self) -> None:
        self.base = ""
        self.creates: list[str] = []
        """The prompts that came, in order."""
        self.gets: Counter[str] = Counter()
        self.made: dict[str, dict[str, Any]] = {}
        self.create: Callable[[str, int], Says | None] = lambda _prompt, _before: None
        self.get: Callable[[str, int], Says | None] = lambda _id, _before: None

    async def meet(self, request: web.Request) -> web.Response:
        """Answer one request."""
        path = request.path.removeprefix("/replicate/v1")
        if request.method == "POST" and path.endswith("/predictions"):
            return self._created((await request.json())["input"])
        id_ = path.removeprefix("/predictions/")
        if id_ in self.made:
            self.gets[id_] += 1
            said = self.get(id_, sum(self.gets.values()) - 1)
            return said.response() if said else web.json_response(self._ended(id_))
        if path.startswith("/out/"):
            return web.Response(body=TINY, content_type="image/webp")
        error = {"error": {"message": f"Invalid URL ({request.method} {path})"}}
        return (self.get("", 0) or Says(404, error)).response()

    def _created(self, given: dict[str, Any]) -> web.Response:
        said = self.create(given["prompt"], len(self.creates))
        self.creates.append(given["prompt"])
        if said is not None:
            return said.response()
        id_ = f"p{len(self.made) + 1}"
        self.made[id_] = {"id": id_, "status": "starting", "input": given, "output": None, "error": None}
        return web.json_response(self.made[id_], status=201)

    def _ended(self, id_: str) -> dict[str, Any]:
        parts = urlsplit(self.base)
        address = f"{parts.scheme}://{parts.netloc}/out/{id_}.webp"
        return {**self.made[id_], "status": "succeeded", "output": [address]}


class Terminal:
    """What a person reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, notice: LogEvent) -> None:
        self.lines.append(notice.text)

    def progress(self, progress: object) -> None:
        """Not read."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
async def relay(origin: Origin) -> Gateway:
    """A gateway at work."""
    made = Gateway()
    made.base = await origin(made.meet) + "/replicate/v1"
    return made


def rows(count: int) -> list[dict[str, str]]:
    """Return rows whose pictures lie at addresses."""
    where = {"image": "https://pictures.test/a.png", "mask": "https://pictures.test/m.png"}
    return [{"id": f"r{n}", **where, "prompt": f"picture {n}"} for n in range(1, count + 1)]


def counted(night: Batch, states: States) -> dict[str, int]:
    return dict(Counter(states(night).values()))


def error(message: str, code: str = "", type_: str = "new_api_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "code": code}}


NO_CHANNEL = error(
    "No available channel for model black-forest-labs/flux-fill-dev under group default (distributor)",
    "model_not_found",
)
CAPACITY = {"error": "At capacity - all prediction slots busy", "status": "failed"}
USER_QUOTA = error("用户额度不足, 剩余额度: 0", "insufficient_user_quota")
QUOTA = error(
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
WAF = "<html><head><title>403 Forbidden</title></head><body>Request blocked by WAF</body></html>"
FRONT = "<!doctype html><html><head><title>New API</title></head><body></body></html>"


# Nothing was made


@pytest.mark.parametrize("reads", [404, 503])
async def test_no_channel_ends_after_a_few_creates_with_its_words_and_no_row_in_doubt(
    relay: Gateway, batch: Open, states: States, reads: int
) -> None:
    relay.get = lambda *_: Says(reads, NO_CHANNEL)
    relay.create = lambda *_: Says(503, NO_CHANNEL)
    night = batch(relay.base, rows(40))
    summary = await night.run()
    assert (summary.exit_code, counted(night, states)) == (4, {"pending": 40})
    assert len(relay.creates) == 5
    assert "No available channel for model black-forest-labs" in (summary.stopped_because or "")


async def test_no_channel_for_a_moment_costs_nothing(relay: Gateway, batch: Open, states: States) -> None:
    relay.create = lambda _, before: Says(503, NO_CHANNEL) if before in (1, 2, 4) else None
    night = batch(relay.base, rows(4))
    assert (await night.run()).exit_code == 0
    assert (len(relay.creates), len(relay.made)) == (7, 4)


async def test_a_gateway_that_tried_another_channel_before_leaves_the_row_in_doubt(
    relay: Gateway, batch: Open, states: States
) -> None:
    retried = error("分组 default 下模型 flux 的可用渠道不存在（retry）", "get_channel_failed")
    relay.create = lambda _, before: None if before else Says(500, retried)
    night = batch(relay.base, rows(2), **SOON)
    await night.run()
    assert (counted(night, states), len(relay.creates)) == ({"in_doubt": 1, "done": 1}, 2)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pace forget that it was refused: how long it pauses is its own test's."""
    monkeypatch.setattr(RateLimiter, "throttled", lambda *_: None)


@pytest.mark.parametrize("status", [409, 503, 200])
async def test_a_busy_service_is_asked_again_for_the_same_rows(
    relay: Gateway, batch: Open, states: States, status: int, no_pause: None
) -> None:
    relay.create = lambda _, before: Says(status, CAPACITY) if before < 2 else None
    night = batch(relay.base, rows(3))
    assert (await night.run()).exit_code == 0
    assert (counted(night, states), len(relay.creates)) == ({"done": 3}, 5)


async def test_a_busy_word_that_the_prompt_brought_along_proves_nothing(
    relay: Gateway, batch: Open, states: States
) -> None:
    table = [{**rows(1)[0], "prompt": "a sign: AT CAPACITY"}]
    quoting = error("upstream failed at 'a sign: AT CAPACITY'", "500")
    relay.create = lambda *_: Says(500, quoting)
    night = batch(relay.base, table, **SOON)
    await night.run()
    assert (counted(night, states), len(relay.creates)) == ({"in_doubt": 1}, 1)


@pytest.mark.parametrize(
    ("status", "body"), [(200, USER_QUOTA), (201, USER_QUOTA), (429, QUOTA), (403, USER_QUOTA), (402, {})]
)
@pytest.mark.parametrize("before", [0, 2])
async def test_quota_that_is_used_up_ends_submitting_whatever_its_status_and_whenever_it_comes(
    relay: Gateway, batch: Open, states: States, status: int, body: Any, before: int
) -> None:
    relay.create = lambda _, nth: Says(status, body) if nth >= before else None
    night = batch(relay.base, rows(5), concurrency=1)
    summary = await night.run()
    left = {"pending": 5 - before} | ({"done": before} if before else {})
    assert (summary.exit_code, counted(night, states)) == (4, left)
    assert len(relay.creates) == before + 1
    words = body["error"]["message"][:20] if body else "402"
    assert words in (summary.stopped_because or "")
    assert "add credit" in (summary.stopped_because or "")


async def test_no_row_uses_the_room_of_one_whose_refusal_ends_the_run(
    relay: Gateway, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, count = Ledger.record_refused, AdmissionGate.count_submitted
    gates: list[AdmissionGate] = []

    def count_and_know(gate: AdmissionGate) -> None:
        gates.append(gate)
        count(gate)

    async def record_and_let_others_go_first(*given: Any, **told: Any) -> None:
        await record(*given, **told)
        gates[0].wakeup.notify()  # as the end of an earlier row does at any time
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(AdmissionGate, "count_submitted", count_and_know)
    monkeypatch.setattr(Ledger, "record_refused", record_and_let_others_go_first)
    relay.create = lambda _, nth: Says(402, {}) if nth >= 2 else None
    assert (await batch(relay.base, rows(5), concurrency=1).run()).exit_code == 4
    assert len(relay.creates) == 3


async def test_another_error_inside_a_success_is_a_lost_answer_that_keeps_its_words(
    relay: Gateway, batch: Open, states: States
) -> None:
    relay.create = lambda _, nth: None if nth else Says(200, error("upstream error", "do_request_failed"))
    night, terminal = batch(relay.base, rows(2), **SOON), Terminal()
    await night.run(watch=terminal)
    assert (counted(night, states), len(relay.creates)) == ({"in_doubt": 1, "done": 1}, 2)
    assert "upstream error (code: do_request_failed)" in terminal.text


async def test_a_web_page_proves_that_nothing_was_made_only_where_reads_get_one_too(
    relay: Gateway, batch: Open, states: States
) -> None:
    relay.create = lambda *_: Says(200, FRONT)
    relay.get = lambda *_: Says(200, FRONT) if relay.creates else None
    night = batch(relay.base, rows(3))
    summary = await night.run()
    assert (summary.exit_code, counted(night, states)) == (4, {"pending": 3})
    assert "web page" in (summary.stopped_because or "")
    relay.get = lambda *_: None
    relay.create = lambda _, nth: Says(200, FRONT) if nth == 1 else None
    await batch(relay.base, **SOON).run()
    assert counted(night, states) == {"in_doubt": 1, "done": 2}


# One refusal


async def test_a_page_that_blocks_one_rows_words_fails_that_row_and_no_other(
    relay: Gateway, batch: Open, states: States
) -> None:
    relay.create = lambda prompt, _: Says(403, WAF) if prompt == "picture 2" else None
    night = batch(relay.base, rows(5))
    summary = await night.run()
    assert states(night) == {f"r{n}": "failed" if n == 2 else "done" for n in range(1, 6)}
    assert summary.exit_code == 1
    assert relay.creates.count("picture 2") == 2
    (failed,) = (result for result in night.results() if result.id == "r2")
    assert "with a web page" in (failed.error or "")
    assert "token" not in (failed.error or "")


@pytest.mark.parametrize("status", [401, 403, 404, 307])
async def test_one_refusal_in_a_night_costs_no_row_and_no_attempt(
    relay: Gateway, batch: Open, states: States, status: int
) -> None:
    relay.create = lambda _, nth: Says(status, error("无效的令牌")) if nth == 1 else None
    night = batch(relay.base, rows(6), attempts=1)
    assert (await night.run()).exit_code == 0
    assert (counted(night, states), len(relay.creates)) == ({"done": 6}, 7)


async def test_five_rows_refused_alike_end_submitting_and_stay_pending(
    relay: Gateway, batch: Open, states: States
) -> None:
    def refuse(prompt: str, nth: int) -> Says | None:
        return Says(401, error(f"无效的令牌 (request id: 2025{nth}abc{nth})")) if nth else None

    relay.create = refuse
    night = batch(relay.base, rows(20), concurrency=1)
    summary = await night.run()
    assert (summary.exit_code, counted(night, states)) == (4, {"done": 1, "pending": 19})
    assert len(relay.creates) == 6
    assert "check the token" in (summary.stopped_because or "")


@pytest.mark.parametrize("status", [401, 403, 404, 301])
async def test_before_anything_was_accepted_one_refusal_ends_the_run(
    relay: Gateway, batch: Open, states: States, status: int
) -> None:
    relay.create = lambda *_: Says(status, error("no"))
    summary = await batch(relay.base, rows(6)).run()
    # A path that does not exist is tried in its other form.
    assert (summary.exit_code, len(relay.creates)) == (4, 2 if status == 404 else 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_one_refused_read_ends_nothing(
    relay: Gateway, batch: Open, states: States, status: int
) -> None:
    relay.get = lambda id_, nth: Says(status, error("无效的令牌")) if id_ and nth == 0 else None
    night = batch(relay.base, rows(6))
    assert (await night.run()).exit_code == 0
    assert (counted(night, states), len(relay.creates)) == ({"done": 6}, 6)


async def test_reads_that_stay_refused_end_submitting_but_not_asking(
    relay: Gateway, batch: Open, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, outputs_kept=3600.0)
    night, terminal = batch(relay.base, rows(30), concurrency=2), Terminal()

    def refuse(id_: str, _: int) -> Says | None:
        told = "what runs is asked for until" in terminal.text
        return Says(401, error("无效的令牌")) if id_ and not told else None

    relay.get = refuse
    summary = await night.run(watch=terminal)
    assert (summary.exit_code, counted(night, states)) == (4, {"done": 2, "pending": 28})


# Waits


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Note how long the pace was asked to pause, and let it go on at once."""
    noted: list[float | None] = []
    monkeypatch.setattr(RateLimiter, "throttled", lambda _, wait: noted.append(wait))
    return noted


async def test_a_reset_that_is_a_point_in_time_pauses_until_then(
    relay: Gateway, batch: Open, waits: list[float | None]
) -> None:
    def limited(_: str, nth: int) -> Says | None:
        headers = {"RateLimit-Reset": str(int(time.time()) + 5), "RateLimit-Remaining": "0"}
        return None if nth else Says(429, {"detail": "rate limited"}, headers)

    relay.create = limited
    assert (await batch(relay.base, rows(1)).run()).exit_code == 0
    (wait,) = waits
    assert wait is not None
    assert wait <= 5


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"error": {"message": "Rate limited, try again in 12s"}}, {}),
        ({"error": "busy"}, {"Retry-After-Ms": "12000"}),
        ({"error": {"retry_after": 12}}, {}),
        ({"error": {"message": "请在12秒后重试"}}, {}),
    ],
)
async def test_a_wait_is_understood_however_it_is_told(
    relay: Gateway, batch: Open, waits: list[float | None], body: Any, headers: dict[str, str]
) -> None:
    relay.create = lambda _, nth: None if nth else Says(429, body, headers)
    assert (await batch(relay.base, rows(1)).run()).exit_code == 0
    assert waits == [12]


async def test_a_pause_of_more_than_a_minute_is_told_with_its_end(relay: Gateway, batch: Open) -> None:
    relay.create = lambda *_: Says(429, {"detail": "too fast"}, {"Retry-After": "600"})
    night = batch(relay.base, rows(1))

    class Watcher(Terminal):
        def notice(self, notice: LogEvent) -> None:
            super().notice(notice)
            if "until" in notice.text:
                night.stop()

    terminal = Watcher()
    await night.run(watch=terminal)
    assert (
        "the service answered 429 to the create call: too fast; nothing is submitted until" in terminal.text
    )
