"""Work that a cluster does: what it is given at once, and what becomes of it where no worker answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import current_time

from batchfill.domain.duration import format_duration
from batchfill.errors import BadPicture, NoAnswer, ObjectsRefused, unwrap_single
from batchfill.workers.cluster import Cluster, ClusterLost, WorkersKilled
from batchfill.workers.worker import answer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchfill.settings.timings import Timings
    from batchfill.workers.pool import Workers

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Abroad = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]

WINDOW = 2
"""Tasks for each that a cluster does at once: a worker that ends one has the next one there."""
TRIES = 2
"""Times that a task is given out which no worker answers."""


class _Silent(Exception):
    """No worker has answered, though there are some."""


class _GivenUp(Exception):
    """There was no worker for as long as is waited for one."""


class ClusterWorkers:
    """The workers of a cluster; where it has none for long, those of this machine do the work.

    A task names what it needs: objects in buckets, and no file of this machine.
    """

    def __init__(
        self,
        cluster: Cluster,
        own: Workers,
        say: Callable[[str], None],
        timings: Timings,
        *,
        wait: float,
        abroad: Abroad = lambda work: work,
    ) -> None:
        """*own*: those of this machine. *say* is told of a cluster that is lost, and that is there again.

        *wait*: seconds without any worker, after which *own* do the work. *abroad*: returns work as the
        cluster does it.
        """
        self._cluster = cluster
        self._own = own
        self._say = say
        self._timings = timings
        self._wait = wait
        self._abroad = abroad
        self._busy = 0
        self._gone_since: float | None = current_time()
        self._told_unfit: tuple[str, ...] = ()
        self._told_lack = False

    @property
    def unfit(self) -> tuple[str, ...]:
        """Why some of its workers get no task, a phrase each."""
        return self._cluster.members.unfit

    @property
    def window(self) -> int:
        """How many tasks it has at once."""
        return WINDOW * self._cluster.members.threads

    @property
    def lack(self) -> str | None:
        """Why it does no work; None: it does, or did a moment ago."""
        return self._why_none() if self.gone_for >= self._timings.cluster_patience else None

    @property
    def gone_for(self) -> float:
        """Seconds for which it has had no worker."""
        return 0.0 if self._gone_since is None else current_time() - self._gone_since

    async def do(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        """Return what *work*, a function of a module, makes of *task*; it may be done twice.

        Raises what *work* raises, and BadPicture when it takes workers along or none answers.
        """
        silent = 0
        while silent < TRIES:
            try:
                async with self._turn():
                    done, answer = await self._ask(work, task, wait=self._wait)
            except ClusterLost:
                # The next look makes the connection again.
                await self._wait_for_change()
            except _Silent:
                silent += 1
            except _GivenUp:
                return await self._own.do(work, task)
            except WorkersKilled:
                raise BadPicture("too much for the cluster: working on it ended its workers") from None
            else:
                return answer_of(done, answer if done else _explain(answer))  # type: ignore[no-any-return]
        silence = format_duration(self._timings.cluster_silence)
        raise BadPicture(f"no worker of the cluster answered within {silence}, {TRIES} times")

    async def offer(self, work: Callable[[Task], Answer], task: Task, *, within: float) -> Answer | Exception:
        """Return what a worker makes of *task* within so many seconds, or the error.

        It has its turn among other work, which would else wait as long as there is more of it. One worker is
        asked, once. NoAnswer at once: there is none.
        """
        try:
            with anyio.fail_after(within):
                _, found = await self._ask(work, task, wait=0.0)
        except (ClusterLost, WorkersKilled, TimeoutError, _Silent, _GivenUp):
            return NoAnswer("no worker of the cluster answered")
        return found  # type: ignore[no-any-return]

    async def look(self) -> None:
        """See who is there, and say what has changed for who waits."""
        await self._cluster.look()
        if self._cluster.members.threads:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = current_time()
        self._tell()

    async def serve_looks(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await anyio.sleep(self._timings.cluster_look)
            await self.look()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until one more task may be given out. Raises _GivenUp."""
        while self._busy >= self.window:
            if self.gone_for >= self._wait:
                raise _GivenUp
            await self._wait_for_change()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._cluster.changed.notify()

    async def _wait_for_change(self) -> None:
        changed = self._cluster.changed
        await changed.wait(changed.version, self._timings.cluster_look)

    async def _ask(self, work: Callable[[Any], Any], task: Any, *, wait: float) -> tuple[bool, Any]:
        """Return what a worker answers; *wait*: seconds without any, after which it is given up.

        Raises ClusterLost, WorkersKilled, _Silent, _GivenUp.
        """
        ended: list[Exception] = []
        with unwrap_single():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_task, current_time(), wait, tasks.cancel_scope, ended)
                answer = await self._cluster.run(self._abroad(work), task)
                ended.clear()
                tasks.cancel_scope.cancel()
        if ended:
            raise ended[0]
        return answer

    async def _watch_task(
        self, since: float, wait: float, waiting: anyio.CancelScope, ended: list[Exception]
    ) -> None:
        """Cancel *waiting* for an answer, and say why in *ended*. Without workers there is no silence."""
        while not ended:
            await anyio.sleep(self._timings.cluster_look)
            if self._gone_since is not None:
                since = current_time()
                if self.gone_for >= wait:
                    ended.append(_GivenUp())
            elif current_time() - since >= self._timings.cluster_silence:
                ended.append(_Silent())
        waiting.cancel()

    def _tell(self) -> None:
        for unfit in self.unfit:
            if unfit not in self._told_unfit:
                self._say(f"a worker of the cluster gets no task: {unfit}")
        self._told_unfit = self.unfit
        lack = self.lack
        if lack is not None and not self._told_lack:
            self._say(f"{lack}: nothing more is submitted until a worker is there")
        elif self._told_lack and self._gone_since is None:
            self._say(f"the cluster at {self._cluster.address} works again")
        self._told_lack = lack is not None

    def _why_none(self) -> str:
        at = self._cluster.address
        if (away := self._cluster.members.away) is not None:
            return f"the scheduler of the cluster at {at} cannot be used, {away}"
        return f"the cluster at {at} has no worker that can be used"


@asynccontextmanager
async def open_cluster(
    address: str,
    own: Workers,
    say: Callable[[str], None],
    timings: Timings,
    *,
    wait: float,
    abroad: Abroad = lambda work: work,
) -> AsyncIterator[ClusterWorkers]:
    """Give the workers of the cluster at *address*; see Cluster for what it raises, and ClusterWorkers."""
    cluster = Cluster(address, answers_within=timings.cluster_question)
    workers = ClusterWorkers(cluster, own, say, timings, wait=wait, abroad=abroad)
    try:
        await workers.look()
        with unwrap_single():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(workers.serve_looks)
                yield workers
                tasks.cancel_scope.cancel()
    finally:
        await cluster.close()


def _explain(error: BaseException) -> BaseException:
    """Return *error* with where it was, where that is what to mend."""
    if isinstance(error, ObjectsRefused | NoAnswer):
        return type(error)(f"on a worker of the cluster: {error}")
    return error
