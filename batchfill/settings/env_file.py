"""Files of variables that the user names, such as `gateway.env`: `NAME=VALUE`, a line each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchfill.errors import UsageError
from batchfill.regular_files import open_regular
from batchfill.settings.config_file import LARGEST
from batchfill.settings.credentials import Variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOTHING = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:#[^\n]*)?")
"""Empty lines and comments."""
_PAIR = re.compile(
    r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"
    r"""(?:'(?P<plain>[^']*)'|"(?P<escaped>(?:[^"\\]|\\.)*)"|(?P<bare>(?!['"])[^\n]*?))"""
    r"[ \t]*(?:(?<=[\s='\"])#[^\n]*)?(?:\n|\Z)",
    re.DOTALL,
)
"""As shells have it: nothing is replaced in single quotes, in double quotes a backslash escapes, and without
quotes ` #` begins a comment. Names of other variables are not replaced: `$HOME` is text."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class EnvFile(Variables):
    """The variables of a file."""

    def __init__(self, path: Path) -> None:
        """Read *path*. Raises UsageError with file and line."""
        super().__init__()
        self.path = path
        self.lines: dict[str, int] = {}
        """The line of each variable."""
        for number, name, value in _read_lines(path):
            self[name], self.lines[name] = value, number

    def place(self, name: str) -> str:
        """Return where the variable *name* stands: `gateway.env:2`."""
        return f"{self.path}:{self.lines[name]}"


def _read_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the name and the value of each variable. Raises UsageError."""
    text, place = _read_text(path), 0
    while True:
        nothing = _NOTHING.match(text, place)
        assert nothing is not None, "it matches the empty text, too"
        place = nothing.end()
        if place == len(text):
            return
        number = text.count("\n", 0, place) + 1
        pair = _PAIR.match(text, place)
        if pair is None:
            # The line is not shown: it may hold a secret.
            raise UsageError(f"{path}:{number}: must be NAME=VALUE, with quotes in pairs")
        yield number, pair["name"], _value_of(pair)
        place = pair.end()


def _value_of(pair: re.Match[str]) -> str:
    if (escaped := pair["escaped"]) is not None:
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), escaped, flags=re.DOTALL)
    return pair["bare"] or "" if pair["plain"] is None else pair["plain"]


def _read_text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"--env-file {path}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise UsageError(f"--env-file {path}: is larger than 1 MiB, and so no file of variables")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: is not UTF-8: save the file as UTF-8") from None
