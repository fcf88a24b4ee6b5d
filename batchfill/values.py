"""The values that travel between the parts: frozen, without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from batchfill.errors import Mistake

Box = tuple[int, int, int, int]
"""Left, top, right, bottom of a part of an upright picture, in pixels; right and bottom are outside of it."""

Input = str | int | float | bool
"""One typed input of a model. Files are strings: a path as written, a URL, or a data URL."""


class RowState(StrEnum):
    """Where a row stands; the words of the ledger, of `status` and of `results`."""

    PENDING = "pending"
    SUBMITTING = "submitting"
    RUNNING = "running"
    COLLECTING = "collecting"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    IN_DOUBT = "in_doubt"


class Outcome(StrEnum):
    """How an attempt ended; decides what it counts for in the cost."""

    OPEN = "open"
    """Submitting, running or in doubt: its price is reserved."""
    SUCCEEDED = "succeeded"
    """Made: spent, whatever becomes of the files."""
    CANCELED = "canceled"
    """May be charged: keeps counting as spent."""
    FAILED = "failed"
    """Not charged: released. `aborted` too."""
    NOTHING_MADE = "nothing_made"
    """Refused, throttled, never sent, or surely absent: released."""


class Decision(StrEnum):
    """What somebody thinks of the pictures of a prediction."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REDO = "redo"
    """To be made anew, as the ruling says."""


MOST_SEED = 2**31 - 1
LONGEST_PROMPT = 100_000
"""Characters; as in a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A decision about the pictures of one prediction.

    The prediction stands for its row: it belongs to one row and one attempt for ever, whatever becomes of
    the manifest meanwhile. Raises ValueError for what cannot be.
    """

    prediction_id: str
    decision: Decision | None
    """None takes back what was decided before."""
    chosen: int | None = None
    """The output that was chosen among several, from 1."""
    prompt: str | None = None
    """For a redo: what to ask for instead; None: the same."""
    seed: int | None = None
    """For a redo, from 1; None: another one, of batchfill's choosing."""
    at: float
    """When it was decided, in seconds since the epoch."""

    def __post_init__(self) -> None:
        if not (self.chosen is None or self.chosen >= 1):
            raise ValueError(f"outputs are counted from 1: {self.chosen} cannot be chosen")
        if self.decision is not Decision.REDO and not (self.prompt is None and self.seed is None):
            raise ValueError("only a redo has a prompt and a seed")
        if not (self.seed is None or 1 <= self.seed <= MOST_SEED):
            raise ValueError(f"a seed is a number from 1 to {MOST_SEED}, not {self.seed}")
        if self.prompt is not None and not (self.prompt.strip() and len(self.prompt) <= LONGEST_PROMPT):
            raise ValueError(f"a prompt must not be empty, nor longer than {LONGEST_PROMPT:,} characters")
        if self.prompt is not None and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in self.prompt):
            raise ValueError("a prompt must not hold a NUL character or half of one: a broken emoji?")


FLAGS = ("blank", "unchanged", "drift", "seam", "duplicate", "size")
"""The words for what may look wrong with a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows a run is to submit beside those that are pending, or instead of them."""

    states: frozenset[RowState] = frozenset()
    decisions: frozenset[Decision] = frozenset()
    flags: frozenset[str] = frozenset()
    """Rows with a picture that is flagged with one of these words, and that nobody has approved."""
    ids: tuple[str, ...] = ()
    """Where any is named, no other row is submitted."""

    def __bool__(self) -> bool:
        return bool(self.states or self.decisions or self.flags or self.ids)


@dataclass(frozen=True, slots=True)
class Redo:
    """How a row that was done before is made anew."""

    prompt: str | None
    """In place of the row's own; None: the row's own."""
    seed: int | None
    """None: one of our own choosing, also where the row fixes one."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Decisions that were left for whoever may write the ledger."""

    name: str
    """Of its file; no other letter ever has it."""
    rulings: tuple[Ruling, ...]


SHORTEST_SECRET = 8
"""Characters of a secret that is looked for in texts: they hold a shorter one by chance."""


class Token:
    """A secret that shows nowhere: not in repr, str, format, pickle, an attribute or an error."""

    __slots__ = ("reveal",)

    reveal: Callable[[], str]
    """Returns the secret itself; only for the Authorization header of a request to the user's base."""

    def __init__(self, secret: str) -> None:
        # In a function, since whatever shows an object shows its attributes.
        self.reveal = lambda: secret

    def __repr__(self) -> str:
        return "Token(…)"

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: object) -> Token:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a token does not travel")


