"""Rows whose pictures are in buckets, from `check` to the files that are made of them."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageChops, ImageOps

from batchfill.emulator.faults.rules import Fault
from batchfill.errors import BadPicture, ManifestError, UsageError
from batchfill.images.codec.thumbnail import THUMB
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.review.thumbnails import Thumbnails, originals_of
from batchfill.session.reviewed.batch_review_source import BatchReviewSource
from batchfill.storage import disk
from batchfill.storage.object_copies import OBJECTS, ObjectCopies
from batchfill.storage.output_store import TMP
from batchfill.workers.pool import Threads
from tests.support.batches import counts, pictures
from tests.support.buckets import KEY, SECRET, Failure, environment_for, without_credentials
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.batches import Plans
    from tests.support.buckets import BucketServer
    from tests.support.desk import Desk
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Store = Callable[..., list[dict[str, str]]]

NOWHERE = "https://provider.test/v1"


@pytest.fixture
def stored(desk: Desk, buckets: BucketServer) -> Store:
    """Put the picture and the mask of rows into the bucket; return the rows with their addresses there."""

    def store(count: int, **cells: str) -> list[dict[str, str]]:
        rows = desk.rows(count, **cells)
        for row in rows:
            content = (desk.folder / row["image"]).read_bytes()
            row["image"] = buckets.put(f"images/{row['id']}.png", content)
            row["mask"] = buckets.put("masks/all.png", (desk.folder / "masks/a.png").read_bytes())
        return rows

    return store


def picture(shade: int = 30, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return another picture than those of the desk."""
    target = io.BytesIO()
    Image.new("RGB", size, (shade, shade, 200)).save(target, "PNG")
    return target.getvalue()


def reads(buckets: BucketServer, fail: Callable[[str], Failure | None]) -> None:
    """Have reads of objects fail, and listings not."""
    buckets.fail = lambda kind, place: fail(place) if kind == "get" else None


# A run


async def test_rows_in_a_bucket_are_finished_exactly_and_each_object_is_read_once(
    service: Serve, batch: Open, desk: Desk, stored: Store, buckets: BucketServer
) -> None:
    night = batch(await service(tiny=False), stored(3, finish="exact", mask_feather="0", megapixels="0.25"))

    await night.run()

    assert pictures(night) == ["r1.png", "r2.png", "r3.png"]
    original = Image.open(desk.folder / "images/a.png").convert("RGB")
    finished = Image.open(night.folder / "outputs/r1.png").convert("RGB")
    kept = ImageOps.invert(Image.open(desk.folder / "masks/a.png")).convert("RGB")
    changed = ImageChops.difference(original, finished)
    assert changed.getbbox() is not None
    assert ImageChops.multiply(changed, kept).getbbox() is None
    assert buckets.asked == {"list": 2, "get": 4}
    assert not (night.folder / "tmp/objects").exists()


@pytest.mark.parametrize(
    "cells", [{"mask": "box:16,12,20,20"}, {"mask": "masks/a.png"}, {"send": "original"}, {}], ids=str
)
async def test_objects_stand_next_to_local_files_and_drawn_masks(
    service: Serve, batch: Open, stored: Store, cells: dict[str, str]
) -> None:
    head = {"send": cells.pop("send")} if "send" in cells else None
    night = batch(await service(), [row | cells for row in stored(1)], head=head)

    assert (await night.run()).exit_code == 0


async def test_a_second_run_submits_nothing_and_lists_each_prefix_once(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer
) -> None:
    provider = await service()
    rows = stored(3)
    await batch(provider, rows).run()
    buckets.listed.clear()

    again = await batch(provider, rows).run()
    read = await batch(provider, [*rows, {**rows[0], "id": "r4", "prompt": "one more"}]).run()

    assert (again.submitted_now, read.submitted_now) == (0, 1)
    assert sorted(buckets.listed) == 2 * ["photos/images/"] + 2 * ["photos/masks/"]


