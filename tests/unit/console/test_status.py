from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.console.format import format_time
from batchfill.console.status import status_json, status_lines
from batchfill.domain.reports import Cost, Doubt, Status
from batchfill.domain.rows import RowState

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = "batchfill run night.csv"


def test_a_stopped_batch_says_where_it_stands_and_how_to_go_on(status: Callable[..., Status]) -> None:
    assert status_lines(status(stopped_because="the cap was reached"), command=RUN) == [
        "night.csv: not running",
        "black-forest-labs/flux-fill-dev at https://api.replicate.com/v1",
        "100 rows: 10 pending, 90 done",
        "$3.60 paid, $0.08 reserved for what runs or is in doubt, $0.40 to go, at most $25.00",
        f"begun {format_time(1_763_850_000)}",
        f"last change {format_time(1_763_850_061)}",
        "ended early: the cap was reached",
        "to go on: batchfill run night.csv",
    ]


def test_a_running_batch_is_not_told_how_to_go_on(status: Callable[..., Status]) -> None:
    lines = status_lines(status(running=True), command=RUN)
    assert lines[0] == "night.csv: running now"
    assert not any("to go on" in line for line in lines)


def test_a_row_in_doubt_is_explained_with_its_price_and_every_way_out(
    status: Callable[..., Status], doubt: Doubt, by_state: Callable[..., dict[RowState, int]]
) -> None:
    lines = status_lines(
        status(counts=by_state(in_doubt=2), doubts=(doubt, replace(doubt, id="b", line=None, seed=None))),
        command=RUN,
    )
    sent = format_time(1_763_850_000)
    assert lines[-11:] == [
        "in doubt: 2 rows, sent without an answer: made and paid for, or not",
        f"  hero (line 12), sent {sent}, seed 41, $0.08: connection reset",
        f"  b, sent {sent}, $0.08: connection reset",
        "  they are not sent again unless you say so; to leave them so costs nothing more:",
        "    the provider's page of predictions, by time, seed and prompt",
        "      shows whether they were made; costs nothing",
        "    batchfill run night.csv",
        "      looks for them at the service once more; costs nothing",
        "    batchfill run night.csv --retry in-doubt",
        f"      not at once: a service may make them minutes after {sent}, when the last was lost",
        "      sends them again: costs $0.16 and pays twice for each that was made after all",
    ]


@pytest.mark.parametrize(("known", "which"), [(2, "them"), (1, "1 of them")])
def test_rows_in_doubt_whose_keys_are_honoured_are_said_to_be_sent_again_by_the_next_start(
    status: Callable[..., Status],
    doubt: Doubt,
    by_state: Callable[..., dict[RowState, int]],
    known: int,
    which: str,
) -> None:
    until = 1_763_932_800.0
    doubts = [replace(doubt, resent_until=until if n < known else None) for n in range(2)]
    lines = status_lines(status(counts=by_state(in_doubt=2), doubts=tuple(doubts)), command=RUN)
    assert (
        "  they are not sent again with new keys unless you say so; to leave them so costs nothing more:"
        in lines
    )
    assert (
        f"      sends {which} again with the keys they had, until {format_time(until)}; the provider makes "
        "nothing twice, as --idempotent said"
    ) in lines
    assert lines[-1].startswith("      sends them again with new keys: costs $0.16 and pays twice")


def test_sending_again_what_may_still_be_made_is_not_offered_without_saying_so(
    status: Callable[..., Status], by_state: Callable[..., dict[RowState, int]], doubt: Doubt
) -> None:
    lost = tuple(replace(doubt, lost_at=1_763_850_060.0 + n) for n in (0, 60, 30))
    lines = status_lines(status(counts=by_state(in_doubt=3), doubts=lost), command=RUN)
    (warning,) = [line for line in lines if "not at once" in line]
    assert format_time(1_763_850_120) in warning
    assert lines.index(warning) == lines.index(f"    {RUN} --retry in-doubt") + 1


def test_the_price_of_doubts_that_are_not_listed_is_not_hidden(
    status: Callable[..., Status], doubt: Doubt, by_state: Callable[..., dict[RowState, int]]
) -> None:
    lines = status_lines(status(counts=by_state(in_doubt=150), doubts=(doubt,) * 100), command=RUN)
    assert "… and 130 more rows" in lines
    assert "costs more than $8.00" in lines[-1]


def test_doubts_without_a_price_say_so(
    status: Callable[..., Status], doubt: Doubt, by_state: Callable[..., dict[RowState, int]]
) -> None:
    unpriced = replace(doubt, price=None)
    lines = status_lines(status(counts=by_state(in_doubt=1), doubts=(unpriced,)), command=RUN)
    assert "costs their price, which is unknown," in lines[-1]


def test_rows_that_left_the_manifest_before_anything_was_made_are_not_worth_a_line(
    status: Callable[..., Status],
) -> None:
    assert not any(
        "manifest" in line for line in status_lines(status(gone={RowState.PENDING: 3}), command=RUN)[1:]
    )


def test_a_row_in_doubt_that_left_the_manifest_is_explained_too(
    status: Callable[..., Status], doubt: Doubt
) -> None:
    lines = status_lines(status(gone={RowState.IN_DOUBT: 1}, doubts=(doubt,)), command=RUN)
    assert "no longer in the manifest: 1 in doubt" in lines
    assert any(line.startswith("in doubt: 1 row") for line in lines)


def test_failures_are_grouped_most_frequent_first(
    status: Callable[..., Status], by_state: Callable[..., dict[RowState, int]]
) -> None:
    failed = status(counts=by_state(failed=10), reasons={"CUDA\nout of memory": 3, "NSFW": 7})
    lines = status_lines(failed, command=RUN)
    at = lines.index("failed: 10 rows")
    assert lines[at + 1 : at + 3] == ["  7 rows: NSFW", "  3 rows: CUDA out of memory"]
    assert lines[-1] == "to try failed rows again: batchfill run night.csv --retry failed"


def test_status_json_has_every_state_money_in_units_and_times_in_utc(status: Callable[..., Status]) -> None:
    value = status_json(status(gone={RowState.DONE: 3, RowState.FAILED: 0}))
    assert json.loads(json.dumps(value)) == value
    assert value == {
        "manifest": "night.csv",
        "model": "black-forest-labs/flux-fill-dev",
        "base": "https://api.replicate.com/v1",
        "running": False,
        "counts": {
            "total": 100,
            "pending": 10,
            "submitting": 0,
            "running": 0,
            "collecting": 0,
            "done": 90,
            "failed": 0,
            "canceled": 0,
            "expired": 0,
            "in_doubt": 0,
        },
        "gone": {"done": 3},
        "cost": {"spent": 3.6, "reserved": 0.08, "to_go": 0.4, "cap": 25.0, "currency": "USD"},
        "started_at": "2025-11-22T22:20:00Z",
        "updated_at": "2025-11-22T22:21:01Z",
        "stopped_because": None,
    }


def test_what_is_not_known_is_null_in_status_json(status: Callable[..., Status]) -> None:
    value = status_json(status(started_at=None, cost=Cost(None, None, None, None)))
    assert value["started_at"] is None
    assert value["cost"] == {"spent": None, "reserved": None, "to_go": None, "cap": None, "currency": "USD"}


def test_a_batch_whose_starts_were_all_refused_is_said_to_have_none(status: Callable[..., Status]) -> None:
    lines = status_lines(status(model="", base="", started_at=None), command=RUN)
    assert lines[1] == "no run has begun: each start was refused before its first row"
