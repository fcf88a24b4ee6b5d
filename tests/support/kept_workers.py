"""*Kept* worker processes: they outlive a run, and the next run uses them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from batchfill.check import check
from batchfill.session import session
from batchfill.workers.pool import Processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kept(Processes):
    """Processes that outlive a run: each of a thousand runs would start some of its own for tiny pictures."""

    idle: ClassVar[list[Any]] = []

    def __init__(self, most: int | None = None, *, hidden: Iterable[str] = ()) -> None:
        super().__init__(most, hidden=hidden)
        self._idle = self.idle

    def close(self) -> None:
        """Leave them to the next run."""

    @classmethod
    def end_idle(cls) -> None:
        """End them: the next ones have the environment of that time."""
        while cls.idle:
            cls.idle.pop().end()


class KeptOne(Kept):
    """One process that outlives a run. Each subclass has one of its own, which knows its surroundings."""

    def __init__(self, most: int | None = None, *, hidden: Iterable[str] = ()) -> None:
        super().__init__(1, hidden=hidden)


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (session, check):
        monkeypatch.setattr(module, "Processes", Kept)


@pytest.fixture(autouse=True, scope="session")
def _let_go() -> Iterator[None]:
    yield
    Kept.end_idle()
