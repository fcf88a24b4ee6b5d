"""Buckets of servers that others wrote: of moto, and of Ceph where it is unpacked."""

from __future__ import annotations

import io
import os
import urllib.error
import urllib.request
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import ObjectGone, ObjectsRefused, TakenOver
from batchfill.session import session
from batchfill.storage.mirror import mirror_bucket
from batchfill.storage.mirror.bucket_mirror import BucketMirror
from batchfill.storage.mirror.mirror_bucket import MirrorBucket
from batchfill.storage.mirror.mirror_history import (
    close_generation,
    prove_create_only,
    read_history,
    rebuild_ledger,
)
from batchfill.storage.remote_store import RemoteStore, store_at
from batchfill.workers.pool import Processes
from tests.behaviour.test_remote_outputs import here, made
from tests.support.batches import counts
from tests.support.buckets import environment_for
from tests.support.ledgers import in_ledger
from tests.support.real_buckets import needs_ceph

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

ODD = ["a.jpg", "ü ß.jpg", "a b#c?d=e&f.jpg", "100%25.jpg", "+~'(1)[2]!*.jpg", "日本/é.png", "x" * 200]
"""Keys that are hard to write into an address."""


@pytest.fixture(scope="session")
def moto() -> Iterator[Mapping[str, str]]:
    """Serve buckets with moto, and return the environment for it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield environment_for(f"http://{host}:{port}", "key", "secret")
    server.stop()


@pytest.fixture(params=["moto", pytest.param("radosgw", marks=needs_ceph)])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return an official client's bucket at one of the servers, to which the environment is set."""
    server = request.getfixturevalue(request.param)
    environment = server if request.param == "moto" else server.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store_at.cache_clear()
    return resource_of(request.param).create_bucket(Bucket=f"photos-{os.urandom(4).hex()}")


@cache
def resource_of(server: str) -> Any:
    """Return the official client of the *server* that the environment names; making one takes a while."""
    import boto3

    return boto3.Session().resource("s3", region_name="us-east-1")


def test_every_object_is_listed_and_read_under_its_key(bucket: Any) -> None:
    for key in ODD:
        bucket.put_object(Key=f"in/{key}", Body=key.encode())
    bucket.put_object(Key="in/", Body=b"")
    bucket.put_object(Key="inside.jpg", Body=b"another")
    store, prefix = RemoteStore(), f"s3://{bucket.name}/in/"

    listed = [one for page in store.list_objects(prefix) for one in page]

    assert {one.address.removeprefix(prefix) for one in listed if one.size} == set(ODD)
    for one in filter(lambda one: one.size, listed):
        content = io.BytesIO()
        store.read_object(one, content)
        assert content.getvalue().decode() == one.address.removeprefix(prefix)


def test_a_listing_goes_on_behind_a_sub_folder(bucket: Any) -> None:
    for key in ("a", "raw/0", "raw/1", "z"):
        bucket.put_object(Key=f"in/{key}", Body=b"x")
    store, prefix = RemoteStore(), f"s3://{bucket.name}/in/"

    behind = [one for page in store.list_objects(prefix, after=f"{prefix}raw/\U0010ffff") for one in page]

    assert [one.name for one in behind] == ["z"]


def test_a_replaced_or_removed_object_is_not_read(bucket: Any) -> None:
    for key in ("replaced", "removed"):
        bucket.put_object(Key=f"in/{key}", Body=b"before")
    store = RemoteStore()
    listed = [one for page in store.list_objects(f"s3://{bucket.name}/in/") for one in page]
    bucket.put_object(Key="in/replaced", Body=b"behind")
    bucket.Object("in/removed").delete()

    for one in listed:
        with pytest.raises(ObjectGone):
            store.read_object(one, io.BytesIO())


def test_a_bucket_that_is_not_there_is_told(bucket: Any) -> None:
    with pytest.raises(ObjectsRefused, match="there is no such bucket"):
        list(RemoteStore().list_objects("s3://no-such-bucket-anywhere/in/"))


