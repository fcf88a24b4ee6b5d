"""A collection of pictures, its server, and somebody who asks it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
import pytest_asyncio
from aiohttp import ClientSession, CookieJar

from batchfill.errors import unwrap_single
from batchfill.review.server import serve_review
from batchfill.workers.pool import Threads
from tests.unit.review.browsing import launched, program
from tests.unit.review.collection import Collection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from playwright.async_api import Browser, BrowserContext, Page

    from batchfill.review.runs import PageRuns
    from batchfill.review.source import ReviewSource


@asynccontextmanager
async def served(source: ReviewSource, runs: PageRuns | None = None) -> AsyncIterator[str]:
    """Serve *source*; gives an address that lets one browser in. *runs* starts runs."""
    addresses: list[str] = []
    ready = anyio.Event()

    def welcome(address: str) -> None:
        addresses.append(address)
        ready.set()

    with unwrap_single():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve_review(source, Threads(2), runs=runs, on_ready=welcome))
            await ready.wait()
            yield addresses[0]
            tasks.cancel_scope.cancel()


def asking() -> ClientSession:
    """Return a client that keeps the cookies of an address."""
    return ClientSession(cookie_jar=CookieJar(unsafe=True))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for changes without a pause."""
    monkeypatch.setattr("batchfill.review.feed.REFRESH_INTERVAL", 0.01)


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """An empty one; a test puts its rows there."""
    folder = tmp_path / "night.batch"
    folder.mkdir()
    return Collection(folder)


@pytest.fixture
def pictures(collection: Collection) -> Collection:
    """Eight rows of every kind."""
    collection.add("harbour", prompt="a quiet harbour at dawn")
    collection.add("bridge", prompt="an iron bridge", outputs=3)
    collection.add("market", prompt="an empty market", flags=("blank",))
    collection.add("station", prompt="a station without people", flags=("drift",), earlier=1)
    collection.add("refused", state="failed", error="NSFW content detected")
    collection.add("later", state="pending", prompt="a quiet street")
    collection.add("remote", image="https://pictures.test/1.png")
    collection.add("last", prompt='"><img src=x onerror=alert(1)>')
    return collection


@pytest.fixture
def serving(quick: None) -> Callable[[ReviewSource], AbstractAsyncContextManager[str]]:
    """`async with serving(collection) as address`; see served."""
    return served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium; a test is left out where there is none."""
    playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    if program() is None:
        pytest.skip("no Chromium here (Debian and Ubuntu: apt install chromium)")
    async with playwright.async_playwright() as started:
        opened = await launched(started)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A window for all tests, whose pages share a process: to start one takes longer than most of them.

    A page of this machine stays open in it, and the process with it.
    """
    opened = await browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
    opened.set_default_timeout(120_000)
    kept = await opened.new_page()
    await kept.route("**/*", lambda route: route.fulfill(body=""))
    await kept.goto("http://127.0.0.1/")
    yield opened
    await opened.close()


class Visit:
    """A page in a window of the browser, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.asked: list[str] = []
        """The addresses that it asked for."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("request", lambda request: self.asked.append(request.url))

    def _note(self, kind: str, text: str) -> None:
        # That a picture is missing, or the server gone, is for a test to say.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    async def open(self, address: str) -> Page:
        """Go there, and return when the wall has its first pictures."""
        await self.page.goto(address)
        await self.page.wait_for_selector(".card")
        return self.page


@pytest_asyncio.fixture(loop_scope="session")
async def visit(window: BrowserContext) -> AsyncIterator[Visit]:
    """A page in a window that knows nothing of earlier ones; a test fails when its page complained."""
    made = Visit(await window.new_page())
    yield made
    await window.set_offline(False)
    for page in window.pages[1:]:
        await page.close()
    await window.clear_cookies()
    assert made.errors == []
