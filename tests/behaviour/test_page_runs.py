"""A run that the review page starts: what it would do is told first, and it does that or nothing."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from tests.support.batches import PRICED
from tests.support.models import DEV
from tests.support.providers import TOKEN
from tests.unit.review.conftest import asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiohttp import ClientSession

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.programs import Program, Running

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


class Editor:
    """A browser at the page, which asks and acts by name."""

    def __init__(self, visitor: ClientSession) -> None:
        self._visitor = visitor
        self.origin = self.page = ""

    async def arrive(self, review: Running) -> None:
        address = (await review.prints()).strip()
        self.origin = address.partition("/?")[0]
        async with self._visitor.get(address) as response:
            assert response.status == 200
        async with self._visitor.get(f"{self.origin}/head.json") as response:
            self.page = (await response.json())["page"]

    async def post(self, place: str, said: Any) -> tuple[int, Any]:
        """Return the status of the answer, and what it says."""
        here = {"Origin": self.origin}
        async with self._visitor.post(f"{self.origin}/{place}", json=said, headers=here) as response:
            is_told = response.content_type == "application/json"
            return response.status, await (response.json() if is_told else response.text())

    async def redo(self, *predictions: str | None) -> None:
        decisions = [{"prediction_id": one, "decision": "redo"} for one in predictions]
        status, _ = await self.post("decisions", {"page": self.page, "first": 1, "decisions": decisions})
        assert status == 200


@pytest.fixture
async def reviewed(service: Serve, batch: Open, desk: Any) -> tuple[EmulatorServer, Batch]:
    """Three rows of a priced batch that are done."""
    provider = await service()
    made = batch(provider, desk.rows(3), head=PRICED)
    await made.run()
    return provider, made


def texts(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_the_page_starts_what_was_agreed_to_and_that_goes_on_without_it(
    reviewed: tuple[EmulatorServer, Batch], batchfill: Program, result: Callable[..., Any]
) -> None:
    provider, night = reviewed
    review = await batchfill.start("review", "night.yaml", "--no-open")
    async with asking() as visitor:
        editor = Editor(visitor)
        await editor.arrive(review)
        await editor.redo(*(result(night, id_).prediction_id for id_ in ("r1", "r2")))
        status, plan = await editor.post("plan", {})
        assert (status, plan["rows"], plan["again"], plan["price"]) == (200, 2, 2, 80_000)
        assert (plan["model"], plan["provider"]) == (DEV, provider.base)
        assert plan["cost"]["spent"] == pytest.approx(0.12)
        # Others than those that a person has seen are never made.
        status, why = await editor.post("runs", {"rows": 1, "price": 40_000})
        assert (status, why) == (
            409,
            "rows or cost have changed: nothing was started. It would be 2 rows now",
        )
        assert (provider.billed, night.is_running()) == (3, False)
        status, told = await editor.post("runs", {"rows": plan["rows"], "price": plan["price"]})
        assert (status, told["rows"]) == (200, 2)
    review.signal(signal.SIGINT)
    ended = await review.ended()
    await provider.until(lambda: provider.billed == 5)
    await night.wait_until_idle()
    assert night.status().counts[RowState.DONE] == 3
    assert {row.id for row in night.results() if row.decision is None} == {"r1", "r2", "r3"}
    assert len(list((night.folder / "outputs" / "earlier").iterdir())) == 2
    assert TOKEN not in ended.out + ended.err
    assert TOKEN.encode() not in texts(night.folder)


async def test_why_the_page_cannot_start_a_run_is_told_in_the_words_of_a_terminal(
    reviewed: tuple[EmulatorServer, Batch], batchfill: Program, result: Callable[..., Any]
) -> None:
    _, night = reviewed
    del batchfill.environ["BATCHFILL_TOKEN"]
    review = await batchfill.start("review", "night.yaml", "--no-open")
    async with asking() as visitor:
        editor = Editor(visitor)
        await editor.arrive(review)
        await editor.redo(result(night).prediction_id)
        status, why = await editor.post("plan", {})
        assert status == 409
        assert why.startswith("no token for http://127.0.0.1:")
        assert "set BATCHFILL_TOKEN" in why
        assert (await editor.post("runs", {"rows": True, "price": 1}))[0] == 400
