from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batchfill.console.render_check import check_lines
from batchfill.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.reports import CheckReport


def test_a_manifest_without_mistakes_is_told_in_two_lines(report: Callable[..., CheckReport]) -> None:
    assert check_lines(report()) == [
        "10,000 rows, no mistakes",
        "10,000 pictures to make with black-forest-labs/flux-fill-dev: about $400.00, about 1 h 05 min",
    ]


def test_mistakes_come_first_and_the_unlisted_are_counted(report: Callable[..., CheckReport]) -> None:
    mistakes = tuple(Mistake(Path("/jobs/night.csv"), n, "prompt is empty") for n in range(2, 22))
    lines = check_lines(report(rows=9_975, mistakes=mistakes, more_mistakes=5))
    assert lines[0] == "night.csv:2: prompt is empty"
    assert lines[19:22] == [
        "night.csv:21: prompt is empty",
        "… and 5 more mistakes",
        "9,975 rows right, 25 mistakes",
    ]


def test_warnings_and_notes_stand_before_the_totals(report: Callable[..., CheckReport]) -> None:
    lines = check_lines(report(warnings=("a.png: polarity",), notes=("provider: answers",), finished=1))
    assert lines[:4] == [
        "warning: a.png: polarity",
        "provider: answers",
        "10,000 rows, no mistakes",
        "1 done already",
    ]


def test_where_nothing_is_to_be_made_nothing_is_said_of_cost_and_time(
    report: Callable[..., CheckReport],
) -> None:
    assert check_lines(report(rows=3, finished=3, outputs_to_go=0)) == [
        "3 rows, no mistakes",
        "3 done already",
    ]


def test_an_unknown_price_says_how_to_give_one(report: Callable[..., CheckReport]) -> None:
    assert "--price AMOUNT" in check_lines(report(price_to_go=None))[-1]


def test_a_mistake_that_quotes_escape_sequences_is_harmless(report: Callable[..., CheckReport]) -> None:
    mistake = Mistake(Path("night.csv"), 3, "unknown column \x1b[2Jid")
    assert check_lines(report(mistakes=(mistake,)))[0] == "night.csv:3: unknown column  [2Jid"
