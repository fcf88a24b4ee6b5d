"""What a run says: to who watches, and to run.log."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from batchfill.domain.progress import Notice, Weight
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchfill.domain.progress import Watcher
    from batchfill.run.clock import Clock
    from batchfill.storage.inbox import Taken


class Telling:
    """Passes notices on, and keeps all of them in run.log."""

    def __init__(self, log: IO[str], watcher: Watcher | None, clock: Clock) -> None:
        self._log = log
        self._watcher = watcher
        self._clock = clock
        self.last_failure: str | None = None

    def say(self, text: str, weight: Weight = Weight.PLAIN) -> None:
        """Tell *text* to whoever watches and to the log."""
        notice = Notice(self._clock.now(), text, weight)
        at = datetime.fromtimestamp(notice.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # A full disk must not keep what was paid for from being recorded and fetched.
        with suppress(OSError):
            self._log.write(f"{at} {weight.value:7} {' '.join(text.split())}\n")
        if self._watcher and weight is not Weight.QUIET:
            self._watcher.notice(notice)

    def log(self, text: str) -> None:
        """Write *text* to the log only."""
        self.say(text, Weight.QUIET)

    def failed(self, id_: str, reason: str) -> None:
        """A row failed."""
        self.last_failure = f"{id_}: {reason}"
        self.say(self.last_failure, Weight.WARNING)


def tell_taken(say: Telling, taken: Taken) -> None:
    """Say what came of the decisions that waited in the inbox."""
    if taken.rulings:
        say.log(f"{taken.rulings} decisions taken from the inbox")
    for name in taken.damaged:
        say.say(f"inbox/{name} holds no decisions that can be read: set aside as .damaged", Weight.WARNING)


def tell_lack(say: Telling, lack: str | None) -> None:
    """Say once that the ledger waits for room on the disk, and once that it has it."""
    if lack is None:
        say.say("the ledger can be written again")
    else:
        say.say(f"{lack}. Nothing more is submitted until then", Weight.WARNING)


@contextmanager
def telling(path: Path, watcher: Watcher | None, clock: Clock) -> Iterator[Telling]:
    """Open run.log, a line written as it is said. Raises UsageError when it cannot be written."""
    try:
        log = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; check folder and disk") from error
    try:
        yield Telling(log, watcher, clock)
    finally:
        with suppress(OSError):
            log.close()
