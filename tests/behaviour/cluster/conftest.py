"""Batches of buckets that a *cluster* works on; what this machine's own *processes* do is noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest

from batchfill.session import session
from batchfill.storage.remote_store import store_at
from tests.support.bounds import HANGS
from tests.support.buckets import BucketServer
from tests.support.clusters import ClusterServer
from tests.support.kept_workers import KeptOne
from tests.support.providers import TOKEN
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchfill.batch import Batch
    from tests.support.desk import Desk

    Open = Callable[..., Batch]
    Store = Callable[..., list[dict[str, str]]]

ROOT = "s3://photos/night/"
MADE, OUTPUTS = "photos/night/made/", "photos/night/outputs/"


class OwnProcesses(KeptOne):
    """Those of the machine that pays: one for all tests here. They note what they do."""

    idle: ClassVar[list[Any]] = []
    done: ClassVar[list[str]] = []

    async def do(self, work: Any, task: Any) -> Any:
        """Note the name of *work*."""
        self.done.append(work.__name__)
        return await super().do(work, task)


@pytest.fixture(scope="session")
def server() -> Iterator[BucketServer]:
    """Serve buckets to all tests here."""
    server = BucketServer()
    yield server
    server.close()
    OwnProcesses.end_idle()


@pytest.fixture(scope="session")
def machines(server: BucketServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    """Serve a cluster to all tests here; its processes are started with a token, as a careless user would."""
    secrets = {"BATCHFILL_TOKEN": TOKEN, "REPLICATE_API_TOKEN": TOKEN}
    found = ClusterServer(tmp_path_factory.mktemp("cluster"), {**server.environment, **secrets}, failures=2)
    yield found
    found.close()


@pytest.fixture
def buckets(server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> BucketServer:
    """Empty the bucket, and set the environment to it."""
    server.forget()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(session, "Processes", OwnProcesses)
    OwnProcesses.done.clear()
    store_at.cache_clear()
    set_timings(monkeypatch, cluster_look=0.05, cluster_patience=0.2)
    return server


@pytest.fixture
def stored(desk: Desk, hurry: None, buckets: BucketServer) -> Store:
    """Put the picture and the mask of rows that are finished exactly into the bucket; return the rows."""

    def store(count: int, **cells: str) -> list[dict[str, str]]:
        rows = desk.exact_rows(count, (64, 48), (16, 12, 40, 30), megapixels="0.25")
        for row in rows:
            for name in ("image", "mask"):
                row[name] = buckets.put(f"{name}/{row['id']}.png", (desk.folder / row[name]).read_bytes())
            row.update(cells)
        return rows

    return store


@pytest.fixture
def clustered(batch: Open, machines: ClusterServer) -> Open:
    """Make a batch whose pictures the cluster works on."""

    def make(at: Any, rows: Any, **flags: Any) -> Batch:
        flags = {"hand_over": "bucket", "outputs": ROOT, "cluster": machines.address, **flags}
        return batch(at, rows, **flags)

    return make


def placed(buckets: BucketServer) -> list[str]:
    """Return the names of the pictures in their places, all of which the bucket has."""
    names = (key.removeprefix(OUTPUTS) for key in buckets.objects if key.startswith(OUTPUTS))
    return sorted(name for name in names if "/" not in name)


async def until(happened: Callable[[], bool]) -> None:
    """Return once it has."""
    with anyio.fail_after(HANGS):
        while not happened():  # noqa: ASYNC110 - no event crosses processes and threads
            await anyio.sleep(0.01)
