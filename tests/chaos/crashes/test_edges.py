"""A run dies before and after each of its effects: the next one pays for nothing twice and loses nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from batchfill.ledger.ledger import Ledger
from batchfill.ledger.payment_record import PaymentRecord
from batchfill.providers.downloads import Download, OutputClient
from batchfill.providers.replicate.client import Service
from batchfill.storage.output_store import OutputStore
from tests.chaos.crashes.edges import INTENDED, PLACED, POSTED, Case, Edited, edges, ends, trace
from tests.chaos.crashes.effects import Edge
from tests.chaos.crashes.night import ROWS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from tests.chaos.crashes.edges import Outcome
    from tests.chaos.crashes.effects import Step
    from tests.chaos.crashes.forks import Forks

    Outcomes = Callable[[Sequence[Case]], Awaitable[list[Outcome]]]

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(os.name != "posix", reason="only POSIX forks"),
]

GIVEN = (Ledger, PaymentRecord, Service, OutputClient, Download, OutputStore)
"""Whose effects reach disk or network once there is something to pay for."""


def broken(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what went wrong, and which first edges were never reached."""
    missed = [f"{o.case}: never reached" for o in outcomes if not o.reached and o.case.deaths[-1].nth == 1]
    return [str(outcome) for outcome in outcomes if outcome.broken] + missed


async def test_a_run_may_die_beside_any_effect(steps: list[Step], outcomes: Outcomes) -> None:
    cases = [Case((edge,)) for edge in ends(edges(steps, *(owner.__name__ for owner in GIVEN)))]
    assert broken(await outcomes(cases)) == []


@pytest.mark.parametrize("death", [POSTED, INTENDED, PLACED], ids=str)
async def test_a_run_that_finds_out_what_the_last_one_did_may_die_too(
    steps: list[Step], outcomes: Outcomes, forks: Forks, tmp_path: Path, death: Edge
) -> None:
    known = {step.effect for step in steps}
    again = await trace(tmp_path / "again", forks, [death])
    new = {step.effect for step in again} - known | {"Ledger.record_accepted", "OutputStore.commit"}
    cases = [Case((death, edge)) for edge in ends(edges(again)) if edge.effect in new and edge.nth == 1]
    found = await outcomes(cases)
    # What was in flight at the first death differs, and with it what there is to find out.
    assert any(outcome.reached for outcome in found)
    assert [str(outcome) for outcome in found if outcome.broken] == []


async def test_a_picture_that_was_fetched_whole_is_kept_though_it_had_no_place_yet(
    outcomes: Outcomes,
) -> None:
    moments = [Edge("Ledger.record_planned", nth, after=True) for nth in (1, ROWS)]
    moments += [Edge("OutputStore.commit", nth, after=True) for nth in (1, 3)]
    assert broken(await outcomes([Case((moment,), hour=True) for moment in moments])) == []


async def test_rows_may_be_renamed_between_a_death_and_the_next_start(outcomes: Outcomes) -> None:
    moments = [Edge("OutputStore.commit", ROWS + 1, after=True), Edge("Ledger.record_collected", ROWS)]
    cases = [Case((moment,), edited=Edited.AFTER) for moment in moments]
    assert broken(await outcomes(cases)) == []


async def test_at_a_gateway_a_death_leaves_in_doubt_only_what_had_no_answer(outcomes: Outcomes) -> None:
    paying = ("Ledger.record_intent", "Service.create", "Ledger.record_accepted", "OutputStore.commit")
    cases = [Case((Edge(effect, 3, after),), gateway=True) for effect in paying for after in (False, True)]
    assert broken(await outcomes(cases)) == []


async def test_an_intent_is_on_disk_before_its_post_and_an_id_before_it_is_followed(
    steps: list[Step],
) -> None:
    committed = [step for step in steps if step.effect.startswith("Ledger.record") and step.after]
    posts = [step for step in steps if step.effect == "Service.create" and not step.after]
    followed = [step for step in steps if step.effect == "Poller.add_attempt"]
    for nth, post in enumerate(posts, 1):
        earlier = steps[: steps.index(post)]
        assert sum(step in earlier for step in committed if step.effect == "Ledger.record_intent") >= nth
    for begins in followed:
        earlier = steps[: steps.index(begins)]
        (prediction,) = begins.about
        assert any(prediction in step.about for step in earlier if step in committed)
    assert posts
    assert followed
