from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchfill.console.render_check import check_json, check_lines
from batchfill.domain.reports import FinishRate, ShownPrompt
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


@pytest.mark.parametrize(
    ("rate", "line"),
    [
        (FinishRate(263.4, 600, at_most=False), "this machine finishes 260 a minute, the pace is 600"),
        (FinishRate(12_345, 600, at_most=False), "this machine finishes 12,000 a minute, the pace is 600"),
        (FinishRate(7.5, 3000, at_most=False), "this machine finishes 8 a minute, the pace is 3,000"),
        (FinishRate(0.2, 600, at_most=False), "this machine finishes 1 a minute, the pace is 600"),
        (
            FinishRate(150, 600, at_most=True),
            "this machine finishes fewer than 150 a minute, the pace is 600",
        ),
    ],
)
def test_what_the_machine_finishes_is_told_next_to_the_pace(
    report: Callable[..., CheckReport], rate: FinishRate, line: str
) -> None:
    checked = report(finish_rate=rate)
    assert check_lines(checked)[-1] == line
    assert check_json(checked)["finish_rate"] == {
        "rows": rate.rows,
        "pace": rate.pace,
        "at_most": rate.at_most,
    }


def test_an_unknown_price_says_how_to_give_one(report: Callable[..., CheckReport]) -> None:
    assert "--price AMOUNT" in check_lines(report(price_to_go=None))[-1]


def test_a_mistake_that_quotes_escape_sequences_is_harmless(report: Callable[..., CheckReport]) -> None:
    mistake = Mistake(Path("night.csv"), 3, "unknown column \x1b[2Jid")
    assert check_lines(report(mistakes=(mistake,)))[0] == "night.csv:3: unknown column  [2Jid"


def test_rows_that_share_a_mistake_are_one_line_and_all_are_counted(
    report: Callable[..., CheckReport],
) -> None:
    shared = [Mistake(Path("night.csv"), n, f"cause {n}", rows=2) for n in range(2, 24)]
    lines = check_lines(report(rows=1, mistakes=tuple(shared), more_mistakes=5))
    assert lines[0] == "night.csv:2: 2 rows: cause 2"
    assert lines[20:22] == ["… and 9 more mistakes", "1 row right, 49 mistakes"]


def test_prompts_are_shown_as_they_are_sent(report: Callable[..., CheckReport]) -> None:
    shown = (ShownPrompt(2, "hero", " a cat\x1b[2J,\n asleep"),)
    assert check_lines(report(prompts=shown))[0] == "prompt of hero: a cat [2J,  asleep"
    assert check_json(report(prompts=shown))["prompts"] == [
        {"line": 2, "id": "hero", "text": " a cat\x1b[2J,\n asleep"}
    ]
