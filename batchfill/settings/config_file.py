"""`config.toml` in the user's folder of settings: `[default]`, and `[profile.NAME]` for each profile."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError, cut_short, did_you_mean_or_known
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONFIG = "config.toml"
LARGEST = 1 << 20
"""Bytes of a file of settings."""
_TABLES = ("default", "profile")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file whose tables have been told apart; their values are not read yet."""

    path: Path
    default: Mapping[str, Any] = field(default_factory=dict, repr=False)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)

    def place(self, profile: str | None, key: str) -> str:
        """Return where *key* stands in the table of *profile* (None: `[default]`): `…/config.toml:7`."""
        line = _line_of(self.text, "default" if profile is None else f"profile.{profile}", key)
        return f"{self.path}:{line}" if line else str(self.path)

    def profile(self, name: str) -> Mapping[str, Any]:
        """Return the table of the profile *name*. Raises UsageError where there is none."""
        if name not in self.profiles:
            raise UsageError(
                f"profile {cut_short(name)}: {self.path} has none of that name{self._known(name)}"
            )
        return self.profiles[name]

    def _known(self, name: str) -> str:
        if self.profiles:
            return did_you_mean_or_known(name, self.profiles)
        return f': add [profile.{cut_short(name)}] with base_url = "…" and what else belongs to it'


def read_config(path: Path) -> ConfigFile:
    """Return what *path* holds; one that is not there holds nothing. Raises UsageError with file and line."""
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise UsageError(f"{path}: is larger than 1 MiB, and so no file of settings")
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> ConfigFile:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: is not UTF-8: save the file as UTF-8") from None
    # Most users have no such file, and every command would load it.
    import tomllib

    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(_explain_syntax(path, text, str(error))) from None
    found = ConfigFile(path, text=text)
    if mistakes := list(_misplaced(found, tables)):
        raise UsageError("\n".join(mistakes))
    return ConfigFile(path, tables.get("default", {}), tables.get("profile", {}), text)


def _explain_syntax(path: Path, text: str, error: str) -> str:
    reason, _, where = error.rpartition(" (at ")
    told = re.search(r"line (\d+)", where)
    line = int(told[1]) if told else text.rstrip().count("\n") + 1
    return f'{path}:{line}: is not TOML: {reason or error}; a line is [TABLE], rate = 60, or model = "…"'


def _misplaced(config: ConfigFile, tables: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is in no table of a profile, and in which it may have been meant to be."""
    for name, value in tables.items():
        if name not in _TABLES:
            what = "no table of settings" if isinstance(value, dict) else "in no table"
            where = f"{config.path}:{_first_line(config.text, name)}"
            yield f"{where}: {cut_short(name)} is {what}: put settings below [default] or [profile.NAME]"
        elif not isinstance(value, dict):
            yield f"{config.path}:{_first_line(config.text, name)}: {name} must be a table: [{name}]"
    profiles = tables.get("profile")
    for name, value in profiles.items() if isinstance(profiles, dict) else ():
        if not isinstance(value, dict):
            line = _first_line(config.text, name)
            where, shown = f"{config.path}:{line}", cut_short(name)
            yield f"{where}: {shown} is in a profile without a name: begin it with [profile.NAME]"


def _line_of(text: str, table: str, key: str) -> int:
    """Return the line of *key* in *table*, from 1; written in another way, the first such line."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line):
            inside = re.sub(r"[\s\"']", "", head[1]) == re.sub(r"\s", "", table)
        elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", line):
            return number
    return _first_line(text, key)


def _first_line(text: str, word: str) -> int:
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if pattern.search(line)), 0)
