"""The page's server on loopback: which address gives what, and how it starts and stops."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from aiohttp import web
from anyio import to_thread

from batchfill.errors import BadPicture, BatchfillError, UsageError
from batchfill.images.codec.thumbnail import THUMB, VIEW
from batchfill.review import assets
from batchfill.review.auth import Auth, add_security_headers, login_page
from batchfill.review.decisions import read_message
from batchfill.review.document import DOCUMENT_END, document_start, encode_json
from batchfill.review.feed import Feed
from batchfill.review.listeners import open_listeners, serve_app
from batchfill.review.pages import Pages
from batchfill.review.pieces import FIELDS
from batchfill.review.runs import read_agreed
from batchfill.review.thumbnails import Originals, Thumbnails

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from batchfill.review.runs import PageRuns
    from batchfill.review.source import ReviewSource
    from batchfill.workers.pool import Workers

QUIET = 15.0
"""Seconds after which a stream that has nothing to say shows that it is alive."""

TYPES = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""What a browser is told to show; it may keep anything else, and shows none of it."""

LINES = "application/jsonl"

AGAIN = web.AppKey("again", str)
"""The flags with which the command serves at an application's address again."""
STARTS = web.AppKey("starts", bool)
"""Whether the pages of an application may start runs."""

MAX_ROWS = 1000
"""Rows that are asked for at once."""

OF_ANOTHER = "this page belongs to a review that has ended: open the address that the present one printed\n"

KEPT = "private, max-age=31536000, immutable"
"""A picture's address names its content."""


