"""What a run is about to do, shown before the first payment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.console.format import UNKNOWN, first_lines, format_count, format_money, safe_text
from batchfill.domain.duration import format_duration
from batchfill.domain.json_objects import amounts_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from batchfill.domain.reports import Plan
    from batchfill.domain.rows import RedoRule

SHOWN = 20


def plan_lines(plan: Plan) -> list[str]:
    """Return what a person wants to know before the first payment: rows, changes, cost, time, warnings."""
    about_rows = (*_row_lines(plan), *_change_lines(plan), *_redo_lines(plan), *_missing_lines(plan))
    origins = map(safe_text, plan.origins)
    return [*about_rows, *_price_lines(plan), *origins, *warning_lines(plan.warnings)]


def confirm_question(plan: Plan) -> str:
    """Return what to ask in a terminal before the first payment, as a whole question."""
    rows = format_count(plan.to_go, "row")
    if not plan.to_go and plan.price_redo is not None:
        return f"Make rows again for at most {_price_text(plan.price_redo, plan)}?"
    if plan.price_to_go is None:
        return f"Submit {rows} at an unknown price?"
    most = ""
    if plan.redo is not None and plan.price_redo is not None:
        most = f", at most {_price_text(plan.price_to_go + plan.price_redo, plan)}"
    return f"Submit {rows} for about {_price_text(plan.price_to_go, plan)}{most}?"


def plan_object(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON, for the review page; `price` is in millionths, and of all that may be made."""
    return {
        "model": plan.model,
        "provider": provider_name(plan.base),
        "rows": plan.to_go,
        "price": price_at_most(plan),
        "pictures": plan.outputs_to_go,
        "again": plan.again,
        "open": plan.open,
        "seconds": plan.seconds,
        "rehearsal": plan.base == "local",
        "currency": plan.cost.currency,
        "cost": amounts_object(plan.cost),
        "notes": [
            *_change_lines(plan),
            *_missing_lines(plan),
            *_until_line(plan),
            *warning_lines(plan.warnings),
        ],
    }


def price_at_most(plan: Plan) -> int | None:
    """Return what a run costs at most, in millionths; None where that is unknown."""
    if plan.price_to_go is None or plan.price_redo is None:
        return None
    return plan.price_to_go + plan.price_redo


def made_again_lines(redo: RedoRule | None, price: int | None, currency: str) -> Iterator[str]:
    """Return which rows are made again by themselves, and what that costs at most: *price*; 0: none are."""
    if redo is not None and price != 0:
        often = "once" if redo.times == 1 else f"{redo.times} times"
        most = UNKNOWN if price is None else f"at most {format_money(price, currency)} more"
        yield f"made again when all pictures of a row are {' or '.join(redo.flags)}, {often} at most: {most}"


def provider_name(base: str) -> str:
    """Return where requests go: an address, or the local emulator."""
    return "the local emulator" if base == "local" else safe_text(base)


def _row_lines(plan: Plan) -> Iterator[str]:
    yield f"{format_count(plan.rows, 'row')} for {plan.model} at {provider_name(plan.base)}"
    facts = [
        (plan.to_go, f"{plan.to_go:,} to run ({format_count(plan.outputs_to_go, 'picture')})"),
        (plan.open, f"{plan.open:,} sent by an earlier run and still open"),
        (plan.missing, f"{plan.missing:,} done and without their files"),
        (plan.finished, f"{plan.finished:,} done already"),
        (plan.in_doubt, f"{plan.in_doubt:,} in doubt, not sent again unasked"),
    ]
    yield ", ".join(text for number, text in facts if number) or "nothing to run"
    if plan.skipped:
        yield f"{format_count(plan.skipped, 'row')} with mistakes left out (--skip-bad)"


def _change_lines(plan: Plan) -> Iterator[str]:
    if plan.changed:
        rows = format_count(plan.changed, "finished row")
        yield (
            f"run again because of a changed line: {rows}, {_price_text(plan.price_changed, plan)} of the "
            "cost"
        )


def _redo_lines(plan: Plan) -> Iterator[str]:
    if plan.again:
        rows = format_count(plan.again, "finished row")
        yield f"made again: {rows}, with new seeds even where the manifest fixes one; what is there is kept"
    if plan.edited:
        yield f"with an edited prompt: {format_count(plan.edited, 'row')}; the manifest stays as it is"
    if plan.changed_inputs:
        yield f"with other inputs: {format_count(plan.changed_inputs, 'row')}; the manifest stays as it is"


def _missing_lines(plan: Plan) -> Iterator[str]:
    if plan.missing:
        yield f"fetched again free of charge, while the service has them: {format_count(plan.missing, 'row')}"
        unknown = plan.price_missing is None
        price = "what the service takes" if unknown else f"about {_price_text(plan.price_missing, plan)}"
        yield f"what it has removed becomes expired; to make it all again with --retry expired costs {price}"


def _price_lines(plan: Plan) -> Iterator[str]:
    if plan.to_go:
        yield _cost_text(plan) + ("" if plan.seconds is None else f"; about {format_duration(plan.seconds)}")
    yield from made_again_lines(plan.redo, plan.price_redo, plan.cost.currency)
    yield from _until_line(plan)


def _until_line(plan: Plan) -> Iterator[str]:
    """Say how far off --until is: an hour that has passed today is tomorrow's."""
    if plan.until is not None and plan.to_go:
        late = plan.seconds is not None and plan.seconds > plan.until
        rest = ": some rows will be left for the next run" if late else ""
        yield f"--until is in {format_duration(plan.until)}{rest}"


def _cost_text(plan: Plan) -> str:
    cost = plan.cost
    if plan.price_to_go is None:
        return UNKNOWN
    line = f"about {_price_text(plan.price_to_go, plan)}"
    if plan.base == "local":
        return f"free of charge here; {line} at the service"
    if cost.spent is None or cost.reserved is None:
        line += ", after what earlier pictures cost, whose price is unknown"
    elif cost.spent or cost.reserved:
        line += f", after {_price_text(cost.spent + cost.reserved, plan)} so far"
    if cost.cap is not None:
        line += f", at most {_price_text(cost.cap, plan)} in all"
    return line


def warning_lines(warnings: Sequence[str]) -> Iterator[str]:
    """Return a line a warning, of many only the first."""
    lines = [f"warning: {safe_text(warning)}" for warning in warnings]
    yield from first_lines(lines, SHOWN, "more warning")


def _price_text(millionths: int | None, plan: Plan) -> str:
    return format_money(millionths, plan.cost.currency)
