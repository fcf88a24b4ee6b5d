from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.ledger import digests as module
from batchfill.ledger.digests import Digests, open_digests
from batchfill.values import LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.ledger.ledger import Ledger

NOW = 2_000_000_000 * 10**9
LONG_AGO = NOW - 3600 * 10**9


class Reading:
    """Reads files, and notes which."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> LocalFile:
        self.read.append(path.name)
        stat = path.stat()
        return LocalFile(path, stat.st_size, stat.st_mtime_ns, path.read_bytes().hex().ljust(64, "0"))


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
        with open_digests(path, reading, lambda: NOW) as digests:
            for one in pictures:
                digests(one)
            await ledger.record_digests(digests.take_new())
        reading.read.clear()

    return remember


def test_without_a_ledger_every_file_is_read_once(
    tmp_path: Path, reading: Reading, picture: Callable[..., Path]
) -> None:
    one = picture("a.png")
    with open_digests(tmp_path / "no-ledger.sqlite", reading, lambda: NOW) as digests:
        assert digests(one) == digests(one) == reading(one)
    assert reading.read == ["a.png", "a.png"]
    assert not (tmp_path / "no-ledger.sqlite").exists()


async def test_a_file_known_from_an_earlier_run_is_not_read_again(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any
) -> None:
    one = picture("a.png", b"abc")
    await remember(one)
    with open_digests(path, reading, lambda: NOW) as digests:
        assert digests(one) == LocalFile(one, 3, LONG_AGO, b"abc".hex().ljust(64, "0"))
        assert digests.take_new() == []
    assert reading.read == []


@pytest.mark.parametrize(("content", "changed"), [(b"abcd", LONG_AGO), (b"xyz", LONG_AGO + 1)])
async def test_a_file_of_another_size_or_time_is_read_again(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any, content: bytes, changed: int
) -> None:
    await remember(picture("a.png", b"abc"))
    one = picture("a.png", content, changed=changed)
    with open_digests(path, reading, lambda: NOW) as digests:
        assert digests(one).sha256 == content.hex().ljust(64, "0")
        assert [file.path for file in digests.take_new()] == [one]


@pytest.mark.parametrize("changed", [NOW, NOW - 10**9, NOW + 60 * 10**9])
async def test_a_file_changed_just_now_is_not_remembered(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any, changed: int
) -> None:
    """It could change once more without a new time to show it."""
    one = picture("a.png", changed=changed)
    await remember(one)
    with open_digests(path, reading, lambda: NOW) as digests:
        digests(one)
    assert reading.read == ["a.png"]


async def test_it_is_told_when_a_file_could_change_once_more_without_a_new_time(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any
) -> None:
    old, new = picture("old.png"), picture("new.png", changed=NOW)
    await remember(old)
    with open_digests(path, reading, lambda: NOW) as digests:
        digests(old)
        assert digests.settled
        digests(new)
        digests(old)
        assert not digests.settled


async def test_what_was_read_is_given_out_once(reading: Reading, picture: Callable[..., Path]) -> None:
    one = picture("a.png")
    digests = Digests(None, reading, lambda: NOW)
    digests(one)
    assert [file.path for file in digests.take_new()] == [one]
    assert digests.take_new() == []


async def test_a_file_that_is_gone_is_an_error_even_when_it_is_known(
    path: Path, reading: Reading, picture: Callable[..., Path], remember: Any
) -> None:
    one = picture("a.png")
    await remember(one)
    one.unlink()
    with open_digests(path, reading, lambda: NOW) as digests, pytest.raises(FileNotFoundError):
        digests(one)


def test_what_is_kept_at_hand_does_not_grow_with_the_manifest(
    reading: Reading, picture: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    files = [picture(f"{n}.png") for n in range(5)]
    digests = Digests(None, reading, lambda: NOW)
    assert [digests(file).path for file in files] == files
    assert len(digests._at_hand) <= 2
