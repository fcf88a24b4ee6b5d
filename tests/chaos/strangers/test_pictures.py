"""Pictures made to hurt: refused before they take the machine's memory, or its night."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batchfill.errors import BadPicture
from batchfill.images.codec import open as open_module
from batchfill.images.codec.decode import decode_whole
from batchfill.images.codec.decode import read_header as look_at
from tests.support.pictures import png_chunk

SIDE = 100_000


def png(width: int, height: int) -> bytes:
    """A PNG of one colour, all of it there: a thousandth of what it takes in memory."""
    packer, line = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    packed = b"".join([*(packer.compress(line) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", packed)
        + png_chunk(b"IEND", b"")
    )


def gif(width: int, height: int, frames: int) -> bytes:
    """A GIF of one pixel's picture over and over, on a canvas of that size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def tiff(*sizes: int) -> bytes:
    """A TIFF of pages with these sides; only the first one's pixels are there."""
    pixels, pages = bytes(64), b""
    for n, side in enumerate(sizes):
        at = 8 + 64 + n * 114
        tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
        tags += [(277, 3, 1), (278, 4, side), (279, 4, 64)]
        following = at + 114 if n + 1 < len(sizes) else 0
        body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        pages += struct.pack("<H", len(tags)) + body + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 72) + pixels + pages


def passes(side: int, times: int) -> bytes:
    """A JPEG whose last pass over the pixels comes again and again."""
    target = io.BytesIO()
    Image.new("L", (side, side), 128).save(target, "JPEG", progressive=True)
    content = target.getvalue()
    last = content.rfind(b"\xff\xda")
    return content[:last] + content[last:-2] * times + content[-2:]


BOMBS = {
    "sides.png": (png(SIDE, 4)[:16] + struct.pack(">II", SIDE, SIDE) + png(SIDE, 4)[24:], "damaged|larger"),
    "honest.png": (png(20_000, 12_000), "larger than 200 megapixels"),
    "page.tiff": (tiff(8, SIDE), "larger than 200 megapixels|damaged"),
    "canvas.gif": (gif(10_000, 10_000, 2_000), "more pictures"),
    "frames.gif": (gif(1, 1, 200_000), "more pictures"),
    "passes.jpg": (passes(1_500, 5_000), "passes over them"),
}

CHILD = """
import json, pathlib, resource, sys
from batchfill.errors import BadPicture
from batchfill.images.codec import open as opening
from batchfill.images.codec.decode import decode_whole as whole
# sooner, in the same way
sys.modules["batchfill.images.codec.decode"].MOST_DECODED = opening.MAX_PIXELS // 2
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
said = {}
before = peak()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        said[path.name] = repr(whole(path))
    except BadPicture as error:
        said[path.name] = str(error)
    said[path.name] += f" [{peak() - before} MiB]"
print(json.dumps({"said": said, "more": peak() - before}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
def test_no_picture_takes_more_memory_than_the_largest_allowed(tmp_path: Path) -> None:
    for name, (content, _) in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    root = str(Path(__file__).parents[3])
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": root},
        timeout=120,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    for name, (_, why) in BOMBS.items():
        assert any(part in found["said"][name] for part in why.split("|")), found["said"][name]
    # A canvas of 100 megapixels in colour, twice over.
    assert found["more"] < 1000, found


def test_a_picture_just_within_the_bounds_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_module, "MAX_PIXELS", 10_000)
    for name, content in {
        "a.png": png(100, 100),
        "a.gif": gif(100, 100, 50),
        "a.jpg": passes(96, 20),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert decode_whole(tmp_path / name).width in (96, 100)
    (tmp_path / "b.png").write_bytes(png(100, 101))
    for read in (decode_whole, look_at):
        with pytest.raises(BadPicture, match="larger than"):
            read(tmp_path / "b.png")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_last_of_several_pictures_is_missed(tmp_path: Path, kind: str) -> None:
    frames = [Image.effect_noise((40, 40), 50 + n).convert("RGB") for n in range(3)]
    path = tmp_path / "several"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    assert decode_whole(path).width == 40
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 5])
    with pytest.raises(BadPicture):
        decode_whole(path)


def test_a_picture_that_an_animation_announces_and_lacks_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "animation.png"
    frames = [Image.new("L", (40, 40), n) for n in range(3)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])
    content = path.read_bytes()
    assert decode_whole(path).width == 40
    last = content.rfind(b"fcTL") - 4
    path.write_bytes(content[:last] + content[-12:])
    with pytest.raises(BadPicture):
        decode_whole(path)
