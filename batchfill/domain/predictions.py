"""The service's record of an attempt, and the files that it made."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """The service's record of an attempt, read defensively: every field but id and status may be missing."""

    id: str
    status: str
    """The service's own word; see `ended`."""
    created_at: float | None = None
    """Seconds since the epoch by the service's clock, as the other times here."""
    started_at: float | None = None
    completed_at: float | None = None
    outputs: tuple[str, ...] = ()
    """Addresses, some of them relative, and data URLs, in order."""
    error: str | None = None
    data_removed: bool = False
    """The service no longer has the outputs."""
    input: Mapping[str, Any] | None = None
    """As echoed; None when absent or already removed."""
    predict_time: float | None = None
    """Seconds."""
    seed: int | None = None
    """From the input, else from `Using seed: N` in the logs."""
    certain: bool = True
    """Whether its id stood in the documented place of an answer; else asking for it has to confirm it."""
    filtered: str | None = None
    """The service's own words that its filter left pictures out."""

    TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

    @property
    def ended(self) -> bool:
        """Whether the status is terminal; unknown words count as running."""
        return self.status in self.TERMINAL

    def run_time(self, *, at_most: float) -> float | None:
        """Return how long it took, in seconds by the service's times; None where it does not tell them.

        *at_most*: seconds since it was asked for. A gateway may tell one time by its own clock and the other
        by the service's, and hours between them. Where it is negative our clock was set back, and nothing is
        known.
        """
        if self.completed_at is None or self.created_at is None or at_most < 0:
            return None
        return max(0.0, min(self.completed_at - self.created_at, at_most))


@dataclass(frozen=True, slots=True)
class Upload:
    """A file given to the provider."""

    url: str
    expires_at: float | None
    """Seconds since the epoch by the service's clock."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a whole, decoded picture file."""

    format: str
    """Pillow's word: PNG, JPEG, WEBP, …"""
    suffix: str
    """With its dot, by content: `.png`, `.jpg`, `.webp`."""
    width: int
    """Pixels after EXIF rotation, as the height."""
    height: int
    mode: str
    """Pillow's mode of the stored picture."""
    plain: bool = False
    """Whether it was decoded, and every pixel is the same."""
    rotated: bool = False
    """Whether it was read as an input, and EXIF turns or mirrors it."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file of a prediction."""

    prediction_id: str
    n: int
    """1-based."""
    url: str
    planned: str | None = None
    """Where a file that was fetched whole is about to be put; as *file*."""
    file: str | None = None
    """Relative to the batch folder, with forward slashes; None until it is in place."""
    size: int | None = None
    sha256: str | None = None
    raw: str | None = None
    """Where the output is kept as the service sent it, when the file was made of it; as *file*."""
    raw_sha256: str | None = None
    finished_with: str | None = None
    """JSON of the settings that the file was finished with."""
    flags: tuple[str, ...] | None = None
    """What looks wrong with it; None: not judged."""
    lost: str | None = None
    """Why it will not come; None: it is there, or may still come."""
    finished_as: str | None = None
    """How the file was finished: `jpeg-blocks`, or a format, and why it is not what was asked for."""

    @property
    def is_fetched(self) -> bool:
        """Whether there is a file of it, as it was sent or finished."""
        return self.file is not None or self.raw is not None


def match_addresses(outputs: Sequence[Output], urls: Sequence[str]) -> dict[int, str]:
    """Return the address of each output by its number, now that the service names *urls*.

    The order of *urls* may be another one each time, so an address belongs to the output that had it before,
    with another query if need be. The others go in order to the outputs that are left, then to new ones.
    Where fewer are named than before, there is no telling which is which: those outputs stay as they were.
    What was fetched keeps the address that it was fetched from, but for its query.
    """
    found: dict[int, str] = {}
    left: dict[int, str] = dict(enumerate(urls))
    for part in (str, _without_query):
        waiting: defaultdict[str, deque[int]] = defaultdict(deque)
        for place, url in left.items():
            waiting[part(url)].append(place)
        for output in outputs:
            if output.n not in found and (places := waiting.get(part(output.url))):
                found[output.n] = left.pop(places.popleft())
    unmatched = [output for output in outputs if output.n not in found]
    rest = [*left.values()] if len(urls) >= len(outputs) else [output.url for output in unmatched]
    numbers = [*(output.n for output in unmatched), *range(len(outputs) + 1, len(urls) + 1)]
    found.update(zip(numbers, rest, strict=True))
    return found | {output.n: output.url for output in unmatched if output.is_fetched}


def _without_query(url: str) -> str:
    # A signature is another one each time.
    return url.partition("?")[0]


OWN_ID = "unnamed-"
"""Before the ids that batchfill gives to predictions whose service gave them none."""


def own_id(number: int, seed: int | None) -> str:
    """Return the id of the prediction without one that an attempt's answer held."""
    return f"{OWN_ID}{number}-{seed or 0}"


def is_own_id(id_: str) -> bool:
    """Whether no service knows a prediction by *id_*."""
    return id_.startswith(OWN_ID)


LEFT_OUT = "the service left the others out"
REMOVED = "the service has removed the others"
"""What became of pictures that were asked for and are not there."""

GONE = "the service has removed it"
"""The same of one of them, as the ledger keeps it."""

TOLD = 4
"""Outputs whose reasons are told one by one."""


def told_lost(outputs: Sequence[Output], asked: int) -> str | None:
    """Return how many pictures a row is without, and why; None when it has all that it *asked* for."""
    lost = {output.n: output.lost for output in outputs if output.lost is not None}
    there, asked = len(outputs) - len(lost), max(asked, len(outputs))
    return None if there == asked else f"{there} of {asked} pictures: {_reason(lost)}"


def _reason(lost: Mapping[int, str]) -> str:
    if not lost:
        return LEFT_OUT
    return REMOVED if set(lost.values()) == {GONE} else of_each(lost)


def of_each(reasons: Mapping[int, str]) -> str:
    """Return the *reasons* of outputs, by their numbers, in one line: the first of them."""
    told = [f"output {n}: {why}" for n, why in islice(sorted(reasons.items()), TOLD)]
    more = [f"and {len(reasons) - TOLD} more"] if len(reasons) > TOLD else []
    return "; ".join(told + more)
