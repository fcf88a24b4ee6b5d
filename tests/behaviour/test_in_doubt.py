"""Rows that may have been paid for: held until they are found, or until the user consents to pay again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.faults import LOST, NEVER_TAKEN
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]


HIDDEN = Fault("list", "empty")


async def test_the_only_row_ever_sent_stays_in_doubt_when_nothing_proves_that_the_list_is_ours(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(faults=Faults([NEVER_TAKEN]))
    night = batch(provider, 1, **SOON)
    summary = await night.run()
    assert (summary.exit_code, states(night), provider.creates_seen) == (1, {"r1": "in_doubt"}, 1)
    assert "proves nothing" in summary.doubts[0].reason


async def test_a_row_in_doubt_is_found_by_a_later_run(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([LOST, HIDDEN]))
    await batch(provider, 2, **SOON).run()
    provider.faults.clear()
    assert (await batch(provider, **SOON).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (2, 2)


async def test_a_row_in_doubt_is_sent_again_once_when_asked(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(faults=Faults([NEVER_TAKEN, HIDDEN]))
    night = batch(provider, 2, **SOON)
    await night.run()
    assert (await batch(provider, retry="in-doubt", **SOON).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (2, 3)
    again = await batch(provider, retry="in-doubt", **SOON).run()
    assert (again.submitted_now, provider.creates_seen) == (0, 3)


async def test_consent_is_for_the_rows_in_doubt_at_the_start_only(
    service: Serve, batch: Open, states: States
) -> None:
    rules = [Fault("create", "reset_before", times=2), HIDDEN]
    provider = await service(faults=Faults(rules))
    night = batch(provider, 1, **SOON)
    await night.run()
    # Its second answer is lost too, and that is not what was consented to.
    assert (await batch(provider, retry="in-doubt", **SOON).run()).exit_code == 1
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 2)


async def test_consent_for_other_states_does_not_touch_rows_in_doubt(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service(faults=Faults([NEVER_TAKEN, HIDDEN]))
    night = batch(provider, 1, **SOON)
    await night.run()
    await batch(provider, retry="failed,expired", **SOON).run()
    assert (states(night), provider.creates_seen) == ({"r1": "in_doubt"}, 1)


async def test_a_row_in_doubt_uses_up_one_attempt(service: Serve, batch: Open) -> None:
    provider = await service(faults=Faults([LOST, HIDDEN]))
    night = batch(provider, 1, **SOON)
    await night.run()
    assert [found.attempts for found in night.results()] == [1]
    provider.faults.clear()
    await batch(provider, **SOON).run()
    assert [found.attempts for found in night.results()] == [1]


async def test_until_the_first_answer_no_more_than_one_row_can_be_in_doubt(
    service: Serve, batch: Open, silence: None
) -> None:
    unanswered = Fault("create", "delay", options={"seconds": 600})
    provider = await service(faults=Faults([unanswered, HIDDEN]))
    run = asyncio.create_task(batch(provider, 30, **SOON).run())
    await provider.until(lambda: provider.billed == 2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    first, second = (record.created_at for record in provider.predictions())
    # The second one waited until the first one's answer was given up.
    assert second - first > 0.9
