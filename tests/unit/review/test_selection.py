"""Many rows at once on the page: selected, decided by one question, and taken back in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.review.collection import many
from tests.unit.review.conftest import served
from tests.unit.review.test_page import press, saved, until

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.unit.review.collection import Collection
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]


async def selected(page: Page, *ids: str) -> None:
    """Return when just these rows are selected."""
    await until(
        page,
        "(ids) => ids === [...document.querySelectorAll('.selected')].map((one) => one.dataset.id)"
        ".sort().join()",
        ",".join(sorted(ids)),
    )


async def test_rows_are_selected_by_clicks_and_by_keys(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await page.locator("[data-id=bridge] .compare").click(
            modifiers=["Control"], position={"x": 60, "y": 60}
        )
        await page.locator("[data-id=station] .compare").click(
            modifiers=["Shift"], position={"x": 60, "y": 60}
        )
        await selected(page, "bridge", "market", "station")
        await page.locator("[data-id=market] .tick").click()
        await selected(page, "bridge", "station")
        assert await page.inner_text("#selection output") == "2 selected"
        assert await page.locator("[data-id=bridge] .tick").get_attribute("aria-pressed") == "true"
        await press(page, "Escape")
        await selected(page)
        assert not await page.is_visible("#selection")
        await press(page, "Home", "Shift+ArrowRight", "Shift+ArrowRight")
        await selected(page, "harbour", "bridge", "market")
        await press(page, "Shift+ArrowLeft", "s")
        await selected(page, "harbour")
        await press(page, "Control+a")
        await selected(page, *pictures.rows)
        # Only what a person can see is decided.
        await page.select_option("select[name=state]", "failed")
        await selected(page, "refused")
        await press(page, "x")
        await until(
            page, "() => document.querySelector('#said').innerText.startsWith('none of 1 row has a picture')"
        )
        assert not await page.is_visible("#detail")


async def test_one_question_decides_all_that_the_filters_show_and_one_step_takes_it_back(
    visit: Visit, collection: Collection
) -> None:
    many(collection, 1300)
    collection.add("kind-3", state="failed")
    collection.add("kind-4", outputs=2)
    collection.add("kind-5", decision="rejected")
    collection.add("kind-6", decision="approved")
    async with served(collection) as address:
        page = await visit.open(address)
        await page.locator("#shown", has_text="1,300 rows").wait_for()
        await press(page, "Control+a", "a")
        await page.wait_for_selector("#question[open]")
        assert await page.inner_text("#question-title") == "Approve 1,298 rows?"
        assert await page.inner_text("#question-note") == (
            "1 of them was decided otherwise before. "
            "2 more stay as they are: without a picture, or approved already. Z takes all of it back."
        )
        await press(page, "Escape")
        assert collection.rulings == []
        await press(page, "a")
        await page.wait_for_selector("#question[open]")
        await press(page, "Enter")
        await until(page, "() => document.querySelector('#said').textContent === '1,298 rows: approved'")
        others = {id_ for id_, row in collection.rows.items() if row.result.decision != "approved"}
        assert others == {"kind-3"}
        assert collection.rows["kind-4"].result.chosen == 1
        await press(page, "z")
        await until(page, "() => document.querySelector('#said').textContent === '1,298 rows: taken back'")
    decided = {id_: row.result.decision for id_, row in collection.rows.items() if row.result.decision}
    assert decided == {"kind-5": "rejected", "kind-6": "approved"}
    assert len(collection.rulings) == 2 * 1298


CLOSE_AND_PRESS = """([window, key]) => {
  document.querySelector(window).close();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
}"""
"""Closes a window and presses a key before the window can tell of its closing."""


async def test_a_question_right_after_one_that_was_called_off_has_an_answer_of_its_own(
    visit: Visit, pictures: Collection
) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "Control+a", "a")
        await page.wait_for_selector("#question[open]")
        await page.evaluate(CLOSE_AND_PRESS, ["#question", "x"])
        await until(page, "() => document.querySelector('#question-yes').textContent.startsWith('Reject')")
        await page.wait_for_selector("#question[open]")
        await press(page, "Enter")
        await until(page, "() => document.querySelector('#said').textContent === '6 rows: rejected'")
        # So has what a redo asks for.
        await press(page, "Home", "r")
        await page.wait_for_selector("#redo[open]")
        await page.fill("#redo-prompt", "given up")
        await page.evaluate(CLOSE_AND_PRESS, ["#redo", "r"])
        await until(page, "() => document.querySelector('#redo-prompt').value === 'a quiet harbour at dawn'")
        await page.wait_for_selector("#redo[open]")
        await page.fill("#redo-prompt", "at night")
        await press(page, "Control+Enter")
        await until(page, "() => document.querySelector('#said').textContent === 'harbour: to redo'")
    decided = {id_: row.result.decision for id_, row in pictures.rows.items() if row.result.decision}
    assert len(decided) == 6
    assert [r.prompt for r in pictures.rulings if r.decision == "redo"] == ["at night"]


async def test_several_rows_are_made_again_with_one_prompt_or_each_with_its_own(
    visit: Visit,
    pictures: Collection,
) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "Home", "Shift+ArrowRight", "r")
        await page.wait_for_selector("#redo[open]")
        assert await page.inner_text("#redo-title") == "Redo 2 rows"
        assert not await page.is_visible("#redo-seed")
        await press(page, "Control+Enter")
        await saved(page, "bridge", "redo")
        await press(page, "s", "r")
        await page.fill("#redo-prompt", "at night")
        await press(page, "Control+Enter")
        await until(page, "() => document.querySelector('#said').innerText === 'bridge: to redo'")
    asked = [(ruling.prediction_id[2:], ruling.decision, ruling.prompt) for ruling in pictures.rulings]
    assert asked == [("harbour", "redo", None), ("bridge", "redo", None), ("bridge", "redo", "at night")]


async def test_what_failed_is_made_again_with_another_prompt_and_needs_no_picture_for_that(
    visit: Visit, pictures: Collection
) -> None:
    pictures.add("stopped", state="canceled")
    pictures.add("never", state="failed", error="the picture is gone", prediction_id=None)
    async with served(pictures) as address:
        page = await visit.open(address)
        await page.select_option("select[name=state]", "failed")
        await page.locator("[data-id=refused]").focus()
        await press(page, "a")
        assert await page.inner_text("#said") == "refused has no picture to judge"
        await press(page, "r")
        await page.fill("#redo-prompt", "a beach with families")
        await press(page, "Control+Enter")
        await saved(page, "refused", "redo")
        await press(page, "End", "r")
        assert "--retry failed" in await page.inner_text("#said")
        await press(page, "Control+a", "r")
        await page.wait_for_selector("#redo[open]")
        assert await page.inner_text("#redo-title") == "Redo refused"
        await press(page, "Escape")
        await page.select_option("select[name=state]", "canceled")
        await page.locator("[data-id=stopped]").focus()
        await press(page, "r")
        await page.wait_for_selector("#redo[open]")
        await press(page, "Control+Enter")
        await saved(page, "stopped", "redo")
    assert [(ruling.prediction_id, ruling.prompt) for ruling in pictures.rulings] == [
        ("p-refused", "a beach with families"),
        ("p-stopped", None),
    ]


async def test_the_next_undecided_one_is_a_key_away(visit: Visit, pictures: Collection) -> None:
    pictures.add("bridge", decision="approved")
    pictures.add("market", decision="rejected")
    async with served(pictures) as address:
        page = await visit.open(address)
        reached = []
        for _ in range(5):
            await press(page, "n")
            reached.append(await page.evaluate("document.activeElement.dataset.id"))
        assert reached == ["station", "remote", "last", "harbour", "station"]
