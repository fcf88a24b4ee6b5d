"""What commands answer: cost, status, results, plan, summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from batchfill.domain.findings import PictureReport
from batchfill.domain.money import CURRENCY
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.enlargement import Enlargement
    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.offers import ProviderCheck
    from batchfill.domain.review import Decision
    from batchfill.domain.rows import Outcome, RedoRule
    from batchfill.errors import Mistake


@dataclass(frozen=True, slots=True)
class Cost:
    """Money of a whole batch, in millionths of the currency; None where no price is known."""

    spent: int | None
    reserved: int | None
    to_go: int | None
    cap: int | None
    currency: str = CURRENCY
    rehearsal: bool = False
    """At the service's prices, but free: the local emulator serves."""

    @property
    def known(self) -> bool:
        """Whether every picture that was made, may have been made, or is to be made has a price."""
        return None not in (self.spent, self.reserved, self.to_go)


@dataclass(frozen=True, slots=True)
class Status:
    """State of a batch, as `status --json` prints it."""

    manifest: str
    model: str
    base: str
    running: bool
    """A runner holds the lock."""
    counts: Mapping[RowState, int]
    gone: Mapping[RowState, int]
    cost: Cost
    started_at: float | None
    updated_at: float | None
    stopped_because: str | None
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Failure reasons and how many rows have each, most frequent first."""
    doubts: tuple[Doubt, ...] = ()
    """The rows in doubt (the first hundred), for the explanation."""
    failed_made: int = 0
    """Failed rows whose pictures the service made: trying them again pays for them again."""

    @property
    def still_running(self) -> int:
        """How many predictions may still run at the service."""
        return self._having(RowState.RUNNING, RowState.SUBMITTING)

    @property
    def in_doubt(self) -> int:
        """How many rows may have been made and paid for without our knowing."""
        return self._having(RowState.IN_DOUBT)

    def _having(self, *states: RowState) -> int:
        return sum(counts.get(state, 0) for counts in (self.counts, self.gone) for state in states)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row that may have been paid for."""

    id: str
    line: int | None
    intended_at: float
    price: int | None
    reason: str
    seed: int | None = None
    """What it is known by among the service's predictions; None where the model takes none."""
    lost_at: float | None = None
    """When its answer was given up, in seconds since the epoch."""
    answer: str | None = None
    """The beginning of the answer, where one came that was not understood."""
    keyed: bool = False
    """Whether its create could be sent again with its own key, at a provider that honours and knows it."""
    resent_until: float | None = None
    """Until when a start does so, in seconds since the epoch; None: none does."""


@dataclass(frozen=True, slots=True)
class Result:
    """One row of `results`."""

    id: str
    line: int | None
    state: RowState
    image: str
    mask: str
    prompt: str
    outputs: tuple[str, ...]
    """Relative to the batch folder."""
    seed: int | None
    prediction_id: str | None
    attempts: int
    cost: int | None
    """Millionths of the currency; None where no price is known."""
    error: str | None
    flags: tuple[str, ...]
    """What looks wrong with its pictures, each word once; none too where nothing was judged."""
    decision: Decision | None
    """About the outputs named here; None: not decided, or taken back."""
    chosen: int | None
    """Which of the prediction's outputs was chosen, from 1."""
    finished_as: tuple[str, ...]
    """How each of the outputs was finished; none where they are as the service sent them."""
    changed_inputs: Mapping[str, Any]
    """What its outputs were made of in place of its own inputs, but for the prompt; None: the default."""
    extra: Mapping[str, str]


class ReviewFile(NamedTuple):
    """A file among a row's inputs, as it was when the manifest was read."""

    path: str
    """Absolute, or the address of an object."""
    sha256: str
    """64 hex digits of the content, or what stands for that of an object."""
    remote: ObjectFile | None = None
    """The object, where it is one."""


class ReviewPicture(NamedTuple):
    """An output in its place."""

    n: int
    """From 1."""
    file: str
    """Relative to the batch folder, with forward slashes."""
    sha256: str
    flags: tuple[str, ...]
    """What looks wrong with it; none too where it was not judged."""
    finished_as: str | None = None


class ReviewRow(NamedTuple):
    """A row of the manifest with its pictures, as the review shows it."""

    result: Result
    files: Mapping[str, ReviewFile]
    """The local files among its inputs, by input name."""
    outputs: tuple[ReviewPicture, ...]
    """Those in place, of the attempt that counts."""
    earlier: tuple[ReviewPicture, ...]
    """Those in place of other attempts, newest first."""
    ended_at: float | None
    """When we learned that the attempt that counts had ended."""
    run_time: float | None
    """Seconds that it took, by the service's clock."""
    redo_prompt: str | None = None
    """What a redo is to ask for instead; None: the same."""
    redo_seed: int | None = None
    redo_inputs: Mapping[str, str] | None = None
    """Other inputs that it is to change, as cells hold them; None: as they were changed before."""
    enlargement: Enlargement | None = None
    """How its picture is enlarged."""
    inputs: Mapping[str, Any] = {}
    """What its pictures were made of besides pictures, prompt and seed; no address."""


class RowWords(NamedTuple):
    """What a row is searched by, besides its id."""

    prompt: str
    seed: int | None
    inputs: Mapping[str, Any]
    """As the review shows them."""
    extra: Mapping[str, str]
    """The columns that are only carried."""


class EndedAttempt(NamedTuple):
    """An attempt that came to an end."""

    begun_at: float
    """The intent; seconds since the epoch by our clock, as *at*."""
    at: float
    outcome: Outcome
    price: int | None
    """In millionths; None where no price is known."""
    run_time: float | None
    """Seconds, by the service's clock."""


