"""The sample batches, as `batchfill demo` lays them out."""

from __future__ import annotations

import os
from errno import ENOSPC
from typing import TYPE_CHECKING

import pytest

from batchfill.errors import UsageError
from batchfill.tools import SAMPLES, lay_out_samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "samples"
    for name in ("demo.local.batch/outputs", "masks", "photographs"):
        (folder / name).mkdir(parents=True)
    (folder / "demo.csv").write_text("id,image\n")
    (folder / "masks" / "cat.png").write_bytes(b"cat")
    (folder / "photographs" / "cat.png").write_bytes(b"cat")
    monkeypatch.setattr("batchfill.tools.SAMPLES", (tmp_path / "wheel without samples", folder))
    return folder


@pytest.mark.usefixtures("samples")
def test_samples_go_to_a_new_or_an_empty_folder_without_batches_of_others(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "below"):
        assert lay_out_samples(folder) == folder / "demo.csv"
        assert sorted(path.name for path in folder.iterdir()) == ["demo.csv", "masks", "photographs"]


@pytest.mark.usefixtures("samples")
def test_samples_that_are_there_are_left_as_they_are(tmp_path: Path) -> None:
    manifest = lay_out_samples(tmp_path / "mine")
    manifest.write_text("mine")
    assert lay_out_samples(tmp_path / "mine") == manifest
    assert manifest.read_text() == "mine"


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("taken", ["holiday.jpg", "demo.csv", "demo.csv/", "x.batch/", "a link"])
def test_samples_go_nowhere_else(tmp_path: Path, taken: str) -> None:
    folder = tmp_path / "taken"
    if taken == "a link":
        folder.symlink_to("nowhere")
    else:
        (folder / taken).mkdir(parents=True) if taken.endswith("/") else folder.mkdir()
        if not taken.endswith("/"):
            (folder / taken).write_text("hello")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="taken is there already, and holds no samples: name a new folder"):
        lay_out_samples(folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_is_full_keeps_no_part_of_the_samples(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:1])
        if source.name == "demo.csv":
            raise OSError(ENOSPC, os.strerror(ENOSPC), source)

    monkeypatch.setattr("batchfill.tools.shutil.copyfile", copy)
    with pytest.raises(UsageError, match="new takes no samples: No space left on device; make room there"):
        lay_out_samples(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    monkeypatch.undo()
    monkeypatch.setattr("batchfill.tools.SAMPLES", (samples,))
    assert lay_out_samples(tmp_path / "new").read_text() == "id,image\n"


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="below takes no samples: Not a directory"):
        lay_out_samples(tmp_path / "file" / "below")


def test_this_checkout_has_the_samples() -> None:
    assert any((folder / "demo.csv").is_file() for folder in SAMPLES)
