"""An editor's loop over ten thousand photographs, at a person's pace: `python -m tests.bench.editor`.

In a real Chromium, next to the server in a process of its own: one picture after the other by keyboard, a
closer look at one of 24 megapixels, then all others in bulk. It promises nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from PIL import Image, ImageChops, ImageOps
from playwright.async_api import async_playwright

from batchfill.batch import Batch
from tests.bench import photograph
from tests.bench.large_batch import KINDS, make_large_batch
from tests.support.programs import Program
from tests.unit.review.browsing import launched
from tests.unit.review.test_page import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from playwright.async_api import Page

    Event = Mapping[str, Any]

SIZE = 960, 640
CAMERA = 6000, 4000
"""Of every so many kinds: these are as large as a camera's picture."""
EACH_CAMERA = 5
A_SECOND = 3
"""Decisions of a person who only glances at each picture."""
LOOKS = 10
"""Closer looks."""
KEYS = "aaxaaxaxaar"
"""What is decided, in turn: approve, reject, and now and then a redo."""

WATCH = """
window.presses = [];
window.zooms = [];
const drawn = (image) => image && image.complete && image.naturalWidth > 0;
const named = () => document.querySelector("#detail[open] #detail-name")?.textContent;
addEventListener("keydown", (event) => {
  const at = performance.now();
  const from = named();
  if (!from || event.key === "Escape") return;
  if (event.key === "f") window.zooms.push({ at, took: null });
  if ("aAxX".includes(event.key)) window.presses.push({ at, from, took: null });
}, { capture: true });
(function look() {
  const [press, zoom] = [window.presses.at(-1), window.zooms.at(-1)];
  const image = document.querySelector("#detail .after img");
  const isNext = press?.took === null && named() !== press.from && drawn(image);
  if (isNext) press.took = performance.now() - press.at;
  if (zoom?.took === null && drawn(image) && "full" in image.dataset) {
    zoom.took = undefined;
    requestAnimationFrame(() => requestAnimationFrame(() => { zoom.took = performance.now() - zoom.at; }));
  }
  requestAnimationFrame(look);
})();
"""
"""Notes the time from a press to the next picture, and to a picture in all its pixels."""

TRACED = ["disabled-by-default-devtools.timeline", "devtools.timeline"]
"""What tells of each task of the page how long it took, and how much CPU."""
COLLECTING = {"MajorGC", "MinorGC"}
"""The browser's own tasks inside those: it frees the pictures that are seen no more."""

SAVED = "() => document.querySelector('#saving').textContent === 'all saved'"


def draw(target: Path, number: int | None) -> None:
    """Save one of the photographs, which differ by their numbers; None: a mask."""
    if number is None:
        photograph.ellipse(*SIZE, 0.3).save(target)
    elif number % EACH_CAMERA == 0:
        # Each is another one, so that none is known from the last look.
        ImageChops.offset(photograph.mosaic(*CAMERA), number * 41).save(target, quality=92)
    else:
        _photograph(number).save(target, quality=88)


def _photograph(number: int) -> Image.Image:
    with Image.open(photograph.PHOTOGRAPHS / photograph.NAMES[number % len(photograph.NAMES)]) as image:
        shifted = (number * 7 % 60, number * 5 % 40)
        picture = ImageOps.fit(image.convert("RGB").crop((*shifted, image.width, image.height)), SIZE)
    return ImageOps.mirror(picture) if number >= KINDS else picture


async def bench(folder: Path, rows: int, singly: int) -> None:
    """Print how a review of *rows* rows went, so many of them decided *singly*."""
    manifest = await to_thread.run_sync(make_large_batch, folder, rows, draw, ".jpg")
    program = Program(manifest.parent)
    review = await program.start("review", manifest.name, "--no-open")
    address = (await review.prints()).strip()
    async with async_playwright() as playwright:
        browser = await launched(playwright)
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.add_init_script(WATCH)
        print(f"{rows:,} rows, {singly} decided singly, {A_SECOND} a second")
        async with traced(page, "opening"):
            await page.goto(f"{address}#state=done")
            await page.locator("#shown", has_text=f"of {rows:,} rows").wait_for()
        async with traced(page, "singly"):
            await decide_singly(page, singly)
        async with traced(page, "closer looks"):
            await look_closely(page)
        await decide_in_bulk(page)
        await until(page, SAVED)
        found = re.search(r"Decided\s+([\d,]+)", await page.inner_text("#figures"))
        expected = int(found[1].replace(",", "")) if found else 0
        await browser.close()
    await program.stop()
    tell_decisions(manifest, expected)