class Stamp(NamedTuple):
    """What tells that a file is the one that was read, without reading it.

    Size and time survive when another file is copied over it; the time of change and the number do not. They
    are new after a link, a move or a restore too: then the file is read again, which costs nothing else.
    """

    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int = 0
    """0: not known."""
    inode: int = 0

    @classmethod
    def of(cls, facts: os.stat_result) -> Stamp:
        """Return the stamp of the file that *facts* are about."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local input file as it was when the manifest was read."""

    path: Path
    """Absolute."""
    stamp: Stamp
    sha256: str
    """64 hex digits of the content."""


class NamedFile(NamedTuple):
    """A local file as a row names it, and as it was when the manifest was read."""

    address: str
    """As it stands in the manifest, whose folder it is relative to."""
    path: str
    """Absolute, links followed."""
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Row:
    """One validated line of a manifest."""

    position: int
    """0-based place among the rows."""
    line: int
    """1-based line of the file where the row begins."""
    id: str | None
    """As given; None when the ledger is to make one from stem and key."""
    stem: str
    """What a made id begins with: the image's stem, made safe."""
    inputs: Mapping[str, Input]
    """Typed values as given by cells and the user's defaults, by the model's input names."""
    files: Mapping[str, LocalFile]
    """The local files among the inputs, by input name."""
    extra: Mapping[str, str]
    """Columns that are only carried to the results."""
    fingerprint: str
    """64 hex digits: what the row asks for."""
    outputs_asked: int
    price: int | None
    """Of one attempt, in millionths of the currency; None where no price is known."""


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
    """http(s) or data URLs, in order."""
    error: str | None = None
    data_removed: bool = False
    """The service no longer has the outputs."""
    input: Mapping[str, Any] | None = None
    """As echoed; None when absent or already removed."""
    predict_time: float | None = None
    """Seconds."""
    seed: int | None = None
    """From the input, else from `Using seed: N` in the logs."""

    TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

    @property
    def ended(self) -> bool:
        """Whether the status is terminal; unknown words count as running."""
        return self.status in self.TERMINAL


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row asks for."""

    inputs: Mapping[str, Input]
    files: Mapping[str, LocalFile]


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of a finished row, as it was put in its place."""

    id: str
    """The row's id."""
    line: int
    attempt: int
    """The number of the attempt that made it."""
    price: int | None
    """Of one attempt of the row, in millionths; None where no price is known."""
    file: str
    """Relative to the batch folder, with forward slashes."""
    size: int
    sha256: str
    n: int
    """1-based, among the outputs of its attempt."""


INLINE = "sha256:"
"""How the note of a file begins that was sent inside the request."""


def inline_note(content: bytes, data_url: str) -> str:
    """Return what stands for *data_url* in notes: the digest of its *content*, and its own length."""
    return f"{INLINE}{sha256(content).hexdigest()}:{len(data_url)}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One intention to pay, with the row it is for and what has become of it."""

    number: int
    """Unique in the ledger, in the order of the intents."""
    key: str
    id: str
    """The row's id."""
    line: int
    state: RowState
    """The row's."""
    seed: int | None
    own_seed: bool
    """Chosen by us, so unique in the ledger; False when the row fixed it or the model has none."""
    origin: str
    """The base it was sent to."""
    sent: Mapping[str, Any]
    """The input as sent, except that long data URLs are replaced by their SHA-256."""
    outputs_asked: int
    intended_at: float
    """Seconds since the epoch by our clock."""
    service_time: float | None
    """The service's clock at the intent, where it was known."""
    anchor: str | None
    """The prediction accepted last before the intent."""
    prediction_id: str | None = None
    created_at: float | None = None
    """When the prediction was made, by the service's clock."""
    lost_at: float | None = None
    """When its answer was given up."""
    accepted_at: float | None = None
    ended_at: float | None = None
    """When we learned of the terminal status."""
    absent_at: float | None = None
    """When a look first found it surely absent."""
    acknowledged: bool = False
    """An answer said that it was taken, without an id that could be used."""
    cancel_asked: str | None = None
    """`time-out` or `user`."""
    tries: int = 1
    """Attempts of the row that counted, this one included, since the last consent."""
    area: Box | None = None
    """What was sent of the picture; None: all of it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A prediction of ours, and when it was asked for and made, each by the clock that said so."""

    number: int
    """Of its attempt."""
    prediction_id: str
    created_at: float | None
    """As the service's records have it."""
    service_time: float | None
    """As the service's answers had it at the intent."""
    intended_at: float
    """By our clock."""


