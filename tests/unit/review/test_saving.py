"""A decision that the page calls saved is on disk; one that is not is kept, told, and sent again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import pytest
import pytest_asyncio
from aiohttp import ClientError

from batchfill.batch import Batch
from batchfill.domain.review import Decision, ReviewDecision
from batchfill.errors import UsageError, unwrap_single
from batchfill.review.server import serve_review
from batchfill.workers.pool import Threads
from tests.support.bounds import HANGS
from tests.support.programs import Program
from tests.unit.review.collection import Collection
from tests.unit.review.conftest import asking, served
from tests.unit.review.large import large
from tests.unit.review.test_page import done, press, saved, until
from tests.unit.review.test_server import next_event, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from aiohttp import ClientSession
    from playwright.async_api import Dialog, Page, Route

    from batchfill.domain.reports import ReviewRow
    from tests.support.fork_server import ForkServer
    from tests.support.programs import Running
    from tests.unit.review.conftest import Visit

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("quick")]


class Held(Collection):
    """A batch whose disk and whose readings can be held up, and whose disk can be full."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.disk, self.asked = anyio.Event(), anyio.Event()
        self.disk.set()
        self.readable = threading.Event()
        self.readable.set()
        self.readings = 0
        self.full = False
        self.news = asyncio.Condition()

    async def holds(self, number: int) -> None:
        """Return when so many decisions are on disk."""
        async with asyncio.timeout(HANGS), self.news:
            await self.news.wait_for(lambda: len(self.rulings) >= number)

    def hold_disk(self) -> None:
        """Let decisions wait until `disk` is set; `asked`: the first of them is there."""
        self.disk, self.asked = anyio.Event(), anyio.Event()

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        self.asked.set()
        # A test that fails meanwhile ends all the same: a server waits for what it was sent.
        with anyio.fail_after(HANGS):
            await self.disk.wait()
        if self.full:
            raise UsageError("night.batch/inbox cannot be written: No space left on device")
        refused = await super().decide(rulings)
        async with self.news:
            self.news.notify_all()
        return refused

    def changed_rows(self, most: int) -> list[ReviewRow]:
        assert self.readable.wait(HANGS)
        self.readings += 1
        return super().changed_rows(most)

    def words(self) -> list[tuple[str, str | None]]:
        """Return what was decided, in order, by row."""
        return [(ruling.prediction_id[2:], ruling.decision) for ruling in self.rulings]


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """Six rows, r1 to r6."""
    folder = tmp_path / "night.batch"
    folder.mkdir()
    made = Held(folder)
    for n in range(1, 7):
        made.add(f"r{n}", outputs=2 if n == 2 else 1)
    return made


# The server


class Sender:
    """A page as the server knows it."""

    def __init__(self, here: str, visitor: ClientSession) -> None:
        self._here, self._visitor = here, visitor
        self.name = ""

    async def open(self) -> Any:
        """Read the head of the batch; return it."""
        async with self._visitor.get(f"{self._here}/head.json?page={self.name}") as response:
            head = await response.json()
        self.name = head["page"]
        return head

    async def send(self, first: int, *decisions: Any) -> tuple[int, Any]:
        """Send decisions, (row, word) each; return the answer's status, and what it says."""
        said = {
            "page": self.name,
            "first": first,
            "decisions": [{"prediction_id": f"p-{id_}", "decision": word} for id_, word in decisions],
        }
        headers = {"Origin": self._here}
        async with self._visitor.post(f"{self._here}/decisions", json=said, headers=headers) as response:
            return response.status, await (response.json() if response.status == 200 else response.text())


@asynccontextmanager
async def sending(source: Collection) -> AsyncIterator[Sender]:
    async with visiting(source) as (here, visitor):
        sender = Sender(here, visitor)
        await sender.open()
        yield sender


