"""Whether a failed attempt is worth another: decided from the service's words, without a clock."""

from __future__ import annotations

import re
from dataclasses import dataclass

TRANSIENT = re.compile(
    r"\bcode:\s*PA\b|\b(E1000|E6716|E8367|E8765|E9825|E9828|E003|E004)\b|Director: unexpected error"
)
"""Troubles of the service that pass by themselves (its support pages and clients' threads name them)."""

RETRY_ONCE = re.compile(r"\bE9243\b|CUDA out of memory", re.IGNORECASE)
"""Troubles that a second attempt sometimes overcomes, a third never."""

UNSAFE = re.compile(r"NSFW|flagged as sensitive", re.IGNORECASE)
"""The safety filter; false alarms are common and a new seed often passes."""

PERMANENT = re.compile(r"\b(E1001|E4875|E001|E002|E005)\b")

INLINE_TOO_LARGE = 6_000_000
"""Bytes of data URLs above which `code: PA` means that they were too large, not that it will pass."""

LONGEST_WAIT = 300.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A prediction that ended without outputs."""

    status: str
    """The service's word: failed, canceled, aborted."""
    error: str
    tries: int
    """Attempts of the row that counted, this one included."""
    attempts: int
    """How many the user allows."""
    fixed_seed: bool
    inline_bytes: int
    """Length of the data URLs that were sent."""
    cancel_asked: str | None
    """Who asked for a cancel: `time-out`, `user`, or none."""

    @property
    def by_user(self) -> bool:
        """Whether the user stopped it: through batchfill, or at the service by other means."""
        return self.cancel_asked == "user" or (self.status == "canceled" and self.cancel_asked is None)


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Submit the row once more."""

    wait: float
    """Seconds from now. The seed is another one unless the row fixes it."""


def decide_retry(failure: Failure, first_wait: float) -> RetryDecision | None:
    """Return how to go on after *failure*; None: the row has ended for good.

    *first_wait*: seconds before the second attempt.
    """
    if failure.tries >= failure.attempts or failure.by_user:
        return None
    wait = min(LONGEST_WAIT, first_wait * 4 ** (failure.tries - 1))
    if failure.status == "aborted":
        return RetryDecision(wait)
    if failure.cancel_asked == "time-out":
        return RetryDecision(wait)
    return _after_error(failure, wait)


def _after_error(failure: Failure, wait: float) -> RetryDecision | None:
    if PERMANENT.search(failure.error):
        return None
    if UNSAFE.search(failure.error):
        return None if failure.fixed_seed else RetryDecision(0.0)
    if RETRY_ONCE.search(failure.error):
        return RetryDecision(wait) if failure.tries == 1 else None
    if TRANSIENT.search(failure.error):
        too_large = "PA" in failure.error and failure.inline_bytes > INLINE_TOO_LARGE
        return None if too_large else RetryDecision(wait)
    return None