@dataclass(frozen=True, slots=True)
class Collectable:
    """An attempt that succeeded, and whose outputs are to be fetched now."""

    attempt: Attempt
    outputs: tuple[Output, ...]
    """In order; none where the service named none."""
    asked: Asked


@dataclass(frozen=True, slots=True)
class ToCollect:
    """What there is to fetch."""

    due: tuple[Collectable, ...]
    """Oldest first."""
    oldest: float | None
    """Since when the oldest row waits, due or put off; seconds since the epoch."""
    next_at: float | None
    """When the next one that was put off comes due."""


@dataclass(frozen=True, slots=True)
class Due:
    """A row whose turn it is to be prepared and submitted."""

    key: str
    id: str
    line: int
    inputs: Mapping[str, Input]
    files: Mapping[str, LocalFile]
    outputs_asked: int
    price: int | None
    tries: int
    """Attempts that counted so far, since the last consent."""
    redo: Redo | None = None
    """How it is made anew; None: as the row says."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Money of a whole batch, in millionths of the currency; None where no price is known."""

    spent: int | None
    reserved: int | None
    to_go: int | None
    cap: int | None
    currency: str = "USD"
    rehearsal: bool = False
    """At the service's prices, but nobody is charged: the embedded provider serves."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running batch stands, for the person who watches."""

    counts: Mapping[RowState, int]
    """Rows of the manifest by state; every state is there."""
    gone: Mapping[RowState, int]
    """Rows no longer in the manifest, by state; only states that have any."""
    cost: Cost
    elapsed: float
    """Seconds since this run began."""
    finished_now: int
    """Rows that this run brought to an end."""
    seconds_left: float | None
    """None while unknown."""
    rate: float | None
    """Rows a minute over the last minutes; None while unknown."""
    waiting_for: str | None = None
    """Why nothing is being submitted right now, in words for a person."""
    last_failure: str | None = None
    run_time: float | None = None
    """Seconds that a prediction is expected to take; None while unknown."""

    @property
    def total(self) -> int:
        """Rows of the manifest."""
        return sum(self.counts.values())


class Weight(StrEnum):
    """How loud a notice is."""

    QUIET = "quiet"
    """For run.log only."""
    PLAIN = "plain"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened and that a person may want to know now."""

    at: float
    """Seconds since the epoch."""
    text: str
    weight: Weight = Weight.PLAIN


@dataclass(frozen=True, slots=True)
class Status:
    """Where a batch stands, as `status --json` prints it."""

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
    extra: Mapping[str, str]


class FindingKind(StrEnum):
    """What a finding about a picture or a mask is about, the worst first."""

    UNREADABLE = "unreadable"
    """No picture, damaged, or too large."""
    ANIMATED = "animated"
    """Several pictures or pages in one file."""
    EMPTY = "empty"
    """The mask fills nothing."""
    FULL = "full"
    """The mask fills everything."""
    ALPHA = "alpha"
    """Transparency that holds the mask's shape, or that is ignored."""
    SHAPE = "shape"
    """The mask has other proportions than its picture, once both are upright."""
    POLARITY = "polarity"
    """The mask fills so much that it may be meant the other way round."""
    SPECKS = "specks"
    """Next to nothing of the mask is left at the size at which the model works."""
    GREY = "grey"
    """Most of the mask is neither black nor white."""
    TURNED = "turned"
    """EXIF turns the file, and it is sent as it is."""
    SIZE = "size"
    """The mask has its picture's proportions and another size."""
    UNFETCHED = "unfetched"
    """It is at an address and could not be fetched."""
    MODE = "mode"
    """A palette, 16 bits, CMYK, floating point: the model sees something else than is stored."""
    SOFT = "soft"
    """The mask's edges fade over several pixels."""


