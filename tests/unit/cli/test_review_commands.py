"""`batchfill review` and `batchfill report` as a person starts them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.review.conftest import asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


@pytest.fixture
async def reviewed(service: Serve, batch: Open) -> Batch:
    """Three rows that are done."""
    made = batch(await service(tiny=False), 3)
    await made.run()
    return made


async def test_review_prints_an_address_and_serves_there_until_ctrl_c(
    reviewed: Batch, batchfill: Any
) -> None:
    running = await batchfill.start("review", "night.csv", "--no-open")
    address = (await running.prints()).strip()
    async with asking() as visitor:
        async with visitor.get(address) as response:
            assert response.status == 200
        origin = address.partition("?")[0]
        async with visitor.get(f"{origin}batch.json") as response:
            whole = await response.json()
        assert [row["id"] for row in whole["rows"]] == ["r1", "r2", "r3"]
        assert (whole["counts"]["done"], whole["running"]) == (3, False)
        (picture,) = whole["rows"][0]["outputs"]
        async with visitor.get(f"{origin}thumbs/{picture['key']}.webp") as response:
            assert response.headers["Content-Type"] == "image/webp"
    running.signal(signal.SIGINT)
    ended = await running.ended()
    assert (ended.code, ended.err) == (0, "the address lets one browser in, once; Ctrl-C ends the page\n")
    assert not (reviewed.folder / "review.html").exists()


async def test_review_can_have_a_port_of_its_own(reviewed: Batch, batchfill: Any, free_port: int) -> None:
    running = await batchfill.start("review", "night.csv", "--no-open", "--port", free_port)
    assert (await running.prints()).startswith(f"http://127.0.0.1:{free_port}/?key=")


@pytest.mark.parametrize("command", ["review", "report"])
async def test_without_a_batch_there_is_nothing_to_look_at(batchfill: Any, desk: Any, command: str) -> None:
    desk.write(desk.rows(1))
    ran = await batchfill(command, "night.csv")
    assert (ran.code, ran.out) == (2, "")
    assert "no ledger here yet; run the batch first" in ran.err


async def test_report_writes_a_folder_beside_the_manifest(reviewed: Batch, batchfill: Any) -> None:
    ran = await batchfill("report", "night.csv")
    assert (ran.code, ran.out, ran.err) == (0, f"{Path('night.report', 'index.html')}\n", "")
    report = reviewed.manifest.with_name("night.report")
    assert {path.name for path in report.iterdir()} == {
        "index.html",
        "batch.json",
        "pieces",
        "thumbs",
        "views",
    }


async def test_a_report_goes_where_it_is_told(reviewed: Batch, batchfill: Any) -> None:
    ran = await batchfill("report", "night.csv", "for the client")
    assert (ran.code, ran.out) == (0, f"{Path('for the client', 'index.html')}\n")
    ran = await batchfill("report", "night.csv", "images")
    assert ran.code == 2
    assert "images holds a.png, which is no part of a report" in ran.err
