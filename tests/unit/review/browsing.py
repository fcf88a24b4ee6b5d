"""The Chromium of the system."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Return where it is; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


async def launched(playwright: Playwright) -> Browser:
    """Start it without a window."""
    # As root, as in containers, Chromium has no sandbox to start in.
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    options = ["--process-per-site", *(["--no-sandbox"] if as_root else [])]
    return await playwright.chromium.launch(executable_path=program(), args=options)
