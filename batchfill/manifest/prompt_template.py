"""A default prompt that names columns: `a {x_colour} sofa`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from batchfill.errors import did_you_mean
from batchfill.filenames import fold_case

if TYPE_CHECKING:
    from collections.abc import Sequence

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|\{")
_BRACES = re.compile(r"[{}]")
_KEPT = 64
"""Combinations of names that are remembered; in JSONL and YAML they may differ from row to row."""


def is_template(text: str) -> bool:
    """Whether columns, or pairs of braces, would be read into *text*."""
    return _BRACES.search(text) is not None


class PromptTemplate:
    """The default prompt of rows that give none. What a cell holds is never read for names again."""

    def __init__(self, text: str) -> None:
        """Read *text*, where `{{` and `}}` are braces. Raises ValueError for a `{` that names nothing."""
        self.text = text
        self._texts: list[str] = [""]
        """What stands before, between and behind the columns."""
        self.columns: list[str] = []
        self._read(text)
        self._places = lru_cache(maxsize=_KEPT)(self._find_places)

    def find_unknown(self, names: tuple[str, ...]) -> list[str]:
        """Return the columns that are not among *names*, each with what may be meant."""
        places = self._places(names)
        return [
            f"{{{column}}}, and there is none{did_you_mean(column, names) or ': write {{ for a brace'}"
            for column in dict.fromkeys(self.columns)
            if places[column] is None
        ]

    def fill(self, names: tuple[str, ...], cells: Sequence[str]) -> str:
        """Return the prompt of the row with these *cells*, which has every column.

        Raises ValueError that tells which cells are empty.
        """
        places = self._places(names)
        found = [cells[place].strip() for column in self.columns if (place := places[column]) is not None]
        if empty := [column for column, text in zip(self.columns, found, strict=True) if not text]:
            verb = "is empty, and the default prompt names it"
            raise ValueError("; ".join(f"{column} {verb}" for column in dict.fromkeys(empty)))
        return "".join(text for pair in zip(self._texts, [*found, ""], strict=True) for text in pair)

    def without_braces(self, prompt: str) -> str:
        """Return *prompt* without the braces that this template means to be there; any other one as it is."""
        first, *others = self._texts
        if not prompt.startswith(first):
            return prompt
        told, at = _BRACES.sub("", first), len(first)
        for place, text in enumerate(others, 1):
            # What the last column holds reaches to the text behind it.
            is_last = place == len(others)
            found = len(prompt) - len(text) if is_last else prompt.find(text, at)
            if found < at or not prompt.startswith(text, found):
                return prompt
            told += prompt[at:found] + _BRACES.sub("", text)
            at = found + len(text)
        return told if at == len(prompt) else prompt

    def _read(self, text: str) -> None:
        end = 0
        for part in _PART.finditer(text):
            self._texts[-1] += text[end : part.start()]
            end = part.end()
            if part[0] in ("{{", "}}"):
                self._texts[-1] += part[0][0]
            elif part[1] is None or not part[1].strip():
                raise ValueError(f"prompt has a {part[0]} that names no column: write {{{{ for a brace")
            else:
                self.columns.append(part[1].strip())
                self._texts.append("")
        self._texts[-1] += text[end:]

    def _find_places(self, names: tuple[str, ...]) -> dict[str, int | None]:
        """Return the place of each column among *names*; None for one that is not there.

        A column is found in another case of its letters too, where just one agrees.
        """
        folded = [fold_case(name) for name in names]
        return {column: _find_place(column, names, folded) for column in self.columns}


def _find_place(column: str, names: tuple[str, ...], folded: list[str]) -> int | None:
    if column in names:
        return names.index(column)
    alike = fold_case(column)
    return folded.index(alike) if folded.count(alike) == 1 else None
