"""Copies of files that a bucket has: brought where work needs them, and gone when others need the room."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.predictions import Output
from batchfill.errors import NoAnswer
from batchfill.storage.output_store import OutputStore
from batchfill.storage.placed_outputs import PlacedOutputs
from tests.support.buckets import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.buckets import BucketServer

ROOT = "s3://photos/night/"


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def output(file: str, content: bytes = b"whole") -> Output:
    return Output("p1", 1, "https://provider.test/1", file=file, sha256=digest(content))


@pytest.fixture
def store(tmp_path: Path) -> OutputStore:
    store = OutputStore(tmp_path / "night.batch")
    store.folder.mkdir()
    store.make_folders()
    return store


def here(store: OutputStore) -> list[str]:
    return sorted(path.name for path in (store.folder / "outputs").iterdir())


async def test_a_file_that_only_the_bucket_has_is_brought_to_its_place(
    store: OutputStore, buckets: BucketServer
) -> None:
    buckets.put("night/outputs/r1.png", b"whole")

    found = await PlacedOutputs(store, ROOT).find_placed(output("outputs/r1.png"))

    assert found is not None
    assert found.path == store.folder / "outputs/r1.png"
    assert found.path.read_bytes() == b"whole"
    assert list((store.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("moved", [False, True], ids=["waits", "gets its place meanwhile"])
async def test_a_file_that_waits_in_the_bucket_is_brought_to_its_place_here(
    store: OutputStore, buckets: BucketServer, moved: bool
) -> None:
    key = f"night/made/{digest(b'whole')}/p1-1.png"
    buckets.put(key, b"whole")

    def move(kind: str, place: str) -> None:
        if moved and kind == "list":
            buckets.objects["photos/night/outputs/r1.png"] = buckets.objects.pop(f"photos/{key}")

    buckets.fail = move

    found = await PlacedOutputs(store, ROOT).find_placed(output("outputs/r1.png"))

    assert found is not None
    assert (found.path, found.path.read_bytes()) == (store.folder / "outputs/r1.png", b"whole")
    assert list((store.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("there", [b"other", None], ids=["another", "nothing"])
async def test_what_is_not_there_as_it_was_put_is_not_found(
    store: OutputStore, buckets: BucketServer, there: bytes | None
) -> None:
    if there is not None:
        buckets.put("night/outputs/r1.png", there)

    assert await PlacedOutputs(store, ROOT).find_placed(output("outputs/r1.png")) is None
    assert here(store) == []
    assert list((store.folder / "tmp").iterdir()) == []


async def test_the_users_own_work_in_a_files_place_is_neither_taken_for_it_nor_replaced(
    store: OutputStore, buckets: BucketServer
) -> None:
    buckets.put("night/outputs/r1.png", b"whole")
    (store.folder / "outputs/r1.png").write_bytes(b"my work")
    placed = PlacedOutputs(store, ROOT, kept=0)

    assert await placed.find_placed(output("outputs/r1.png")) is None
    await placed.note_copy("outputs/r1.png", digest(b"whole"), 5)

    assert (store.folder / "outputs/r1.png").read_bytes() == b"my work"


async def test_without_a_bucket_nothing_is_asked(store: OutputStore, buckets: BucketServer) -> None:
    placed = PlacedOutputs(store, None)

    assert await placed.find_placed(output("outputs/r1.png")) is None
    assert await placed.find_planned(replace(output("outputs/r1.png"), planned="outputs/r1.png")) is None
    assert buckets.asked == {}


async def test_the_oldest_copies_go_first_and_those_in_use_stay(
    store: OutputStore, buckets: BucketServer
) -> None:
    placed = PlacedOutputs(store, ROOT, kept=10)
    for name in ("a", "b", "c", "d"):
        buckets.put(f"night/outputs/{name}.png", b"whole")

    async with placed.using([output("outputs/a.png")]):
        await placed.bring_here([output(f"outputs/{name}.png") for name in ("a", "b", "c")])
        assert here(store) == ["a.png", "c.png"]
        placed.keep_none()
        await placed.remove_beyond()
        assert here(store) == ["a.png"]
    await placed.bring_here([output("outputs/d.png")])

    assert here(store) == []


async def test_a_new_file_in_a_copys_place_stays(store: OutputStore, buckets: BucketServer) -> None:
    buckets.put("night/outputs/r1.png", b"whole")
    placed = PlacedOutputs(store, ROOT)
    await placed.bring_here([output("outputs/r1.png")])
    (store.folder / "outputs/r1.png").write_bytes(b"a new picture, not put yet")

    await placed.remove_copies()

    assert here(store) == ["r1.png"]


@pytest.mark.parametrize("failure", [Failure(403, "AccessDenied"), Failure(503, "SlowDown")], ids=str)
async def test_a_bucket_that_does_not_tell_of_a_planned_file_is_asked_again(
    store: OutputStore, buckets: BucketServer, failure: Failure
) -> None:
    buckets.fail = lambda kind, place: failure
    planned = replace(output(""), file=None, planned="outputs/r1.png")

    with pytest.raises(NoAnswer):
        await PlacedOutputs(store, ROOT).find_planned(planned)
