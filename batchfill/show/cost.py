"""What a batch has cost and will, on one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.show.words import money

if TYPE_CHECKING:
    from batchfill.values import Cost


UNKNOWN = "cost unknown: no price is known here (price: in the manifest gives one)"


def cost_line(cost: Cost) -> str:
    """Return `$3.60 paid, $0.08 reserved, $36.00 to go, at most $40.00`, each part only if there is one."""
    if cost.spent is None or cost.to_go is None:
        return UNKNOWN
    parts = [f"{money(cost.spent, cost.currency)} paid"]
    if cost.reserved:
        parts.append(f"{money(cost.reserved, cost.currency)} reserved")
    if cost.to_go:
        parts.append(f"{money(cost.to_go, cost.currency)} to go")
    if cost.cap is not None:
        parts.append(f"at most {money(cost.cap, cost.currency)}")
    return ", ".join(parts)
