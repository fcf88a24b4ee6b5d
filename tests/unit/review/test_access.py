"""The page for everybody: axe-core finds nothing in any of its states, and fingers hit what they aim at."""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.review.runs import PageRuns
from tests.unit.review.conftest import served
from tests.unit.review.test_page import press, until
from tests.unit.review.test_page_starts import PLAN

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.unit.review.collection import Collection
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]

AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations.map(
  ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html + node.failureSummary).join(" | ")}`)"""

ASKS_AND_FAILS = f"""
import json, sys
print(json.dumps({PLAN!r})) if sys.argv[-1] == "nothing" else sys.exit("batchfill: rows or cost have changed")
"""
"""In the place of a run that is not as it was agreed to."""

STATES: dict[str, tuple[tuple[str, ...], str]] = {
    "wall": (("Home",), ".card:focus"),
    "masks": (("m", "m"), ".wall.outlined"),
    "selection": (("Home", "Shift+ArrowRight"), "#selection:not([hidden])"),
    "question": (("a",), "#question[open]"),
    "several to redo": (("Escape", "r"), "#redo[open]"),
    "row": (("Escape", "Escape", "Home", "Enter"), "#detail[open]"),
    "outputs next to each other": (("ArrowRight", "g"), "#detail .stage.of-3"),
    "loupe": (("l",), "#detail .louped"),
    "zoomed": (("f",), "#detail .zoomed"),
    "failed row": (("Escape", "End", "Enter"), "#detail .pill.failed"),
    "redo": (("Escape", "Home", "r"), "#redo[open]"),
    "keys": (("Escape", "?"), "#help[open]"),
    "nothing found": (("Escape", "/", "q", "q", "q"), "#nothing:not([hidden])"),
}
"""What is pressed from one state to the next, and what is there then."""


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
async def test_axe_finds_nothing_in_any_state(
    visit: Visit, pictures: Collection, theme: Any, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    page = visit.page
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await page.set_viewport_size({"width": width, "height": 860})
    pictures.add("last", decision="rejected")
    pictures.add("bridge", decision="redo", outputs=3)
    pictures.add("end", state="failed", error="NSFW content detected")
    async with served(pictures, PageRuns([sys.executable, "-c", ASKS_AND_FAILS], {})) as address:
        await visit.open(address)
        # Not as a script of the page, whose policy forbids it.
        await page.evaluate(files(axe.__name__).joinpath("axe.min.js").read_text("utf-8"))
        found = {}
        for state, (keys, there) in STATES.items():
            await press(page, *keys)
            await page.wait_for_selector(there)
            found[state] = await violations(page)
        if width < 400:
            await page.click("#fold")
            found["filters"] = await violations(page)
        await page.click("#run")
        await page.wait_for_selector("#question[open]")
        found["run to be agreed to"] = await violations(page)
        await page.click("#question-yes")
        await page.wait_for_selector("#failed:not([hidden])")
        found["run that failed"] = await violations(page)
    assert {state: told for state, told in found.items() if told} == {}


async def violations(page: Page) -> list[str]:
    """Return what axe-core finds in what is shown now."""
    await until(page, "() => document.getAnimations().length === 0")
    found: list[str] = await page.evaluate(AXE)
    return found


TARGETS = """() => {
  const shown = [...document.querySelectorAll("button, select, input, a[href], summary")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
    .filter((one) => !one.matches(".skip, .facts a") && getComputedStyle(one).pointerEvents !== "none");
  const small = [];
  for (const one of shown) {
    const box = one.getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth) continue;
    const after = getComputedStyle(one, "::after");
    const more = after.content === "none" ? 0 : -2 * parseFloat(after.top || 0);
    if (Math.min(box.width, box.height) + more >= 44) continue;
    small.push(`${one.outerHTML.slice(0, 80)} ${box.width}x${box.height}`);
  }
  return small;
}"""


async def small_targets(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(TARGETS)
    return found


async def test_a_finger_hits_every_target_and_swipes_to_the_next_picture(
    visit: Visit, pictures: Collection
) -> None:
    context = await visit.page.context.browser.new_context(  # type: ignore[union-attr]
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = await context.new_page()
    async with served(pictures) as address:
        await page.goto(address)
        await page.wait_for_selector(".card")
        small = {"wall": await small_targets(page)}
        await page.locator("#fold").tap()
        small["filters"] = await small_targets(page)
        await page.locator("[data-id=bridge] .tick").tap()
        small["selection"] = await small_targets(page)
        await page.locator("#selection .approve").tap()
        await page.wait_for_selector("#question[open]")
        small["question"] = await small_targets(page)
        await page.locator("#question form .quiet").tap()
        await page.locator("[data-id=bridge] .after").tap()
        await page.wait_for_selector("#detail[open]")
        small["row"] = await small_targets(page)
        # A swipe is next, a tap shows what was before, and Back closes.
        client = await context.new_cdp_session(page)
        for kind, x in (("touchStart", 300), ("touchMove", 200), ("touchMove", 100), ("touchEnd", None)):
            points = [] if x is None else [{"x": x, "y": 200}]
            await client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        await until(page, "() => document.querySelector('#detail-name').textContent === 'market'")
        await page.touchscreen.tap(200, 200)
        await until(page, "() => document.querySelector('#detail .compare').dataset.split === '100'")
        await page.go_back()
        await page.wait_for_selector("#detail", state="hidden")
    await context.close()
    assert {state: found for state, found in small.items() if found} == {}
