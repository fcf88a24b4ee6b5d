"""Which part may import what, as a table; and what the command's help does not load."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "batchfill"

BASE = frozenset({"errors", "values", "readers", "settings", "names", "regular"})
"""What nearly every part is written with."""
SUBJECTS = frozenset({"manifest", "ledger", "api", "images"})
"""They never see each other: only `run` brings them together."""

ALLOWED = {
    "errors": frozenset[str](),
    "values": {"errors"},
    "readers": {"errors", "values"},
    "settings": {"errors", "values", "readers"},
    "names": {"errors", "values"},
    "regular": frozenset[str](),
    "catalog": BASE,
    **dict.fromkeys(SUBJECTS, BASE | {"catalog"}),
    "run": BASE | {"catalog"} | SUBJECTS,
    "gallery": {"errors", "values", "names", "images"},
    "local": BASE | {"catalog", "images"},
    "show": {"errors", "values"},
    "batch": BASE | {"catalog", "run", "gallery", "local", "surroundings"} | SUBJECTS,
    "options": frozenset[str](),
    "surroundings": {"errors"},
    "cli": BASE | {"batch", "show", "options", "surroundings"},
    "__init__": BASE | {"batch"},
    "__main__": {"cli"},
}
"""Part → the parts that it may import, for types too. Its own modules it may always import."""

THIRD_PARTY = {
    "aiohttp": {"api", "local", "gallery"},
    "aiosqlite": {"ledger"},
    "anyio": {"api", "batch", "cli", "gallery", "ledger", "local", "run"},
    "click": {"cli", "options"},
    "filelock": {"batch", "ledger", "run"},
    "httpx": {"api"},
    "numpy": {"images"},
    "PIL": {"images"},
    "rich": {"show"},
    "sqlite3": {"ledger"},
    "yaml": {"local", "manifest"},
    # The addresses of aiohttp, which brings it along.
    "yarl": {"api"},
}
"""Module → the parts that may import it. sqlite3 comes with Python and is kept to its place all the same."""

HEAVY = {"PIL", "aiohttp", "aiosqlite", "httpx", "numpy", "rich", "yaml"}
"""What a command that only prints its help has no use for."""


class Import(NamedTuple):
    """One name that a file imports."""

    file: str
    line: int
    part: str
    target: str
    """Dotted: `batchfill.api.pace.Bucket`, `aiohttp.web`."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.part} must not import {self.target}"


def part_of(path: Path) -> str:
    """Return the part that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path, source: str) -> list[Import]:
    """Return every import of *source*, inside functions and for types too, made absolute."""
    file = path.relative_to(PACKAGE.parent)
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # One dot is the folder of the file, in a module and in an __init__ alike.
            folder = ".".join(file.parts[: len(file.parts) - node.level]) if node.level else ""
            origin = ".".join(filter(None, [folder, node.module]))
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [Import(file.as_posix(), node.lineno, part_of(path), name) for name in names]
    return found


def all_imports() -> list[Import]:
    return [
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in imports_of(path, path.read_text(encoding="utf-8"))
    ]


def is_allowed(found: Import) -> bool:
    """Whether the tables allow it; a part or a package that no table knows is not allowed."""
    top, _, rest = found.target.partition(".")
    if top == "batchfill":
        wanted = rest.partition(".")[0]
        return wanted in {found.part, "__version__"} or wanted in ALLOWED.get(found.part, ())
    if top in THIRD_PARTY:
        return found.part in THIRD_PARTY[top]
    return top in sys.stdlib_module_names


def test_every_import_is_in_the_tables() -> None:
    assert [str(found) for found in all_imports() if not is_allowed(found)] == []


def test_every_part_is_in_the_table() -> None:
    assert {part_of(path) for path in PACKAGE.rglob("*.py")} <= ALLOWED.keys()


def test_the_table_has_no_cycle() -> None:
    built: set[str] = set()
    while len(built) < len(ALLOWED):
        ready = {part for part, needs in ALLOWED.items() if needs <= built} - built
        assert ready, f"a cycle among {sorted(ALLOWED.keys() - built)}"
        built |= ready


@pytest.mark.parametrize(
    ("path", "source", "targets"),
    [
        ("run/submit.py", "import httpx, os.path", ["httpx", "os.path"]),
        ("run/submit.py", "from batchfill import names", ["batchfill.names"]),
        ("run/submit.py", "from . import pool", ["batchfill.run.pool"]),
        ("run/submit.py", "from ..api.pace import Bucket", ["batchfill.api.pace.Bucket"]),
        ("run/__init__.py", "from .submit import submit", ["batchfill.run.submit.submit"]),
        ("cli.py", "from .show import live", ["batchfill.show.live"]),
        ("cli.py", "def f():\n    if TYPE_CHECKING:\n        import rich.live", ["rich.live"]),
    ],
)
def test_an_import_is_seen_however_it_is_written(path: str, source: str, targets: list[str]) -> None:
    assert [found.target for found in imports_of(PACKAGE / path, source)] == targets


@pytest.mark.parametrize(
    ("part", "target", "allowed"),
    [
        ("run", "batchfill.api.pace", True),
        ("api", "batchfill.api.pace", True),
        ("api", "batchfill.ledger", False),
        ("images", "batchfill.manifest.files", False),
        ("show", "batchfill.settings.LOCAL", False),
        ("cli", "batchfill.api", False),
        ("api", "batchfill.__version__", True),
        ("run", "httpx", False),
        ("gallery", "aiohttp.web", True),
        ("run", "sqlite3", False),
        ("run", "requests", False),
        ("run", "asyncio", True),
        ("surprise", "batchfill.values", False),
    ],
)
def test_the_tables_are_read_as_they_are_meant(part: str, target: str, allowed: bool) -> None:
    assert is_allowed(Import("somewhere.py", 1, part, target)) is allowed


PROBE = """
import json, sys
from batchfill.cli import main
try:
    if len(sys.argv) > 1:
        main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_importing_the_command_and_its_help_load_nothing_heavy(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stderr.splitlines()[-1]))
    assert loaded & HEAVY == set()
