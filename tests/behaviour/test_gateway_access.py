"""Getting to a gateway: bases, headers, proxies, certificates, missing calls; and words about money."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from batchfill.batch import Batch
from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.errors import UsageError
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.desk import Desk
    from tests.support.programs import Program

    Origin = Callable[..., Awaitable[str]]

MODEL = "black-forest-labs/flux-fill-dev"
SECRET = "cf_secret_0123456789"
FRONT_PAGE = "<!doctype html><html lang=zh><head><title>New API</title></head><body></body></html>"


def picture() -> bytes:
    """Return a small WebP."""
    target = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 120, 200)).save(target, "WEBP", lossless=True)
    return target.getvalue()


class Relay:
    """A gateway that relays creates and gets below a prefix, and knows no other call."""

    def __init__(self, prefix: str = "/replicate/v1") -> None:
        self.prefix = prefix
        self.at = ""
        self.paths: list[str] = []
        """Method, path and query of each request."""
        self.headers: list[Any] = []
        self.bodies: list[dict[str, Any]] = []
        self.made = 0
        self.calls: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {}
        """What is done instead, by the method and the path below the prefix."""
        self.status = "succeeded"
        self.arrived = asyncio.Event()

    @property
    def base(self) -> str:
        """Return where it is."""
        return f"{self.at}{self.prefix}"

    def creates(self) -> list[str]:
        """Return the creates that came."""
        return [path for path in self.paths if path.startswith("POST ") and "predictions" in path]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.paths.append(f"{request.method} {request.raw_path}")
        self.headers.append(request.headers.copy())
        if request.path == "/out/i.webp":
            return web.Response(body=picture(), content_type="image/webp")
        path = request.path.removeprefix(self.prefix) if request.path.startswith(self.prefix) else ""
        for call, answer in self.calls.items():
            if re.fullmatch(call, f"{request.method} {path}"):
                return await answer(request)
        if request.method == "POST" and path == f"/models/{MODEL}/predictions":
            return await self.create(request)
        if request.method == "GET" and path.startswith("/predictions/p"):
            return web.json_response(self.prediction(path.rpartition("/")[2], self.status))
        words = f"Invalid URL ({request.method} {request.path})"
        return web.json_response({"error": {"message": words}}, status=404)

    async def create(self, request: web.Request) -> web.Response:
        """Make a prediction."""
        self.bodies.append(await request.json())
        self.made += 1
        self.arrived.set()
        return web.json_response(self.prediction(f"p{self.made}", "starting"), status=201)

    def prediction(self, id_: str, status: str) -> dict[str, Any]:
        """Return a prediction as it is shown."""
        output = [f"{self.at}/out/i.webp"] if status == "succeeded" else None
        return {"id": id_, "status": status, "output": output, "error": None, "urls": {}, "input": {}}


def answering(status: int, body: object, kind: str = "application/json") -> Any:
    """Return what answers so whatever is asked."""
    text = body if isinstance(body, str) else json.dumps(body)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type=kind)

    return answer


@pytest.fixture
async def relay(origin: Origin) -> Relay:
    """A gateway on loopback; see Relay."""
    made = Relay()
    made.at = await origin(made.handle)
    return made


@pytest.fixture
def open_batch(desk: Desk, hurry: None) -> Callable[..., Batch]:
    """Open a batch of rows at addresses, with these flags; *rows*: how many, or the rows themselves."""

    def make(rows: Any = 2, environ: dict[str, str] | None = None, **flags: Any) -> Batch:
        if isinstance(rows, int):
            files = {"image": "https://pictures.test/a.png", "mask": "https://pictures.test/m.png"}
            rows = [{"id": f"r{n}", **files, "prompt": f"picture {n}"} for n in range(1, rows + 1)]
        return Batch.open(
            desk.write(rows), environ={"BATCHFILL_TOKEN": TOKEN, **(environ or {})}, rate=60_000, **flags
        )

    return make


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


# Bases


async def test_a_base_keeps_its_path_behind_a_word_that_is_also_a_call(
    origin: Origin, open_batch: Callable[..., Batch]
) -> None:
    relay = Relay("/account/abc/replicate/v1")
    relay.at = await origin(relay.handle)
    assert (await open_batch(base_url=f"{relay.base}/").run()).exit_code == 0
    assert relay.made == 2
    assert all(path.split()[1].startswith((relay.prefix, "/out/")) for path in relay.paths)


@pytest.mark.parametrize(
    "query", ["api-version=2024&key=abc", "key=sk-0123456789abcdef%2Fx", "sk-0123456789abcdef"]
)
async def test_the_query_of_a_base_goes_with_every_call_and_into_no_file(
    relay: Relay, open_batch: Callable[..., Batch], desk: Desk, query: str
) -> None:
    night = open_batch(base_url=f"{relay.base}?{query}")
    assert (await night.run()).exit_code == 0
    calls = [path for path in relay.paths if relay.prefix in path]
    assert calls
    assert all(f"?{query}" in path for path in calls)
    assert not any(query in path for path in relay.paths if "/out/" in path)
    kept = everything_in(desk.folder)
    secret = query.rpartition("=")[2]
    assert query.encode() not in kept
    assert len(secret) < 8 or secret.encode() not in kept
    assert night.status().base.startswith(f"{relay.base}?")
    assert "…" in night.status().base


async def test_a_gateway_that_repeats_the_query_in_its_errors_gives_nothing_away(
    relay: Relay, batchfill: Program, desk: Desk, open_batch: Callable[..., Batch]
) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"detail": f"bad call {request.raw_path}"}, status=422)

    relay.calls["POST .*"] = echo
    open_batch(1)
    ran = await batchfill("run", "night.csv", "--base-url", f"{relay.base}?v=2&key=abc")
    assert (ran.code, "bad call" in ran.err) == (1, True)
    for text in (ran.err, ran.out, everything_in(desk.folder).decode("latin-1")):
        assert "key=abc" not in text
    assert f"--base-url '{relay.base}?v=…&key=…'" in ran.err


async def test_values_of_a_query_are_given_at_each_start_and_others_are_another_account(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    first = f"{relay.base}?key=first-key-0123"
    await open_batch(limit=1, base_url=first).run()
    with pytest.raises(
        UsageError, match=r"begun with base .*\?key=…, and the values of its query are kept nowhere"
    ):
        await open_batch().run()
    with pytest.raises(UsageError, match=r"other values in its query.*--same-account"):
        await open_batch(base_url=f"{relay.base}?key=other-key-0123").run()
    with pytest.raises(UsageError, match="… where a value belongs"):
        await open_batch(base_url=f"{relay.base}?key=…").run()
    with pytest.raises(UsageError, match=r"begun with base .*\?key=…, and this command says .*/v1: "):
        await open_batch(base_url=relay.base).run()
    assert relay.made == 1
    assert (await open_batch(environ={"BATCHFILL_BASE_URL": first}).run()).exit_code == 0
    assert relay.made == 2


# What a gateway offers


async def test_an_online_check_tells_what_is_missing_and_what_that_means_without_a_create(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    open_batch(2)
    ran = await batchfill("check", "night.csv", "--online", "--base-url", relay.base)
    assert ran.code == 0, ran.err
    for line in (
        "it offers no list: a row whose answer is lost stays in doubt until you decide",
        "it takes no files: pictures go inside the requests, up to 1 MB each",
        "whether it cancels is asked when needed: that takes a prediction",
        "its answers carry a Date: clocks are compared",
    ):
        assert line in ran.out
    assert relay.creates() == []


@pytest.mark.parametrize("there", [{}, {"list": True, "files": True, "model": True, "envelope": "data"}])
async def test_programs_get_what_a_gateway_offers_from_the_json_of_a_check(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch], there: dict[str, Any]
) -> None:
    if there:
        relay.calls["GET /predictions"] = answering(200, {"code": 200, "data": {"results": []}})
        relay.calls["POST /files"] = answering(201, {"urls": {"get": "https://files.test/f"}})
        relay.calls[f"GET /models/{MODEL}"] = answering(200, {"owner": "o", "name": "n"})
    open_batch(2)
    ran = await batchfill("check", "night.csv", "--online", "--json", "--base-url", relay.base)
    offers = {"account": False, "model": False, "list": False, "files": False, "cancel": None}
    told = json.loads(ran.out)["provider"]
    # Nothing but errors was said where everything is missing: an envelope would show in a success only.
    expected = offers | {"envelope": None, "date": True} | there
    assert told == {"base": relay.base, "model": MODEL, "account": None, "offers": expected}
    without = await batchfill("check", "night.csv", "--json", "--base-url", relay.base)
    assert json.loads(without.out)["provider"] is None


async def test_an_online_check_goes_on_past_calls_that_fail_and_quotes_them(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    no_channel = {"error": {"message": "No available channels for model  in group default"}}
    relay.calls["POST /files"] = answering(503, no_channel)
    relay.calls["GET /account"] = answering(403, {"error": {"message": "not for you"}})
    open_batch(2)
    ran = await batchfill("check", "night.csv", "--online", "--base-url", relay.base)
    assert ran.code == 0, ran.err
    assert "whether it takes files is not known" in ran.out
    assert "No available channels" in ran.out
    assert "not for you" in ran.out


async def test_a_gateway_that_answers_every_question_with_an_error_does_not_answer(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    relay.calls[".*"] = answering(503, {"error": "upstream is down"})
    open_batch(2)
    ran = await batchfill("check", "night.csv", "--online", "--base-url", relay.base)
    assert (ran.code, "does not answer: the service answered 503" in ran.err) == (2, True)


async def test_the_log_of_a_run_tells_once_what_the_gateway_offers(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    batch = open_batch(base_url=relay.base)
    assert (await batch.run()).exit_code == 0
    (line,) = [
        line for line in (batch.folder / "run.log").read_text().splitlines() if "the provider:" in line
    ]
    assert "its answers carry a Date" in line
    assert "whether it cancels is asked when needed" in line


# A web page


async def test_a_front_page_is_told_from_an_api_before_anything_is_submitted(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    relay.calls[".*"] = answering(200, FRONT_PAGE, "text/html")
    open_batch(2)
    for command in (["run"], ["check", "--online"]):
        ran = await batchfill(command[0], "night.csv", *command[1:], "--base-url", relay.base)
        assert ran.code == 2
        assert f"{relay.base} answers with a web page (New API), not as an API: is the base right?" in ran.err
    assert relay.creates() == []


async def test_a_front_page_for_unknown_paths_only_is_no_obstacle(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    relay.calls["GET /account"] = answering(200, FRONT_PAGE, "text/html")
    assert (await open_batch(base_url=relay.base).run()).exit_code == 0


async def test_an_api_is_asked_no_question_more(relay: Relay, open_batch: Callable[..., Batch]) -> None:
    assert (await open_batch(base_url=relay.base).run()).exit_code == 0
    assert not any("probe" in path for path in relay.paths)


async def test_a_page_of_maintenance_ends_no_run_that_has_something_to_fetch(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    relay.status = "processing"
    looked = asyncio.Event()

    async def look(request: web.Request) -> web.Response:
        looked.set()
        return web.json_response(relay.prediction("p1", "processing"))

    relay.calls["GET /predictions/p1"] = look
    running = asyncio.ensure_future(open_batch(1, base_url=relay.base).run())
    await looked.wait()
    running.cancel()
    await asyncio.wait({running})
    relay.status = "succeeded"
    relay.calls.clear()
    pages = iter(range(2))

    async def under_repair(request: web.Request) -> web.Response:
        if next(pages, None) is None:
            relay.calls.clear()
        return web.Response(text=FRONT_PAGE, content_type="text/html")

    relay.calls[".*"] = under_repair
    assert (await open_batch(1, base_url=relay.base).run()).exit_code == 0
    assert relay.made == 1


# Headers


async def test_a_further_header_goes_to_the_base_and_nowhere_else(
    relay: Relay, elsewhere: Any, batchfill: Program, desk: Desk, open_batch: Callable[..., Batch]
) -> None:
    async def guard(request: web.Request) -> web.Response:
        if request.headers.get("cf-aig-authorization") != f"Bearer {SECRET}":
            error = {"success": False, "error": [{"code": 2009, "message": "Unauthorized"}]}
            return web.json_response(error, status=401)
        if request.method == "GET":
            return web.json_response({"detail": f"no {SECRET}"}, status=404)
        return web.json_response({"detail": f"you said Bearer {SECRET}"}, status=422)

    relay.calls[r"(GET /account|POST .*)"] = guard
    open_batch(1)
    batchfill.environ["CF_TOKEN"] = f"Bearer {SECRET}"
    run = ("run", "night.csv", "--base-url", relay.base)
    assert (await batchfill(*run)).code == 4
    ran = await batchfill(*run, "--header", "cf-aig-authorization=CF_TOKEN")
    assert ran.code == 1, ran.err
    for text in (ran.err, ran.out, everything_in(desk.folder).decode("latin-1")):
        assert SECRET not in text
    assert "you said Bearer ***" in ran.err
    assert "--header cf-aig-authorization=CF_TOKEN" in ran.err


async def test_outputs_are_fetched_without_the_further_header(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    night = open_batch(environ={"KEY": SECRET}, base_url=relay.base, header={"X-Key": "KEY"})
    assert (await night.run()).exit_code == 0
    for path, headers in zip(relay.paths, relay.headers, strict=True):
        assert (headers.get("X-Key") == SECRET) is (relay.prefix in path), path


async def test_a_variable_that_is_missing_is_named_before_anything_is_asked(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    open_batch(1)
    batchfill.environ["EMPTY"] = " "
    for variable in ("CF_TOKEN", "EMPTY"):
        ran = await batchfill("run", "night.csv", "--base-url", relay.base, "--header", f"x-key={variable}")
        assert ran.code == 2
        assert (
            f"--header x-key={variable}: the environment variable {variable} is missing or empty" in ran.err
        )
    assert relay.paths == []


async def test_no_child_gets_a_variable_of_a_header(
    relay: Relay, batchfill: Program, desk: Desk, open_batch: Callable[..., Batch]
) -> None:
    spy = "import os; open(os.environ['SEEN'], 'a').write(repr(dict(os.environ)) + chr(10))"
    site = desk.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(spy, "utf-8")
    seen = desk.folder / "seen.txt"
    open_batch(desk.rows(1))
    batchfill.environ |= {"CF_TOKEN": SECRET, "COPY": f"key {SECRET}", "SEEN": str(seen)}
    batchfill.environ["PYTHONPATH"] += f"{os.pathsep}{site}"
    ran = await batchfill("run", "night.csv", "--base-url", relay.base, "--header", "x-key=CF_TOKEN")
    assert relay.made == 1, ran.err
    parent, *children = seen.read_text("utf-8").splitlines()
    assert SECRET in parent
    assert children
    assert not any(SECRET in child for child in children)


# Certificates and proxies


@pytest.mark.parametrize(
    "variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
async def test_certificates_that_are_missing_are_named_with_their_variable(
    relay: Relay, open_batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/nonexistent/ca.pem")
    with pytest.raises(UsageError, match=f"{variable} names /nonexistent/ca.pem, which cannot be read"):
        await open_batch(base_url=relay.base).run()
    assert relay.paths == []


async def test_no_proxy_with_a_star_before_the_domain_keeps_the_proxy_out(
    open_batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "*.corp.invalid,localhost")
        for host in ("gw.corp.invalid", "gw.other.invalid"):
            with pytest.raises(UsageError, match="does not answer"):
                await open_batch(base_url=f"https://{host}/replicate/v1").run()
    assert asked == [b"CONNECT gw.other.invalid:443 HTTP/1.1\r\n"]


# Plain http


async def test_plain_http_in_a_private_network_takes_a_named_consent_at_each_start(
    origin: Origin, open_batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay()
    relay.at = await origin(relay.handle)
    # The name is the user's network's; here a proxy that stands for it knows the way.
    monkeypatch.setenv("HTTP_PROXY", relay.at)
    monkeypatch.setenv("http_proxy", relay.at)
    base, relay.at = "http://new-api:3000/replicate/v1", "http://new-api:3000"
    with pytest.raises(UsageError, match=r"in the clear: use https, or allow it .* with --plain-http"):
        await open_batch(base_url=base).run()
    with pytest.raises(UsageError, match="--plain-http"):
        await open_batch(environ={"BATCHFILL_BASE_URL": base}).run()
    assert relay.paths == []
    night = open_batch(base_url=base, plain_http=True)
    await night.run()
    assert relay.made == 2
    with pytest.raises(UsageError, match="--plain-http"):
        await open_batch().run()


# Files


def noise(desk: Desk) -> list[dict[str, str]]:
    """Return a row of a local picture that goes into no request as it is."""
    (row,) = desk.rows(1)
    desk.picture("noise.png", size=(640, 640))
    pixels = np.random.default_rng(1).integers(0, 256, (640, 640, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(desk.folder / "images/noise.png")
    return [{**row, "image": "images/noise.png", "mask": "masks/noise.png"}]


NO_CHANNEL = {
    "error": {"message": "No available channels for model  in group default", "type": "new_api_error"}
}


@pytest.mark.parametrize(
    ("status", "body", "uploads"),
    [
        (503, NO_CHANNEL, 2),
        (500, "", 2),
        (413, "<html><title>413 Request Entity Too Large</title></html>", 1),
        (401, {"error": {"message": "无效的令牌"}}, 1),
        (403, {"detail": "files are not allowed"}, 1),
        (400, {"detail": "no multipart here"}, 1),
        (200, {"ok": True}, 2),
        (404, "", 1),
    ],
)
async def test_a_files_call_that_is_refused_is_done_without(
    relay: Relay, open_batch: Callable[..., Batch], desk: Desk, status: int, body: object, uploads: int
) -> None:
    relay.calls["POST /files"] = answering(status, body, "text/plain" if body == "" else "application/json")
    night = open_batch(noise(desk), base_url=relay.base)
    assert await made_one(night, relay)
    assert sum("/files" in path for path in relay.paths) == uploads
    (sent,) = relay.bodies
    assert sent["input"]["image"].startswith("data:image/jpeg;base64,")
    assert len(sent["input"]["image"]) <= REPLICATE_API.largest_inline


async def test_a_request_that_is_too_large_is_made_smaller_and_costs_no_attempt(
    relay: Relay, open_batch: Callable[..., Batch], desk: Desk
) -> None:
    async def narrow(request: web.Request) -> web.Response:
        size = len(await request.read())
        return web.Response(status=413) if size > 600_000 else await relay.create(request)

    relay.calls["POST /models/.*"] = narrow
    relay.calls["POST /files"] = answering(413, "")
    night = open_batch(noise(desk), base_url=relay.base, attempts=1)
    assert await made_one(night, relay)
    (sent,) = relay.bodies
    assert len(json.dumps(sent)) <= 600_000
    picture = Image.open(io.BytesIO(b64decode(sent["input"]["image"].partition(",")[2])))
    assert picture.size == (640, 640)


async def test_a_row_that_fits_nowhere_fails_alone_and_in_words(
    relay: Relay, open_batch: Callable[..., Batch], desk: Desk
) -> None:
    relay.calls["POST /models/.*"] = answering(413, {"detail": "too large"})
    night = open_batch(desk.rows(1), base_url=relay.base)
    summary = await night.run()
    assert summary.exit_code == 1
    assert "too large" in next(iter(summary.reasons))


async def made_one(night: Batch, relay: Relay) -> bool:
    """Run *night* of one row and return whether one create was enough; its picture comes in any size."""
    await night.run()
    (found,) = night.results()
    return (relay.made, found.attempts) == (1, 1)


# Another form of create


async def test_a_gateway_that_takes_the_model_in_the_body_only_is_asked_so(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    relay.calls["POST /models/.*"] = answering(404, {"error": {"message": "Invalid URL (POST /models)"}})
    relay.calls["POST /predictions"] = relay.create
    assert (await open_batch(4, concurrency=1, base_url=relay.base).run()).exit_code == 0
    assert relay.made == 4
    assert sum("/models/" in path for path in relay.paths if path.startswith("POST")) == 1
    assert {body["model"] for body in relay.bodies} == {MODEL}


async def test_a_model_with_a_version_is_asked_for_by_its_version(
    relay: Relay, open_batch: Callable[..., Batch]
) -> None:
    relay.calls["POST /predictions"] = relay.create
    night = open_batch(base_url=relay.base, model=f"{MODEL}:0123abcd")
    assert (await night.run()).exit_code == 0
    assert {body["version"] for body in relay.bodies} == {"0123abcd"}
    assert night.status().model == f"{MODEL}:0123abcd"
    with pytest.raises(UsageError, match="begun with model"):
        await open_batch(base_url=relay.base, model=MODEL).run()
    assert (await open_batch().run()).exit_code == 0
    assert relay.made == 2


# Money


async def test_what_runs_at_an_unknown_price_is_never_told_as_nothing(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    relay.status = "processing"
    open_batch(1)
    running = await batchfill.start("run", "night.csv", "--base-url", relay.base)
    await running.meanwhile(relay.arrived.wait())
    running.signal(signal.SIGINT)
    await running.says("stopping: nothing new")
    running.signal(signal.SIGINT)
    ran = await running.ended()
    status = await batchfill("status", "night.csv")
    for text in (ran.err, status.out):
        assert "price unknown" in text
        assert "$0.00" not in text
    spent = json.loads((await batchfill("status", "night.csv", "--json")).out)["cost"]
    assert (spent["spent"], spent["reserved"]) == (None, None)


async def test_a_price_may_be_a_flag_and_makes_the_cost_known(
    relay: Relay, batchfill: Program, open_batch: Callable[..., Batch]
) -> None:
    open_batch(2)
    flags = ("night.csv", "--base-url", relay.base, "--price", "0.04")
    assert "about $0.08" in (await batchfill("check", *flags)).out
    ran = await batchfill("run", *flags, "--max-cost", "0.05")
    assert (ran.code, relay.made) == (3, 1)
    assert "$0.04 paid" in ran.err
