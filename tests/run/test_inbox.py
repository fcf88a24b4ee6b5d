from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.run import inbox
from batchfill.run.inbox import Request

if TYPE_CHECKING:
    from pathlib import Path


def test_requests_are_taken_once_and_in_their_order(tmp_path: Path) -> None:
    asked = [Request.STOP, Request.CANCEL, Request.STOP]
    for request in asked:
        inbox.post(tmp_path, request)
    assert inbox.drain(tmp_path) == asked
    assert inbox.drain(tmp_path) == []


def test_without_an_inbox_there_are_no_requests(tmp_path: Path) -> None:
    assert inbox.drain(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    inbox.post(tmp_path, Request.STOP)
    (request,) = (tmp_path / "inbox").iterdir()
    request.rename(request.with_suffix(".tmp"))
    assert inbox.drain(tmp_path) == []


def test_what_a_newer_version_asks_for_is_left_out_and_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "1-1.request").write_text("pause for lunch")
    (folder / "2-1.request").write_bytes(b"\xff\xfe stop")
    (folder / "3-1.request").write_text("stop\n")
    assert inbox.drain(tmp_path) == [Request.STOP]
    assert list(folder.iterdir()) == []
