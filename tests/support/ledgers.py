"""What a batch's ledger says, read with plain SQLite: the judge trusts no code of the product.

*Asked* is one attempt and its row, *kept* a file in its place. A *fault* is what does not add up.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.batch import Batch

TOGETHER = {
    "SELECT state, rows, price FROM tally WHERE rows > 0 ORDER BY 1": (
        "SELECT state, count(*), sum(coalesce(price, 0)) FROM rows GROUP BY 1 ORDER BY 1"
    ),
    "SELECT outcome, attempts FROM money WHERE attempts > 0 ORDER BY 1": (
        "SELECT outcome, count(*) FROM attempts GROUP BY 1 ORDER BY 1"
    ),
}
"""What is counted along, and the same counted again."""

ASKED = """
SELECT a.seed, a.prediction_id, r.id, r.state, a.number = r.attempt AS counts, r.error
FROM attempts AS a JOIN rows AS r USING (key)
"""

UNANSWERED = """
SELECT count(*) FROM rows AS r JOIN attempts AS a ON a.number = r.attempt
WHERE r.state = 'submitting' AND a.lost_at IS NULL
"""

FILES = """
SELECT prediction_id, file, sha256 FROM outputs WHERE file IS NOT NULL
UNION ALL SELECT prediction_id, raw, raw_sha256 FROM outputs WHERE raw IS NOT NULL
"""


class Asked(NamedTuple):
    """One attempt and its row."""

    seed: int
    prediction_id: str | None
    id: str
    state: str
    counts: bool
    """Whether it is the attempt that the row's state is about."""
    error: str | None


class Kept(NamedTuple):
    """A file that the ledger says is in place."""

    prediction_id: str
    file: str
    """Relative to the batch folder."""
    sha256: str


def states(ledger: Path) -> dict[str, int]:
    """Return rows by state; nothing where there is no ledger yet."""
    if not ledger.exists():
        return {}
    try:
        return dict(ask(ledger, "SELECT state, count(*) FROM rows GROUP BY 1"))
    except sqlite3.OperationalError:
        return {}  # killed before its tables were made


def unanswered(ledger: Path, since: float) -> int:
    """Return how many submissions begun since a time have no recorded answer, not even a lost one."""
    if not states(ledger):
        return 0
    ((number,),) = ask(ledger, f"{UNANSWERED} AND a.intended_at >= {since}")
    return int(number)


def asked(ledger: Path) -> list[Asked]:
    """Return every attempt."""
    return [Asked(*found) for found in ask(ledger, ASKED)]


def kept(ledger: Path) -> list[Kept]:
    """Return every file that is in place."""
    return [Kept(*found) for found in ask(ledger, FILES)]


def faults(ledger: Path) -> list[str]:
    """Return what is damaged, or does not add up."""
    damage = [text for (text,) in ask(ledger, "PRAGMA integrity_check") if text != "ok"]
    apart = [f"{ask(ledger, a)} but {ask(ledger, b)}" for a, b in TOGETHER.items() if _differ(ledger, a, b)]
    return damage + apart


def _differ(ledger: Path, a: str, b: str) -> bool:
    return ask(ledger, a) != ask(ledger, b)


def ask(ledger: Path, question: str) -> list[Any]:
    """Return the answer to a question in SQL."""
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(question).fetchall()


def in_ledger(batch: Batch, question: str) -> list[Any]:
    """Return the answer of a batch's ledger."""
    return ask(batch.folder / "ledger.sqlite", question)
