"""A world in one thread: the real program, ledger and client, the local emulator, a network that breaks.

Time is virtual, chance is drawn from a seed, and the program dies when it is told to: from then on nothing
that it does has any effect.
"""

from __future__ import annotations

import asyncio
import math
import random
from contextlib import ExitStack, asynccontextmanager, contextmanager
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import httpx
from aiohttp import web

from batchfill.clock import SystemChance, SystemClock
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.rate_limit import Rate
from batchfill.providers.connection import open_service
from batchfill.settings.timings import Timings
from batchfill.storage.output_store import OutputStore
from tests.chaos.nights.relay import Relay
from tests.chaos.nights.wire import Wire

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from batchfill.emulator.journal import PredictionRecord

EPOCH = 1_800_000_000.0
"""When every simulated night begins, in seconds since the epoch."""

SELDOM = Timings(progress=30.0, inbox_look=30.0, ledger_look=30.0)
"""Looks that nobody waits for, made seldom: they would be most of what a simulated night does."""


class Died(BaseException):
    """The program was killed: what it does from here on has no effect."""


class World:
    """What lies outside of the program; made in the event loop that it lives in."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.network = Network(self)
        self.dead = False
        self.luck = random.Random(seed)
        """The program's own chance."""
        self._spans: list[list[float]] = []
        self._dies_at: float | None = None
        self._effects_left = 0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return EPOCH + asyncio.get_running_loop().time()

    def kill(self, at: float, effects: int = 0) -> None:
        """Let the program die at that many *effects* after the moment *at* (seconds since the epoch)."""
        self._dies_at, self._effects_left = at, effects

    def spare(self) -> None:
        """Let the program live, whatever was to happen."""
        self._dies_at = None

    def begin(self) -> None:
        """The program starts, with luck of its own: how it died must not decide how it goes on."""
        self.dead = False
        self.luck = random.Random(self.chance.random())
        self._spans.append([self.now(), math.inf])

    def end(self) -> None:
        """The program has ended."""
        self._spans[-1][1] = self.now()

    def up_between(self, start: float, end: float) -> float:
        """Return how many of those seconds the program ran and the network was up."""
        ran = sum(max(0.0, min(stop, end) - max(begin, start)) for begin, stop in self._spans)
        return ran - self.network.down_between(start, end)

    def effect(self) -> None:
        """The program is about to have an effect, or has had one. Raises Died when it may not."""
        if self.dead:
            raise Died
        if self._dies_at is None or self.now() < self._dies_at:
            return
        self._effects_left -= 1
        if self._effects_left < 0:
            self._dies_at = None
            self.dead = True
            self.network.cut(Died)
            raise Died

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the program live in this world."""
        with ExitStack() as patches:
            for target, value in self._patches().items():
                patches.enter_context(mock.patch(target, value))
            yield

    def _patches(self) -> dict[str, Any]:
        async def here(func: Callable[..., Any], *args: Any, **_: Any) -> Any:
            return func(*args)

        world = self

        @asynccontextmanager
        async def opened(connect_: Callable[[], sqlite3.Connection]) -> AsyncIterator[_Here]:
            db = connect_()
            db.execute("PRAGMA synchronous = OFF")
            try:
                yield _Here(world, db)
            finally:
                db.close()

        def drawn(chance: SystemChance) -> None:
            chance._random = world.luck  # type: ignore[assignment]

        return {
            "anyio.to_thread.run_sync": here,
            "os.fsync": lambda _: None,
            "batchfill.ledger.writer._open_connection": opened,
            "batchfill.session.session.open_service": partial(open_service, transport=self.network),
            f"{SystemChance.__module__}.SystemChance.__init__": drawn,
            f"{SystemClock.__module__}.SystemClock.now": lambda _: world.now(),
            **{
                f"{OutputStore.__module__}.OutputStore.{name}": self._mortal(name)
                for name in ("commit", "move_file")
            },
            "batchfill.settings.timings.DEFAULT": SELDOM,
        }

    def _mortal(self, name: str) -> Any:
        real = getattr(OutputStore, name)

        async def method(*args: Any, **options: Any) -> Any:
            self.effect()
            result = await real(*args, **options)
            self.effect()
            return result

        return method


class _Here:
    """The ledger's connection, used here and now instead of in a thread of its own."""

    def __init__(self, world: World, db: sqlite3.Connection) -> None:
        self._world, self._db = world, db

    async def run_on_thread(self, call: Callable[[sqlite3.Connection], Any]) -> Any:
        self._world.effect()
        result = call(self._db)
        self._world.effect()
        return result


