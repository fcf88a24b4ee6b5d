"""Every effect of a run, numbered as it happens; at one of them the process dies."""

from __future__ import annotations

import inspect
import os
import threading
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from batchfill.clock import SystemChance, SystemClock
from batchfill.ledger.import_rows import RowImport
from batchfill.ledger.ledger import Ledger
from batchfill.ledger.payment_record import PaymentRecord
from batchfill.providers.downloads import Download, OutputClient
from batchfill.providers.replicate.client import Service
from batchfill.run.poll.poller import Poller
from batchfill.storage.output_store import OutputStore
from batchfill.storage.run_log import RunLog
from batchfill.workers.pool import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

OWNERS = (
    Ledger,
    RowImport,
    PaymentRecord,
    Service,
    OutputClient,
    Download,
    OutputStore,
    Threads,
    SystemClock,
    SystemChance,
    RunLog,
    Poller,
)
"""What the stages are given, and what these open: nothing else reaches disk or network.

And the stage that asks for predictions, of which the trace tells when it begins to.
"""

QUESTIONS = frozenset(
    {
        "Ledger.load",
        "Ledger.count_rows",
        "Ledger.ending",
        "Ledger.has_pending",
        "Ledger.may_pay",
        "Ledger.wait_for_room",
        "Ledger.in_state",
        "Ledger.judge",
        "Ledger.incoming_among",
        "Ledger.known_files",
        "Ledger.pictured",
        "Ledger.read_record",
        "PaymentRecord.accept",
        "PaymentRecord.forget",
        "PaymentRecord.free",
        "PaymentRecord.intend",
        "PaymentRecord.keep",
        "Ledger.due_rows",
        "Ledger.next_due_at",
        "Ledger.open_attempts",
        "Ledger.row_to_resend",
        "Ledger.download_queue",
        "Ledger.outputs_of",
        "Ledger.to_finish",
        "Ledger.unjudged_jobs",
        "Ledger.claimed_ids",
        "Ledger.claimed_seeds",
        "Ledger.run_times",
        "Ledger.upload_of",
        "Ledger.outputs_in_the_way",
        "Ledger.misnamed_attempts",
        "RowImport.find_duplicates",
        "RowImport.compare_rows",
        "Service.account",
        "Service.container_at",
        "Service.front_page",
        "Service.prediction_address",
        "Poller.add_attempt",
        "Poller.add_all",
        "Poller.serve_polls",
        "Poller.settle_prediction",
        "OutputStore.find_staged",
        "OutputStore.find_kept",
        "OutputStore.spare_path",
        "OutputStore.raw_name",
        "OutputStore.earlier_name",
        "Threads.do",
        "SystemClock.now",
        "SystemChance.seed",
        "SystemChance.key",
        "SystemChance.between",
    }
)
"""What changes nothing outside the process: to die there is to die between two effects."""

BY_CHANCE = frozenset({"Ledger.record_digests", "Service.list"})
"""What happens or not with the speed of the machine: digests of files not brand-new, lists that pay."""

DIED = 9
"""How a process ends that dies at an edge."""


class Edge(NamedTuple):
    """A moment beside one effect."""

    effect: str
    """`Ledger.record_intent`."""
    nth: int = 1
    """Which one, from 1."""
    after: bool = False
    """Once it has returned or raised; else before it begins."""

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.effect} {self.nth}"


class Step(NamedTuple):
    """One effect that began, or was over."""

    effect: str
    nth: int
    after: bool
    about: tuple[str, ...]
    """The ids, file names and addresses that it was given."""


class Effects:
    """Notes what happens in this process, and ends it at an edge."""

    def __init__(self, edge: Edge | None) -> None:
        self.steps: list[Step] = []
        """What has happened, in order."""
        self.last_will: Callable[[], object] = lambda: None
        """What is done at the edge, just before the end."""
        self._edge = edge
        self._begun: Counter[str] = Counter()
        self.lock = threading.RLock()
        """Kept by whoever dies, and by a disk that changes, so that no other thread goes on meanwhile."""

    def watch(self) -> None:
        """Wrap every public method of the owners, for as long as this process lives."""
        for owner in OWNERS:
            for name, method in inspect.getmembers(owner, inspect.isfunction):
                if not name.startswith("_"):
                    setattr(owner, name, self._watched(f"{owner.__name__}.{name}", method))

    @contextmanager
    def around(self, effect: str, *about: str) -> Iterator[None]:
        """Note that *effect* begins, and that it is over however it ends."""
        with self.lock:
            self._begun[effect] += 1
            nth = self._begun[effect]
            self._note(Step(effect, nth, False, about))
        try:
            yield
        finally:
            with self.lock:
                self._note(Step(effect, nth, True, about))

    def _note(self, step: Step) -> None:
        self.steps.append(step)
        if self._edge == (step.effect, step.nth, step.after):
            self.last_will()
            os._exit(DIED)

    def _watched(self, effect: str, method: Callable[..., Any]) -> Callable[..., Any]:
        inside = inspect.unwrap(method)
        if inspect.iscoroutinefunction(method):
            return self._coroutine(effect, method)
        if inside is not method and inspect.isasyncgenfunction(inside):
            return self._opening(effect, method)
        if inspect.isasyncgenfunction(method):
            return self._pieces(effect, method)
        return self._plain(effect, method)

    def _plain(self, effect: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def watched(*given: Any, **named: Any) -> Any:
            with self.around(effect, *_told(given)):
                return method(*given, **named)

        return watched

    def _coroutine(self, effect: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def watched(*given: Any, **named: Any) -> Any:
            with self.around(effect, *_told(given)):
                return await method(*given, **named)

        return watched

    def _opening(self, effect: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """What opens something, for a block of its caller: the effect is the opening."""

        @asynccontextmanager
        async def watched(*given: Any, **named: Any) -> AsyncIterator[Any]:
            opening = method(*given, **named)
            with self.around(effect, *_told(given)):
                opened = await opening.__aenter__()
            try:
                yield opened
            except BaseException as error:
                if not await opening.__aexit__(type(error), error, error.__traceback__):
                    raise
            else:
                await opening.__aexit__(None, None, None)

        return watched

    def _pieces(self, effect: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def watched(*given: Any, **named: Any) -> AsyncIterator[Any]:
            async for piece in method(*given, **named):
                with self.around(effect):
                    yield piece

        return watched


def _told(given: tuple[Any, ...]) -> tuple[str, ...]:
    """Return what a reader of the trace recognises an effect by."""
    named = (getattr(value, "prediction_id", None) or getattr(value, "id", value) for value in given[1:])
    return tuple(name for name in named if isinstance(name, str))
