"""The service answers wrongly, or not at all: nothing is lost and nothing is paid twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import AnswerLost, ServiceRefused
from batchfill.providers.client import Service
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]


def answered(call: str, status: int, *, first: int = 1, times: int | None = None, **options: Any) -> Fault:
    return Fault(call, "status", first=first, times=times, options={"status": status, **options})


# What ends submitting


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "check the token"), (402, "add credit"), (403, "may do")]
)
async def test_a_refusal_midway_leaves_rows_pending_and_collects_what_runs(
    service: Serve, batch: Open, status: int, advice: str
) -> None:
    provider = await service(faults=Faults([answered("create", status, first=4)]))
    night = batch(provider, 10)
    summary = await night.run()
    assert summary.exit_code == 4
    assert (summary.counts[RowState.DONE], summary.counts[RowState.PENDING]) == (3, 7)
    assert summary.stopped_because is not None
    assert advice in summary.stopped_because
    assert provider.billed == 3


async def test_a_batch_goes_on_once_the_reason_for_its_refusal_is_gone(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([answered("create", 402, first=4)]))
    await batch(provider, 10).run()
    provider.faults.clear()
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 10


async def test_a_refusal_costs_no_attempt(service: Serve, batch: Open, result: Callable[..., Result]) -> None:
    provider = await service(faults=Faults([answered("create", 402, times=1)]))
    night = batch(provider, 1, attempts=1)
    assert (await night.run()).exit_code == 4
    assert (await batch(provider, attempts=1).run()).exit_code == 0
    assert result(night).attempts == 1


async def test_a_token_that_all_reads_are_refused_with_ends_the_run_after_the_hour_and_leaves_rows_running(
    service: Serve, batch: Open, states: States, let_go: asyncio.Event
) -> None:
    provider = await service()
    night = batch(provider, 2)
    running = asyncio.ensure_future(night.run())
    await provider.until(lambda: provider.billed == 2)
    provider.faults.add(answered("get", 401))
    assert (await running).exit_code == 4
    assert Counter(states(night).values()) == {"running": 2}
    provider.faults.clear()
    let_go.set()
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 2


@pytest.mark.parametrize(("status", "code"), [(401, 0), (402, 4), (403, 0)])
async def test_what_runs_is_collected_though_a_read_was_refused_and_only_a_lack_of_credit_ends_submitting(
    service: Serve, batch: Open, status: int, code: int, let_go: asyncio.Event
) -> None:
    provider = await service()
    running = asyncio.ensure_future(batch(provider, 2).run())
    await provider.until(lambda: provider.billed == 2)
    provider.faults.add(answered("get", status, times=1))
    let_go.set()
    summary = await running
    assert (summary.exit_code, summary.counts[RowState.DONE]) == (code, 2)


async def test_a_model_that_the_service_does_not_have_ends_the_run(service: Serve, batch: Open) -> None:
    provider = await service()
    summary = await batch(provider, 3, model="nobody/paints-this").run()
    assert (summary.exit_code, summary.counts[RowState.PENDING], provider.billed) == (4, 3, 0)
    assert "is the model's name right, and the base URL?" in (summary.stopped_because or "")


async def test_a_create_that_redirects_ends_the_run(service: Serve, batch: Open, elsewhere: Any) -> None:
    to = {"Location": f"{elsewhere.base}/v1/predictions"}
    provider = await service(faults=Faults([answered("create", 307, body="moved", headers=to)]))
    summary = await batch(provider, 2).run()
    assert (summary.exit_code, summary.counts[RowState.PENDING], elsewhere.asked) == (4, 2, [])


async def test_a_token_revoked_between_two_runs_is_told_before_anything_is_submitted(
    service: Serve, batch: Open
) -> None:
    provider = await service(faults=Faults([answered("create", 402, first=2)]))
    await batch(provider, 3).run()
    seen = provider.creates_seen
    provider.faults.add(answered("account", 401))
    with pytest.raises(ServiceRefused, match="check the token"):
        await batch(provider).run()
    assert provider.creates_seen == seen


# Too fast


async def test_being_throttled_in_any_form_costs_no_attempt(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.providers.rate_limiter.DEFAULT_PAUSE", 0.0)
    forms = ("resets", "retry_after", "available", "header", "date", "bare")
    storm = [
        Fault("create", "status", at=frozenset({n}), options={"status": 429, "form": form, "seconds": 0})
        for n, form in enumerate(forms, 1)
    ]
    provider = await service(faults=Faults(storm))
    night = batch(provider, len(forms), attempts=1)
    assert (await night.run()).exit_code == 0
    assert [result.attempts for result in night.results()] == [1] * len(forms)
    assert (provider.billed, provider.creates_seen) == (len(forms), 2 * len(forms))


async def test_a_provider_that_allows_few_at_once_gets_every_row_in_the_end(
    service: Serve, batch: Open
) -> None:
    provider = await service(rate=60, burst=2)
    night = batch(provider, 3)
    assert (await night.run()).exit_code == 0
    assert provider.billed == 3
    assert provider.creates_seen > 3


async def test_throttled_reads_are_asked_again(service: Serve, batch: Open) -> None:
    throttle = answered("get", 429, times=2, form="header", seconds=0)
    provider = await service(faults=Faults([throttle]))
    assert (await batch(provider, 2).run()).exit_code == 0


# Answers that are lost

TAKEN = {
    "500": answered("create", 500, times=1, late=True),
    "502 page": answered("create", 502, times=1, late=True),
    "409": answered("create", 409, times=1, late=True),
    "reset": Fault("create", "reset_after", times=1),
    "too late": Fault("create", "delay", times=1, options={"seconds": 600}),
    "cut": Fault("create", "cut", times=1),
    "invalid JSON": Fault("create", "invalid_json", times=1),
    "no id": Fault("create", "no_id", times=1),
}

NOT_TAKEN = {
    "500": answered("create", 500, first=2, times=1),
    "502 page": answered("create", 502, first=2, times=1),
    "reset": Fault("create", "reset_before", first=2, times=1),
}
"""Not the first create: what was accepted before proves that the list is ours, whenever somebody looks."""


@pytest.mark.parametrize("fault", TAKEN.values(), ids=TAKEN)
async def test_a_prediction_whose_answer_was_lost_is_found_and_billed_once(
    service: Serve, batch: Open, fault: Fault, silence: None
) -> None:
    provider = await service(faults=Faults([fault]))
    night = batch(provider, 4, **SOON)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (4, 4)
    assert {found.prediction_id for found in night.results()} == {r.id for r in provider.predictions()}


@pytest.mark.parametrize("fault", NOT_TAKEN.values(), ids=NOT_TAKEN)
async def test_a_submission_that_never_took_effect_is_proved_absent_and_sent_once_more(
    service: Serve, batch: Open, fault: Fault
) -> None:
    provider = await service(faults=Faults([fault]))
    night = batch(provider, 4, attempts=1, **SOON)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (4, 5)
    assert [found.attempts for found in night.results()] == [1] * 4


async def test_after_a_lost_answer_creates_go_one_at_a_time(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch, silence: None
) -> None:
    real, open_, lost = Service.create, Counter[str](), asyncio.Event()
    beside: list[int] = []
    """How many others waited for their answers as a create began; from the first lost answer on."""

    async def create(*args: Any, **options: Any) -> Any:
        if lost.is_set():
            beside.append(open_["creates"])
        open_["creates"] += 1
        try:
            return await real(*args, **options)
        except AnswerLost:
            lost.set()
            raise
        finally:
            open_["creates"] -= 1

    monkeypatch.setattr(Service, "create", create)
    unanswered = Fault("create", "delay", first=3, options={"seconds": 600})
    provider = await service(latency=60, faults=Faults([unanswered, answered("list", 502)]))
    run = asyncio.create_task(batch(provider, 30, **SOON).run())
    # Some go together into the silence; then each waits until its predecessor's answer is given up.
    alone = asyncio.create_task(provider.until(lambda: len(beside) == 3))
    await asyncio.wait({run, alone}, return_when=asyncio.FIRST_COMPLETED)
    assert not run.done()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert beside == [0, 0, 0]


async def test_a_list_that_fails_is_asked_again(service: Serve, batch: Open) -> None:
    lost = Fault("create", "reset_after", times=1)
    rules = [lost, answered("list", 502, times=2), Fault("list", "cut", at=frozenset({3}))]
    provider = await service(faults=Faults(rules))
    assert (await batch(provider, 3, **SOON).run()).exit_code == 0
    assert provider.billed == 3
    assert provider.requests["list"] >= 4


# Reads


@pytest.mark.parametrize(
    "fault",
    [
        answered("get", 500, times=3),
        answered("get", 502, times=3),
        answered("get", 404, times=3),
        Fault("get", "invalid_json", times=3),
        Fault("get", "no_id", times=3),
        Fault("get", "cut", times=3),
        Fault("get", "reset_before", times=3),
        Fault("get", "delay", times=1, options={"seconds": 600}),
    ],
    ids=["500", "502 page", "404", "invalid JSON", "no id", "cut", "reset", "too late"],
)
async def test_a_read_that_fails_is_asked_again(
    service: Serve, batch: Open, fault: Fault, silence: None
) -> None:
    provider = await service(faults=Faults([fault]))
    assert (await batch(provider, 2, **SOON).run()).exit_code == 0
    assert provider.billed == 2


async def test_a_prediction_that_the_service_forgot_is_in_doubt_after_the_hour(
    service: Serve, batch: Open, states: States, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([answered("get", 401)]))
    night = batch(provider, 1)
    await night.run()
    provider.faults.clear()
    provider.faults.add(answered("get", 404))
    later(3700)
    summary = await batch(provider).run()
    assert (summary.exit_code, states(night)) == (1, {"r1": "in_doubt"})
    assert "no longer knows prediction" in summary.doubts[0].reason
    assert provider.billed == 1


async def test_a_prediction_that_the_service_remembers_after_all_is_collected(
    service: Serve, batch: Open, states: States, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([answered("get", 401)]))
    night = batch(provider, 1)
    await night.run()
    provider.faults.clear()
    provider.faults.add(answered("get", 404, times=1))
    later(3700)
    await batch(provider).run()
    assert states(night) == {"r1": "in_doubt"}
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 1
