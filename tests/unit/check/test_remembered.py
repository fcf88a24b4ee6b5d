"""A second look at files costs no decoding while they are as they were, and sees every change."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from batchfill.catalog.pixel_options import Pixels
from batchfill.catalog.sizes import SizeRule
from batchfill.check.remembered import RememberedFiles
from batchfill.domain.drawn_masks import read_drawn_mask
from batchfill.domain.findings import Finding, FindingKind, Severity, Sizes
from batchfill.images.preflight import inspect
from batchfill.images.preflight.inspect import inspect_files
from batchfill.images.preflight.inspection import Inspection, InspectTask, PictureSource
from batchfill.ledger.caches.file_memory import open_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.domain.rows import LocalFile

RULE = SizeRule(field="fit", default="it", megapixel=1, fits={"it": 48}, multiple=16)
NOTE = Finding(FindingKind.SOFT, Severity.NOTE, "mask.png has soft edges")
PLAIN = Inspection((NOTE,), Sizes((64, 48), None, (48, 32), None), 0.25)
WRONG = Inspection((Finding(FindingKind.EMPTY, Severity.MISTAKE, "mask.png is black all over"),))


def later() -> float:
    """Return a time at which nothing that a test does was done just now."""
    return time.time() + 3600


@pytest.fixture
def remembered(tmp_path: Path) -> Iterator[RememberedFiles]:
    with open_memory(tmp_path / "caches" / "seen.db", 0) as memory:
        yield RememberedFiles(memory, later)


@pytest.fixture
def task(tmp_path: Path) -> InspectTask:
    picture, mask = tmp_path / "picture.jpg", tmp_path / "mask.png"
    Image.new("RGB", (64, 48), "red").save(picture)
    hole = Image.new("L", (64, 48))
    hole.paste(255, (10, 10, 40, 40))
    hole.save(mask)
    first, second = PictureSource(picture, picture.name), PictureSource(mask, mask.name)
    return InspectTask(first, second, Pixels(), RULE, {"fit": "it"})


def files_of(remembered: RememberedFiles, task: InspectTask) -> list[LocalFile]:
    sources = [source for source in (task.picture, task.mask) if isinstance(source, PictureSource)]
    return [remembered.digest_file(source.path) for source in sources]


def test_a_file_is_read_once_for_its_digest(
    remembered: RememberedFiles, task: InspectTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = files_of(remembered, task)
    monkeypatch.setattr("batchfill.check.remembered.digest_file", None)
    assert files_of(remembered, task) == first


@pytest.mark.parametrize(
    "found",
    [
        PLAIN,
        Inspection(()),
        Inspection((), None, 0.5),
        Inspection((NOTE, NOTE), Sizes((64, 48), (1, 2), None, (3, 4))),
    ],
)
def test_what_was_seen_comes_back_as_it_was(
    remembered: RememberedFiles, task: InspectTask, found: Inspection
) -> None:
    remembered.note(task, files_of(remembered, task), found)
    assert remembered.recall(task, files_of(remembered, task)) == found


def test_what_is_remembered_of_real_files_is_what_looking_at_them_says(
    remembered: RememberedFiles, task: InspectTask
) -> None:
    found = inspect_files(task)
    remembered.note(task, files_of(remembered, task), found)
    assert found.scale is not None
    assert remembered.recall(task, files_of(remembered, task)) == found


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": Pixels(mask_grow=1)},
        {"pixels": Pixels(mask_from="black")},
        {"rule": replace(RULE, multiple=8)},
        {"inputs": {"fit": "other"}},
        {"mask": read_drawn_mask("box:1,1,9,9")},
    ],
)
def test_what_was_asked_otherwise_is_looked_at_again(
    remembered: RememberedFiles, task: InspectTask, change: dict[str, object]
) -> None:
    files = files_of(remembered, task)
    remembered.note(task, files, PLAIN)
    assert remembered.recall(replace(task, **change), files) is None  # type: ignore[arg-type]


def test_another_program_or_decoder_looks_again(
    remembered: RememberedFiles, task: InspectTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(remembered, task)
    remembered.note(task, files, PLAIN)
    monkeypatch.setattr(inspect, "inspection_rules", lambda: ["another"])
    assert RememberedFiles(remembered._memory, later).recall(task, files) is None


def test_a_mistake_is_looked_at_again(remembered: RememberedFiles, task: InspectTask) -> None:
    files = files_of(remembered, task)
    remembered.note(task, files, WRONG)
    assert remembered.recall(task, files) is None


def rewrite(path: Path) -> None:
    """Write other content of the same length, and give the file the time that it had."""
    facts, content = path.stat(), path.read_bytes()
    # Until the clock of the file system has gone on: what is trusted has been as it is for seconds.
    while path.stat().st_ctime_ns == facts.st_ctime_ns:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def replace_file(path: Path) -> None:
    """Put another file of the same length and time in its place."""
    facts, other = path.stat(), path.with_suffix(".new")
    other.write_bytes(bytes(facts.st_size))
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, replace_file, lambda path: path.write_bytes(b"longer" * 999)])
def test_a_changed_file_is_seen(remembered: RememberedFiles, task: InspectTask, change: object) -> None:
    assert callable(change)
    assert task.picture is not None
    before = files_of(remembered, task)
    remembered.note(task, before, PLAIN)
    change(task.picture.path)
    after = files_of(remembered, task)
    assert after[0].sha256 != before[0].sha256
    assert remembered.recall(task, after) is None


def test_what_changed_while_it_was_looked_at_is_not_remembered(
    remembered: RememberedFiles, task: InspectTask
) -> None:
    before = files_of(remembered, task)
    assert task.picture is not None
    rewrite(task.picture.path)
    remembered.note(task, before, PLAIN)
    assert remembered.recall(task, before) is None


def test_what_was_written_a_moment_ago_is_not_remembered(tmp_path: Path, task: InspectTask) -> None:
    with open_memory(tmp_path / "seen.db", 0) as memory:
        hasty = RememberedFiles(memory, time.time)
        files = files_of(hasty, task)
        hasty.note(task, files, PLAIN)
        assert hasty.recall(task, files) is None
    assert not (tmp_path / "seen.db").exists()


@pytest.mark.parametrize(
    "value", [5, "text", [], [1, 2, 3], [[["x", "note", "t"]], None, None], [[], [1], 0]]
)
def test_what_it_cannot_have_written_is_not_believed(
    remembered: RememberedFiles, task: InspectTask, value: object
) -> None:
    files = files_of(remembered, task)
    remembered._memory.note(remembered._facts_of(task, files), value)
    assert remembered.recall(task, files) is None
