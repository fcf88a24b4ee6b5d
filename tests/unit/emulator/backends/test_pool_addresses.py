"""Addresses of containers, by flag and by file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchfill.emulator.backends.pool_addresses import PoolAddresses
from batchfill.errors import UsageError


def test_flags_come_before_the_file_and_comments_are_none(tmp_path: Path) -> None:
    file = tmp_path / "pool.txt"
    file.write_text("\ufeff# ours\n\nhttp://gpu2:5000/  # new\r\n  https://gpu3.lan/cog\n", "utf-8")
    assert PoolAddresses(["http://gpu1:5000/"], file).known == [
        "http://gpu1:5000",
        "http://gpu2:5000",
        "https://gpu3.lan/cog",
    ]


WRONG = {
    "gpu1:5000": "'gpu1:5000' is no address: give one such as http://gpu1:5000",
    "gpu1": "'gpu1' is no address",
    "ftp://gpu1": "'ftp://gpu1' is no address",
    "http://": "'http://' is no address",
    "http://gpu..1:5000": "'http://gpu..1:5000' is no address",
    f"http://{'x' * 64}:5000": f"'http://{'x' * 64}:5000' is no address",
    "http://gpu1:port": "'http://gpu1:port' is no address",
    "http://gpu1:0": "'http://gpu1:0' is no address",
    "http://gpu1:99999": "'http://gpu1:99999' is no address",
    "http://gpu 1:5000": "'http://gpu 1:5000' is no address",
    "http://user:secret@gpu1:5000": "gpu1: the address of a container holds no user, password or query",
    "http://gpu1:5000?key=secret": "gpu1: the address of a container holds no user, password or query",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_address_is_told_where_it_is(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        PoolAddresses([text])
    assert f"--at: {WRONG[text]}" in str(refused.value)
    file = tmp_path / "pool.txt"
    file.write_text(f"http://gpu1:5000\n{text}\n")
    with pytest.raises(UsageError) as refused:
        PoolAddresses([], file)
    assert f"pool.txt:2: {WRONG[text]}" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_pool_without_any_address_is_none() -> None:
    with pytest.raises(UsageError, match="name each with --at URL, or give --at-file FILE"):
        PoolAddresses([])


SAME = {
    "http://GPU1:5000/": "http://gpu1:5000",
    "HTTP://gpu1:80": "http://gpu1",
    "https://gpu1:443/cog/": "https://gpu1/cog",
    "http://[::1]:5000//": "http://[::1]:5000",
    "http://gpu1:443": "http://gpu1:443",
}


@pytest.mark.parametrize("text", SAME)
def test_an_address_has_one_spelling_so_a_container_is_in_the_pool_once(text: str) -> None:
    assert PoolAddresses([text]).known == [SAME[text]]


def test_a_file_that_is_no_file_or_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "pool.txt"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        PoolAddresses([], file)
    file.mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        PoolAddresses([], file)
    file.rmdir()
    file.write_bytes(b"\xff\xfeh\x00")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        PoolAddresses([], file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in files")
def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pool.txt")
    with pytest.raises(UsageError, match="cannot be read: not a regular file"):
        PoolAddresses([], tmp_path / "pool.txt")


ONE, TWO = "http://gpu1:5000", "http://gpu2:5000"
EDITS: dict[str, tuple[list[str], object]] = {
    "a comment more": ([f"{ONE}\n# a comment more\n"], (None, "")),
    "one more": ([f"{ONE}\n{TWO}\n"], ([ONE, TWO], "")),
    "one more, without an end of line": ([f"{ONE}\n{TWO}"], ([ONE, TWO], "")),
    "a write in pieces": ([f"{ONE}\n", f"{ONE}\nhttp://g", f"{ONE}\n{TWO}\n"], ([ONE, TWO], "")),
    "emptied first": (["", f"{TWO}\n"], ([TWO], "")),
    "taken out and put back": ([f"{TWO}\n", f"{ONE}\n"], (None, "")),
    "twice": ([f"{TWO}\n{ONE}/\n{TWO}\n"], ([TWO, ONE, TWO], "")),
    "nothing in it": (["\n# none\n\n"], (None, "pool.txt names no container; the pool stays as it was")),
    "a line that is wrong": (
        [f"{ONE}\ngpu2"],
        (
            None,
            "pool.txt:2: 'gpu2' is no address: give one such as http://gpu1:5000; the pool stays as it was",
        ),
    ),
}
"""What is written to a file of one container, a look after each; and what the look after the last says."""


@pytest.mark.parametrize("case", EDITS)
def test_a_file_is_read_again_once_it_has_changed_and_stays_as_it_is(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("pool.txt")
    file.write_text(f"{ONE}\n")
    addresses = PoolAddresses([], file)
    assert addresses.read_again() == (None, "")
    states, said = EDITS[case]
    for written, text in enumerate(states, 1):
        file.write_text(text)
        os.utime(file, (written, written))
        assert addresses.read_again() == (None, ""), "it may be half written"
    assert addresses.read_again() == said
    assert addresses.read_again() == (None, ""), "it is told once"


def test_a_file_that_is_replaced_for_a_moment_or_gone_changes_no_pool(tmp_path: Path) -> None:
    file = tmp_path / "pool.txt"
    file.write_text(f"{ONE}\n")
    addresses = PoolAddresses([TWO], file)
    file.unlink()
    assert addresses.read_again() == (None, "")
    file.write_text(f"{ONE}\n")
    assert [addresses.read_again() for _ in range(3)] == [(None, "")] * 3
    file.unlink()
    assert addresses.read_again() == (None, "")
    gone = f"{file}: cannot be read: No such file or directory; the pool stays as it was"
    assert addresses.read_again() == (None, gone)
    assert addresses.known == [TWO, ONE]
