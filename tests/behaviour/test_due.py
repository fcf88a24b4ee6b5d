"""Rows that wait for their time or for room: nothing that comes due is forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio

from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from batchfill.batch import Batch
    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt, PendingRow
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


async def test_a_row_that_comes_due_between_the_look_and_the_question_when_to_look_again_is_not_forgotten(
    service: Serve,
    batch: Open,
    later: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Ledger.next_due_at

    async def ask_slowly(ledger: Ledger, *given: Any) -> Any:
        if await real(ledger, *given) is not None:
            later(1)
        return await real(ledger, *given)

    monkeypatch.setattr(Ledger, "next_due_at", ask_slowly)
    waits = Fault("create", "fail", times=1, options={"error": "E9825"})
    provider = await service(faults=Faults([waits]))
    async with asyncio.timeout(30):
        assert (await batch(provider, 1).run()).exit_code == 0


async def test_a_prediction_that_has_ended_makes_room_before_its_end_is_on_disk(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    intents, second = [], anyio.Event()
    intend, succeed = Ledger.record_intent, Ledger.record_succeeded

    async def intending(ledger: Ledger, due: PendingRow, **given: Any) -> Attempt | None:
        intents.append(due.id)
        if len(intents) == 2:
            second.set()
        return await intend(ledger, due, **given)

    async def succeeding(ledger: Ledger, attempt: Attempt, prediction: Prediction) -> None:
        with anyio.fail_after(30):
            await second.wait()
        await succeed(ledger, attempt, prediction)

    monkeypatch.setattr(Ledger, "record_intent", intending)
    monkeypatch.setattr(Ledger, "record_succeeded", succeeding)
    assert (await batch(await service(), 2, concurrency=1).run()).exit_code == 0