async def test_an_answer_does_not_wait_for_a_reading_of_the_batch(held: Held) -> None:
    async with sending(held) as page:
        held.readable.clear()
        try:
            async with asyncio.timeout(HANGS / 2):
                for n in range(1, 51):
                    assert await page.send(n, ("r1", "approved")) == (200, {"saved": n, "refused": {}})
                assert (await page.open())["noted"] == 0
        finally:
            held.readable.set()
    assert held.words() == [("r1", "approved")] * 50


async def test_many_decisions_are_few_readings_which_say_up_to_where_they_hold_them(held: Held) -> None:
    async with visiting(held) as (here, visitor):
        page, other = Sender(here, visitor), Sender(here, visitor)
        edition = (await page.open())["edition"]
        await other.open()
        async with visitor.get(f"{here}/events?since={edition}&page={page.name}") as stream:
            held.readable.clear()
            before = held.readings
            for n in range(1, 41):
                await page.send(n, ("r1", "approved"), ("r3", "rejected"))
                await other.send(n, ("r4", "rejected"))
            held.readable.set()
            said: dict[str, Any] = {"noted": 0}
            while said["noted"] < 41:
                _, said = await next_event(stream)
        assert held.readings - before <= 2
        # Sent again in part and taken all the same: no change, and still it is said.
        assert (await page.open())["noted"] == 41


class Late(Held):
    """What it notes can be read before it says that it has noted it."""

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        refused = await Collection.decide(self, rulings)
        with anyio.fail_after(HANGS):
            await self.disk.wait()
        return refused


async def test_a_reading_that_is_quicker_than_the_answer_is_told_of_later(tmp_path: Path) -> None:
    (tmp_path / "night.batch").mkdir()
    late = Late(tmp_path / "night.batch")
    late.add("r1")
    async with visiting(late) as (here, visitor), anyio.create_task_group() as tasks:
        page = Sender(here, visitor)
        edition = (await page.open())["edition"]
        async with visitor.get(f"{here}/events?since={edition}&page={page.name}") as stream:
            late.hold_disk()
            tasks.start_soon(page.send, 1, ("r1", "approved"))
            _, said = await next_event(stream)
            assert (said["rows"][0]["decision"], said["noted"]) == ("approved", 0)
            late.disk.set()
            with anyio.fail_after(HANGS):
                _, said = await next_event(stream)
            assert (said["rows"], said["noted"]) == ([], 1)


async def test_what_comes_again_counts_once_and_changes_nothing_that_came_later(held: Held) -> None:
    async with visiting(held) as (here, visitor):
        page, other = Sender(here, visitor), Sender(here, visitor)
        await page.open()
        await other.open()
        await page.send(1, ("r1", "approved"), ("r2", "approved"))
        await other.send(1, ("r1", "rejected"))
        # Its first answer was lost, and more was decided meanwhile.
        again = [("r1", "approved"), ("r2", "approved"), ("r3", "rejected")]
        assert await page.send(1, *again) == (200, {"saved": 3, "refused": {}})
        assert await page.send(2, *again[1:]) == (200, {"saved": 3, "refused": {}})
    assert held.words() == [("r1", "approved"), ("r2", "approved"), ("r1", "rejected"), ("r3", "rejected")]


async def test_what_is_refused_is_told_as_often_as_it_is_asked_and_holds_nothing_else_up(held: Held) -> None:
    sent = [("r1", "approved"), ("gone", "approved"), ("r2", "maybe"), ("r3", "approved")]
    refused = {
        "2": "p-gone is not of this batch",
        "3": "a decision is approved, rejected, redo, or null, not 'maybe'",
    }
    async with sending(held) as page:
        assert await page.send(1, *sent) == (200, {"saved": 4, "refused": refused})
        assert await page.send(1, *sent) == (200, {"saved": 4, "refused": refused})
        assert await page.send(5, ("r4", "approved")) == (200, {"saved": 5, "refused": {}})
    assert held.words() == [("r1", "approved"), ("r3", "approved"), ("r4", "approved")]


