"""Reads values of settings from around the command: texts of variables, and what TOML holds."""

from __future__ import annotations

import shlex
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfill.settings.addresses import read_base
from batchfill.settings.value_types import (
    LONGEST_COMMAND,
    NO_VARIABLE,
    VARIABLE,
    CommandWords,
    FilePath,
    FolderPath,
    Pairs,
    Switch,
    Text,
    Words,
)

if TYPE_CHECKING:
    from batchfill.settings.setting import Setting

_TRUTHS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_NO_COMMAND = "must be a program and its arguments"


def read_text(setting: Setting, text: str) -> Any:
    """Return the value that *text* is for *setting*. Raises ValueError: `must be …`."""
    match setting.type:
        case Switch():
            return _read_switch(text)
        case Pairs():
            return _checked_pairs(setting.name, _read_lines(text))
        case CommandWords():
            return _read_command(text)
        case _:
            return _read_plain(setting, text)


def read_toml(setting: Setting, value: Any) -> Any:
    """Return the value that TOML's *value* is for *setting*. Raises ValueError: `must be …`."""
    match setting.type:
        case Switch():
            if not isinstance(value, bool):
                raise ValueError("must be true or false, without quotes")  # noqa: TRY004 - the user's type
            return value
        case Pairs():
            if not isinstance(value, dict):
                raise ValueError('must be a table, such as {NAME = "VALUE"}')  # noqa: TRY004 - the user's
            return _checked_pairs(setting.name, {name: toml_text(one) for name, one in value.items()})
        case CommandWords() if isinstance(value, list):
            return _checked_command(value)
        case CommandWords():
            return _read_command(toml_text(value))
        case Words() if isinstance(value, list):
            return _read_plain(setting, ",".join(map(toml_text, value)))
        case _:
            return _read_plain(setting, toml_text(value))


def toml_text(value: Any) -> str:
    """Return *value* of TOML as a manifest would have it. Raises ValueError for lists, tables and dates."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case time(second=0, microsecond=0):
            return value.strftime("%H:%M")
        case _:
            raise ValueError("must be a single value")


def _read_plain(setting: Setting, text: str) -> Any:
    match setting.type:
        case FilePath() | FolderPath():
            return _read_path(text)
        case Text() as kind:
            return kind.read(text)
        case _:
            if setting.name == "base_url":
                read_base(text, plain_http=True)  # whether that is allowed is asked where it is gone to
            return text


def _read_path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("begins with a home folder that is not there") from None


def _read_switch(text: str) -> bool:
    truth = _TRUTHS.get(text.strip().lower())
    if truth is None:
        raise ValueError("must be true or false")
    return truth


def _read_lines(text: str) -> dict[str, str]:
    """Return the pairs of *text*, which has one a line: a value may hold anything else."""
    pairs: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if not (name.strip() and equals):
            raise ValueError("must be NAME=VALUE, one a line")
        pairs[name.strip()] = value
    return pairs


def _checked_pairs(setting: str, pairs: dict[str, str]) -> dict[str, str]:
    if setting == "header" and not all(map(VARIABLE.fullmatch, pairs.values())):
        # It may be the secret itself: it is not shown.
        raise ValueError(NO_VARIABLE)
    return pairs


def _read_command(text: str) -> tuple[str, ...]:
    try:
        words = shlex.split(text) if len(text) <= LONGEST_COMMAND else []
    except ValueError:
        # Why would show a part of it, and it may hold a secret.
        raise ValueError(f"{_NO_COMMAND}, with quotes in pairs") from None
    return _checked_command(words)


def _checked_command(words: list[Any]) -> tuple[str, ...]:
    if not words or not words[0] or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ValueError(f'{_NO_COMMAND}, such as ["pass", "show", "replicate"]')
    return tuple(words)
