"""Starting the redo from the page: a question with its cost, and nothing without an answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.review.runs import PageRuns
from tests.unit.review.collection import many
from tests.unit.review.conftest import served
from tests.unit.review.test_page import press, saved, until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.unit.review.collection import Collection
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]

PLAN: dict[str, Any] = {
    "model": "black-forest-labs/flux-fill-dev",
    "provider": "https://gateway.example.com/v1",
    "rows": 3,
    "price": 120_000,
    "pictures": 3,
    "again": 1,
    "open": 0,
    "seconds": 90,
    "rehearsal": False,
    "currency": "USD",
    "cost": {"spent": 0.2, "reserved": 0.08, "to_go": 0.12, "cap": 25},
    "notes": ["warning: the balance is low"],
}


def telling(told: Path, plan: dict[str, Any]) -> PageRuns:
    """Return what notes in *told* what was agreed to, and tells a *plan*."""
    script = (
        f"import json, sys; open({str(told)!r}, 'a').write(sys.argv[-1] + ' '); print(json.dumps({plan!r}))"
    )
    return PageRuns([sys.executable, "-c", script], {})


async def begun(page: Page) -> None:
    """Wait until the page says that the run has begun."""
    await until(page, "() => document.querySelector('#said').textContent.startsWith('the run has begun')")


async def test_a_redo_is_started_by_an_answer_to_its_cost(
    visit: Visit, pictures: Collection, tmp_path: Path
) -> None:
    agreed = tmp_path / "agreed"
    async with served(pictures, telling(agreed, PLAN)) as address:
        page = await visit.open(address)
        assert not await page.is_visible("#run")
        await press(page, "Home", "r")
        await page.wait_for_selector("#redo[open]")
        await press(page, "Control+Enter")
        await saved(page, "harbour", "redo")
        assert await page.inner_text("#run") == "Run the redo of 1 row …"
        await page.click("#run")
        await page.wait_for_selector("#question[open]")
        assert await page.inner_text("#question-title") == "Make 3 rows for about $0.12?"
        assert await page.inner_text("#question-note") == (
            "With black-forest-labs/flux-fill-dev at https://gateway.example.com/v1.\n"
            "1 row to make again, and 2 rows that have no picture yet. 3 pictures, about 1 min 30 s. "
            "So far $0.28. At most $25.00 in all.\nThe pictures of today are kept. "
            "It goes on when this page is closed, as batchfill run night.csv --retry redo does.\n"
            "warning: the balance is low"
        )
        # A second press of Enter, which means the page, pays for nothing.
        assert await page.evaluate("document.activeElement.value") == "cancel"
        await press(page, "Enter")
        await page.wait_for_selector("#question", state="hidden")
        assert agreed.read_text() == "nothing "
        await page.click("#run")
        await page.wait_for_selector("#question[open]")
        await page.click("#question-yes")
        await begun(page)
        assert agreed.read_text() == "nothing nothing 3:120000 "
        pictures.running = True
        await page.wait_for_selector("#run", state="hidden")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"price": None}, "Make 3 rows for an unknown price?"),
        ({"rehearsal": True, "rows": 1}, "Make 1 row for nothing, as a rehearsal?"),
    ],
)
async def test_what_costs_nothing_or_nobody_knows_what_is_said_to(
    visit: Visit, pictures: Collection, tmp_path: Path, changes: dict[str, Any], title: str
) -> None:
    pictures.add("harbour", decision="redo")
    async with served(pictures, telling(tmp_path / "agreed", PLAN | changes)) as address:
        page = await visit.open(address)
        await page.click("#run")
        await page.wait_for_selector("#question[open]")
        assert await page.inner_text("#question-title") == title


async def test_why_nothing_was_started_stays_told(visit: Visit, pictures: Collection) -> None:
    pictures.add("harbour", decision="redo")
    script = "import sys; sys.exit('batchfill: no token for https://x.test: set BATCHFILL_TOKEN')"
    async with served(pictures, PageRuns([sys.executable, "-c", script], {})) as address:
        page = await visit.open(address)
        await page.click("#run")
        await page.wait_for_selector("#failed:not([hidden])")
        assert await page.inner_text("#failed span") == (
            "not started: no token for https://x.test: set BATCHFILL_TOKEN"
        )
        assert await page.is_enabled("#run")


async def test_a_page_that_may_start_nothing_offers_nothing(visit: Visit, pictures: Collection) -> None:
    pictures.add("harbour", decision="redo")
    async with served(pictures) as address:
        page = await visit.open(address)
        await page.wait_for_selector(".card.redo")
        assert not await page.is_visible("#run")


async def test_the_time_that_is_left_is_told_while_a_run_goes_on(
    visit: Visit, collection: Collection
) -> None:
    many(collection, 61)
    for n in range(30):
        collection.add(f"later-{n}", state="pending")
    async with served(collection) as address:
        page = await visit.open(address)
        await page.locator("#shown", has_text="91 rows").wait_for()
        assert "Time left" not in await page.inner_text("#figures")
        collection.running = True
        # A row a second came to its end.
        await until(
            page, "() => /Time left\\s+about 30 s/.test(document.querySelector('#figures').innerText)"
        )
