"""A bucket that says that it took a picture has to show it, before the copy here goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.test_remote_outputs import ROOT, THERE, here, is_there_alone, made
from tests.support.batches import counts
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Keep = Callable[[dict[str, bytes], str], object]


def lose(objects: dict[str, bytes], place: str) -> None:
    del objects[place]


def cut(objects: dict[str, bytes], place: str) -> None:
    objects[place] = objects[place][:-1]


def keep_older(objects: dict[str, bytes], place: str) -> None:
    objects[place] = bytes(len(objects[place]))


@pytest.fixture(params=[lose, cut, keep_older], ids=lambda keep: keep.__name__)
def unsound(
    request: pytest.FixtureRequest, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> BucketServer:
    """A bucket that answers every put with 200, and has something else then."""
    set_timings(monkeypatch, storage_retries=(0.01,))
    keep: Keep = request.param

    def spoil(place: str) -> None:
        if place.startswith(f"{THERE}outputs/"):
            keep(buckets.objects, place)

    buckets.told = spoil
    return buckets


async def test_a_picture_stays_here_until_the_bucket_shows_what_was_put(
    service: Serve, batch: Open, unsound: BucketServer, ears: Ears
) -> None:
    provider = await service()
    night = batch(provider, 2, outputs=ROOT)

    first = await night.run(watch=ears)
    kept = here(night)
    unsound.told = lambda place: None
    again = await night.run()

    assert (first.exit_code, counts(night)) == (3, {"done": 2})
    assert kept == made(night)
    assert "2 files are not in s3://photos/night/ yet: the next run puts what is left" in ears.texts
    assert (again.exit_code, len(provider.predictions())) == (0, 2)
    assert is_there_alone(night, unsound)


async def test_what_a_run_that_died_left_here_stays_while_the_bucket_has_another_content(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    night = batch(await service(), 2, outputs=ROOT)
    await night.run()
    left = next(key for key in buckets.objects if "/r1." in key)
    (night.folder / left.removeprefix(THERE)).write_bytes(buckets.objects[left])
    buckets.objects[left] = bytes(len(buckets.objects[left]))

    await night.run()

    assert is_there_alone(night, buckets)
