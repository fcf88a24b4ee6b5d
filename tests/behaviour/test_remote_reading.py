"""Files that only the bucket of --outputs has are reviewed, exported, finished and replaced as local ones."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from PIL import Image

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.errors import ExportStopped, NotExported, UsageError
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.session.reviewed.batch_review_source import BatchReviewSource
from batchfill.storage import placed_outputs
from batchfill.storage.object_copies import ObjectCopies
from tests.behaviour.test_remote_outputs import ROOT, here, is_there_alone, keys, known, put
from tests.support.batches import counts
from tests.support.buckets import Failure
from tests.support.timings import set_timings
from tests.unit.review.conftest import asking, served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.desk import Desk

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

SIZE, HOLE = (64, 48), (16, 12, 40, 30)


def exact(desk: Desk, count: int = 1, **cells: str) -> list[dict[str, str]]:
    """Return rows that ask for finished pictures."""
    return desk.exact_rows(count, SIZE, HOLE, megapixels="0.25", **cells)


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@contextmanager
def reviewed(night: Batch, folder: Path) -> Iterator[BatchReviewSource]:
    """Give what the review reads; its copies are in *folder*."""
    with open_reader(night.folder / LEDGER) as reader:
        yield BatchReviewSource(night.manifest, night.folder, reader, ObjectCopies(folder))


async def test_the_review_shows_and_sends_what_only_the_bucket_has(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, tmp_path: Path
) -> None:
    night = batch(await service(tiny=False), desk.rows(1), outputs=ROOT)
    await night.run()

    with reviewed(night, tmp_path / "copies") as source:
        (row,) = source.review_rows()
        key = row.outputs[0].sha256[:32]
        async with served(source) as address, asking() as visitor:
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
            async with visitor.get(address) as page:
                assert page.status == 200
            for place in (f"thumbs/{key}.webp", f"files/{key}"):
                async with visitor.get(f"{origin}/{place}") as answer:
                    content = await answer.read()
                    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")

    assert sha256(content).hexdigest() == row.outputs[0].sha256
    assert here(night) == {}


async def test_a_picture_that_was_exchanged_in_the_bucket_is_not_shown_as_the_one_that_was_made(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, tmp_path: Path
) -> None:
    night = batch(await service(), 1, outputs=ROOT)
    await night.run()
    (there,) = keys(buckets)
    buckets.objects[there] = (desk.folder / "images" / "a.png").read_bytes()

    with reviewed(night, tmp_path / "copies") as source:
        (row,) = source.review_rows()
        async with served(source) as address, asking() as visitor:
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
            await visitor.get(address)
            async with visitor.get(f"{origin}/files/{row.outputs[0].sha256[:32]}") as answer:
                assert (answer.status, await answer.text()) == (
                    404,
                    f"s3://{there} is not what was put there",
                )


async def test_a_report_has_the_pictures_that_only_the_bucket_has(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer
) -> None:
    night = batch(await service(tiny=False), desk.rows(2), outputs=ROOT)
    await night.run()

    page = await night.report()

    made = [digest[:32] for digest in put(buckets).values()]
    assert len(set(made)) == 2
    assert all((page.parent / kind / f"{key}.webp").is_file() for key in made for kind in ("thumbs", "views"))


@pytest.mark.parametrize("link", [False, True], ids=["copied", "where links were asked for"])
async def test_an_export_takes_pictures_from_the_bucket(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, tmp_path: Path, link: bool
) -> None:
    night = batch(await service(tiny=False), exact(desk, 2), outputs=ROOT)
    await night.run()

    exported = night.export(tmp_path / "away", link=link)
    again = night.export(tmp_path / "away")

    assert (exported.copied, exported.linked, again.there) == (2, 0, 2)
    assert {digest_of(path) for path in (tmp_path / "away").glob("*.png")} == {
        digest for file, digest in put(buckets).items() if "/raw/" not in file
    }
    assert is_there_alone(night, buckets)


async def test_an_export_tells_of_every_object_that_is_gone_or_another_before_it_copies_one(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, tmp_path: Path
) -> None:
    night = batch(await service(), 3, outputs=ROOT)
    await night.run()
    r1, r2, _ = keys(buckets)
    del buckets.objects[r1]
    buckets.objects[r2] = (desk.folder / "images" / "a.png").read_bytes()

    with pytest.raises(NotExported) as caught:
        night.export(tmp_path / "away")

    told = [line.partition(" is ")[2].partition(" ")[0] for line in caught.value.troubles]
    assert told == ["missing:", "changed"]
    assert not (tmp_path / "away").exists()


async def test_an_export_of_changed_pictures_takes_what_is_in_the_bucket_now(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, tmp_path: Path
) -> None:
    night = batch(await service(), 1, outputs=ROOT)
    await night.run()
    (there,) = keys(buckets)
    buckets.objects[there] = (desk.folder / "images" / "a.png").read_bytes()

    assert night.export(tmp_path / "away", changed=True).changed == 1
    (picture,) = (tmp_path / "away").glob("r1.*")
    with Image.open(picture) as image:
        assert image.size == (64, 48)


async def test_an_export_says_when_the_bucket_gives_nothing(
    service: Serve, batch: Open, buckets: BucketServer, tmp_path: Path
) -> None:
    night = batch(await service(), 1, outputs=ROOT)
    await night.run()

    buckets.fail = lambda kind, place: Failure(403, "AccessDenied") if kind == "head" else None
    with pytest.raises(UsageError, match="no right to that"):
        night.export(tmp_path / "away")
    buckets.fail = lambda kind, place: Failure(403, "AccessDenied") if kind == "get" else None
    with pytest.raises(ExportStopped, match=r"no right to that .*export again to go on"):
        night.export(tmp_path / "away")


@pytest.mark.parametrize("cells", [{"finish_format": "webp"}, {"mask_feather": "0"}], ids=str)
async def test_pictures_are_finished_again_of_what_the_bucket_keeps(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, cells: dict[str, str]
) -> None:
    provider = await service(tiny=False)
    night = batch(provider, exact(desk, 2, finish_format="png"), outputs=ROOT)
    await night.run()
    before = put(buckets)

    report = await batch(provider, exact(desk, 2, **({"finish_format": "png"} | cells))).finish()

    assert (report.finished, report.failed, len(provider.predictions())) == (2, 0, 2)
    assert put(buckets) != before
    assert len(put(buckets)) == len(before)
    assert is_there_alone(night, buckets)


async def test_a_row_whose_raw_output_is_only_in_the_bucket_is_finished_of_it(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed_outputs, "KEPT", 0)
    provider, rows = await service(tiny=False), exact(desk)
    night = batch(provider, rows, outputs=ROOT)
    original = desk.folder / "images" / "p.png"
    content = original.read_bytes()
    # What cannot be finished yet is kept raw, and the run ends.
    set_timings(monkeypatch, storage_retries=(0.01,), disk_patience=0.0)
    monkeypatch.setattr("batchfill.finishing.row_finisher.finish_row", _full)
    await night.run()
    monkeypatch.undo()
    assert (counts(night), here(night)) == ({"collecting": 1}, {})
    assert list(known(night)) == list(put(buckets))
    assert original.read_bytes() == content

    await night.run()

    assert (counts(night), len(provider.predictions())) == ({"done": 1}, 1)
    assert is_there_alone(night, buckets)


def _full(task: object) -> None:
    raise OSError("the disk is full")


async def test_what_is_made_again_takes_the_place_of_what_only_the_bucket_has(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer
) -> None:
    provider = await service(tiny=False)
    night = batch(provider, exact(desk, 2), outputs=ROOT)
    await night.run()
    before = put(buckets)
    id_ = next(result.prediction_id for result in night.results() if result.id == "r1")
    await night.decide([ReviewDecision(prediction_id=id_ or "", decision=Decision.REDO, seed=7, at=1.0)])

    summary = await batch(provider, retry="redo").run()

    assert (summary.exit_code, summary.submitted_now) == (0, 1)
    assert set(before.values()) < set(put(buckets).values())
    assert put(buckets)["outputs/r1.png"] != before["outputs/r1.png"]
    assert is_there_alone(night, buckets)
