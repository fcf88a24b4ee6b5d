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


EXIT_MEANINGS = {
    ExitCode.NOTHING_DONE: "nothing was done: usage, manifest, token, another run, damaged ledger",
    ExitCode.REFUSED: "the service refused: token, credit, no such model",
    ExitCode.WORK_LEFT: "stopped with work left: the same command goes on",
    ExitCode.SOME_FAILED: "ended; some rows failed, expired, were canceled or are in doubt",
    ExitCode.DONE: "every row is done",
}
"""What they mean, in the order in which the first that applies counts."""
