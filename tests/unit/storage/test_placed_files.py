"""What became of files is found out in the batch folder, else in the bucket, with as few requests as do."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from batchfill.domain.objects import RemoteCopy
from batchfill.domain.rows import StoredFile
from batchfill.errors import UsageError
from batchfill.storage import placed_files
from batchfill.storage.missing import FileState
from batchfill.storage.placed_files import PlacedFiles, open_files
from tests.support.buckets import Failure, etag_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.buckets import BucketServer

ROOT = "s3://photos/night/"


def picture(shade: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(made, "PNG")
    return made.getvalue()


MADE, OTHER = picture(9), picture(200)


def placed(file: str = "outputs/r1.png", content: bytes = MADE) -> StoredFile:
    return StoredFile("r1", 2, 1, None, file, len(content), sha256(content).hexdigest(), 1)


def as_put(content: bytes = MADE) -> RemoteCopy:
    return RemoteCopy(sha256(content).hexdigest(), etag_of(content))


@pytest.mark.parametrize(
    ("here", "there", "state"),
    [
        (None, MADE, FileState.IN_PLACE),
        (None, OTHER, FileState.CHANGED),
        (None, b"half", FileState.DAMAGED),
        (None, None, FileState.MISSING),
        (MADE, None, FileState.IN_PLACE),
        (OTHER, MADE, FileState.CHANGED),
        (b"half", MADE, FileState.DAMAGED),
    ],
    ids=["as put", "exchanged", "cut", "gone", "here alone", "changed here", "cut here"],
)
@pytest.mark.parametrize(
    "put", [as_put(), None, RemoteCopy("0" * 64, None)], ids=["put", "unknown", "another"]
)
def test_what_is_here_counts_and_else_what_is_there(
    tmp_path: Path,
    buckets: BucketServer,
    here: bytes | None,
    there: bytes | None,
    state: FileState,
    put: RemoteCopy | None,
) -> None:
    (tmp_path / "outputs").mkdir()
    if here is not None:
        (tmp_path / "outputs/r1.png").write_bytes(here)
    if there is not None:
        buckets.put("night/outputs/r1.png", there)

    assert PlacedFiles(tmp_path, ROOT, lambda file: put).state(placed()) is state


def test_a_file_that_was_put_and_is_listed_so_is_not_read(tmp_path: Path, buckets: BucketServer) -> None:
    buckets.put("night/outputs/r1.png", MADE)

    assert PlacedFiles(tmp_path, ROOT, lambda file: as_put()).state(placed()) is FileState.IN_PLACE
    assert buckets.asked == {"head": 1}


def test_many_files_are_found_by_one_listing(
    tmp_path: Path, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed_files, "ASKED", 3)
    for n in range(1500):
        buckets.put(f"night/outputs/r{n}.png", MADE)

    with open_files(tmp_path, ROOT, lambda file: as_put()) as files:
        states = {files.state(placed(f"outputs/r{n}.png")) for n in range(1500)}

    assert states == {FileState.IN_PLACE}
    assert buckets.asked == {"head": 3, "list": 2}


def test_the_names_are_those_of_both_places_without_what_is_kept_apart(
    tmp_path: Path, buckets: BucketServer
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/here.png").write_bytes(MADE)
    for name in (
        "outputs/a.png",
        "outputs/7f/b.png",
        "outputs/raw/p-1.png",
        "outputs/earlier/p-1.png",
        "sent/x",
    ):
        buckets.put(f"night/{name}", MADE)

    with open_files(tmp_path, ROOT) as files:
        assert files.names() == {"outputs/here.png", "outputs/a.png", "outputs/7f/b.png"}


def test_a_file_is_held_as_it_is_now_and_its_copy_goes(tmp_path: Path, buckets: BucketServer) -> None:
    buckets.put("night/outputs/r1.png", OTHER)

    with open_files(tmp_path, ROOT) as files, files.hold(placed()) as path:
        assert path.read_bytes() == OTHER
    assert not path.exists()
    with (
        open_files(tmp_path, ROOT) as files,
        pytest.raises(FileNotFoundError),
        files.hold(placed("outputs/r2.png")),
    ):
        pass


def waits() -> str:
    """Return the key of the file while it waits for its place."""
    return f"night/made/{sha256(MADE).hexdigest()}/p1-1.png"


def test_a_file_that_waits_for_its_place_is_where_it_belongs(tmp_path: Path, buckets: BucketServer) -> None:
    buckets.put(waits(), MADE)

    with open_files(tmp_path, ROOT) as files:
        assert files.state(placed()) is FileState.IN_PLACE
        with files.hold(placed()) as path:
            assert path.read_bytes() == MADE
    buckets.put(waits(), b"half")
    assert PlacedFiles(tmp_path, ROOT).state(placed()) is FileState.MISSING


@pytest.mark.parametrize("at", ["list", "get"])
def test_a_file_that_gets_its_place_meanwhile_is_found(
    tmp_path: Path, buckets: BucketServer, at: str
) -> None:
    buckets.put(waits(), MADE)

    def move(kind: str, place: str) -> None:
        if kind == at and f"photos/{waits()}" in buckets.objects:
            buckets.objects["photos/night/outputs/r1.png"] = buckets.objects.pop(f"photos/{waits()}")

    buckets.fail = move

    assert PlacedFiles(tmp_path, ROOT).state(placed()) is FileState.IN_PLACE


@pytest.mark.parametrize("failure", [Failure(403, "AccessDenied"), Failure(503, "SlowDown")], ids=str)
def test_a_bucket_that_does_not_tell_is_told_in_words(
    tmp_path: Path, buckets: BucketServer, failure: Failure
) -> None:
    buckets.fail = lambda kind, place: failure

    with pytest.raises(UsageError, match="s3://photos/night/"), open_files(tmp_path, ROOT) as files:
        files.names()


@pytest.mark.parametrize(
    "put", [as_put(OTHER), RemoteCopy("", None), None], ids=["before", "begun", "unknown"]
)
def test_what_waits_counts_before_what_it_is_to_replace(
    tmp_path: Path, buckets: BucketServer, put: RemoteCopy | None
) -> None:
    buckets.put("night/outputs/r1.png", OTHER)
    buckets.put(waits(), MADE)
    files = PlacedFiles(tmp_path, ROOT, lambda file: put)

    assert files.state(placed()) is FileState.IN_PLACE
    with files.hold(placed()) as path:
        assert path.read_bytes() == MADE
