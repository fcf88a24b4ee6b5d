from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import LocalFile, Stamp
from batchfill.ledger import digests as module
from batchfill.ledger.digests import Digests, open_digests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.ledger.ledger import Ledger

LONG_AGO = 1_700_000_000 * 10**9


def later() -> float:
    """Return a time at which nothing that a test does was done just now."""
    return time.time() + 3600


class Reading:
    """Reads files, and notes which."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> LocalFile:
        self.read.append(path.name)
        return LocalFile(path, Stamp.of(path.stat()), path.read_bytes().hex().ljust(64, "0"))


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    def picture(name: str, content: bytes = b"a", *, changed: int = LONG_AGO) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        os.utime(path, ns=(changed, changed))
        return path

    return picture


@pytest.fixture
def remember(ledger: Ledger, path: Path, reading: Reading) -> Any:
    """Read files in one run and remember them as a run does."""

    async def remember(*pictures: Path) -> None:
        with open_digests(path, reading, later) as digests:
            for one in pictures:
                digests(one)
            await ledger.record_digests(digests.take_new())
        reading.read.clear()

    return remember


def test_without_a_ledger_every_file_is_read_once(
    tmp_path: Path, reading: Reading, picture: Callable[..., Path]
) -> None:
    one = picture("a.png")
    with open_digests(tmp_path / "no-ledger.sqlite", reading, later) as digests:
        assert digests(one) == digests(one) == reading(one)
    assert reading.read == ["a.png", "a.png"]
    assert not (tmp_path / "no-ledger.sqlite").exists()


async def test_a_file_known_from_an_earlier_run_is_not_read_again(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any
) -> None:
    one = picture("a.png", b"abc")
    await remember(one)
    with open_digests(path, reading, later) as digests:
        assert digests(one) == LocalFile(one, Stamp.of(one.stat()), b"abc".hex().ljust(64, "0"))
        assert digests.take_new() == []
    assert reading.read == []


@pytest.mark.parametrize(("content", "changed"), [(b"abcd", LONG_AGO), (b"xyz", LONG_AGO + 1)])
async def test_a_file_of_another_size_or_time_is_read_again(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any, content: bytes, changed: int
) -> None:
    await remember(picture("a.png", b"abc"))
    one = picture("a.png", content, changed=changed)
    with open_digests(path, reading, later) as digests:
        assert digests(one).sha256 == content.hex().ljust(64, "0")
        assert [file.path for file in digests.take_new()] == [one]


def in_place(one: Path, content: bytes) -> None:
    one.write_bytes(content)


def by_another(one: Path, content: bytes) -> None:
    other = one.with_name("other.png")
    other.write_bytes(content)
    other.replace(one)


def by_a_copy_with_its_time(one: Path, content: bytes) -> None:
    other = one.with_name("other.png")
    other.write_bytes(content)
    os.utime(other, ns=(LONG_AGO, LONG_AGO))
    shutil.copy2(other, one)


def by_a_link(one: Path, content: bytes) -> None:
    other = one.with_name("other.png")
    other.write_bytes(content)
    one.unlink()
    one.hardlink_to(other)


SWAPS = [in_place, by_another, by_a_copy_with_its_time, by_a_link]


@pytest.mark.parametrize("swap", SWAPS)
async def test_another_content_of_the_same_size_and_time_is_read(
    path: Path,
    reading: Reading,
    picture: Callable[..., Path],
    remember: Any,
    swap: Callable[[Path, bytes], None],
) -> None:
    one = picture("a.png", b"abc")
    await remember(one)
    swap(one, b"xyz")
    os.utime(one, ns=(LONG_AGO, LONG_AGO))
    with open_digests(path, reading, later) as digests:
        assert digests(one).sha256 == b"xyz".hex().ljust(64, "0")


def always(answer: Any) -> Callable[[object], Any]:
    return lambda _: answer


@pytest.mark.parametrize(("ctime_ns", "inode"), [(8, 7), (7, 8), (7, 2**64 - 1)])
async def test_each_part_of_a_stamp_tells_a_file_from_the_one_that_was_read(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ctime_ns: int, inode: int
) -> None:
    """Some file systems keep the time of change when a file is moved, others number files as they like."""
    one = tmp_path / "a.png"
    one.touch()
    known = LocalFile(one, Stamp(3, LONG_AGO, 7, 7), "ab" * 32)
    other = LocalFile(one, Stamp(3, LONG_AGO, ctime_ns, inode), "cd" * 32)
    await ledger.record_digests([known])
    for there in (known, other):
        monkeypatch.setattr(Stamp, "of", always(there.stamp))
        with open_digests(path, always(there), later) as digests:
            assert digests(one) == there
            assert digests.take_new() == ([] if there is known else [other])


@pytest.mark.parametrize("ago", [-60, 0, 1])
@pytest.mark.parametrize("time_of", ["mtime_ns", "ctime_ns"])
def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path, time_of: str, ago: int) -> None:
    """It could change once more without a new time to show it."""
    now = LONG_AGO + 3600 * 10**9
    stamp = Stamp(3, LONG_AGO, LONG_AGO, 7)._replace(**{time_of: now - ago * 10**9})
    digests = Digests(None, lambda path: LocalFile(path, stamp, "ab" * 32), lambda: now / 1e9)
    digests(tmp_path / "a.png")
    assert (digests.settled, digests.take_new()) == (False, [])


async def test_it_is_told_when_a_file_could_change_once_more_without_a_new_time(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any
) -> None:
    old, new = picture("old.png"), picture("new.png", changed=int(later()) * 10**9)
    await remember(old)
    with open_digests(path, reading, later) as digests:
        digests(old)
        assert digests.settled
        digests(new)
        digests(old)
        assert not digests.settled


async def test_what_was_read_is_given_out_once(reading: Reading, picture: Callable[..., Path]) -> None:
    one = picture("a.png")
    digests = Digests(None, reading, later)
    digests(one)
    assert [file.path for file in digests.take_new()] == [one]
    assert digests.take_new() == []


async def test_a_file_that_is_gone_is_an_error_even_when_it_is_known(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any
) -> None:
    one = picture("a.png")
    await remember(one)
    one.unlink()
    with open_digests(path, reading, later) as digests, pytest.raises(FileNotFoundError):
        digests(one)


def test_what_is_kept_at_hand_does_not_grow_with_the_manifest(
    reading: Reading, picture: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    files = [picture(f"{n}.png") for n in range(5)]
    digests = Digests(None, reading, later)
    assert [digests(file).path for file in files] == files
    assert len(digests._at_hand) <= 2
