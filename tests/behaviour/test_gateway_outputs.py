"""Outputs as gateways give them: a paid picture that is there is taken, whatever its form and label."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import ssl
import zlib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batchfill.console.summary import summary_lines
from batchfill.emulator.emulator_model import TINY
from batchfill.run.download.unfetched import NONE_NAMED
from tests.support.providers import TOKEN
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from tests.support.gateways import Elsewhere
    from tests.support.programs import Program

    Open = Callable[..., Batch]
    Origin = Callable[..., Awaitable[str]]
    Answer = Callable[["PictureGateway"], Any]
    Serve = Callable[..., Awaitable["PictureGateway"]]

TEXT = base64.b64encode(TINY).decode()
CERTIFICATE = Path(__file__).with_name("gw_test.pem")
INPUTS = {"image": "https://pictures.test/a.png", "mask": "https://pictures.test/m.png"}
ROWS = [{"id": "r1", **INPUTS, "prompt": "a spaceship"}]


class PictureGateway:
    """A gateway that creates and gets, and nothing else; what it says of outputs is a test's to choose."""

    def __init__(
        self, output: Answer, picture: Callable[[PictureGateway, web.Request], web.Response]
    ) -> None:
        self._output, self._picture = output, picture
        self.root = ""
        self.base = ""
        self.creates = 0
        self.looks = 0
        """Times that it said that a prediction succeeded."""
        self.fetched: list[str] = []
        """The paths of pictures that were asked for."""
        self.signed = 0
        """Of those, with a token."""

    async def meet(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.method == "POST" and path.endswith("/flux-fill-dev/predictions"):
            self.creates += 1
            return web.json_response(self._prediction(status="starting"), status=201)
        if path.startswith("/replicate/v1/predictions/p1"):
            return self._look(path)
        if path.startswith("/out/"):
            self.fetched.append(request.path_qs)
            self.signed += "Authorization" in request.headers
            return self._picture(self, request)
        return web.json_response({"error": {"message": f"Invalid URL ({request.method} {path})"}}, status=404)

    def _look(self, path: str) -> web.Response:
        self.looks += 1
        said = self._output(self)
        if isinstance(said, web.Response):
            return said
        named = said if isinstance(said, dict) and "status" in said else {"output": said}
        return web.json_response(self._prediction(**{"status": "succeeded", **named}))

    def _prediction(self, **changes: Any) -> dict[str, Any]:
        made: dict[str, Any] = {
            "id": "p1",
            "model": "black-forest-labs/flux-fill-dev",
            "version": "hidden",
            "logs": "",
        }
        made |= {"input": {**INPUTS, "prompt": "a spaceship"}, "output": None, "error": None}
        return {**made, "urls": {"get": "https://api.replicate.com/v1/predictions/p1"}, **changes}


def whole(_: PictureGateway, request: web.Request) -> web.Response:
    """Answer with a whole picture."""
    return web.Response(body=TINY, content_type="image/webp")


@pytest.fixture
def serve(origin: Origin) -> Callable[..., Awaitable[PictureGateway]]:
    """`await serve(output, picture)` starts a gateway; see PictureGateway."""

    async def start(output: Answer, picture: Any = whole) -> PictureGateway:
        made = PictureGateway(output, picture)
        made.root = await origin(made.meet)
        made.base = f"{made.root}/replicate/v1"
        return made

    return start


def kept(night: Batch) -> list[bytes]:
    return [path.read_bytes() for path in sorted((night.folder / "outputs").glob("*.*"))]


# Addresses that expire


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_signed_address_that_has_expired_is_asked_for_once_more(
    serve: Serve, batch: Open, status: int
) -> None:
    def signed(gateway: PictureGateway) -> list[str]:
        return [f"{gateway.root}/out/i.webp?Expires=1&Signature={gateway.looks}"]

    def host(_: PictureGateway, request: web.Request) -> web.Response:
        if request.query["Signature"] != "1":
            return web.Response(body=TINY)
        said = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
        return web.Response(status=status, text=said, content_type="application/xml")

    gateway = await serve(signed, host)
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert kept(night) == [TINY]
    assert (gateway.creates, gateway.looks) == (1, 2)


async def test_an_output_that_is_refused_for_a_while_is_put_off_and_taken(serve: Serve, batch: Open) -> None:
    def host(gateway: PictureGateway, _: web.Request) -> web.Response:
        return web.Response(body=TINY) if gateway.looks > 4 else web.Response(status=403, text="<html>")

    gateway = await serve(lambda gateway: [f"{gateway.root}/out/i.webp"], host)
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.creates) == ([TINY], 1)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_a_look_at_a_made_prediction_that_is_refused_once_loses_no_picture(
    serve: Serve, batch: Open, status: int
) -> None:
    def output(gateway: PictureGateway) -> Any:
        if gateway.looks == 2:
            return web.json_response({"error": {"message": "无效的令牌"}}, status=status)
        return [f"{gateway.root}/out/i.webp"] if gateway.looks > 2 else None

    gateway = await serve(output)
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.creates) == ([TINY], 1)


# Outputs that come late


