"""What a run shows in a terminal: a region that is drawn again four times a second."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live as Region
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchfill.console.format import format_money, format_paid, safe_text, state_word
from batchfill.console.render_progress import TROUBLE, ended_rows, notice_line, pace_facts, percent_ended
from batchfill.console.title import Title
from batchfill.domain.duration import format_duration
from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import RenderableType

    from batchfill.domain.progress import LogEvent, Progress
    from batchfill.domain.reports import Cost

A_SECOND = 4
_STYLES = {Level.INFO: "", Level.WARNING: "yellow", Level.ERROR: "bold red"}
_RUNNING = (RowState.SUBMITTING, RowState.RUNNING)


class Live:
    """A values.Watcher and a context manager: while it is open, its region stays below all notices.

    A terminal that is gone is no reason to stop fetching: what cannot be shown any more is left to run.log.
    """

    def __init__(self, console: Console | None = None, *, name: str = "") -> None:
        """*console*: standard error when None; *name*: what the terminal's title tells the progress of."""
        self._console = console or Console(stderr=True)
        self._title = Title(self._console, name)
        self._progress: Progress | None = None
        self._region = self._new_region()

    def __enter__(self) -> Self:
        self._title.keep_title()
        self._region.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._region.stop()
        self._title.give_back()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the region away while something else is printed or asked."""
        self._region.stop()
        yield
        # A region that was stopped remembers its height, and would draw over what came after it.
        self._region = self._new_region()
        self._region.start()

    def notice(self, notice: LogEvent) -> None:
        """Print the notice above the region; those for run.log only are left to it."""
        if notice.level in _STYLES:
            with suppress(OSError):
                self._console.print(Text(notice_line(notice), style=_STYLES[notice.level]))

    def progress(self, progress: Progress) -> None:
        """Remember the state for the next drawing."""
        self._progress = progress
        self._title.show_progress(f"{percent_ended(progress)} %")

    def _new_region(self) -> Region:
        return Region(
            console=self._console,
            get_renderable=self._render_view,
            refresh_per_second=A_SECOND,
            transient=True,
            # Standard output belongs to the command's results.
            redirect_stdout=False,
        )

    def _render_view(self) -> RenderableType:
        return Text("starting …") if self._progress is None else render_view(self._progress)


def render_view(progress: Progress) -> RenderableType:
    """Return the region: bar, pace, rows, money; then the last failure and what is awaited, if any."""
    lines = [_render_pace(progress), _render_rows(progress), _render_money(progress.cost)]
    if progress.last_failure:
        lines.append(Text(f"last failure: {safe_text(progress.last_failure)}", style="red"))
    if progress.waiting_for:
        lines.append(Text(f"waiting: {safe_text(progress.waiting_for)}", style="yellow"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(_render_bar(progress), *lines)


def _render_bar(progress: Progress) -> Table:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(ratio=1)
    table.add_column(no_wrap=True)
    figures = f"{percent_ended(progress)} %  {ended_rows(progress):,} of {progress.total:,}"
    table.add_row(ProgressBar(total=max(progress.total, 1), completed=ended_rows(progress)), figures)
    return table


def _render_pace(progress: Progress) -> Text:
    return Text(" · ".join([*pace_facts(progress), f"{format_duration(progress.elapsed)} so far"]))


def _render_rows(progress: Progress) -> Text:
    counts = progress.counts
    line = Text(f"{sum(counts[state] for state in _RUNNING):,} running")
    if counts[RowState.COLLECTING]:
        line.append(f" · {counts[RowState.COLLECTING]:,} to fetch")
    line.append(f" · {counts[RowState.PENDING]:,} waiting")
    for state in TROUBLE:
        if counts[state] or state is RowState.FAILED:
            line.append(f" · {counts[state]:,} {state_word(state)}", style="red" if counts[state] else "")
    return line


def _render_money(cost: Cost) -> Text:
    if not cost.known:
        return Text("price unknown")
    parts = [format_paid(cost), f"{format_money(cost.reserved or 0, cost.currency)} reserved"]
    if cost.cap is not None:
        parts.append(f"at most {format_money(cost.cap, cost.currency)}")
    return Text(" · ".join(parts))
