"""A gateway that offers creating and getting, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from batchfill.console.status import status_lines
from batchfill.console.summary import summary_lines
from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.providers.replicate.client import Service
from tests.support.faults import LOST
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]
    Gateway = Callable[[EmulatorServer, Callable[[str], str]], Awaitable[str]]
    Origin = Callable[..., Awaitable[str]]


def bare(**more: Any) -> Quirks:
    """A gateway's manners: no call but create and get, a plain 200, somebody else's addresses."""
    return Quirks(offers=frozenset(), create_status=200, foreign_urls=True, error_objects=True, **more)


@pytest.mark.parametrize("not_offered", [404, 405])
async def test_a_batch_runs_through_a_gateway_that_only_creates_and_gets(
    service: Serve, batch: Open, not_offered: int
) -> None:
    provider = await service(quirks=bare(not_offered=not_offered))
    assert (await batch(provider, 5).run()).exit_code == 0
    assert provider.billed == 5
    assert (await batch(provider).run()).submitted_now == 0


async def test_rows_are_followed_one_by_one_once_a_list_is_not_there(service: Serve, batch: Open) -> None:
    provider = await service(quirks=bare())
    await batch(provider, 6, **SOON).run()
    assert provider.requests["list"] == 1


async def test_a_list_is_asked_for_again_before_a_lost_answer_is_in_doubt(
    service: Serve, batch: Open
) -> None:
    provider = await service(quirks=bare(), faults=Faults([Fault("create", "reset_after")]))
    summary = await batch(provider, 1, **SOON).run()
    assert (summary.counts[RowState.IN_DOUBT], provider.requests["list"]) == (1, 2)


@pytest.mark.parametrize("status", [404, 403])
async def test_a_list_that_is_missing_for_a_moment_still_finds_a_lost_answer(
    service: Serve, batch: Open, status: int
) -> None:
    for_once = Fault("list", "status", times=1, options={"status": status})
    provider = await service(faults=Faults([Fault("create", "reset_after", at=frozenset({2})), for_once]))
    summary = await batch(provider, 2, **SOON).run()
    assert (summary.exit_code, provider.billed, provider.creates_seen) == (0, 2, 2)


async def test_each_start_asks_again_for_a_list_that_was_missing(service: Serve, batch: Open) -> None:
    missing = Fault("list", "status", times=4, options={"status": 404})
    provider = await service(faults=Faults([Fault("create", "reset_after", at=frozenset({2})), missing]))
    summary = await batch(provider, 2, **SOON).run()
    assert summary.counts[RowState.IN_DOUBT] == 1
    for _ in range(3):
        summary = await batch(provider, **SOON).run()
    assert (summary.exit_code, provider.billed, provider.creates_seen) == (0, 2, 2)


# Rows in doubt


async def test_a_lost_answer_without_a_list_is_held_in_doubt_and_the_others_go_on(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(quirks=bare(), faults=Faults([LOST]))
    night = batch(provider, 4, head={"price": "0.04"}, **SOON)
    summary = await night.run()
    assert (summary.exit_code, summary.counts[RowState.IN_DOUBT], summary.counts[RowState.DONE]) == (1, 1, 3)
    assert (summary.cost.spent, summary.cost.reserved) == (120_000, 40_000)
    assert (await batch(provider, **SOON).run()).submitted_now == 0
    assert (provider.billed, provider.creates_seen) == (4, 4)


async def test_a_row_in_doubt_is_explained_with_its_price_and_what_each_way_out_costs(
    service: Serve, batch: Open
) -> None:
    provider = await service(quirks=bare(), faults=Faults([LOST]))
    night = batch(provider, 1, head={"price": "0.04"}, **SOON)
    summary = await night.run()
    for lines in (
        status_lines(night.status(), command="batchfill run night.yaml"),
        summary_lines(summary, command="batchfill run night.yaml"),
    ):
        text = "\n".join(lines)
        assert "in doubt: 1 row, sent without an answer: made and paid for, or not" in text
        assert "r1 (line 2), sent 2" in text
        assert "$0.04: the answer to its submission was lost, and this provider offers no list" in text
        assert "batchfill run night.yaml --retry in-doubt" in text
        assert "costs $0.04 and pays twice for each that was made after all" in text


async def test_consent_sends_a_row_in_doubt_again_once_and_keeps_its_first_price_reserved(
    service: Serve, batch: Open
) -> None:
    provider = await service(quirks=bare(), faults=Faults([LOST]))
    await batch(provider, 2, head={"price": "0.04"}, **SOON).run()
    summary = await batch(provider, retry="in-doubt", **SOON).run()
    assert (summary.exit_code, provider.billed) == (0, 3)
    assert (summary.cost.spent, summary.cost.reserved) == (80_000, 40_000)


async def test_a_crash_between_post_and_record_is_in_doubt_without_a_list(
    service: Serve, batch: Open, states: States, crash: Callable[..., type[BaseException]]
) -> None:
    provider = await service(quirks=bare())
    night = batch(provider, 2, concurrency=1, **SOON)
    crash(Service, "create", after=True)
    with pytest.raises(BaseExceptionGroup):
        await night.run()
    assert (await batch(provider, **SOON).run()).exit_code == 1
    assert Counter(states(night).values()) == {"done": 1, "in_doubt": 1}
    assert provider.billed == 2


# Calls that are missing


async def test_a_stuck_prediction_ends_by_the_deadline_that_it_was_given_and_is_tried_again(
    service: Any, batch: Open, later: Callable[[float], None]
) -> None:
    # Without a cancel call only Cancel-After, sent with the create, can end it.
    stuck, refused = Fault("create", "stuck"), Fault("get", "status", options={"status": 401})
    provider = await service(quirks=bare(failed_only=True), faults=Faults([stuck, refused]))
    await batch(provider, 1, prediction_timeout=600).run()
    later(601)
    provider = await service.again(provider, faults=Faults(clock_skew=601))
    await provider.until(lambda: provider.predictions()[0].ended)
    assert (await batch(provider, prediction_timeout=600).run()).exit_code == 0
    assert [charge.status for charge in provider.bill] == ["canceled", "succeeded"]


async def test_canceling_says_what_it_could_not_cancel(service: Any, batch: Open) -> None:
    refused = Fault("get", "status", options={"status": 401})
    provider = await service(quirks=bare(), faults=Faults([Fault("create", "stuck"), refused]))
    await batch(provider, 1).run()
    provider = await service.again(provider, faults=Faults())

    class Watcher:
        def notice(self, notice: Any) -> None:
            if "r1: cannot be canceled" in notice.text:
                # So it runs on, until it ends.
                provider._context.predictions.cancel(provider.predictions()[0].id)

        def progress(self, progress: object) -> None:
            pass

    async with asyncio.timeout(60):
        summary = await batch(provider).cancel(watch=Watcher())
    assert summary.counts[RowState.CANCELED] == 1


@pytest.mark.parametrize("failed_only", [True, False])
async def test_errors_as_objects_and_renamed_states_are_understood(
    service: Serve, batch: Open, failed_only: bool, result: Callable[..., Result]
) -> None:
    error = "Prediction interrupted; please retry (code: PA)"
    fault = Fault("create", "fail", times=1, options={"error": error})
    provider = await service(quirks=bare(failed_only=failed_only), faults=Faults([fault]))
    night = batch(provider, 1)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, result(night).attempts) == (2, 2)


async def test_large_pictures_go_inline_and_small_enough(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service(quirks=bare())
    rows = [{**row, **large(desk, "big.png", grain=16)} for row in desk.rows(2)]
    assert (await batch(provider, rows).run()).exit_code == 0
    assert [set(record.contents) for record in provider.predictions()] == [{"image", "mask"}] * 2


async def test_a_picture_that_is_too_large_to_send_as_it_is_fails_its_row_only(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result]
) -> None:
    provider = await service(quirks=bare())
    rows = desk.rows(2)
    rows[0] |= large(desk, "big.png", grain=256)
    night = batch(provider, rows, head={"send": "original"})
    summary = await night.run()
    assert (summary.counts[RowState.FAILED], summary.counts[RowState.DONE], provider.billed) == (1, 1, 1)
    assert "this provider takes no files" in (result(night).error or "")


async def test_large_pictures_are_uploaded_once_where_files_are_taken(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = [{**row, **large(desk, "big.png", grain=256)} for row in desk.rows(4)]
    assert (await batch(provider, rows).run()).exit_code == 0
    assert provider.requests["files"] == 1
    assert len({record.input["image"] for record in provider.predictions()}) == 1


@pytest.mark.parametrize(
    "lost",
    [
        Fault("create", "fail", times=1, options={"error": "input file not found"}),
        Fault(
            "create",
            "status",
            times=1,
            options={"status": 422, "body": {"detail": "image: the file has expired"}},
        ),
    ],
    ids=["prediction", "create"],
)
async def test_an_upload_that_the_service_has_lost_is_made_afresh_by_a_retry(
    service: Serve, batch: Open, desk: Any, lost: Fault
) -> None:
    provider = await service(faults=Faults([lost]))
    row = {**desk.rows(1)[0], **large(desk, "big.png", grain=256)}
    assert (await batch(provider, [row]).run()).exit_code == 1
    assert (await batch(provider, retry="failed").run()).exit_code == 0
    assert provider.requests["files"] == 2
    addresses = [record.input["image"] for record in provider.predictions()]
    assert len(set(addresses)) == len(addresses)


def large(desk: Any, name: str, grain: int) -> dict[str, str]:
    """Save a picture of a megapixel with so much grain, and its mask; return the cells that name them."""
    desk.picture(name, size=(1024, 1024))
    pixels = np.random.default_rng(1).integers(0, grain, (1024, 1024, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(desk.folder / "images" / name)
    return {"image": f"images/{name}", "mask": f"masks/{name}"}