@pytest.mark.parametrize("nothing", [None, [], {}, "", [None], {"images": []}, {"images": [{"url": ""}]}])
async def test_an_output_that_is_named_some_looks_after_success_is_waited_for(
    serve: Serve, batch: Open, nothing: Any
) -> None:
    gateway = await serve(lambda gate: nothing if gate.looks <= 3 else [f"{gate.root}/out/i.webp"])
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.creates, gateway.looks) == ([TINY], 1, 4)


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ({}, "; it gives no reason"),
        ({"logs": "step 28\nNSFW content detected in image 0\n"}, "says: NSFW content detected in image 0"),
        ({"error": "output flagged by moderation"}, "says: output flagged by moderation"),
    ],
)
async def test_a_row_that_no_picture_is_named_of_is_told_in_the_services_words_and_as_paid(
    serve: Serve, batch: Open, result: Callable[..., Result], said: Mapping[str, str], end: str
) -> None:
    gateway = await serve(lambda _: {"status": "succeeded", **said})
    night = batch(gateway.base, ROWS)
    summary = await night.run()
    assert summary.exit_code == 1
    told = result(night).error or ""
    assert told.startswith(NONE_NAMED)
    assert told.endswith(end)
    lines = summary_lines(summary, command="batchfill run night.csv")
    assert [line for line in lines if "--retry failed" in line] == [
        "to try failed rows again, and pay again for 1 row that the service had made: "
        "batchfill run night.csv --retry failed"
    ]


async def test_a_service_has_minutes_to_name_an_output(
    serve: Serve, batch: Open, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, late_outputs=300.0)

    def output(gateway: PictureGateway) -> Any:
        if gateway.looks == 12:
            later(280)
        return None if gateway.looks < 14 else [f"{gateway.root}/out/i.webp"]

    gateway = await serve(output)
    monkeypatch.setattr("batchfill.run.download.downloader.LONGEST_WAIT", 0.02)
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.looks) == ([TINY], 14)


# Forms

FORMS: dict[str, Answer] = {
    "bare base64": lambda _: [TEXT],
    "bare base64, not in a list": lambda _: TEXT,
    "base64 for addresses": lambda _: [TEXT.replace("+", "-").replace("/", "_")],
    "half a data URL": lambda _: [f"image/webp;base64,{TEXT}"],
    "b64_json": lambda _: {"images": [{"b64_json": TEXT}]},
    "a path": lambda _: ["/out/p1.webp"],
    "a path, not in a list": lambda _: "/out/p1.webp",
    "a path in an object": lambda _: {"images": [{"url": "/out/p1.webp", "content_type": "image/webp"}]},
    "without a scheme": lambda gateway: [gateway.root.partition(":")[2] + "/out/p1.webp"],
    "up from the prediction": lambda _: ["../../../out/p1.webp"],
    "markdown": lambda gateway: f"![a spaceship]({gateway.root}/out/p1.webp)",
    "markdown link": lambda gateway: [f"Done: [download]({gateway.root}/out/p1.webp)"],
    "HTML": lambda gateway: f'<img alt="" src="{gateway.root}/out/p1.webp">',
    "JSON in a text": lambda gateway: json.dumps([f"{gateway.root}/out/p1.webp"]),
    "camel case": lambda gateway: {"imageUrl": f"{gateway.root}/out/p1.webp", "seed": 7},
    "of a chat": lambda gateway: {
        "choices": [{"message": {"content": f"![image]({gateway.root}/out/p1.webp)"}}]
    },
    "next to output": lambda gateway: {
        "status": "succeeded",
        "images": [{"url": f"{gateway.root}/out/p1.webp"}],
    },
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_picture_is_taken_in_whatever_form_it_is_named(serve: Serve, batch: Open, form: str) -> None:
    gateway = await serve(FORMS[form])
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.creates, gateway.looks) == ([TINY], 1, 1)


OTHERS: dict[str, Answer] = {
    "a thumbnail and an input": lambda gate: {
        "images": [{"url": f"{gate.root}/out/1.webp", "thumbnail_url": f"{gate.root}/out/2.webp"}],
        "input_image": INPUTS["image"],
    },
    "the inputs first": lambda gate: {**INPUTS, "result": f"{gate.root}/out/1.webp"},
    "one picture twice": lambda gate: [{"url": f"{gate.root}/out/1.webp", "b64_json": TEXT}],
    "more than was asked for": lambda gate: [f"{gate.root}/out/{n}.webp" for n in (1, 2, 3)],
    "more than was asked for, some of them nonsense": lambda gate: ["", "none", f"{gate.root}/out/1.webp"],
    "an input in the list": lambda gate: [INPUTS["image"], f"{gate.root}/out/1.webp"],
    "previews by name": lambda gate: {
        "preview": f"{gate.root}/out/2.webp",
        "final": f"{gate.root}/out/1.webp",
    },
}


@pytest.mark.parametrize("case", OTHERS)
async def test_of_many_addresses_only_the_pictures_that_were_asked_for_are_taken(
    serve: Serve, batch: Open, case: str
) -> None:
    gateway = await serve(OTHERS[case])
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.fetched) == ([TINY], ["/out/1.webp"])


