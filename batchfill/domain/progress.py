"""What a run tells while it goes on: progress, log events, notifications."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.reports import Cost
    from batchfill.domain.rows import RowState


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a running batch, for the person who watches."""

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


class Level(StrEnum):
    """How loud a notice is."""

    DEBUG = "quiet"
    """For run.log only."""
    INFO = "plain"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that happened and that a person may want to know now."""

    at: float
    """Seconds since the epoch."""
    text: str
    level: Level = Level.INFO


@dataclass(frozen=True, slots=True)
class LogStyle:
    """How a log is written, and what of it is told to a listener."""

    verbose: bool = False
    """A listener is told what is for the log only, too."""
    as_json: bool = False
    """Each line is a JSON object."""


TEXT_LOG = LogStyle()


class NotificationKind(StrEnum):
    """What `--notify` tells of."""

    ENDED = "ended"
    """Nothing is left to do."""
    STOPPED = "stopped"
    """Work is left, and nothing goes on with it."""
    STALLED = "stalled"
    """The run goes on, but nothing has moved for long."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a notification tells."""

    event: NotificationKind
    manifest: str
    """The name of its file."""
    counts: Mapping[RowState, int]
    """Rows of the manifest by state; every state is there."""
    cost: Cost
    elapsed: float
    """Seconds since the run began."""
    reason: str | None = None
    """Why it stopped, or what it waits for, where that is known."""


class ProgressListener(Protocol):
    """Who is told what a run does; calls must return at once."""

    def notice(self, notice: LogEvent) -> None:
        """Something happened."""

    def progress(self, progress: Progress) -> None:
        """The present state; called a few times a second, the last call after the end."""
