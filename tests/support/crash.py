"""A *crash*: the program dies at a call, and nothing after it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class Crash(BaseException):
    """The program dies here: nothing after it runs."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[Crash]]:
    """`crash(Service, "create", at=2)` kills the program at the second call, `after=True`: at its return."""

    def arrange(owner: type, method: str, *, at: int = 1, after: bool = False) -> type[Crash]:
        real, calls = getattr(owner, method), [0]

        async def dying(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            now = calls[0] == at
            if now and not after:
                raise Crash
            answer = await real(*args, **kwargs)
            if now:
                raise Crash
            return answer

        monkeypatch.setattr(owner, method, dying)
        return Crash

    return arrange
