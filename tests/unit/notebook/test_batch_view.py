from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchfill import Batch
from batchfill.domain.reports import Cost, Status, Summary
from batchfill.errors import LedgerError
from batchfill.notebook.batch_view import batch_html, summary_html
from tests.support.reports import counts_of

if TYPE_CHECKING:
    from typing import Any

NOT_PAID = Cost(spent=0, reserved=0, to_go=400_000, cap=None)
NOWHERE = Path("/nowhere/night.batch")


def status(**changes: Any) -> Status:
    usual: dict[str, Any] = {
        "manifest": "night.csv",
        "model": "o/m",
        "base": "https://api.test",
        "running": False,
        "counts": counts_of(pending=9, failed=1),
        "gone": {},
        "cost": NOT_PAID,
        "started_at": None,
        "updated_at": None,
        "stopped_because": None,
    }
    return Status(**usual | changes)


def test_texts_of_a_service_are_escaped_and_a_batch_without_pictures_has_no_wall() -> None:
    said = "<img src=x onerror=alert(1)> & more"
    html = batch_html(lambda: status(stopped_because=said, reasons={said: 1}), Path("a b"), NOWHERE, {})
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt; &amp; more") == 2
    assert "to go on: batchfill run &#x27;a b&#x27;" in html
    assert "figure" not in html


def test_what_cannot_be_read_is_shown_in_words() -> None:
    def refuse() -> Status:
        raise LedgerError("it is <damaged>\nrestore a copy")

    html = batch_html(refuse, Path("night.csv"), NOWHERE, {})
    assert "it is &lt;damaged&gt;</div>" in html
    assert ">restore a copy</div>" in html


@pytest.mark.parametrize(
    ("flags", "command"),
    [
        ({}, "batchfill run night.csv"),
        ({"local": True}, "batchfill run night.csv --local"),
        ({"out": "elsewhere"}, "batchfill run night.csv --out elsewhere"),
    ],
)
def test_the_command_that_goes_on_is_that_of_this_batch(
    flags: dict[str, Any], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batch, "status", lambda batch: status())
    assert f">to go on: {command}<" in Batch.open("night.csv", **flags)._repr_html_()


@pytest.mark.parametrize("rehearsal", [False, True])
def test_the_command_that_goes_on_with_a_rehearsal_pays_nothing(rehearsal: bool) -> None:
    summary = Summary(
        exit_code=3,
        counts=counts_of(pending=9, done=1),
        gone={},
        cost=Cost(spent=40_000, reserved=0, to_go=0, cap=None, rehearsal=rehearsal),
        reasons={},
        doubts=(),
        stopped_because=None,
        folder=str(NOWHERE),
        submitted_now=1,
        finished_now=1,
        elapsed=1.0,
        requests=3,
    )
    go_on = "batchfill run MANIFEST --local<" if rehearsal else "batchfill run MANIFEST<"
    assert f">to go on: {go_on}" in summary_html(summary)
