"""The provider's memory: one JSON object a line, appended and flushed, so that a kill loses no prediction."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from batchfill.local.record import Charge, Record, charge

if TYPE_CHECKING:
    from pathlib import Path

NAME = "predictions.jsonl"


class Journal:
    """The journal of one folder, open for appending."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / NAME
        self._drop_torn_line()
        self._file = self._path.open("a", encoding="utf-8")

    def add(self, record: Record) -> None:
        """Remember a new prediction; on return a kill of this process cannot lose it."""
        self._write(asdict(record))

    def change(self, record: Record, **changes: Any) -> Record:
        """Remember what has changed and return the changed record."""
        self._write({"id": record.id, **changes})
        return replace(record, **changes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _drop_torn_line(self) -> None:
        """Cut off what a kill left unfinished: nobody was told of it, and the next line would join it."""
        if not self._path.exists():
            return
        with self._path.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def read_records(folder: Path) -> list[Record]:
    """Return the predictions of a provider's folder in the order in which they were made."""
    records: dict[str, Record] = {}
    path = folder / NAME
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                break
            facts = json.loads(line)
            known = records.get(facts["id"])
            records[facts["id"]] = replace(known, **facts) if known else Record(**facts)
    return list(records.values())


def read_bill(folder: Path) -> list[Charge]:
    """Return what a provider's folder says was made, whether or not a provider runs on it now."""
    return [charge(record) for record in read_records(folder)]
