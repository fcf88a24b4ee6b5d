"""What this process was started with: its standard streams, its modules, and how many files it may open."""

from __future__ import annotations

import errno
import gc
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from batchfill.errors import UsageError
from batchfill.systems import here

if TYPE_CHECKING:
    from typing import TextIO

STANDARD = {0: ("stdin", "r"), 1: ("stdout", "w"), 2: ("stderr", "w")}
"""The standard streams by their descriptors."""

GONE = frozenset({errno.EPIPE, errno.ECONNRESET})
"""How writing fails where a reader has closed its end on purpose, as `head` does."""

UNUSED = ("httpx._main",)
"""The command lines of libraries, which they import with themselves: an eighth of the start of a run."""


GARBAGE = 10_000
"""Objects made, less those freed, between two looks for cycles; by itself Python looks after 700."""


def look_for_garbage_rarely() -> None:
    """Have Python look less often for objects that only name each other: few of ours do."""
    gc.set_threshold(GARBAGE)


def leave_out_unused() -> None:
    """Let libraries do without what this process has no use for; call it before they are imported."""
    for name in UNUSED:
        # Python's own way to say that a module cannot be imported, which those libraries are ready for.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def open_standard_streams() -> None:
    """Open what stands in for standard streams that were closed; call it before any other file is opened.

    Else the ledger could become descriptor 2, where libraries complain. What stands in can only be read, so
    that writing to it fails as it would on a closed stream.
    """
    for descriptor, (name, mode) in STANDARD.items():
        if not _is_open(descriptor):
            # The lowest free number is given out: those below are open by now.
            os.open(os.devnull, os.O_RDONLY)
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def let_all_text_be_printed() -> None:
    """Let standard output and error take all that is printed, whatever letters their encoding has.

    Where it lacks one, that is shown as `\\u732b`: a name is no reason to break off.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            encoding = here().output_encoding(terminal=stream.isatty())
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def finish_printing() -> str | None:
    """Give away what is still to be printed; return in words why that could not be done, None when it was.

    A reader that has closed its end has enough of it, which is no failure.
    """
    failure = _flushed(sys.stdout)
    if failure is None or failure.errno in GONE:
        return None
    return f"standard output cannot be written: {failure.strerror}"


def finish_telling() -> None:
    """Give away what is still to be told on standard error, if anybody listens there."""
    _flushed(sys.stderr)


def refuse_few_files(needed: int, purpose: str) -> None:
    """Raise UsageError unless *needed* more files can be opened, which *purpose* takes."""
    opened: list[int] = []
    try:
        for _ in range(needed):
            opened.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - each has to be closed
    except OSError as error:
        raise UsageError(
            f"only {len(opened)} more files can be opened ({error.strerror}), and {purpose} takes {needed}: "
            "allow more with `ulimit -n 1024`"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flushed(stream: TextIO | None) -> OSError | None:
    """Flush *stream*, if there is one; where that fails, drop what it still holds and return why."""
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        # The interpreter flushes once more at its end, and would complain.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)
        return error
    return None
