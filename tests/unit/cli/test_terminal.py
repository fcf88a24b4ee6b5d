"""Who watches a run, live or in plain lines; and what a command leaves to what it starts."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.cli.terminal import confirm_agreed, open_batch, open_watcher
from batchfill.console.live import Live
from batchfill.errors import UsageError
from tests.support.reports import PLAN

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "r8_for_tests_only"


class Screen(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "quiet", "live"),
    [
        (Screen, {}, False, True),
        (Screen, {}, True, False),
        (io.StringIO, {}, False, False),
        (Screen, {"TERM": "dumb"}, False, False),
        (Screen, {"CI": "true"}, False, False),
        (Screen, {"CI": "1"}, False, False),
        (Screen, {"CI": "false"}, False, True),
    ],
)
def test_a_live_view_is_for_a_person_at_a_terminal_that_can_show_it(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    environ: dict[str, str],
    *,
    quiet: bool,
    live: bool,
) -> None:
    monkeypatch.setattr("sys.stderr", stream())
    for name in ("CI", "TERM"):
        monkeypatch.setenv(name, environ.get(name, ""))
    with open_watcher(quiet=quiet) as watch:
        assert isinstance(watch, Live) is live


def test_what_a_command_starts_later_gets_no_secret_and_all_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = {
        "BATCHFILL_TOKEN": TOKEN,
        "REPLICATE_API_TOKEN": TOKEN,
        "CF_TOKEN": TOKEN,
        "COPY": f"Bearer {TOKEN}",
    }
    plain = {"PATH": f"/opt/{TOKEN}/bin", "AWS_REGION": "eu", "BATCHFILL_RATE": "5"}
    for name, value in {**secret, **plain, "BATCHFILL_QUIET": "1", "BATCHFILL_LOG_FORMAT": "json"}.items():
        monkeypatch.setenv(name, value)
    flags: dict[str, Any] = {"header": [("x-key", "CF_TOKEN")], "quiet": None, "log_format": None}
    batch = open_batch(tmp_path / "night.csv", flags)
    assert os.environ.keys() & secret.keys() == set()
    assert {name: os.environ[name] for name in plain} == plain
    assert (flags["quiet"], flags["log_format"]) == (True, "json")
    found = batch.environ.secret("CF_TOKEN")
    assert found is not None
    assert found.reveal() == TOKEN


@pytest.mark.parametrize(
    ("agreed", "changes", "goes_on"),
    [
        ("12:720000", {}, True),
        ("nothing", {}, False),
        ("12:unknown", {"price_to_go": None}, True),
        ("12:unknown", {"price_redo": None}, True),
        # What is made again by itself may cost so much more.
        ("12:800000", {"price_redo": 80_000}, True),
        ("12:720000", {"price_redo": 80_000}, None),
        ("12:720000", {"to_go": 13}, None),
        ("12:720000", {"price_to_go": 720_001}, None),
        ("12:720000", {"price_to_go": None}, None),
        ("12:unknown", {}, None),
        ("", {}, None),
        ("yes", {}, None),
    ],
)
def test_a_run_does_what_was_agreed_to_or_nothing(
    capsys: pytest.CaptureFixture[str], agreed: str, changes: dict[str, Any], goes_on: bool | None
) -> None:
    plan = replace(PLAN, **changes)
    if goes_on is None:
        with pytest.raises(UsageError, match="rows or cost have changed: nothing was started"):
            confirm_agreed(agreed)(plan)
        assert capsys.readouterr().out == ""
        return
    assert confirm_agreed(agreed)(plan) is goes_on
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["pictures"]) == (plan.to_go, plan.outputs_to_go)
