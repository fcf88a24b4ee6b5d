"""Which part may import what, as a table; and what the command's help does not load."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(__file__).parents[2] / "batchfill"

BASE = frozenset(
    {"_version", "errors", "domain", "settings", "filenames", "regular_files", "clock", "systems"}
)
"""What nearly every part is written with."""
SUBJECTS = frozenset({"manifest", "ledger", "providers", "images"})
"""They never see each other: only `session` and `check` bring all of them together."""
BATCH = BASE | SUBJECTS | {"catalog", "storage", "workers"}
"""What work on a batch is made of."""

ALLOWED = {
    "_version": frozenset[str](),
    "errors": frozenset[str](),
    "domain": {"errors"},
    "filenames": {"errors", "domain"},
    "settings": {"errors", "domain", "regular_files", "systems"},
    "regular_files": frozenset[str](),
    "clock": frozenset[str](),
    "wakeup": frozenset[str](),
    "systems": frozenset[str](),
    "process": {"errors", "systems"},
    "token_command": {"errors", "domain", "settings"},
    "catalog": BASE,
    **dict.fromkeys(SUBJECTS, BASE | {"catalog"}),
    "storage": BASE | {"ledger", "images"},
    "workers": BASE | {"wakeup"},
    "finishing": BATCH - {"manifest", "providers"},
    "run": (BATCH - {"manifest"}) | {"finishing", "wakeup"},
    "session": BATCH | {"finishing", "run", "emulator", "process", "token_command"},
    "check": BATCH | {"session"},
    "export": BASE | {"ledger", "storage", "images"},
    "notify": BASE | {"providers", "storage"},
    "review": {"errors", "domain", "filenames", "systems", "images", "workers"},
    "emulator": BASE | {"catalog", "images"},
    "console": {"errors", "domain"},
    "notebook": {"errors", "domain", "systems", "console", "ledger", "images"},
    "batch": BATCH | {"session", "check", "export", "notify", "review", "notebook"},
    "blocking": {"errors", "domain", "batch"},
    "tools": BASE | {"catalog", "manifest", "emulator"},
    "cli": BASE | {"batch", "tools", "console", "process"},
    "__init__": BASE | {"batch", "blocking"},
    "__main__": {"cli"},
}
"""Part → the parts that it may import, for types too. Its own modules it may always import."""

THIRD_PARTY = {
    "aiohttp": {"providers", "emulator", "review"},
    "aiosqlite": {"ledger"},
    "brotli": {"providers", "emulator"},
    "zstandard": {"providers", "emulator"},
    "anyio": {
        "batch",
        "blocking",
        "check",
        "cli",
        "emulator",
        "export",
        "ledger",
        "notify",
        "providers",
        "review",
        "run",
        "session",
        "storage",
        "systems",
        "token_command",
        "workers",
    },
    "apprise": {"notify"},
    "click": {"cli"},
    "IPython": {"notebook"},
    "distributed": {"workers"},
    "httpx": {"providers", "notify"},
    "isal": {"images"},
    "jpeglib": {"images"},
    "numpy": {"images"},
    "obstore": {"storage"},
    "pandas": {"export"},
    "python_calamine": {"manifest"},
    "PIL": {"images"},
    "pillow_heif": {"images"},
    "rich": {"console"},
    "sqlite3": {"ledger"},
    "yaml": {"emulator", "manifest"},
    # The addresses of aiohttp, which brings it along.
    "yarl": {"providers"},
}
"""Module → the parts that may import it. sqlite3 comes with Python and is kept to its place all the same."""

HEAVY = {"PIL", "apprise", "aiohttp", "aiosqlite", "distributed", "httpx", "numpy", "obstore", "rich", "yaml"}
"""What a command that only prints its help has no use for."""


class Import(NamedTuple):
    """One name that a file imports."""

    file: str
    line: int
    part: str
    target: str
    """Dotted: `batchfill.providers.rate_limiter.Bucket`, `aiohttp.web`."""

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


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in imports_of(path, path.read_text(encoding="utf-8"))
    )


def is_allowed(found: Import) -> bool:
    """Whether the tables allow it; a part or a package that no table knows is not allowed."""
    top, _, rest = found.target.partition(".")
    if top == "batchfill":
        wanted = rest.partition(".")[0]
        return wanted == found.part or wanted in ALLOWED.get(found.part, ())
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


def room_of(path: Path) -> str:
    """Return the folder of a file; for one that lies next to folders of its part, the file."""
    folder = path.parent
    if folder == PACKAGE or any(child.is_dir() and child.name != "__pycache__" for child in folder.iterdir()):
        return path.relative_to(PACKAGE).with_suffix("").as_posix()
    return folder.relative_to(PACKAGE).as_posix()


@cache
def file_of(target: str) -> Path | None:
    """Return the file that an import of ours reads: that of the module, or of the name in it."""
    *folders, last = target.split(".")
    path = PACKAGE.parent.joinpath(*folders, last)
    found = (
        path.with_suffix(".py"),
        path / "__init__.py",
        path.parent.with_suffix(".py"),
        path.parent / "__init__.py",
    )
    return next((file for file in found if file.exists()), None)


@pytest.mark.parametrize("place", [room_of, str], ids=["folders", "files"])
def test_no_imports_run_in_a_circle(place: Callable[[Path], str]) -> None:
    graph: dict[str, set[str]] = {}
    for found in all_imports():
        file = file_of(found.target) if found.target.startswith("batchfill.") else None
        origin = place(PACKAGE.parent / found.file)
        if file is not None and place(file) != origin:
            graph.setdefault(origin, set()).add(place(file))
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("path", "source", "targets"),
    [
        ("run/engine.py", "import httpx, os.path", ["httpx", "os.path"]),
        ("run/engine.py", "from batchfill import filenames", ["batchfill.filenames"]),
        ("run/engine.py", "from . import clock", ["batchfill.run.clock"]),
        (
            "run/engine.py",
            "from ..providers.transport import Transport",
            ["batchfill.providers.transport.Transport"],
        ),
        ("run/__init__.py", "from .engine import Engine", ["batchfill.run.engine.Engine"]),
        ("batch.py", "from .console import live", ["batchfill.console.live"]),
        ("batch.py", "def f():\n    if TYPE_CHECKING:\n        import rich.live", ["rich.live"]),
    ],
)
def test_an_import_is_seen_however_it_is_written(path: str, source: str, targets: list[str]) -> None:
    assert [found.target for found in imports_of(PACKAGE / path, source)] == targets


@pytest.mark.parametrize(
    ("part", "target", "allowed"),
    [
        ("run", "batchfill.providers.transport", True),
        ("providers", "batchfill.providers.transport", True),
        ("providers", "batchfill.ledger", False),
        ("images", "batchfill.manifest.columns", False),
        ("console", "batchfill.settings.addresses.LOCAL", False),
        ("cli", "batchfill.providers", False),
        ("run", "batchfill.session.plan", False),
        ("providers", "batchfill._version.__version__", True),
        ("run", "httpx", False),
        ("review", "aiohttp.web", True),
        ("run", "sqlite3", False),
        ("run", "requests", False),
        ("run", "asyncio", True),
        ("surprise", "batchfill.domain", False),
    ],
)
def test_the_tables_are_read_as_they_are_meant(part: str, target: str, allowed: bool) -> None:
    assert is_allowed(Import("somewhere.py", 1, part, target)) is allowed


PROBE = """
import json, sys
from batchfill.cli.app import main
try:
    if len(sys.argv) > 1:
        main()
finally:
    loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module}
    print(json.dumps(sorted(loaded)), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_importing_the_command_and_its_help_load_nothing_heavy(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stderr.splitlines()[-1]))
    assert loaded & HEAVY == set()


def test_a_check_of_a_csv_without_network_loads_neither_its_libraries_nor_yaml(tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("image,mask,prompt\nhttps://a.test/a.png,https://a.test/m.png,x\n")
    run = subprocess.run(
        [sys.executable, "-c", PROBE, "check", str(tmp_path / "night.csv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stderr.splitlines()[-1]))
    assert loaded & {"aiohttp", "email", "httpx", "numpy", "obstore", "yaml"} == set()
