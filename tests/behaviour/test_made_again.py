"""Rows whose pictures are all flagged are made again by the run itself, within what the user allows."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.console.render_check import check_lines
from batchfill.console.render_plan import confirm_question, plan_lines
from batchfill.emulator import emulator_model
from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.batches import PRICED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

BLANK = {"redo_flagged": "blank"}
SIZE = {"redo_flagged": "size,blank"}
"""What all pictures of a tiny provider are flagged with."""


def rows(night: Batch) -> dict[str, Result]:
    return {row.id: row for row in night.results()}


def earlier(night: Batch) -> int:
    """Return how many pictures were set aside."""
    return sum(1 for path in (night.folder / "outputs" / "earlier").glob("**/*") if path.is_file())


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, list[int]]], None]:
    """Have the service make blank pictures: by prompt, so many of each of its predictions in turn."""

    def spoil(blanks: dict[str, list[int]]) -> None:
        make = emulator_model.make_outputs

        def spoilt(run: emulator_model.Run) -> tuple[bytes, ...]:
            made = make(run)
            left = blanks.get(str(run.inputs["prompt"]), [])
            count = left.pop(0) if left else 0
            return (*[blank_like(made[0])] * count, *made[count:])

        monkeypatch.setattr(emulator_model, "make_outputs", spoilt)

    return spoil


def blank_like(picture: bytes) -> bytes:
    target = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        Image.new("RGB", image.size, 127).save(target, image.format)
    return target.getvalue()


@pytest.mark.parametrize("finish", ["raw", "exact"])
async def test_a_blank_picture_is_made_again_in_the_same_run_with_a_new_seed(
    service: Serve, batch: Open, desk: Any, spoil: Any, finish: str
) -> None:
    spoil({"picture 1": [1]})
    provider = await service(tiny=False)
    night = batch(provider, desk.exact_rows(2, (64, 48), (16, 12, 48, 36), finish=finish, seed="7"), **BLANK)

    summary = await night.run()

    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 3, 3)
    found = rows(night)
    assert (found["r1"].flags, found["r2"].seed) == ((), 7)
    assert found["r1"].seed != 7
    assert earlier(night) >= 1
    assert (await batch(provider, **BLANK).run()).submitted_now == 0


async def test_without_the_setting_nothing_is_made_again(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 2, redo_times=3)

    await night.run()

    assert provider.billed == 2
    assert {row.flags[:1] for row in rows(night).values()} == {("size",)}


@pytest.mark.parametrize("times", [1, 2])
async def test_a_row_is_made_again_so_often_and_no_more_over_its_life(
    service: Serve, batch: Open, times: int
) -> None:
    provider = await service()
    flags = {**SIZE, "redo_times": times}
    night = batch(provider, 2, **flags)

    assert (await night.run()).exit_code == 0
    assert provider.billed == 2 * (1 + times)
    assert (await batch(provider, **flags).run()).submitted_now == 0
    # What the user asks for is made, and is not a reason to make more.
    await batch(provider, retry="flagged:size", **flags).run()
    assert provider.billed == 2 * (2 + times)
    assert {row.state.value for row in rows(night).values()} == {"done"}


async def test_a_row_with_one_good_picture_stays_as_it_is(
    service: Serve, batch: Open, desk: Any, spoil: Any
) -> None:
    spoil({"picture 1": [1], "picture 2": [2, 1]})
    provider = await service(tiny=False)
    night = batch(provider, desk.rows(2, num_outputs="2", megapixels="0.25"), **BLANK)

    await night.run()

    assert [record.input["prompt"] for record in provider.predictions()].count("picture 1") == 1
    assert [record.input["prompt"] for record in provider.predictions()].count("picture 2") == 2


async def test_a_picture_with_another_flag_stays_as_it_is(service: Serve, batch: Open) -> None:
    provider = await service()

    await batch(provider, 1, redo_flagged="unchanged").run()

    assert provider.billed == 1


@pytest.mark.parametrize(("cap", "made"), [("0.08", 2), ("0.11", 2), ("0.12", 3), ("0.16", 4), ("1", 4)])
async def test_no_row_is_made_again_with_money_that_another_needs(
    service: Serve, batch: Open, cap: str, made: int
) -> None:
    provider = await service()
    night = batch(provider, 2, head={**PRICED, "max_cost": cap}, **SIZE)

    summary = await night.run()

    assert (summary.exit_code, provider.billed) == (0, made)


async def test_a_run_that_stops_submitting_makes_nothing_again(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 1, limit=1, **SIZE)

    summary = await night.run()

    assert (summary.exit_code, provider.billed) == (0, 1)
    assert rows(night)["r1"].state.value == "done"


async def test_what_an_earlier_run_has_open_counts_in_what_it_may_cost(
    service: Serve, batch: Open, plans: Any, let_go: Any
) -> None:
    provider = await service()
    night = batch(provider, 1, head=PRICED, prediction_timeout=5)
    running = asyncio.create_task(night.run())
    await provider.until(lambda: len(provider.predictions()) == 1)
    running.cancel()
    await asyncio.wait([running])
    let_go.set()

    await batch(provider, head=PRICED, **SIZE).run(confirm=plans.accept)

    assert (plans[0].to_go, plans[0].price_redo) == (0, 40_000)
    assert confirm_question(plans[0]) == "Make rows again for at most $0.04?"
    assert provider.billed == 2


@pytest.mark.parametrize("kind", ["fail", "refused"])
async def test_a_row_whose_second_picture_fails_says_where_the_first_one_is(
    service: Serve, batch: Open, kind: str
) -> None:
    refused = Fault("create", "status", first=2, options={"status": 422})
    provider = await service(
        faults=Faults([refused if kind == "refused" else Fault("create", kind, first=2)])
    )
    night = batch(provider, 1, attempts=1, **SIZE)

    await night.run()

    (row,) = night.results()
    assert (row.state.value, (night.folder / "outputs" / "r1.webp").is_file()) == ("failed", True)
    assert (row.error or "").endswith("; what was made before is still there: outputs/r1.webp")
    notes = (await night.check(outputs=True)).notes
    assert notes[0] == "made before: outputs/r1.webp (its row is not finished again)"


async def test_plan_and_check_tell_what_it_may_cost(service: Serve, batch: Open, plans: Any) -> None:
    provider = await service()
    head = {**PRICED, "redo_flagged": "[size, blank]", "redo_times": 2}
    night = batch(provider, 3, head=head)
    told = "made again when all pictures of a row are blank or size, 2 times at most: at most $0.24 more"

    assert told in check_lines(await night.check())
    await night.run(confirm=plans.accept)

    assert told in plan_lines(plans[0])
    assert confirm_question(plans[0]) == "Submit 3 rows for about $0.12, at most $0.36?"
    assert provider.billed == 9