async def test_what_the_disk_does_not_take_is_not_counted_and_may_come_again(held: Held) -> None:
    async with sending(held) as page:
        held.full = True
        status, why = await page.send(1, ("r1", "approved"))
        assert (status, why) == (503, "night.batch/inbox cannot be written: No space left on device")
        held.full = False
        assert (await page.send(1, ("r1", "approved"), ("r2", "rejected")))[0] == 200
    assert held.words() == [("r1", "approved"), ("r2", "rejected")]


async def test_a_page_of_another_server_is_not_listened_to(held: Held) -> None:
    async with sending(held) as page:
        page.name = "of-another"
        status, why = await page.send(1, ("r1", "approved"))
        assert status == 409
        assert "belongs to a review that has ended" in why
        assert (await page.open())["page"] == page.name != "of-another"
        assert await page.send(1, ("r1", "approved")) == (200, {"saved": 1, "refused": {}})


class Ending:
    """A server that can be ended as Ctrl-C ends it, and a page that has sent it two decisions."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._server = anyio.CancelScope()
        self._ready = anyio.Event()
        self._addresses: list[str] = []
        self.ended = anyio.Event()
        self.answer: tuple[int, Any] | None = None

    @asynccontextmanager
    async def sent(self) -> AsyncIterator[None]:
        """Have it serve, and send it decisions that its disk holds up; what is open ends in the end."""
        with unwrap_single():
            async with asking() as visitor, anyio.create_task_group() as tasks:
                tasks.start_soon(self._serve)
                await self._ready.wait()
                await visitor.get(self._addresses[0])
                page = Sender("http://" + urlsplit(self._addresses[0]).netloc, visitor)
                await page.open()
                self._held.hold_disk()
                tasks.start_soon(self._send, page)
                await self._held.asked.wait()
                self._server.cancel()
                yield

    async def _serve(self) -> None:
        with self._server:
            await serve_review(self._held, Threads(1), on_ready=self._welcome)
        self.ended.set()

    def _welcome(self, address: str) -> None:
        self._addresses.append(address)
        self._ready.set()

    async def _send(self, page: Sender) -> None:
        with suppress(ClientError):
            self.answer = await page.send(1, ("r1", "approved"), ("r2", "rejected"))


async def test_a_server_that_ends_answers_what_it_was_sent(held: Held) -> None:
    ending = Ending(held)
    async with ending.sent():
        await anyio.wait_all_tasks_blocked()
        held.disk.set()
    assert ending.answer == (200, {"saved": 2, "refused": {}})
    assert held.words() == [("r1", "approved"), ("r2", "rejected")]


async def test_a_server_that_ends_finishes_what_it_was_sent_however_long_that_takes(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.review.listeners.LAST_ANSWERS", 0.001)
    ending = Ending(held)
    async with ending.sent():
        with anyio.move_on_after(0.3):
            await ending.ended.wait()
        assert not ending.ended.is_set()
        held.disk.set()
    assert held.words() == [("r1", "approved"), ("r2", "rejected")]


# The page


async def says(page: Page, place: str, text: str) -> None:
    """Return when an element says so."""
    await until(
        page, "([place, text]) => document.querySelector(place).innerText.includes(text)", [place, text]
    )


async def decided(page: Page) -> str:
    """Return how many decisions the page counts."""
    found: str = await page.evaluate(
        "[...document.querySelectorAll('#figures dt')].find((one) => one.innerText === 'Decided')"
        ".nextSibling.innerText"
    )
    return found.split()[0]


async def test_a_decision_counts_once_the_disk_has_it(visit: Visit, held: Held) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        held.hold_disk()
        await press(page, "Home", "a")
        await held.asked.wait()
        await page.wait_for_selector("[data-id=r1].approved.unsaved")
        await says(page, "#saving", "saving 1")
        assert await decided(page) == "0"
        held.disk.set()
        await saved(page, "r1", "approved")
        await says(page, "#saving", "all saved")
        assert await decided(page) == "1"


async def test_what_is_taken_back_counts_until_the_disk_has_that(visit: Visit, held: Held) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        await press(page, "Home", "a")
        await saved(page, "r1", "approved")
        held.hold_disk()
        await press(page, "z")
        await page.wait_for_selector("[data-id=r1].unsaved:not(.approved)")
        assert await decided(page) == "1"
        held.disk.set()
        await says(page, "#saving", "all saved")
        assert await decided(page) == "0"


async def test_all_that_waits_goes_as_one_request_in_its_order(visit: Visit, held: Held) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        held.hold_disk()
        await press(page, "Home", "a")
        await held.asked.wait()
        await press(page, "x", "z", "a", "x", "ArrowLeft", "a", "z", "z")
        await says(page, "#saving", "saving 8")
        held.disk.set()
        await says(page, "#saving", "all saved")
    assert len([asked for asked in visit.asked if asked.endswith("/decisions")]) == 2
    assert held.words() == [
        ("r1", "approved"),
        ("r2", "rejected"),
        ("r2", None),
        ("r2", "approved"),
        ("r3", "rejected"),
        ("r3", "approved"),
        ("r3", "rejected"),
        ("r3", None),
    ]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_tab_asks_before_it_closes_with_unsaved_decisions_and_sends_them(
    visit: Visit, held: Held, leaves: bool
) -> None:
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await (dialog.accept() if leaves else dialog.dismiss())

    async with served(held) as address:
        page = await visit.open(address)
        page.on("dialog", answer)
        held.hold_disk()
        await press(page, "Home", "a")
        await held.asked.wait()
        await press(page, "x", "a", "x", "a")
        await says(page, "#saving", "saving 5")
        if leaves:
            async with page.expect_event("close", timeout=1000 * HANGS):
                await page.close(run_before_unload=True)
        else:
            async with page.expect_event("dialog", timeout=1000 * HANGS):
                await page.close(run_before_unload=True)
        held.disk.set()
        await held.holds(5)
        if not leaves:
            await says(page, "#saving", "all saved")
    assert asked == ["beforeunload"]
    words = ["approved", "rejected", "approved", "rejected", "approved"]
    assert held.words() == [(f"r{n}", word) for n, word in enumerate(words, 1)]


async def test_a_tab_with_everything_saved_closes_without_a_question(visit: Visit, held: Held) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        page.on("dialog", lambda dialog: pytest.fail(f"it asked: {dialog.type}"))
        await press(page, "Home", "a")
        await says(page, "#saving", "all saved")
        async with page.expect_event("close", timeout=1000 * HANGS):
            await page.close(run_before_unload=True)


async def test_what_a_full_disk_does_not_take_is_kept_told_and_sent_again(visit: Visit, held: Held) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        held.full = True
        await press(page, "Home", "a", "x", "a")
        await says(page, "#lost", "3 decisions are not saved, and tried again: ")
        await says(page, "#lost", "No space left on device")
        assert await page.inner_text("#saving") == "not saved: 3"
        assert await decided(page) == "0"
        held.full = False
        await says(page, "#saving", "all saved")
        assert await page.is_hidden("#lost")
    assert held.words() == [("r1", "approved"), ("r2", "rejected"), ("r3", "approved")]


async def test_a_long_queue_goes_in_requests_that_a_tab_which_closes_may_still_send(
    visit: Visit, held: Held
) -> None:
    sent: list[int] = []
    async with served(held) as address:
        page = await visit.open(address)
        held.full = True
        await press(page, "Home")
        await page.evaluate(
            """() => {
              for (let n = 0; n < 600; n += 1) for (const key of [n % 2 ? "x" : "a", "Home"]) {
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
              }
            }"""
        )
        await says(page, "#lost", "600 decisions are not saved")
        page.on("request", lambda request: sent.append(len(request.post_data_buffer or b"")))
        held.full = False
        await says(page, "#saving", "all saved")
    assert len(sent) > 1
    assert max(sent) <= 32_000
    assert held.words() == [("r1", "approved"), ("r1", "rejected")] * 300


async def test_the_longest_prompt_is_saved_though_it_fills_a_request_by_itself(
    visit: Visit, held: Held
) -> None:
    prompt = "\U0001f6e5" * 50_000  # two of JavaScript's characters each
    async with served(held) as address:
        page = await visit.open(address)
        held.hold_disk()
        await press(page, "Home", "a")
        await held.asked.wait()
        await press(page, "r")
        await page.fill("#redo-prompt", prompt)
        await press(page, "Control+Enter")
        await page.wait_for_selector("[data-id=r2].redo")
        await press(page, "x")
        held.disk.set()
        await says(page, "#saving", "all saved")
    assert held.words() == [("r1", "approved"), ("r2", "redo"), ("r3", "rejected")]
    assert held.rulings[1].prompt == prompt


async def test_what_is_not_saved_is_told_in_the_window_of_a_row_too(visit: Visit, held: Held) -> None:
    on_top = """(id) => {
      const box = document.querySelector(id).getBoundingClientRect();
      return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)?.closest(id);
    }"""
    async with served(held) as address:
        page = await visit.open(address)
        held.full = True
        await press(page, "Home", "Enter", "a", "ArrowLeft")
        await page.wait_for_selector("#detail #lost:not([hidden])")
        await until(page, on_top, "#lost")
        assert await page.inner_text("#detail .badge") == "approved …"
        await press(page, "Escape")
        await page.wait_for_selector("body > #notices #lost:not([hidden])")
        held.full = False
        await says(page, "#saving", "all saved")


async def test_a_redo_is_about_the_row_that_it_was_asked_for_though_another_has_come_to_its_place(
    visit: Visit, held: Held
) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        await page.select_option("select[name=decision]", "none")
        await page.locator("[data-id=r1]").focus()
        await press(page, "r")
        await page.fill("#redo-prompt", "a boat")
        # Another tab decides about it, and it leaves those that are shown.
        await held.decide([ReviewDecision(prediction_id="p-r1", decision=Decision.APPROVED, at=1.0)])
        await page.wait_for_selector("[data-id=r1]", state="detached")
        await press(page, "Control+Enter")
        await says(page, "#saving", "all saved")
    assert held.words() == [("r1", "approved"), ("r1", "redo")]


@pytest.mark.parametrize("seed", ["0", "2147483648", "99999999999999999999999"])
async def test_a_seed_that_would_be_refused_does_not_leave_the_window(
    visit: Visit, held: Held, seed: str
) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        await press(page, "Home", "r")
        await page.fill("#redo-prompt", "a boat")
        await page.fill("#redo-seed", seed)
        await press(page, "Control+Enter")
        assert await page.input_value("#redo-prompt") == "a boat"
        assert await page.is_visible("#redo[open]")
        await page.fill("#redo-seed", "2147483647")
        await press(page, "Control+Enter")
        await saved(page, "r1", "redo")
    assert [ruling.seed for ruling in held.rulings] == [2147483647]


async def test_a_redo_may_name_other_inputs_and_shows_those_that_were_named(visit: Visit, held: Held) -> None:
    held.add("r1", changed_inputs={"guidance": 40, "style": None})
    async with served(held) as address:
        page = await visit.open(address)
        await press(page, "Home", "r")
        assert await page.input_value("#redo-inputs") == "guidance=40\nstyle="
        await page.fill("#redo-inputs", "guidance 50")
        await press(page, "Control+Enter")
        assert await page.is_visible("#redo[open]")
        await page.fill("#redo-inputs", " guidance = 50\n\nstyle=a=b\nlora=")
        await press(page, "Control+Enter")
        await saved(page, "r1", "redo")
        await press(page, "Home", "r")
        assert await page.input_value("#redo-inputs") == "guidance=50\nstyle=a=b\nlora="
        await page.fill("#redo-inputs", "guidance=40\nstyle=")
        await press(page, "Control+Enter")
        await held.holds(2)
    asked = {"guidance": "50", "style": "a=b", "lora": ""}
    assert [ruling.inputs for ruling in held.rulings] == [asked, None]


async def test_a_refused_decision_stays_told_and_the_others_are_saved(visit: Visit, held: Held) -> None:
    held.add("r2", prediction_id="gone")
    async with served(held) as address:
        page = await visit.open(address)
        await press(page, "Home", "a", "a", "a")
        await says(page, "#failed", "r2: not saved: gone is not of this batch")
        await saved(page, "r1", "approved")
        await saved(page, "r3", "approved")
        await until(page, "() => !document.querySelector('[data-id=r2].approved')")
        # What was refused is nothing that could be taken back.
        await press(page, "z", "z")
        await says(page, "#saving", "all saved")
        await page.locator("#failed button").click()
        assert await page.is_hidden("#failed")
    assert held.words() == [("r1", "approved"), ("r3", "approved"), ("r3", None), ("r1", None)]


async def test_of_two_tabs_both_show_what_was_decided_last(visit: Visit, held: Held) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        other = await page.context.new_page()
        await other.goto(address.partition("?")[0])
        await other.wait_for_selector(".card")
        # One reading sees both, so that the first tab never hears of its own.
        held.readable.clear()
        await press(page, "Home", "a")
        await saved(page, "r1", "approved")
        await press(other, "Home", "x")
        await saved(other, "r1", "rejected")
        held.readable.set()
        await saved(page, "r1", "rejected")
        await saved(other, "r1", "rejected")


async def test_an_approval_of_a_picture_that_was_made_again_meanwhile_is_told(
    visit: Visit, held: Held
) -> None:
    async with served(held) as address:
        page = await visit.open(address)
        held.readable.clear()
        held.add("r2", prediction_id="p-new")
        await press(page, "Home", "a", "a")
        await says(page, "#saving", "all saved")
        held.readable.set()
        await says(page, "#failed", "r2: the picture was made again after it was approved")
        await saved(page, "r1", "approved")
        await until(page, "() => !document.querySelector('[data-id=r2].approved')")


class Reviews:
    """Reviews of a folder's batch at one port, one after the other, and pages of one browser."""

    def __init__(self, visit: Visit, program: Program, port: int) -> None:
        self._visit, self._port = visit, port
        self.program = program

    async def start(self) -> Running:
        """Start one, and open its page in a new tab: `tab`."""
        running = await self.program.start("review", "night.csv", "--no-open", "--port", self._port)
        self.tab = await self._visit.page.context.new_page()
        await self.tab.goto((await running.prints()).strip())
        await self.tab.wait_for_selector(".card")
        return running


