"""What a batch has cost and will, on one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.show.words import money

if TYPE_CHECKING:
    from batchfill.values import Cost


UNKNOWN = "cost unknown: no price is known here (price: in the manifest gives one)"


def paid(cost: Cost) -> str:
    """Return `$3.60 paid`, or `$3.60 if it were real` of a rehearsal; the amount must be known."""
    return f"{money(cost.spent, cost.currency)} {'if it were real' if cost.rehearsal else 'paid'}"


def cost_line(cost: Cost) -> str:
    """Return `$3.60 paid, $0.08 reserved, $36.00 to go, at most $40.00`, each part only if there is one."""
    if cost.spent is None or cost.to_go is None:
        return UNKNOWN
    parts = [paid(cost)]
    if cost.reserved:
        parts.append(f"{money(cost.reserved, cost.currency)} reserved")
    if cost.to_go:
        parts.append(f"{money(cost.to_go, cost.currency)} to go")
    if cost.cap is not None:
        parts.append(f"at most {money(cost.cap, cost.currency)}")
    return ", ".join(parts)
