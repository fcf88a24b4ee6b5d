"""What is said where a batch has no ledger: what to do, or which batch may have been meant."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import LedgerError, UsageError
from batchfill.session.batch_ledger import open_batch_ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest without a batch."""
    path = tmp_path / "night.csv"
    path.write_text("image,mask,prompt\n")
    return path


def begin(folder: Path) -> None:
    """Put a ledger into *folder*, that of no batchfill, but there."""
    folder.mkdir()
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("CREATE TABLE t (x)")
    db.close()


def refusal(manifest: Path, **flags: Any) -> str:
    with pytest.raises((LedgerError, UsageError)) as caught, open_batch_ledger(manifest, flags):
        pass
    return str(caught.value)


def test_a_batch_that_has_not_begun_is_to_be_run_first(manifest: Path) -> None:
    assert refusal(manifest) == f"{manifest.with_suffix('.batch')}: no ledger here yet; run the batch first"


def test_a_rehearsal_is_named_where_the_batch_is_asked_for_and_the_batch_where_the_rehearsal_is(
    manifest: Path,
) -> None:
    begin(manifest.with_suffix(".local.batch"))
    assert refusal(manifest).endswith("night.batch: no ledger here yet; a rehearsal is there: add --local")
    manifest.with_suffix(".local.batch").rename(manifest.with_suffix(".batch"))
    assert refusal(manifest, local=True).endswith("; the batch itself is there: leave --local out")


def test_a_folder_that_was_named_is_meant(manifest: Path, tmp_path: Path) -> None:
    begin(manifest.with_suffix(".local.batch"))
    out = tmp_path / "elsewhere"
    assert refusal(manifest, out=out) == f"{out}: no ledger here yet; run the batch first"


def test_a_manifest_that_is_not_there_is_named_wrong(manifest: Path) -> None:
    said = refusal(manifest.with_name("nigth.csv"))
    assert said.endswith("nigth.csv: no such file; did you mean night.csv?")
