"""What workers leave in the bucket gets its place there, whatever dies in between, and is read meanwhile."""

from __future__ import annotations

import signal
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

import pytest

from batchfill.batch import Batch
from batchfill.emulator.faults.rules import Fault
from batchfill.finishing.row_finisher import RowFinisher
from batchfill.ledger.base import LedgerBase
from batchfill.ledger.ledger import Ledger
from batchfill.run.download.downloader import Downloader
from batchfill.run.remote_outputs import RemoteOutputs
from batchfill.session.lost_machine import take_over
from tests.behaviour.cluster.conftest import MADE, OUTPUTS, ROOT, placed
from tests.behaviour.test_moves_cut_short import dies
from tests.behaviour.test_remote_outputs import here, is_there_alone, put
from tests.behaviour.test_remote_reading import reviewed
from tests.support.batches import counts
from tests.support.buckets import Failure
from tests.support.crash import Crash
from tests.support.ledgers import in_ledger
from tests.support.timings import set_timings
from tests.unit.review.conftest import asking, served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.domain.objects import RemoteFile
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.clusters import ClusterServer
    from tests.support.desk import Desk

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Store = Callable[..., list[dict[str, str]]]


class Halfway(NamedTuple):
    """A batch that died halfway."""

    provider: EmulatorServer
    night: Batch
    rows: list[dict[str, str]]


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks are for POSIX")


def made_of(night: Batch) -> list[tuple[str, str]]:
    """Return file and digest of each output in its place, by the ledger."""
    return in_ledger(night, "SELECT file, sha256 FROM outputs WHERE file IS NOT NULL")


def waiting(buckets: BucketServer) -> list[str]:
    """Return what waits for its place."""
    return [key for key in buckets.objects if key.startswith(MADE)]


EFFECTS = {
    "before a copy": (RemoteOutputs, "_copy", 1, False),
    "between a copy and its record": (RemoteOutputs, "_copy", 1, True),
    "between another copy and its record": (RemoteOutputs, "_copy", 2, True),
    "before the row is done": (Ledger, "record_collected", 1, False),
    "once the row is done": (Ledger, "record_collected", 1, True),
    "between plan and record": (Ledger, "record_kept", 1, False),
    "once a record says that it is put": (Ledger, "record_remote_put", 1, True),
}


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS.keys())
async def test_a_run_that_dies_is_put_right_by_the_next(
    service: Serve,
    clustered: Open,
    stored: Store,
    buckets: BucketServer,
    machines: ClusterServer,
    crash: Any,
    effect: tuple[type, str, int, bool],
) -> None:
    await machines.have(1)
    provider, rows = await service(tiny=False), stored(1)
    night = clustered(provider, rows)
    owner, method, at, after = effect
    await dies(night, crash(owner, method, at=at, after=after))

    assert (await night.run()).exit_code == 0
    assert (counts(night), len(provider.predictions()), waiting(buckets)) == ({"done": 1}, 1, [])
    assert placed(buckets) == ["r1.png"]
    assert is_there_alone(night, buckets)


@pytest.mark.parametrize("taken", [True, False], ids=["the copy was made", "the copy was not made"])
async def test_a_run_that_is_killed_in_the_middle_of_copies_is_put_right_by_the_next(
    service: Serve,
    stored: Store,
    desk: Desk,
    buckets: BucketServer,
    machines: ClusterServer,
    batchfill: Any,
    taken: bool,
) -> None:
    await machines.have(1)
    provider, night = await service(tiny=False), desk.write(stored(2, finish="raw"))
    batchfill.environ |= buckets.environment
    base = ("--base-url", provider.base, "--rate", "100000", "--recover-wait", "0")
    command = ("run", night.name, *base, "--outputs", ROOT, "--cluster", machines.address)
    running = await batchfill.start(*command)

    def kill(kind: str, place: str) -> Failure | None:
        if kind != "copy":
            return None
        running.signal(signal.SIGKILL)
        return None if taken else Failure(500)

    buckets.fail = kill
    assert (await running.ended()).code == -signal.SIGKILL
    buckets.fail = lambda kind, place: None

    ran = await batchfill(*command)

    assert (ran.code, provider.billed, waiting(buckets)) == (0, 2, []), ran.err
    assert placed(buckets) == ["r1.webp", "r2.webp"]
    assert is_there_alone(Batch.open(night), buckets)


