"""All that an editor does in an evening, by keyboard alone, and by fingers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.review.conftest import served
from tests.unit.review.test_page import press, saved, shows, until
from tests.unit.review.test_page_starts import PLAN, begun, telling

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.unit.review.collection import Collection
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]

DECIDED = {
    "harbour": "approved",
    "bridge": "rejected",
    "market": "redo",
    "station": None,
    "refused": "redo",
    "remote": "approved",
    "last": "approved",
}


def decisions(pictures: Collection) -> dict[str, str | None]:
    return {id_: row.result.decision for id_, row in pictures.rows.items() if id_ in DECIDED}


async def reach(page: Page, selector: str) -> None:
    """Press Tab until an element has the keyboard."""
    for _ in range(60):
        await press(page, "Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


async def begun_as_agreed(page: Page, agreed: Path) -> None:
    await begun(page)
    assert agreed.read_text() == "nothing 3:120000 "


async def test_everything_is_done_by_keyboard_alone(
    visit: Visit, pictures: Collection, tmp_path: Path
) -> None:
    agreed = tmp_path / "agreed"
    async with served(pictures, telling(agreed, PLAN)) as address:
        page = await visit.open(address)
        # One after the other in its window, the last one taken back.
        await press(page, "Home", "Enter", "f", "0", "l", "l", "m", "g", "g", "a", "x")
        await until(page, "() => document.querySelector('#detail-name').textContent === 'market'")
        await press(page, "r")
        await page.wait_for_selector("#redo[open]")
        await press(page, "Control+a")
        await page.keyboard.type("a market at night")
        await press(page, "Control+Enter")
        await saved(page, "market", "redo")
        await press(page, "a")
        await saved(page, "station", "approved")
        await press(page, "z", "Escape")
        # A search, and Escape leads back to the pictures.
        await press(page, "/")
        await page.keyboard.type("state:failed")
        await shows(page, "refused")
        await press(page, "Control+a", "Backspace", "Escape")
        await shows(page, *pictures.rows)
        await reach(page, ".card")
        await press(page, "End", "Shift+ArrowLeft", "a")
        await page.wait_for_selector("#question[open]")
        await press(page, "Enter")
        await saved(page, "remote", "approved")
        await press(page, "Home", *["ArrowRight"] * 4, "r")
        await page.wait_for_selector("#redo[open]")
        await press(page, "Control+Enter")
        await saved(page, "refused", "redo")
        await page.evaluate("document.activeElement.blur()")
        await press(page, "?", "Escape")
        await reach(page, "#run")
        await press(page, "Enter")
        await page.wait_for_selector("#question[open]")
        await reach(page, "#question-yes")
        await press(page, "Enter")
        await begun_as_agreed(page, agreed)
    assert decisions(pictures) == DECIDED
    assert pictures.rows["market"].redo_prompt == "a market at night"


async def test_everything_is_done_by_fingers_alone(
    visit: Visit, pictures: Collection, tmp_path: Path
) -> None:
    agreed = tmp_path / "agreed"
    context = await visit.page.context.browser.new_context(  # type: ignore[union-attr]
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = await context.new_page()

    async def tap(selector: str) -> None:
        await page.locator(selector).tap()

    async with served(pictures, telling(agreed, PLAN)) as address:
        await page.goto(address)
        await page.wait_for_selector(".card")
        await tap("[data-id=harbour] .after")
        await page.wait_for_selector("#detail[open]")
        for name, word, next_one in (("approve", "approved", "bridge"), ("reject", "rejected", "market")):
            before = await page.inner_text("#detail-name")
            await tap(f"#detail .actions .{name}")
            await saved(page, before, word)
            assert await page.inner_text("#detail-name") == next_one
        await tap("#detail .actions .redo")
        await page.fill("#redo-prompt", "a market at night")
        await tap("#redo button.redo")
        await saved(page, "market", "redo")
        await tap("#detail .actions .approve")
        await saved(page, "station", "approved")
        await tap("#detail .actions .undo")
        await page.wait_for_selector("[data-id=station].done:not(.approved)", state="attached")
        await tap("#detail [aria-label=Close]")
        await tap("#fold")
        await page.select_option("select[name=state]", "failed")
        await tap("[data-id=refused] .compare")
        await tap("#detail .actions .redo")
        await tap("#redo button.redo")
        await saved(page, "refused", "redo")
        await tap("#detail [aria-label=Close]")
        await page.select_option("select[name=state]", "")
        for id_ in ("remote", "last"):
            await tap(f"[data-id={id_}] .tick")
        await tap("#selection .approve")
        await page.wait_for_selector("#question[open]")
        await tap("#question-yes")
        await saved(page, "last", "approved")
        await tap("#run")
        await page.wait_for_selector("#question[open]")
        await tap("#question-yes")
        await begun_as_agreed(page, agreed)
    await context.close()
    assert decisions(pictures) == DECIDED
    assert pictures.rows["market"].redo_prompt == "a market at night"
