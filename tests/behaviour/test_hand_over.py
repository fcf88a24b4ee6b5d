"""Pictures in buckets that the service fetches there, and that no process of the run sends."""

from __future__ import annotations

import io
import json
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from PIL import Image

from batchfill.emulator.dialects.dialect import Dialect
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.errors import UsageError
from batchfill.session import session
from batchfill.storage.output_store import OutputStore
from batchfill.storage.remote_store import RemoteStore
from batchfill.workers import pool
from tests.support.batches import counts, pictures
from tests.support.buckets import KEY, SECRET, BucketServer, Failure, reach
from tests.support.faults import NEVER_TAKEN
from tests.support.kept_workers import KeptOne
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Store = Callable[..., list[dict[str, str]]]

SENT = "photos/batchfill/sent/"
FAR = "https://provider.test/v1"
HONOURED = Quirks(offers=frozenset(), dialect=Dialect(keys="honoured"))
"""A provider that knows keys, and has no list that could tell what was made."""


class OfBuckets(KeptOne):
    """One worker for all tests here, which knows their bucket server."""

    idle: ClassVar[list[Any]] = []


@pytest.fixture(scope="module")
def server() -> Iterator[BucketServer]:
    """Serve buckets to all tests here."""
    server = BucketServer()
    yield server
    server.close()
    OfBuckets.end_idle()


