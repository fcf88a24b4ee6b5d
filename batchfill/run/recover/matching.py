"""Matches lost submissions with the provider's predictions: by list, or by id.

A list proves that a submission was never made only where all of this holds:

- No answer said that it was taken, and every page of the list was read.
- The list shows a known prediction of ours, and all of ours that it should show next to the lost one.
- Every prediction of ours carries the seed that was sent for it. A service that echoes another one may do the
  same to the lost one, so that seeds prove nothing there.
- Every unclaimed prediction shows its input, with another seed than the lost one's. Where the list was asked
  for from a time on, those made before it need not; one with the lost one's seed counts whenever it was made.
- That time lies well before the intent. At least eight predictions say so, whose times agree with the
  service's answers; and those answers told no earlier time at the intent, and tell no other one now.
- All this is so again once the request has been over for --recover-wait; for twice as long where the list
  shows no prediction of ours that was asked for since, so that it may lag by more than the wait.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchfill.domain.echoes import echoed_seed, has_other_seed, is_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Accepted, Attempt


AGREED = 120.0
"""Seconds by which two clocks may differ that tell the same time; a create may wait its turn, too."""

MARGIN = 300.0
"""Seconds that a window begins before the oldest prediction that it has to show."""

ENOUGH = 8
"""Predictions whose times must agree before a window is believed: each may come from a host of its own."""


@dataclass(frozen=True, slots=True)
class Matching:
    """What became of lost submissions, by the attempt's number."""

    adopted: Mapping[int, Prediction] = field(default_factory=dict)
    """It was made: this prediction is the attempt's."""
    absent: frozenset[int] = frozenset()
    """It is surely not among what was made up to now."""
    doubtful: Mapping[int, str] = field(default_factory=dict)
    """Neither can be proved, and why."""


def window_start(before: Iterable[tuple[Attempt, Sequence[Accepted]]], offset: float | None) -> float | None:
    """Return the `created_at` from which a list holds all that was made since several attempts' intents.

    *before*: each attempt with the predictions accepted just before its intent. *offset*: seconds that the
    service's clock is ahead of ours at present. None: no time can be trusted to say that, and the whole list
    has to be read.
    """
    starts = [_start(attempt, accepted, offset) for attempt, accepted in before]
    known = [start for start in starts if start is not None]
    return min(known) if len(known) == len(starts) else None


def _start(attempt: Attempt, accepted: Sequence[Accepted], offset: float | None) -> float | None:
    made = [one.created_at for one in accepted if one.created_at is not None and _agrees_with_answers(one)]
    if not len(made) == len(accepted) >= ENOUGH or not _is_same_clock(attempt, accepted, offset):
        return None
    return min(made) - MARGIN if _asked_at(attempt) >= min(made) - AGREED else None


def _is_same_clock(attempt: Attempt, accepted: Sequence[Accepted], offset: float | None) -> bool:
    """Whether the attempt's time is told by the clock of those before it, which was not set since."""
    if attempt.service_time is None:
        return all(one.service_time is None for one in accepted)
    return abs(clock_drift(attempt, offset)) <= AGREED


def clock_drift(attempt: Attempt, offset: float | None) -> float:
    """Return seconds by which our clock was put forward against the service's since the attempt's intent.

    *offset*: seconds that the service's clock is ahead of ours at present; 0 where either is not known.
    """
    if attempt.service_time is None or offset is None:
        return 0.0
    return attempt.service_time - attempt.intended_at - offset


def _asked_at(one: Attempt | Accepted) -> float:
    """Return the service's time of an intent; ours, where it tells none."""
    return one.intended_at if one.service_time is None else one.service_time


def _agrees_with_answers(one: Accepted) -> bool:
    """Whether `created_at` tells the time of the service's answers; of our clock, where they tell none.

    A window is asked for in that time. A service whose records are in a local time, or by another host's
    clock, would look for it elsewhere.
    """
    return one.created_at is not None and abs(one.created_at - _asked_at(one)) <= AGREED


def match_orphans(
    lost: Sequence[Attempt],
    items: Sequence[Prediction],
    claimed: Mapping[str, int | None],
    *,
    complete: bool,
    since: float | None = None,
    competing: Sequence[Attempt] = (),
    unlisted: Mapping[int, str] | None = None,
) -> Matching:
    """Judge *lost* by a list, of which what was made from *since* on holds all since their intents.

    *claimed*: those ids among *items* that are ours already, and the seeds sent for them. *complete*: every
    page was read. *competing*: other attempts whose predictions may be among *items* and not known yet.
    *unlisted*: by an attempt's number, a prediction of ours that the list should show next to the attempt's,
    and does not.
    """
    unclaimed = [item for item in items if item.id not in claimed]
    redrawn = any(has_other_seed(item, claimed.get(item.id)) for item in items)
    recent = [item for item in unclaimed if _is_since(item, since)]
    matches = _find_matches((*lost, *competing), unclaimed, recent)
    wanted = Counter(item.id for found in matches.values() for item in found)
    adopted, absent, doubtful = {}, set(), {}
    for attempt in lost:
        found, hidden = matches[attempt.number], (unlisted or {}).get(attempt.number)
        if len(found) == 1 and wanted[found[0].id] == 1:
            adopted[attempt.number] = found[0]
        elif found:
            doubtful[attempt.number] = "more than one prediction at the service fits it"
        elif why := (
            _why_the_list_proves_nothing(attempt, hidden, any_claimed=bool(claimed), complete=complete)
            or _why_it_may_be_listed(attempt, unclaimed, recent, redrawn=redrawn)
        ):
            doubtful[attempt.number] = why
        else:
            absent.add(attempt.number)
    return Matching(adopted, frozenset(absent), doubtful)


def _find_matches(
    attempts: Iterable[Attempt], unclaimed: Sequence[Prediction], recent: Sequence[Prediction]
) -> dict[int, list[Prediction]]:
    # A seed that we drew is found whenever it was made; one that the row fixes may be an older prediction's.
    return {
        a.number: [item for item in (unclaimed if a.own_seed else recent) if is_match(a, item)]
        for a in attempts
    }


def _why_the_list_proves_nothing(
    attempt: Attempt, hidden: str | None, *, any_claimed: bool, complete: bool
) -> str | None:
    if attempt.acknowledged:
        return "an answer of the service said that it was taken"
    if not complete:
        return "the service's list could not be read to its end"
    if not any_claimed:
        return "the service's list shows no other prediction of this batch, so it proves nothing"
    if hidden is not None:
        return f"the service's list does not show {hidden} either, which it accepted"
    return None


def _why_it_may_be_listed(
    attempt: Attempt, unclaimed: Sequence[Prediction], recent: Sequence[Prediction], *, redrawn: bool
) -> str | None:
    if unclaimed and redrawn:
        return "the service lists predictions with other seeds than were sent, so any of them may be this one"
    named = attempt.seed is not None and any(echoed_seed(item) == attempt.seed for item in unclaimed)
    if any(item.input is None for item in recent):
        return "the service lists a prediction without its inputs, which may be this one"
    if named or any(echoed_seed(item) in (None, attempt.seed) for item in recent):
        return "the service lists a prediction with the same seed or without one, which may be this one"
    return None


def _is_since(item: Prediction, since: float | None) -> bool:
    return since is None or item.created_at is None or item.created_at >= since
