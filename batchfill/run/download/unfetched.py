"""Outputs that could not be fetched: which are tried again and which are given up. Needs no clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from batchfill.domain.duration import format_duration
from batchfill.domain.predictions import GONE, of_each
from batchfill.errors import (
    BadPicture,
    MachineFailed,
    NotFound,
    OutputRefused,
    ServiceRefused,
    StorageError,
    TransientError,
)
from batchfill.providers.downloads import SignatureWanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchfill.domain.predictions import Output, Prediction
    from batchfill.domain.rows import DownloadJob
    from batchfill.errors import BatchfillError

UNFETCHED = (TransientError, BadPicture, SignatureWanted, NotFound, OutputRefused, ServiceRefused)
"""What fetching one output raises, and what takes no other output along."""

OF_THIS_MACHINE = (StorageError, MachineFailed)
"""Those that say nothing about the service, or its output."""

ENOUGH = 5
"""Fresh looks at the prediction that change nothing, after which what will not come is given up."""


LOOKS_FOR_ANY = 6
"""Looks at a prediction that names no outputs, at least, before its row is given up."""

LOOKS_FOR_MORE = 3
"""Fresh looks at a prediction that names fewer outputs than were asked for, before it goes on with those."""


NONE_NAMED = "the service calls it succeeded, so it may have been paid for, but names no picture of it"


class Step(Enum):
    """What is done about an output that could not be fetched."""

    AGAIN = "try again"
    LOST = "go on without it"
    LEFT = "leave it to the next run"


@dataclass(slots=True)
class Unfetched:
    """What this run knows of the outputs of one row that it could not fetch."""

    tries: int = 0
    """How often some of them could not be fetched."""
    renewed: bool = False
    """Whether the last look brought a new address, which was then tried without waiting."""
    looks: int = 0
    """Fresh looks that brought fewer outputs than were asked for."""
    since: float | None = None
    """When the first of them was, in seconds since the epoch."""
    _schedule: int = 0
    _repeated: Counter[int] = field(default_factory=Counter)
    """By output: looks in a row that brought the same address, its query aside."""

    def may_name_any(self, now: float, late: float) -> bool:
        """Count a look at *now* that brought no output; whether the service may still name one.

        *late*: seconds for which it may lag behind.
        """
        self.looks += 1
        self.since = now if self.since is None else self.since
        return self.looks < LOOKS_FOR_ANY or now < self.since + late

    def may_name_more(self, named: int, asked: int) -> bool:
        """Whether the service may still name more than *named* outputs of *asked*: some lag behind."""
        return named < asked and self.looks < LOOKS_FOR_MORE

    def looked(self, outputs: Sequence[Output], urls: Mapping[int, str]) -> None:
        """The service was asked afresh for the addresses of *outputs*, now *urls* by their numbers."""
        self._schedule += 1
        for output in outputs:
            # A signature is another one each time.
            same = output.url.partition("?")[0] == urls[output.n].partition("?")[0]
            self._repeated[output.n] = self._repeated[output.n] + 1 if same else 0

    def next_step(self, n: int, error: BatchfillError, *, over: bool, siblings: bool) -> Step:
        """Return what to do about output *n*, which the service still names.

        *over*: the hour is, for which the service keeps it. *siblings*: other outputs of the row are there.
        """
        if isinstance(error, OutputRefused) and self._repeated[n] >= ENOUGH:
            return Step.LOST
        if isinstance(error, BadPicture) and error.foreign is not None:
            # It came, it is kept, and it will be no other the next time.
            return Step.LOST
        if not over or self._schedule < ENOUGH:
            return Step.AGAIN
        if isinstance(error, OF_THIS_MACHINE):
            return Step.LEFT
        if isinstance(error, OutputRefused | SignatureWanted | NotFound | BadPicture) or siblings:
            return Step.LOST
        return Step.LEFT


def is_removed(prediction: Prediction, errors: Iterable[BatchfillError], *, over: bool) -> bool:
    """Whether the service has removed what *errors* kept from being fetched.

    That a prediction names no outputs may only lag behind: it counts where an output was not found either,
    or the hour is *over*.
    """
    if prediction.data_removed:
        return True
    return not prediction.outputs and (over or any(isinstance(error, NotFound) for error in errors))


def why_none(prediction: Prediction, late: float) -> str:
    """Return why a row is given up whose *prediction* succeeded, and named no output for *late* seconds."""
    said = f"the service says: {prediction.filtered}" if prediction.filtered else "it gives no reason"
    return f"{NONE_NAMED} within {format_duration(late)}; {said}"


def why_lost(error: BatchfillError, kept_until: float) -> str:
    """Return why an output is given up, which the service keeps until then (seconds since the epoch)."""
    if isinstance(error, NotFound):
        return GONE
    if not isinstance(error, OutputRefused):
        return str(error)
    until = datetime.fromtimestamp(kept_until).astimezone().strftime("%H:%M")
    return f"{error}. It was paid for, and the service removes it about {until}: fetch it yourself"


def why_unfetched(one: DownloadJob, failed: Mapping[int, BatchfillError]) -> str:
    """Return why outputs could not be fetched; by number, where the row has others."""
    reasons = {n: str(error) for n, error in failed.items()}
    return of_each(reasons) if len(one.outputs) > 1 else reasons[one.outputs[0].n]