async def test_an_object_that_was_replaced_between_runs_makes_its_row_another(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, plans: Plans
) -> None:
    provider = await service()
    night = batch(provider, stored(3))
    await night.run()
    buckets.put("images/r2.png", picture())

    summary = await night.run(confirm=plans.accept)

    assert (plans[0].changed, summary.submitted_now) == (1, 1)


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys conditions", "ignores conditions"])
@pytest.mark.parametrize("replaced", [picture(), None], ids=["replaced", "removed"])
async def test_an_object_that_changes_while_the_batch_runs_is_not_sent(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    result: Callable[..., Result],
    obeys: bool,
    replaced: bytes | None,
) -> None:
    provider = await service()
    night = batch(provider, stored(2))
    buckets.obeys_conditions = obeys

    def change(plan: object) -> bool:
        del buckets.objects["photos/images/r1.png"]
        if replaced is not None:
            buckets.put("images/r1.png", replaced)
        return True

    await night.run(confirm=change)

    assert counts(night) == {"done": 1, "failed": 1}
    assert "it changed while the batch ran, so run again to send it" in (result(night).error or "")
    assert len(provider.predictions()) == 1


async def test_copies_of_objects_take_no_room_from_what_is_fetched(
    service: Serve, batch: Open, stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = batch(await service(), stored(6), concurrency=2, head={"finish": "raw"})

    def free(folder: Path) -> int:
        kept = (folder / TMP / OBJECTS).rglob("*.png")
        return 10**12 if sum(1 for _ in kept) < 3 else 1000

    monkeypatch.setattr(disk, "free_bytes", free)
    set_timings(monkeypatch, disk_look=0.02, disk_patience=20.0)

    assert (await night.run()).exit_code == 0


async def test_rows_wait_while_the_storage_answers_5xx_and_cost_no_attempt(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    ears: Ears,
    result: Callable[..., Result],
) -> None:
    left = iter(range(30))
    reads(buckets, lambda place: Failure(503, "SlowDown") if next(left, None) is not None else None)
    night = batch(await service(), stored(2))

    await night.run(watch=ears)

    assert counts(night) == {"done": 2}
    assert result(night).attempts == 1
    assert sum(text.endswith("the storage answers 503 SlowDown: rows wait") for text in ears.texts) == 1


async def test_lost_rights_end_submitting_and_what_is_paid_for_is_fetched(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer
) -> None:
    provider = await service()
    night = batch(provider, stored(3))

    def fail(place: str) -> Failure | None:
        lost = Failure(403, "ExpiredToken") if len(provider.predictions()) == 2 else Failure(503)
        return lost if "r3" in place else None

    reads(buckets, fail)

    summary = await night.run()

    assert (summary.exit_code, counts(night)) == (3, {"done": 2, "pending": 1})
    assert summary.stopped_because == (
        "s3://photos/images/r3.png cannot be read: the credentials in the environment have expired "
        "(403 ExpiredToken)"
    )
    buckets.fail = lambda kind, place: None
    assert (await night.run()).exit_code == 0


@pytest.mark.parametrize(
    "fails", [Failure(503), Failure(403, "AccessDenied"), Failure(404, "NoSuchBucket")], ids=str
)
async def test_a_bucket_that_is_gone_keeps_no_run_from_fetching_what_was_made(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
    fails: Failure,
) -> None:
    # Pictures are judged next to their originals, which is given up.
    set_timings(monkeypatch, storage_retries=(0.01,))
    provider = await service()
    provider.faults.add(Fault("get", "status", options={"status": 401}))
    # One row: a second one might not be submitted before the first refusal.
    night = batch(provider, stored(1))
    await night.run()
    provider.faults.clear()
    buckets.fail = lambda kind, place: fails

    assert (await night.run()).exit_code == 0
    assert len(provider.predictions()) == 1


@pytest.mark.parametrize("fails", [Failure(503), Failure(403, "AccessDenied")], ids=str)
async def test_a_row_is_finished_by_the_next_run_where_its_original_cannot_be_read_now(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
    ears: Ears,
    fails: Failure,
) -> None:
    set_timings(monkeypatch, storage_retries=(0.01,))
    monkeypatch.setattr("batchfill.storage.object_copies.KEPT", 0)
    night = batch(await service(tiny=False), stored(2, finish="exact", megapixels="0.25"))
    seen: list[str] = []

    def fail(place: str) -> Failure | None:
        seen.append(place)
        return fails if "r1" in place and seen.count(place) > 1 else None

    reads(buckets, fail)
    first = await night.run(watch=ears)
    waiting = counts(night)
    buckets.fail = lambda kind, place: None

    assert (first.exit_code, waiting) == (3, {"collecting": 1, "done": 1})
    assert "r1: left for the next run" in ears.texts
    assert (await night.run()).exit_code == 0
    assert pictures(night) == ["r1.png", "r2.png"]


async def test_a_row_whose_original_is_gone_is_delivered_as_the_service_sent_it(
    service: Serve,
    batch: Open,
    stored: Store,
    buckets: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
    result: Callable[..., Result],
) -> None:
    monkeypatch.setattr("batchfill.storage.object_copies.KEPT", 0)
    night = batch(await service(tiny=False), stored(1, finish="exact", megapixels="0.25"))
    seen: list[str] = []

    def fail(place: str) -> Failure | None:
        seen.append(place)
        return Failure(404, "NoSuchKey") if len(seen) > 2 else None

    reads(buckets, fail)
    summary = await night.run()

    assert summary.exit_code == 0
    assert "not finished: s3://photos/images/r1.png cannot be read" in (result(night).error or "")
    assert pictures(night) == ["r1.webp"]


async def test_a_picture_is_finished_again_from_its_original_in_the_bucket(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer
) -> None:
    provider = await service(tiny=False)
    rows = stored(1, finish="exact", megapixels="0.25")
    await batch(provider, rows).run()
    again = batch(provider, [row | {"finish_format": "webp"} for row in rows])
    reads(buckets, lambda place: Failure(403, "AccessDenied"))

    with pytest.raises(UsageError, match=r"s3://photos/images/r1\.png cannot be read"):
        await again.finish()
    buckets.fail = lambda kind, place: None

    assert (await again.finish()).finished == 1
    assert pictures(again) == ["r1.webp"]


async def test_no_secret_of_the_storage_is_in_any_file_or_message(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, ears: Ears
) -> None:
    reads(buckets, lambda place: Failure(403, "AccessDenied") if "r2" in place else None)
    night = batch(await service(), stored(2), concurrency=1)

    summary = await night.run(watch=ears)

    written = b"".join(path.read_bytes() for path in night.folder.rglob("*") if path.is_file())
    told = " ".join([*ears.texts, str(summary)])
    for secret in (KEY, SECRET, "X-Amz"):
        assert secret.encode() not in written
        assert secret not in told


# A check


async def test_a_check_without_fetch_lists_and_reads_nothing(
    batch: Open, stored: Store, buckets: BucketServer
) -> None:
    report = await batch(NOWHERE, stored(3)).check()

    assert (report.rows, report.mistakes, report.pictures.remote) == (3, (), 6)
    assert buckets.asked == {"list": 2}


async def test_a_check_with_fetch_looks_at_objects_as_at_local_files(
    batch: Open, stored: Store, buckets: BucketServer
) -> None:
    rows = stored(3)
    buckets.put("images/r2.png", b"no picture")
    buckets.put("images/r3.png", picture(size=(640, 48)))

    report = await batch(NOWHERE, rows).check(fetch=True)

    assert sorted((mistake.line, mistake.kind) for mistake in report.mistakes) == [
        (3, "unreadable"),
        (4, "shape"),
    ]
    assert "r2.png" in str(report.mistakes)
    assert report.pictures.remote == 0


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(403, "AccessDenied"), "the credentials in the environment have no right to that"),
        (Failure(403, "InvalidAccessKeyId"), "the credentials in the environment are not taken"),
        (Failure(301, "PermanentRedirect"), "the bucket is in another region: set AWS_REGION to its own"),
        (Failure(404, "NoSuchBucket"), "there is no such bucket: check its name, and the account"),
        (Failure(500, "InternalError"), "the storage answers 500 InternalError"),
    ],
    ids=str,
)
async def test_a_check_says_once_why_a_bucket_cannot_be_listed(
    batch: Open, stored: Store, buckets: BucketServer, failure: Failure, words: str
) -> None:
    buckets.fail = lambda kind, place: failure

    report = await batch(NOWHERE, stored(3)).check()

    assert [(mistake.line, mistake.rows) for mistake in report.mistakes] == [(2, 3), (2, 3)]
    assert f"image: s3://photos/images/ cannot be listed: {words}" in str(report.mistakes[0])


