"""What a run may spend, how far it may go, and what it needs consent for."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.clock import SystemClock
from batchfill.console.summary import summary_lines
from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.errors import ManifestError, UsageError
from tests.support.batches import PRICED
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]


# --max-cost


async def test_the_cap_is_never_passed(service: Serve, batch: Open) -> None:
    provider = await service()
    summary = await batch(provider, 10, head=PRICED, max_cost="0.15").run()
    assert (summary.exit_code, provider.billed) == (3, 3)
    assert (summary.cost.spent, summary.cost.cap, summary.counts[RowState.PENDING]) == (120_000, 150_000, 7)
    assert "would pass --max-cost" in (summary.stopped_because or "")


async def test_a_cap_that_is_just_enough_is_enough(service: Serve, batch: Open) -> None:
    provider = await service()
    assert (await batch(provider, 3, head=PRICED, max_cost="0.12").run()).exit_code == 0


async def test_the_cap_counts_every_picture_of_a_row(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    summary = await batch(provider, desk.rows(3, num_outputs="3"), head=PRICED, max_cost="0.30").run()
    assert (summary.exit_code, provider.billed, summary.cost.spent) == (3, 2, 240_000)


async def test_the_cap_is_remembered_for_the_whole_batch(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 10, head=PRICED, max_cost="0.08").run()
    again = await batch(provider).run()
    assert (again.exit_code, again.submitted_now, provider.billed) == (3, 0, 2)
    assert (await batch(provider, max_cost="0.20").run()).submitted_now == 3
    assert (await batch(provider, max_cost="none").run()).exit_code == 0
    assert provider.billed == 10


async def test_a_cap_that_was_taken_back_stays_taken_back(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 3, head=PRICED, max_cost="0.04").run()
    await batch(provider, max_cost="none", limit=1).run()
    assert (await batch(provider).run()).exit_code == 0


async def test_a_plan_that_is_turned_down_changes_no_cap(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 5, head=PRICED, max_cost="0.04").run()
    with pytest.raises(UsageError):
        await batch(provider, max_cost="none").run(confirm=lambda plan: False)
    assert (await batch(provider).run()).submitted_now == 0


async def test_the_plan_knows_the_cap_that_is_about_to_hold(service: Serve, batch: Open, plans: Any) -> None:
    provider = await service()
    await batch(provider, 5, head=PRICED, max_cost="0.08").run(confirm=plans.accept)
    assert plans[0].cost.cap == 80_000


async def test_the_cap_may_stand_in_the_manifest_and_a_flag_goes_before_it(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    assert (await batch(provider, 5, head={**PRICED, "max_cost": "0.04"}).run()).exit_code == 3
    assert (await batch(provider, max_cost="0.12").run()).submitted_now == 2


async def test_what_failed_is_given_back_to_the_cap(service: Serve, batch: Open) -> None:
    fault = Fault("create", "fail", times=3, options={"error": "E1001: Out of memory"})
    provider = await service(faults=Faults([fault]))
    summary = await batch(provider, 5, head=PRICED, max_cost="0.08", concurrency=1).run()
    assert (summary.exit_code, summary.counts[RowState.DONE], summary.counts[RowState.FAILED]) == (1, 2, 3)
    assert summary.cost.spent == 80_000


async def test_what_expired_is_not_given_back(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([Fault("output", "expired", times=1)]))
    summary = await batch(provider, 3, head=PRICED, max_cost="0.08", concurrency=1).run()
    assert (summary.exit_code, provider.billed, summary.cost.spent) == (3, 2, 80_000)


async def test_what_runs_is_reserved(service: Serve, batch: Open) -> None:
    refused = [Fault(call, "status", options={"status": 401}) for call in ("get", "list")]
    provider = await service(faults=Faults(refused))
    night = batch(provider, 4, head=PRICED, max_cost="0.08")
    summary = await night.run()
    assert (provider.billed, summary.counts[RowState.RUNNING]) == (2, 2)
    assert (summary.cost.spent, summary.cost.reserved, summary.cost.to_go) == (0, 80_000, 80_000)


async def test_a_row_in_doubt_keeps_its_price_reserved(service: Serve, batch: Open) -> None:
    provider = await service(
        quirks=Quirks(offers=frozenset()), faults=Faults([Fault("create", "reset_after", times=1)])
    )
    summary = await batch(provider, 4, head=PRICED, max_cost="0.08", **SOON).run()
    assert (summary.exit_code, provider.billed) == (3, 2)
    assert (summary.cost.spent, summary.cost.reserved) == (40_000, 40_000)
    # Its second sending needs money of its own.
    again = await batch(provider, retry="in-doubt", **SOON).run()
    assert (again.exit_code, again.submitted_now, again.cost.reserved) == (3, 0, 40_000)


async def test_a_doubt_that_was_sent_again_counts_twice(service: Serve, batch: Open) -> None:
    provider = await service(
        quirks=Quirks(offers=frozenset()), faults=Faults([Fault("create", "reset_after", times=1)])
    )
    await batch(provider, 1, head=PRICED, **SOON).run()
    summary = await batch(provider, 3, head=PRICED, retry="in-doubt", max_cost="0.12", **SOON).run()
    assert (summary.exit_code, provider.billed, summary.submitted_now) == (3, 3, 2)
    assert (summary.cost.spent, summary.cost.reserved) == (80_000, 40_000)


async def test_a_cap_below_what_is_spent_submits_nothing_and_loses_nothing(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    await batch(provider, 4, head=PRICED, limit=3).run()
    summary = await batch(provider, max_cost="0.04").run()
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (3, 0, 3)
    assert (summary.cost.spent, summary.counts[RowState.DONE]) == (120_000, 3)


async def test_the_cap_sums_attempts_at_the_prices_that_they_were_made_at(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    await batch(provider, 5, head=PRICED, limit=2).run()
    summary = await batch(provider, 5, head={"price": "0.10"}, max_cost="0.28").run()
    assert (summary.exit_code, summary.submitted_now, summary.cost.spent) == (3, 2, 280_000)


async def test_what_was_canceled_is_not_given_back(
    service: Serve, batch: Open, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([Fault("create", "stuck", times=1)]))
    capped = batch(provider, 2, head=PRICED, max_cost="0.08", concurrency=1, prediction_timeout=600)
    run = asyncio.create_task(capped.run())
    await provider.until(lambda: provider.requests["get"] >= 2)
    later(601)
    summary = await run
    assert [charge.status for charge in provider.bill] == ["canceled", "succeeded"]
    assert (summary.exit_code, summary.cost.spent, summary.counts[RowState.PENDING]) == (3, 80_000, 1)


async def test_pictures_that_were_left_out_count_as_ordered(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service(faults=Faults([Fault("create", "fewer", times=1, options={"count": 1})]))
    rows = desk.rows(3, num_outputs="2")
    summary = await batch(provider, rows, head=PRICED, max_cost="0.20", concurrency=1).run()
    assert (summary.exit_code, summary.submitted_now, summary.cost.spent) == (3, 2, 160_000)


@pytest.mark.parametrize("max_cost", ["5", "0"])
async def test_a_cap_without_a_known_price_is_refused(service: Serve, batch: Open, max_cost: str) -> None:
    provider = await service()
    with pytest.raises(UsageError, match=r"--max-cost needs to know what a picture of .* costs at http"):
        await batch(provider, 2, max_cost=max_cost).run()
    assert sum(provider.requests.values()) == 0


async def test_without_a_price_the_cost_is_unknown_and_not_nothing(service: Serve, batch: Open) -> None:
    night = batch(await service(), 2)
    summary = await night.run()
    assert (summary.exit_code, summary.cost.spent) == (0, None)
    assert [result.cost for result in night.results()] == [None, None]


async def test_an_attempt_keeps_the_price_that_it_was_made_at(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    await batch(provider, 2, head=PRICED, limit=1).run()
    summary = await batch(provider, 2, head={"price": "0.10"}).run()
    assert summary.cost.spent == 140_000


# --limit, --until


async def test_a_limit_is_for_this_call(service: Serve, batch: Open) -> None:
    provider = await service()
    first = await batch(provider, 7, limit=3).run()
    assert (first.exit_code, first.submitted_now, first.counts[RowState.DONE]) == (3, 3, 3)
    assert first.stopped_because == "--limit 3 reached"
    assert (await batch(provider, limit=3).run()).submitted_now == 3
    assert (await batch(provider, limit=3).run()).exit_code == 0
    assert provider.billed == 7


async def test_a_limit_that_is_just_enough_ends_with_every_row_done(service: Serve, batch: Open) -> None:
    summary = await batch(await service(), 3, limit=3).run()
    assert (summary.exit_code, summary.counts[RowState.DONE]) == (0, 3)


async def test_a_lost_answer_counts_towards_the_limit(service: Serve, batch: Open) -> None:
    lost = Fault("create", "status", times=1, options={"status": 500, "late": True})
    provider = await service(faults=Faults([lost]))
    summary = await batch(provider, 5, limit=1, **SOON).run()
    assert (summary.exit_code, provider.billed) == (3, 1)


async def test_a_limit_is_not_used_up_by_what_was_never_made(service: Serve, batch: Open) -> None:
    throttled = Fault("create", "status", times=2, options={"status": 429, "form": "header", "seconds": 0})
    provider = await service(faults=Faults([throttled]))
    summary = await batch(provider, 5, limit=2).run()
    assert (summary.exit_code, provider.billed, summary.counts[RowState.DONE]) == (3, 2, 2)


def _at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(SystemClock, "now", lambda _: moment.timestamp())


async def test_nothing_is_submitted_that_could_not_be_fetched_by_the_time_to_end(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    today = datetime.now().replace(hour=6, minute=59, second=30)
    _at(monkeypatch, today)
    summary = await batch(provider, 3, until="07:00").run()
    assert (summary.exit_code, provider.billed, summary.counts[RowState.PENDING]) == (3, 0, 3)
    assert summary.stopped_because == "--until 07:00 reached"


async def test_a_time_to_end_that_is_over_today_means_tomorrow(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    _at(monkeypatch, datetime.now().replace(hour=7, minute=1))
    assert (await batch(await service(), 3, until="07:00").run()).exit_code == 0


async def test_what_runs_when_the_time_to_end_comes_is_collected(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service(faults=Faults([Fault("get", "status", options={"status": 401})]))
    await batch(provider, 3, limit=1).run()
    provider.faults.clear()
    _at(monkeypatch, datetime.now().replace(hour=6, minute=59, second=30))
    summary = await batch(provider, until="07:00").run()
    assert (summary.counts[RowState.DONE], summary.counts[RowState.PENDING], provider.billed) == (1, 2, 1)


# --skip-bad


async def test_bad_rows_are_left_out_when_asked_and_the_end_says_so(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = desk.rows(4)
    rows[1]["guidance"] = "1000"
    rows[2]["image"] = "images/none.png"
    with pytest.raises(ManifestError) as caught:
        await batch(provider, rows).run()
    assert [mistake.line for mistake in caught.value.mistakes] == [3, 4]
    summary = await batch(provider, skip_bad=True).run()
    assert (summary.exit_code, summary.skipped, summary.counts[RowState.DONE]) == (1, 2, 2)
    assert provider.billed == 2
    assert "left out: 2 rows with mistakes (--skip-bad)" in summary_lines(summary, command="batchfill run")


async def test_a_row_that_was_mended_runs_alone(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    rows = desk.rows(3)
    rows[1]["guidance"] = "1000"
    await batch(provider, rows, skip_bad=True).run()
    rows[1]["guidance"] = "10"
    summary = await batch(provider, rows).run()
    assert (summary.exit_code, summary.submitted_now, summary.skipped) == (0, 1, 0)


# --retry


async def test_failed_rows_run_again_only_when_asked_and_with_all_their_attempts(
    service: Serve, batch: Open, result: Callable[..., Result]
) -> None:
    error = "Prediction interrupted; please retry (code: PA)"
    provider = await service(faults=Faults([Fault("create", "fail", times=3, options={"error": error})]))
    night = batch(provider, 1, head=PRICED, attempts=2)
    assert (await night.run()).exit_code == 1
    assert (await batch(provider, attempts=2).run()).submitted_now == 0
    again = await batch(provider, attempts=2, retry="failed").run()
    assert (again.exit_code, provider.billed) == (0, 4)
    assert (result(night).attempts, result(night).cost) == (4, 40_000)


async def test_done_rows_run_again_when_asked_and_their_pictures_move_aside(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, 1, head=PRICED)
    await night.run()
    summary = await batch(provider, retry="done").run()
    assert (summary.exit_code, provider.billed, summary.cost.spent) == (0, 2, 80_000)
    outputs = night.folder / "outputs"
    assert (outputs / "r1.webp").is_file()
    assert len(list((outputs / "earlier").iterdir())) == 1


async def test_the_plan_counts_what_is_run_again(service: Serve, batch: Open, plans: Any) -> None:
    provider = await service()
    await batch(provider, 3, head=PRICED).run()
    with pytest.raises(UsageError):
        await batch(provider, retry="done").run(confirm=plans.decline)
    assert (plans[0].to_go, plans[0].price_to_go) == (3, 120_000)
    assert (await batch(provider).run()).submitted_now == 0


@pytest.mark.parametrize("retry", ["all", "pending", "running", "faild", "approved", "flagged:ugly"])
def test_there_is_no_consent_for_everything(batch: Open, retry: str, desk: Any) -> None:
    night = batch("http://127.0.0.1:9/v1", 1, retry=retry)
    with pytest.raises(
        UsageError, match=r"--retry takes canceled, .*, in-doubt, missing, redo, rejected, not"
    ):
        night._source.read()
