"""The sample batches, as `batchfill demo` lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.errors import UsageError
from batchfill.tools import SAMPLES, lay_out_samples

if TYPE_CHECKING:
    from pathlib import Path


def test_samples_go_to_a_new_or_an_empty_folder_without_anybodys_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = tmp_path / "samples"
    (samples / "demo.local.batch").mkdir(parents=True)
    (samples / "demo.csv").write_text("id,image\n")
    monkeypatch.setattr("batchfill.tools.SAMPLES", (tmp_path / "wheel without samples", samples))
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "below"):
        assert lay_out_samples(folder) == folder / "demo.csv"
        assert [path.name for path in folder.iterdir()] == ["demo.csv"]


def test_samples_that_are_there_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "demo.csv").write_text("mine")
    assert lay_out_samples(tmp_path) == tmp_path / "demo.csv"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_samples_go_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    for taken in (tmp_path, tmp_path / "holiday.jpg"):
        with pytest.raises(UsageError, match="holds no samples: name a new folder"):
            lay_out_samples(taken)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_this_checkout_has_the_samples() -> None:
    assert any((folder / "demo.csv").is_file() for folder in SAMPLES)