class ReviewServer:
    """Answers the page."""

    def __init__(
        self,
        pages: Pages,
        book: Feed,
        originals: Originals,
        pictures: Thumbnails,
        runs: PageRuns | None = None,
    ) -> None:
        self._pages, self._book, self._originals, self._pictures = pages, book, originals, pictures
        self._runs = runs
        self._streams: set[anyio.CancelScope] = set()

    def make_app(self, door: Auth) -> web.Application:
        """Return the application behind *door*: only this machine's own starts runs."""
        app = web.Application(middlewares=[door.make_middleware()])
        app.on_response_prepare.append(add_security_headers)
        app.on_shutdown.append(self.finish)
        app.router.add_get("/", self.page)
        app.router.add_get("/page/{name}", self.sheet)
        app.router.add_get("/batch.json", self.batch)
        app.router.add_get("/head.json", self.head)
        app.router.add_get("/index.jsonl", self.index)
        app.router.add_get("/words.jsonl", self.words)
        app.router.add_post("/rows", self.rows)
        app.router.add_get("/events", self.events)
        app.router.add_post("/decisions", self.decide)
        app.router.add_get("/thumbs/{key}.webp", self.thumb)
        app.router.add_get("/views/{key}.webp", self.view)
        app.router.add_get("/files/{key}", self.file)
        app[AGAIN] = door.flags
        app[STARTS] = self._runs is not None and door.is_of_this_machine
        if app[STARTS]:
            app.router.add_post("/plan", self.plan)
            app.router.add_post("/runs", self.run)
        return app

    async def page(self, request: web.Request) -> web.Response:
        """The page itself."""
        return web.Response(text=assets.read_asset("index.html"), content_type="text/html")

    async def sheet(self, request: web.Request) -> web.Response:
        """One of the page's styles and scripts."""
        name = request.match_info["name"]
        if name not in assets.asset_names():
            raise web.HTTPNotFound
        kind = assets.TYPES[name[name.rindex(".") :]]
        return web.Response(text=assets.read_asset(name), content_type=kind)

    async def head(self, request: web.Request) -> web.Response:
        """All of the JSON but its rows, and the fields of an entry; a page that has a name keeps it."""
        head = self._book.head(self._page_of(request))
        more = {"fields": FIELDS, "starts": request.app[STARTS], "again": request.app[AGAIN]}
        return web.json_response({**head, **more}, dumps=encode_json)

    async def batch(self, request: web.Request) -> web.StreamResponse:
        """The whole JSON; a page that has a name keeps it."""

        async def parts() -> AsyncIterator[str]:
            yield document_start(self._book.head(self._page_of(request)))
            between = ""
            async for rows in self._book.texts():
                yield between + ",\n".join(rows)
                between = ",\n"
            yield DOCUMENT_END

        return await _stream_text(request, parts(), "application/json")

    async def index(self, request: web.Request) -> web.StreamResponse:
        """What all rows are filtered and sorted by, in lines of JSON."""

        async def lines() -> AsyncIterator[str]:
            for entries in self._book.index():
                yield f"{entries}\n"

        return await _stream_text(request, lines(), LINES)

    async def words(self, request: web.Request) -> web.StreamResponse:
        """What all rows are searched by, in lines of JSON."""
        return await _stream_text(request, (f"{line}\n" async for line in self._book.words()), LINES)

    async def rows(self, request: web.Request) -> web.Response:
        """The rows that are asked for by their ids."""
        try:
            ids = _read_ids(json.loads(await request.read()))
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        rows = await self._book.rows_named(ids)
        return web.Response(text=f"[{','.join(rows)}]", content_type="application/json")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """What changes after the edition that the page has, as server-sent events."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        page = request.query.get("page", "")
        edition = _read_number(request.headers.get("Last-Event-ID") or request.query.get("since", ""))
        # The reader may be gone at any moment.
        with suppress(ConnectionError), self._streaming():
            while True:
                with anyio.move_on_after(QUIET) as waiting:
                    await self._book.wait_beyond(edition)
                if waiting.cancelled_caught:
                    await response.write(b":\n\n")
                    continue
                edition, text = self._book.since(edition, page)
                lines = "".join(f"data: {line}\n" for line in text.splitlines())
                await response.write(f"id: {edition}\n{lines}\n".encode())
        return response

    async def decide(self, request: web.Request) -> web.Response:
        """Decisions in their order; the answer says that they are on disk. Nothing is read again for it."""
        try:
            message = read_message(json.loads(await request.read()), time.time)
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        if not self._pages.knows(message.page):
            raise web.HTTPConflict(text=OF_ANOTHER)
        try:
            refused = await self._pages.take(message)
        except (BatchfillError, OSError) as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        return web.json_response({"saved": message.last, "refused": refused})

    async def plan(self, request: web.Request) -> web.Response:
        """What a run would do; nothing is started."""
        assert self._runs is not None
        with _refused_in_words():
            return web.json_response(await self._runs.plan())

    async def run(self, request: web.Request) -> web.Response:
        """Start a run, unless it would do anything else than a person has agreed to."""
        assert self._runs is not None
        try:
            agreed = read_agreed(json.loads(await request.read()))
        except (ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        with _refused_in_words():
            return web.json_response(await self._runs.start(agreed))

    async def finish(self, app: web.Application) -> None:
        """End what would go on as long as a page is open; decisions that came in reach the disk."""
        for stream in self._streams:
            stream.cancel()
        await self._pages.finish()

    async def thumb(self, request: web.Request) -> web.StreamResponse:
        """A picture for the wall."""
        return await self._send_small(request, THUMB)

    async def view(self, request: web.Request) -> web.StreamResponse:
        """A picture that fills the window."""
        return await self._send_small(request, VIEW)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A picture as it is."""
        original = self._originals.sent_whole(request.match_info["key"])
        if original is None:
            return _picture_response(None)
        try:
            async with self._pictures.hold(original) as held:
                # A copy may go at once: what is open is sent to its end.
                return _open_response(held.path) if held.copied else _picture_response(held.path)
        except BadPicture as error:
            raise web.HTTPNotFound(text=str(error)) from error

    def _page_of(self, request: web.Request) -> str:
        return self._pages.name(request.query.get("page", ""))

    @contextmanager
    def _streaming(self) -> Iterator[None]:
        with anyio.CancelScope() as stream:
            self._streams.add(stream)
            try:
                yield
            finally:
                self._streams.discard(stream)

    async def _send_small(self, request: web.Request, size: str) -> web.StreamResponse:
        original = self._originals.get(request.match_info["key"])
        if original is None:
            return _picture_response(None)
        try:
            return _picture_response(await self._pictures.small_copy(original, size))
        except BadPicture as error:
            raise web.HTTPNotFound(text=str(error)) from error


