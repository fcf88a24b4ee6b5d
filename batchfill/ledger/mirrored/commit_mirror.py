"""What the ledger asks of a mirror of its commits, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class CommitMirror(Protocol):
    """Keeps every commit elsewhere. Every call waits for the network, and is for a thread; one at a time.

    Those that put something raise NoAnswer or ObjectsRefused, and the next call puts it first; TakenOver once
    another run has made the batch its own.
    """

    @property
    def run(self) -> str:
        """What no other run has."""

    @property
    def copy_due(self) -> bool:
        """Whether so much was put since the last copy of the ledger that another one is worth it."""

    def put_commits(self, frames: bytes, commits: int) -> None:
        """Put the pages *frames* that commits wrote; *commits*: how many there were in all."""

    def put_again(self) -> None:
        """Put what had no answer, if anything."""

    def put_copy(self, ledger: Path, commits: int) -> None:
        """Put a copy of the whole *ledger*, which all that is put later goes on from."""

    @property
    def last(self) -> int:
        """What was put last."""

    def keep_copy(self, ledger: Path, *, behind: int) -> object:
        """Put a copy of the *ledger*, made later than what is *behind*, that `use_copy` may be told of."""

    def use_copy(self, kept: object) -> None:
        """Have what is put later go on from a copy that was kept; nothing is put."""

    def remove_old(self) -> None:
        """Remove what is not needed any more."""

    def may_pay(self) -> bool:
        """Whether the batch was this run's own a moment ago; without the network."""