@pytest.fixture
def make_night(desk: Any, tmp_path: Path, hurry: None) -> Callable[[], Awaitable[Batch]]:
    """`await night()` makes a batch of five rows that are done."""
    return lambda: done(desk, tmp_path, 5)


@pytest_asyncio.fixture(loop_scope="session")
async def reviews(visit: Visit, desk: Any, fork_server: ForkServer, free_port: int) -> AsyncIterator[Reviews]:
    """See Reviews."""
    made = Reviews(visit, Program(desk.folder, fork_server), free_port)
    yield made
    await made.program.stop()


def decisions(night: Batch) -> dict[str, str | None]:
    return {result.id: result.decision for result in night.results()}


async def test_a_server_that_ends_is_told_and_the_next_one_at_its_address_gets_what_is_left(
    reviews: Reviews, make_night: Callable[[], Awaitable[Batch]], free_port: int
) -> None:
    batch = await make_night()
    first = await reviews.start()
    page = reviews.tab
    await press(page, "Home", "a")
    await saved(page, "r1", "approved")
    first.signal(signal.SIGKILL)
    await first.ended()
    await says(page, "#lost", "does not answer. Every decision shown is saved.")
    await press(page, "x", "a", "z", "x")
    await says(page, "#lost", "4 decisions are not saved.")
    await says(page, "#lost", f"`batchfill review night.csv --port {free_port}`")
    assert await page.inner_text("#saving") == "not saved: 4"
    assert await decided(page) == "1"
    await reviews.start()
    await says(page, "#saving", "all saved")
    await until(page, "() => document.querySelector('#lost').hidden")
    assert decisions(batch) == {"r1": "approved", "r2": "rejected", "r3": "rejected", "r4": None, "r5": None}
    # It is followed again, too.
    await press(reviews.tab, "End", "a")
    await saved(page, "r5", "approved")


