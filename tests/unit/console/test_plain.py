from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from batchfill.console.plain import Plain
from batchfill.domain.progress import Level, LogEvent, Progress
from batchfill.domain.rows import RowState

States = Callable[..., dict[RowState, int]]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.mark.parametrize(
    ("quiet", "lines"),
    [
        (False, ["adopted 3 rows", "warning: slowed down", "error: disk full"]),
        (True, ["warning: slowed down", "error: disk full"]),
    ],
)
def test_notices_are_printed_when_loud_enough(stream: io.StringIO, quiet: bool, lines: list[str]) -> None:
    plain = Plain(stream, quiet=quiet)
    plain.notice(LogEvent(0, "request 71", Level.DEBUG))
    plain.notice(LogEvent(0, "adopted 3 rows"))
    plain.notice(LogEvent(0, "slowed down", Level.WARNING))
    plain.notice(LogEvent(0, "disk full", Level.ERROR))
    assert stream.getvalue().splitlines() == lines


def test_verbose_lines_hold_what_is_for_the_log_too(stream: io.StringIO) -> None:
    plain = Plain(stream, verbose=True)
    plain.notice(LogEvent(0, "r1: accepted as p1 (attempt 1)", Level.DEBUG))
    assert stream.getvalue() == "r1: accepted as p1 (attempt 1)\n"


def test_json_lines_are_objects_whatever_they_say(
    stream: io.StringIO, progress: Callable[..., Progress], by_state: States
) -> None:
    plain = Plain(stream, as_json=True)
    plain.notice(LogEvent(0, 'said "no"\n\x1b[31m é', Level.WARNING))
    plain.progress(progress(counts=by_state(pending=10_000)))
    plain.progress(progress())
    notice, told = (json.loads(line) for line in stream.getvalue().splitlines())
    assert notice == {"at": "1970-01-01T00:00:00Z", "level": "warning", "text": 'said "no" \x1b[31m é'}
    assert (told["level"], told["counts"]["done"], told["cost"]["spent"]) == ("info", 6300, 3.6)
    assert told["text"].startswith("63 %: 6,300 of 10,000 rows done")


def test_a_notice_stays_on_one_line_without_control_characters(stream: io.StringIO) -> None:
    Plain(stream).notice(LogEvent(0, "failed: \x1b[31m<html>\n<body>"))
    assert stream.getvalue() == "failed:  [31m<html> <body>\n"


def test_a_progress_line_tells_rows_pace_and_money(
    stream: io.StringIO, progress: Callable[..., Progress], by_state: States
) -> None:
    plain = Plain(stream)
    plain.progress(progress(counts=by_state(pending=10_000)))
    plain.progress(progress(waiting_for="the service asked for a pause of 30 s"))
    assert stream.getvalue() == (
        "63 %: 6,300 of 10,000 rows done, 12 failed, 56.1 rows a minute, 1 h 05 min left, $3.60 paid, "
        "waiting: the service asked for a pause of 30 s\n"
    )


@pytest.mark.parametrize(
    ("done", "lines"),
    [
        ([0, 1, 2, 5, 9], 0),
        ([0, 10], 1),
        ([0, 10, 11, 19, 20], 2),
        ([0, 100], 1),
        (range(101), 10),
    ],
)
def test_a_progress_line_comes_with_each_tenth_of_the_rows(
    stream: io.StringIO, progress: Callable[..., Progress], by_state: States, done: Any, lines: int
) -> None:
    plain = Plain(stream)
    for number in done:
        plain.progress(progress(counts=by_state(done=number, pending=100 - number), elapsed=0))
    assert stream.getvalue().count("\n") == lines


def test_a_progress_line_comes_each_minute_even_when_nothing_moves(
    stream: io.StringIO, progress: Callable[..., Progress]
) -> None:
    plain = Plain(stream)
    for elapsed in range(0, 301, 10):
        plain.progress(progress(elapsed=float(elapsed)))
    assert stream.getvalue().count("\n") == 5


def test_quiet_prints_no_progress(stream: io.StringIO, progress: Callable[..., Progress]) -> None:
    plain = Plain(stream, quiet=True)
    for elapsed in (0, 100, 200):
        plain.progress(progress(elapsed=elapsed))
    assert stream.getvalue() == ""
