from __future__ import annotations

import errno
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from batchfill.domain.predictions import Output
from batchfill.errors import StorageError, TransientError
from batchfill.storage import output_store as module
from batchfill.storage.output_store import OutputStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from batchfill.storage.staged_file import StagedFile

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no folders to flush")


@pytest.fixture
def shelf(tmp_path: Path) -> OutputStore:
    shelf = OutputStore(tmp_path / "night.batch")
    shelf.make_folders()
    return shelf


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def files(shelf: OutputStore) -> dict[str, bytes]:
    """Every file of the batch folder, with its content."""
    found = (path for path in shelf.folder.rglob("*") if path.is_file())
    return {path.relative_to(shelf.folder).as_posix(): path.read_bytes() for path in found}


async def written(shelf: OutputStore, content: bytes = b"picture", prediction_id: str = "p1") -> StagedFile:
    found, _ = await shelf.write_staged(prediction_id, 1, chunks(content), Path.stat)
    return found


async def test_a_written_file_is_known_by_size_and_digest(shelf: OutputStore) -> None:
    found, seen = await shelf.write_staged("p1", 2, chunks(b"pic", b"", b"ture"), Path.read_bytes)
    assert (found.size, found.sha256, seen) == (7, sha256(b"picture").hexdigest(), b"picture")
    assert files(shelf) == {"tmp/p1-2": b"picture"}


async def test_a_download_that_breaks_off_leaves_nothing(shelf: OutputStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"pic"
        raise TransientError("cut off")

    with pytest.raises(TransientError):
        await shelf.write_staged("p1", 1, broken(), Path.stat)
    assert files(shelf) == {}


async def test_a_download_that_is_cancelled_leaves_nothing(shelf: OutputStore) -> None:
    begun = anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"pic"
        begun.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shelf.write_staged, "p1", 1, endless(), Path.stat)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert files(shelf) == {}


