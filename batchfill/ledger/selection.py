"""The rows that --retry and --id mean, as the ledger and the manifest stand when the command starts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill import filenames
from batchfill.ledger import statements
from batchfill.ledger.import_rows import Group

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from batchfill.domain.rows import Choice


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a choice comes to."""

    group: Group
    """The rows that it has submitted; of rows that are pending, those that are named."""
    done: int = 0
    """Those of them that are done already and are made anew."""
    edited: int = 0
    """Those of them that are made with another prompt."""
    only: frozenset[str] | None = None
    """The keys of the rows named by their ids, beside which nothing is submitted; None: none was named."""
    unknown: tuple[str, ...] = ()
    """Ids that no row has."""


def choose(db: sqlite3.Connection, choice: Choice, *, incoming: bool) -> Chosen:
    """Note which rows *choice* means in a temporary table, and return what they come to.

    *incoming*: the manifest's rows are those of the import that is open; else they are the ledger's.
    """
    statements.act(db, "selection", "begin")
    statements.act(db, "selection", "of_incoming" if incoming else "of_rows")
    try:
        return _chosen(db, choice)
    finally:
        statements.act(db, "selection", "end")


def _chosen(db: sqlite3.Connection, choice: Choice) -> Chosen:
    folded = {filenames.fold(id_): id_ for id_ in choice.ids}
    values = {
        "ids": _listed(folded),
        "states": _listed(choice.states),
        "decisions": _listed(choice.decisions),
        "flags": _listed(choice.flags),
    }
    queries = statements.load("selection")
    statements.act(db, "selection", "choose", **values)
    named = {r["folded_id"]: r["key"] for r in db.execute(queries["named"][0], {"ids": values["ids"]})}
    found = db.execute(queries["count"][0]).fetchone()
    return Chosen(
        Group(found["rows"], found["outputs"], None if found["unpriced"] else found["price"]),
        found["done"],
        found["edited"],
        frozenset(named.values()) if choice.ids else None,
        tuple(id_ for fold, id_ in folded.items() if fold not in named),
    )


def _listed(words: Iterable[str]) -> str:
    return json.dumps(list(words))