class Gravity(StrEnum):
    """What a finding asks of a person."""

    MISTAKE = "mistake"
    """The row cannot be run like this."""
    WARNING = "warning"
    """It looks wrong: see to it before paying."""
    NOTE = "note"
    """It is right, and good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a picture or a mask that is worth knowing before paying."""

    kind: FindingKind
    gravity: Gravity
    text: str
    """For a person; begins with the name of the file."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and the rows that it is about."""

    finding: Finding
    line: int
    """Of the first such row."""
    id: str
    """Of that row as given, else what its id will begin with."""
    rows: int
    """How many rows share the files."""


class Scale(NamedTuple):
    """The sizes of a picture on its way to the model, in pixels, upright."""

    picture: tuple[int, int]
    area: tuple[int, int] | None
    """Of the part around the mask that is sent; None: the whole picture is."""
    generated: tuple[int, int] | None
    """At which the model works; None where its rule is not known."""


@dataclass(frozen=True, slots=True)
class ScaleCount:
    """The rows that have one scale."""

    scale: Scale
    rows: int
    first: tuple[tuple[str, float | None], ...]
    """Id, and the share of the picture that is filled where it is known, of the first few."""
    least: float | None
    """The smallest known share that is filled."""
    most: float | None


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What looking at every picture and mask has brought to light."""

    found: tuple[Found, ...] = ()
    """Warnings and notes (mistakes stand among the mistakes), the worst first."""
    left_out: int = 0
    """Warnings and notes beyond those, a row with two of them counted twice."""
    kinds: Mapping[FindingKind, int] = field(default_factory=dict)
    """How many rows have a finding of each kind, mistakes too; only kinds that any has, the worst first."""
    scales: tuple[ScaleCount, ...] = ()
    """The most frequent first."""
    other_scales: int = 0
    """Rows whose scale is none of those."""
    remote: int = 0
    """Files at addresses that were not looked at."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A row of the manifest with its pictures, as the review shows it."""

    result: Result
    files: Mapping[str, LocalFile]
    """The local files among its inputs, by input name."""
    outputs: tuple[Output, ...]
    """Those in place, of the attempt that counts."""
    earlier: tuple[Output, ...]
    """Those in place of other attempts, newest first."""
    ended_at: float | None
    """When we learned that the attempt that counts had ended."""
    run_time: float | None
    """Seconds that it took, by the service's clock."""
    redo_prompt: str | None = None
    """What a redo is to ask for instead; None: the same."""
    redo_seed: int | None = None


class Ended(NamedTuple):
    """An attempt that came to an end."""

    begun_at: float
    """The intent; seconds since the epoch by our clock, as *at*."""
    at: float
    outcome: Outcome
    price: int | None
    """In millionths; None where no price is known."""
    run_time: float | None
    """Seconds, by the service's clock."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found without paying."""

    rows: int
    """Rows without a mistake."""
    finished: int
    """Of those, done already."""
    mistakes: tuple[Mistake, ...]
    """The first hundred."""
    more_mistakes: int
    warnings: tuple[str, ...]
    price_to_go: int | None
    currency: str
    seconds: float | None
    """A guess at the time for the rows to go."""
    model: str
    outputs_to_go: int
    notes: tuple[str, ...] = ()
    """What an online check or a check of the outputs said, line by line."""
    file: str = ""
    """The name of the file that holds the rows."""
    pictures: PictureReport = field(default_factory=PictureReport)


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
    """Rows that are done and are made anew (a part of *to_go*)."""
    edited: int = 0
    """Rows that are made with another prompt than the manifest's (a part of *to_go*)."""


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
    skipped: int = 0


class Event(StrEnum):
    """What `--notify` tells of."""

    ENDED = "ended"
    """Nothing is left to do."""
    STOPPED = "stopped"
    """Work is left, and nothing goes on with it."""
    STALLED = "stalled"
    """The run goes on, but nothing has moved for long."""


@dataclass(frozen=True, slots=True)
class News:
    """What a notification tells."""

    event: Event
    manifest: str
    """The name of its file."""
    counts: Mapping[RowState, int]
    """Rows of the manifest by state; every state is there."""
    cost: Cost
    elapsed: float
    """Seconds since the run began."""
    reason: str | None = None
    """Why it stopped, or what it waits for, where that is known."""


class Watcher(Protocol):
    """Who is told what a run does; calls must return at once."""

    def notice(self, notice: Notice) -> None:
        """Something happened."""

    def progress(self, progress: Progress) -> None:
        """The present state; called a few times a second, the last call after the end."""


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