class Disk:
    """Notes what is asked of the disk, by inode: a file keeps its own when it is renamed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, Any]] = []
        fsync, replace, mkdir = os.fsync, os.replace, os.mkdir

        def noting_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self.calls.append(("flush", os.fstat(descriptor).st_ino))

        def noting_replace(source: Any, target: Any) -> None:
            self.calls.append(("rename", Path(source).stat().st_ino))
            replace(source, target)

        def noting_mkdir(path: Any, *mode: int) -> None:
            mkdir(path, *mode)
            self.calls.append(("make", Path(path).stat().st_ino))

        monkeypatch.setattr(os, "fsync", noting_fsync)
        monkeypatch.setattr(os, "replace", noting_replace)
        monkeypatch.setattr(os, "mkdir", noting_mkdir)


def inode(path: Path) -> int:
    return path.stat().st_ino


@posix
async def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_afterwards(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    file, folder = inode(shelf.folder / "outputs/hero.webp"), inode(shelf.folder / "outputs")
    assert disk.calls == [("flush", file), ("rename", file), ("flush", folder)]


@posix
async def test_a_new_folder_is_flushed_into_the_one_around_it(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    await shelf.commit(await written(shelf), "outputs/a7/hero.webp")
    outer, inner = inode(shelf.folder / "outputs"), inode(shelf.folder / "outputs/a7")
    file = inode(shelf.folder / "outputs/a7/hero.webp")
    assert disk.calls == [
        ("flush", file),
        ("make", inner),
        ("flush", outer),
        ("rename", file),
        ("flush", inner),
    ]
    await shelf.commit(await written(shelf, b"another"), "outputs/a7/cat.webp")
    assert [call for call in disk.calls if call[0] == "make"] == [("make", inner)]


@posix
async def test_a_folder_that_a_killed_run_made_is_flushed_before_it_is_used(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf.folder / "outputs/a7").mkdir()
    disk = Disk(monkeypatch)
    await shelf.commit(await written(shelf), "outputs/a7/hero.webp")
    file, nth = inode(shelf.folder / "outputs/a7/hero.webp"), disk.calls.index
    assert nth(("flush", inode(shelf.folder / "outputs"))) < nth(("rename", file))


@posix
async def test_a_file_that_is_moved_is_flushed_into_its_new_folder(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    disk = Disk(monkeypatch)
    await shelf.move_file("outputs/hero.webp", "outputs/cat.webp")
    file, folder = inode(shelf.folder / "outputs/cat.webp"), inode(shelf.folder / "outputs")
    assert disk.calls == [("rename", file), ("flush", folder)]


async def test_outputs_never_hold_anything_but_whole_files(shelf: OutputStore) -> None:
    """While a file is written there is nothing at its place, then all of it."""
    seen = []

    async def looking() -> AsyncIterator[bytes]:
        for part in (b"pic", b"ture"):
            yield part
            seen.append(sorted(path.name for path in (shelf.folder / "outputs").rglob("*")))

    found, _ = await shelf.write_staged("p1", 1, looking(), Path.stat)
    await shelf.commit(found, "outputs/hero.webp")
    assert seen == [[], []]
    assert files(shelf) == {"outputs/hero.webp": b"picture"}


async def test_what_a_killed_run_left_half_written_is_cleared_away_in_the_end(shelf: OutputStore) -> None:
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    (shelf.folder / "tmp/p2-1").write_bytes(b"pic")
    shelf.sweep_temporary()
    assert files(shelf) == {"outputs/hero.webp": b"picture"}


async def test_a_file_of_somebody_else_at_the_place_is_kept_aside(shelf: OutputStore) -> None:
    own = b"the user's own"
    (shelf.folder / "outputs/hero.webp").write_bytes(own)
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    aside = f"outputs/earlier/hero-{sha256(own).hexdigest()[:12]}.webp"
    assert files(shelf) == {"outputs/hero.webp": b"picture", aside: own}


@pytest.mark.parametrize(
    ("there", "left", "aside"),
    [
        (None, [], []),
        (b"picture", [b"picture"], []),
        (b"before", [], []),
        (b"of the user", [], [b"of the user"]),
    ],
    ids=["nothing", "the same", "what is replaced", "another"],
)
async def test_a_place_is_cleared_for_a_file_that_is_elsewhere(
    shelf: OutputStore, there: bytes | None, left: list[bytes], aside: list[bytes]
) -> None:
    place = shelf.folder / "outputs" / "cat.png"
    if there is not None:
        place.write_bytes(there)
    digest, before = (sha256(content).hexdigest() for content in (b"picture", b"before"))

    await shelf.clear_place("outputs/cat.png", digest, over=before)

    assert [path.read_bytes() for path in (shelf.folder / "outputs").glob("*.png")] == left
    assert [path.read_bytes() for path in (shelf.folder / "outputs/earlier").glob("*.png")] == aside


async def test_the_same_file_placed_again_is_not_kept_twice(shelf: OutputStore) -> None:
    """A kill between rename and record leaves the file in place; the next run fetches it again."""
    for _ in range(2):
        await shelf.commit(await written(shelf), "outputs/hero.webp")
    assert files(shelf) == {"outputs/hero.webp": b"picture"}


async def test_a_file_moved_onto_another_keeps_both(shelf: OutputStore) -> None:
    await shelf.commit(await written(shelf, b"hero"), "outputs/hero.webp")
    await shelf.commit(await written(shelf, b"cat"), "outputs/cat.webp")
    await shelf.move_file("outputs/hero.webp", "outputs/cat.webp")
    assert sorted(files(shelf).values()) == [b"cat", b"hero"]
    assert files(shelf)["outputs/cat.webp"] == b"hero"


async def test_a_move_that_was_made_already_is_made_no_second_time(shelf: OutputStore) -> None:
    """A kill between rename and record: the ledger still names the old place."""
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    for _ in range(2):
        await shelf.move_file("outputs/hero.webp", "outputs/cat.webp")
    assert files(shelf) == {"outputs/cat.webp": b"picture"}


async def test_bytes_that_are_no_picture_are_kept_apart(shelf: OutputStore) -> None:
    assert shelf.keep_suspect(await written(shelf, b"<html>")) == "suspect/p1-1"
    assert files(shelf) == {"suspect/p1-1": b"<html>"}


async def test_what_is_discarded_is_gone_and_may_be_discarded_again(shelf: OutputStore) -> None:
    found = await written(shelf)
    shelf.discard_file(found)
    shelf.discard_file(found)
    assert files(shelf) == {}


@pytest.mark.skipif(os.name != "posix", reason="Windows says it in other words")
@pytest.mark.parametrize("step", ["prepare", "write", "place", "move"])
async def test_a_folder_that_takes_no_more_files_is_told_in_words(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    found = await written(shelf)
    await shelf.commit(await written(shelf, prediction_id="p2"), "outputs/cat.webp")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("fsync", "replace", "unlink"):
        monkeypatch.setattr(os, name, full)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "prepare": lambda: to_thread.run_sync(OutputStore(shelf.folder).make_folders),
        "write": lambda: shelf.write_staged("p3", 1, chunks(b"picture"), Path.stat),
        "place": lambda: shelf.commit(found, "outputs/hero.webp"),
        "move": lambda: shelf.move_file("outputs/cat.webp", "outputs/dog.webp"),
    }
    with pytest.raises(StorageError, match=r"cannot be written: No space left on device\. Make room"):
        await steps[step]()


async def test_a_file_in_the_place_of_a_folder_is_told_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_bytes(b"a file")
    with pytest.raises(StorageError, match=r"outputs.*\. Move away what is in the place of a folder"):
        OutputStore(tmp_path).make_folders()


async def test_a_file_is_known_for_ours_by_its_content(shelf: OutputStore) -> None:
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    digest = sha256(b"picture").hexdigest()
    ours = Output("p2", 1, "https://x/1", planned="outputs/hero.webp", sha256=digest)
    found = await shelf.find_staged(ours)
    assert found is not None
    assert (found.path, found.size) == (shelf.folder / "outputs/hero.webp", 7)
    assert await shelf.find_staged(replace(ours, sha256=sha256(b"other").hexdigest())) is None
    assert await shelf.find_staged(replace(ours, sha256=None)) is None
    assert await shelf.find_staged(replace(ours, planned="outputs/cat.webp")) is None


async def test_a_file_that_was_written_whole_is_found_before_it_has_its_place(shelf: OutputStore) -> None:
    here = await written(shelf, prediction_id="p1")
    planned = Output("p1", 1, "https://x/1", planned="outputs/hero.webp", sha256=here.sha256)
    assert await shelf.find_staged(planned) == here
    here.path.write_bytes(b"pic")
    assert await shelf.find_staged(planned) is None


def test_an_earlier_file_is_named_by_its_prediction(shelf: OutputStore) -> None:
    output = Output("tv3jnp73n1", 2, "https://x/2", file="outputs/a7/hero@2.webp")
    assert shelf.earlier_name(output) == "outputs/earlier/tv3jnp73n1-2.webp"


@pytest.mark.parametrize("prediction_id", ["..", "-rf", "a b", "CON:1", "x" * 200, "猫", "a\nb", ".hidden"])
async def test_whatever_a_service_calls_a_prediction_its_files_stay_in_the_folder(
    shelf: OutputStore, prediction_id: str
) -> None:
    found = await written(shelf, prediction_id=prediction_id)
    assert found.path.parent == shelf.folder / "tmp"
    assert found.path.name == f"{sha256(prediction_id.encode()).hexdigest()[:32]}-1"
    earlier = shelf.earlier_name(Output(prediction_id, 1, "https://x/1", file="outputs/hero.webp"))
    assert earlier == f"outputs/earlier/{sha256(prediction_id.encode()).hexdigest()[:32]}-1.webp"


def test_a_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (3 << 20))
    assert module.digest_of(path) == sha256(b"x" * (3 << 20)).hexdigest()


@posix
@pytest.mark.parametrize("put", ["folder", "pipe", "link", "link to nothing"])
async def test_whatever_is_no_file_is_set_aside_as_a_file_would_be(shelf: OutputStore, put: str) -> None:
    places = [shelf.folder / "outputs/hero.webp", shelf.folder / "outputs/cat.webp"]
    for place in places:
        match put:
            case "folder":
                place.mkdir()
            case "pipe":
                os.mkfifo(place)
            case _:
                target = shelf.folder / "other"
                target.write_bytes(b"mine") if put == "link" else None
                place.symlink_to(target)
    await shelf.commit(await written(shelf), "outputs/hero.webp")
    await shelf.move_file("outputs/hero.webp", "outputs/cat.webp")
    assert [place.is_file() for place in places] == [False, True]
    assert places[1].read_bytes() == b"picture"
    assert sorted(path.name.partition("-")[0] for path in (shelf.folder / "outputs/earlier").iterdir()) == [
        "cat",
        "hero",
    ]


@posix
async def test_a_pipe_or_a_folder_in_the_place_of_a_temporary_file_holds_nothing_up(
    shelf: OutputStore,
) -> None:
    (shelf.folder / "tmp").mkdir(exist_ok=True)
    os.mkfifo(shelf.folder / "tmp/p1-1")
    assert (await written(shelf, prediction_id="p1")).path.read_bytes() == b"picture"
    (shelf.folder / "suspect").mkdir()
    (shelf.folder / "suspect/p1-1").mkdir()
    assert shelf.keep_suspect(await written(shelf, prediction_id="p1")) == "suspect/p1-1"
    (shelf.folder / "tmp/folder").mkdir()
    (shelf.folder / "tmp/rest").write_bytes(b"x")
    shelf.sweep_temporary()
    assert [path.name for path in (shelf.folder / "tmp").iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["outputs", "outputs/raw", "outputs/earlier"])
def test_outputs_on_another_disk_are_refused_before_anything_is_paid(
    tmp_path: Path, other_disk: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to(other_disk)
    with pytest.raises(StorageError, match=f"{name}: Invalid cross-device link.*one disk"):
        OutputStore(tmp_path).make_folders()
    assert not list(other_disk.iterdir())
    assert not list((tmp_path / "tmp").iterdir())


def test_outputs_that_are_a_link_on_the_same_disk_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch/outputs").symlink_to(tmp_path / "pictures")
    OutputStore(tmp_path / "batch").make_folders()
    assert not list((tmp_path / "pictures").iterdir())


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders, in the order in which they were flushed from here on."""
    found: list[Path] = []
    flush = module.flush_folder

    def noting(folder: Path) -> None:
        flush(folder)
        found.append(folder)

    monkeypatch.setattr(module, "flush_folder", noting)
    return found


