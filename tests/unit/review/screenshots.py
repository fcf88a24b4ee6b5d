"""Takes the README's pictures of the review, of the demo batch: `python -m tests.unit.review.screenshots`."""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from PIL import Image
from playwright.async_api import async_playwright

from batchfill.batch import Batch
from tests.unit.review.browsing import launched

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

JOBS = Path(__file__).parents[3] / "jobs"
TARGET = Path(__file__).with_name("screenshots")
SIZE = (1280, 800)
JUDGED = ("a", "2", "a", "x", "a", "ArrowRight", "a", "3")
"""Keys that make the wall look as it does in the middle of the work."""

# What is out of sight, or clipped away, is not even asked for.
DRAWN = """() => Promise.all([...document.querySelectorAll(".after img, .sources img, #detail .before img")]
  .filter((image) => image.getBoundingClientRect().top < innerHeight)
  .map((image) => image.decode().catch(() => null)))"""


async def take(folder: Path) -> None:
    """Run the demo in *folder*, judge some of it, and keep one picture of the wall and one of a row."""
    shutil.copytree(JOBS, folder / "jobs", ignore=shutil.ignore_patterns("*.batch"))
    night = Batch.open(folder / "jobs" / "demo.csv", local=True, environ={})
    await night.run()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with anyio.create_task_group() as tasks, async_playwright() as playwright:
        tasks.start_soon(lambda: night.review(on_ready=address.set_result))
        browser = await launched(playwright)
        page = await opened(browser, await address, "light")
        for key in JUDGED:
            await page.keyboard.press(key)
        await page.wait_for_selector(".card.unsaved", state="detached")
        await keep(page, "wall")
        await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        await page.keyboard.press("Enter")
        await page.locator("#detail input[type=range]").focus()
        for _ in range(45):
            await page.keyboard.press("ArrowRight")
        await page.locator("#detail").focus()
        await keep(page, "row")
        await browser.close()
        tasks.cancel_scope.cancel()


async def opened(browser: Browser, address: str, theme: Literal["light", "dark"]) -> Page:
    width, height = SIZE
    window = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-GB",
    )
    page = await window.new_page()
    await page.goto(address)
    await page.wait_for_selector(".card")
    return page


async def keep(page: Page, name: str) -> None:
    """Save what the window shows as a small WebP."""
    await page.evaluate(DRAWN)
    await page.evaluate("scrollTo(0, 0)")
    await page.evaluate("document.querySelector('#said').textContent = ''")
    shot = Image.open(io.BytesIO(await page.screenshot()))
    file = TARGET / f"{name}.webp"
    shot.convert("RGB").save(file, "WEBP", quality=82, method=6)
    print(f"{file.relative_to(Path.cwd())}: {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(take(Path(made)))
