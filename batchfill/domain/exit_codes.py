"""How a command ends, for a shell."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    DONE = 0
    SOME_FAILED = 1
    """Some rows, or some pictures, failed."""
    NOTHING_DONE = 2
    """The request cannot be carried out as it is."""
    WORK_LEFT = 3
    """It stopped early: the same command goes on."""
    REFUSED = 4
    """The provider refuses this account or model."""
