"""A gateway that repeats the token wherever it can: nothing that a batch writes, prints or shows holds it."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import signal
import sys
from base64 import b64encode
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from traceback import TracebackException
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import ClientSession, web
from PIL import Image

from batchfill.batch import Batch
from batchfill.domain.token import Token
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import ServiceRefused
from batchfill.settings.credentials import Environment
from batchfill.storage.output_store import OutputStore
from batchfill.workers.pool import Processes
from tests.support.gateways import forward
from tests.support.providers import TOKEN
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

ENCODED = "".join(f"%{ord(c):02X}" for c in TOKEN)


def needles() -> set[bytes]:
    """Return what must be in no byte that is written, in small letters."""
    in_base64 = {b64encode(bytes(n) + TOKEN.encode())[4:-4] for n in range(3)}
    return {n.lower() for n in (TOKEN.encode(), ENCODED.encode(), TOKEN.encode().hex().encode(), *in_base64)}


def leaks(content: bytes) -> list[bytes]:
    return [needle for needle in needles() if needle in content.lower()]


def leaking_files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and leaks(path.read_bytes())]


class Echo:
    """A gateway in front of a provider, which has the token to say in every answer."""

    def __init__(self, provider: EmulatorServer, onward: ClientSession) -> None:
        self._provider, self._onward = provider, onward
        self.base = ""
        self.outputs = ""
        """Where answers say that outputs are; the gateway's own origin by default."""
        self.behind = f"?token={quote(TOKEN)}"
        """What is behind the address of an output, which is asked for with it only."""
        self.change: Callable[[str, dict[str, Any]], Any] = lambda call, value: value
        self.headers = {
            "X-Echo": f"Bearer {TOKEN}",
            "ETag": TOKEN,
            "Retry-After": TOKEN,
            "RateLimit-Reset": TOKEN,
        }
        self.fetched: list[str] = []

    async def meet(self, request: web.Request) -> web.StreamResponse:
        """Answer as the provider does, and say the token too."""
        if request.path.startswith("/outputs/"):
            return await self._output(request)
        async with forward(request, self._provider, self._onward) as answer:
            text = await answer.text()
            with suppress(ValueError):
                text = json.dumps(self._told(request, json.loads(text)))
            return web.Response(
                status=answer.status, text=text, content_type=answer.content_type, headers=self.headers
            )

    async def _output(self, request: web.Request) -> web.StreamResponse:
        self.fetched.append(request.path_qs)
        if self.behind and request.query.get("token") != TOKEN:
            return web.Response(status=404)
        async with self._onward.get(self._provider.outputs_base + request.path[len("/outputs") :]) as answer:
            return web.Response(body=await answer.read(), status=answer.status, headers=self.headers)

    def _told(self, request: web.Request, value: Any) -> Any:
        call = "create" if request.method == "POST" else "get"
        value = self.change(call, value) if isinstance(value, dict) else value
        echoes = {
            "token": TOKEN,
            TOKEN: [TOKEN, {"deep": f"Bearer {TOKEN}"}],
            "basic": _basic(),
            "url": ENCODED,
        }
        if not isinstance(value, dict) or "id" not in value:
            return {**value, **echoes} if isinstance(value, dict) else value
        outputs = [self._address(url) for url in value.get("output") or []]
        urls = {name: f"{url}?token={ENCODED}" for name, url in value.get("urls", {}).items()}
        said = {
            "logs": f"{value.get('logs')}\nAuthorization: Bearer {TOKEN}",
            "version": TOKEN,
            "model": TOKEN,
        }
        return {**value, **said, **echoes, "urls": urls, "output": outputs or None}

    def _address(self, url: str) -> str:
        return url.replace(self._provider.outputs_base, self.outputs) + self.behind


def _basic() -> str:
    return "Basic " + b64encode(f"me:{TOKEN}".encode()).decode()


@pytest.fixture
async def echo(origin: Any) -> AsyncIterator[Callable[[EmulatorServer], Awaitable[Echo]]]:
    """`await echo(provider)` opens a gateway in front of it; see Echo."""
    async with ClientSession() as onward:

        async def open_(provider: EmulatorServer) -> Echo:
            made = Echo(provider, onward)
            root = await origin(made.meet)
            made.base, made.outputs = f"{root}/v1", f"{root}/outputs"
            return made

        yield open_


