"""A gateway on loopback that says every byte of its answers: for manners that no library would speak.

A *reply* is what one call is answered with: bytes as they are, or a JSON value. It is given as it is, or by a
function of the prediction's id and of how often that call was made.

*Raw gateways* are served to a test, and a *night* is a batch at one.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.support.timings import set_timings

if TYPE_CHECKING:
    from batchfill.batch import Batch

MODEL = "black-forest-labs/flux-fill-dev"
NOW = "2026-11-29T12:00:00.000Z"
NOT_FOUND = "404 Not Found"


def answer(body: bytes | Any, status: str = "200 OK", **fields: str) -> bytes:
    """Return the bytes of an answer: *body* is JSON unless it is bytes, *fields* are headers."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    told = {"content_type": "application/json", "content_length": str(len(content)), "connection": "close"}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in (told | fields).items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + content


def picture(format_: str = "WEBP", size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a whole picture."""
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 60, 30)).save(stream, format_)
    return stream.getvalue()


@dataclass
class RawGateway:
    """What the gateway answers, and what it was asked. The paths are those below its base."""

    port: int = 0
    replies: dict[str, Any] = field(default_factory=dict)
    """By call: `create`, `get`, `list`, `cancel`, `files`, `out`; a call without one is not offered."""
    calls: list[str] = field(default_factory=list)
    """Method and path of each request, in order."""
    inputs: list[dict[str, Any]] = field(default_factory=list)
    """The input of each create."""
    heads: list[str] = field(default_factory=list)
    """The head of each request."""
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.replies = {
            "create": lambda id_, n: answer(self.created(id_), "201 Created"),
            "get": lambda id_, n: answer(self.created(id_) if n == 1 else self.succeeded(id_)),
            "out": answer(picture(), content_type="image/webp"),
        }

    @property
    def root(self) -> str:
        """Return the gateway's origin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """Return the base to give to batchfill."""
        return f"{self.root}/replicate/v1"

    @property
    def creates(self) -> int:
        """Return how many predictions it was asked for."""
        return self.counts["create"]

    def created(self, id_: str, **changes: Any) -> dict[str, Any]:
        """Return a prediction that was just made."""
        urls = {"get": f"https://api.replicate.com/v1/predictions/{id_}"}
        made: dict[str, Any] = {
            "id": id_,
            "model": MODEL,
            "version": "hidden",
            "input": self.input_of(id_),
            "logs": "",
        }
        open_: dict[str, Any] = {"output": None, "data_removed": False, "error": None, "status": "starting"}
        return made | open_ | {"created_at": NOW, "urls": urls} | changes

    def succeeded(self, id_: str, **changes: Any) -> dict[str, Any]:
        """Return a prediction that has ended well."""
        ended = {"status": "succeeded", "output": [f"{self.root}/out/{id_}.webp"]}
        return self.created(id_, **{**ended, **changes})

    def input_of(self, id_: str) -> dict[str, Any]:
        """Return the input that the prediction was asked for with."""
        number = int(id_.removeprefix("p")) if id_[1:].isdigit() else 0
        return self.inputs[number - 1] if 0 < number <= len(self.inputs) else {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            self.heads.append(head)
            method, path, _ = head.split(" ", 2)
            reply = self._reply(method, path, body)
            if reply:
                writer.write(reply)
                await writer.drain()
        writer.close()

    def _reply(self, method: str, path: str, body: bytes) -> bytes | None:
        self.calls.append(f"{method} {path}")
        call, id_ = self._call_of(method, path.partition("?")[0].removeprefix("/replicate/v1"))
        if call == "create":
            self.inputs.append(json.loads(body)["input"])
            id_ = f"p{len(self.inputs)}"
        self.counts[call] += 1
        self.counts[f"{call} {id_}"] += 1
        reply: Any = self.replies.get(call)
        if reply is None:
            refused = {"error": {"message": f"Invalid URL ({method} {path})"}}
            return answer(refused, NOT_FOUND)
        found = reply(id_, self.counts[f"{call} {id_}"]) if callable(reply) else reply
        return found if found is None or isinstance(found, bytes) else answer(found)

    def _call_of(self, method: str, path: str) -> tuple[str, str]:
        if method == "POST" and path == f"/models/{MODEL}/predictions":
            return "create", ""
        if found := re.fullmatch(r"/predictions/([^/]+)(/cancel)?", path):
            return ("cancel" if found[2] else "get"), found[1]
        if path.startswith("/out/"):
            return "out", path.removeprefix("/out/").partition(".")[0]
        return {"/predictions": "list", "/files": "files"}.get(path, path), ""


@asynccontextmanager
async def open_raw_gateway(**replies: bytes | Callable[[str, int], Any] | Any) -> AsyncIterator[RawGateway]:
    """Serve a gateway with these *replies* instead of the usual ones."""
    gateway = RawGateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    gateway.port = server.sockets[0].getsockname()[1]
    gateway.replies |= replies
    try:
        yield gateway
    finally:
        server.close()


Open = Callable[..., Awaitable[RawGateway]]
PICTURES = {"image": "https://example.com/a.png", "mask": "https://example.com/m.png"}


@pytest.fixture
async def raw_gateway() -> AsyncIterator[Open]:
    """`await raw_gateway(create=…)` serves a gateway with these replies instead of the usual ones."""
    async with AsyncExitStack() as stack:
        yield lambda **replies: stack.enter_async_context(open_raw_gateway(**replies))


@pytest.fixture
def night(batch: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Batch]:
    """Make a batch of so many rows of addresses at a gateway; with *doubt* a lost answer is soon in doubt."""
    set_timings(monkeypatch, overdue_grace=0.2)

    def make(gateway: RawGateway, count: int = 1, *, doubt: bool = False, **flags: Any) -> Batch:
        rows = [{"id": f"r{n}", **PICTURES, "prompt": f"picture {n}"} for n in range(1, count + 1)]
        # A busy machine may take its time: only a test that waits for a doubt is short of it.
        waits = {"recover_wait": 1, "answer_timeout": 1 if doubt else 60}
        made: Batch = batch(gateway.base, rows, **waits, **flags)
        return made

    return make
