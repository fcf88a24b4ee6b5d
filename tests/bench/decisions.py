"""Measures how long a decision takes, from its key to "saved": `python -m tests.bench.decisions`.

In a real Chromium, beside the server in a process of its own. It promises nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from playwright.async_api import async_playwright

from tests.support.desk import Desk
from tests.support.programs import Program
from tests.unit.review.browsing import launched
from tests.unit.review.large import large

if TYPE_CHECKING:
    from playwright.async_api import Dialog, Page

    from batchfill.batch import Batch

ROWS = 10_000
DECISIONS = 100
A_SECOND = 7
SETTLED = 5.0
"""Seconds after which everything that a closed tab has sent is taken to have arrived."""

WATCH = """
window.presses = [];
addEventListener("keydown", (event) => {
  if (event.key !== "a") return;
  window.presses.push({ id: document.activeElement.dataset.id, at: performance.now() });
}, { capture: true });
(function look() {
  for (const press of window.presses) {
    const card = document.querySelector(`[data-id="${press.id}"]`);
    if (!press.took && card?.matches(".approved:not(.unsaved)")) press.took = performance.now() - press.at;
  }
  requestAnimationFrame(look);
})();
"""
"""Notes how long each decision took until the page showed it as saved."""


async def bench(folder: Path, rows: int) -> None:
    """Print a table of two visits to a review of *rows* rows."""
    desk = Desk(folder)
    night = await large(desk, folder, rows)
    program = Program(desk.folder)
    review = await program.start("review", "night.csv", "--no-open")
    address = (await review.prints()).strip()
    async with async_playwright() as playwright:
        browser = await launched(playwright)
        window = await browser.new_context(viewport={"width": 1280, "height": 860})
        took = await press_to_saved(await window.new_page(), address)
        print(f"{rows:,} rows, {DECISIONS} decisions at {A_SECOND} a second")
        print(f"  saved                       {len(took)}")
        if took:
            print(f"  press to saved, median      {statistics.median(took):.0f} ms")
            print(f"  press to saved, 19 of 20    {sorted(took)[int(0.95 * len(took))]:.0f} ms")
            print(f"  press to saved, longest     {max(took):.0f} ms")
        asked = await closed_at_once(await window.new_page(), address.partition("?")[0])
        await asyncio.sleep(SETTLED)
        print("the tab closed right after the last")
        print(f"  it asked before it closed   {'yes' if asked else 'no'}")
        print(f"  on disk                     {rejected(night)} of {DECISIONS}")
        await browser.close()
    await program.stop()


async def press_to_saved(page: Page, address: str) -> list[float]:
    """Approve rows; return how long each took, in ms."""
    await page.add_init_script(WATCH)
    await opened(page, address)
    await decide(page, "a")
    await asyncio.sleep(SETTLED)
    took: list[float] = await page.evaluate("window.presses.map(({ took }) => took).filter(Boolean)")
    await page.close()
    return took


async def closed_at_once(page: Page, address: str) -> bool:
    """Reject rows and close the tab; return whether it asked."""
    asked: list[str] = []

    async def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.accept()

    page.on("dialog", leave)
    closed = asyncio.Event()
    page.on("close", lambda _: closed.set())
    await opened(page, address)
    await decide(page, "x")
    await page.close(run_before_unload=True)
    await closed.wait()
    return bool(asked)


async def opened(page: Page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_selector(".card")
    await page.keyboard.press("Home")


async def decide(page: Page, key: str) -> None:
    """Press *key* as often as there are decisions, however long a press takes to arrive."""
    begun = anyio.current_time()
    for n in range(DECISIONS):
        await anyio.sleep_until(begun + n / A_SECOND)
        await page.keyboard.press(key)


def rejected(night: Batch) -> int:
    return sum(result.decision == "rejected" for result in night.results())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(bench(Path(made), int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