async def test_an_address_that_holds_the_token_is_fetched_and_not_written_down(
    service: Serve, echo: Any, batch: Open, desk: Any
) -> None:
    gateway = await echo(await service())
    night = batch(gateway.base, 3)
    assert (await night.run()).exit_code == 0
    # As the service gave it: unsigned, and asked for once.
    assert len(gateway.fetched) == 3
    await night.report()
    night.export(desk.folder / "final")
    assert leaking_files(desk.folder) == []
    assert b"token=***" in (night.folder / "ledger.sqlite").read_bytes()


async def test_such_an_address_is_asked_for_again_after_a_death(
    service: Serve, echo: Any, batch: Open, crash: Any, result: Any, later: Any
) -> None:
    provider = await service()
    gateway = await echo(provider)
    crash(OutputStore, "write_staged")
    with pytest.raises(BaseExceptionGroup):
        await batch(gateway.base, 1).run()
    provider.requests.clear()
    # Past the hour too, for the service still has it.
    later(2 * 3600)
    night = batch(gateway.base)
    assert (await night.run()).exit_code == 0
    assert result(night).outputs
    assert [path for path in gateway.fetched if "***" in path] == []
    assert (provider.requests["get"], provider.billed) == (1, 1)
    assert leaking_files(night.folder) == []


async def test_an_upload_whose_address_holds_the_token_is_sent_as_given_and_made_again_by_another_run(
    service: Serve, echo: Any, batch: Open, desk: Any
) -> None:
    provider = await service()
    gateway = await echo(provider)
    rows = desk.rows(3)
    desk.picture("a.png", size=(512, 512))
    noise = Image.frombytes("RGB", (512, 512), random.Random(1).randbytes(3 * 512 * 512))
    noise.save(desk.folder / "images" / "a.png")
    first = await batch(gateway.base, rows, limit=2, concurrency=1).run()
    assert first.exit_code == 3, first.reasons
    assert provider.requests["files"] == 1
    night = batch(gateway.base)
    assert (await night.run()).exit_code == 0
    assert (provider.requests["files"], provider.billed) == (2, 3)
    sent = {urlsplit(str(made.input["image"])).query for made in provider.predictions()}
    assert sent == {f"token={ENCODED}"}
    assert leaking_files(night.folder) == []


async def test_another_origin_is_asked_for_an_address_with_the_mark_in_it(
    service: Serve, echo: Any, batch: Open, origin: Any
) -> None:
    provider = await service()
    gateway, asked = await echo(provider), []

    async def host(request: web.Request) -> web.Response:
        asked.append(request.path_qs + str(request.headers))
        async with ClientSession() as onward, onward.get(provider.outputs_base + request.path) as answer:
            return web.Response(body=await answer.read())

    gateway.outputs = await origin(host)
    night = batch(gateway.base, 2)
    assert (await night.run()).exit_code == 0
    assert len(asked) == 2
    assert not any(leaks(one.encode()) for one in asked)
    assert leaking_files(night.folder) == []


async def test_a_redirect_takes_the_token_to_no_other_origin(
    service: Serve, echo: Any, batch: Open, elsewhere: Any
) -> None:
    provider = await service()
    gateway = await echo(provider)
    moved = {"Location": f"{elsewhere.base}/{ENCODED}/a.webp?token={TOKEN}&t={_basic()}"}
    answers = iter([web.Response(status=302, headers=moved)])
    fetch = gateway._output

    async def redirect(request: web.Request) -> web.StreamResponse:
        return next(answers, None) or await fetch(request)

    gateway._output = redirect
    night = batch(gateway.base, 1)
    assert (await night.run()).exit_code == 0
    assert elsewhere.asked == ["/***/a.webp"]
    assert leaking_files(night.folder) == []


async def test_what_is_no_picture_is_kept_without_the_token(service: Serve, echo: Any, batch: Open) -> None:
    provider = await service()
    gateway = await echo(provider)
    pages = iter(
        [f"<p>{TOKEN}", json.dumps({"sent": TOKEN}), f"\x89PNG\r\n\x1a\n {TOKEN}", f"{TOKEN} " * 20_000]
    )
    fetch = gateway._output

    async def page(request: web.Request) -> web.StreamResponse:
        text = next(pages, None)
        return await fetch(request) if text is None else web.Response(text=text)

    gateway._output = page
    night = batch(gateway.base, 1)
    assert (await night.run()).exit_code == 0
    assert list((night.folder / "suspect").iterdir())
    assert leaking_files(night.folder) == []


