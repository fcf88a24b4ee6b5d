"""Outputs are fetched by workers of a cluster, and by the run where those cannot."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread

from batchfill.emulator import emulator_server
from batchfill.emulator.faults.rules import Fault
from batchfill.emulator.outputs import outputs_app
from batchfill.errors import OutputRefused
from batchfill.providers.downloads import OutputPolicy
from batchfill.run.download.output_fetcher import OutputFetcher
from batchfill.run.download.worker_fetch import FetchTask, fetch_to_bucket
from batchfill.systems import Posix, here
from tests.behaviour.cluster.conftest import MADE, OUTPUTS
from tests.behaviour.test_moves_cut_short import dies
from tests.behaviour.test_remote_outputs import is_there_alone
from tests.support.batches import counts
from tests.support.bounds import HANGS
from tests.support.buckets import is_own_socket
from tests.support.providers import TOKEN
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.clusters import ClusterServer
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Store = Callable[..., list[dict[str, str]]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count who has fetched outputs of the emulator: the run, or a worker."""
    found: Counter[str] = Counter()

    async def note(request: web.Request, response: object) -> None:
        assert request.transport is not None
        own = is_own_socket(request.transport.get_extra_info("peername")[1])
        found["run" if own else "worker"] += 1

    def counted(*given: Any, **named: Any) -> web.Application:
        app = outputs_app(*given, **named)
        app.on_response_prepare.append(note)
        return app

    monkeypatch.setattr(emulator_server, "outputs_app", counted)
    return found


def through_the_run(buckets: BucketServer) -> dict[str, int]:
    """Return the bytes of pictures that went over sockets of the run, by their keys.

    The emulator, which fetches what is signed, is in the same process.
    """
    pictures = ("photos/image/", "photos/mask/", MADE, OUTPUTS)
    return {key: size for key, size in buckets.own_bytes.items() if key.startswith(pictures)}


@pytest.mark.parametrize(
    "cells", [{}, {"finish": "raw"}, {"num_outputs": "2"}], ids=["finished", "raw", "two"]
)
async def test_no_byte_of_a_picture_passes_the_process_that_pays(
    service: Serve,
    clustered: Open,
    stored: Store,
    buckets: BucketServer,
    machines: ClusterServer,
    fetched: Counter[str],
    cells: dict[str, str],
) -> None:
    await machines.have(2)
    buckets.tells_own = True
    provider = await service(tiny=False)
    night = clustered(provider, stored(2, **cells))

    assert (await night.run()).exit_code == 0
    assert through_the_run(buckets) == {}
    assert fetched["run"] == 0 < fetched["worker"]
    assert is_there_alone(night, buckets)
    assert [result.flags for result in night.results()] != []


async def test_outputs_of_rows_at_addresses_are_fetched_by_workers_too(
    service: Serve,
    clustered: Open,
    buckets: BucketServer,
    machines: ClusterServer,
    fetched: Counter[str],
    hurry: None,
) -> None:
    await machines.have(1)
    files = {"image": "https://provider.test/a.png", "mask": "https://provider.test/m.png"}
    night = clustered(await service(), [{"id": f"r{n}", **files, "prompt": f"picture {n}"} for n in range(3)])

    assert (await night.run()).exit_code == 0
    assert fetched == {"worker": 3}
    assert is_there_alone(night, buckets)


async def test_what_no_worker_can_fetch_the_run_fetches_at_once(
    service: Serve,
    clustered: Open,
    stored: Store,
    buckets: BucketServer,
    machines: ClusterServer,
    fetched: Counter[str],
    ears: Ears,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await machines.have(2)
    # To the workers, the addresses of this machine are those of another network.
    monkeypatch.setattr(Posix, "network", lambda system: "another")
    set_timings(monkeypatch, cluster_fetch_pause=HANGS)
    provider = await service(tiny=False)
    night = clustered(provider, stored(4), concurrency=1)

    assert (await night.run(watch=ears)).exit_code == 0
    assert (counts(night), len(provider.predictions())) == ({"done": 4}, 4)
    assert fetched == {"run": 4}
    # The others were not tried in vain.
    told = [text for text in ears.texts if "a worker of the cluster could not fetch an output" in text]
    assert len(told) == 1
    assert "outputs are fetched from https addresses only; this machine fetches them for " in told[0]
    assert is_there_alone(night, buckets)


async def test_a_bad_output_is_judged_by_the_run_alone(
    service: Serve,
    clustered: Open,
    stored: Store,
    buckets: BucketServer,
    machines: ClusterServer,
    fetched: Counter[str],
) -> None:
    await machines.have(1)
    provider = await service(tiny=False)
    provider.faults.add(Fault("output", "garbage", times=2))
    night = clustered(provider, stored(1))

    assert (await night.run()).exit_code == 0
    # Once more where the garbage was the service's.
    assert fetched == {"worker": 2, "run": 1}
    assert len([*(night.folder / "suspect").iterdir()]) == 1
    assert not [key for key in buckets.objects if key.startswith(MADE)]
    assert is_there_alone(night, buckets)


async def test_an_address_that_holds_the_token_leaves_the_process_that_pays_for_its_base_alone(
    service: Serve,
    clustered: Open,
    stored: Store,
    machines: ClusterServer,
    fetched: Counter[str],
    gateway: Callable[..., Awaitable[str]],
) -> None:
    await machines.have(1)
    provider = await service(tiny=False)
    base = await gateway(provider, lambda text: text.replace('.webp"', f'.webp?key={TOKEN}"'))
    night = clustered(base, stored(1))

    assert (await night.run()).exit_code == 0
    assert fetched == {"run": 1}


async def test_an_output_that_the_service_keeps_for_long_already_is_fetched_by_the_run(
    service: Serve,
    clustered: Open,
    stored: Store,
    machines: ClusterServer,
    fetched: Counter[str],
    crash: Any,
    later: Callable[[float], None],
) -> None:
    await machines.have(1)
    night = clustered(await service(tiny=False), stored(1))
    await dies(night, crash(OutputFetcher, "fetch"))
    later(1000.0)

    assert (await night.run()).exit_code == 0
    assert fetched == {"run": 1}


@pytest.mark.parametrize("network", ["another", None])
async def test_a_worker_of_another_network_asks_no_address_that_is_near(
    service: Serve, buckets: BucketServer, fetched: Counter[str], network: str | None
) -> None:
    provider = await service()
    policy = OutputPolicy(allow_private=True, allow_http=True, private_http=True, any_host=True)
    task = FetchTask(provider.base, policy, network, "s3://photos/night/", "p1", 1)

    with pytest.raises(OutputRefused):
        await to_thread.run_sync(fetch_to_bucket, task)
    assert fetched == {}


def test_a_task_to_fetch_shows_no_address() -> None:
    signed = "https://outputs.test/a.png?signature=5ecret"
    task = FetchTask(signed, OutputPolicy(), here().network(), "s3://photos/night/", "p1", 1)

    assert "5ecret" not in repr(task)
