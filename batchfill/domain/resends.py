"""Creates whose answers were lost and that are sent again with their own keys: which may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchfill.domain.rows import Attempt

MARGIN = 3600.0
"""Seconds before that, from which on a key counts as forgotten: a request may take its time."""

SAME_TIME = 120.0
"""Seconds by which a clock may seem to have gone back that was not set."""


def may_resend(attempt: Attempt, *, base: str, kept: float, now: float, offset: float | None) -> bool:
    """Whether a create sent again with the attempt's key makes nothing new at a provider that honours it.

    Only where its answer was lost: one that said that it was taken, or seemed to name a prediction, is looked
    up instead. *kept*: seconds for which the provider knows a key. *now*: our clock; *offset*: seconds that
    the provider's is ahead of it, None where not known.
    """
    if attempt.idempotency_key is None or attempt.acknowledged or attempt.prediction_id is not None:
        return False
    ages = [now - attempt.intended_at]
    if attempt.service_time is not None and offset is not None:
        ages.append(now + offset - attempt.service_time)
    return attempt.origin == base and all(is_key_known(age, kept) for age in ages)


def is_key_known(age: float, kept: float) -> bool:
    """Whether a provider that keeps keys for *kept* seconds knows one that is *age* seconds old."""
    return -SAME_TIME <= age <= kept - MARGIN