@pytest.fixture
def halfway(
    service: Serve,
    clustered: Open,
    stored: Store,
    machines: ClusterServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Awaitable[Halfway]]:
    """Run a row until it is done, and its finished picture waits in the bucket: there the run dies."""

    async def run(**cells: str) -> Halfway:
        await machines.have(1)
        provider, rows = await service(tiny=False), stored(1, **cells)
        night, copy_made = clustered(provider, rows), RemoteOutputs._copy_made

        async def dying(outputs: RemoteOutputs, one: RemoteFile, wanted: str) -> bool:
            if "/raw/" not in one.file:
                raise Crash
            return await copy_made(outputs, one, wanted)

        with monkeypatch.context() as patched:
            patched.setattr(RemoteOutputs, "_copy_made", dying)
            await dies(night, Crash)
        return Halfway(provider, night, rows)

    return run


async def test_what_waits_is_read_as_if_it_were_in_its_place(
    halfway: Callable[..., Awaitable[Halfway]], buckets: BucketServer, tmp_path: Path
) -> None:
    _, night, _ = await halfway()
    ((_, digest),) = made_of(night)
    assert (placed(buckets), len(waiting(buckets))) == ([], 1)

    told = (await night.check(outputs=True)).notes
    exported = night.export(tmp_path / "away")
    with reviewed(night, tmp_path / "copies") as source:
        async with served(source) as address, asking() as visitor:
            await visitor.get(address)
            async with visitor.get(urljoin(address, f"/files/{digest[:32]}")) as answer:
                shown = await answer.read()

    assert told[-1] == "every one of 1 files is in place in s3://photos/night/ and as it was fetched"
    assert (exported.copied, take_over._count_away(night.folder)) == (1, 0)
    for content in ((tmp_path / "away" / "r1.png").read_bytes(), shown):
        assert sha256(content).hexdigest() == digest
    assert ("outputs/r1.png" in here(night), placed(buckets), len(waiting(buckets))) == (False, [], 1)


async def test_what_waits_is_not_lost_though_its_place_is_empty(
    halfway: Callable[..., Awaitable[Halfway]], clustered: Open, buckets: BucketServer
) -> None:
    provider, night, rows = await halfway()

    summary = await clustered(provider, rows, retry="missing").run()

    assert (summary.exit_code, len(provider.predictions()), waiting(buckets)) == (0, 1, [])
    assert is_there_alone(night, buckets)


@pytest.mark.parametrize("cells", [{"id": "new"}, {"prompt": "another"}], ids=["renamed", "made again"])
async def test_what_waits_gets_the_place_that_it_has_by_then(
    halfway: Callable[..., Awaitable[Halfway]], clustered: Open, buckets: BucketServer, cells: dict[str, str]
) -> None:
    provider, night, (row,) = await halfway()
    ((_, digest),) = made_of(night)

    await clustered(provider, [row | cells]).run(confirm=lambda plan: True)

    by_digest = {content: file for file, content in put(buckets).items()}
    renamed = by_digest[digest] == "outputs/new.png"
    assert renamed or by_digest[digest].startswith("outputs/earlier/")
    assert (len(provider.predictions()), waiting(buckets)) == (1 if renamed else 2, [])
    assert is_there_alone(night, buckets)


