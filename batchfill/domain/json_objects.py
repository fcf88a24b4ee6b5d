"""What the JSON documents of batchfill tell alike: counts, amounts of money, times."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from batchfill.domain.money import currency_units
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.progress import LogEvent
    from batchfill.domain.reports import Cost


def counts_object(counts: Mapping[RowState, int]) -> dict[str, int]:
    """Return how many rows there are, in all and by state."""
    return {"total": sum(counts.values()), **{state.value: counts.get(state, 0) for state in RowState}}


def amounts_object(cost: Cost) -> dict[str, float | None]:
    """Return the amounts of *cost* in units of its currency."""
    amounts = {"spent": cost.spent, "reserved": cost.reserved, "to_go": cost.to_go, "cap": cost.cap}
    return {name: currency_units(amount) for name, amount in amounts.items()}


def json_line(notice: LogEvent, **more: Any) -> str:
    """Return *notice* as a line of JSON: `at`, `level`, `text`, and what *more* there is to say of it."""
    told = {
        "at": iso_time(notice.at),
        "level": notice.level.name.lower(),
        "text": " ".join(notice.text.split()),
    }
    return json.dumps(told | more) + "\n"


def iso_time(seconds: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC; *seconds*: since the epoch."""
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
