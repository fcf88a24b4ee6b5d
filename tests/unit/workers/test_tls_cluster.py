"""A cluster whose scheduler and workers prove who they are, and whose connections are encrypted."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import dask
import distributed
import pytest

from batchfill.errors import UsageError
from batchfill.workers.cluster import Cluster
from tests.support import bounds
from tests.support.clusters import ClusterServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks are for POSIX")

CERTIFICATE = Path(bounds.__file__).with_name("loopback.pem")
ROLES = "scheduler", "worker", "client"


def settings(*, trusted: Path | str) -> dict[str, str]:
    """Return dask's settings of a machine that has the certificate, and believes what *trusted* signed."""
    own = {f"{role}.{part}": str(CERTIFICATE) for role in ROLES for part in ("cert", "key")}
    return {
        f"distributed.comm.tls.{name}": value for name, value in (own | {"ca-file": str(trusted)}).items()
    }


def as_variables(found: dict[str, str]) -> dict[str, str]:
    """Return dask's settings as the variables of its processes."""
    return {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value for name, value in found.items()
    }


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    """Serve a cluster to all tests here."""
    environment = as_variables(settings(trusted=CERTIFICATE))
    folder = tmp_path_factory.mktemp("tls")
    with closing(ClusterServer(folder, environment, protocol="tls")) as found:
        yield found


async def test_with_the_certificates_of_the_cluster_work_is_done(machines: ClusterServer) -> None:
    with dask.config.set(settings(trusted=CERTIFICATE)):
        await machines.have(1)
        cluster = Cluster(machines.address, answers_within=bounds.HANGS)
        try:
            await cluster.look()
            assert (cluster.members.threads, cluster.members.away) == (1, None)
            assert await cluster.run(sum, (2, 3)) == (True, 5)
        finally:
            await cluster.close()


async def test_a_scheduler_that_another_one_vouches_for_gets_nothing(machines: ClusterServer) -> None:
    with dask.config.set(settings(trusted=CERTIFICATE)):
        await machines.have(1)
    with dask.config.set(settings(trusted=certifi.where())):
        cluster = Cluster(machines.address, answers_within=0.5)
        try:
            await cluster.look()
            assert (cluster.members.threads, cluster.members.away) == (0, "it does not answer")
        finally:
            await cluster.close()


async def test_one_who_does_not_encrypt_is_not_heard(machines: ClusterServer) -> None:
    with dask.config.set(settings(trusted=CERTIFICATE)):
        await machines.have(1)
    plain = machines.address.replace("tls:", "tcp:")
    with pytest.raises(OSError, match=r"reset by peer|[Tt]imed out|[Cc]losed"):
        await distributed.Client(plain, asynchronous=True, set_as_default=False, timeout=0.5)


def test_without_certificates_nothing_is_tried() -> None:
    with pytest.raises(UsageError, match="needs certificates, and dask has none"):
        Cluster("tls://127.0.0.1:1", answers_within=1.0)
