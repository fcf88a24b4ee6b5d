"""An event loop on which hours pass in milliseconds: time moves only when nobody has anything to do."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class SimLoop(asyncio.SelectorEventLoop):
    """Virtual time, one thread: what would go to a thread runs at once, so that a seed decides everything.

    `with asyncio.Runner(loop_factory=SimLoop) as runner: runner.run(main())`. Nothing outside of the process
    may be waited for: a loop without a timer would wait for ever, and raises Deadlock instead.
    """

    def __init__(self) -> None:
        self._elapsed = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        """Return seconds since the loop was made, simulated."""
        return self._elapsed

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call *func* here and now."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _jump(self, seconds: float | None) -> None:
        if seconds is None:
            raise Deadlock("nobody has anything to do, and no timer is set")
        self._elapsed += seconds


class Deadlock(RuntimeError):
    """Everybody waits for somebody else."""


class _Jumping(selectors.DefaultSelector):
    """A selector that never waits: it tells how long the loop would have slept."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; where nothing is, let the time pass."""
        ready = super().select(0)
        if not ready and timeout != 0:
            self._jump(timeout)
        return ready
