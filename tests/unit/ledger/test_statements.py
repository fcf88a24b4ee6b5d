from __future__ import annotations

import re
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


@pytest.mark.parametrize("source", ["events", "queries", "import_rows"])
def test_every_statement_is_used(source: str) -> None:
    unused = [name for name in statements_module.load_statements(source) if not re.search(rf'"{name}"', CODE)]
    assert unused == []
