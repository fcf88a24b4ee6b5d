from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.storage import inbox
from batchfill.storage.inbox import Request

if TYPE_CHECKING:
    from pathlib import Path


def test_requests_are_taken_once_and_in_their_order(tmp_path: Path) -> None:
    asked = [Request.STOP, Request.CANCEL, Request.STOP]
    for request in asked:
        inbox.post_request(tmp_path, request)
    assert inbox.drain_requests(tmp_path) == asked
    assert inbox.drain_requests(tmp_path) == []


def test_without_an_inbox_there_are_no_requests(tmp_path: Path) -> None:
    assert inbox.drain_requests(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    inbox.post_request(tmp_path, Request.STOP)
    (request,) = (tmp_path / "inbox").iterdir()
    request.rename(request.with_suffix(".tmp"))
    assert inbox.drain_requests(tmp_path) == []


def test_what_a_newer_version_asks_for_is_left_out_and_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "1-1.request").write_text("pause for lunch")
    (folder / "2-1.request").write_bytes(b"\xff\xfe stop")
    (folder / "3-1.request").write_text("stop\n")
    assert inbox.drain_requests(tmp_path) == [Request.STOP]
    assert list(folder.iterdir()) == []


def redo_of(inputs: Any) -> dict[str, Any]:
    return {"decision": Decision.REDO, "inputs": inputs}


APPROVED = ReviewDecision(prediction_id="p1", decision=Decision.APPROVED, at=1.0)


def test_decisions_and_requests_are_kept_apart(tmp_path: Path) -> None:
    inbox.post_rulings(tmp_path, [APPROVED])
    inbox.post_request(tmp_path, Request.STOP)
    assert len(inbox.rulings_waiting(tmp_path)) == 1
    assert inbox.drain_requests(tmp_path) == [Request.STOP]
    assert len(inbox.rulings_waiting(tmp_path)) == 1


def test_what_is_posted_later_stands_behind_though_the_clock_was_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    for nanoseconds in (2_000_000_000_000_000_000, 1_999_999_999_000_000_000, 1_999_999_999_500_000_000):
        monkeypatch.setattr("time.time_ns", lambda now=nanoseconds: now)
        inbox.post_rulings(tmp_path, [APPROVED])
        names += sorted(inbox.rulings_waiting(tmp_path) - set(names))
    assert names == sorted(names)


def test_nothing_stays_of_what_the_disk_did_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    (tmp_path / "inbox").mkdir()
    with pytest.raises(OSError, match="No space left"):
        inbox.post_rulings(tmp_path, [APPROVED])
    assert list((tmp_path / "inbox").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chosen": 0}, "outputs are counted from 1: 0 cannot be chosen"),
        ({"prompt": "a door"}, "only a redo has a prompt, a seed and inputs"),
        ({"seed": 5}, "only a redo has a prompt, a seed and inputs"),
        ({"inputs": {}}, "only a redo has a prompt, a seed and inputs"),
        ({"decision": Decision.REDO, "seed": 0}, "a seed is a number from 1 to 2147483647, not 0"),
        ({"decision": Decision.REDO, "prompt": " "}, "a prompt must not be empty, nor longer than 100,000"),
        ({"decision": Decision.REDO, "prompt": "x" * 100_001}, "nor longer than 100,000 characters"),
        (redo_of(dict.fromkeys(map(str, range(101)), "1")), "a redo changes at most 100 inputs, not 101"),
        (redo_of({"": "1"}), "an input has no name like ''"),
        (redo_of({"n" * 101: "1"}), "an input has no name like 'nnn"),
        (redo_of({"a\nb": "1"}), r"an input has no name like 'a\\nb'"),
        (redo_of({"guidance": 3}), "guidance: an input is given as text, not 3"),
        (redo_of({"style": "x" * 100_001}), "style must not be longer than 100,000 characters"),
        (redo_of({"style": "\0"}), "style must not be longer than 100,000 characters, nor hold a NUL"),
        (redo_of({"style": "\ud83d"}), "or half of one: a broken emoji"),
        (redo_of(["guidance"]), r"inputs are names and texts, not \['guidance'\]"),
    ],
)
def test_a_ruling_that_cannot_be_says_why(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(APPROVED, **changes)


@pytest.mark.parametrize("inputs", [None, {}, {"guidance": "40", "style": 'wet = ink; "half"'}])
def test_a_redo_comes_out_of_the_inbox_as_it_was_put_in(
    tmp_path: Path, inputs: dict[str, str] | None
) -> None:
    redo = replace(APPROVED, decision=Decision.REDO, prompt="a door", seed=7, inputs=inputs)
    inbox.post_rulings(tmp_path, [redo])
    assert inbox.waiting_rulings(tmp_path, taken=frozenset) == [redo]


def test_a_version_that_knows_no_inputs_reads_decisions_that_name_none(tmp_path: Path) -> None:
    inbox.post_rulings(tmp_path, [APPROVED])
    (letter,) = (tmp_path / "inbox").iterdir()
    (fields,) = json.loads(letter.read_text())
    assert fields.keys() == {"prediction_id", "decision", "chosen", "prompt", "seed", "at"}


def test_inputs_that_are_none_leave_the_other_letters_as_they_are(tmp_path: Path) -> None:
    inbox.post_rulings(tmp_path, [APPROVED])
    (tmp_path / "inbox" / "1-a.rulings").write_text(
        '[{"prediction_id":"p","decision":"redo","inputs":[1],"at":1.0}]'
    )
    assert inbox.waiting_rulings(tmp_path, taken=frozenset) == [APPROVED]