async def test_missing_objects_are_told_as_missing_files_are(
    batch: Open, stored: Store, buckets: BucketServer
) -> None:
    rows = stored(5)
    for n in (1, 2, 3, 4):
        del buckets.objects[f"photos/images/r{n}.png"]

    with pytest.raises(ManifestError) as caught:
        await batch(NOWHERE, rows).run()

    assert str(caught.value) == (
        "night.csv:2: 4 rows: image: no such objects in s3://photos/images/: r1.png, r2.png …"
    )


async def test_a_check_says_that_there_are_no_credentials(
    batch: Open, stored: Store, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = stored(1)
    without_credentials(monkeypatch, buckets)

    report = await batch(NOWHERE, rows).check()

    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(report.mistakes[0])


async def test_a_check_says_which_package_is_missing(
    batch: Open, stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("obstore.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)

    report = await batch(NOWHERE, stored(1)).check()

    assert "pip install 'batchfill[remote]'" in str(report.mistakes[0])


# A review


async def test_the_review_shows_originals_that_are_in_a_bucket(
    service: Serve, batch: Open, stored: Store, buckets: BucketServer, tmp_path: Any
) -> None:
    night = batch(await service(), stored(1))
    await night.run()
    with open_reader(night.folder / LEDGER) as reader:
        source = BatchReviewSource(night.manifest, night.folder, reader, ObjectCopies(tmp_path / "copies"))
        thumbnails = Thumbnails(source, Threads())
        (row,) = source.review_rows()
        image, mask, _ = originals_of(row)

        with Image.open(await thumbnails.small_copy(image, THUMB)) as small:
            assert small.size == (64, 48)
        buckets.put("masks/all.png", picture())
        with pytest.raises(BadPicture, match=r"s3://photos/masks/all\.png cannot be read"):
            await thumbnails.small_copy(mask, THUMB)


@pytest.mark.parametrize("place", ["variable", "file"])
async def test_the_server_of_buckets_is_a_setting_that_goes_before_the_usual_variables(
    service: Serve, batchfill: Any, desk: Desk, stored: Store, buckets: BucketServer, place: str
) -> None:
    provider = await service()
    desk.write(stored(1), "night.csv")
    batchfill.environ |= {**environment_for("http://127.0.0.1:9", KEY, SECRET), "HOME": str(desk.folder)}
    if place == "variable":
        batchfill.environ["BATCHFILL_S3_ENDPOINT"] = buckets.address
    else:
        config = desk.folder / ".config" / "batchfill" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[default]\ns3_endpoint = "{buckets.address}"\n', "utf-8")
    ran = await batchfill("run", "night.csv", "--base-url", provider.base)
    assert ran.code == 0, ran.err
    assert buckets.asked["get"] == 2


async def test_a_server_of_buckets_that_is_no_address_is_told_by_its_place(
    batchfill: Any, desk: Desk
) -> None:
    desk.write(desk.rows(1), "night.csv")
    batchfill.environ["BATCHFILL_S3_ENDPOINT"] = "storage:9000"
    ran = await batchfill("check", "night.csv")
    assert (ran.code, ran.err) == (
        2,
        "batchfill: BATCHFILL_S3_ENDPOINT must be an address such as https://storage.example.com:9000, "
        "not 'storage:9000'\n",
    )