async def decide_singly(page: Page, number: int) -> None:
    """Decide about one picture after the other in its window."""
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    begun = anyio.current_time()
    for n in range(number):
        await anyio.sleep_until(begun + n / A_SECOND)
        await page.keyboard.press(KEYS[n % len(KEYS)])
        if KEYS[n % len(KEYS)] == "r":
            await page.keyboard.press("Control+Enter")
    await anyio.sleep(1)
    took = [press["took"] for press in await page.evaluate("window.presses") if press["took"]]
    tell("press to next picture", took, "ms")
    await page.keyboard.press("Escape")


async def look_closely(page: Page) -> None:
    """Zoom pictures of 24 megapixels to 100 % and back."""
    took = []
    for n in range(LOOKS):
        await page.goto(page.url.partition("#")[0] + f"#row=row-{n * EACH_CAMERA:06}")
        await page.locator("#detail-name", has_text=f"row-{n * EACH_CAMERA:06}").wait_for()
        await anyio.sleep(1)
        await page.keyboard.press("f")
        await until(page, "() => window.zooms.at(-1).took")
        took.append(await page.evaluate("window.zooms.at(-1).took"))
        await page.keyboard.press("0")
        await page.keyboard.press("Escape")
    tell("24 megapixels to 100 %", took, "ms")


async def decide_in_bulk(page: Page) -> None:
    """Reject what is flagged, approve all that is left, take that back, and do it again."""
    await page.goto(page.url.partition("#")[0] + "#flag=any&decision=none")
    await in_bulk(page, "x")
    await page.goto(page.url.partition("#")[0] + "#state=done&decision=none")
    await in_bulk(page, "a")
    async with traced(page, "all of it taken back"):
        await page.keyboard.press("z")
        await until(page, "() => document.querySelector('#said').textContent.endsWith('taken back')")
        await until(page, SAVED)
    await in_bulk(page, "a")


async def in_bulk(page: Page, key: str) -> None:
    """Decide about all that the filters show."""
    await anyio.sleep(1)
    async with traced(page, "selected, loaded, asked"):
        await page.keyboard.press("Control+a")
        await page.keyboard.press(key)
        await page.wait_for_selector("#question[open]")
    title = await page.inner_text("#question-title")
    async with traced(page, title):
        await page.keyboard.press("Enter")
        said = title.rstrip("?").partition(" ")[2]
        await until(page, "(said) => document.querySelector('#said').textContent.startsWith(said)", said)
        await until(page, SAVED)


@asynccontextmanager
async def traced(page: Page, what: str) -> AsyncIterator[None]:
    """Print the longest tasks of the page meanwhile: on a busy machine their CPU counts."""
    browser = page.context.browser
    assert browser is not None
    await browser.start_tracing(page=page, categories=TRACED)
    yield
    await anyio.sleep(1)
    tasks, collecting = of_page(json.loads(await browser.stop_tracing())["traceEvents"])
    own, freeing = longest(tasks, collecting), longest(collecting)
    print(f"  longest task, {what}: {own}; the browser's freeing of memory: {freeing}", flush=True)


def of_page(events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """Return the page's tasks, and the browser's garbage collections in them."""
    threads = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    here = [one for one in events if (one["pid"], one["tid"]) in threads]
    return (
        [one for one in here if one["name"] == "RunTask"],
        [one for one in here if one["name"] in COLLECTING],
    )


def longest(tasks: Iterable[Event], inside: Sequence[Event] = ()) -> str:
    """Tell the longest CPU time and time of *tasks*, without what went on *inside* of them."""
    most = {"tdur": 0.0, "dur": 0.0}
    for task in tasks:
        parts = [one for one in inside if task["ts"] <= one["ts"] < task["ts"] + task.get("dur", 0)]
        for kind in most:
            took = task.get(kind, 0) - sum(one.get(kind, 0) for one in parts)
            most[kind] = max(most[kind], took / 1000)
    return f"{most['tdur']:.0f} ms of CPU, {most['dur']:.0f} ms on the clock"


def tell(what: str, took: Sequence[float], unit: str) -> None:
    """Print the middle and the longest of what *took* long."""
    ordered = sorted(took)
    middle, most = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"  {what}: median {middle:.0f}, 19 of 20 {most:.0f}, longest {ordered[-1]:.0f} {unit} ({len(took)})"
    )


def tell_decisions(manifest: Path, expected: int) -> None:
    """Print how many decisions the ledger has, and how many the page said."""
    found: dict[Any, int] = {}
    for result in Batch.open(manifest, environ={}).results():
        found[result.decision] = found.get(result.decision, 0) + 1
    decided = sum(number for word, number in found.items() if word)
    print(f"  decided: {decided:,} in the ledger, {expected:,} on the page: {found}")


def main() -> None:
    """Make a batch, and go through it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.editor", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--singly", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run(bench(Path(folder), options.rows, options.singly))


if __name__ == "__main__":
    main()
