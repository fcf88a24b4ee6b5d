"""A *terminal* of 80 columns: what is shown on it, and the keys that a test presses."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Terminal:
    """A terminal of 80 columns on which one command runs."""

    def __init__(self) -> None:
        # Only POSIX has it, and only the tests that ask for a terminal need it.
        import pty

        self._ours, self._theirs = pty.openpty()
        self._news = asyncio.Event()
        self._shown = b""
        self._open = True
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def options(self) -> dict[str, Any]:
        """Return what to start a process with so that this is its terminal, whose end is its hang-up."""
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), self._theirs)
        return {**ends, "terminal": True}

    def text(self) -> str:
        """Return everything that was shown so far, with its escape sequences."""
        return self._shown.decode(errors="replace")

    async def shows(self, text: str) -> None:
        """Return when *text* has been shown."""
        while text not in self.text():
            assert self._open, f"the terminal was closed without {text!r}: {self.text()}"
            self._news.clear()
            await self._news.wait()

    def types(self, text: str) -> None:
        """Press keys; a control character is what Ctrl and a letter make."""
        os.write(self._ours, text.encode())

    def close(self) -> None:
        """Close the window."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._ours)
            os.close(self._ours)
            os.close(self._theirs)
            self._news.set()

    def _read(self) -> None:
        self._shown += os.read(self._ours, 65536)
        self._news.set()


@pytest.fixture
async def terminal() -> AsyncIterator[Terminal]:
    """`batchfill.start(…, **terminal.options())` runs a command in a terminal; see Terminal."""
    opened = Terminal()
    yield opened
    opened.close()
