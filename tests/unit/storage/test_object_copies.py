from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING

import pytest

from batchfill.domain.objects import ObjectFile
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.errors import NoAnswer
from batchfill.storage.object_copies import ObjectCopies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Shelf:
    """A storage in memory that counts what is read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.fails = False
        self.waits_for: Event | None = None

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[list[ObjectFile]]:
        raise AssertionError("nothing is listed to copy an object")

    def read_object(self, wanted: ObjectFile, target: IO[bytes]) -> None:
        self.read.append(wanted.name)
        target.write(wanted.name.encode())
        if self.waits_for is not None:
            self.waits_for.wait()
        if self.fails:
            raise NoAnswer("in the middle of it")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def thing(name: str, size: int = 10) -> ObjectFile:
    return ObjectFile(f"s3://b/{name}", size, "tag")


def copies_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_held_object_is_a_local_file_of_its_name_and_content(shelf: Shelf, tmp_path: Path) -> None:
    local = LocalFile(tmp_path / "mask.png", Stamp(1, 2), "0" * 64)
    copies = ObjectCopies(tmp_path / "copies", shelf)

    async with copies.hold({"image": thing("in/hero.png"), "mask": local}) as files:
        assert files["mask"] is local
        assert files["image"].path.name == "hero.png"
        assert files["image"].path.read_bytes() == b"hero.png"
        assert files["image"].sha256 == sha256(b"hero.png").hexdigest()
    copies.close()
    assert copies_in(tmp_path) == []


async def test_local_files_alone_make_no_folder(shelf: Shelf, tmp_path: Path) -> None:
    local = LocalFile(tmp_path / "mask.png", Stamp(1, 2), "0" * 64)

    async with ObjectCopies(tmp_path / "copies", shelf).hold({"mask": local}) as files:
        assert files == {"mask": local}
    assert list(tmp_path.iterdir()) == []


async def test_all_who_need_an_object_at_once_share_one_copy(shelf: Shelf, tmp_path: Path) -> None:
    copies = ObjectCopies(tmp_path / "copies", shelf, kept=0)
    shelf.waits_for = Event()

    async def use() -> Path:
        async with copies.hold({"image": thing("a.png"), "mask": thing("a.png")}) as files:
            return files["image"].path

    users = [asyncio.create_task(use()) for _ in range(3)]
    await asyncio.sleep(0)
    shelf.waits_for.set()

    assert len({*await asyncio.gather(*users)}) == 1
    assert shelf.read == ["a.png"]


async def test_copies_stay_while_they_are_held_and_then_as_long_as_there_is_room(
    shelf: Shelf, tmp_path: Path
) -> None:
    copies = ObjectCopies(tmp_path / "copies", shelf, kept=2 * len("0.png"))

    async with copies.hold({n: thing(f"{n}.png") for n in range(5)}):
        assert len(copies_in(tmp_path)) == 5
    async with copies.hold({3: thing("3.png")}):
        pass
    async with copies.hold({5: thing("5.png")}):
        pass

    assert copies_in(tmp_path) == ["3.png", "5.png"]
    assert shelf.read.count("3.png") == 1


async def test_copies_that_nobody_needs_can_be_removed_before_the_end(shelf: Shelf, tmp_path: Path) -> None:
    copies = ObjectCopies(tmp_path / "copies", shelf)
    async with copies.hold({n: thing(f"{n}.png") for n in range(2)}):
        pass

    async with copies.hold({1: thing("1.png")}):
        copies.remove_unused()
        assert copies_in(tmp_path) == ["1.png"]
    async with copies.hold({n: thing(f"{n}.png") for n in range(2)}):
        assert copies_in(tmp_path) == ["0.png", "1.png"]
    assert shelf.read == ["0.png", "1.png", "0.png"]


async def test_a_copy_that_breaks_off_leaves_nothing_and_is_made_again(shelf: Shelf, tmp_path: Path) -> None:
    copies = ObjectCopies(tmp_path / "copies", shelf)
    shelf.fails = True
    with pytest.raises(NoAnswer):
        async with copies.hold({"image": thing("a.png")}):
            raise AssertionError("there is nothing to hold")
    assert copies_in(tmp_path) == []

    shelf.fails = False
    async with copies.hold({"image": thing("a.png")}) as files:
        assert files["image"].path.read_bytes() == b"a.png"


async def test_a_row_that_is_cancelled_leaves_nothing(shelf: Shelf, tmp_path: Path) -> None:
    copies = ObjectCopies(tmp_path / "copies", shelf)
    shelf.waits_for = Event()

    async def use() -> None:
        async with copies.hold({"image": thing("a.png")}):
            raise AssertionError("it was cancelled")

    user = asyncio.create_task(use())
    while not shelf.read:  # noqa: ASYNC110 - a thread
        await asyncio.sleep(0.01)
    user.cancel()
    shelf.waits_for.set()

    with pytest.raises(asyncio.CancelledError):
        await user
    assert copies_in(tmp_path) == []


@pytest.mark.parametrize("name", ["x" * 900 + ".png", "a:b?c*.png", " .png", "-rf"])
async def test_any_key_is_a_name_of_a_copy(shelf: Shelf, tmp_path: Path, name: str) -> None:
    async with ObjectCopies(tmp_path / "copies", shelf).hold({"image": thing(name)}) as files:
        assert files["image"].path.is_file()
        assert files["image"].path.suffix == Path(name).suffix


@pytest.mark.parametrize("clear", [ObjectCopies.close, ObjectCopies.remove_unused])
async def test_what_a_run_that_died_left_is_cleared_away(
    shelf: Shelf, tmp_path: Path, clear: Callable[[ObjectCopies], None]
) -> None:
    left = tmp_path / "copies" / "1" / "a.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of something else")
    left.with_name("b.png").write_bytes(b"more of it")
    copies = ObjectCopies(tmp_path / "copies", shelf)

    async with copies.hold({"image": thing("a.png")}) as files:
        assert files["image"].path.read_bytes() == b"a.png"
    clear(copies)

    assert copies_in(tmp_path) == []
