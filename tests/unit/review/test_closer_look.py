"""A closer look by other means than keys: a loupe under the pointer, two fingers, a trackpad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.review.conftest import served
from tests.unit.review.test_page import LOOK, press, until

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

    from tests.unit.review.collection import Collection
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]

LENSES = """() => [...document.querySelectorAll("#detail .loupe:not([hidden])")].map((lens) => {
  const stage = lens.parentElement;
  const [box, frame] = [lens, stage.querySelector(".frame")].map((one) => one.getBoundingClientRect());
  const { a, e, f } = new DOMMatrix(getComputedStyle(lens.firstChild).transform);
  const half = lens.clientWidth / 2;
  return {
    x: box.left + half - frame.left, y: box.top + half - frame.top, scale: a,
    seen: [(half - e) / a, (half - f) / a], full: "full" in lens.querySelector(".after img").dataset,
  };
})"""
"""Where the middle of each lens is in its picture, and which point of the picture is seen there."""


async def test_a_loupe_shows_the_file_itself_under_the_pointer_in_all_views(
    visit: Visit, pictures: Collection
) -> None:
    async with served(pictures) as address:
        page = await visit.open(f"{address}#row=bridge")
        await page.wait_for_selector("#detail[open]")
        await press(page, "l")
        assert await page.locator("[data-name=loupe]").get_attribute("aria-pressed") == "true"
        await page.mouse.move(300, 400)
        await until(page, f"() => ({LENSES})().length === 1")
        (lens,) = await page.evaluate(LENSES)
        assert lens["seen"] == pytest.approx([lens["x"], lens["y"]], abs=1)
        assert (lens["scale"], lens["full"]) == (2, True)
        # Outputs next to each other are looked at in the same place, and the next row with the loupe, too.
        await press(page, "g")
        await page.mouse.move(310, 300)
        await until(page, f"() => ({LENSES})().length === 3")
        lenses = await page.evaluate(LENSES)
        assert len({(round(lens["x"]), round(lens["y"])) for lens in lenses}) == 1
        await press(page, "g", "ArrowRight")
        await page.mouse.move(320, 410)
        await until(page, f"() => ({LENSES})().length === 1")
        # What is zoomed needs none, and a pointer next to the picture shows none either.
        await press(page, "+")
        await page.mouse.move(330, 400)
        assert await page.evaluate(LENSES) == []
        await press(page, "0")
        await page.mouse.move(340, 400)
        await until(page, f"() => ({LENSES})().length === 1")
        await page.mouse.move(1100, 400)
        await until(page, f"() => ({LENSES})().length === 0")
        await page.mouse.move(340, 400)
        await until(page, f"() => ({LENSES})().length === 1")
        await press(page, "l")
        assert await page.evaluate(LENSES) == []


async def touch(client: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    """Put fingers on the screen, move them, or take them off."""
    told = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    await client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})


async def pinch(client: CDPSession, apart: float) -> None:
    """Pull two fingers *apart* from 100 pixels, around a point of the picture."""
    for kind, spread in (("touchStart", 100.0), ("touchMove", (100 + apart) / 2), ("touchMove", apart)):
        half = spread / 2
        await touch(client, kind, (180 - half, 200), (180 + half, 200))
    await touch(client, "touchEnd")


async def test_two_fingers_zoom_and_one_moves_what_is_zoomed(visit: Visit, pictures: Collection) -> None:
    context = await visit.page.context.browser.new_context(  # type: ignore[union-attr]
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page: Page = await context.new_page()
    async with served(pictures) as address:
        await page.goto(f"{address}#row=harbour")
        await page.wait_for_selector("#detail[open]")
        await until(page, "() => document.querySelector('#detail .after img').naturalWidth > 320")
        client = await context.new_cdp_session(page)
        await pinch(client, 250)
        scale, *_ = await page.evaluate(LOOK)
        assert scale == pytest.approx(2.5, rel=0.02)
        # It is no swipe, and the browser itself zooms nothing.
        assert await page.inner_text("#detail-name") == "harbour"
        assert await page.evaluate("visualViewport.scale") == 1
        _, x, y = await page.evaluate(LOOK)
        await touch(client, "touchStart", (200, 200))
        await touch(client, "touchMove", (230, 200))
        await touch(client, "touchEnd")
        assert await page.evaluate(LOOK) == [scale, x + 30, y]
        await pinch(client, 20)
        assert await page.evaluate(LOOK) == [1, 0, 0]
        # All of it is seen: one finger swipes again.
        for kind, x in (("touchStart", 300), ("touchMove", 200), ("touchMove", 100)):
            await touch(client, kind, (x, 200))
        await touch(client, "touchEnd")
        await until(page, "() => document.querySelector('#detail-name').textContent === 'bridge'")
    await context.close()


async def test_a_trackpad_zooms_by_as_much_as_it_is_moved(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(f"{address}#row=harbour")
        await page.wait_for_selector("#detail[open]")
        await until(page, "() => document.querySelector('#detail .after img').naturalWidth > 320")
        await page.mouse.move(400, 400)
        for turned, expected in ((-100, 1.4), (-10, 1.448), (-1000, 2.027), (100, 1.448)):
            await page.mouse.wheel(0, turned)
            await until(page, f"() => Math.abs(({LOOK})()[0] - {expected}) < 0.01")
