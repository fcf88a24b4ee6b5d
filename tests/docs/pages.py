"""Reads README and docs: their fences, links, headings and words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block of a page; CONTRIBUTING lists what the word after the language means."""

    page: Path
    line: int
    language: str
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def name_of(page: Path) -> str:
    """Return what tests call a page."""
    return page.relative_to(ROOT).as_posix()


@cache
def text_of(page: Path) -> str:
    """Return the whole page."""
    return page.read_text("utf-8")


@cache
def prose_of(page: Path) -> str:
    """Return the page without its fences."""
    return _FENCE.sub("", text_of(page))


@cache
def fences_of(page: Path) -> tuple[Fence, ...]:
    """Return the fenced blocks of a page, in their order."""
    text = text_of(page)
    return tuple(
        Fence(page, text.count("\n", 0, found.start()) + 1, found[1], found[2].strip(), found[3])
        for found in _FENCE.finditer(text)
    )


def links_of(page: Path) -> list[str]:
    """Return the targets of the links and pictures of a page."""
    return _LINK.findall(prose_of(page))


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that the headings of a page get."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose_of(page)))
    return {heading.replace(" ", "-") for heading in plain}


def section_of(page: Path, heading: str) -> str:
    """Return what is between *heading* and the next heading of a page."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", prose_of(page), re.DOTALL | re.MULTILINE)
    assert found, f"{name_of(page)} has no heading {heading}"
    return found[1]


def tables_of(text: str) -> list[list[list[str]]]:
    """Return the tables in *text*: each a list of rows, without its head, each a list of cells."""
    blocks = re.findall(r"(?:^\|[^\n]*\n)+", text, re.MULTILINE)
    return [[_cells(line) for line in block.splitlines()[2:]] for block in blocks]


def codes_of(text: str) -> list[str]:
    """Return the code spans in *text*."""
    return [code.strip() for _, code in re.findall(r"(`+)(.+?)\1", text)]


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]