FIELDS: dict[str, Callable[[str, dict[str, Any]], Any]] = {
    "id": lambda call, value: {**value, "id": f"p-{TOKEN}"} if call == "create" else value,
    "status": lambda call, value: {**value, "status": TOKEN} if call == "create" else value,
    "times": lambda call, value: {**value, "created_at": TOKEN, "started_at": TOKEN, "completed_at": TOKEN},
    "failed": lambda call, value: {**value, "status": "failed", "error": f"no key {TOKEN}", "output": None},
    "failed, an object": lambda call, value: {**value, "status": "failed", "error": {"message": [ENCODED]}},
    "failed in base64": lambda call, value: {**value, "status": "failed", "error": _basic()},
    "input": lambda call, value: {
        **value,
        "input": {**value.get("input", {}), TOKEN: TOKEN, "prompt": TOKEN},
    },
    "output": lambda call, value: (
        {**value, "output": [f"ftp://{TOKEN}/a.png"]} if value.get("output") else value
    ),
    "a number": lambda call, value: {**value, "metrics": {"predict_time": TOKEN}, "data_removed": TOKEN},
    "no prediction": lambda call, value: {"said": TOKEN, "detail": TOKEN},
    "account": lambda call, value: {"username": TOKEN, "type": TOKEN, "name": TOKEN, **value},
}


async def test_no_field_gets_the_token_written_down_or_printed(
    service: Serve, echo: Any, batchfill: Any, desk: Any
) -> None:
    """Each row's answers have another field that repeats it."""
    gateway, met = await echo(await service()), set()
    rows = [row | {"prompt": field} for field, row in zip(FIELDS, desk.rows(len(FIELDS)), strict=True)]

    def change(call: str, value: dict[str, Any]) -> Any:
        field = value.get("input", {}).get("prompt", "account")
        met.add(field)
        return FIELDS[field](call, value)

    gateway.change = change
    desk.write(rows)
    flags = ["--base-url", gateway.base, "--attempts", "1", "--recover-wait", "0", "--answer-timeout", "2"]
    said = [await batchfill("run", "night.csv", *flags)]
    said += [await batchfill(command, "night.csv") for command in ("status", "results", "report")]
    assert [ran for ran in said if leaks((ran.out + ran.err).encode()) or "Traceback" in ran.err] == []
    assert leaking_files(desk.folder) == []
    assert met == FIELDS.keys()


async def test_a_picture_inside_an_answer_is_looked_at_and_kept_without_the_token(
    service: Serve, echo: Any, batchfill: Any, desk: Any
) -> None:
    gateway = await echo(await service())
    inline = [f"data:image/png;name={TOKEN},{TOKEN}"]
    gateway.change = lambda call, value: {**value, "output": inline} if value.get("output") else value
    gateway.outputs = gateway.behind = ""
    desk.write(desk.rows(1))
    running = await batchfill.start("run", "night.csv", "--base-url", gateway.base)
    await running.says("fetching: the service sent no whole picture")
    running.signal(signal.SIGKILL)
    ran = await running.ended()
    assert leaks((ran.out + ran.err).encode()) == []
    assert leaking_files(desk.folder) == []


