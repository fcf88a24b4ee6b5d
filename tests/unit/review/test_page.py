"""The page in a real Chromium, as somebody uses it who has ten thousand pictures to judge."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import anyio
import pytest
from PIL import Image, ImageDraw

from batchfill.batch import Batch
from batchfill.domain.review import Decision
from batchfill.emulator.backends.classical_fill import ClassicalFill
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.review import feed, live_rows
from batchfill.review.report import write_report
from batchfill.workers.pool import Threads
from tests.support.bounds import HANGS
from tests.support.programs import Program
from tests.unit.review.collection import Collection, many
from tests.unit.review.conftest import served

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.support.fork_server import ForkServer
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]


# Playwright's own waiting is forbidden by the page's policy, as it should be.
UNTIL = """(argument) => new Promise((resolve) => {
  const look = () => ((CONDITION)(argument) ? resolve() : requestAnimationFrame(look));
  look();
})"""

WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.tasks.push(Math.round(task.duration));
}).observe({ type: "longtask", buffered: true });
"""
"""Notes every task of the page that takes 50 ms or more."""

FRAMES = """async (number) => {
  for (let n = 0; n < number; n += 1) await new Promise(requestAnimationFrame);
}"""
"""Lets so many frames pass."""

SCROLL = """async () => {
  const seen = new Set();
  let most = 0;
  for (let n = 0; n < 90; n += 1) {
    scrollBy(0, n < 60 ? 900 : 25000);
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    document.querySelectorAll(".card").forEach((card) => seen.add(card.dataset.id));
    most = Math.max(most, document.getElementsByTagName("*").length);
  }
  return [seen.size, most];
}"""


async def cards(page: Page) -> list[str]:
    """Return the ids on the wall, in its order."""
    found: list[str] = await page.eval_on_selector_all(
        ".card", "all => all.sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((card) => card.dataset.id)"
    )
    return found


async def current(page: Page) -> str | None:
    """Return the row that has the keyboard."""
    found: str | None = await page.evaluate("document.activeElement.dataset.id ?? null")
    return found


async def address_of(page: Page) -> str:
    """Return the page's address as the page itself has it: Playwright hears of a change a moment later."""
    found: str = await page.evaluate("location.href")
    return found


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def until(page: Page, condition: str, argument: Any = None) -> None:
    """Return when *condition*, a function of JavaScript, holds; it is asked with each frame."""
    async with asyncio.timeout(HANGS):
        await page.evaluate(UNTIL.replace("CONDITION", condition), argument)


async def shows(page: Page, *ids: str) -> None:
    """Return when these rows are on the wall, and no others."""
    await until(
        page,
        "(ids) => [...document.querySelectorAll('.card')].map((one) => one.dataset.id).sort().join() === ids",
        ",".join(sorted(ids)),
    )


async def pictures_are_there(page: Page) -> None:
    """Return when every output on the wall is drawn."""
    await until(
        page, "() => [...document.querySelectorAll('.card .after img')].every((image) => image.naturalWidth)"
    )


