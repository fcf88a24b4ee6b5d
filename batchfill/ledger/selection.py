"""The rows that --retry and --id mean, as the ledger and the manifest stand when the command starts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill import filenames
from batchfill.ledger import ledger_rows, statements
from batchfill.ledger.import_rows import Group

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping

    from batchfill.domain.rows import Input, RowSelection

    TypeInputs = Callable[[Mapping[str, str]], Mapping[str, Input | None]]


@dataclass(frozen=True, slots=True)
class SelectedRows:
    """What a choice comes to."""

    group: Group
    """The rows that it has submitted; of rows that are pending, those that are named."""
    done: int = 0
    """Those of them that are done already and are made again."""
    edited: int = 0
    """Those of them that are made with another prompt."""
    changed: int = 0
    """Those of them that are made with other inputs."""
    unfit: tuple[str, ...] = ()
    """What is wrong with the inputs of redos, each with its row's id."""
    only: frozenset[str] | None = None
    """Keys of the rows named by their ids, apart from which nothing is submitted; None: none was named."""
    unknown: tuple[str, ...] = ()
    """Ids that no row has."""


def select_rows(
    db: sqlite3.Connection, choice: RowSelection, type_inputs: TypeInputs, *, incoming: bool
) -> SelectedRows:
    """Note which rows *choice* means in a temporary table, and return what they come to.

    *type_inputs* types what redos change; ValueError says what does not fit. *incoming*: the manifest's rows
    are those of the import that is open; else they are the ledger's.
    """
    statements.run_statements(db, "selection", "begin")
    statements.run_statements(db, "selection", "of_incoming" if incoming else "of_rows")
    try:
        return _count_selected(db, choice, type_inputs)
    finally:
        statements.run_statements(db, "selection", "end")


def _count_selected(db: sqlite3.Connection, choice: RowSelection, type_inputs: TypeInputs) -> SelectedRows:
    folded = {filenames.fold_case(id_): id_ for id_ in choice.ids}
    values = {
        "ids": _list_words(folded),
        "states": _list_words(choice.states),
        "decisions": _list_words(choice.decisions),
        "flags": _list_words(choice.flags),
    }
    queries = statements.load_statements("selection")
    statements.run_statements(db, "selection", "choose", **values)
    named = {r["folded_id"]: r["key"] for r in db.execute(queries["named"][0], {"ids": values["ids"]})}
    unfit = _type_selected(db, type_inputs)
    found = db.execute(queries["count"][0]).fetchone()
    return SelectedRows(
        Group(found["rows"], found["outputs"], None if found["unpriced"] else found["price"]),
        found["done"],
        found["edited"],
        found["changed"],
        unfit,
        frozenset(named.values()) if choice.ids else None,
        tuple(id_ for fold, id_ in folded.items() if fold not in named),
    )


def _type_selected(db: sqlite3.Connection, type_inputs: TypeInputs) -> tuple[str, ...]:
    """Put values in the place of cells; return what is wrong with those that cannot be read."""
    unfit, typed = [], {}
    for id_, cells in db.execute(statements.load_statements("selection")["inputs"][0]).fetchall():
        try:
            typed[cells] = ledger_rows.to_json(type_inputs(json.loads(cells)))
        except ValueError as error:
            unfit.append(f"{id_}: {error}")
    for cells, values in typed.items():
        statements.run_statements(db, "selection", "type_inputs", cells=cells, typed=values)
    return tuple(unfit)


def _list_words(words: Iterable[str]) -> str:
    return json.dumps(list(words))