async def serve_review(
    source: ReviewSource,
    workers: Workers,
    *,
    port: int = 0,
    host: str | None = None,
    runs: PageRuns | None = None,
    on_ready: Callable[[str], None],
    on_shared: Callable[[str], None] = lambda address: None,
    browse: Callable[[str], object] | None = None,
) -> None:
    """Serve the page of *source* on 127.0.0.1 until cancelled; port 0 is any free one.

    Once it answers, *on_ready* is told an address that lets one browser in, once, and *browse*, in a thread,
    one for the browser that it starts. With *host*, an IP address of this machine, it is served there
    too, and *on_shared* is told an address for a browser of another device: that one starts no run.
    *runs*: starts runs for the page; None: nothing does. Raises UsageError when a port cannot be had.
    """
    with open_listeners(port, host) as listeners:
        pictures = Thumbnails(source, workers)
        originals = Originals()
        pages = Pages(source)
        book = Feed(source, originals, pages)
        await book.refresh()
        server = ReviewServer(pages, book, originals, pictures, runs)
        async with AsyncExitStack() as serving, anyio.create_task_group() as tasks:
            for listener in listeners:
                app = server.make_app(listener.auth)
                await serving.enter_async_context(serve_app(app, listener.socket))
            tasks.start_soon(book.follow)
            tasks.start_soon(_make_thumbs, book, originals, pictures)
            own, *shared = (listener.auth for listener in listeners)
            on_ready(own.login_url())
            for auth in shared:
                on_shared(auth.login_url())
            if browse is not None:
                tasks.start_soon(_invite_browser, browse, source.folder, own.login_url())


async def _invite_browser(browse: Callable[[str], object], folder: Path, address: str) -> None:
    # In a folder that cannot be written there is no step, and the address is known all the same.
    with suppress(OSError), login_page(folder, address) as step:
        await to_thread.run_sync(browse, step, abandon_on_cancel=True)
        await anyio.sleep_forever()


async def _make_thumbs(book: Feed, originals: Originals, pictures: Thumbnails) -> None:
    """Make the wall's pictures ahead of the reader who scrolls to them."""
    made = 0
    while True:
        edition = book.version
        for original in originals.behind(made):
            made += 1
            with suppress(BadPicture, OSError):  # told to the page that asks for it
                await pictures.small_copy(original, THUMB)
        await book.wait_beyond(edition)


@contextmanager
def _refused_in_words() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise web.HTTPConflict(text=str(error)) from error


def _picture_response(path: Path | None) -> web.StreamResponse:
    if path is None or not path.is_file():
        raise web.HTTPNotFound(text="no such picture (any more)")
    return web.FileResponse(path, headers=_picture_headers(path))


def _open_response(path: Path) -> web.StreamResponse:
    return web.Response(body=path.open("rb"), headers=_picture_headers(path))


def _picture_headers(path: Path) -> dict[str, str]:
    kind = TYPES.get(path.suffix.lower(), "application/octet-stream")
    return {"Content-Type": kind, "Cache-Control": KEPT}


async def _stream_text(request: web.Request, parts: AsyncIterator[str], kind: str) -> web.StreamResponse:
    """Answer with *parts*, one after the other as they come."""
    response = web.StreamResponse(headers={"Content-Type": f"{kind}; charset=utf-8"})
    await response.prepare(request)
    # The reader may be gone at any moment.
    with suppress(ConnectionError):
        async for part in parts:
            await response.write(part.encode())
    return response


def _read_ids(said: object) -> list[str]:
    """Return the ids that *said*, a JSON value, is. Raises ValueError."""
    if not isinstance(said, list) or len(said) > MAX_ROWS or not all(isinstance(id_, str) for id_ in said):
        raise ValueError(f"rows are asked for by a list of {MAX_ROWS} ids at most")
    return said


def _read_number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
