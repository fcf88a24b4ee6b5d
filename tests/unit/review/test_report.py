"""The page as a folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from batchfill.domain.enlargement import Enlargement
from batchfill.errors import UsageError
from batchfill.review.report import write_report
from batchfill.workers.pool import Threads

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.review.collection import Collection


async def test_a_report_holds_the_page_the_json_and_every_picture(
    collection: Collection, tmp_path: Path
) -> None:
    collection.add("r1", outputs=2)
    collection.add("r2", earlier=1)
    told: list[tuple[int, int]] = []
    page = await write_report(
        collection, Threads(2), tmp_path / "report", watch=lambda done, of: told.append((done, of))
    )
    assert page == tmp_path / "report" / "index.html"
    whole = json.loads((page.parent / "batch.json").read_text("utf-8"))
    keys = {
        picture["key"] for row in whole["rows"] for picture in (*row["outputs"], row["image"], row["mask"])
    }
    keys |= {picture["key"] for row in whole["rows"] for picture in row.get("earlier", ())}
    for folder, longest in (("thumbs", 320), ("views", 640)):
        assert {file.stem for file in (page.parent / folder).iterdir()} == keys
        for file in (page.parent / folder).iterdir():
            with Image.open(file) as picture:
                assert max(picture.size) == longest
    assert told == [(done, 2 * len(keys)) for done in range(1, 2 * len(keys) + 1)]


async def test_a_report_is_written_though_a_picture_is_gone(collection: Collection, tmp_path: Path) -> None:
    gone = collection.add("r1").outputs[0]
    (collection.folder / str(gone.file)).unlink()
    page = await write_report(collection, Threads(2), tmp_path / "report")
    assert not (page.parent / "thumbs" / f"{str(gone.sha256)[:32]}.webp").exists()
    assert '"id":"r1"' in (page.parent / "pieces" / "rows-0.js").read_text("utf-8")


async def test_a_small_report_has_no_larger_copies_not_even_those_of_an_earlier_one(
    collection: Collection, tmp_path: Path
) -> None:
    collection.add("r1", outputs=2)
    told: list[tuple[int, int]] = []
    await write_report(collection, Threads(2), tmp_path / "report")
    page = await write_report(
        collection, Threads(2), tmp_path / "report", size="small", watch=lambda *at: told.append(at)
    )
    assert {file.name for file in page.parent.iterdir()} == {"index.html", "batch.json", "pieces", "thumbs"}
    assert told[-1] == (4, 4)
    assert "size" not in json.loads((page.parent / "batch.json").read_bytes())


async def test_a_report_takes_the_place_of_an_earlier_one(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.review.pieces.ROW_BYTES", 1)
    for id_ in ("r1", "r2", "r3"):
        collection.add(id_)
    page = await write_report(collection, Threads(2), tmp_path / "report")
    before = {file.name for file in page.parent.iterdir()}
    for id_ in ("r1", "r3"):
        collection.remove(id_)
    await write_report(collection, Threads(2), tmp_path / "report")
    assert {file.name for file in page.parent.iterdir()} == before
    pieces = page.parent / "pieces"
    assert {file.name for file in pieces.iterdir()} == {"rows-0.js", "index-0.js"}
    assert '"id":"r2"' in (pieces / "rows-0.js").read_text("utf-8")
    assert [row["id"] for row in json.loads((page.parent / "batch.json").read_bytes())["rows"]] == ["r2"]


async def test_an_earlier_report_stays_until_the_next_one_is_whole(
    collection: Collection, tmp_path: Path
) -> None:
    collection.add("r1")
    page = await write_report(collection, Threads(2), tmp_path / "report")
    before = contents(page.parent)
    collection.add("r2")

    def die(done: int, of: int) -> None:
        raise ArithmeticError

    with pytest.raises(ExceptionGroup):
        await write_report(collection, Threads(2), tmp_path / "report", watch=die)
    assert before.items() <= contents(page.parent).items()
    await write_report(collection, Threads(2), tmp_path / "report")
    assert not (page.parent / "pieces.new").exists()
    assert '"id":"r2"' in (page.parent / "pieces" / "rows-0.js").read_text("utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a report by its name, its pictures left out."""
    files = [*folder.glob("*.*"), *folder.glob("pieces/*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize("number", [0, 1, 7])
async def test_the_json_is_one_document_whatever_pieces_its_rows_are_in(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("batchfill.review.pieces.ROW_BYTES", 500)
    for n in range(number):
        collection.add(f"r{n}", prompt=']\n];\n</script>"\\\u2028')
    page = await write_report(collection, Threads(2), tmp_path / "report")
    text = (page.parent / "batch.json").read_text("utf-8")
    whole = json.loads(text)
    assert [row["id"] for row in whole["rows"]] == list(collection.rows)
    assert {row["prompt"] for row in whole["rows"]} <= {']\n];\n</script>"\\\u2028'}
    assert text.count("\n") == number + 1 + (number == 0)
    assert "pieces" not in whole


@pytest.mark.parametrize("place", ["folder", "folder/letter.txt"])
async def test_a_report_is_never_mixed_with_other_files(
    collection: Collection, tmp_path: Path, place: str
) -> None:
    letter = tmp_path / "folder" / "letter.txt"
    letter.parent.mkdir()
    letter.write_text("dear")
    with pytest.raises(UsageError, match=r"letter\.txt"):
        await write_report(collection, Threads(1), tmp_path / place)
    assert [file.name for file in letter.parent.iterdir()] == ["letter.txt"]


async def test_a_mask_without_a_file_is_shown_as_it_is_drawn_on_its_picture(
    collection: Collection, tmp_path: Path
) -> None:
    words = ["box:0,0,320,480", "box:0,0,320,480", "polygon:320,0 640,0 640,480 320,480"]
    for n, mask in enumerate(words):
        row = collection.add(f"r{n}", mask=mask)
        collection.rows[f"r{n}"] = row._replace(files={"image": row.files["image"]})
    page = await write_report(collection, Threads(2), tmp_path / "report")
    rows = json.loads((page.parent / "batch.json").read_text("utf-8"))["rows"]
    assert [row["mask"]["name"] for row in rows] == words
    first, same, other = (row["mask"]["key"] for row in rows)
    assert (first == same, first == other) == (True, False)
    with Image.open(page.parent / "thumbs" / f"{first}.webp") as thumb:
        shown = thumb.convert("L")
    assert (shown.getpixel((20, 100)), shown.getpixel((300, 100))) == (255, 0)


async def test_a_picture_that_is_enlarged_is_shown_on_its_canvas(
    collection: Collection, tmp_path: Path
) -> None:
    """So that what was before lies on itself in what came of it; the mask shows what is new in white."""
    for id_, mask in (("none", ""), ("drawn", "box:0,0,320,480"), ("plain", "box:0,0,320,480")):
        row = collection.add(id_, mask=mask)
        larger = None if id_ == "plain" else Enlargement(expand="left=100%")
        collection.rows[id_] = row._replace(files={"image": row.files["image"]}, enlargement=larger)
    page = await write_report(collection, Threads(2), tmp_path / "report")
    rows = json.loads((page.parent / "batch.json").read_text("utf-8"))["rows"]
    assert len({row["image"]["key"] for row in rows}) == 2
    assert len({row["mask"]["key"] for row in rows}) == 3
    shown = {}
    for row in rows[:2]:
        for part, band in (("image", "A"), ("mask", "R")):
            with Image.open(page.parent / "thumbs" / f"{row[part]['key']}.webp") as thumb:
                assert thumb.size == (320, 120)
                grey = thumb.convert("RGBA").getchannel(band)
                shown[row["id"], part] = [grey.getpixel((x, 60)) for x in (20, 200, 300)]
    assert shown["none", "image"] == [0, 255, 255]
    assert shown["none", "mask"] == [255, 0, 0]
    assert shown["drawn", "mask"] == [255, 255, 0]
