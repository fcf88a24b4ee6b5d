from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.rows import Row
from batchfill.errors import UsageError
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.template import write_template
from batchfill.manifest.validation import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.catalog.model import Model


@pytest.fixture
def furnished(folder: Path) -> Path:
    """A folder that has the files which the examples name."""
    (folder / "masks").mkdir()
    for name in ("images/street.jpg", "masks/hero.png", "masks/street.png"):
        (folder / name).write_bytes(name.encode())
    return folder


def read_ids(path: Path, model: Model) -> list[str | None]:
    manifest = open_manifest(path)
    found = read_rows(manifest, model, defaults=manifest.defaults, column=manifest.column, digest=digest_file)
    return [item.id if isinstance(item, Row) else str(item) for item in found]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.yaml", "a.YML"])
def test_a_new_manifest_can_be_read(furnished: Path, dev: Model, name: str) -> None:
    write_template(furnished / name, dev)

    assert read_ids(furnished / name, dev) == ["hero", "street"]


def test_every_line_that_is_commented_out_holds_when_it_is_taken_in(furnished: Path, dev: Model) -> None:
    write_template(furnished / "a.yaml", dev)
    text = (furnished / "a.yaml").read_text()

    taken_in = re.sub(r"^# (?=( *\w+:( |$)))", "", text, flags=re.MULTILINE)
    taken_in = taken_in.replace("column: {image: photo_url}", "column: {image: image}")
    (furnished / "a.yaml").write_text(taken_in)

    assert read_ids(furnished / "a.yaml", dev) == ["hero", "street"]
    manifest = open_manifest(furnished / "a.yaml")
    assert manifest.settings["concurrency"] == 32
    assert set(manifest.defaults) == set(dev.fields) - set(dev.required_inputs) | dev.pixel_settings


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path, dev: Model) -> None:
    (tmp_path / "a.csv").write_text("mine")

    with pytest.raises(UsageError, match=r"a\.csv is there already"):
        write_template(tmp_path / "a.csv", dev)

    assert (tmp_path / "a.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["a.xlsx", "a", "nowhere/a.csv"])
def test_a_place_or_suffix_that_will_not_do_is_told(tmp_path: Path, dev: Model, name: str) -> None:
    with pytest.raises(UsageError, match=r"the name should end with \.csv|cannot be written: No such file"):
        write_template(tmp_path / name, dev)
