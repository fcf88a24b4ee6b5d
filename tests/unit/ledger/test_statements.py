from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batchfill import ledger
from batchfill.ledger import statements as statements_module

FOLDER = Path(ledger.__file__).parent
CODE = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))


def test_a_name_holds_its_statements_in_order() -> None:
    statements = statements_module.load_statements("events")["record_rejected"]
    assert [statement.split()[:2] for statement in statements] == [["UPDATE", "attempts"], ["UPDATE", "rows"]]


def test_a_trigger_is_one_statement() -> None:
    text = "CREATE TRIGGER t AFTER INSERT ON rows BEGIN SELECT 1;\nSELECT 2;\nEND;\nSELECT 3;\n"
    assert len(statements_module._split_statements(text)) == 2


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.sql")), ids=lambda path: path.stem)
def test_a_colon_before_a_word_is_a_parameter_and_stands_in_no_text_or_comment(path: Path) -> None:
    told = re.findall(r"--.*|'[^'\n]*'", path.read_text("utf-8"))
    assert [text for text in told if re.search(r":\w", text)] == []


def test_values_go_to_the_places_of_their_names_each_time_they_stand_there() -> None:
    statement = "SELECT :b, :a, :b || :long_1, '?' WHERE :a > 1"
    with closing(sqlite3.connect(":memory:")) as db:
        found = statements_module._execute(db, statement, {"a": 2, "b": "x", "long_1": "y", "unused": 0})
        assert found.fetchall() == [("x", 2, "xy", "?")]


def test_a_value_that_is_missing_is_an_error() -> None:
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(KeyError):
        statements_module._execute(db, "SELECT :a", {"b": 1})


@pytest.mark.parametrize("source", ["events", "queries", "import_rows"])
def test_every_statement_is_used(source: str) -> None:
    unused = [name for name in statements_module.load_statements(source) if not re.search(rf'"{name}"', CODE)]
    assert unused == []
