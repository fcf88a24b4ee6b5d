"""The second origin: outputs, served to anybody who knows their address."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import random
from typing import TYPE_CHECKING

from aiohttp import web

from batchfill.emulator.emulator_model import TINY
from batchfill.emulator.faults.injection import HITS, send_slowly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aiohttp.typedefs import Middleware

    from batchfill.emulator.faults.injection import Pause
    from batchfill.emulator.faults.rules import Fault
    from batchfill.emulator.journal import PredictionRecord

_PAGE = b"<!doctype html>\n<html><head><title>Error</title></head><body>Not the picture</body></html>\n"
_EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
"""What an object store says of a signed address."""


class OutputFiles:
    """The output files of one folder; with *tiny*, one picture stands for all and none is written."""

    def __init__(self, folder: Path, *, tiny: bool) -> None:
        self._folder = folder
        self._tiny = tiny
        self.base = ""
        """`http://127.0.0.1:PORT` once the origin is up."""

    def write(self, id_: str, contents: tuple[bytes, ...], suffix: str) -> list[str]:
        """Write the outputs of a prediction and return their names."""
        folder = self._folder / id_
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"out-{n}.{suffix}" for n in range(len(contents))]
        for name, content in zip(names, contents, strict=True):
            (folder / name).write_bytes(content)
        return names

    def delete(self, id_: str) -> None:
        """Delete the outputs of a prediction."""
        folder = self._folder / id_
        if folder.is_dir():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    def read(self, id_: str, name: str) -> bytes:
        """Return one output. Raises OSError when it is not there."""
        return TINY if self._tiny else (self._folder / id_ / name).read_bytes()

    async def load(self, id_: str, name: str) -> bytes:
        """Return one output without holding up anybody else. Raises OSError when it is not there."""
        return TINY if self._tiny else await asyncio.to_thread(self.read, id_, name)

    def urls(self, record: PredictionRecord) -> list[str]:
        """Return the addresses of a prediction's outputs."""
        return [f"{self.base}/outputs/{record.id}/{name}" for name in record.outputs]

    def inline(self, record: PredictionRecord) -> list[str]:
        """Return the outputs themselves, as data URLs."""
        urls = []
        for name in record.outputs:
            text = base64.b64encode(self.read(record.id, name)).decode()
            urls.append(f"data:{_mime_type(name)};base64,{text}")
        return urls


def outputs_app(
    outputs: OutputFiles,
    find: Callable[[str], PredictionRecord | None],
    *,
    remove: Callable[[str], object],
    pause: Pause,
    middleware: Middleware,
    now: Callable[[], float],
) -> web.Application:
    """Return the application of the second origin. *remove* and *pause* are for its faults.

    *now*: the provider's time, after which signed addresses expire.
    """

    async def serve(request: web.Request) -> web.StreamResponse:
        id_, name = request.match_info["id"], request.match_info["name"]
        hits = {fault.kind: fault for fault in request[HITS]}
        record = find(id_)
        if record is None or name not in record.outputs:
            return _not_found()
        if not _is_signed_for(request.query.get("Expires"), now()):
            return web.Response(status=403, text=_EXPIRED, content_type="application/xml")
        if "expired" in hits:
            remove(id_)
            return _not_found()
        content = await outputs.load(id_, name)
        if "slow" in hits:
            return await send_slowly(request, content, _mime_type(name), hits["slow"], pause)
        return _answer_output(content, _mime_type(name), hits)

    app = web.Application(middlewares=[middleware])
    app.router.add_get("/outputs/{id}/{name}", serve)
    return app


def _is_signed_for(expires: str | None, now: float) -> bool:
    """Whether a signed address may still be fetched: one that was changed on its way never is."""
    if expires is None:
        return True
    try:
        return now <= float(expires)
    except ValueError:
        return False


def _not_found() -> web.Response:
    return web.Response(status=404, text="404: Not Found")


def _mime_type(name: str) -> str:
    if name.endswith(".webp"):
        # Python 3.11 does not know it.
        return "image/webp"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _answer_output(content: bytes, mime: str, hits: Mapping[str, Fault]) -> web.Response:
    if "html" in hits:
        return web.Response(body=_PAGE, content_type="text/html")
    if "garbage" in hits:
        # Any bytes will do that are the same every time.
        content = random.Random(len(content)).randbytes(len(content))  # noqa: S311
    if "wrong_length" in hits:
        content = content[: len(content) // 2]
    return web.Response(body=content, content_type=mime)