async def test_a_file_of_the_user_in_a_place_is_set_aside_for_what_waits(
    service: Serve, clustered: Open, stored: Store, buckets: BucketServer, machines: ClusterServer
) -> None:
    await machines.have(1)
    night = clustered(await service(tiny=False), stored(1))

    def work(plan: object) -> bool:
        (night.folder / "outputs/r1.png").write_bytes(b"my own work")
        return True

    assert (await night.run(confirm=work)).exit_code == 0
    assert placed(buckets) == ["r1.png"]
    assert [path.read_bytes() for path in (night.folder / "outputs/earlier").iterdir()] == [b"my own work"]


async def test_rows_of_equal_content_have_each_a_file_of_their_own(
    service: Serve, clustered: Open, stored: Store, buckets: BucketServer, machines: ClusterServer
) -> None:
    await machines.have(2)
    provider = await service(tiny=False)
    (row,) = stored(1, seed="7", metadata="false")
    night = clustered(provider, [{**row, "id": f"r{n}"} for n in range(1, 5)])

    assert (await night.run()).exit_code == 0
    assert placed(buckets) == ["r1.png", "r2.png", "r3.png", "r4.png"]
    assert len({buckets.objects[f"{OUTPUTS}{name}"] for name in placed(buckets)}) == 1
    assert waiting(buckets) == []
    assert is_there_alone(night, buckets)


def refuse(status: int, code: str) -> Callable[[str, str], Failure | None]:
    """Return what has every copy refused."""
    return lambda kind, place: Failure(status, code) if kind == "copy" else None


def tag_apart(place: str, content: bytes) -> str:
    return sha256(place.encode() + content).hexdigest()


STORAGES: dict[str, dict[str, object]] = {
    "knows no copies": {"fail": refuse(501, "NotImplemented")},
    "knows no copies, and says that there is nothing": {"fail": refuse(404, "NoSuchKey")},
    "makes an empty object": {"copied": lambda content: b""},
    "exchanges copies": {"copied": lambda content: bytes(len(content))},
    "tags no two objects alike": {"tag": tag_apart},
    "exchanges copies and tags no two objects alike": {
        "tag": tag_apart,
        "copied": lambda content: bytes(len(content)),
    },
    "tags nothing": {"gives_tags": False, "lists_tags": False},
    "exchanges copies, tags nothing and tells whole seconds": {
        "gives_tags": False,
        "lists_tags": False,
        "fraction": "",
        "copied": lambda content: bytes(len(content)),
    },
}


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES.keys())
async def test_whatever_a_storage_makes_of_a_copy_the_right_file_is_in_its_place(
    service: Serve,
    clustered: Open,
    stored: Store,
    buckets: BucketServer,
    machines: ClusterServer,
    storage: dict[str, object],
) -> None:
    await machines.have(1)
    for name, value in storage.items():
        setattr(buckets, name, value)
    provider = await service(tiny=False)
    night = clustered(provider, stored(1))

    assert (await night.run()).exit_code == 0
    assert (placed(buckets), len(provider.predictions()), waiting(buckets)) == (["r1.png"], 1, [])
    assert is_there_alone(night, buckets)


async def test_what_is_left_over_is_removed_at_the_end_and_nothing_else(
    service: Serve, batch: Open, buckets: BucketServer, stored: Store
) -> None:
    left = f"{MADE}{sha256(b'left').hexdigest()}/p9-1.png"
    buckets.objects |= {left: b"left", f"{MADE}mine.txt": b"mine", f"{MADE}mine/p1-1.png": b"mine"}

    assert (await batch(await service(), stored(1), outputs="s3://photos/night/").run()).exit_code == 0
    assert waiting(buckets) == [f"{MADE}mine.txt", f"{MADE}mine/p1-1.png"]


async def test_what_a_worker_left_unheard_stays_until_its_row_is_fetched(
    service: Serve, clustered: Open, stored: Store, buckets: BucketServer, machines: ClusterServer, crash: Any
) -> None:
    await machines.have(1)
    provider = await service(tiny=False)
    night = clustered(provider, stored(1))
    await dies(night, crash(Downloader, "_keep"))
    provider.expire(provider.predictions()[0].id)

    await night.finish()

    assert len(waiting(buckets)) == 1
    assert (await night.run()).exit_code == 0
    assert (counts(night), len(provider.predictions()), waiting(buckets)) == ({"done": 1}, 1, [])


