"""Flags that a Python program gives as keywords: their names and the kinds of their values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError, cut_short, did_you_mean_or_known
from batchfill.settings.definitions import BY_NAME
from batchfill.settings.setting import READING, RUN
from batchfill.settings.value_types import FilePath, FolderPath, Pairs, Switch, Text, Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.settings.setting import Setting

_FLAGS = {name: setting for name, setting in BY_NAME.items() if {READING, RUN} & set(setting.places)}
_BY_MANIFEST_NAME = {each.name_in_manifest: each for each in _FLAGS.values() if each.name_in_manifest}
_TOKENS = frozenset({"token", "api_token", "api_key", "apikey", "key", "auth"})


def check_flags(flags: Mapping[str, Any]) -> None:
    """Raise UsageError for a name that is no flag of `batchfill run`, or a value of another kind.

    None stands for a flag that is not given. What a value says is read later, as on the command line.
    """
    for name, value in flags.items():
        setting = _FLAGS.get(name)
        if setting is None:
            raise UsageError(_explain_unknown(name))
        holds, called = _kind_of(setting)
        if value is not None and not holds(value):
            # The value is not repeated: some are secrets.
            raise UsageError(f"{name} must be {called}, not {kind_name(value)}")


def _explain_unknown(name: str) -> str:
    if name.lower() in _TOKENS:
        return (
            f"{name} is no flag: the token is found in the environment, as BATCHFILL_TOKEN, "
            "or in the mapping that environ= gives instead"
        )
    if name in BY_NAME and not BY_NAME[name].places:
        return f"{name} is no flag: it is a line of config.toml"
    if name in BY_NAME:
        return f"{name} is no flag: it is a line at the top of a YAML manifest"
    if name in _BY_MANIFEST_NAME:
        return f"{name} is a name in manifests: the flag is {_BY_MANIFEST_NAME[name].name}"
    return f"there is no flag {cut_short(name)}{did_you_mean_or_known(name.replace('-', '_'), _FLAGS)}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_ids(value: Any) -> bool:
    # What can be gone through once would be empty at the next command.
    listed = isinstance(value, Iterable) and not isinstance(value, bytes | Iterator)
    return listed and all(map(_is_text, value))


def _is_scalar(value: Any) -> bool:
    # Numbers of other libraries, NumPy's and Decimal among them, are read by their text.
    return _is_text(value) or not isinstance(value, bool | Iterable)


_IDS = (_is_ids, "an id or a list of ids")
_TEXT = (_is_text, "text")
_ON_OFF = (lambda value: isinstance(value, bool) or _is_text(value), "True, False or text")
_WORDS = (_is_text, "words joined by commas")
_KINDS: tuple[tuple[type, tuple[Callable[[Any], bool], str]], ...] = (
    (Switch, (lambda value: isinstance(value, bool), "True or False")),
    (Pairs, (lambda value: isinstance(value, Mapping), "a dictionary")),
    (FilePath, (_is_path, "a path")),
    (FolderPath, (_is_path, "a path")),
)
"""Types of settings, what a value of each is, and how that is called."""


def _kind_of(setting: Setting) -> tuple[Callable[[Any], bool], str]:
    """Return what says whether a value is of the kind of *setting*, and how that kind is called."""
    if setting.repeatable and not isinstance(setting.type, Pairs):
        return _IDS
    if isinstance(setting.type, Text) and isinstance(setting.default, bool):
        return _ON_OFF
    if isinstance(setting.type, Words):
        return _WORDS
    if isinstance(setting.type, Text):
        # As the reference page calls it: `1 to 1000`.
        return _is_scalar, setting.type.values.replace("`", "")
    return next((kind for type_, kind in _KINDS if isinstance(setting.type, type_)), _TEXT)


def kind_name(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