class Network(Wire):
    """The way between program and provider, through a relay."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.relay = Relay()
        self.outages: list[tuple[float, float]] = []
        """When nothing passes: from and until, in seconds since the epoch."""
        self.delay = (0.02, 0.2)
        """Seconds that a request takes on its way, and its answer, at least and at most."""
        self.damage = 0.0
        """Share of the answers whose bodies arrive damaged."""
        self.asked: Callable[[httpx.Request], object] = lambda request: None
        """Called when the program sends a request."""
        self.answered: Callable[[httpx.Request, httpx.Response], object] = lambda request, response: None
        """Called when the head of an answer arrives."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, as far as the network goes."""
        world = self._world
        world.effect()
        self.asked(request)
        await anyio.sleep(world.chance.uniform(*self.delay))
        if not self.up:
            raise httpx.ConnectError("the network is down", request=request)
        if world.dead:
            raise Died
        response = await super().handle_async_request(self.relay.passed_on(request))
        await anyio.sleep(world.chance.uniform(*self.delay))
        world.effect()
        if self.relay != Relay():
            response = await self.relay.answered(request, response, world.now())
        self.answered(request, response)
        # Whose name arrives changed is another account: a later start rightly refuses to go on.
        if world.chance.random() < self.damage and not request.url.path.endswith("/account"):
            response = await _damaged(response, world.chance)
        return response

    @property
    def up(self) -> bool:
        """Whether anything passes now."""
        return not any(begin <= self._world.now() < end for begin, end in self.outages)

    def down_between(self, start: float, end: float) -> float:
        """Return how many of those seconds nothing passed."""
        down, seen = 0.0, start
        for begin, mended in sorted(self.outages):
            down += max(0.0, min(mended, end) - max(begin, seen))
            seen = max(seen, mended)
        return down


async def _damaged(response: httpx.Response, chance: random.Random) -> httpx.Response:
    """Return an answer with another body, or a part of it, under the same head."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = b"".join([piece async for piece in response.stream])
    place = chance.randrange(len(body) + 1)
    damaged = chance.choice(
        (
            body[:place],
            body[place:],
            body[:place] + chance.randbytes(8) + body[place:],
            body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :],
            body + body,
            b"",
            b"null",
            b"[]",
            b'{"code":500,"message":"upstream error","data":null}',
            chance.randbytes(200),
        )
    )
    headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-length"]
    return httpx.Response(response.status_code, headers=headers, stream=httpx.ByteStream(damaged))


class Near(EmulatorServer):
    """The local emulator, at the end of a simulated network."""

    def __init__(self, world: World, folder: Path, **options: Any) -> None:
        ids = random.Random(world.chance.random())
        new_id = lambda: f"{ids.getrandbits(128):026x}"[-26:]  # noqa: E731
        super().__init__(folder, clock=world.now, tiny=True, new_id=new_id, **options)
        self._network = world.network
        self.on_create: Callable[[PredictionRecord], object] = lambda record: None
        """Called before a prediction is made."""
        self._create, self._context.predictions.create = self._context.predictions.create, self._judged  # type: ignore[method-assign]

    def prediction(self, id_: str) -> PredictionRecord | None:
        """Return a prediction as it stands."""
        return self._context.predictions.get(id_)

    def allow(self, per_minute: float) -> None:
        """Let from now on so many creates a minute pass, ten of them at once."""
        self._context.rate = Rate(per_minute, 10, self.now)

    def _judged(self, record: PredictionRecord) -> PredictionRecord:
        self.on_create(record)
        return self._create(record)

    async def _open_site(self, app: web.Application, host: str, *ports: int) -> str:
        app.on_response_prepare.append(self._add_date)
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._stops.append(runner.cleanup)
        assert runner.server is not None
        origin = f"http://127.0.0.1:{len(self._network.servers) + 1}"
        self._network.servers[origin] = runner.server
        return origin

    async def _add_date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.now(), usegmt=True)
