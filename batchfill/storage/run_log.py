"""What a run says: to who watches, and to run.log."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from batchfill.domain.json_objects import json_line
from batchfill.domain.progress import TEXT_LOG, Level, LogEvent, LogStyle
from batchfill.errors import UsageError
from batchfill.regular_files import open_to_append

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.clock import Clock
    from batchfill.domain.progress import ProgressListener
    from batchfill.storage.inbox import AppliedDecisions

RUN_LOG = "run.log"
"""Its name in the batch folder."""


class RunLog:
    """Passes notices on, and keeps all of them in run.log."""

    def __init__(
        self, log: IO[str], watcher: ProgressListener | None, clock: Clock, style: LogStyle = TEXT_LOG
    ) -> None:
        self._log = log
        self._watcher = watcher
        self._clock = clock
        self._style = style
        self.last_failure: str | None = None

    def notice(self, text: str, weight: Level = Level.INFO) -> None:
        """Tell *text* to the listener and to the log."""
        notice = LogEvent(self._clock.now(), text, weight)
        # A full disk must not keep what was paid for from being recorded and fetched.
        with suppress(OSError):
            self._log.write(json_line(notice) if self._style.as_json else _text_line(notice))
        if self._watcher and (self._style.verbose or weight is not Level.DEBUG):
            self._watcher.notice(notice)

    def debug(self, text: str) -> None:
        """Write *text* to the log only."""
        self.notice(text, Level.DEBUG)

    def row_failed(self, id_: str, reason: str) -> None:
        """A row failed."""
        self.last_failure = f"{id_}: {reason}"
        self.notice(self.last_failure, Level.WARNING)


def _text_line(notice: LogEvent) -> str:
    at = datetime.fromtimestamp(notice.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at} {notice.level.value:7} {' '.join(notice.text.split())}\n"


def log_applied_decisions(say: RunLog, taken: AppliedDecisions) -> None:
    """Say what came of the decisions that waited in the inbox."""
    if taken.rulings:
        say.debug(f"{taken.rulings} decisions taken from the inbox")
    for name in taken.damaged:
        say.notice(f"inbox/{name} holds no decisions that can be read: set aside as .damaged", Level.WARNING)


def tell_lack(say: RunLog, lack: str | None) -> None:
    """Say once that the ledger waits for room on the disk, and once that it has it."""
    if lack is None:
        say.notice("the ledger can be written again")
    else:
        say.notice(f"{lack}. Nothing more is submitted until then", Level.WARNING)


@contextmanager
def open_run_log(
    path: Path, watcher: ProgressListener | None, clock: Clock, style: LogStyle = TEXT_LOG
) -> Iterator[RunLog]:
    """Open run.log, a line written as it is said. Raises UsageError when it cannot be written."""
    try:
        log = os.fdopen(open_to_append(path), "a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; check folder and disk") from error
    try:
        yield RunLog(log, watcher, clock, style)
    finally:
        with suppress(OSError):
            log.close()
