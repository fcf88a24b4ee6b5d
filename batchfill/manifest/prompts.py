"""The prompts of a manifest: the first ones as they are sent, and what in them no person wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from batchfill.domain.reports import ShownPrompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from batchfill.domain.rows import Row
    from batchfill.manifest.prompt_template import PromptTemplate

SHOWN = 3
LONGEST = 200
"""Characters of a prompt that are repeated."""


class _Kind(NamedTuple):
    """What no person writes into a prompt."""

    finds: Callable[[str], object]
    """Whether a prompt has it."""
    says: str
    """What such a prompt looks like."""


class _Found:
    """The rows whose prompts are of one kind."""

    def __init__(self, first: ShownPrompt) -> None:
        self.first = first
        self.rows = 0


class Prompts:
    """Takes the prompt of each row; its size does not grow with the rows."""

    def __init__(self, name: str | None, template: PromptTemplate | None = None) -> None:
        """*name*: the model's input for it; None where it has none. *template*: the default prompt."""
        self._name = name
        self._template = template
        self._first: dict[str, ShownPrompt] = {}
        self._foreign: dict[str, ShownPrompt] = {}
        self._found: dict[_Kind, _Found] = {}
        # Rows with one prompt mostly follow one another.
        self._last = ""
        self._kinds: list[_Kind] = []

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Note what the prompts of *rows* are like."""
        for row in rows:
            self._add(row)

    def _add(self, row: Row) -> None:
        text = row.inputs.get(self._name or "")
        if not isinstance(text, str):
            return
        if text != self._last:
            self._last = text
            self._show(row, text)
            self._kinds = find_kinds(text if self._template is None else self._template.without_braces(text))
        for kind in self._kinds:
            if kind not in self._found:
                self._found[kind] = _Found(_shown(row, text))
            self._found[kind].rows += 1

    def first(self) -> tuple[ShownPrompt, ...]:
        """Return a few different ones, those with letters beyond ASCII among them, in their order."""
        foreign = list(self._foreign.values())
        plain = [shown for shown in self._first.values() if shown not in foreign]
        return tuple(sorted((foreign + plain)[:SHOWN]))

    def warnings(self, file: str) -> Iterator[str]:
        """Yield a line for each kind that was found, with its first row; *file* holds the rows."""
        for kind in _KINDS:
            if found := self._found.get(kind):
                look = "prompt looks like" if found.rows == 1 else "prompts look like"
                yield f"{file}:{found.first.line}: {found.rows:,} {look} {kind.says}: {found.first.text}"

    def _show(self, row: Row, text: str) -> None:
        if len(self._first) < SHOWN:
            self._first.setdefault(text, _shown(row, text))
        if len(self._foreign) < SHOWN and not text.isascii():
            self._foreign.setdefault(text, _shown(row, text))


def _shown(row: Row, text: str) -> ShownPrompt:
    return ShownPrompt(row.line, row.id or row.stem, text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def _pattern(text: str, flags: int = 0) -> Callable[[str], object]:
    return re.compile(text, flags).search


def _foreign(text: str) -> bool:
    return not text.isascii()


_DECODINGS = ("windows-1252", "latin-1", "windows-1250", "windows-1251", "cp437", "cp850", "mac-roman")


def is_damaged(text: str) -> bool:
    """Whether *text* was read in another encoding than it was written in, or lost letters."""
    if "\ufffd" in text or _LOST(text):
        return True
    return _foreign(text) and bool(
        _NO_TEXT(text) or _SYMBOL_IN_WORD(text) or any(_reads_twice(text, name) for name in _DECODINGS)
    )


_LOST = _pattern(r"[a-z]\?+[a-z]|\?{3,}|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|锟斤拷|烫烫烫|â€|Ã[¡-¿]|Â[\xa0-¿]")
_NO_TEXT = _pattern(r"[\x80-\x9f\u2500-\u259f]")
_SYMBOL_IN_WORD = _pattern(r"[^\W\d_][¡¢£¤¥¦§©¬®¯±¶¸¹³¼½¾¿†‡‰‹›„“”‚ˆ˜•™]+[^\W\d_]")


def _reads_twice(text: str, encoding: str) -> bool:
    """Whether *text* is UTF-8 that was read as *encoding*: chance makes no such text."""
    try:
        return text.encode(encoding).decode("utf-8") != text
    except UnicodeError:
        return False


_ERRORS = (
    r"#(NAME|VALUE|REF|DIV/0|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|UNKNOWN|GETTING_DATA"
    r"|WERT|BEZUG|ZAHL|NOM|VALEUR|NOMBRE|VALOR|NOME|VALORE)[?!]?(?=\W|$)|#N/A|#N/D|#NV(?=\W|$)"
    r"|\bErr:5\d\d\b|^\s*=[A-Z]{1,3}\d+\b|^\s*=[A-Z.]+\("
)
_EMPTY = r"\s*(nan|none|null|nil|undefined|n/?a|<na>|nat|\(?blank\)?|tbd|todo|-+|[.…]+|\?)\s*"
_OBJECTS = (
    r"\[object \w+\]|<[\w.]+ object at 0x|<function "
    r"|^\s*function\b.*\{|\bOptional\(|^\s*[{\[]['\"][^'\"]*['\"]\s*[:,]"
)
_TAGS = r"/?(p|br|div|span|strong|b|i|em|li|ul|ol|h\d|table|td|tr|a)\b"
_PAGE = rf"&(amp|quot|nbsp|lt|gt|apos|#\d+);|<{_TAGS}[^<>]*>"
_PLACEHOLDERS = (
    r"\{\{?\s*[A-Za-z_][\w .-]*\}?\}|\{\d*\}|\$\{?[A-Za-z_]\w*\}?|%\(\w+\)s|%[sd]\b"
    rf"|<(?!{_TAGS})[A-Za-z_]+>|\[[A-Z][A-Z _]{{2,}}\]|\{{[^{{}}|]*\|[^{{}}]*\}}|__\w+__"
    r"|(?i:\blorem ipsum\b|\byour prompt\b)"
)
_QUOTED = (
    r"^\s*(\"[^\"]+\"|\"\"[^\"]+\"\"|\"\"\".+\"\"\"|“[^“”]+”|„[^„“”]+[“”]|«[^«»]+»|'[^']+'|‘[^‘’]+’)\s*$"
)

_NO_WORDS = _Kind(re.compile(_EMPTY, re.IGNORECASE).fullmatch, "a word for an empty cell")
_KINDS = (
    _Kind(_pattern(_ERRORS), "an error or a formula of a spreadsheet"),
    _NO_WORDS,
    _Kind(_pattern(_OBJECTS), "what a program prints for something that is no text"),
    _Kind(_pattern(_PAGE, re.IGNORECASE), "the markup of a web page, which is sent along"),
    _Kind(_pattern(_PLACEHOLDERS), "a template with a placeholder that nothing fills"),
    _Kind(is_damaged, "damaged text, read in another encoding than it was written in"),
    _Kind(_pattern(_QUOTED, re.DOTALL), "a text in quotes, which are sent along"),
)
"""What no person writes, the worst first."""

_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:!()/+*@\n-]+")
_FILLERS = ("ipsum", "your prompt", "err:", "optional(")


def find_kinds(text: str) -> list[_Kind]:
    """Return what no person writes and *text* has."""
    # Most prompts of a million hold nothing but words.
    if _PLAIN.fullmatch(text) and not any(map(text.lower().__contains__, _FILLERS)):
        return [_NO_WORDS] if _NO_WORDS.finds(text) else []
    return [kind for kind in _KINDS if kind.finds(text)]
