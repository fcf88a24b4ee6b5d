"""What stands in the place of a user's file and is none: refused at once, by all that open it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.rows import LocalFile, Stamp, StoredFile
from batchfill.errors import BadPicture, RowRejected
from batchfill.images.codec.decode import decode_whole, read_header
from batchfill.images.codec.thumbnail import ThumbTask, make_thumbnail
from batchfill.images.composite.composite import FinishTask, make_composite
from batchfill.images.prepare.input_file import read_input_file
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.text import read_start
from batchfill.regular_files import open_regular, open_to_append
from batchfill.storage import inbox
from batchfill.storage.missing import FileState, file_state
from batchfill.storage.output_store import digest_of
from tests.support.bounds import HANGS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")


def _socket(path: Path) -> None:
    # The name of a socket may not be long.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def _link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


PUT: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link to a pipe": _link_to_a_pipe,
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
    "nothing": lambda path: None,
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to(path),
}


def _finish(path: Path) -> object:
    picture = LocalFile(path, Stamp(1, 1), "ab" * 32)
    task = FinishTask(path, picture, picture, Pixels(), None, path.with_name("target"), None, {})
    return make_composite(task)


OPENING: dict[str, Callable[[Path], object]] = {
    "open_regular": open_regular,
    "digest_file": digest_file,
    "digest_of": digest_of,
    "read_start": read_start,
    "look": read_header,
    "whole": decode_whole,
    "thumb": lambda path: make_thumbnail(ThumbTask(path, "ab" * 32, 100)),
    "finish": _finish,
    "prepare": lambda path: read_input_file("image", LocalFile(path, Stamp(1, 1), "ab" * 32)),
}


@pytest.mark.parametrize("put", PUT)
@pytest.mark.parametrize("opening", OPENING)
def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    tmp_path: Path, put: str, opening: str
) -> None:
    path = tmp_path / "a.png"
    PUT[put](path)
    with pytest.raises((OSError, BadPicture, RowRejected)) as caught:
        OPENING[opening](path)
    if put in ("pipe", "link to a pipe", "device") and isinstance(caught.value, BadPicture):
        assert str(caught.value) == "a.png cannot be read: not a regular file"


@pytest.mark.parametrize("put", ["pipe", "link to a pipe", "socket", "device", "folder", "link to itself"])
def test_what_is_no_regular_file_is_not_appended_to(tmp_path: Path, put: str) -> None:
    PUT[put](tmp_path / "a")
    with pytest.raises(OSError, match=r"not a regular file|a directory|symbolic links"):
        open_to_append(tmp_path / "a")


@pytest.mark.parametrize("put", ["nothing", "link to nothing", "a file"])
def test_a_regular_file_is_appended_to_and_made_where_none_is(tmp_path: Path, put: str) -> None:
    path, before = tmp_path / "a", b""
    if put == "a file":
        path.write_bytes(before := b"before")
    else:
        PUT[put](path)
    with os.fdopen(open_to_append(path), "a+b") as file:
        file.write(b"behind")
    assert path.read_bytes() == before + b"behind"


IN_ITS_PLACE = {
    "run.log": "run.log cannot be written: not a regular file",
    "lock": "lock cannot be written: not a regular file",
    "paid.jsonl": "paid.jsonl: cannot be read: not a regular file",
    "paid.jsonl.new": None,
    "inbox/1-a.request": None,
    "inbox/1-a.rulings": None,
}
"""What a run says of each file of a batch folder; None: it goes on."""


@pytest.mark.parametrize("put", ["pipe", "device"])
@pytest.mark.parametrize("name", IN_ITS_PLACE)
async def test_no_command_waits_for_what_is_in_the_place_of_a_batchs_file(
    service: Any, batch: Any, batchfill: Any, name: str, put: str
) -> None:
    provider = await service()
    path = batch(provider, 1).folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    PUT[put](path)
    ran = await batchfill("run", "night.csv", "--base-url", provider.base)
    told = IN_ITS_PLACE[name]
    if told is not None:
        assert (ran.code, provider.billed, told in ran.err) == (2, 0, True), ran.err
        assert "Traceback" not in ran.err
    else:
        assert (ran.code, provider.billed) == (0, 1), ran.err
    await batchfill("status", "night.csv")
    await batchfill("stop", "night.csv")


async def test_a_pipe_that_comes_into_the_inbox_does_not_hold_up_a_run(service: Any, batch: Any) -> None:
    provider = await service(latency=0.5)
    night = batch(provider, 6, concurrency=1)
    running = asyncio.ensure_future(night.run())
    await provider.until(lambda: provider.billed > 0)
    pipe = night.folder / "inbox" / "1-a.request"
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    freed = threading.Event()

    def free() -> None:
        """Let the run go on that waits for a writer: the test fails, and does not hang."""
        freed.set()
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    timer = threading.Timer(HANGS, free)
    timer.start()
    summary = await running
    timer.cancel()
    assert (summary.exit_code, provider.billed) == (0, 6)
    assert not freed.is_set(), "the run waited for the pipe"


def test_a_request_behind_what_cannot_be_read_is_taken(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    for put in ("pipe", "folder", "device"):
        PUT[put](tmp_path / "inbox" / f"1-{put}.request")
    inbox.post_request(tmp_path, inbox.Request.STOP)
    assert inbox.drain_requests(tmp_path) == [inbox.Request.STOP]
    assert inbox.drain_requests(tmp_path) == []


def test_a_pipe_that_comes_between_two_looks_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"a")
    facts = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda _: facts)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path)


def test_a_regular_file_is_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"picture")
    (tmp_path / "link").symlink_to("a")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"picture"


@pytest.mark.parametrize("put", PUT)
def test_a_picture_in_whose_place_something_else_is_counts_as_missing(tmp_path: Path, put: str) -> None:
    PUT[put](tmp_path / "r1.webp")
    placed = StoredFile("r1", 2, 1, None, "r1.webp", 7, sha256(b"picture").hexdigest(), 1)
    assert file_state(tmp_path / placed.file, placed) is FileState.MISSING


def test_pictures_are_closed_again(tmp_path: Path) -> None:
    """Warnings are errors: a file that is left open would fail this test."""
    path = tmp_path / "a.png"
    Image.new("RGB", (3, 2)).save(path)
    assert read_header(path).width == decode_whole(path).width == 3
