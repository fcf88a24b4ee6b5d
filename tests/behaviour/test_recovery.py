"""Submissions without an answer: found again, proved absent, or held in doubt; never resent on a guess."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import replace
from random import randbytes
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.emulator import emulator_pagination
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import OFFERS, Quirks
from batchfill.ledger.ledger import Ledger
from batchfill.providers.replicate.client import Service
from batchfill.storage.output_store import OutputStore
from tests.support.bounds import HANGS
from tests.support.faults import LOST, NEVER_TAKEN
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Gateway = Callable[[EmulatorServer, Callable[[str], str]], Awaitable[str]]
    States = Callable[[Batch], dict[str, str]]
    Crash = Callable[..., type[BaseException]]


IN_TURN = {**SOON, "concurrency": 1}
"""The same, rows one after the other."""

SECOND_NEVER_TAKEN = Fault("create", "reset_before", at=frozenset({2}))
"""What was accepted before it proves that the list is ours, whenever somebody looks."""
RESETS = ("reset_after", "reset_before")


async def dies(night: Batch, crash: type[BaseException]) -> None:
    """Run *night* until it crashes."""
    with pytest.raises(BaseExceptionGroup) as caught:
        await night.run()
    assert caught.group_contains(crash)


# The program dies


async def test_a_crash_between_intent_and_post_is_proved_absent_and_sent_once(
    service: Serve, batch: Open, states: States, crash: Crash, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    night = batch(provider, 3, **IN_TURN)
    with monkeypatch.context():
        await dies(night, crash(Service, "create", at=2))
        assert Counter(states(night).values())["submitting"] == 1
    assert (await batch(provider, **IN_TURN).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 3)


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_crash_between_post_and_record_is_adopted_by_its_seed(
    service: Serve, batch: Open, states: States, crash: Crash, at: int
) -> None:
    provider = await service()
    night = batch(provider, 3, **IN_TURN)
    await dies(night, crash(Service, "create", at=at, after=True))
    assert provider.billed == at
    assert (await batch(provider, **IN_TURN).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 3)
    assert {row.prediction_id for row in night.results()} == {made.id for made in provider.predictions()}


@pytest.mark.parametrize(
    ("owner", "method", "after"),
    [
        (Ledger, "record_intent", False),
        (Ledger, "record_accepted", False),
        (Ledger, "record_accepted", True),
        (Ledger, "record_succeeded", False),
        (Ledger, "record_succeeded", True),
        (OutputStore, "write_staged", True),
        (OutputStore, "commit", False),
        (OutputStore, "commit", True),
        (Ledger, "record_collected", False),
        (Ledger, "record_collected", True),
    ],
)
async def test_a_crash_beside_any_record_pays_once_and_loses_nothing(
    service: Serve, batch: Open, crash: Crash, owner: type, method: str, after: bool
) -> None:
    provider = await service()
    night = batch(provider, 3, **IN_TURN)
    await dies(night, crash(owner, method, at=2, after=after))
    assert (await batch(provider, **IN_TURN).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 3)
    assert sorted(path.name for path in (night.folder / "outputs").iterdir() if path.is_file()) == [
        "r1.webp",
        "r2.webp",
        "r3.webp",
    ]
    assert list((night.folder / "tmp").iterdir()) == []


# Fixed seeds


async def test_a_lost_row_with_a_seed_of_its_own_is_adopted_when_only_one_prediction_fits(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service(faults=Faults([LOST]))
    rows = desk.rows(3, seed="7")
    assert (await batch(provider, rows, **IN_TURN).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 3)


async def test_a_lost_row_is_not_given_the_prediction_of_its_twin(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service(faults=Faults([Fault("create", "reset_before", at=frozenset({2}))]))
    row = desk.rows(1, seed="7")[0]
    night = batch(provider, [row, {**row, "id": "twin"}], **IN_TURN)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (2, 3)
    assert len({found.prediction_id for found in night.results()}) == 2


async def test_a_lost_row_is_not_given_a_prediction_of_the_same_seed_that_asks_for_something_else(
    service: Serve, batch: Open, desk: Any, states: States
) -> None:
    provider = await service()
    other = desk.rows(1, seed="7")[0]
    await batch(provider, [{**other, "prompt": "another batch's"}], name="other.csv", **IN_TURN).run()
    provider.faults.add(NEVER_TAKEN)
    night = batch(provider, [other], **IN_TURN)
    assert (await night.run()).exit_code == 1
    assert (states(night), provider.billed) == ({"r1": "in_doubt"}, 1)


async def test_one_prediction_that_fits_two_lost_twins_is_given_to_neither(
    service: Serve, batch: Open, desk: Any, states: States, silence: None
) -> None:
    # Both are under way when the first answer is given up.
    taken = Fault("create", "delay", at=frozenset({2}), options={"seconds": 600})
    not_taken = Fault("create", "reset_before", at=frozenset({3}))
    provider = await service(faults=Faults([taken, not_taken]))
    row = desk.rows(1, seed="7")[0]
    known = {**row, "id": "known", "prompt": "another"}
    await batch(provider, [known], **SOON).run()
    night = batch(provider, [known, row, {**row, "id": "twin"}], answer_timeout=4, recover_wait=0)
    assert (await night.run()).exit_code == 1
    assert states(night) == {"known": "done", "r1": "in_doubt", "twin": "in_doubt"}
    assert (provider.billed, provider.creates_seen) == (2, 3)


@pytest.mark.parametrize("side", [48, 500], ids=["inline", "uploaded"])
async def test_a_lost_row_is_not_given_a_prediction_of_its_seed_and_prompt_from_another_picture(
    service: Serve, batch: Open, desk: Any, states: States, side: int
) -> None:
    provider = await service()
    mine, theirs = desk.rows(2, seed="7", prompt="a cat")
    for row in (mine, theirs):
        row["image"], row["mask"] = f"images/{row['id']}.png", f"masks/{row['id']}.png"
        desk.picture(f"{row['id']}.png", size=(side, side))
        Image.frombytes("RGB", (side, side), randbytes(3 * side * side)).save(desk.folder / row["image"])
    known = {**mine, "id": "known", "prompt": "another"}
    await batch(provider, [known], **SOON).run()
    await batch(provider, [theirs], name="theirs.csv", **SOON).run()
    provider.faults.add(NEVER_TAKEN)
    night = batch(provider, [known, mine], **SOON)
    assert (await night.run()).exit_code == 1
    assert (states(night)[mine["id"]], provider.billed) == ("in_doubt", 2)


# An answer that says accepted


@pytest.mark.parametrize(
    "options",
    [
        {"status": 303, "body": "", "headers": {"Location": "/v1/predictions/p1"}},
        {"status": 302, "body": "", "headers": {"Location": "/v1/tasks/p1"}},
        {"status": 201, "body": ""},
        {"status": 201, "body": {"status": "starting"}},
        {"status": 200, "body": "<html>welcome</html>"},
        {"status": 202, "body": {"id": "../p1"}},
    ],
    ids=lambda options: f"{options['status']} {options['body']}",
)
@pytest.mark.parametrize("listed", [True, False])
async def test_what_an_answer_said_was_accepted_is_never_sent_again(
    service: Serve, batch: Open, states: States, options: dict[str, Any], listed: bool
) -> None:
    quirks = Quirks() if listed else Quirks(offers=OFFERS - {"list"})
    provider = await service(quirks=quirks)
    await batch(provider, 1, **SOON).run()
    # The list shows what was made before, and nothing of this one.
    provider.faults.add(Fault("create", "status", times=1, options=options))
    night = batch(provider, 2, **SOON)
    summary = await night.run()
    assert summary.exit_code == 1
    assert states(night) == {"r1": "done", "r2": "in_doubt"}
    await batch(provider, **SOON).run()
    assert (states(night)["r2"], provider.creates_seen) == ("in_doubt", 2)


async def test_a_service_that_gives_every_row_one_id_has_none_sent_again(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service()
    night = batch(provider, 1, **SOON)
    await night.run()
    (first,) = night.results()
    same = {"id": first.prediction_id, "status": "starting"}
    provider.faults.add(
        Fault("create", "status", times=2, options={"status": 201, "body": same, "late": True})
    )
    provider.faults.add(Fault("list", "filtered", options={"count": 2}))
    night = batch(provider, 3, **IN_TURN)
    assert (await night.run()).exit_code == 1
    assert states(night) == {"r1": "done", "r2": "in_doubt", "r3": "in_doubt"}
    assert (provider.billed, provider.creates_seen) == (3, 3)


# Proof of absence


async def test_one_look_is_not_enough_to_send_again(
    service: Serve, batch: Open, states: States, later: Callable[[float], None]
) -> None:
    provider = await service(faults=Faults([NEVER_TAKEN]))
    night = batch(provider, 2)
    run = asyncio.create_task(night.run())
    await provider.until(lambda: provider.requests["list"] >= 1 and provider.billed == 1)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert Counter(states(night).values())["submitting"] == 1
    assert (provider.billed, provider.creates_seen) == (1, 2)
    later(700)
    provider.faults.clock_skew = 700
    assert (await batch(provider).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (2, 3)
    assert provider.requests["list"] >= 2


@pytest.mark.parametrize("seconds", [400.0, 3600.0, 86_400.0])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_is_put_forward_does_not_shorten_the_pause_before_the_second_look(
    service: Serve,
    batch: Open,
    later: Callable[[float], None],
    seconds: float,
    restarted: bool,
    silence: None,
) -> None:
    provider = await service()
    await batch(provider, 3, limit=2, **SOON).run()
    provider.faults.add(Fault("create", "taken_late", options={"seconds": 1.5}, times=1))
    looks, flags = provider.requests["list"], {"answer_timeout": 1, "recover_wait": 2}
    run = asyncio.create_task(batch(provider, **flags).run())
    await provider.until(lambda: provider.requests["list"] > looks)
    assert provider.billed == 2
    later(seconds)
    if restarted:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        run = asyncio.create_task(batch(provider, **flags).run())
    assert (await run).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 3)


async def test_a_clock_that_is_put_back_before_a_start_keeps_no_lost_row_waiting(
    service: Serve, batch: Open, later: Callable[[float], None], silence: None
) -> None:
    provider = await service()
    await batch(provider, 3, limit=2, **SOON).run()
    provider.faults.add(replace(NEVER_TAKEN, times=1))
    looks, flags = provider.requests["list"], {"answer_timeout": 1, "recover_wait": 2}
    run = asyncio.create_task(batch(provider, **flags).run())
    await provider.until(lambda: provider.requests["list"] > looks)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    later(-18_000)
    assert (await asyncio.wait_for(batch(provider, **flags).run(), HANGS)).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 4)


async def test_a_prediction_that_the_first_look_missed_is_adopted_by_the_second(
    service: Any, batch: Open
) -> None:
    provider = await service()
    await batch(provider, 1, **SOON).run()
    # Half a minute later the list shows what was made before, and nothing of the last ten seconds.
    lagging = Fault("list", "lagging", times=1, options={"seconds": 10})
    provider = await service.again(provider, faults=Faults([LOST, lagging], clock_skew=30))
    assert (await batch(provider, 2, **SOON).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (2, 1)
    assert provider.requests["list"] >= 2


UNHELPFUL = {
    "empty": [Fault("list", "empty")],
    "lagging": [Fault("list", "lagging", options={"seconds": 9999})],
    "without inputs": [Fault("list", "without_inputs")],
    "strangers only": [
        Fault("list", "lagging", options={"seconds": 9999}),
        Fault("list", "strangers", options={"count": 3}),
    ],
    "strangers without inputs": [
        Fault("list", "strangers", options={"count": 3}),
        Fault("list", "without_inputs"),
    ],
    "another shape": [Fault("list", "status", options={"status": 200, "body": {"data": []}})],
    "forbidden": [Fault("list", "status", options={"status": 403})],
}


@pytest.mark.parametrize(
    ("unhelpful", "taken"),
    [*((name, True) for name in UNHELPFUL), ("empty", False), ("strangers without inputs", False)],
)
async def test_a_list_that_proves_nothing_keeps_a_row_in_doubt(
    service: Serve, batch: Open, states: States, unhelpful: str, taken: bool
) -> None:
    provider = await service(faults=Faults([LOST if taken else NEVER_TAKEN, *UNHELPFUL[unhelpful]]))
    night = batch(provider, 3, **SOON)
    summary = await night.run()
    assert summary.exit_code == 1
    assert Counter(states(night).values()) == {"done": 2, "in_doubt": 1}
    assert len(summary.doubts) == 1
    await batch(provider, **SOON).run()
    assert (provider.billed, provider.creates_seen) == (2 + taken, 3)


@pytest.mark.parametrize(
    "echoed",
    [
        pytest.param(lambda seed: seed % 65536 + 1, id="cut down"),
        pytest.param(lambda seed: seed + 1, id="moved on"),
        pytest.param(lambda seed: f'"{seed - 1}"', id="in words"),
        pytest.param(lambda _: 42, id="always the same"),
    ],
)
async def test_a_gateway_that_echoes_other_seeds_proves_no_absence(
    service: Serve,
    batch: Open,
    gateway: Gateway,
    crash: Crash,
    states: States,
    echoed: Callable[[int], object],
) -> None:
    def change(text: str) -> str:
        return re.sub(r'"seed":\s*(\d+)', lambda found: f'"seed": {echoed(int(found[1]))}', text)

    provider = await service()
    at = await gateway(provider, change)
    night = batch(at, 3, **IN_TURN)
    await dies(night, crash(Service, "create", at=2, after=True))
    assert (await batch(at, **IN_TURN).run()).exit_code == 1
    assert Counter(states(night).values()) == {"done": 2, "in_doubt": 1}
    assert (provider.billed, provider.creates_seen) == (3, 3)


@pytest.mark.parametrize("seconds", [-1200.0, -7200.0, 1200.0])
@pytest.mark.parametrize("taken", [True, False])
async def test_a_service_whose_clock_is_set_between_two_runs_has_its_lost_row_found(
    service: Serve, batch: Open, crash: Crash, seconds: float, taken: bool
) -> None:
    ahead = [0.0]
    provider = await service(clock=lambda: time.time() + ahead[0])
    await batch(provider, 11, limit=10, **SOON).run()
    ahead[0] = seconds
    await dies(batch(provider, **IN_TURN), crash(Service, "create", after=taken))
    assert (await batch(provider, **IN_TURN).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (11, 11)


async def test_strangers_predictions_neither_hide_nor_replace_ours(service: Serve, batch: Open) -> None:
    strangers = Fault("list", "strangers", options={"count": 5})
    provider = await service(faults=Faults([LOST, strangers]))
    assert (await batch(provider, 3, **SOON).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 3)


@pytest.mark.parametrize(
    ("lost", "creates"), [(LOST, 3), (SECOND_NEVER_TAKEN, 4)], ids=["taken", "not taken"]
)
async def test_a_strangers_prediction_with_our_prompt_and_another_seed_is_never_adopted(
    service: Serve, batch: Open, desk: Any, lost: Fault, creates: int
) -> None:
    alike = Fault("list", "strangers", options={"input": {"prompt": "the same", "seed": 4242}})
    provider = await service(faults=Faults([lost, alike]))
    night = batch(provider, desk.rows(3, prompt="the same"), **SOON)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, creates)
    assert {row.prediction_id for row in night.results()} == {made.id for made in provider.predictions()}


async def test_strangers_predictions_do_not_stand_against_the_proof_of_absence(
    service: Serve, batch: Open
) -> None:
    strangers = Fault("list", "strangers", options={"count": 5})
    provider = await service(faults=Faults([SECOND_NEVER_TAKEN, strangers]))
    assert (await batch(provider, 3, **SOON).run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (3, 4)


async def test_a_lost_prediction_is_found_behind_more_than_a_page_of_others(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator_pagination, "PAGE", 10)
    provider = await service(faults=Faults([LOST]))
    night = batch(provider, 13, answer_timeout=60, recover_wait=0)
    assert (await night.run()).exit_code == 0
    assert (provider.billed, provider.creates_seen) == (13, 13)
    assert provider.requests["list"] > 1


async def test_lost_answers_are_looked_up_before_the_batch_is_canceled(
    service: Serve, batch: Open, crash: Crash
) -> None:
    provider = await service(faults=Faults([Fault("create", "stuck")]))
    night = batch(provider, 2, answer_timeout=1, recover_wait=0)
    await dies(night, crash(Service, "create", at=2, after=True))
    assert provider.billed == 2
    await batch(provider, answer_timeout=1, recover_wait=0).cancel()
    assert [made.status for made in provider.predictions()] == ["canceled", "canceled"]
    assert night.still_running() == night.in_doubt() == 0
