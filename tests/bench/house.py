"""Measures how well one finds one's way in the code: `python -m tests.bench.house [CHECKOUT …]`.

A *room* is a folder, or a file that lies next to folders.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
SHORT = 20
"""Lines of a function that can be taken in at a glance."""

Graph = dict[Path, set[Path]]
"""File → the files that it imports."""


class Function(NamedTuple):
    """A function or a method."""

    name: str
    lines: int
    """Of its statements: signature and docstring are not counted."""

    @property
    def is_one_word(self) -> bool:
        """Whether its name is a single word; those that Python itself names are none."""
        return "_" not in self.name.strip("_") and not self.name.startswith("__")


class House:
    """The files of one checkout's package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "batchfill"
        self.trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(self.package.rglob("*.py"))}
        self.graph = {path: set(self._imports(path)) - {path} for path in self.trees}

    def _imports(self, path: Path) -> Iterator[Path]:
        for node in ast.walk(self.trees[path]):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "batchfill":
                module = self.root.joinpath(*(node.module or "").split("."))
                for alias in node.names:
                    found = (module / f"{alias.name}.py", module.with_suffix(".py"), module / "__init__.py")
                    yield from [file for file in found if file in self.trees][:1]

    def room(self, path: Path) -> Path:
        """Return the folder of a file; for one that lies next to folders, the file."""
        folder = path.parent
        next_to_folders = any(other != folder and folder in other.parents for other in self.folders)
        return path if next_to_folders else folder

    @cached_property
    def folders(self) -> set[Path]:
        return {path.parent for path in self.trees}

    def inside(self, folder: Path) -> Graph:
        """Return the imports between the files of *folder*, those of its folders included."""
        files = {path for path in self.trees if folder in path.parents and path.name != "__init__.py"}
        return {path: self.graph[path] & files for path in files}

    def functions(self) -> Iterator[Function]:
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    body = node.body[1:] if ast.get_docstring(node) else node.body
                    first = body[0].lineno if body else node.lineno + 1
                    yield Function(node.name, (node.end_lineno or node.lineno) - first + 1)

    def classes(self) -> Iterator[str]:
        """Yield the names of the public classes of all modules."""
        for tree in self.trees.values():
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield node.name

    def back_up(self) -> tuple[int, int]:
        """Return how many imports between rooms run back up, and how many circles rooms are in."""
        rooms: Graph = {}
        for path, imported in self.graph.items():
            rooms.setdefault(self.room(path), set()).update(map(self.room, imported))
        rooms = {room: others - {room} for room, others in rooms.items()}
        up = circles = 0
        while circle := find_circle(rooms):
            circles += 1
            # The thinnest arrow of a circle is the one that is in the wrong place.
            arrows = {arrow: self._width(*arrow) for arrow in pairwise(circle)}
            (origin, target), width = min(arrows.items(), key=lambda arrow: arrow[1])
            rooms[origin].discard(target)
            up += width
        return up, circles

    def _width(self, origin: Path, target: Path) -> int:
        pairs = ((a, b) for a, others in self.graph.items() for b in others)
        return sum(self.room(a) == origin and self.room(b) == target for a, b in pairs)


def find_circle(graph: Mapping[Path, Iterable[Path]]) -> list[Path]:
    """Return one circle, each room importing the next and the first at the end too; empty where none is."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[Path] = error.args[1]
        return found[::-1]
    return []


def floors(graph: Graph) -> int:
    """Return how many files the longest chain of imports has."""
    height: dict[Path, int] = {}
    for path in TopologicalSorter(graph).static_order():
        height[path] = 1 + max((height[below] for below in graph.get(path, ())), default=0)
    return max(height.values(), default=0)


def lines_of(path: Path) -> int:
    return path.read_text("utf-8").count("\n") if path.exists() else 0


def twice(names: Iterable[str]) -> int:
    return sum(count > 1 for count in Counter(names).values())


def measure(root: Path) -> dict[str, str]:
    """Return every figure of the checkout at *root*, by what it is of."""
    house = House(root)
    folders = Counter(path.parent for path in house.trees)
    lines = {path: lines_of(path) for path in house.trees}
    run = house.inside(house.package / "run")
    functions = list(house.functions())
    named = [function for function in functions if not function.name.startswith("__")]
    modules = [path.stem for path in house.trees if path.name != "__init__.py"]
    up, circles = house.back_up()
    return {
        "largest folder, files": str(max(folders.values())),
        "largest file, lines": str(max(lines.values())),
        "imports between files inside `run/`": str(sum(map(len, run.values()))),
        "longest import chain inside `run/`": str(floors(run)),
        "arrows back up, cycles": f"{up}, {circles}",
        "module names used twice": str(twice(modules)),
        "public classes twice": str(twice(house.classes())),
        "one-word function names": share(sum(f.is_one_word for f in functions), len(named)),
        f"functions within {SHORT} lines": share(sum(f.lines <= SHORT for f in functions), len(functions)),
        "longest function, lines": str(max(f.lines for f in functions)),
        "package lines": f"{sum(lines.values()):,}",
        "README words": f"{len((root / 'README.md').read_text('utf-8').split()):,}",
        "conftest lines": str(lines_of(root / "tests/conftest.py")),
    }


def share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}"


def table(roots: Iterable[Path]) -> Iterator[str]:
    """Yield the figures of checkouts as Markdown, a column each."""
    found = {root.name: measure(root) for root in roots}
    yield f"| | {' | '.join(found)} |"
    yield f"|---|{'---:|' * len(found)}"
    for name in next(iter(found.values())):
        yield f"| {name} | {' | '.join(figures[name] for figures in found.values())} |"


if __name__ == "__main__":
    for line in table([Path(argument).resolve() for argument in sys.argv[1:]] or [ROOT]):
        print(line)
