"""A pool of containers: who is in it, whose turn a free slot is, and what is told of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from batchfill.emulator.backend import NotReady
from batchfill.emulator.backends.container import Container, open_http
from batchfill.emulator.backends.container_answers import ALIVE, ContainerState
from batchfill.emulator.backends.pool_timings import DEFAULT
from batchfill.emulator.backends.turns import Turn, Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    import aiohttp

    from batchfill.emulator.backends.pool_timings import PoolTimings

_QUIET = frozenset({ContainerState.READY, ContainerState.BUSY, ContainerState.UNKNOWN})
"""States between which a container goes all the time; no line tells of them."""

_NONE = "no container is ready, so nothing is created"
_LISTED = 5
"""Containers that one line names."""


class ContainerPool:
    """Own model servers that make the same pictures, each with slots."""

    def __init__(
        self,
        examine: Callable[[Container, object], str],
        tell: Callable[[str], object],
        timings: PoolTimings | None = None,
    ) -> None:
        """*examine*: as Container's. *tell* is given each line for a person."""
        self.timings = timings or DEFAULT
        self._examine, self._tell = examine, tell
        self._http: aiohttp.ClientSession | None = None
        self._members: dict[str, Container] = {}
        self._leaving: list[Container] = []
        self._watches: dict[Container, asyncio.Task[None]] = {}
        self._told: dict[str, str] = {}
        """What was said last of each address."""
        self._turns: Turns[Container] = Turns()
        self._some_alive, self._none_alive = asyncio.Event(), asyncio.Event()
        self._errands: set[asyncio.Task[None]] = set()
        self._gone = (0, 0, 0, 0.0)
        """What containers that left have begun, made, failed, and their seconds."""

    @property
    def members(self) -> list[Container]:
        """The containers, in the order in which they were named."""
        return list(self._members.values())

    @property
    def queue(self) -> int:
        """How many predictions wait for a slot."""
        return len(self._turns)

    async def start(self, addresses: Iterable[str]) -> None:
        """Begin to look at the containers at *addresses*, and to tell of the pool."""
        self._http = open_http()
        self.change(addresses)
        self._run_errand(self._report_regularly())
        self._run_errand(self._tell_of_none())

    async def stop(self) -> None:
        """Let containers know of runs that were canceled, and close."""
        for watch in self._watches.values():
            watch.cancel()
        goodbyes = [errand for errand in self._errands if errand.get_name() == "cancel"]
        if goodbyes:
            await asyncio.wait(goodbyes, timeout=self.timings.goodbye)
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._watches.values(), *self._errands, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def change(self, addresses: Iterable[str]) -> tuple[list[str], list[str]]:
        """Make the pool those at *addresses*; return who came and who went.

        What runs on a container that goes may end there.
        """
        wanted = list(dict.fromkeys(addresses))
        gone = [at for at in self._members if at not in wanted]
        for at in gone:
            container = self._members.pop(at)
            container.leaving = True
            self._leaving.append(container)
            self._told.pop(at, None)
            self._dismiss(container)
        come = [at for at in wanted if at not in self._members]
        for at in come:
            self._members[at] = self._admit(at)
        self._notice_change()
        return come, gone

    async def wait_alive(self, seconds: float) -> None:
        """Return when a container works. Raises NotReady after so many *seconds*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some_alive.wait()
        if not self._some_alive.is_set():
            # What containers say stays here: a client may read a wait or a refusal out of it.
            raise NotReady(f"{_NONE}: {_list_some(map(str, self.members))}")

    @asynccontextmanager
    async def slot(self, turn: Turn[Container], *, first: bool) -> AsyncIterator[Container]:
        """Give a container with a slot for *turn* when it is its turn; *first*: it had one before."""
        self._turns.add(turn, first=first)
        self._hand_out()
        try:
            container = await turn.given
        except asyncio.CancelledError:
            self._turns.remove(turn)
            if turn.given.done() and not turn.given.cancelled():
                self._give_back(turn.given.result())
            raise
        try:
            yield container
        finally:
            self._give_back(container)

    def abandon(self, container: Container, id_: str) -> None:
        """Tell *container* in the background that a run is not wanted any more."""
        self._run_errand(container.cancel(id_), name="cancel")

    def report(self) -> dict[str, Any]:
        """Return the state of the pool as JSON."""
        members = self.members
        begun, made, failed, seconds = self._totals()
        return {
            "containers": [container.as_json() for container in members],
            "ready": sum(container.alive for container in members),
            "busy": sum(bool(container.flights) for container in members),
            "queue": self.queue,
            "runs_begun": begun,
            "made": made,
            "failed": failed,
            "seconds_a_picture": round(seconds / made, 3) if made else None,
        }

    def report_line(self) -> str:
        """Return the state of the pool in a line."""
        told = self.report()
        pace = f"{told['seconds_a_picture']} s a picture" if told["made"] else "no picture yet"
        return (
            f"containers: {told['ready']} of {len(self._members)} ready, {told['busy']} busy; "
            f"{pace}; {told['made']:,} made, {told['queue']:,} waiting"
        )

    def closing_line(self) -> str:
        """Return what was done, in a line."""
        begun, made, failed, _ = self._totals()
        return f"pictures made: {made:,} of {begun:,} runs begun, {failed:,} failed; nothing is billed"

    def _totals(self) -> tuple[int, int, int, float]:
        begun, made, failed, seconds = self._gone
        for one in (*self._members.values(), *self._leaving):
            begun, made, failed = begun + one.begun, made + one.made, failed + one.failed
            seconds += one.seconds
        return begun, made, failed, seconds

    def _admit(self, at: str) -> Container:
        assert self._http is not None
        container = Container(
            at, self._http, self.timings, examine=self._examine, changed=lambda _: self._notice_change()
        )
        self._watches[container] = asyncio.create_task(container.watch())
        return container

    def _dismiss(self, container: Container) -> None:
        """Let go of a container that left, once nothing runs on it."""
        if not container.leaving or container.held or container not in self._leaving:
            return
        self._leaving.remove(container)
        self._watches.pop(container).cancel()
        counted = (container.begun, container.made, container.failed, container.seconds)
        begun, made, failed, seconds = (was + more for was, more in zip(self._gone, counted, strict=True))
        self._gone = (int(begun), int(made), int(failed), seconds)

    def _give_back(self, container: Container) -> None:
        container.held -= 1
        self._dismiss(container)
        self._hand_out()

    def _notice_change(self) -> None:
        """Say what is new of the containers, and hand out slots."""
        for container in self._members.values():
            self._tell_of(container)
        alive = any(container.alive for container in self._members.values())
        here, away = (self._some_alive, self._none_alive) if alive else (self._none_alive, self._some_alive)
        here.set()
        away.clear()
        self._hand_out()

    def _tell_of(self, container: Container) -> None:
        words = container.words or ("is ready" if container.state in ALIVE else container.state.value)
        quiet = container.state in _QUIET and not container.words
        if words == self._told.get(container.at) or (quiet and container.state is not ContainerState.READY):
            return
        self._told[container.at] = words
        self._tell(f"{container.at} {words}")

    def _hand_out(self) -> None:
        """Give free slots to those whose turn it is, the emptiest containers first."""
        while free := [container for container in self._members.values() if container.free]:
            turn = self._turns.take(lambda turn: any(self._suits(one, turn) for one in free))
            if turn is None:
                return
            if turn.given.done():  # canceled while it waited
                continue
            suited = [container for container in free if self._suits(container, turn)]
            chosen = max(suited, key=lambda container: (container.free, -container.begun))
            chosen.held += 1
            turn.given.set_result(chosen)

    def _suits(self, container: Container, turn: Turn[Container]) -> bool:
        """Whether *turn* may have *container*: not one that failed it, while another one works."""
        others = (one for one in self._members.values() if one.alive)
        return container.at not in turn.avoid or all(one.at in turn.avoid for one in others)

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(self.timings.report)
            self._tell(self.report_line())

    async def _tell_of_none(self) -> None:
        while True:
            try:
                await self.wait_alive(self.timings.grace)
            except NotReady:
                told = _list_some(f"{one.at} {one.words or one.state.value}" for one in self.members)
                self._tell(f"{_NONE}: {told}; {self.queue:,} predictions wait")
                await self._some_alive.wait()
            await self._none_alive.wait()

    def _run_errand(self, errand: Coroutine[Any, Any, None], name: str = "") -> None:
        task = asyncio.create_task(errand, name=name)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _list_some(told: Iterable[str]) -> str:
    lines = list(told)
    more = f"; and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return "; ".join(lines[:_LISTED]) + more or "the pool is empty: add an address to the file of --at-file"
