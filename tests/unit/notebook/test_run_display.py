from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.progress import Level, LogEvent, Progress
from batchfill.domain.reports import Cost
from batchfill.notebook import run_display
from batchfill.notebook.run_display import NOTICES, RunDisplay, open_display
from tests.support.reports import counts_of

if TYPE_CHECKING:
    from batchfill.domain.progress import ProgressListener

HALF = Progress(
    counts=counts_of(done=5, failed=1, pending=4),
    gone={},
    cost=Cost(spent=200_000, reserved=0, to_go=160_000, cap=None),
    elapsed=60.0,
    finished_now=6,
    seconds_left=40.0,
    rate=6.0,
    waiting_for="<b>busy</b>",
)


def test_the_bar_says_what_a_terminal_says_escaped() -> None:
    shown: list[str] = []
    display: ProgressListener = RunDisplay(shown.append)
    display.progress(HALF)
    display.progress(HALF)
    (html,) = shown
    assert '<progress max="100" value="60"' in html
    assert "60 %: 5 of 10 rows done, 1 failed, 6.0 rows a minute, 40 s left, $0.20 paid" in html
    assert "waiting: &lt;b&gt;busy&lt;/b&gt;" in html


def test_the_last_notices_stand_below_the_bar_but_for_those_of_the_log() -> None:
    shown: list[str] = []
    display = RunDisplay(shown.append)
    display.notice(LogEvent(0.0, "only for run.log", Level.DEBUG))
    assert shown == []
    for n in range(NOTICES + 2):
        display.notice(LogEvent(0.0, f"row {n} <img src=x>", Level.WARNING))
    assert shown[-1].count("<div>warning: row") == NOTICES
    assert "row 1 " not in shown[-1]
    assert "row 6 &lt;img src=x&gt;" in shown[-1]


def test_quiet_shows_only_what_needs_attention() -> None:
    shown: list[str] = []
    display = RunDisplay(shown.append, quiet=True)
    display.progress(HALF)
    display.notice(LogEvent(0.0, "going on"))
    assert shown == []
    display.notice(LogEvent(0.0, "the disk is full", Level.ERROR))
    assert shown == ["<div>error: the disk is full</div>"]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["no shell", "IPython in a terminal"])
def test_outside_of_a_notebook_nothing_is_shown(shell: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert open_display(quiet=False) is None


def test_without_ipython_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert open_display(quiet=False) is None
    assert "IPython" not in vars(run_display)
