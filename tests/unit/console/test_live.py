from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from batchfill.console.live import Live, render_view
from batchfill.domain.progress import Level, LogEvent, Progress
from batchfill.domain.reports import Cost
from batchfill.domain.rows import RowState

States = Callable[..., dict[RowState, int]]


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, record=True, color_system=None)


def lines_of(console: Console) -> list[str]:
    return [line.rstrip() for line in console.export_text().splitlines()]


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_region_tells_bar_pace_rows_and_money(
    console: Console, progress: Callable[..., Progress]
) -> None:
    console.print(render_view(progress()))
    bar, *rest = lines_of(console)
    assert bar.endswith("63 %  6,312 of 10,000")
    assert bar.startswith("━━━")
    assert rest == [
        "56.1 rows a minute · 1 h 05 min left · 1 h 40 min so far",
        "32 running · 3,656 waiting · 12 failed",
        "$3.60 paid · $0.08 reserved · at most $25.00",
    ]


def test_the_region_tells_trouble_and_what_is_awaited(
    console: Console, progress: Callable[..., Progress], by_state: States
) -> None:
    console.print(
        render_view(
            progress(
                counts=by_state(done=1, submitting=1, collecting=2, expired=1, in_doubt=2),
                cost=Cost(None, None, None, None),
                last_failure="hero: NSFW content detected",
                waiting_for="the second look for 2 rows",
                seconds_left=None,
                rate=None,
            )
        )
    )
    assert lines_of(console)[1:] == [
        "1 h 40 min so far",
        "1 running · 2 to fetch · 0 waiting · 0 failed · 1 expired · 2 in doubt",
        "price unknown",
        "last failure: hero: NSFW content detected",
        "waiting: the second look for 2 rows",
    ]


def test_a_long_failure_takes_one_line_and_its_markup_is_text(
    console: Console, progress: Callable[..., Progress]
) -> None:
    console.print(
        render_view(progress(last_failure="[link=https://example.com]here[/link] \x1b[2J " + "x" * 200))
    )
    last = lines_of(console)[-1]
    assert last.startswith("last failure: [link=https://example.com]here[/link]  [2J xxx")
    assert last.endswith("…")
    assert len(last) == 80


def test_no_line_is_wider_than_a_narrow_terminal(progress: Callable[..., Progress]) -> None:
    console = Console(file=io.StringIO(), width=30, record=True)
    console.print(render_view(progress(last_failure="猫" * 50)))
    assert all(len(line) <= 30 for line in lines_of(console))


def test_notices_stay_above_the_region_which_vanishes_at_the_end(
    console: Console, progress: Callable[..., Progress]
) -> None:
    with Live(console) as live:
        live.progress(progress())
        live.notice(LogEvent(0, "adopted 3 rows"))
        live.notice(LogEvent(0, "[red]slowed[/red] \x1b[2Jdown", Level.WARNING))
        live.notice(LogEvent(0, "request 71", Level.DEBUG))
    text = printed(console)
    assert "adopted 3 rows" in text
    assert "warning: [red]slowed[/red]  [2Jdown" in text
    assert "\x1b[2J" not in text
    assert "request 71" not in text
    assert "6,312 of 10,000" in text
    # The last thing written moves up over the region's lines and erases them.
    assert "\x1b[1A\x1b[2K" in text.rpartition("at most $25.00")[2]


def test_before_the_first_progress_the_region_says_that_it_starts(console: Console) -> None:
    with Live(console):
        pass
    assert "starting …" in printed(console)


def test_an_error_inside_leaves_the_terminal_with_its_cursor(console: Console) -> None:
    with pytest.raises(KeyboardInterrupt), Live(console):
        raise KeyboardInterrupt
    text = printed(console)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
