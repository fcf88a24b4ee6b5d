"""Requests to a running batch from other processes: files, read by whoever holds the lock."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "inbox"


class Request(StrEnum):
    """What can be asked of a run."""

    STOP = "stop"
    CANCEL = "cancel"


def post(folder: Path, request: Request) -> None:
    """Leave *request* for the run that holds the batch folder's lock."""
    inbox = folder / NAME
    inbox.mkdir(exist_ok=True)
    name = f"{time.time_ns()}-{os.getpid()}"
    unfinished = inbox / f"{name}.tmp"
    unfinished.write_text(request.value, "utf-8")
    unfinished.rename(inbox / f"{name}.request")


def drain(folder: Path) -> list[Request]:
    """Take every request, oldest first; unknown ones (of a newer version) are left out."""
    found = []
    for path in sorted((folder / NAME).glob("*.request")):
        text = path.read_text("utf-8", "replace").strip()
        path.unlink(missing_ok=True)
        if text in list(Request):
            found.append(Request(text))
    return found