async def test_a_run_whose_batch_another_machine_may_have_moves_and_removes_nothing_that_waits(
    halfway: Callable[..., Awaitable[Halfway]],
    clustered: Open,
    buckets: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, night, rows = await halfway()
    left = f"{MADE}{sha256(b'left').hexdigest()}/p9-1.png"
    buckets.objects[left] = b"left"
    set_timings(monkeypatch, storage_retries=(0.01,))

    with monkeypatch.context() as patched:
        patched.setattr(LedgerBase, "may_pay", lambda self: False)
        first = await clustered(provider, rows).run()
    there = waiting(buckets)
    again = await clustered(provider, rows).run()

    assert (first.exit_code, len(there), left in there, again.exit_code) == (3, 2, True, 0)
    assert waiting(buckets) == []
    assert is_there_alone(night, buckets)


async def test_what_waits_stays_as_long_as_the_storage_gives_it_no_place(
    halfway: Callable[..., Awaitable[Halfway]],
    clustered: Open,
    buckets: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, night, rows = await halfway()
    there = waiting(buckets)
    set_timings(monkeypatch, storage_retries=(0.01,))
    buckets.fail = lambda kind, place: Failure(503) if kind in ("copy", "get") else None

    first = await clustered(provider, rows).run()
    kept = waiting(buckets)
    buckets.fail = lambda kind, place: None
    again = await clustered(provider, rows).run()

    assert (first.exit_code, kept, again.exit_code) == (3, there, 0)
    assert (len(provider.predictions()), waiting(buckets)) == (1, [])
    assert is_there_alone(night, buckets)


async def test_an_output_that_the_bucket_has_lost_before_it_is_finished_is_fetched_once_more(
    service: Serve, clustered: Open, stored: Store, buckets: BucketServer, machines: ClusterServer, crash: Any
) -> None:
    await machines.have(1)
    provider, rows = await service(tiny=False), stored(1)
    night = clustered(provider, rows)
    await dies(night, crash(RowFinisher, "finish", after=True))
    for key in [key for key in buckets.objects if key.startswith((MADE, OUTPUTS))]:
        del buckets.objects[key]
    for path in (night.folder / "outputs/raw").glob("*"):
        path.unlink()

    assert (await night.run()).exit_code == 0
    assert (counts(night), len(provider.predictions())) == ({"done": 1}, 1)
    assert is_there_alone(night, buckets)


@pytest.mark.parametrize("new_id", ["r1", "new"], ids=["the same id", "another id"])
@pytest.mark.parametrize("effect", ["_keep", "record_collected"], ids=["not noted", "noted as planned"])
@pytest.mark.parametrize("status", [404, 403, 500])
@pytest.mark.parametrize("cells", [{"finish": "raw"}, {}], ids=["raw", "finished"])
async def test_what_a_worker_left_is_taken_where_the_service_has_it_no_more(
    service: Serve,
    clustered: Open,
    stored: Store,
    buckets: BucketServer,
    machines: ClusterServer,
    crash: Any,
    new_id: str,
    effect: str,
    cells: dict[str, str],
    status: int,
) -> None:
    await machines.have(1)
    provider, rows = await service(tiny=False), stored(1, **cells)
    owner = Downloader if effect == "_keep" else Ledger
    await dies(clustered(provider, rows), crash(owner, effect))
    provider.expire(provider.predictions()[0].id)
    provider.faults.add(Fault("output", "status", options={"status": status}))

    night = clustered(provider, [rows[0] | {"id": new_id}])
    await night.run(confirm=lambda plan: True)

    assert (counts(night), len(provider.predictions())) == ({"done": 1}, 1)
    assert waiting(buckets) == []
    assert is_there_alone(night, buckets)
