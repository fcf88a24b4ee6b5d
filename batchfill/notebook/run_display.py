"""The bar of a run below the cell of a notebook that runs it."""

from __future__ import annotations

import sys
from collections import deque
from html import escape
from typing import TYPE_CHECKING, Any

from batchfill.console.format import format_count
from batchfill.console.render_progress import PREFIXES, notice_line, percent_ended, progress_line
from batchfill.domain.progress import Level
from batchfill.domain.reports import FinishReport, Summary
from batchfill.notebook.batch_view import finish_html, summary_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.progress import LogEvent, Progress, ProgressListener

    Counter = Callable[[int, int], None]
    """Is told how many are done, and of how many."""

NOTICES = 5
"""Notices that are shown below the bar: the last ones."""


class RunDisplay:
    """A ProgressListener that shows a bar and the last notices; *show* is given all of it as HTML each time.

    With *quiet* only notices that need attention are shown.
    """

    def __init__(self, show: Callable[[str], object], *, quiet: bool = False) -> None:
        self._show, self._quiet = show, quiet
        self._notices: deque[str] = deque(maxlen=NOTICES)
        self._progress: Progress | None = None
        self._counted: tuple[int, int] | None = None
        self._shown = ""

    def notice(self, notice: LogEvent) -> None:
        """Show the notice, unless it is not loud enough."""
        if notice.level in PREFIXES and not (self._quiet and notice.level is Level.INFO):
            self._notices.append(notice_line(notice))
            self._refresh()

    def progress(self, progress: Progress) -> None:
        """Show the present state."""
        self._progress = progress
        self._refresh()

    def count(self, done: int, of: int) -> None:
        """Show that so many rows are done, and of how many."""
        self._counted = done, of
        self._refresh()

    def _refresh(self) -> None:
        html = "".join([self._bar(), *(f"<div>{escape(line)}</div>" for line in self._notices)])
        if html != self._shown:
            self._shown = html
            self._show(html)

    def _bar(self) -> str:
        if self._quiet:
            return ""
        if self._progress is not None:
            return _bar_html(percent_ended(self._progress), progress_line(self._progress))
        if self._counted is not None:
            done, of = self._counted
            return _bar_html(100 * done // max(of, 1), f"{done:,} of {format_count(of, 'row')} looked at")
        return ""


def _bar_html(share: int, line: str) -> str:
    bar = f'<progress max="100" value="{share}" style="width: 100%">{share} %</progress>'
    return f"{bar}<div>{escape(line)}</div>"


def open_display(*, quiet: bool) -> RunDisplay | None:
    """Return what shows a run in the notebook that runs this program; None outside of one.

    Summaries are shown as HTML there from now on.
    """
    shell = _find_shell()
    if shell is None:
        return None
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type(Summary, summary_html)
    formatter.for_type(FinishReport, finish_html)
    return RunDisplay(_Output(), quiet=quiet)


def open_counted_display(
    watch: ProgressListener | None, count: Counter | None, *, quiet: bool
) -> tuple[ProgressListener | None, Counter]:
    """Return *watch* and *count*, or what shows both in the notebook that runs this program."""
    display = open_display(quiet=quiet)
    if display is None:
        return watch, count or (lambda done, of: None)
    return watch or display, count or display.count


def _find_shell() -> Any:
    """Return IPython's shell where it works for a notebook; None in a terminal, and without IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None


class _Output:
    """A place below the cell, made when there is something to show."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(HTML(html))  # type: ignore[no-untyped-call]
