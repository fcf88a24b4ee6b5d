"""When a lost request is surely over: before that nothing proves that it was never made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock

import anyio
import pytest

from batchfill.run.recover.reconciler import Reconciler
from batchfill.settings.timings import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.domain.rows import Attempt

SENT = 1_763_850_000.0
"""When the attempts were intended."""


def reconciler(now: float) -> Any:
    nothing: Any = None
    context: Any = SimpleNamespace(
        settings=SimpleNamespace(answer_timeout=60.0, recover_wait=300.0),
        clock=SimpleNamespace(now=lambda: now),
        service=SimpleNamespace(clock_offset=None),
        refusals=nothing,
    )
    return Reconciler(context, found=nothing, settled=nothing, unanswered=nothing)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, 360.0 - 100.0),
        ({"lost_at": SENT + 90.0}, 390.0 - 100.0),
        # Its create went out again, and nothing tells yet what came of that.
        ({"resent_at": SENT + 99.0}, 459.0 - 100.0),
        ({"lost_at": SENT + 60.0, "resent_at": SENT + 99.0}, 459.0 - 100.0),
    ],
    ids=str,
)
def test_a_request_is_over_after_its_last_resend(
    attempt: Callable[..., Attempt], changes: Mapping[str, Any], left: float
) -> None:
    assert reconciler(SENT + 100.0)._seconds_until_over(attempt(**changes)) == left


@pytest.mark.parametrize(
    ("ago", "caught_up", "again"),
    [
        (299.0, True, False),
        (301.0, True, True),
        (301.0, False, False),
        (599.0, False, False),
        (601.0, False, True),
    ],
)
async def test_absence_is_believed_of_a_list_that_has_caught_up_or_after_twice_the_wait(
    attempt: Callable[..., Attempt], ago: float, *, caught_up: bool, again: bool
) -> None:
    stage = reconciler(SENT + 60.0 + ago)
    context = stage._context
    context.ledger, context.log, context.timings = AsyncMock(), Mock(), DEFAULT
    stage._settled = Mock()
    lost = attempt(absent_at=SENT + 10.0)
    context.ledger.record_absent_once.return_value = lost
    stage._over_at[lost.number] = anyio.current_time() + 300.0 - ago
    await stage._record_absent(lost, caught_up=caught_up)
    assert context.ledger.record_refused.called is again
    assert (lost.number in stage._look_at) is not again
