"""The title of the terminal's window: how far the run is, seen from another one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rich.control import Control
from rich.segment import ControlType, Segment

from batchfill.console.format import safe_text

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 60
"""Characters of a name: a tab shows fewer."""

_SAVE, _RESTORE = "\x1b[22;2t", "\x1b[23;2t"


class Title:
    """The title of *console*'s window; without a name, or where there is no such thing, it is left alone."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = safe_text(name, LONGEST)
        self._shown = ""
        windowed = console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows
        self._is_ours = bool(self._name) and windowed

    def keep_title(self) -> None:
        """Have the terminal remember the title that it has."""
        self._write_codes(_SAVE)

    def show_progress(self, part: str) -> None:
        """Show *part* and the name; nothing is written while they stay as they are."""
        if part != self._shown:
            self._shown = part
            self._write_codes(_title_codes(f"{part} {self._name}"))

    def give_back(self) -> None:
        """Clear the title, and bring back the one that was there where the terminal can."""
        self._write_codes(_title_codes("") + _RESTORE)

    def _write_codes(self, codes: str) -> None:
        if not self._is_ours:
            return
        control = Control()
        control.segment = Segment(codes, None, [(ControlType.SET_WINDOW_TITLE, "")])
        # Through the console, whose drawing it must not interrupt; the terminal may be gone.
        with suppress(OSError):
            self._console.control(control)


def _title_codes(text: str) -> str:
    return f"\x1b]2;{text}\x07"
