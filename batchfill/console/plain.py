"""What a run says in a pipe, a file or with --quiet: few lines, no control characters."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, TextIO

from batchfill.console.render_progress import ended_rows, notice_line, progress_line
from batchfill.domain.json_objects import amounts_object, counts_object, json_line
from batchfill.domain.progress import Level, LogEvent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from batchfill.domain.progress import Progress

EVERY_PART = 10
"""A progress line when a tenth of the rows has ended since the last one …"""
EVERY_SECONDS = 60.0
"""… or so much time has passed."""


class Plain:
    """A listener that prints lines to *stream* (standard error).

    *quiet*: only what needs attention; *verbose*: what is for run.log, too; *as_json*: as JSON objects.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        verbose: bool = False,
        as_json: bool = False,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._shown = {Level.WARNING, Level.ERROR}
        self._shown |= set() if quiet else {Level.INFO}
        self._shown |= {Level.DEBUG} if verbose else set()
        self._as_json = as_json
        self._last: Progress | None = None

    def notice(self, notice: LogEvent) -> None:
        """Print the notice on one line, unless it is not loud enough."""
        if notice.level in self._shown:
            self._print_line(json_line(notice) if self._as_json else f"{notice_line(notice)}\n")

    def progress(self, progress: Progress) -> None:
        """Print a line when there is enough to say since the last; the first call only begins the count."""
        if self._last is None:
            self._last = progress
        if not self._quiet and _worth_a_line(progress, self._last):
            self._last = progress
            self._print_line(self._progress_line(progress))

    def _progress_line(self, progress: Progress) -> str:
        line = progress_line(progress)
        if not self._as_json:
            return f"{line}\n"
        cost = {**amounts_object(progress.cost), "currency": progress.cost.currency}
        return json_line(LogEvent(time.time(), line), counts=counts_object(progress.counts), cost=cost)

    def paused(self) -> AbstractContextManager[None]:
        """Plain lines are in no way while something else is printed or asked."""
        return nullcontext()

    def _print_line(self, line: str) -> None:
        try:
            print(line, end="", file=self._stream, flush=True)
        except OSError:
            # The reader has gone, which is no reason to stop fetching; run.log has it all.
            return


def _worth_a_line(now: Progress, last: Progress) -> bool:
    more = ended_rows(now) - ended_rows(last)
    return more * EVERY_PART >= max(now.total, 1) or now.elapsed - last.elapsed >= EVERY_SECONDS