# Labels

LABELLED: dict[str, tuple[str | None, bytes]] = {
    "gzip, and it is the picture": ("gzip", TINY),
    "br, and it is the picture": ("br", TINY),
    "two codings, and it is the picture": ("gzip, br", TINY),
    "deflate, and it is gzip": ("deflate", gzip.compress(TINY)),
    "gzip, as it says": ("gzip", gzip.compress(TINY)),
    "deflate, as it says": ("deflate", zlib.compress(TINY)),
    "none, and it is gzip": (None, gzip.compress(TINY)),
    "unheard of": ("aws-chunked", TINY),
}


@pytest.mark.parametrize("label", LABELLED)
async def test_what_an_output_holds_decides_and_not_its_label(serve: Serve, batch: Open, label: str) -> None:
    coding, body = LABELLED[label]

    def host(_: PictureGateway, request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": coding} if coding else {})

    gateway = await serve(lambda gateway: [f"{gateway.root}/out/1.webp"], host)
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert (kept(night), gateway.fetched) == ([TINY], ["/out/1.webp"])


JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("content", "suffix"),
    [(JXL, ".jxl"), (b"\xff\x0a" + JXL, ".jxl"), (b"\0\0\0\x18ftypheic" + bytes(99), ".heic")],
)
async def test_a_file_that_no_decoder_here_reads_is_kept_once_and_not_fetched_for_the_hour(
    serve: Serve, batch: Open, result: Callable[..., Result], content: bytes, suffix: str
) -> None:
    gateway = await serve(
        lambda gateway: [f"{gateway.root}/out/1.jxl"],
        lambda _gateway, _request: web.Response(body=content, content_type="image/jxl"),
    )
    night = batch(gateway.base, ROWS)
    summary = await night.run()
    assert summary.exit_code == 1
    (place,) = (night.folder / "suspect").iterdir()
    assert (place.suffix, place.read_bytes(), gateway.fetched) == (suffix, content, ["/out/1.jxl"])
    assert f"It was paid for, and is kept as suspect/{place.name}" in (result(night).error or "")
    assert "pay again for 1 row" in "\n".join(summary_lines(summary, command="batchfill run night.csv"))


# The token, and TLS


async def test_an_output_with_the_token_in_a_relative_address_is_fetched_and_the_token_is_written_nowhere(
    serve: Serve, batch: Open, elsewhere: Elsewhere
) -> None:
    gateway = await serve(lambda _: [f"/out/p1.webp?key={TOKEN}"])
    night = batch(gateway.base, ROWS)
    assert (await night.run()).exit_code == 0
    assert gateway.fetched == [f"/out/p1.webp?key={TOKEN}"]
    for path in night.folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert elsewhere.tokens == []


class TlsGateway:
    """`gw.test` behind a CONNECT proxy: what is asked of the proxy in the open is noted, and refused."""

    def __init__(self) -> None:
        self.proxy = ""
        self.plain: list[str] = []
        """Requests that came to the proxy without TLS."""
        self._port = 0

    async def start(self, stack: AsyncExitStack, handler: Callable[[web.Request], Any]) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(CERTIFICATE)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self._port = runner.addresses[0][1]
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        stack.callback(server.close)
        self.proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if not head.startswith("CONNECT gw.test:443 "):
            self.plain.append(head)
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def behind_tls() -> AsyncIterator[Callable[..., Awaitable[TlsGateway]]]:
    """`await behind_tls(handler)` serves `https://gw.test`; see TlsGateway."""
    async with AsyncExitStack() as stack:

        async def start(handler: Callable[[web.Request], Any]) -> TlsGateway:
            made = TlsGateway()
            await made.start(stack, handler)
            return made

        yield start


def _is_signed(request: web.Request) -> bool:
    return request.headers.get("Authorization") == f"Bearer {TOKEN}"


@pytest.mark.parametrize("link", ["http://gw.test/out/p1.webp", "https://gw.test/moved/p1.webp"])
async def test_a_gateway_behind_tls_that_names_itself_by_http_is_asked_by_https(
    behind_tls: Callable[..., Awaitable[TlsGateway]], batch: Open, batchfill: Program, link: str
) -> None:
    inner = PictureGateway(lambda _: [link], whole)

    async def meet(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/moved/"):
            return web.Response(status=302, headers={"Location": "http://gw.test/out/p1.webp"})
        if link.startswith("http:") and request.path.startswith("/out/") and not _is_signed(request):
            return web.Response(status=401)
        return await inner.meet(request)

    gateway = await behind_tls(meet)
    night = batch(None, ROWS)
    environ = {"HTTPS_PROXY": gateway.proxy, "HTTP_PROXY": gateway.proxy, "SSL_CERT_FILE": str(CERTIFICATE)}
    ran = await batchfill(
        "run", "night.csv", "--base-url", "https://gw.test/replicate/v1", env=batchfill.environ | environ
    )
    assert (ran.code, kept(night)) == (0, [TINY]), ran.err
    assert gateway.plain == []
