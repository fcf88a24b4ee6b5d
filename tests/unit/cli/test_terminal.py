"""Who watches a run, live or in plain lines; and what a command leaves to what it starts."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.cli.terminal import open_batch, open_watcher
from batchfill.console.live import Live

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
