"""What the user stopped at the service is canceled: it may be charged, and is made again on request only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.console.status import status_json
from batchfill.domain.review import Decision, ReviewDecision
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from tests.support.batches import PRICED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result, Summary
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]


def stuck() -> Faults:
    """Let the first prediction run on until it is stopped."""
    return Faults([Fault("create", "stuck", times=1)])


async def stop_at_the_service(provider: EmulatorServer, night: Batch) -> Summary:
    """Run *night* and cancel it as soon as its first prediction is followed."""
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] + provider.requests["list"] >= 1)
    night.ask_to_cancel()
    return await run


@pytest.mark.parametrize("failed_only", [False, True], ids=["canceled", "a gateway says failed"])
async def test_a_row_that_the_user_stopped_is_canceled_and_its_price_counts(
    service: Serve, batch: Open, states: States, failed_only: bool
) -> None:
    provider = await service(faults=stuck(), quirks=Quirks(failed_only=failed_only))
    night = batch(provider, 1, head=PRICED)
    summary = await stop_at_the_service(provider, night)
    assert (summary.exit_code, states(night)) == (1, {"r1": "canceled"})
    told = status_json(night.status())
    assert (told["counts"]["canceled"], told["counts"]["failed"]) == (1, 0)
    assert told["cost"]["spent"] == 0.04


async def test_a_canceled_row_is_submitted_again_only_when_the_user_says_so(
    service: Serve, batch: Open, states: States, result: Callable[..., Result]
) -> None:
    provider = await service(faults=stuck())
    night = batch(provider, 1, head=PRICED)
    await stop_at_the_service(provider, night)
    for retry in (None, "failed", "expired,in-doubt"):
        again = await batch(provider, **({} if retry is None else {"retry": retry})).run()
        assert (again.exit_code, again.submitted_now, provider.billed) == (1, 0, 1)
    summary = await batch(provider, retry="canceled").run()
    assert (summary.exit_code, provider.billed, states(night)) == (0, 2, {"r1": "done"})
    assert result(night).cost == 80_000


@pytest.mark.parametrize("status", ["canceled", "failed"])
async def test_a_row_that_ran_out_of_time_is_failed_and_not_canceled(
    service: Serve, batch: Open, states: States, later: Callable[[float], None], status: str
) -> None:
    provider = await service(faults=stuck(), quirks=Quirks(failed_only=status == "failed"))
    night = batch(provider, 1, attempts=1, prediction_timeout=600)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] >= 1)
    later(601)
    assert (await run).exit_code == 1
    assert states(night) == {"r1": "failed"}


async def test_what_fails_by_itself_while_the_rest_is_canceled_stays_failed(
    service: Serve, batch: Open, states: States
) -> None:
    refused = Fault("create", "fail", times=1, options={"error": "NSFW content detected"})
    provider = await service(faults=Faults([refused, Fault("create", "stuck")]))
    night = batch(provider, 2, attempts=1, concurrency=2)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] + provider.requests["list"] >= 1)
    await provider.until(lambda: "failed" in states(night).values() and "running" in states(night).values())
    night.ask_to_cancel()
    assert (await run).exit_code == 1
    assert sorted(states(night).values()) == ["canceled", "failed"]


async def test_a_canceled_row_that_the_review_marks_is_made_again(
    service: Serve, batch: Open, states: States, result: Callable[..., Any]
) -> None:
    provider = await service(faults=stuck())
    night = batch(provider, 1)
    await stop_at_the_service(provider, night)
    marked = ReviewDecision(prediction_id=result(night).prediction_id, decision=Decision.REDO, at=1.0)
    await night.decide([marked])
    summary = await batch(provider, retry="redo").run()
    assert (summary.exit_code, states(night)) == (0, {"r1": "done"})
