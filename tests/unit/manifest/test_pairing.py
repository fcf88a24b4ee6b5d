from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.rows import Row
from batchfill.errors import UsageError
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.pairing import pair_folders, write_pairs
from batchfill.manifest.validation import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.catalog.model import Model


def folder_of(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(name.encode())
    return path


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("hero.jpg", "hero.png"),
        ("Hero.JPG", "hero.webp"),
        ("hero.png", "hero_mask.png"),
        ("hero.png", "HERO-Mask.PNG"),
        ("hero.png", "hero.mask.png"),
        ("hero.png", "hero mask.png"),
        ("hero.png", "mask_hero.png"),
        ("hero.png", "hero_m.png"),
        ("caf\u00e9.png", "cafe\u0301_mask.png"),
        ("film_m.png", "film_m.png"),
    ],
)
def test_a_mask_belongs_to_the_picture_of_its_name(tmp_path: Path, image: str, mask: str) -> None:
    images, masks = folder_of(tmp_path / "i", image), folder_of(tmp_path / "m", mask)

    assert pair_folders(images, masks).pairs == ((images / image, masks / mask),)


def test_what_stays_alone_is_told(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "i", "a.png", "b.png", "notes.txt", ".hidden.png")
    masks = folder_of(tmp_path / "m", "b.png", "c_mask.png", "Thumbs.db")

    pairing = pair_folders(images, masks)

    assert pairing.pairs == ((images / "b.png", masks / "b.png"),)
    assert pairing.alone_images == (images / "a.png",)
    assert pairing.alone_masks == (masks / "c_mask.png",)


def test_nobody_guesses_between_two_files_of_a_name(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "i", "a.png", "a.jpg", "b.png", "c.png")
    masks = folder_of(tmp_path / "m", "a.png", "b.png", "b_mask.png", "c.png")

    pairing = pair_folders(images, masks)

    assert [image.name for image, _ in pairing.pairs] == ["c.png"]
    assert pairing.ambiguous == (
        (images / "a.jpg", images / "a.png", masks / "a.png"),
        (images / "b.png", masks / "b.png", masks / "b_mask.png"),
    )


def test_pictures_and_masks_may_share_a_folder(tmp_path: Path) -> None:
    both = folder_of(tmp_path / "both", "a.jpg", "a_mask.png", "b.jpg", "film_m.jpg")

    pairing = pair_folders(both, both)

    assert pairing.pairs == ((both / "a.jpg", both / "a_mask.png"),)
    assert pairing.alone_images == (both / "b.jpg", both / "film_m.jpg")
    assert pairing.alone_masks == ()


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, kind: str) -> None:
    images = folder_of(tmp_path / "i", "a.png")
    masks = images / "a.png" if kind == "file" else tmp_path / "m"

    with pytest.raises(UsageError, match=r"a\.png is not a folder|m: cannot be read: No such file"):
        pair_folders(images, masks)


def test_the_pairs_become_a_manifest_that_can_be_read(tmp_path: Path, dev: Model) -> None:
    images, masks = folder_of(tmp_path / "i", "飞船, 1.png", "b b.png", "b-b.png"), folder_of(tmp_path / "m")
    for image in images.iterdir():
        (masks / image.name).write_bytes(b"mask")
    (tmp_path / "work").mkdir()
    target = tmp_path / "work" / "night.csv"

    write_pairs(pair_folders(images, masks), target, prompt='a "boat",\nblue')
    rows = list(read_rows(open_manifest(target), dev, digest=digest_file))

    assert [(row.id, row.inputs["image"], row.inputs["prompt"]) for row in rows if isinstance(row, Row)] == [
        ("b-b", "../i/b b.png", 'a "boat",\nblue'),
        # The same id twice would be a mistake; this one is made from the content.
        (None, "../i/b-b.png", 'a "boat",\nblue'),
        ("飞船--1", "../i/飞船, 1.png", 'a "boat",\nblue'),
    ]


def test_the_pairs_may_go_to_an_open_file(tmp_path: Path) -> None:
    images, masks = folder_of(tmp_path / "i", "a.png"), folder_of(tmp_path / "m", "a.png")
    text = io.StringIO()

    write_pairs(pair_folders(images, masks), text, folder=tmp_path)

    assert text.getvalue() == "id,image,mask,prompt\na,i/a.png,m/a.png,\n"


def test_a_manifest_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "i", "a.png")
    (tmp_path / "night.csv").write_text("mine")

    with pytest.raises(UsageError, match=r"night\.csv is there already"):
        write_pairs(pair_folders(images, images), tmp_path / "night.csv")

    assert (tmp_path / "night.csv").read_text() == "mine"