async def test_what_was_decided_otherwise_meanwhile_is_not_decided_back(
    reviews: Reviews, make_night: Callable[[], Awaitable[Batch]]
) -> None:
    batch = await make_night()
    first = await reviews.start()
    page = reviews.tab
    await press(page, "Home", "a")
    await saved(page, "r1", "approved")
    first.signal(signal.SIGKILL)
    await first.ended()
    await press(page, "a", "a", "a")
    await says(page, "#lost", "3 decisions are not saved.")
    await page.route("**/head.json*", lambda route: route.abort())
    await reviews.start()
    other = reviews.tab
    # The same as the first tab decided about one row, something else about another.
    await press(other, "Home", "ArrowRight", "x", "a")
    await saved(other, "r3", "approved")
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    # What waits to be saved is sent again before the page knows what the other one decided.
    await page.route("**/index.jsonl", hold)
    async with page.expect_response("**/head.json*"):
        await page.unroute("**/head.json*")
    async with page.expect_response("**/decisions"):
        pass
    held.set()
    await says(page, "#failed", "r2: not saved: it was decided otherwise meanwhile")
    await says(page, "#saving", "all saved")
    await saved(page, "r2", "rejected")
    assert await page.inner_text("#failed span") == "r2: not saved: it was decided otherwise meanwhile"
    assert list(decisions(batch).values()) == ["approved", "rejected", "approved", "approved", None]