@needs_ceph
@pytest.mark.parametrize("bucket", ["radosgw"], indirect=True)
def test_a_wrong_key_is_told_without_it(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrongwrongwrongwrong")

    with pytest.raises(ObjectsRefused, match="the credentials in the environment are not taken") as caught:
        list(RemoteStore().list_objects(f"s3://{bucket.name}/in/"))
    assert "wrongwrong" not in str(caught.value)


def test_what_is_put_is_read_at_its_signed_address_and_no_part_of_it_stays(bucket: Any) -> None:
    content = os.urandom(6_000_000)
    address = f"s3://{bucket.name}/batchfill/sent/{'ab' * 32}"
    store = RemoteStore()
    store.put_object(address, b"before", mime="image/png")
    store.put_object(address, content, mime="image/jpeg")

    with urllib.request.urlopen(store.sign_read(address, seconds=60.0)) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.read() == content
    assert bucket.meta.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", []) == []


@needs_ceph
@pytest.mark.parametrize("bucket", ["radosgw"], indirect=True)
@pytest.mark.parametrize(
    "signed", [lambda address: address.partition("?")[0], lambda address: f"{address[:-4]}0000"]
)
def test_what_is_put_is_read_at_its_signed_address_only(bucket: Any, signed: Callable[[str], str]) -> None:
    address = f"s3://{bucket.name}/batchfill/sent/{'ab' * 32}"
    store = RemoteStore()
    store.put_object(address, b"content", mime="image/png")

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(signed(store.sign_read(address, seconds=60.0)))


@pytest.mark.parametrize("key", ODD)
def test_a_copy_is_made_inside_the_bucket(bucket: Any, key: str) -> None:
    store, root = RemoteStore(), f"s3://{bucket.name}/"
    store.put_object(f"{root}in/{key}", b"content", mime="image/webp")
    store.put_object(f"{root}to/{key}", b"before", mime="image/png")

    store.copy_object(f"{root}in/{key}", f"{root}to/{key}")

    made, copy = (store.find_object(f"{root}{folder}/{key}") for folder in ("in", "to"))
    assert made is not None
    assert copy is not None
    assert (copy.size, copy.etag) == (made.size, made.etag)
    there = bucket.Object(f"to/{key}").get()
    assert (there["Body"].read(), there["ContentType"]) == (b"content", "image/webp")
    bucket.Object(f"in/{key}").delete()
    with pytest.raises(ObjectGone):
        store.copy_object(f"{root}in/{key}", f"{root}to/{key}")


async def test_a_batch_of_objects_runs_from_its_check_to_its_pictures(
    bucket: Any,
    service: Callable[..., Awaitable[EmulatorServer]],
    batch: Callable[..., Batch],
    desk: Desk,
) -> None:
    rows = desk.rows(2)
    for name in ("images/a.png", "masks/a.png"):
        bucket.put_object(Key=name, Body=(desk.folder / name).read_bytes())
    for row in rows:
        row.update(image=f"s3://{bucket.name}/images/a.png", mask=f"s3://{bucket.name}/masks/a.png")
    night = batch(await service(), rows)

    assert (await night.check(fetch=True)).mistakes == ()
    await night.run()
    again = await night.run()

    assert counts(night) == {"done": 2}
    assert again.submitted_now == 0


def test_a_mirror_owns_a_batch_at_a_storage_that_others_wrote(bucket: Any, tmp_path: Path) -> None:
    there = MirrorBucket(f"s3://{bucket.name}/night/")
    ledger = tmp_path / "ledger.sqlite"
    # More than one request takes, also once it is packed.
    ledger.write_bytes(os.urandom(mirror_bucket.AT_ONCE + 3_000_000))
    prove_create_only(there)
    lost = BucketMirror(there, "aa", 1, lease=10.0)
    lost.put_copy(ledger, 0)
    for commits in range(1, 5):
        lost.put_commits(b"", commits)
    history = read_history(there)
    assert history is not None

    closed = close_generation(there, history, "bb")
    with pytest.raises(TakenOver):
        lost.put_commits(b"", 5)
    rebuilt = io.BytesIO()
    rebuild_ledger(there, closed, rebuilt)
    new = BucketMirror(there, "bb", 2, lease=10.0)
    new.put_copy(ledger, 0)
    new.remove_old()

    assert (closed.entry.commits, rebuilt.getvalue()) == (4, ledger.read_bytes())
    assert there.list_names() == [
        *("000001/0000000005", "000001/0000000006"),
        *("000002/0000000001", "000002/0000000001-bb.ledger"),
    ]


async def test_a_batch_is_handed_over_by_its_bucket(
    bucket: Any,
    service: Callable[..., Awaitable[EmulatorServer]],
    batch: Callable[..., Batch],
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Workers that others keep know other storages.
    monkeypatch.setattr(session, "Processes", lambda most, *, hidden: Processes(1, hidden=hidden))
    rows = desk.rows(1)
    bucket.put_object(Key="images/a.png", Body=(desk.folder / "images/a.png").read_bytes())
    rows[0].update(image=f"s3://{bucket.name}/images/a.png", megapixels="0.25")

    night = batch(await service(tiny=False), rows, hand_over="bucket")
    await night.run()

    assert counts(night) == {"done": 1}
    assert len(list(bucket.objects.filter(Prefix="batchfill/sent/"))) == 2


async def test_files_are_put_compared_moved_and_exported_in_the_bucket_alone(
    bucket: Any,
    service: Callable[..., Awaitable[EmulatorServer]],
    batch: Callable[..., Batch],
    desk: Desk,
    tmp_path: Path,
) -> None:
    provider, rows, root = await service(tiny=False), desk.rows(3), f"s3://{bucket.name}/ü b/"
    await batch(provider, rows, outputs=root).run()
    rows[0]["id"], rows[1]["id"] = "r2", "r1"
    rows[2]["prompt"] = "another"
    night = batch(provider, rows)

    await night.run()
    told = (await night.check(outputs=True)).notes
    exported = night.export(tmp_path / "away")

    files = list(bucket.objects.filter(Prefix="ü b/outputs/"))
    there = {one.key.removeprefix("ü b/"): one.get()["Body"].read() for one in files}
    tags = {one.key.removeprefix("ü b/"): one.e_tag.strip('"') for one in files}
    assert {file: sha256(content).hexdigest() for file, content in there.items()} == made(night)
    assert (len(there), here(night), exported.copied) == (4, {}, 3)
    assert told[-1] == f"every one of 3 files is in place in {root} and as it was fetched"
    # So nothing is read to be compared.
    assert dict(in_ledger(night, "SELECT file, etag FROM remote_files WHERE put IS NOT NULL")) == tags
