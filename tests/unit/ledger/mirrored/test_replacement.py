from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from batchfill.ledger.database import open_to_write
from batchfill.ledger.mirrored.replacement import replace_ledger

if TYPE_CHECKING:
    from pathlib import Path


def make(path: Path, name: str) -> Path:
    with closing(open_to_write(path)) as db:
        db.execute("INSERT INTO facts VALUES ('name', ?)", (name,))
    return path


def facts(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT name, value FROM facts"))


def test_a_rebuilt_ledger_takes_the_place_and_the_one_there_is_kept_with_its_log(tmp_path: Path) -> None:
    ledger, rebuilt = tmp_path / "ledger.sqlite", make(tmp_path / "rebuilt.sqlite", "new")
    make(ledger, "old")
    # A run that was killed leaves its log, and the ledger is older without it.
    open_ = open_to_write(ledger)
    open_.execute("UPDATE facts SET value = 'killed'")
    sides = {side: (tmp_path / f"ledger.sqlite{side}").read_bytes() for side in ("", "-wal")}
    open_.close()
    for side, content in sides.items():
        (tmp_path / f"ledger.sqlite{side}").write_bytes(content)

    kept = replace_ledger(ledger, rebuilt, {"mirror": "s3://photos/night/"})

    assert kept == tmp_path / "ledger.other.sqlite"
    assert facts(ledger) == {"name": "new", "mirror": "s3://photos/night/"}
    assert facts(kept) == {"name": "killed"}


def test_a_log_that_was_left_without_its_ledger_is_not_played_into_the_rebuilt_one(tmp_path: Path) -> None:
    ledger, rebuilt = tmp_path / "ledger.sqlite", make(tmp_path / "rebuilt.sqlite", "new")
    other = open_to_write(make(tmp_path / "before.sqlite", "before"))
    other.execute("UPDATE facts SET value = 'much later'")
    for name in ("ledger.sqlite-wal", "rebuilt.sqlite-wal", "ledger.other.sqlite-wal"):
        shutil.copy(tmp_path / "before.sqlite-wal", tmp_path / name)
    other.close()

    assert replace_ledger(ledger, rebuilt, {}) is None
    assert facts(ledger) == {"name": "new"}
    assert not (tmp_path / "ledger.sqlite-wal").exists()