REFUSALS = [400, 401, 402, 403, 404, 422, 429, 500, 502, 503]
BODIES = {
    "JSON": json.dumps({"detail": f"key {TOKEN} is wrong", "error": {"message": ENCODED}}),
    "fields": json.dumps({"invalid_fields": [{"field": TOKEN, "description": _basic()}]}),
    "a page": f"<html><title>{TOKEN}</title><body>{TOKEN}</body></html>",
    "text": f"wait, {TOKEN}: available in 1 second",
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", REFUSALS)
async def test_no_refusal_gets_the_token_written_down_or_told(
    service: Serve, batch: Open, origin: Any, status: int, body: str
) -> None:
    told: list[bytes] = []

    async def hook(request: web.Request) -> web.Response:
        told.append(await request.read())
        return web.Response()

    headers = {"X-Echo": TOKEN, "Location": f"/v1/{TOKEN}"}
    options = {"status": status, "body": BODIES[body], "headers": headers}
    refused = [
        Fault(call, "status", times=1, options=options) for call in ("create", "get", "list", "output")
    ]
    provider = await service(faults=Faults(refused))
    night = batch(provider, 2, notify=await origin(hook), **SOON)
    with suppress(ServiceRefused):
        await night.run()
    assert leaking_files(night.folder) == []
    assert not any(map(leaks, told))
    assert told


@pytest.mark.parametrize("call", ["account", "model"])
async def test_an_error_that_reaches_the_caller_shows_no_token_with_all_that_it_came_of(
    service: Serve, batch: Open, call: str
) -> None:
    options = {"status": 401, "body": BODIES["JSON"], "headers": {"X-Echo": TOKEN}}
    provider = await service(faults=Faults([Fault(call, "status", options=options)]))
    night = batch(provider, 1)
    with pytest.raises(ServiceRefused) as caught:
        await (night.run() if call == "account" else night.check(online=True))
    assert shown_by(caught.value) == []


async def test_a_batch_and_all_that_it_gives_show_no_token(
    service: Serve, echo: Any, batch: Open, plans: Any, desk: Any
) -> None:
    gateway = await echo(await service())
    night = batch(gateway.base, 2)
    environ = {"BATCHFILL_TOKEN": TOKEN, "REPLICATE_API_TOKEN": TOKEN, "COPY": f"Bearer {TOKEN}", "HOME": "/"}
    night = Batch.open(night.manifest, environ=environ, **night.flags)
    summary = await night.run(confirm=plans.accept)
    report = await night.check(online=True)
    exported = night.export(desk.folder / "final")
    public = [night, night.environ, summary, report, exported, *plans, night.status(), *night.results()]
    settings = night._source.resolve(head={}, defaults={}, column={})
    for shown in [*public, settings, settings.token]:
        assert shown_by(shown) == []
    assert settings.token is not None
    assert night.environ["HOME"] == "/"


def shown_by(thing: Any) -> list[str]:
    """Return whatever shows the token: texts, attributes of attributes, pickles, copies, tracebacks."""
    texts = [f"{one!r} {one} {one!r:>9}" for one in reached(thing, {})]
    for form in (pickle.dumps, copy.deepcopy, copy.copy, asdict if is_dataclass(thing) else repr):
        # A token does not travel; nor does an error in a circle, once a cluster's library pickles contexts.
        with suppress(TypeError, RecursionError):
            texts.append(repr(form(thing)))
    if isinstance(thing, BaseException):
        # Behind the test's own frame, which knows the token.
        assert thing.__traceback__ is not None
        thing = thing.with_traceback(thing.__traceback__.tb_next)
        texts += TracebackException.from_exception(thing, capture_locals=True).format()
    return [text for text in texts if leaks(text.encode("utf-8", "replace"))]


def reached(thing: Any, seen: dict[int, Any]) -> Iterator[Any]:
    """Yield *thing* and all that its attributes, items and causes lead to."""
    if id(thing) in seen or isinstance(thing, type):
        return
    seen[id(thing)] = thing
    yield thing
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    held = [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in slots)]
    if isinstance(thing, dict):
        held += [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set, frozenset)):
        held += thing
    elif isinstance(thing, BaseException):
        held += [thing.args, thing.__cause__, thing.__context__]
    for one in held:
        yield from reached(one, seen)


def surroundings(_: None) -> tuple[dict[str, str], list[str], bytes]:
    """Return what a worker's process shows to others."""
    own = b""
    with suppress(OSError):
        own = Path("/proc/self/environ").read_bytes()
    return dict(os.environ), sys.argv, own


async def test_a_worker_is_born_without_the_token_under_whatever_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BATCHFILL_TOKEN", TOKEN)
    monkeypatch.setenv("MY_COPY", f"Bearer {TOKEN}")
    workers = Processes(1)
    try:
        environ, arguments, own = await workers.do(surroundings, None)
    finally:
        workers.close()
    assert leaks(f"{environ} {arguments}".encode() + own) == []
    assert "PATH" in environ


def test_an_environment_without_secrets_is_what_arrives_elsewhere() -> None:
    environ = Environment({"BATCHFILL_TOKEN": f" {TOKEN} ", "REPLICATE_API_TOKEN": " ", "X": "1"})
    secret = environ.secret("BATCHFILL_TOKEN")
    assert secret is not None
    assert secret.reveal() == TOKEN
    assert environ.secret("REPLICATE_API_TOKEN") is None
    assert dict(environ) == {"X": "1"}
    there = pickle.loads(pickle.dumps(environ))
    assert (dict(there), there.secret("BATCHFILL_TOKEN")) == ({"X": "1"}, None)
    assert Batch.open("a.csv", environ=environ).environ is environ


def test_a_token_can_be_copied_and_does_not_travel() -> None:
    token = Token(TOKEN)
    assert copy.deepcopy({"a": token})["a"] is token
    with pytest.raises(TypeError, match="does not travel"):
        pickle.dumps(token)
    assert leaks(f"{token} {token!r} {[token]}".encode()) == []
