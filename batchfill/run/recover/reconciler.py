"""Submissions whose answers were lost: found, proved absent, or held in doubt. Never resent on a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState
from batchfill.errors import NoAnswer, NotFound, NotOffered, ServiceRefused, TransientError
from batchfill.run.recover import matching
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Accepted, Attempt
    from batchfill.run.context import RunContext


NEAR = 3600.0
"""Seconds before the last accepted row within which others count as accepted just before a lost one."""

WITNESSES = 50
"""Of those, how many a list has to show."""

PAGES = 50
"""Pages of a whole list that are read at most, where no window is known."""

WINDOW_PAGES = 200
"""Pages of a window that are read at most."""

LOOKS_APART = 20
"""Lags of a list between two looks at one that may not have caught up."""

MAX_LIST_ERRORS = 5
"""Errors of the list call before it counts as one that cannot be read."""

NO_LIST = "the answer to its submission was lost, and this provider offers no list to look it up in"

UNKNOWN_ID = "the service does not know it"


class Reconciler:
    """The stage that finds out."""

    def __init__(
        self,
        context: RunContext,
        *,
        found: Callable[[Attempt, Prediction], None],
        settled: Callable[[], None],
        unanswered: Callable[[], Iterable[Attempt]],
    ) -> None:
        """*found* is told of every prediction that turned out to be ours, *settled* of every other end.

        *unanswered* gives the attempts whose POST is open: what they made may be in a list already.
        """
        self._context = context
        self._refusals = context.refusals
        self._found = found
        self._settled = settled
        self._unanswered = unanswered
        self._lost: dict[int, Attempt] = {}
        # By a clock that cannot be set: `anyio.current_time`.
        self._look_at: dict[int, float] = {}
        self._over_at: dict[int, float] = {}
        """When each request is surely over."""
        self._unread: dict[int, int] = {}
        self._nameless: set[int] = set()
        """Attempts whose answer seemed to name a prediction that the service does not know."""
        self._unlistable: set[int] = set()
        """Those that a missing list could not settle once: it is asked for again before they are in doubt."""
        self._consented: frozenset[int] = frozenset()
        self._wakeup = Wakeup()

    @property
    def waiting(self) -> bool:
        """Whether some submission is still to be looked up."""
        return bool(self._lost)

    def add_attempt(self, attempt: Attempt) -> None:
        """Find out about an attempt whose answer was lost."""
        self._lost[attempt.number] = attempt
        self._over_at.setdefault(attempt.number, anyio.current_time() + self._seconds_until_over(attempt))
        lag = self._context.timings.list_lag
        left = (attempt.lost_at or attempt.intended_at) + lag - self._context.clock.now()
        # More is left only by a clock that was set back.
        self._look_at[attempt.number] = anyio.current_time() + max(0.0, min(left, lag))
        self._wakeup.notify()

    def add_all(self, attempts: Iterable[Attempt]) -> None:
        """Find out about what an earlier run left."""
        for attempt in attempts:
            self.add_attempt(attempt)

    def note_consent(self, attempts: Sequence[Attempt]) -> None:
        """Have these rows in doubt submitted again, as the user said, where they stay so."""
        self._consented = frozenset(attempt.number for attempt in attempts)

    async def serve_lost(self) -> None:
        """Look for what is due, until cancelled."""
        while True:
            seen = self._wakeup.version
            now = anyio.current_time()
            due = [self._lost[number] for number, at in self._look_at.items() if at <= now]
            if due:
                await self._look_up(due)
                continue
            waits = [at - now for at in self._look_at.values()]
            await self._wakeup.wait(seen, min(waits, default=None))

    async def _look_up(self, due: list[Attempt]) -> None:
        # Each question by itself: what has no answer for one says nothing about the others.
        for attempt in due:
            if attempt.prediction_id is not None:
                await self._ask([attempt], self._get_known(attempt))
        # Old doubts apart: what became of their neighbours says nothing about those lost just now.
        for old in (False, True):
            if unknown := [a for a in self._still_lost(due) if (a.state is RowState.IN_DOUBT) is old]:
                await self._ask(unknown, self._match_list(unknown))

    async def _ask(self, due: list[Attempt], question: Awaitable[None]) -> None:
        """Await the answer to a *question* about *due*, and what follows where there is none."""
        try:
            await question
        except NotOffered as error:
            await self._without_list(due, error)
        except NoAnswer as error:
            self._context.log.debug(f"looking up lost submissions: {error}")
            self._put_off(due, self._context.timings.list_lag)
            # Else the network is down, and with it everything else: there is nothing to decide yet.
            for attempt in (attempt for attempt in due if attempt.unconfirmed):
                await self._wait_or_doubt(attempt, f"it cannot be asked for: {error}")
        except TransientError as error:
            await self._cannot_read(due, error)
        except ServiceRefused as error:
            await self._handle_refusal(due, error)

    async def _handle_refusal(self, due: list[Attempt], error: ServiceRefused) -> None:
        if error.status == 401:
            self._put_off(due, self._context.timings.refused_poll_gap)
            for attempt in due:
                self._refusals.add_refusal(attempt, error)
            return
        # Some gateways forbid what they do not offer.
        for attempt in due:
            if self._has_no_id(attempt):
                await self._without_list([attempt], error)
            elif attempt.unconfirmed:
                await self._wait_or_doubt(attempt, f"it cannot be asked for: {error}")
            else:
                self._forget_attempt(attempt)

    async def _without_list(self, due: list[Attempt], error: Exception) -> None:
        """Ask once more before a row is in doubt: one answer that there is no list may be a moment's."""
        for attempt in self._still_lost(due):
            if attempt.unconfirmed:
                await self._wait_or_doubt(attempt, UNKNOWN_ID)
            elif attempt.number in self._unlistable:
                await self._record_doubt(attempt, NO_LIST)
            else:
                self._context.log.debug(f"{attempt.id}: asked once more for a list: {error}")
                self._unlistable.add(attempt.number)
                self._put_off([attempt], self._context.timings.list_lag)

    async def _cannot_read(self, due: list[Attempt], error: TransientError) -> None:
        """The service answers, but with an error: some gateways always do so where they have no list."""
        self._context.log.debug(f"looking up lost submissions: {error}")
        self._put_off(due, max(self._context.timings.list_lag, error.wait or 0.0))
        for attempt in due:
            times = self._unread[attempt.number] = self._unread.get(attempt.number, 0) + 1
            if times < MAX_LIST_ERRORS:
                continue
            if attempt.unconfirmed:
                await self._wait_or_doubt(attempt, f"it cannot be asked for: {error}")
            elif attempt.prediction_id is None:
                await self._wait_or_doubt(attempt, f"the service's list cannot be read ({error})")
            else:
                self._forget_attempt(attempt)

    def _still_lost(self, due: list[Attempt]) -> list[Attempt]:
        """Return those of *due* that only a list can show."""
        return [a for a in due if a.number in self._lost and self._has_no_id(a)]

    def _has_no_id(self, attempt: Attempt) -> bool:
        return attempt.prediction_id is None or attempt.number in self._nameless

    async def _get_known(self, attempt: Attempt) -> None:
        """Ask for a prediction that the service had lost sight of, or that an answer seemed to name."""
        lookup = self._context.lookup
        look = lookup.confirm_prediction if attempt.unconfirmed else lookup.fetch_prediction
        self._nameless.discard(attempt.number)
        try:
            prediction = await look(attempt)
        except NotFound:
            if attempt.unconfirmed:
                self._nameless.add(attempt.number)
            else:
                text = f"the service does not know prediction {attempt.prediction_id}"
                await self._record_doubt(attempt, text)
            return
        if attempt.unconfirmed:
            await self._adopt_prediction(attempt, prediction)
            return
        await self._context.ledger.record_followed_again(attempt)
        self._forget_attempt(attempt)
        self._found(attempt, prediction)

    async def _match_list(self, lost: list[Attempt]) -> None:
        ledger = self._context.ledger
        near = [await ledger.accepted_before(a, seconds=NEAR, limit=WITNESSES) for a in lost]
        since = matching.window_start(zip(lost, near, strict=True), self._context.service.clock_offset)
        pages = PAGES if since is None else WINDOW_PAGES
        listing = await self._context.service.list(created_after=since, pages=pages)
        self._refusals.end()
        # Those given up as doubtful too; asked for before what is claimed, so that none is missed between.
        doubtful = await ledger.open_attempts(RowState.IN_DOUBT)
        shown = {item.id for item in listing.items}
        claimed = await ledger.claimed_seeds([*shown])
        verdict = matching.match_orphans(
            lost,
            listing.items,
            claimed,
            competing=self._find_competing(lost, doubtful),
            complete=listing.complete,
            since=since,
            unlisted=await self._unlisted(lost, near, shown),
        )
        await self._carry_out(verdict, lost, reach=await ledger.last_intent_of(shown) or 0.0)

    def _find_competing(self, lost: list[Attempt], doubtful: list[Attempt]) -> list[Attempt]:
        """Return the other attempts whose predictions may be in a list and are not known yet."""
        mine = {attempt.number for attempt in lost}
        others = (*self._unanswered(), *self._lost.values(), *doubtful)
        return [other for other in others if other.number not in mine and self._has_no_id(other)]

    async def _carry_out(self, verdict: matching.Matching, lost: list[Attempt], *, reach: float) -> None:
        """Do what follows of each; *reach*: when the newest of ours that the list shows was asked for."""
        for attempt in lost:
            if attempt.number in verdict.adopted:
                await self._adopt_prediction(attempt, verdict.adopted[attempt.number])
            elif attempt.number in verdict.absent:
                await self._record_absent(attempt, caught_up=reach >= self._over(attempt))
            else:
                why = UNKNOWN_ID if attempt.unconfirmed else verdict.doubtful[attempt.number]
                await self._wait_or_doubt(attempt, why)

    async def _unlisted(
        self, lost: list[Attempt], near: list[list[Accepted]], shown: Collection[str]
    ) -> dict[int, str]:
        """Return, by an attempt's number, a prediction that a list should show next to it and does not.

        Those accepted just now may be missing: the last look is as much later than the request.
        """
        accepted_by = self._context.clock.now() - max(
            self._context.timings.list_lag, self._context.settings.recover_wait
        )
        hidden: dict[int, str] = {}
        for attempt, before in zip(lost, near, strict=True):
            missing = [one.prediction_id for one in before if one.prediction_id not in shown]
            first = max((one.number for one in before), default=0)
            late = await self._context.ledger.unlisted(shown, first=first, accepted_by=accepted_by)
            if (id_ := next(iter(missing), late)) is not None:
                hidden[attempt.number] = id_
        return hidden

    async def _adopt_prediction(self, attempt: Attempt, prediction: Prediction) -> None:
        prediction = self._context.lookup.name_outputs(attempt, prediction)
        with anyio.CancelScope(shield=True):
            adopted = await self._context.ledger.record_accepted(attempt, prediction)
            self._forget_attempt(attempt)
            self._context.log.notice(
                f"{attempt.id}: its lost submission was found at the service: {prediction.id}"
            )
            self._found(adopted, prediction)

    async def _record_absent(self, attempt: Attempt, *, caught_up: bool) -> None:
        left = self._seconds_left(attempt)
        needed = left if caught_up else left + self._context.settings.recover_wait
        if attempt.absent_at is not None and needed <= 0:
            text = "its submission surely never reached the service"
            await self._context.ledger.record_refused(attempt, text, due_at=0)
            self._context.log.notice(f"{attempt.id}: {text}; it is submitted again")
            self._forget_attempt(attempt)
            self._settled()
            return
        self._lost[attempt.number] = await self._context.ledger.record_absent_once(attempt)
        # What is asked for meanwhile may soon be listed.
        lag = self._context.timings.list_lag
        self._put_off([attempt], left if left > lag else max(lag, min(needed, LOOKS_APART * lag)))

    async def _wait_or_doubt(self, attempt: Attempt, reason: str) -> None:
        left = self._seconds_left(attempt)
        if left > 0:
            # An id costs one small question, a list many pages.
            lag = self._context.timings.list_lag * (10 if attempt.number in self._nameless else 2)
            self._put_off([attempt], min(left, lag) if attempt.unconfirmed else left)
        else:
            named = f"its answer seems to name prediction {attempt.prediction_id}"
            known = named if attempt.unconfirmed else "the answer to its submission was lost"
            await self._record_doubt(attempt, f"{known}, and {reason}")

    async def _record_doubt(self, attempt: Attempt, reason: str) -> None:
        if attempt.number in self._consented:
            self._context.log.notice(f"{attempt.id}: submitted again as you asked, though {reason}")
            await self._context.ledger.record_given_up(attempt)
        else:
            if attempt.state is not RowState.IN_DOUBT:
                self._context.log.notice(f"{attempt.id}: in doubt: {reason}", Level.WARNING)
            await self._context.ledger.record_in_doubt(attempt, reason)
        # Not before its record: with nothing to recover and nothing pending the night would be over.
        self._forget_attempt(attempt)
        self._settled()

    def _seconds_until_over(self, attempt: Attempt) -> float:
        """Return how long it is until the request is surely over: its time-out, and the pause after it."""
        settings = self._context.settings
        # It was sent before now: more is left only by a clock that was set back.
        most = settings.answer_timeout + settings.recover_wait
        left = min(most, self._over(attempt) + settings.recover_wait - self._context.clock.now())
        if matching.clock_drift(attempt, self._context.service.clock_offset) > matching.AGREED:
            # Our clock was put forward: it does not tell how long ago the request was.
            return max(left, settings.recover_wait)
        return left

    def _over(self, attempt: Attempt) -> float:
        """Return when the request is surely over, in seconds since the epoch."""
        # A large body, or a laptop that slept, may have kept it open far beyond its time-out.
        sent_at = attempt.resent_at or attempt.intended_at
        return max(sent_at + self._context.settings.answer_timeout, attempt.lost_at or 0.0)

    def _seconds_left(self, attempt: Attempt) -> float:
        """Return the rest of that time. A clock that is set meanwhile changes nothing of it."""
        return self._over_at[attempt.number] - anyio.current_time()

    def _put_off(self, due: list[Attempt], seconds: float) -> None:
        for attempt in due:
            if attempt.number in self._lost:
                self._look_at[attempt.number] = anyio.current_time() + seconds

    def _forget_attempt(self, attempt: Attempt) -> None:
        self._lost.pop(attempt.number, None)
        self._look_at.pop(attempt.number, None)
        self._over_at.pop(attempt.number, None)
        self._unread.pop(attempt.number, None)
        self._nameless.discard(attempt.number)
        self._unlistable.discard(attempt.number)
