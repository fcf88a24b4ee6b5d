"""What a list of predictions proves about submissions whose answers were lost. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from batchfill.values import Attempt, Prediction


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of lost submissions, by the attempt's number."""

    adopted: Mapping[int, Prediction] = field(default_factory=dict)
    """It was made: this prediction is the attempt's."""
    absent: frozenset[int] = frozenset()
    """It is surely not among what was made up to now."""
    doubtful: Mapping[int, str] = field(default_factory=dict)
    """Neither can be proved, and why."""


def judge(
    lost: Sequence[Attempt],
    items: Sequence[Prediction],
    claimed: Collection[str],
    *,
    complete: bool,
    rivals: Sequence[Attempt] = (),
    since: Callable[[Attempt], float] = lambda attempt: -inf,
) -> Verdict:
    """Judge *lost* by a list whose window began before their intents by the service's clock.

    *claimed*: those ids among *items* that are ours already. *complete*: every page was read. *rivals*: other
    attempts whose predictions may be among *items* and not known yet. *since*: what was made before that, by
    the service's clock, cannot be the attempt's.
    """
    unclaimed = [item for item in items if item.id not in claimed]
    free = {a.number: [i for i in unclaimed if _made_since(i, since(a))] for a in (*lost, *rivals)}
    matches = {a.number: [item for item in free[a.number] if fits(a, item)] for a in (*lost, *rivals)}
    wanted = Counter(item.id for found in matches.values() for item in found)
    adopted, absent, doubtful = {}, set(), {}
    for attempt in lost:
        found = matches[attempt.number]
        if len(found) == 1 and wanted[found[0].id] == 1:
            adopted[attempt.number] = found[0]
            continue
        why = _doubt(attempt, free[attempt.number], found, any_claimed=bool(claimed), complete=complete)
        if why is None:
            absent.add(attempt.number)
        else:
            doubtful[attempt.number] = why
    return Verdict(adopted, frozenset(absent), doubtful)


def _made_since(item: Prediction, since: float) -> bool:
    return item.created_at is None or item.created_at >= since


def _doubt(
    attempt: Attempt,
    free: Sequence[Prediction],
    found: Sequence[Prediction],
    *,
    any_claimed: bool,
    complete: bool,
) -> str | None:
    """Return why the attempt is not surely absent; None when it is."""
    if found:
        return "more than one prediction at the service fits it"
    if not complete:
        return "the service's list could not be read to its end"
    if not any_claimed:
        return "the service's list shows no other prediction of this batch, so it proves nothing"
    if any(item.input is None for item in free):
        return "the service lists a prediction without its inputs, which may be this one"
    if any(_may_be(attempt, item) for item in free):
        return "the service lists a prediction with the same seed or without one, which may be this one"
    return None


def fits(attempt: Attempt, item: Prediction) -> bool:
    """Whether *item* is what *attempt* asked for."""
    if item.input is None or _seed(item) != attempt.seed:
        return False
    if attempt.own_seed:
        return _same(attempt.sent.get("prompt"), item.input.get("prompt"))
    return all(_agrees(value, item.input.get(name)) for name, value in attempt.sent.items())


def _may_be(attempt: Attempt, item: Prediction) -> bool:
    """Whether *item* carries the attempt's seed, or tells none."""
    seed = _seed(item)
    return seed is None or seed == attempt.seed


def _seed(item: Prediction) -> int | None:
    echoed = None if item.input is None else _whole(item.input.get("seed"))
    # 0 asks the model to choose one; what it chose stands in the logs.
    return echoed or item.seed


def _agrees(sent: Any, echoed: Any) -> bool:
    """Whether an echoed input can be the one sent; files given inline or uploaded may come back renamed."""
    if isinstance(sent, str) and (sent.startswith("sha256:") or "/files/" in sent):
        return True
    return _same(sent, echoed)


def _same(a: Any, b: Any) -> bool:
    return a == b or (a is not None and b is not None and str(a) == str(b))


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
