"""The types of settings: how a value is called in help and docs, and how its text is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from batchfill.domain.money import MILLION
from batchfill.errors import cut_short, quote_shortened
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable

FLUX_FILL_DEV = "black-forest-labs/flux-fill-dev"
LONGEST_MODEL = 200
"""Characters of a model's name; a version takes 64 of them."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
"""The name of an environment variable."""
NO_VARIABLE = "must name the variable that holds the header's value, and not be the value itself"
LONGEST_COMMAND = 10_000
"""Characters of a command: to split a text takes the square of its length."""
UNBOUNDED = 10**9
"""More rows than a batch has."""


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type whose values are taken as they are given."""

    metavar: str = ""
    """What stands for a value in `--help`; empty where a flag takes none."""
    values: str = ""
    """What the reference page says of its values, in Markdown."""


@dataclass(frozen=True, slots=True)
class Switch(ValueType):
    """On where the flag is given."""

    revocable: bool = False
    """Whether the batch remembers it, so that `--no-…` turns it off again."""


@dataclass(frozen=True, slots=True)
class Pairs(ValueType):
    """`NAME=VALUE`, as often as there are names; a mapping in a manifest."""


@dataclass(frozen=True, slots=True)
class FilePath(ValueType):
    """The path of a file."""


@dataclass(frozen=True, slots=True)
class FolderPath(ValueType):
    """The path of a folder."""


@dataclass(frozen=True, slots=True)
class CommandWords(ValueType):
    """A program and its arguments."""


@dataclass(frozen=True, slots=True)
class Text(ValueType):
    """A type whose values are read from text."""

    reader: Callable[[str], Any] = str

    def read(self, text: str) -> Any:
        """Return the value of *text*. Raises ValueError with what was expected: `must be …, not …`."""
        return self.reader(text)


@dataclass(frozen=True, slots=True)
class Words(Text):
    """Words joined by commas; a list in a manifest."""


def number(low: float, high: float, *, whole: bool = True) -> Callable[[str], int | float]:
    """Return what reads a number from *low* to *high*, both included."""

    def read(text: str) -> int | float:
        kind = "a whole number" if whole else "a number"
        try:
            value: int | float = int(text) if whole else float(text)
        except ValueError:
            raise ValueError(f"must be {kind}, not {quote_shortened(text)}") from None
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}, not {cut_short(text)}")
        return value

    return read


def count(high: int, metavar: str = "N") -> Text:
    """Return the type of a whole number from 1 to *high*."""
    return Text(metavar, "1 or more" if high == UNBOUNDED else f"1 to {high}", number(1, high))


def seconds(low: int, high: int) -> Text:
    """Return the type of a time in seconds."""
    return Text("SECONDS", f"{low} to {high} seconds", number(low, high, whole=False))


def choice(*words: str) -> Text:
    """Return the type of one of *words*."""

    def read(text: str) -> str:
        if text in words:
            return text
        raise ValueError(f"must be {' or '.join(words)}, not {quote_shortened(text)}")

    return Text("|".join(words), ", ".join(f"`{word}`" for word in words), read)


def some_of(*words: str) -> Words:
    """Return the type of some of *words*, read as a tuple in their order."""

    def read(text: str) -> tuple[str, ...]:
        found = [word.strip().lower() for word in text.split(",") if word.strip()]
        for word in found:
            if word not in words:
                raise ValueError(f"must be some of {', '.join(words)}, not {quote_shortened(word)}")
        return tuple(word for word in words if word in found)

    return Words("WORDS", ", ".join(f"`{word}`" for word in words), read)


def read_money(text: str) -> int:
    """Read an amount such as `25` or `0.04` as millionths. Raises ValueError."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= 10**9):
        raise ValueError(f"must be an amount of money such as 25 or 0.04, not {quote_shortened(text)}")
    return round(amount * MILLION)


def read_command(text: str) -> str:
    """Return *text*, a program and its words as a shell would split them. Raises ValueError."""
    try:
        words = here().split_command(text) if len(text) <= LONGEST_COMMAND else []
    except ValueError:
        words = []
    if not words or "\0" in text:
        raise ValueError(f"must be a program and its words, each quote closed, not {quote_shortened(text)}")
    return text


def read_cap(text: str) -> int | None:
    """Read an amount of money, or `none`. Raises ValueError."""
    return None if text.strip().lower() == "none" else read_money(text)


def read_time(text: str) -> time:
    """Read a time of day. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if match and int(match[1]) < 24 and int(match[2]) < 60:
        return time(int(match[1]), int(match[2]))
    raise ValueError(f"must be a time of day such as 07:30, not {quote_shortened(text)}")


def read_model(text: str) -> str:
    """Read the name of a model, with or without a version. Raises ValueError."""
    if len(text) <= LONGEST_MODEL and re.fullmatch(
        r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[A-Za-z0-9][\w.-]*)?", text
    ):
        return text
    raise ValueError(
        f"must be OWNER/NAME such as {FLUX_FILL_DEV}, or OWNER/NAME:VERSION, not {quote_shortened(text)}"
    )


KEEP_OR_REFUSE = choice("keep", "refuse")


def read_keep(text: str) -> bool:
    """Whether `keep` is said, not `refuse`. Raises ValueError."""
    return bool(KEEP_OR_REFUSE.read(text) == "keep")
