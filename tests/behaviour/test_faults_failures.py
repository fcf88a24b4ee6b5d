"""Predictions that end badly: which are tried again, which are not, and when enough is enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

AGAIN = (
    "Prediction interrupted; please retry (code: PA)",
    "E1000: Unknown error",
    "E6716: Model failed to start",
    "E8367: Prediction stopped",
    "E8765: Health check failed",
    "E9825: Upload failed",
    "E9828: Director error",
    "Service is currently unavailable due to high demand. Please try again later. (E003)",
    "The service is temporarily unavailable (E004)",
    "Director: unexpected error handling prediction",
)
ONCE = ("E9243: Failed to start", "CUDA out of memory. Tried to allocate 2.00 GiB")
NEVER = (
    "E1001: Out of memory",
    "E4875: Webhook failed",
    "The input or output was flagged (E001)",
    "Request timed out (E002)",
    "E005: The input was rejected",
    "cannot identify image file <_io.BytesIO object at 0x7f>",
    "list index out of range",
    "something nobody has written down",
)


def fated(kind: str, *, times: int | None = None, **options: Any) -> Fault:
    return Fault("create", kind, times=times, options=options)


async def test_documented_errors_are_tried_again_when_they_are_worth_it(service: Serve, batch: Open) -> None:
    errors = (*AGAIN, *ONCE, *NEVER)
    # Rows that were never tried go first, so each of the first creates is some row's first.
    rules = [
        Fault("create", "fail", at=frozenset({n}), options={"error": error})
        for n, error in enumerate(errors, 1)
    ]
    provider = await service(faults=Faults(rules))
    remote = {"image": "https://pictures.test/1.png", "mask": "https://pictures.test/m.png"}
    night = batch(provider, [{**remote, "prompt": f"picture {n}"} for n in range(len(errors))], concurrency=1)
    await night.run()
    told = {made.input["prompt"]: made.fate_option for made in reversed(provider.predictions())}
    found = {told[row.prompt]: (row.state.value, row.attempts) for row in night.results()}
    assert found == {
        **dict.fromkeys((*AGAIN, *ONCE), ("done", 2)),
        **dict.fromkeys(NEVER, ("failed", 1)),
    }
    assert provider.billed == 2 * len(AGAIN + ONCE) + len(NEVER)


@pytest.mark.parametrize("error", ONCE)
async def test_a_second_attempt_is_the_last_for_what_a_third_never_overcomes(
    service: Serve, batch: Open, error: str
) -> None:
    provider = await service(faults=Faults([fated("fail", error=error)]))
    assert (await batch(provider, 1).run()).reasons == {error: 1}
    assert provider.billed == 2


async def test_a_trouble_that_passes_costs_one_more_attempt_and_no_money(
    service: Serve, batch: Open, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([fated("fail", times=1, error=AGAIN[0])]))
    night = batch(provider, 1, head={"price": "0.04"})
    summary = await night.run()
    assert (summary.exit_code, result(night).attempts, summary.cost.spent) == (0, 2, 40_000)


async def test_a_row_fails_when_its_attempts_are_used_up(
    service: Serve, batch: Open, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([fated("fail", error=AGAIN[0])]))
    night = batch(provider, 1, attempts=2)
    assert (await night.run()).exit_code == 1
    assert (result(night).state, result(night).attempts, provider.billed) == ("failed", 2, 2)


async def test_attempts_are_counted_over_runs(service: Serve, batch: Open, states: States) -> None:
    provider = await service(faults=Faults([fated("fail", error=AGAIN[0])]))
    night = batch(provider, 1, attempts=2, limit=1)
    assert (await night.run()).exit_code == 3
    assert (await batch(provider, attempts=2).run()).exit_code == 1
    assert (await batch(provider, attempts=2).run()).submitted_now == 0
    assert (provider.billed, states(night)) == (2, {"r1": "failed"})


async def test_large_inline_inputs_that_are_interrupted_are_not_sent_again(
    service: Serve, batch: Open, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.run.poll.retry_policy.INLINE_TOO_LARGE", 100)
    provider = await service(faults=Faults([fated("fail", error=AGAIN[0])]))
    assert (await batch(provider, 1).run()).exit_code == 1
    assert provider.billed == 1


# The safety filter


async def test_a_picture_that_was_called_unsafe_is_tried_with_a_new_seed(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([fated("nsfw", times=1)]))
    assert (await batch(provider, 1).run()).exit_code == 0
    first, second = provider.bill
    assert first.digest == second.digest
    assert first.seed != second.seed


async def test_a_picture_that_was_called_unsafe_is_not_tried_again_with_a_seed_that_the_row_fixes(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([fated("nsfw", times=1)]))
    night = batch(provider, desk.rows(1, seed="7"))
    assert (await night.run()).exit_code == 1
    assert "NSFW" in (result(night).error or "")
    assert provider.billed == 1


async def test_a_retry_keeps_the_seed_that_the_row_fixes(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service(faults=Faults([fated("fail", times=1, error=AGAIN[0])]))
    assert (await batch(provider, desk.rows(1, seed="7")).run()).exit_code == 0
    assert [charge.seed for charge in provider.bill] == [7, 7]


async def test_fewer_pictures_than_asked_for_are_done_with_the_reason(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([fated("fewer", count=1)]))
    night = batch(provider, desk.rows(1, num_outputs="3"))
    assert (await night.run()).exit_code == 0
    found = result(night)
    assert (found.state, found.outputs) == ("done", ("outputs/r1@1.webp", "outputs/r1@2.webp"))
    assert found.error == "2 of 3 pictures: the service left the others out"


# Predictions that are stopped


async def test_an_aborted_prediction_is_tried_again(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([fated("aborted", times=1)]))
    night = batch(provider, 1, head={"price": "0.04"})
    summary = await night.run()
    assert (summary.exit_code, summary.cost.spent, provider.billed) == (0, 40_000, 2)


async def test_a_stuck_prediction_is_canceled_after_the_time_out_and_tried_again(
    service: Serve, batch: Open, later: Callable[[float], None], result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([fated("stuck", times=1)]))
    night = batch(provider, 1, head={"price": "0.04"}, prediction_timeout=600)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] >= 2)
    assert provider.requests["cancel"] == 0
    later(601)
    summary = await run
    assert (summary.exit_code, result(night).attempts) == (0, 2)
    assert [charge.status for charge in provider.bill] == ["canceled", "succeeded"]
    # A canceled run of an official model may be charged.
    assert summary.cost.spent == 80_000


async def test_what_the_service_stopped_at_the_time_out_that_it_was_told_is_tried_again(
    service: Serve, batch: Open, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([fated("stuck", times=1)]))
    run = asyncio.create_task(batch(provider, 1, prediction_timeout=600).run())
    await provider.until(lambda: provider.requests["get"] >= 1)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    provider = await service.again(provider, faults=Faults(clock_skew=601))  # type: ignore[attr-defined]
    await provider.until(lambda: provider.predictions()[0].status == "canceled")
    later(601)
    summary = await batch(provider, prediction_timeout=600).run()
    assert (summary.exit_code, provider.billed) == (0, 2)


async def test_what_somebody_else_canceled_is_not_tried_again(
    service: Serve, batch: Open, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([fated("stuck", times=1)]))
    night = batch(provider, 1)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] >= 1)
    provider._context.predictions.cancel(provider.predictions()[0].id)
    assert (await run).exit_code == 1
    assert (result(night).state, provider.billed) == ("canceled", 1)


async def test_a_prediction_that_cannot_be_canceled_is_followed_to_its_end(
    service: Serve, batch: Open, later: Callable[[float], None]
) -> None:
    refused = Fault("cancel", "status", options={"status": 404})
    provider = await service(latency=0.5, faults=Faults([refused]))
    night = batch(provider, 1)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.billed == 1)
    later(1801)
    assert (await run).exit_code == 0
    assert provider.billed == 1


async def test_a_prediction_that_ends_well_in_spite_of_its_cancel_is_collected(
    service: Serve, batch: Open, later: Callable[[float], None], states: States
) -> None:
    # The cancel's answer is lost, and nothing has come of it.
    lost = Fault("cancel", "reset_before")
    provider = await service(latency=0.5, faults=Faults([lost]))
    night = batch(provider, 1)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["get"] >= 1)
    later(1801)
    assert (await run).exit_code == 0
    assert (states(night), provider.billed) == ({"r1": "done"}, 1)


# Enough


async def test_ten_rows_that_fail_alike_stop_submitting(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([fated("fail", error=NEVER[0])]))
    summary = await batch(provider, 25, concurrency=2).run()
    assert (summary.exit_code, provider.billed) == (3, summary.counts[RowState.FAILED])
    # A row makes room with its end: two may run, and two ends be on their way to the disk.
    assert 10 <= summary.counts[RowState.FAILED] <= 14
    assert summary.counts[RowState.PENDING] == 25 - summary.counts[RowState.FAILED]
    assert summary.stopped_because == f"ten rows in a row failed alike: {NEVER[0]}"


async def test_ten_rows_that_are_rejected_alike_stop_submitting(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([Fault("create", "status", options={"status": 422})]))
    summary = await batch(provider, 25, concurrency=2).run()
    assert (summary.exit_code, provider.billed) == (3, 0)
    assert 10 <= summary.counts[RowState.FAILED] <= 17
    assert "ten rows in a row failed alike" in (summary.stopped_because or "")


async def test_a_success_in_between_lets_the_batch_go_on(service: Serve, batch: Open) -> None:
    bad = frozenset({*range(1, 9), *range(10, 18)})
    fault = Fault("create", "fail", at=bad, options={"error": NEVER[0]})
    provider = await service(faults=Faults([fault]))
    summary = await batch(provider, 20, concurrency=1).run()
    assert (summary.counts[RowState.FAILED], summary.counts[RowState.DONE]) == (16, 4)
    assert summary.exit_code == 1


async def test_one_rejected_row_fails_alone_with_the_services_own_words(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service(faults=Faults([Fault("create", "status", times=1, options={"status": 422})]))
    summary = await batch(provider, 3, head={"price": "0.04"}).run()
    assert (summary.exit_code, summary.counts[RowState.FAILED], summary.counts[RowState.DONE]) == (1, 1, 2)
    assert "the input is invalid" in next(iter(summary.reasons))
    assert summary.cost.spent == 80_000


async def test_a_file_that_changes_while_the_batch_runs_fails_its_row_only(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result]
) -> None:
    provider = await service()
    rows = desk.rows(2)
    desk.picture("b.png")
    rows[1] |= {"image": "images/b.png", "mask": "masks/b.png"}
    night = batch(provider, rows)
    summary = await night.run(confirm=lambda plan: bool(desk.picture("b.png", shade=10)))
    assert (summary.exit_code, provider.billed) == (1, 1)
    assert "b.png changed while the batch ran: run again to send the new one" in (
        result(night, "r2").error or ""
    )