@pytest.fixture
def buckets(server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> BucketServer:
    """Empty the bucket, and set the environment to it."""
    server.forget()
    reach(server, monkeypatch)
    monkeypatch.setattr(session, "Processes", OfBuckets)
    return server


@pytest.fixture
def stored(desk: Desk, buckets: BucketServer) -> Store:
    """Put the picture and the mask of rows into the bucket; return the rows with their addresses there."""

    def store(count: int, **cells: str) -> list[dict[str, str]]:
        rows = desk.rows(count)
        for row in rows:
            row["image"] = buckets.put("images/a.png", (desk.folder / row["image"]).read_bytes())
            row["mask"] = buckets.put("masks/a.png", (desk.folder / "masks/a.png").read_bytes())
            row.update(cells)
        return rows

    return store


def sent(buckets: BucketServer) -> dict[str, bytes]:
    """Return what was put for the service, by digest."""
    objects = buckets.objects.items()
    return {key.removeprefix(SENT): content for key, content in objects if key.startswith(SENT)}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")
async def test_no_byte_of_a_picture_passes_the_process_that_pays(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer
) -> None:
    provider = await service(tiny=False)
    buckets.tells_own = True
    night = batch(provider, stored(2, finish="exact", megapixels="0.25"), hand_over="bucket", concurrency=1)

    await night.run()

    assert counts(night) == {"done": 2}
    assert pictures(night) == ["r1.png", "r2.png"]
    assert (buckets.asked["get"], buckets.asked["put"], buckets.asked["signed"]) == (6, 4, 4)
    # The emulator, which fetches what is signed, is in this process too.
    assert {kind for kind, times in buckets.own.items() if times} == {"list", "signed"}
    for prediction in provider.predictions():
        for name in ("image", "mask"):
            assert str(prediction.input[name]).startswith(f"{buckets.address}/{SENT}")


async def test_what_is_put_is_what_would_be_uploaded_under_its_own_digest(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, desk: Desk
) -> None:
    desk.picture("large.png", size=(2000, 1500))
    rows = stored(1)
    for name in ("image", "mask"):
        content = (desk.folder / f"{name}s/large.png").read_bytes()
        rows[0][name] = buckets.put(f"{name}s/large.png", content)

    await batch(await service(), rows, hand_over="bucket").run()

    assert len(sent(buckets)) == 2
    for digest, content in sent(buckets).items():
        assert sha256(content).hexdigest() == digest
        with Image.open(io.BytesIO(content)) as image:
            assert max(image.size) < 2000
            assert buckets.mimes[SENT + digest] == Image.MIME[image.format or ""]


@pytest.mark.parametrize(
    ("cells", "head", "objects"),
    [
        ({"mask": "masks/a.png"}, None, 2),
        ({"mask": "box:16,12,20,20"}, None, 2),
        ({"mask": "box:16,12,20,20"}, {"send": "original"}, 2),
        ({}, {"send": "original"}, 2),
        ({"image": "images/a.png"}, None, 0),
    ],
    ids=["a local mask", "a drawn mask", "drawn, original", "original", "a local picture"],
)
async def test_every_row_whose_picture_is_an_object_is_handed_over_by_its_bucket(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    cells: dict[str, str],
    head: dict[str, str] | None,
    objects: int,
) -> None:
    night = batch(await service(), stored(1, **cells), head=head, hand_over="bucket")

    assert (await night.run()).exit_code == 0
    assert len(sent(buckets)) == objects


async def test_pictures_are_uploaded_unless_it_is_said(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer
) -> None:
    await batch(await service(), stored(1)).run()

    assert buckets.asked["put"] == 0


async def test_no_manifest_has_its_pictures_put_anywhere(batch: Open, stored: Store) -> None:
    with pytest.raises(UsageError, match="hand_over cannot be set in a manifest"):
        await batch(FAR, stored(1), head={"hand_over": "bucket"}).run()


async def test_a_rehearsal_uploads_to_the_emulator(batch: Open, stored: Store, buckets: BucketServer) -> None:
    night = batch(None, stored(1), local=True, hand_over="bucket")

    assert (await night.run()).exit_code == 0
    assert buckets.asked["put"] == 0


@pytest.mark.parametrize("keyed", [True, False], ids=["idempotent", "plain"])
async def test_no_signature_is_in_any_file_or_message_whatever_the_service_says(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, ears: Ears, keyed: bool
) -> None:
    provider = await service(tiny=False)
    buckets.fail = lambda kind, place: Failure(403, "AccessDenied") if kind == "signed" else None
    provider.faults.add(Fault("create", "reset_after", times=1))
    night = batch(provider, stored(2, megapixels="0.25"), hand_over="bucket", attempts=1, idempotent=keyed)

    summary = await night.run(watch=ears)

    written = b"".join(path.read_bytes() for path in night.folder.rglob("*") if path.is_file())
    told = " ".join([*ears.texts, str(summary), *map(str, night.results())])
    assert counts(night) == {"failed": 2}
    assert "failed to download" in told
    for secret in (KEY, SECRET, "X-Amz"):
        assert secret.encode() not in written
        assert secret not in told
    assert b"sent/" in written


ECHOES: dict[str, Callable[[str], dict[str, Any]]] = {
    "output": lambda image: {"output": [image]},
    "signed again": lambda image: {"output": [image.replace("X-Amz-Date=", "X-Amz-Date=1")]},
    "relative": lambda image: {"output": [image.removeprefix("http://").partition("/")[2]]},
    "in words": lambda image: {"output": f"made of {image}"},
    "marked up": lambda image: {"output": f"![made]({image})"},
    "in JSON": lambda image: {"output": json.dumps({"images": [{"url": image}]})},
    "by a proxy": lambda image: {"output": [f"https://proxy.test/?of={quote(image, safe='')}"]},
    "no address": lambda image: {"output": [f"ftp://{image}"]},
    "as data": lambda image: {"output": [f"data:text/plain,{quote(image, safe='')}"]},
    "failed": lambda image: {"status": "failed", "output": None, "error": f"cannot read {image}"},
    "filtered": lambda image: {"output": [], "logs": f"NSFW content in {image}"},
    "elsewhere": lambda image: {"urls": {"get": image}, "metrics": {"image": image}, "version": image},
}
"""What a service repeats the address of a picture in, by the prompt of its row."""
NOWHERE = {"relative", "by a proxy", "as data"}
"""Those that are no picture: they would be asked for until the hour is over."""


async def test_no_answer_gets_a_signature_written_down_or_told(
    service: Serve,
    batch: Open,
    stored: Store,
    gateway: Callable[..., Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
    ears: Ears,
) -> None:
    provider, met = await service(), set()
    signed: list[str] = []
    sign_read = RemoteStore.sign_read

    def sign(store: RemoteStore, address: str, *, seconds: float) -> str:
        signed.append(sign_read(store, address, seconds=seconds))
        return signed[-1]

    def told(made: dict[str, Any]) -> dict[str, Any]:
        given = made.get("input") or {}
        if made.get("status") != "succeeded" or (echo := ECHOES.get(given.get("prompt", ""))) is None:
            return made
        if given["prompt"] in met and given["prompt"] in NOWHERE:
            return made | {"output": None, "data_removed": True}
        met.add(given["prompt"])
        return made | echo(given["image"])

    def change(text: str) -> str:
        value = told(json.loads(text))
        value |= {"results": [*map(told, value["results"])]} if "results" in value else {}
        # As services escape that are written in Go.
        return json.dumps(value).replace("&", "\\u0026")

    monkeypatch.setattr(RemoteStore, "sign_read", sign)
    rows = stored(len(ECHOES))
    for row, prompt in zip(rows, ECHOES, strict=True):
        row["prompt"] = prompt
    night = batch(await gateway(provider, change), rows, hand_over="bucket", attempts=1)

    summary = await night.run(watch=ears)

    written = b"".join(path.read_bytes() for path in night.folder.rglob("*") if path.is_file())
    heard = " ".join([*ears.texts, str(summary), *map(str, night.results())])
    assert met == ECHOES.keys()
    secrets = {parse_qs(urlsplit(address).query)["X-Amz-Signature"][0] for address in signed}
    assert [one for one in {*secrets, KEY} if one.encode() in written or one in heard] == []


async def test_an_output_that_is_what_was_sent_is_fetched_after_a_death_too(
    service: Serve,
    batch: Open,
    stored: Store,
    gateway: Callable[..., Awaitable[str]],
    crash: Any,
    result: Callable[..., Result],
) -> None:
    provider = await service()

    def change(text: str) -> str:
        value = json.loads(text)
        return json.dumps(value | {"output": [value["input"]["image"]]}) if value.get("output") else text

    base, rows = await gateway(provider, change), stored(1)
    crash(OutputStore, "write_staged")
    with pytest.raises(BaseExceptionGroup):
        await batch(base, rows, hand_over="bucket").run()
    night = batch(base, rows, hand_over="bucket")

    assert (await night.run()).exit_code == 0
    assert (len(result(night).outputs), provider.billed) == (1, 1)
    assert b"X-Amz" not in (night.folder / "ledger.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("failure", "exit_code", "words"),
    [
        (Failure(403, "AccessDenied"), 3, "the credentials in the environment have no right to that"),
        (Failure(404, "NoSuchBucket"), 3, "there is no such bucket"),
        (Failure(404), 3, "there is no such place"),
    ],
    ids=str,
)
async def test_a_bucket_that_takes_nothing_ends_submitting_before_anything_is_paid_for(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    failure: Failure,
    exit_code: int,
    words: str,
) -> None:
    provider = await service()
    buckets.fail = lambda kind, place: failure if kind == "put" else None
    night = batch(provider, stored(2), hand_over="bucket")

    summary = await night.run()

    assert (summary.exit_code, provider.predictions()) == (exit_code, [])
    assert words in (summary.stopped_because or "")
    assert (summary.stopped_because or "").startswith("s3://photos/batchfill/sent/")


async def test_rows_wait_for_a_bucket_that_takes_nothing_for_a_while(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, result: Callable[..., Result]
) -> None:
    left = iter(range(9))
    buckets.fail = lambda kind, place: (
        Failure(503, "SlowDown") if kind == "put" and next(left, None) is not None else None
    )
    night = batch(await service(), stored(1), hand_over="bucket")

    await night.run()

    assert counts(night) == {"done": 1}
    assert result(night).attempts == 1


async def test_an_object_that_changes_while_the_batch_runs_is_not_handed_over(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, result: Callable[..., Result]
) -> None:
    provider = await service()
    night = batch(provider, stored(1), hand_over="bucket")

    def change(plan: object) -> bool:
        buckets.put("images/a.png", b"another")
        return True

    await night.run(confirm=change)

    assert "it changed while the batch ran, so run again to send it" in (result(night).error or "")
    assert (provider.predictions(), sent(buckets)) == ([], {})


async def test_a_storage_that_the_service_cannot_reach_is_told_before_a_picture_is_moved(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    signed = "http://storage.example.com/photos/batchfill/sent/any?X-Amz-Signature=5ecret"
    monkeypatch.setattr(RemoteStore, "sign_read", lambda *_, **__: signed)

    summary = await batch(provider, stored(1), hand_over="bucket").run()

    assert (summary.exit_code, provider.predictions(), buckets.asked["get"]) == (3, [], 0)
    assert summary.stopped_because == (
        "s3://photos/ cannot hand pictures over: its address is plain http: use https; use --hand-over upload"
    )


@pytest.mark.parametrize("taken", [True, False], ids=["the put was taken", "the put was not taken"])
async def test_a_worker_that_dies_in_the_middle_of_a_put_takes_no_row_along(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    result: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    taken: bool,
) -> None:
    asked: list[pool._Process] = []

    class Known(pool._Process):
        def ask(self, work: Any, task: Any) -> tuple[bool, Any]:
            asked.append(self)
            return super().ask(work, task)

    def kill(kind: str, place: str) -> Failure | None:
        if kind == "put" and len(asked) == 1:
            asked[0].kill()
            return None if taken else Failure(500)
        return None

    monkeypatch.setattr(pool, "_Process", Known)
    OfBuckets.end_idle()
    buckets.fail = kill
    provider = await service()
    night = batch(provider, stored(1), hand_over="bucket")

    await night.run()

    assert (counts(night), len(set(asked)), len(provider.predictions())) == ({"done": 1}, 2, 1)
    assert result(night).attempts == 1
    assert {sha256(content).hexdigest() for content in sent(buckets).values()} == sent(buckets).keys()


async def test_another_start_looks_a_create_with_signed_addresses_up_and_sends_it_not_again(
    service: Serve, batch: Open, stored: Store
) -> None:
    provider = await service(quirks=HONOURED, faults=Faults([NEVER_TAKEN]))
    rows = stored(1)
    await batch(provider, rows, hand_over="bucket", **SOON).run()

    night = batch(provider, rows, hand_over="bucket", idempotent=True, **SOON)
    await night.run()

    assert (counts(night), provider.creates_seen) == ({"in_doubt": 1}, 1)
