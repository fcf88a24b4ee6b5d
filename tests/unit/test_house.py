"""What a newcomer looks for is where the name says: names exist once, folders and files are small."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "batchfill"
FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({file.parent for file in FILES} - {PACKAGE})

MOST_FILES = 20
MOST_LINES = 400
STILL_LARGER: dict[str, int] = {}
"""Files that have yet to be parted, and the lines that each may have at most until then; to be emptied."""


def said(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def several(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return what more than one file has."""
    return {name: files for name, files in found.items() if len(files) > 1}


def test_a_module_name_exists_once() -> None:
    found = defaultdict(list)
    for file in FILES:
        if file.stem != "__init__":
            found[file.stem].append(said(file))
    assert several(found) == {}


def test_a_public_class_name_exists_once() -> None:
    found = defaultdict(list)
    for file in FILES:
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(said(file))
    assert several(found) == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=said)
def test_no_module_is_hidden_by_a_name_of_its_package(folder: Path) -> None:
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    names = set()
    for node in ast.walk(ast.parse((folder / "__init__.py").read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    assert modules & names == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=said)
def test_a_folder_is_no_larger_than_a_newcomer_can_take_in(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


@pytest.mark.parametrize("folder", FOLDERS, ids=said)
def test_a_package_says_what_its_words_mean(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    first, _, rest = text.partition("\n\n")
    assert first.endswith(".")
    assert re.search(r"\*\w[^*]*\*", rest), "no *noun* is defined"


def test_a_file_is_no_longer_than_can_be_read_at_once() -> None:
    longer = {
        said(file): lines
        for file in FILES
        if (lines := file.read_text("utf-8").count("\n")) > STILL_LARGER.get(said(file), MOST_LINES)
    }
    assert longer == {}


def test_no_file_is_excused_that_need_not_be() -> None:
    excused = {name for name in STILL_LARGER if (PACKAGE / name).read_text("utf-8").count("\n") > MOST_LINES}
    assert excused == STILL_LARGER.keys()
