"""The way to a cluster: a scheduler of dask, and those of its workers that have this machine's software."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from batchfill.errors import UsageError
from batchfill.wakeup import Wakeup
from batchfill.workers.sealed import Sealed, do_sealed
from batchfill.workers.software import is_software, software_here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_EXTRA = "--cluster needs an extra of batchfill: pip install 'batchfill[cluster]'"
_AT_WORK = frozenset({"init", "running"})
"""States in which dask gives a worker tasks."""
_CLOSING = 10.0
"""Seconds for a good-bye to a scheduler that may be away."""


class ClusterLost(Exception):
    """The scheduler is away, or was for a moment: what it was asked for has to be asked again."""


class WorkersKilled(Exception):
    """A task took several workers along into their end."""


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a cluster."""

    threads: int = 0
    """Tasks that those which are fit do at once."""
    unfit: tuple[str, ...] = ()
    """Why others get no task, a phrase each."""
    away: str | None = None
    """Why the scheduler cannot be used; None: it answers."""


class Cluster:
    """The connection to one scheduler; `look` keeps it up."""

    def __init__(self, address: str, *, answers_within: float) -> None:
        """*answers_within*: seconds. Raises UsageError without the extra, or with keys of no use."""
        self.address = address
        self.members = Members(away="it was not asked yet")
        self.changed = Wakeup()
        """Rings when `members` has changed."""
        self._within = answers_within
        self._client: Any = None
        self._open = _import_client(address)

    async def look(self) -> None:
        """Find out who is there, after a connection was lost by another one."""
        try:
            client = await self._connected()
            with anyio.fail_after(self._within):
                members = await _ask_for_members(client.scheduler)
        except (OSError, TimeoutError):
            members = Members(away="it does not answer")
        if members != self.members:
            self.members = members
            self.changed.notify()

    async def run(self, work: Callable[[Any], Any], task: Any) -> tuple[bool, Any]:
        """Return whether *work* was done, and its answer or its error.

        Raises ClusterLost and WorkersKilled. It waits for workers as long as there are none.
        """
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        client = self._client
        if client is None or client.status != "running":
            raise ClusterLost
        future = client.submit(
            do_sealed,
            Sealed((work, task)),
            # A new one each time: the same task may be given out again.
            key=f"batchfill-{uuid4().hex}",
            resources={software_here(): 1},
            pure=False,
        )
        try:
            answer: Sealed = await future
        except KilledWorker:
            raise WorkersKilled from None
        except (FutureCancelledError, OSError, TimeoutError):
            raise ClusterLost from None
        finally:
            with suppress(Exception):  # a connection that is closed has nothing to give back
                future.release()
        done, found = answer.unseal()
        return done, found

    async def close(self) -> None:
        """End the connection. What is still being worked on may go on, and tells no one."""
        client, self._client = self._client, None
        if client is not None:
            await _close_client(client)

    async def _connected(self) -> Any:
        """Return the client. Raises OSError and TimeoutError where there is none now."""
        if self._client is not None and self._client.status == "closed":
            self._client = None
        if self._client is None:
            self._client = await self._open(self.address, self._within)
        if self._client.status != "running":
            raise OSError("not connected")
        return self._client


async def _ask_for_members(scheduler: Any) -> Members:
    """Return who is there. Raises OSError."""
    found = await scheduler.versions(packages=["batchfill"])
    if found["packages"].get("batchfill") is None:
        return Members(away="its environment has no batchfill")
    threads, unfit = 0, []
    for address, worker in sorted((await scheduler.identity())["workers"].items()):
        if worker["status"] not in _AT_WORK:
            continue
        if (why := _why_unfit(worker["resources"])) is None:
            threads += worker["nthreads"]
        else:
            unfit.append(f"{address} {why}")
    return Members(threads, tuple(unfit))


def _why_unfit(resources: Mapping[str, float]) -> str | None:
    """Return why a worker that tells these *resources* gets no task; None: it does."""
    if software_here() in resources:
        return None
    found = next(filter(is_software, resources), None)
    if found is None:
        return "was started without --preload batchfill.workers.preload"
    return f"has {found}, and this machine {software_here()}"


def _import_client(address: str) -> Any:
    """Return what connects to a scheduler. Raises UsageError where it cannot be used at all."""
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError:
        raise UsageError(NO_EXTRA) from None
    _keep_quiet()
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    if address.startswith("tls:"):
        _refuse_without_certificates()

    async def connect(address: str, seconds: float) -> Any:
        client = Client(address, timeout=seconds, asynchronous=True, set_as_default=False, name="batchfill")
        try:
            return await client
        except BaseException:
            await _close_client(client)
            raise

    return connect


def _refuse_without_certificates() -> None:
    """Raise UsageError where dask has no certificates that can be used."""
    from distributed import Security

    try:
        certificates = Security().get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:
        raise UsageError(f"--cluster: the certificates of dask cannot be read: {error}") from None
    if certificates is None:
        raise UsageError(
            "--cluster: tls:// needs certificates, and dask has none: set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__CLIENT__CERT and …__CLIENT__KEY"
        )


async def _close_client(client: Any) -> None:
    with anyio.move_on_after(_CLOSING, shield=True), suppress(OSError, TimeoutError):
        await client.close()


def _keep_quiet() -> None:
    """Keep what dask says of lost connections from the terminal: a run says so in its own words."""
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] in ("distributed", "tornado"):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [logging.NullHandler()], False
