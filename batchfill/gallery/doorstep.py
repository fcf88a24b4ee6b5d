"""Showing a browser the way in without telling it to everybody who can list processes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "review.html"


@contextmanager
def doorstep(folder: Path, address: str) -> Iterator[str]:
    """Give the address of a file, readable by its owner only, that leads to *address*; it is gone afterwards.

    A browser is started with the address in its arguments, which every user of the machine can read.
    """
    file = folder / NAME
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(
                '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<title>batchfill</title><meta http-equiv="refresh" content="0; url={escape(address)}">'
            )
        yield file.resolve().as_uri()
    finally:
        file.unlink(missing_ok=True)