async def place_all(
    shelf: OutputStore, places: dict[str, StagedFile]
) -> tuple[list[str], dict[str, Exception]]:
    """Place all at the same time; return those that arrived, and why others did not."""
    arrived: list[str] = []
    failed: dict[str, Exception] = {}

    async def place(file: str, staged: StagedFile) -> None:
        try:
            await shelf.commit(staged, file)
        except (StorageError, RuntimeError) as error:
            failed[file] = error
        else:
            arrived.append(file)

    async with anyio.create_task_group() as tasks:
        for file, staged in places.items():
            tasks.start_soon(place, file, staged)
    return sorted(arrived), failed


async def some(shelf: OutputStore, *names: str) -> dict[str, StagedFile]:
    return {name: await written(shelf, name.encode(), f"p{n}") for n, name in enumerate(names)}


@posix
async def test_files_that_come_together_share_a_flush_of_each_folder(
    shelf: OutputStore, flushed: list[Path]
) -> None:
    places = await some(shelf, *(f"outputs/{n % 2}/{n}.png" for n in range(12)))
    flushed.clear()
    assert await place_all(shelf, places) == (sorted(places), {})
    assert files(shelf) == {name: name.encode() for name in places}
    # Each folder is made once, and that is on disk; then its twelve names are, with one flush a folder.
    pictures = [folder for folder in flushed if folder.name in ("0", "1")]
    assert sorted(folder.name for folder in pictures) == ["0", "1"]


