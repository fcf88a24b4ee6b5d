"""A real bucket server: Ceph's, where it is unpacked.

`make buckets` unpacks it, or `BATCHFILL_CEPH` names a folder that has it. A *radosgw* speaks S3 over a
cluster of one monitor, one manager and one disk: processes of the test, on loopback, up in 20 seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.bounds import HANGS
from tests.support.buckets import environment_for
from tests.support.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CEPH = Path(os.environ.get("BATCHFILL_CEPH", ROOT / ".ceph")).absolute()
KEY, SECRET = "CEPHKEY", "cephsecretcephsecret"

needs_ceph = pytest.mark.skipif(
    not (CEPH / ".made").exists(), reason=f"no Ceph in {CEPH}: `make buckets` unpacks it"
)

# cephx stays on: without it radosgw never starts.
CONFIGURATION = """
[global]
fsid = {id}
keyring = {folder}/keyring
mon host = [v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
osd objectstore = bluestore
bluestore block size = 8589934592
plugin dir = {library}/ceph
erasure code dir = {library}/ceph/erasure-code
osd class dir = {library}/rados-classes
osd class load list = *
osd class default list = *
mgr module path = {root}/usr/share/ceph/mgr
mgr initial modules =
run dir = {folder}
admin socket =
log file = {folder}/$name.log
pid file = {folder}/$name.pid
mon data = {folder}/mon
osd data = {folder}/osd
mgr data = {folder}/mgr
rgw data = {folder}/rgw

[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{ports[2]}
rgw dns name = 127.0.0.1
"""
KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"),
    "mgr.x": ("mon", "allow profile mgr", "osd", "allow *"),
    "client.rgw.a": ("mon", "allow rw", "osd", "allow rwx"),
}


class Radosgw:
    """One cluster in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [find_free_port() for _ in range(3)]
        self._servers: list[subprocess.Popen[bytes]] = []
        self.address = f"http://127.0.0.1:{self._ports[2]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets to reach it."""
        return environment_for(self.address, KEY, SECRET)

    def start(self) -> None:
        """Start the cluster, and return once it answers."""
        folder, id_, disk = self._folder, str(uuid4()), str(uuid4())
        for name in ("mon", "osd", "mgr", "rgw"):
            (folder / name).mkdir(parents=True)
        text = CONFIGURATION.format(
            id=id_,
            folder=folder,
            ports=self._ports,
            root=CEPH / "root",
            library=_libraries(CEPH / "root" / "usr" / "lib"),
        )
        (folder / "ceph.conf").write_text(text)
        self._make_keys()
        monitor = f"[v2:127.0.0.1:{self._ports[0]},v1:127.0.0.1:{self._ports[1]}]"
        self._call("monmaptool", "--create", "--fsid", id_, "--addv", "a", monitor, "monmap")
        self._call("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self._serve("ceph-mon", "-f", "-i", "a")
        self._call("ceph", "auth", "import", "-i", "keyring")
        self._call("ceph", "osd", "new", disk, "0")
        self._call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._serve("ceph-osd", "-f", "-i", "0")
        self._serve("ceph-mgr", "-f", "-i", "x")
        self._serve("radosgw", "-f", "-n", "client.rgw.a")
        user = ("--uid=test", "--display-name=test", f"--access-key={KEY}", f"--secret-key={SECRET}")
        self._call("radosgw-admin", "user", "create", *user)
        self._wait()

    def stop(self) -> None:
        """End every process of it."""
        for server in reversed(self._servers):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()

    def _make_keys(self) -> None:
        self._call("ceph-authtool", "--create-keyring", "keyring")
        for name, rights in KEYS.items():
            pairs = zip(rights[::2], rights[1::2], strict=True)
            caps = [word for pair in pairs for word in ("--cap", *pair)]
            self._call("ceph-authtool", "keyring", "--gen-key", "-n", name, *caps)

    def _environment(self) -> dict[str, str]:
        root = CEPH / "root"
        libraries = _libraries(root / "usr" / "lib")
        library_path = (_libraries(root / "lib"), libraries, libraries / "ceph", root / "usr/lib/ceph")
        return {
            "PATH": f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(map(str, library_path)),
            "PYTHONPATH": f"{root}/usr/lib/python3/dist-packages",
            "CEPH_CONF": f"{self._folder}/ceph.conf",
            "HOME": str(self._folder),
        }

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [_program(program), *arguments],
            cwd=self._folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def _serve(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.out").open("ab") as out:
            self._servers.append(
                subprocess.Popen(
                    [_program(program), *arguments],
                    cwd=self._folder,
                    env=self._environment(),
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )

    def _wait(self) -> None:
        until = time.monotonic() + HANGS
        while True:
            try:
                urllib.request.urlopen(self.address, timeout=HANGS).close()
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)
            else:
                return


def _libraries(folder: Path) -> Path:
    """Return the folder of this machine's kind of processor."""
    return next(folder.glob("*-linux-gnu*"))


def _program(name: str) -> str:
    places = (CEPH / "root" / "usr" / folder / name for folder in ("bin", "sbin"))
    return str(next(place for place in places if place.exists()))


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radosgw]:
    """Serve buckets with Ceph; see Radosgw."""
    server = Radosgw(tmp_path_factory.mktemp("radosgw"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
