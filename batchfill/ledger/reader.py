"""What people ask of a ledger, whether or not a run is writing it. Reads only."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfill import filenames
from batchfill.domain.objects import RemoteCopy
from batchfill.errors import LedgerError
from batchfill.ledger import adoption, database, ledger_rows, review_rows, statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.reports import Cost, Doubt, EndedAttempt, Result, ReviewRow, RowWords
    from batchfill.domain.rows import NamedFile, RowState, StoredFile
    from batchfill.ledger.payments import Payment


class Reader:
    """Answers from one reading connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @contextmanager
    def hold_snapshot(self) -> Iterator[None]:
        """Answer everything asked meanwhile as of one moment, whatever a run writes."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    def metadata(self) -> dict[str, str]:
        """Return what the batch remembers of itself."""
        return ledger_rows.to_facts(statements.ask_rows(self._db, "facts"))

    def counts(self, *, gone: bool = False) -> dict[RowState, int]:
        """Return rows by state, of the manifest or of those gone from it."""
        return ledger_rows.to_counts(statements.ask_rows(self._db, "tally"), gone=gone)

    def cost(self, currency: str) -> Cost:
        """Return the money of the whole batch."""
        cap = ledger_rows.to_cap(self.metadata().get("max_cost"))
        return ledger_rows.to_cost(
            statements.ask_rows(self._db, "tally"), statements.ask_rows(self._db, "money"), cap, currency
        )

    def reasons(self) -> Mapping[str, int]:
        """Return why rows failed, and how many of each, most frequent first."""
        return {record["reason"]: record["rows"] for record in statements.ask_rows(self._db, "reasons")}

    def failed_made(self) -> int:
        """Return how many failed rows there are whose pictures the service made."""
        return int(statements.ask_value(self._db, "failed_made"))

    def doubts(self) -> tuple[Doubt, ...]:
        """Return the first hundred rows in doubt."""
        return tuple(ledger_rows.to_doubt(r) for r in statements.ask_rows(self._db, "doubts"))

    def results(self) -> Iterator[Result]:
        """Yield one result a row of the manifest, in its order."""
        (statement,) = statements.load_statements("queries")["results"]
        for record in self._db.execute(statement):
            yield ledger_rows.to_result(record)

    def outputs_made(self, prediction_ids: Iterable[str]) -> dict[str, int]:
        """Return how many pictures each of these predictions has, as far as they are this batch's."""
        asked = json.dumps(list(prediction_ids))
        return {record[0]: record[1] for record in statements.ask_rows(self._db, "outputs_made", ids=asked)}

    def letters_taken(self) -> frozenset[str]:
        """Return the names of the inbox's letters that were taken, and that may be there still."""
        return frozenset(record[0] for record in statements.ask_rows(self._db, "letters_taken"))

    def review_rows(self, numbers: Iterable[int]) -> Iterator[ReviewRow]:
        """Yield those of the rows with these *numbers* that are in the manifest, in its order."""
        (statement,) = statements.load_statements("queries")["review_rows"]
        for record in self._db.execute(statement, {"numbers": json.dumps(list(numbers))}):
            yield review_rows.to_review_row(record)

    def places(self) -> int:
        """Return the number of places in the manifest."""
        return int(statements.ask_value(self._db, "places"))

    def ids(self) -> set[str]:
        """Return the id of every row of the manifest."""
        return {record[0] for record in statements.ask_rows(self._db, "ids")}

    def numbers_at(self, first: int, end: int) -> list[int]:
        """Return the numbers of the rows at these places of the manifest, the *end* left out."""
        return [record[0] for record in statements.ask_rows(self._db, "numbers_at", first=first, end=end)]

    def numbers_named(self, ids: Iterable[str]) -> list[int]:
        """Return the numbers of the rows of the manifest that have one of these *ids*."""
        asked = json.dumps([filenames.fold_case(id_) for id_ in ids])
        return [record[0] for record in statements.ask_rows(self._db, "numbers_named", ids=asked)]

    def words_at(self, first: int, end: int) -> dict[str, RowWords]:
        """Return what the rows at these places are searched by, by their ids, the *end* left out."""
        records = statements.ask_rows(self._db, "words_at", first=first, end=end)
        return {record[0]: review_rows.to_row_words(record) for record in records}

    def numbers_of(self, predictions: Iterable[str]) -> list[int]:
        """Return the numbers of the rows for which one of these *predictions* counts."""
        asked = json.dumps(list(predictions))
        return [record[0] for record in statements.ask_rows(self._db, "numbers_of", predictions=asked)]

    def moved(self, after: float, *, now: float, most: int) -> list[tuple[float, int]]:
        """Return when rows came into their states or were decided, and their numbers: the latest *most*.

        *after*: the moment from which on, in seconds since the epoch, by the clocks of those who wrote it.
        What is told to come after *now* comes last: a clock was wrong.
        """
        found = statements.ask_rows(self._db, "moved", after=after, now=now, most=most)
        return [(record[0], record[1]) for record in found]

    def history(self) -> Iterator[EndedAttempt]:
        """Yield every attempt that came to an end, in the order of the ends."""
        (statement,) = statements.load_statements("queries")["history"]
        for record in self._db.execute(statement):
            yield ledger_rows.to_ended(record)

    def data_version(self) -> int:
        """Return a number that is another one after the ledger has changed."""
        version: int = statements.ask_value(self._db, "version")
        return version

    def named_files(self) -> Iterator[NamedFile | ObjectFile]:
        """Yield the files of every row of the manifest that are read here, as often as rows name them."""
        (statement,) = statements.load_statements("queries")["named_files"]
        for record in self._db.execute(statement):
            yield from ledger_rows.to_named_files(record)

    def asks_for(self, prompt: str) -> bool:
        """Whether any row, of the manifest or gone from it, asks for just this *prompt*."""
        return bool(statements.ask_value(self._db, "prompt_asked", prompt=prompt))

    def extra_columns(self) -> list[str]:
        """Return the names of the columns that rows of the manifest only carry along."""
        return [record[0] for record in statements.ask_rows(self._db, "extra_columns")]

    def payments(self) -> Iterator[Payment]:
        """Yield every attempt as a record of payments tells it, in the order of the intents."""
        return adoption.payments_of(self._db)

    def known_files(self) -> set[str]:
        """Return every file that the ledger knows of, relative to the batch folder."""
        return adoption.known_files(self._db)

    def remote_copy(self, file: str) -> RemoteCopy | None:
        """Return what was put of *file* below the address of --outputs; None where that is not known."""
        found = statements.ask_rows(self._db, "remote_copy", file=file)
        return RemoteCopy(*found[0]) if found else None

    def collected_files(self, *, arriving: bool = False) -> Iterator[StoredFile]:
        """Yield every file of the manifest's finished rows, in their order.

        *arriving*: and of rows that are collecting, some of whose files are there already.
        """
        (statement,) = statements.load_statements("queries")["collected"]
        for record in self._db.execute(statement, {"arriving": arriving}):
            yield ledger_rows.to_placed_file(record)


@contextmanager
def open_reader(path: Path) -> Iterator[Reader]:
    """Open the ledger at *path* to read it; one of an older batchfill is brought up to date first.

    Raises LedgerError when there is none or it is damaged.
    """
    db = database.open_to_read(path)
    try:
        if database.is_older(db):
            db.close()
            database.open_to_write(path).close()
            db = database.open_to_read(path)
        yield Reader(db)
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{path}: {database.in_words(error)}") from error
    finally:
        db.close()
