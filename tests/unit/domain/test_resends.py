"""Which creates may be sent again with their own keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.resends import MARGIN, may_resend
from batchfill.domain.rows import Attempt, RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "https://api.example.com/v1"
NOW = 1_763_850_000.0
KEPT = 86_400.0


def lost(**changes: Any) -> Attempt:
    """Return an attempt whose answer was lost a minute ago, with a key."""
    usual: dict[str, Any] = {"number": 1, "key": "k", "id": "r1", "line": 2, "state": RowState.SUBMITTING}
    usual |= {"seed": 41, "own_seed": True, "origin": BASE, "sent": {}, "outputs_asked": 1, "anchor": None}
    usual |= {"intended_at": NOW - 60, "service_time": None, "idempotency_key": "6f7c"}
    return Attempt(**usual | changes)


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"state": RowState.IN_DOUBT}, True),
        ({"idempotency_key": None}, False),
        ({"acknowledged": True}, False),
        ({"prediction_id": "p1"}, False),
        ({"origin": "https://gateway.example.com/v1"}, False),
        ({"intended_at": NOW - KEPT + MARGIN}, True),
        ({"intended_at": NOW - KEPT + MARGIN - 1}, False),
        ({"intended_at": NOW - KEPT - 1}, False),
        # A clock that was put back does not tell how old a key is.
        ({"intended_at": NOW + 100}, True),
        ({"intended_at": NOW + 3600}, False),
    ],
    ids=str,
)
def test_a_create_is_sent_again_where_its_key_is_known_and_its_answer_was_lost(
    changes: Mapping[str, Any], may: bool
) -> None:
    assert may_resend(lost(**changes), base=BASE, kept=KEPT, now=NOW, offset=None) is may


@pytest.mark.parametrize(("age", "may"), [(60.0, True), (KEPT, False), (-3600.0, False)])
def test_the_age_of_a_key_is_told_by_the_service_too(age: float, may: bool) -> None:
    """Our clock was put back meanwhile, so that it takes the key for new."""
    attempt = lost(service_time=NOW + 5.0 - age)
    assert may_resend(attempt, base=BASE, kept=KEPT, now=NOW, offset=5.0) is may
