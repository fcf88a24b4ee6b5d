"""Services over answers made up, the product's own transport, and time that passes in sleep."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import anyio
import pytest
import respx

from batchfill.domain.token import Token
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.providers.replicate.client import Service
from batchfill.providers.transport import Transport
from tests.support.wire import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

SECRET = "r8_Secret0123456789abcdefSECRET"


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """The product's transport, trusting the tests' certificate."""
    made = Transport(tls=ssl.create_default_context(cafile=str(CERTIFICATE)))
    yield made
    await made.aclose()


@pytest.fixture
def router() -> respx.Router:
    """Answers made up, by address."""
    return respx.Router(assert_all_called=False)


@pytest.fixture
def token() -> Token:
    """A made-up token."""
    return Token(SECRET)


@pytest.fixture
def service_over(token: Token) -> Callable[..., Service]:
    """Make a service over any transport."""

    def make(
        transport: httpx.AsyncBaseTransport,
        base: str = "https://service.test/v1",
        answer_timeout: float = 30.0,
        clock: Callable[[], float] = lambda: 1_000_000.0,
    ) -> Service:
        reads = RateLimiter(60_000)
        return Service(
            base, token, transport=transport, reads=reads, answer_timeout=answer_timeout, clock=clock
        )

    return make


class LoopClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.meanwhile: list[Callable[[], None]] = []
        """What happens during the next sleeps, in order."""

    async def sleep(self, seconds: float) -> None:
        """Pass *seconds*."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.now += seconds
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def loop_clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    """Replace anyio's time."""
    made = LoopClock()
    monkeypatch.setattr(anyio, "current_time", lambda: made.now)
    for module in ("downloads", "requests"):
        monkeypatch.setattr(f"batchfill.providers.{module}.loop_time", lambda: made.now)
    monkeypatch.setattr(anyio, "sleep", made.sleep)
    return made