async def test_the_wall_shows_every_row_and_words_a_manager_reads(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        assert await cards(page) == list(pictures.rows)
        figures = await page.inner_text("#figures")
        assert re.findall(r"\S+ of 8 rows|13 %|\$0\.32 of at most \$400\.00|\$0\.04", figures) == [
            "6 of 8 rows",
            "13 %",
            "$0.32 of at most $400.00",
            "$0.04",
        ]
        assert await page.inner_text("#reasons") == "Failed: 1 × NSFW content detected"
        assert await page.locator("#charts svg").count() == 3
        await pictures_are_there(page)
        assert "key=" not in await address_of(page)
        origin = address.partition("/?")[0]
        assert [asked for asked in visit.asked if not asked.startswith(origin)] == []


async def test_what_is_searched_and_filtered_is_what_is_shown(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "/")
        await page.keyboard.type("Quiet")
        await shows(page, "harbour", "later")
        assert await page.inner_text("#shown") == "2 of 8 rows"
        await page.select_option("select[name=state]", "pending")
        await shows(page, "later")
        await page.fill("#search", "")
        await page.select_option("select[name=state]", "")
        await page.select_option("select[name=flag]", "any")
        await shows(page, "market", "station")
        await page.select_option("select[name=flag]", "drift")
        await shows(page, "station")
        await page.select_option("select[name=flag]", "")
        await page.fill("#search", "nothing like it")
        await shows(page)
        assert await page.inner_text("#nothing") == "No row is like that."
        await page.fill("#search", "")
        await page.select_option("select[name=sort]", "id")
        await until(page, "() => document.querySelector('[aria-posinset=\"1\"]')?.dataset.id === 'bridge'")


async def test_columns_seeds_and_inputs_are_searched_by_name_and_shown(
    visit: Visit, pictures: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Most rows are known by their entry only, until what they are searched by comes.
    monkeypatch.setattr("batchfill.review.feed.SLICE", 3)
    pictures.add(
        "harbour", prompt="a quiet harbour", extra={"x_client": "Acme Corp", "x_room": "hall"}, seed=7
    )
    pictures.add("market", flags=("blank",), extra={"x_client": "acme"})
    pictures.rows["market"] = pictures.rows["market"]._replace(inputs={"guidance": 30, "style": "Oil paint"})
    pictures.add("last", prompt="ratio 16:9", seed=77)
    asked = {
        "acme": ["harbour", "market"],
        "x_client:acme": ["harbour", "market"],
        'x_client:"acme corp"': ["harbour"],
        "x_client:acme flag:blank": ["market"],
        "X_Room:HALL quiet": ["harbour"],
        "seed:7": ["harbour"],
        "guidance:30": ["market"],
        "guidance:3": [],
        'style:"oil paint"': ["market"],
        "16:9": ["last"],
        "state:waiting": ["later"],
        "decision:none id:ark": ["market"],
        "line:3": ["bridge"],
        "x_client: quiet": ["harbour", "later"],
        "nothing:here": [],
    }
    async with served(pictures) as address:
        page = await visit.open(address)
        for words, ids in asked.items():
            await page.fill("#search", words)
            await shows(page, *ids)
        await page.fill("#search", "guidance:30")
        await shows(page, "market")
        await press(page, "Tab")
        await page.locator(".card").focus()
        await press(page, "Enter")
        facts = await page.inner_text("#detail .facts")
        assert re.findall("guidance\n30|style\nOil paint|x_client\nacme", facts) == [
            "guidance\n30",
            "style\nOil paint",
            "x_client\nacme",
        ]


async def test_the_slider_shows_before_and_after(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        stage = page.locator("[data-id=harbour] .compare")
        box = await stage.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        await page.mouse.move(box["x"] + 10, middle)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
        await page.mouse.up()
        assert await stage.get_attribute("data-split") == "50"
        await stage.click(position={"x": 20, "y": 20})
        slider = page.locator("#detail input[type=range]")
        assert await page.inner_text("#detail-name") == "harbour"
        await slider.focus()
        await press(page, "End")
        assert await page.locator("#detail .compare").get_attribute("data-split") == "100"
        await press(page, "ArrowLeft")
        assert await slider.input_value() == "99"


async def test_the_keyboard_moves_opens_compares_and_helps(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "ArrowRight", "ArrowRight")
        assert await current(page) == "market"
        await press(page, "ArrowLeft", "ArrowDown")
        assert await current(page) == "later"
        await press(page, "ArrowUp", "End")
        assert await current(page) == "last"
        await press(page, "Home", " ")
        stage = page.locator("[data-id=harbour] .compare")
        assert await stage.get_attribute("data-split") == "100"
        await press(page, " ", "Enter", "m")
        assert await stage.get_attribute("data-split") == "0"
        assert "masked" in str(await page.locator("#detail .compare").get_attribute("class"))
        await press(page, "ArrowRight", " ")
        assert await page.inner_text("#detail-name") == "bridge"
        assert (await address_of(page)).endswith("#row=bridge")
        assert await page.locator("#detail .compare").get_attribute("data-split") == "100"
        await press(page, "Escape")
        await until(page, "(id) => document.activeElement.dataset.id === id", "bridge")
        assert "#row" not in await address_of(page)
        await press(page, "?")
        assert "approve" in await page.inner_text("#keys")
        await press(page, "Escape", "/")
        assert await page.evaluate("document.activeElement.id") == "search"
        await page.keyboard.type("ax")
        assert await page.input_value("#search") == "ax"


async def test_a_window_that_is_opened_again_at_once_is_closed_as_any_other(
    visit: Visit, pictures: Collection
) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "Home", "Enter")
        # The browser tells that it was closed when it is open again.
        await page.evaluate(
            "() => { const told = new Promise((resolve) => detail.addEventListener('close', resolve));"
            " detail.close(); document.querySelector('[data-id=bridge]').focus();"
            " const enter = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true });"
            " document.activeElement.dispatchEvent(enter); return told; }"
        )
        assert (await address_of(page)).endswith("#row=bridge")
        await press(page, "Escape")
        await until(page, "() => location.hash === '#at=bridge'")


async def test_an_address_leads_to_one_row(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(f"{address}#row=station")
        await page.wait_for_selector("#detail[open]")
        assert await page.inner_text("#detail-name") == "station"
        earlier = page.locator("#detail [data-name^=earlier]")
        await earlier.click()
        assert await earlier.get_attribute("aria-pressed") == "true"
        assert await page.locator("#detail .compare").get_attribute("data-split") == "50"


async def test_pictures_that_are_not_there_are_said_to_be(visit: Visit, pictures: Collection) -> None:
    (pictures.folder / str(pictures.rows["market"].outputs[0].file)).unlink()
    async with served(pictures) as address:
        page = await visit.open(address)
        await page.wait_for_selector("[data-id=market] .after .absent")
        assert await page.inner_text("[data-id=market] .after .absent") == "not there"
        assert await page.inner_text("[data-id=refused] .word") == "failed"
        assert "NSFW content detected" in await page.inner_text("[data-id=refused]")


async def test_what_changes_appears_by_itself(visit: Visit, pictures: Collection) -> None:
    pictures.running = True
    async with served(pictures) as address:
        page = await visit.open(address)
        assert await page.inner_text("#state") == "running"
        pictures.add("later")
        await page.wait_for_selector("[data-id=later].done")
        pictures.add("new")
        await page.wait_for_selector("[data-id=new]")
        pictures.running = False
        pictures.remove("refused")
        await page.wait_for_selector("[data-id=refused]", state="detached")
        await until(page, "() => document.querySelector('#state').textContent === 'finished'")


async def test_a_run_is_followed_while_it_goes_on(
    visit: Visit, desk: Any, tmp_path: Path, hurry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, fill = anyio.Event(), ClassicalFill.run

    async def fill_once_seen(*given: Any) -> Any:
        await seen.wait()
        return await fill(*given)

    monkeypatch.setattr(ClassicalFill, "run", fill_once_seen)
    provider = EmulatorServer(tmp_path / "provider", token="t")
    await provider.start()
    environ = {"BATCHFILL_TOKEN": "t"}
    night = Batch.open(desk.write(desk.rows(6)), environ=environ, base_url=provider.base, concurrency="2")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(night.run)
        await provider.until(lambda: provider.billed > 0)
        addresses = anyio.create_memory_object_stream[str](1)
        tasks.start_soon(lambda: night.review(on_ready=addresses[0].send_nowait))
        page = await visit.open(await addresses[1].receive())
        await page.evaluate("window.stayed = true")
        assert await page.locator(".card").count() == 6
        await until(page, "() => document.querySelectorAll('.card.running').length > 0")
        seen.set()
        await until(page, "() => document.querySelectorAll('.card.done').length === 6")
        await until(page, "() => document.querySelector('#state').textContent === 'finished'")
        await pictures_are_there(page)
        assert await page.evaluate("window.stayed")
        tasks.cancel_scope.cancel()
    for stream in addresses:
        stream.close()
    await provider.stop()


async def saved(page: Page, id_: str, word: str) -> None:
    """Return when a decision is shown, and is on disk."""
    await until(page, "(card) => document.querySelector(card)", f'[data-id="{id_}"].{word}:not(.unsaved)')


async def test_keys_decide_and_take_back(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "Home", "a")
        await saved(page, "harbour", "approved")
        assert await current(page) == "bridge"
        await press(page, "2", "a")
        await saved(page, "bridge", "approved")
        assert await current(page) == "market"
        await press(page, "x")
        await saved(page, "market", "rejected")
        await press(page, "r")
        await page.fill("#redo-prompt", "a station at night")
        await page.fill("#redo-seed", "77")
        await press(page, "Control+Enter")
        await saved(page, "station", "redo")
        await press(page, "z", "z")
        await until(
            page, "() => !document.querySelector('[data-id=market].rejected, [data-id=station].redo')"
        )
        assert await current(page) == "market"
        # What the answers say is said when they come.
        await until(page, "() => !document.querySelector('.unsaved')")
        await until(page, "() => document.querySelector('#said').innerText === 'market: taken back'")
        await press(page, "ArrowRight", "ArrowRight", "a")
        assert await page.inner_text("#said") == "refused has no picture to judge"
    made = [(r.prediction_id[2:], r.decision, r.chosen, r.prompt, r.seed) for r in pictures.rulings]
    assert made == [
        ("harbour", Decision.APPROVED, None, None, None),
        ("bridge", None, 2, None, None),
        ("bridge", Decision.APPROVED, 2, None, None),
        ("market", Decision.REJECTED, None, None, None),
        ("station", Decision.REDO, None, "a station at night", 77),
        ("station", None, None, None, None),
        ("market", None, None, None, None),
    ]


async def test_what_is_decided_leaves_the_undecided_and_the_next_one_comes(
    visit: Visit, pictures: Collection
) -> None:
    async with served(pictures) as address:
        page = await visit.open(f"{address}#row=harbour")
        await page.wait_for_selector("#detail[open]")
        await press(page, "Escape")
        await page.select_option("select[name=decision]", "none")
        await page.locator("[data-id=harbour]").focus()
        await press(page, "Enter", "a")
        await until(page, "() => document.querySelector('#detail-name').textContent === 'bridge'")
        await page.locator("#detail .reject").click()
        await until(page, "() => document.querySelector('#detail-name').textContent === 'market'")
        await press(page, "Escape")
        await shows(page, *(id_ for id_ in pictures.rows if id_ not in ("harbour", "bridge")))


async def test_what_cannot_be_saved_is_not_shown_as_decided(visit: Visit, pictures: Collection) -> None:
    pictures.add("harbour", prediction_id="gone")
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "Home", "x")
        await until(
            page, "() => document.querySelector('#failed').textContent.includes('harbour: not saved')"
        )
        await until(page, "() => !document.querySelector('[data-id=harbour].rejected')")


async def test_a_decision_survives_a_server_that_is_killed(
    visit: Visit, desk: Any, fork_server: ForkServer, tmp_path: Path, hurry: None
) -> None:
    night = await done(desk, tmp_path, 3)
    program = Program(desk.folder, fork_server)
    first = await program.start("review", "night.csv", "--no-open")
    page = await visit.open((await first.prints()).strip())
    await press(page, "Home", "a", "x")
    await saved(page, "r1", "approved")
    await saved(page, "r2", "rejected")
    first.signal(signal.SIGKILL)
    await page.wait_for_selector("#lost:not([hidden])")
    assert [result.decision for result in night.results()] == [Decision.APPROVED, Decision.REJECTED, None]
    second = await program.start("review", "night.csv", "--no-open")
    page = await visit.open((await second.prints()).strip())
    assert await page.locator(".card.approved").get_attribute("data-id") == "r1"
    await program.stop()


async def done(desk: Any, folder: Path, rows: int) -> Batch:
    """Return a batch whose rows are all done."""
    provider = EmulatorServer(folder / "provider", token="t")
    await provider.start()
    environ = {"BATCHFILL_TOKEN": "t"}
    night = Batch.open(desk.write(desk.rows(rows)), environ=environ, base_url=provider.base)
    assert (await night.run()).exit_code == 0
    await provider.stop()
    return night


async def test_a_narrow_window_needs_no_scrolling_aside(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        await visit.page.set_viewport_size({"width": 390, "height": 844})
        page = await visit.open(address)
        # What is filtered by is folded until it is asked for, and told when it leaves out rows.
        assert not await page.is_visible("select[name=state]")
        await page.click("#fold")
        widths = await page.eval_on_selector_all("select", "all => all.map((one) => one.offsetWidth)")
        assert min(widths) > 150
        await page.select_option("select[name=flag]", "any")
        await page.click("#fold")
        assert not await page.is_visible("select[name=flag]")
        assert await page.inner_text("#fold") == "Filters (1)"
        for keys in ((), ("Home", "Enter")):
            await press(page, *keys)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await page.locator("#detail .actions button").last.is_visible()


async def test_ten_thousand_rows_scroll_with_few_elements(visit: Visit, collection: Collection) -> None:
    many(collection, 10_000)
    await visit.page.add_init_script(WATCH)
    async with served(collection) as address:
        page = await visit.open(address)
        await page.wait_for_load_state("load")
        painted = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        at_load = await page.evaluate("window.tasks.splice(0)")
        seen, most = await page.evaluate(SCROLL)
        while_scrolling = await page.evaluate("window.tasks.splice(0)")
        print(
            f"\nfirst paint {painted:.0f} ms, long tasks (ms) at load {at_load}, scrolling {while_scrolling}"
        )
        assert seen > 500
        assert most < 1500
        await page.locator("#shown", has_text="10,000 rows").wait_for()
        await press(page, "End")
        assert await current(page) == "row-09999"
        await page.wait_for_selector(".card[data-id=row-09999] img")
        await page.fill("#search", "storm 9999")
        await shows(page, "row-09999")
    assert not [asked for asked in visit.asked if "batch.json" in asked]


async def test_a_server_that_gives_no_rows_is_not_asked_without_end(
    visit: Visit, collection: Collection
) -> None:
    many(collection, 300)
    async with served(collection) as address:
        page = await visit.open(address)
        await page.locator("#shown", has_text="300 rows").wait_for()
        await page.route("**/rows", lambda route: route.abort())
        await page.route("**/words.jsonl", lambda route: route.abort())
        before = len(visit.asked)
        await press(page, "End")
        await page.fill("#search", "number 299")
        await page.evaluate(FRAMES, 60)
        asked = [address.rpartition("/")[2] for address in visit.asked[before:]]
        assert 0 < asked.count("rows") < 10
        assert 0 < asked.count("words.jsonl") < 5
        await page.unroute("**/words.jsonl")
        await page.unroute("**/rows")
        await page.fill("#search", "number 298")
        await shows(page, "row-00298")
        await page.wait_for_selector(".card[data-id=row-00298] img")


async def test_a_page_that_is_loaded_again_shows_what_it_showed(
    visit: Visit, pictures: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The row of the place is not among the first that the server reads.
    monkeypatch.setattr(live_rows, "MOST_AT_ONCE", 2)
    async with served(pictures) as address:
        page = await visit.open(address)
        await page.select_option("select[name=state]", "done")
        await page.select_option("select[name=sort]", "id")
        await page.fill("#search", "a")
        await page.locator(".card[data-id=station]").focus()
        await until(page, "() => location.hash.includes('at=station')")
        shown = await cards(page)
        await page.reload()
        await page.wait_for_selector(".card.current[data-id=station]")
        assert await cards(page) == shown
        assert await page.input_value("#search") == "a"
        assert await page.locator("select[name=sort]").input_value() == "id"
        await press(page, "Enter")
        await page.reload()
        await page.wait_for_selector("#detail[open]")
        assert await page.inner_text("#detail-name") == "station"
        await press(page, "Escape")
        # Playwright takes any change of the address for the one that it asked for.
        await until(page, "() => location.hash.includes('at=station')")
        await page.goto(f"{address.partition('?')[0]}#sort=dearly&at=none&state=done")
        await until(page, "() => document.querySelector('select[name=sort]').value === 'line'")
        await page.reload()
        await page.wait_for_selector(".card")
        assert await page.locator("select[name=sort]").input_value() == "line"


async def test_an_address_that_is_entered_counts_in_all_its_parts_whatever_the_page_was_about_to_write(
    visit: Visit, pictures: Collection
) -> None:
    async with served(pictures) as address:
        page = await visit.open(f"{address}#row=harbour&sort=id")
        await page.wait_for_selector("#detail[open]")
        # The closing window notes its row's place a moment after the address was entered.
        await page.evaluate(
            "() => { document.querySelector('#detail').close();"
            " document.querySelector('#search').value = 'old';"
            " location.hash = '#words=a&state=done&sort=dearest&at=market' }"
        )
        await page.wait_for_selector(".card.current[data-id=market]")
        await shows(page, "harbour", "bridge", "market", "station", "last")
        assert await page.locator("select[name=sort]").input_value() == "dearest"
        assert await page.input_value("#search") == "a"
        said = {"words": "a", "state": "done", "sort": "dearest", "at": "market"}
        assert dict(parse_qsl((await address_of(page)).partition("#")[2])) == said
        await page.evaluate("location.hash = '#row=station'")
        await page.wait_for_selector("#detail[open]")
        assert await page.inner_text("#detail-name") == "station"
        assert await page.input_value("#search") == ""
        await page.evaluate("location.hash = '#state=failed'")
        await shows(page, "refused")
        assert not await page.is_visible("#detail")


async def test_back_closes_the_picture_and_leaves_the_wall_at_the_last_one(
    visit: Visit, pictures: Collection
) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        await press(page, "ArrowRight", "Enter", "ArrowRight", "ArrowRight")
        assert (await address_of(page)).endswith("#row=station")
        await page.go_back()
        await page.wait_for_selector(".card.current[data-id=station]")
        assert not await page.is_visible("#detail")
        assert (await address_of(page)).endswith("#at=station")
        # However many are opened and closed, the history holds one of them.
        for _ in range(3):
            await press(page, "Enter", "Escape")
        length = await page.evaluate("history.length")
        await press(page, "Enter", "Escape")
        assert await page.evaluate("history.length") == length


LOOK = """() => {
  const frame = document.querySelector("#detail .frame");
  const { a, e, f } = new DOMMatrix(getComputedStyle(frame).transform);
  return [a, Math.round(e), Math.round(f)];
}"""
"""How much larger the picture in the window is than all of it, and how far it was moved."""


async def test_a_closer_look_is_at_the_file_itself_and_goes_to_the_mask(
    visit: Visit, collection: Collection
) -> None:
    mask = Image.new("L", (640, 480))
    ImageDraw.Draw(mask).rectangle((480, 0, 559, 59), fill=255)
    (collection.folder / "masks").mkdir()
    mask.save(collection.folder / "masks" / "a.png")
    collection.add("r1")
    collection.add("r2")
    async with served(collection) as address:
        page = await visit.open(address)
        await press(page, "Enter")
        await until(page, "() => document.querySelector('#detail .mask img')?.naturalWidth")
        await press(page, "t")
        scale, x, y = await page.evaluate(LOOK)
        frame = page.locator("#detail .frame")
        width, height = await frame.evaluate("frame => [frame.offsetWidth, frame.offsetHeight]")
        assert scale > 3
        assert x == pytest.approx((0.5 - 520 / 640) * width * scale, abs=2 * scale)
        # The upper border of the picture is that of the window.
        assert 0 < y < 0.5 * height * scale
        await until(page, "() => document.querySelector('#detail .after img').src.includes('/files/')")
        await page.mouse.move(300, 400)
        await page.mouse.down()
        await page.mouse.move(350, 380)
        await page.mouse.up()
        assert (await page.evaluate(LOOK))[1] == x + 50
        await press(page, "t")
        assert await page.evaluate(LOOK) == [1, 0, 0]
        await press(page, "+", "+")
        assert (await page.evaluate(LOOK))[0] == pytest.approx(1.96)
        await press(page, "ArrowRight")
        assert await page.evaluate(LOOK) == [1, 0, 0]
        await press(page, "f")
        await until(page, f"() => ({LOOK})()[0] >= 1.99")
        await press(page, "a")
        await press(page, "z", "0")
        assert await page.evaluate(LOOK) == [1, 0, 0]


async def test_outputs_lie_next_to_each_other_and_move_in_step(visit: Visit, pictures: Collection) -> None:
    looks = """() => [...document.querySelectorAll("#detail .frame")].map((frame) => frame.style.transform)"""
    async with served(pictures) as address:
        page = await visit.open(f"{address}#row=bridge")
        await page.wait_for_selector("#detail[open]")
        await press(page, "g", "m", "m", "+", "+", "+")
        await page.mouse.move(200, 200)
        await page.mouse.down()
        await page.mouse.move(230, 190)
        await page.mouse.up()
        one, *others = await page.evaluate(looks)
        assert "translate(30px" in one
        assert others == [one, one]
        await until(
            page,
            "() => [...document.querySelectorAll('#detail .after img')].every((i) => 'full' in i.dataset)",
        )
        assert await page.locator("#detail .compare.outlined").count() == 3
        # The next row has one output: it lies next to what was before, with the mask as it was asked for.
        await press(page, "ArrowRight")
        assert await page.locator("#detail .number").all_inner_texts() == ["before", "after"]
        assert await page.locator("#detail .compare.outlined").count() == 2
        await press(page, "g")
        assert await page.locator("#detail .compare").count() == 1


async def test_pictures_are_as_large_as_they_are_asked_for_after_a_reload_too(
    visit: Visit, pictures: Collection
) -> None:
    widths = "() => document.querySelector('.card').offsetWidth"
    async with served(pictures) as address:
        page = await visit.open(address)
        found = []
        whole = await page.evaluate("document.querySelector('#wall').clientWidth")
        for size in ("small", "medium", "large"):
            await page.select_option("select[name=size]", size)
            await until(page, "(size) => document.querySelector(`.wall.${size} .card`)", size)
            found.append(await page.evaluate(widths))
            # However large they are, they lie side by side over the whole width.
            assert await page.evaluate("document.querySelector('#wall').clientWidth") == whole
        assert found == sorted(set(found))
        await until(page, "() => document.querySelector('.card .after img').src.includes('/views/')")
        await until(page, "() => location.hash.includes('size=large')")
        await page.reload()
        await page.wait_for_selector(".wall.large .card")
        assert await page.evaluate(widths) == found[-1]


async def test_the_first_screen_belongs_to_the_pictures(visit: Visit, pictures: Collection) -> None:
    async with served(pictures) as address:
        page = await visit.open(address)
        assert await page.locator("#night[open]").count() == 0
        await page.click("#night summary")
        assert await page.locator("#charts svg").first.is_visible()


async def test_what_is_filled_is_tinted_or_outlined_on_the_whole_wall(
    visit: Visit, pictures: Collection
) -> None:
    row = pictures.add("elsewhere", mask="https://pictures.test/m.png")
    pictures.rows["elsewhere"] = row._replace(files={"image": row.files["image"]})
    async with served(pictures) as address:
        page = await visit.open(address)
        mask = page.locator(".card[data-id=harbour] .mask")
        for shown in ("masked", "outlined", ""):
            await press(page, "m")
            assert await mask.is_visible() is bool(shown)
            assert shown in str(await page.locator("#wall").get_attribute("class"))
            # The word that stands for a mask at an address covers no picture.
            assert not await page.locator(".card[data-id=elsewhere] .mask").is_visible()


async def test_many_rows_that_change_at_once_are_shown_so_and_keep_their_pictures(
    visit: Visit, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_rows, "MOST_AT_ONCE", 5)
    monkeypatch.setattr(feed, "MOST_AT_ONCE", 1)
    for n in range(1, 13):
        collection.add(f"r{n}")
    async with served(collection) as address:
        page = await visit.open(address)
        await page.locator("#shown", has_text="12 rows").wait_for()
        await page.wait_for_selector(".card[data-id=r12] .after img")
        await page.evaluate(
            "window.cards = 0; new MutationObserver(() => { "
            "window.cards = Math.max(window.cards, document.querySelectorAll('.waiting').length) })"
            ".observe(document.body, { subtree: true, childList: true })"
        )
        for n in range(1, 13):
            collection.add(f"r{n}", decision="approved", prompt="another harbour")
        await page.wait_for_selector(".card.approved >> nth=11")
        await page.locator(".card[data-id=r12]", has_text="another harbour").wait_for()
        assert await page.evaluate("window.cards") == 0
        await press(page, "Home", "x")
        await page.wait_for_selector(".card.rejected[data-id=r1]:not(.unsaved)")
        await page.fill("#search", "another")
        await page.locator("#shown", has_text="12 rows").wait_for()


async def test_a_report_works_from_a_file_without_any_network(
    visit: Visit, pictures: Collection, tmp_path: Path
) -> None:
    page_file = await write_report(pictures, Threads(2), tmp_path / "night report")
    await visit.page.context.set_offline(True)
    page = await visit.open(page_file.as_uri())
    assert await cards(page) == list(pictures.rows)
    await pictures_are_there(page)
    await press(page, "ArrowRight", "Enter")
    assert await page.inner_text("#detail-name") == "bridge"
    assert await page.locator("#detail .actions").count() == 0
    await press(page, "Escape", "a")
    assert await page.locator(".badge").count() == 0
    assert {asked.partition(":")[0] for asked in visit.asked} <= {"file", "data"}


async def test_a_small_report_shows_its_small_copies_in_the_window_too(
    visit: Visit, pictures: Collection, tmp_path: Path
) -> None:
    page_file = await write_report(pictures, Threads(2), tmp_path / "report", size="small")
    page = await visit.open(f"{page_file.as_uri()}#row=harbour&size=large")
    await page.wait_for_selector("#detail[open]")
    await until(page, "() => document.querySelector('#detail .after img').naturalWidth === 320")
    await press(page, "ArrowRight", "g", "+")
    assert not [asked for asked in visit.asked if "/views/" in asked or "/files/" in asked]


def pieces_asked(visit: Visit, kind: str) -> list[int]:
    """Return which pieces of a kind the page asked for, in order."""
    return [int(n) for asked in visit.asked for n in re.findall(rf"/pieces/{kind}-(\d+)\.js$", asked)]


@pytest.fixture
async def long_report(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, int]:
    """Return the address of a report of 400 rows, and into how many pieces its rows are cut."""
    monkeypatch.setattr("batchfill.review.pieces.ROW_BYTES", 4000)
    monkeypatch.setattr("batchfill.review.pieces.INDEX_ROWS", 60)
    many(collection, 400)
    collection.add("row-00399", state="failed", error="NSFW content detected", prompt="a Quiet harbour")
    page_file = await write_report(collection, Threads(2), tmp_path / "night report")
    return page_file.as_uri(), len(list(page_file.parent.glob("pieces/rows-*.js")))


async def test_a_long_report_loads_the_rows_that_are_looked_at(
    visit: Visit, collection: Collection, long_report: tuple[str, int]
) -> None:
    address, pieces = long_report
    page = await visit.open(address)
    await until(page, "() => document.querySelector('#shown').value === '400 rows'")
    await pictures_are_there(page)
    assert "kind-0" in await cards(page)
    assert pieces > 30
    assert set(pieces_asked(visit, "rows")) <= set(range(5))
    await press(page, "End")
    await until(page, "() => document.activeElement.innerText.includes('NSFW content detected')")
    assert len(pieces_asked(visit, "rows")) < 12
    await press(page, "Home", "Enter")
    for _ in range(40):
        await press(page, "ArrowRight")
    await until(page, "() => document.querySelector('#detail .prompt')?.innerText === 'picture of kind-40'")
    assert sorted(pieces_asked(visit, "index")) == list(range(7))
    assert len(pieces_asked(visit, "rows")) == len(set(pieces_asked(visit, "rows"))) < pieces / 2


async def test_a_long_report_is_filtered_sorted_and_searched_as_a_whole(
    visit: Visit, collection: Collection, long_report: tuple[str, int]
) -> None:
    address, pieces = long_report
    page = await visit.open(f"{address}#row=row-00399")
    await until(page, "() => document.querySelector('#detail .error')?.innerText === 'NSFW content detected'")
    await press(page, "Escape")
    figures = await page.inner_text("#figures")
    assert "399 of 400 rows" in figures.replace("\n", " ")
    assert await page.inner_text("select[name=flag] option:last-child") == "blank (40)"
    await page.select_option("select[name=state]", "failed")
    await shows(page, "row-00399")
    await page.select_option("select[name=state]", "")
    await page.select_option("select[name=sort]", "newest")
    await until(page, "() => document.querySelector('[aria-posinset=\"1\"] b')?.innerText === 'row-00399'")
    await page.select_option("select[name=sort]", "line")
    await page.fill("#search", "quiet HARBOUR")
    await shows(page, "row-00399")
    await until(page, "() => document.querySelector('#shown').value === '1 of 400 rows'")
    assert set(pieces_asked(visit, "rows")) == set(range(pieces))
    await page.fill("#search", "storm row-00077")
    await shows(page, "row-00077")
    await until(page, "() => document.querySelector('.card .words p').innerText.includes('oil on canvas')")


async def test_a_piece_that_was_not_copied_along_is_told(
    visit: Visit, long_report: tuple[str, int], tmp_path: Path
) -> None:
    (tmp_path / "night report" / "pieces" / "rows-0.js").unlink()
    page = await visit.open(long_report[0])
    await until(page, "() => document.querySelector('#lost').innerText.includes('rows-0.js cannot be read')")
    assert await page.inner_text("[data-id=kind-0] .word") == "loading"


def contrast(one: Any, other: Any) -> float:
    """Return the contrast of two colours as WCAG counts it."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


TEXTS = ("ink", "soft", "accent", "approved", "rejected", "redo")
COLOURS = """() => {
  const probe = document.body.appendChild(document.createElement("i"));
  const colour = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  return Object.fromEntries(NAMES.map((name) => [name, colour(name)]));
}""".replace("NAMES", str([*TEXTS, "ground", "surface", "mat", "on-strong"]))


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_text_stands_out_from_what_is_behind_it(
    visit: Visit, pictures: Collection, theme: Any
) -> None:
    await visit.page.emulate_media(color_scheme=theme)
    async with served(pictures) as address:
        page = await visit.open(address)
        colours = await page.evaluate(COLOURS)
        pairs = [(text, behind) for text in TEXTS for behind in ("ground", "surface")]
        pairs += [("soft", "mat"), *(("on-strong", strong) for strong in ("approved", "rejected", "redo"))]
        low = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
        assert {pair: found for pair, found in low.items() if found < 4.5} == {}
        await page.click("#theme")
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert (await page.evaluate(COLOURS))["ground"] == "rgb(21, 21, 20)"
