"""Who watches a run: a live view where lines can be drawn over, few plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from batchfill.cli.terminal import open_watcher
from batchfill.console.live import Live


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
