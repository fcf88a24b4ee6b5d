"""One container that speaks Cog's API: its requests, its health, its slots."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp

from batchfill.emulator.backends.container_answers import (
    ALIVE,
    Answer,
    AnswerKind,
    ContainerState,
    Health,
    read_answer,
    read_health,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchfill.emulator.backends.pool_timings import PoolTimings

_MAX_ANSWER = 512 * 1024 * 1024
_MOST_SLOTS = 64
_NOTHING_BEGUN = frozenset({AnswerKind.TAKEN, AnswerKind.RUNNING, AnswerKind.UNREACHED})
_CONNECT = 10.0
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""So a run whose machine lost its power ends within a minute, however long others take."""
_NOT_OURS = "has a run that is none of this server's: restart it, unless another program uses it"


class Container:
    """One address of a pool. It has a free slot when it is ready and holds fewer runs than it takes."""

    def __init__(
        self,
        at: str,
        http: aiohttp.ClientSession,
        timings: PoolTimings,
        *,
        examine: Callable[[Container, object], str],
        changed: Callable[[Container], None],
    ) -> None:
        """*at*: `http://gpu1:5000`. *examine* judges `/openapi.json` and returns what is wrong with it.

        *changed* is called whenever it may have another state or another free slot.
        """
        self.at = at
        self.state = ContainerState.UNKNOWN
        self.words = ""
        """Why it is as it is."""
        self.slots = 1
        self.held = 0
        """Slots that were given away."""
        self.flights: dict[str, asyncio.Task[Answer]] = {}
        """What runs on it now, by prediction."""
        self.begun = self.made = self.failed = 0
        self.seconds = 0.0
        """Spent on what was made."""
        self.leaving = False
        """Whether it was taken out of the pool: what runs on it may end."""
        self._http, self._timings = http, timings
        self._examine, self._changed = examine, changed
        self._incarnation: str | None = None
        self._fits = False
        """Whether its schema was examined since its start, and nothing is wrong with it."""
        self._ended = 0
        self._look_now = asyncio.Event()
        self._gap = timings.first_look
        self._heard = self._explained = self._full_since = self._rested_until = 0.0
        self._rest = timings.rest

    @property
    def free(self) -> int:
        """Slots that a run can have now."""
        ready = self.state is ContainerState.READY and not self.leaving
        return max(self.slots - self.held, 0) if ready else 0

    @property
    def alive(self) -> bool:
        """Whether it works, or will have a slot when a run ends."""
        return self.state in ALIVE and not self.leaving

    def __str__(self) -> str:
        return f"{self.at} {self.state.value}"

    async def run(self, id_: str, body: bytes) -> Answer:
        """Let it run a prediction and return what became of it.

        Cancelled: the container is told, and has its slot back once it says that it is ready.
        """
        began = self._full_since = asyncio.get_running_loop().time()
        flight = asyncio.create_task(self._put(id_, body))
        self.flights[id_] = flight
        try:
            await asyncio.wait({flight})
        except asyncio.CancelledError:
            flight.cancel()
            # Its connection is closed before the pool is.
            await asyncio.wait({flight})
            raise
        finally:
            self.flights.pop(id_, None)
            self._ended += 1
        answer = Answer(AnswerKind.LOST, f"{self.at} was lost") if flight.cancelled() else flight.result()
        self._count(answer, asyncio.get_running_loop().time() - began)
        self._follow_up(answer)
        return answer

    async def cancel(self, id_: str) -> None:
        """Tell it to stop a run; it is looked at until it is ready."""
        self._set(ContainerState.BUSY)
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            path = f"{self.at}/predictions/{id_}/cancel"
            async with self._http.post(
                path, timeout=_within(self._timings.look_timeout), allow_redirects=False
            ):
                pass
        self.look_soon()

    def look_soon(self) -> None:
        """Look at it again at once, and then with growing gaps."""
        self._gap = self._timings.first_look
        self._look_now.set()

    async def watch(self) -> None:
        """Look at its health for as long as it is in the pool."""
        self._heard = self._explained = asyncio.get_running_loop().time()
        while True:
            self._look_now.clear()
            await self.look()
            gap = self._timings.watch
            if self.state is ContainerState.READY:
                self._gap = self._timings.first_look
            else:
                gap, self._gap = self._gap, min(self._gap * 2, self._timings.longest_look)
            with suppress(TimeoutError):
                async with asyncio.timeout(gap):
                    await self._look_now.wait()

    async def look(self) -> None:
        """Ask for its health once, and for its schema after each of its starts."""
        ended = self._ended
        health = await self._ask_health()
        now = asyncio.get_running_loop().time()
        alive = health.state in ALIVE
        if alive:
            self._heard = now
        restarted = alive and self._incarnation not in (None, health.incarnation)
        if restarted or now - self._heard > self._timings.silence:
            self._lose_flights()
        if restarted:
            self._rested_until, self._rest = 0.0, self._timings.rest
        if alive and now < self._rested_until:
            return
        if alive and (restarted or not self._fits):
            health = await self._examine_schema(health)
        self._fits = health.state in ALIVE
        if self._fits:
            self._incarnation = health.incarnation
            self._learn_slots(health, now)
        if health.state is ContainerState.BUSY:
            # Filled by our own runs, which give their slots back by themselves.
            if len(self.flights) >= self.slots:
                health = replace(health, state=ContainerState.READY)
            elif ended != self._ended:
                self.look_soon()
        self._set(health.state, health.words or self._explain_busy(health, now))

    def _explain_busy(self, health: Health, now: float) -> str:
        """Return what to do with one that is busy for long without a run of ours: it may hang."""
        if health.state is not ContainerState.BUSY or self.flights:
            self._explained = now
        return _NOT_OURS if now - self._explained > self._timings.silence else ""

    def _learn_slots(self, health: Health, now: float) -> None:
        """Give one run more to a container that has room for it: none says how many it takes."""
        full = health.many and health.state is ContainerState.READY and len(self.flights) >= self.slots
        if full and now - self._full_since >= self._timings.slots_look:
            self.slots = min(self.slots + 1, _MOST_SLOTS)

    def _lose_flights(self) -> None:
        for flight in self.flights.values():
            flight.cancel()

    def _set(self, state: ContainerState, words: str = "") -> None:
        self.state, self.words = state, words
        self._changed(self)

    def _count(self, answer: Answer, seconds: float) -> None:
        self.begun += answer.kind not in _NOTHING_BEGUN
        self.failed += answer.kind is AnswerKind.FAILED
        if answer.kind is AnswerKind.MADE:
            self.made += 1
            self.seconds += seconds
            self._rest = self._timings.rest

    def _follow_up(self, answer: Answer) -> None:
        """Take it out after what says that it cannot run the next one, until a look says otherwise."""
        if answer.kind is AnswerKind.TROUBLE:
            self._rested_until = asyncio.get_running_loop().time() + self._rest
            words = f"{answer.words}: no run for {self._rest:.0f} s, then one is tried"
            self._rest = min(self._rest * 2, self._timings.longest_rest)
            self._set(ContainerState.RESTING, words)
        elif answer.kind is AnswerKind.LOST or answer.kind in _NOTHING_BEGUN:
            if answer.kind is AnswerKind.TAKEN:
                self.slots = max(len(self.flights), 1)
            self._set(ContainerState.BUSY)
            self.look_soon()
        else:
            if self.state is ContainerState.BUSY:
                self.look_soon()
            self._changed(self)

    async def _put(self, id_: str, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        path = f"{self.at}/predictions/{id_}"
        try:
            # No limit of time: looks tell whether it still works.
            async with self._http.put(
                path, data=_sent_once(body), headers=headers, allow_redirects=False
            ) as answer:
                content = await _read_whole(answer)
                return await asyncio.to_thread(read_answer, answer.status, content)
        except aiohttp.ClientConnectorError as error:
            return Answer(AnswerKind.UNREACHED, f"cannot be reached ({_reason(error)})")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(AnswerKind.LOST, f"the connection to {self.at} was lost ({_reason(error)})")

    async def _ask_health(self) -> Health:
        try:
            return read_health(*await self._get("/health-check"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Health(ContainerState.AWAY, f"cannot be reached ({_reason(error)})")

    async def _examine_schema(self, health: Health) -> Health:
        try:
            document = json.loads((await self._get("/openapi.json"))[1])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Health(ContainerState.AWAY, f"cannot be reached ({_reason(error)})")
        except (ValueError, RecursionError):
            return Health(ContainerState.STRANGE, "tells no schema of its inputs: /openapi.json is not JSON")
        wrong = self._examine(self, document)
        return Health(ContainerState.STRANGE, wrong) if wrong else health

    async def _get(self, path: str) -> tuple[int, bytes]:
        # A container sends nowhere else; what does is another thing.
        async with self._http.get(
            f"{self.at}{path}", timeout=_within(self._timings.look_timeout), allow_redirects=False
        ) as answer:
            return answer.status, await _read_whole(answer)

    def as_json(self) -> dict[str, Any]:
        """Return what is told of it."""
        return {
            "at": self.at,
            "state": self.state.name.lower(),
            "words": self.words or self.state.value,
            "slots": self.slots,
            "running": len(self.flights),
            "runs_begun": self.begun,
            "made": self.made,
            "failed": self.failed,
            "seconds_a_picture": round(self.seconds / self.made, 3) if self.made else None,
        }


def open_http() -> aiohttp.ClientSession:
    """Return what containers are asked with.

    Each request has a connection of its own: one that was kept may be closed while a run is sent.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_open_socket),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    )


def _open_socket(place: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that notices a peer which is gone without a word."""
    opened = socket.socket(*place[:3])
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


async def _sent_once(body: bytes) -> AsyncIterator[bytes]:
    """Yield *body*. The client sends no PUT again whose body cannot be read again: the run has begun."""
    yield body


def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


async def _read_whole(answer: aiohttp.ClientResponse) -> bytes:
    content = await answer.content.read(_MAX_ANSWER)
    while more := await answer.content.read(_MAX_ANSWER):
        content += more
        if len(content) > _MAX_ANSWER:
            raise aiohttp.ClientPayloadError(f"an answer of more than {_MAX_ANSWER >> 20} MB")
    return content


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    cause = getattr(error, "os_error", None) or error
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).strip()
