from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.domain.progress import Level, LogEvent, Progress
from batchfill.storage.run_log import open_run_log

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def now(self) -> float:
        return 1_763_850_000.0


class Watching:
    """Somebody who watches, and remembers what was said."""

    def __init__(self) -> None:
        self.notices: list[LogEvent] = []

    def notice(self, notice: LogEvent) -> None:
        self.notices.append(notice)

    def progress(self, progress: Progress) -> None:
        raise AssertionError


def test_what_is_said_is_told_and_kept(tmp_path: Path) -> None:
    watching = Watching()
    with open_run_log(tmp_path / "run.log", watching, Clock()) as say:
        say.notice("a")
        say.debug("only for the log")
        say.row_failed("hero", "the mask is empty")
    assert [(one.text, one.level) for one in watching.notices] == [
        ("a", Level.INFO),
        ("hero: the mask is empty", Level.WARNING),
    ]
    assert say.last_failure == "hero: the mask is empty"
    assert (tmp_path / "run.log").read_text("utf-8").splitlines() == [
        "2025-11-22T22:20:00Z plain   a",
        "2025-11-22T22:20:00Z quiet   only for the log",
        "2025-11-22T22:20:00Z warning hero: the mask is empty",
    ]


def test_a_line_is_in_the_log_as_soon_as_it_is_said(tmp_path: Path) -> None:
    with open_run_log(tmp_path / "run.log", None, Clock()) as say:
        say.notice("a")
        assert "plain   a" in (tmp_path / "run.log").read_text("utf-8")


def test_what_a_service_says_is_one_line_of_the_log(tmp_path: Path) -> None:
    with open_run_log(tmp_path / "run.log", None, Clock()) as say:
        say.notice("p1 failed:\n2025-01-01T00:00:00Z plain forged\r\n\udce9")
    (line,) = (tmp_path / "run.log").read_text("utf-8").splitlines()
    assert line.endswith("p1 failed: 2025-01-01T00:00:00Z plain forged \\udce9")


def test_the_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for text in ("first night", "second night"):
        with open_run_log(tmp_path / "run.log", None, Clock()) as say:
            say.notice(text)
    assert len((tmp_path / "run.log").read_text("utf-8").splitlines()) == 2