class ShownPrompt(NamedTuple):
    """One prompt as it is sent."""

    line: int
    """Of the first row that has it."""
    id: str
    """Of that row as given, else what its id will begin with."""
    text: str
    """No more than its beginning, where it is long."""


class FinishRate(NamedTuple):
    """What this machine can finish of a batch, next to what is submitted."""

    rows: float
    """A minute, prepared, finished and judged; those that are not finished here take no time."""
    pace: float
    """Rows that are submitted a minute, at most."""
    at_most: bool
    """Whether it is slower than *rows*: the trial of a row was not waited for."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found without paying."""

    rows: int
    """Rows without a mistake."""
    finished: int
    """Of those, done already."""
    mistakes: tuple[Mistake, ...]
    """One of each cause, the worst first; a hundred at most."""
    more_mistakes: int
    """Mistakes of other causes."""
    warnings: tuple[str, ...]
    price_to_go: int | None
    currency: str
    seconds: float | None
    """A guess at the time for the rows to go."""
    model: str
    outputs_to_go: int
    notes: tuple[str, ...] = ()
    """What an online check or a check of the outputs said, line by line."""
    provider: ProviderCheck | None = None
    """What an online check found out; None without one."""
    lost: int | None = None
    """Files of finished rows that are missing or damaged; None: the files were not compared."""
    file: str = ""
    """The name of the file that holds the rows."""
    pictures: PictureReport = field(default_factory=PictureReport)
    redo: RedoRule | None = None
    """Which rows a run would make again by itself."""
    price_redo: int | None = 0
    """What that costs at most; no part of *price_to_go*."""
    prompts: tuple[ShownPrompt, ...] = ()
    """A few of them, all different."""
    finish_rate: FinishRate | None = None
    """None: nothing is finished here, or it could not be tried."""


@dataclass(frozen=True, slots=True)
class FinishReport:
    """What `finish` did to rows that are done and ask for finished pictures."""

    finished: int
    unchanged: int
    """Finished before, and just so."""
    failed: int
    """Left as they were; why was told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about to do, known before the first payment."""

    model: str
    base: str
    rows: int
    """Rows of the manifest (without skipped ones)."""
    to_go: int
    """Rows that would be submitted."""
    outputs_to_go: int
    finished: int
    """Rows that are done and stay as they are."""
    open: int
    """Rows that an earlier run left submitting, running or collecting."""
    in_doubt: int
    skipped: int
    """Rows with mistakes, left out because of --skip-bad."""
    changed: int
    """Finished rows whose line was changed, so that they run again (a part of *to_go*)."""
    price_to_go: int | None
    price_changed: int | None
    """What running the changed rows again costs (a part of *price_to_go*)."""
    cost: Cost
    seconds: float | None
    """A guess at the time for the rows to go."""
    warnings: tuple[str, ...] = ()
    missing: int = 0
    """Finished rows without their files, which are fetched again where the service still has them."""
    price_missing: int | None = 0
    """What making those again would cost; no part of *price_to_go*."""
    again: int = 0
    """Rows that are done and are made again (a part of *to_go*)."""
    edited: int = 0
    """Rows that are made with another prompt than the manifest's (a part of *to_go*)."""
    changed_inputs: int = 0
    """Rows that are made with other inputs than the manifest's (a part of *to_go*)."""
    redo: RedoRule | None = None
    """Which rows are made again by themselves."""
    price_redo: int | None = 0
    """What that costs at most; no part of *price_to_go*."""
    until: float | None = None
    """Seconds until the time that --until names."""
    origins: tuple[str, ...] = ()
    """Lines of settings that were said neither with the command nor in the manifest."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended."""

    exit_code: int
    counts: Mapping[RowState, int]
    gone: Mapping[RowState, int]
    cost: Cost
    reasons: Mapping[str, int]
    doubts: tuple[Doubt, ...]
    stopped_because: str | None
    folder: str
    """The batch folder."""
    submitted_now: int
    finished_now: int
    elapsed: float
    requests: int
    """API requests of this run, output fetches not counted."""
    throttled: float = 0.0
    """Seconds for which the service made creates wait."""
    held: float = 0.0
    """Seconds for which nothing was submitted because finished pictures had to be fetched first."""
    peak_memory: int | None = None
    """Bytes that the process took at most; None where the system does not say."""
    failed_made: int = 0
    """As the status has it."""
    skipped: int = 0
    root: str | None = None
    """Where `outputs` is, where that is not the batch folder: the address of --outputs."""


class Which(StrEnum):
    """Whose pictures are exported."""

    APPROVED = "approved"
    """Rows that were approved; of their outputs only the chosen one, where one was chosen."""
    ALL = "all"
    """Every row that is done."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export has brought about."""

    folder: str
    which: Which
    rows: int
    copied: int
    """Pictures, as the three that follow."""
    linked: int
    there: int
    """They were in their places already, with the same content."""
    changed: int
    """Of those three, worked on since they were fetched, and exported as they are now."""
    size: int
    """Bytes copied."""
    table: str
    """The name of the table, in the folder."""
    no_links: str | None
    """Why pictures were copied that were to be linked."""
    unmarked: int
    """Linked pictures that do not say that AI edited them, as copies would."""
    originals: int = 0
    """Pictures and masks of the batch that are in the same folder."""
    running: bool = False
    """Whether a run works on the batch, so that more pictures will come."""