async def test_decisions_do_not_reach_a_copy_of_the_batch_at_the_same_address(
    visit: Visit,
    reviews: Reviews,
    make_night: Callable[[], Awaitable[Batch]],
    fork_server: ForkServer,
    tmp_path: Path,
    free_port: int,
) -> None:
    batch = await make_night()
    first = await reviews.start()
    page = reviews.tab
    await press(page, "Home", "a")
    await saved(page, "r1", "approved")
    copy = shutil.copytree(batch.manifest.parent, tmp_path / "copy")
    first.signal(signal.SIGKILL)
    await first.ended()
    await press(page, "x")
    copied = Reviews(visit, Program(copy, fork_server), free_port)
    await copied.start()
    await says(page, "#lost", f"nother batch is at this address now: {copy / 'night.batch'}")
    await says(page, "#lost", "1 decision is not saved.")
    await press(copied.tab, "End", "a")
    await saved(copied.tab, "r5", "approved")
    words = dict.fromkeys(("r2", "r3", "r4"))
    assert decisions(Batch.open(copy / "night.csv")) == {"r1": "approved", **words, "r5": "approved"}
    await copied.program.stop()


async def test_a_hundred_decisions_among_thousands_of_rows_are_on_disk_though_the_tab_closes_at_once(
    visit: Visit, desk: Any, fork_server: ForkServer, tmp_path: Path, hurry: None
) -> None:
    batch = await large(desk, tmp_path, 2000)
    program = Program(desk.folder, fork_server)
    review = await program.start("review", "night.csv", "--no-open")
    page = await visit.open((await review.prints()).strip())
    page.on("dialog", lambda dialog: dialog.accept())
    await press(page, "Home", *("a", "x") * 50)
    async with page.expect_event("close", timeout=1000 * HANGS):
        await page.close(run_before_unload=True)
    # The server answers nobody any more, and no event crosses processes.
    async with asyncio.timeout(HANGS):
        while sum(word is not None for word in decisions(batch).values()) < 100:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert list(decisions(batch).values())[:101] == [*("approved", "rejected") * 50, None]
    await program.stop()
