"""What the service is seen to allow, where that is far less than was asked for: said once a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from batchfill.ledger.ledger import Ledger
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.storage.run_log import RunLog

CHANGE = 2.0
"""Times what was said last, or the part of it, that is worth saying."""

LOW_CREDIT = 6
"""A minute: what Replicate allows an account with less than $5 of credit."""

_ABOUT_LOW_CREDIT = (4.0, 8.0)


class RateReport:
    """Watches the pace that the service allows."""

    def __init__(self, creates: RateLimiter, ledger: Ledger, log: RunLog) -> None:
        self._creates = creates
        self._ledger = ledger
        self._log = log
        self._told = creates.asked
        self._stated: float | None = None
        """A minute: what a refusal named; None once the pace has recovered."""

    def report_stated(self, per_minute: float) -> None:
        """A refusal names its limit: it is said before the pace has shown it."""
        self._stated = per_minute if per_minute < self._creates.asked else None
        self.report_change()

    def report_change(self) -> None:
        """Say what the service allows, when it is something else than what was asked or said last."""
        if self._creates.per_minute >= self._creates.asked:
            self._stated = None
        pace = self._allowed or self._creates.asked
        if self._told / CHANGE < pace < self._told * CHANGE:
            return
        weight = Level.WARNING if pace < self._told else Level.INFO
        self._told = pace
        self._log.notice(allowance_text(pace, self._ledger.counts[RowState.PENDING]), weight)

    @property
    def waiting_for(self) -> str | None:
        """What keeps rows waiting now, where it is the service's limit."""
        allowed = self._allowed
        paused = self._creates.paused_until - anyio.current_time()
        if paused > 1:
            return f"the service's rate limit, {paused:.0f} s more"
        if allowed is None or not self._ledger.counts[RowState.PENDING]:
            return None
        return f"the service's rate limit, about {_known_rate(allowed):,g} a minute"

    @property
    def _allowed(self) -> float | None:
        """What the service lets through where that is less than what is asked: as seen, else as it says."""
        return self._creates.allowed or self._stated


def allowance_text(pace: float, rows: int) -> str:
    """Return in words that *pace* a minute are allowed, and how long *rows* to go take at it."""
    known = _known_rate(pace)
    credit = " (below $5 of credit Replicate allows no more)" if known == LOW_CREDIT else ""
    would = f"{rows:,} {'row' if rows == 1 else 'rows'} would take {_time_text(rows / known)}"
    return f"the service allows about {known:,g} a minute{credit}: {would}"


def _known_rate(pace: float) -> float:
    low, high = _ABOUT_LOW_CREDIT
    return LOW_CREDIT if low <= pace <= high else float(f"{pace:.2g}")


def _time_text(minutes: float) -> str:
    """Return `8 min`, `28 h`, or `3.5 h` where half an hour counts."""
    if minutes < 90:
        return f"{max(1, round(minutes))} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours >= 10 else f"{hours:.1f} h"