@posix
async def test_no_file_counts_as_placed_before_its_folder_was_flushed(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        if folder.name == "outputs":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder))

    await place_all(shelf, await some(shelf, "outputs/x/first.png"))
    places = await some(shelf, "outputs/a.png", "outputs/b.png", "outputs/x/c.png")
    monkeypatch.setattr(module, "flush_folder", refuse)
    arrived, failed = await place_all(shelf, places)
    assert (arrived, sorted(failed)) == (["outputs/x/c.png"], ["outputs/a.png", "outputs/b.png"])


async def test_a_file_that_cannot_be_placed_keeps_no_other_from_its_place(shelf: OutputStore) -> None:
    (shelf.folder / "outputs" / "file").write_bytes(b"no folder")
    places = await some(shelf, "outputs/a.png", "outputs/file/b.png", "outputs/c.png")
    arrived, failed = await place_all(shelf, places)
    assert (arrived, [*failed]) == (["outputs/a.png", "outputs/c.png"], ["outputs/file/b.png"])
    assert "Move away what is in the place of a folder" in str(failed["outputs/file/b.png"])
    assert files(shelf)["tmp/p1-1"] == b"outputs/file/b.png", "it waits to be placed"


async def test_a_group_that_breaks_off_costs_none_of_its_files_their_turn(
    shelf: OutputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, real, groups = await some(shelf, *(f"outputs/{n}.png" for n in range(5))), shelf._place_files, []

    def breaking(group: Any) -> None:
        groups.append(len(group))
        if len(group) > 1:
            raise RuntimeError("out of everything")
        real(group)

    monkeypatch.setattr(shelf, "_place_files", breaking)
    arrived, failed = await place_all(shelf, places)
    # Who led the group is told; to the others it is as if it had never been.
    assert len(failed) == 1
    assert sorted([*arrived, *failed]) == sorted(places)
    assert all((shelf.folder / name).read_bytes() == name.encode() for name in arrived)
    assert groups[0] > 1


async def test_a_file_that_is_given_up_before_its_turn_stays_where_it_is(shelf: OutputStore) -> None:
    places = await some(shelf, "outputs/a.png", "outputs/b.png")
    async with shelf._moving, anyio.create_task_group() as tasks:
        tasks.start_soon(shelf.commit, places["outputs/a.png"], "outputs/a.png")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await shelf.commit(places["outputs/b.png"], "outputs/b.png")
    assert files(shelf) == {"outputs/b.png": b"outputs/b.png", "tmp/p0-1": b"outputs/a.png"}
