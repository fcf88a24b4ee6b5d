from __future__ import annotations

import io
import os
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfill.domain.rows import Row
from batchfill.errors import UsageError
from batchfill.manifest import picture_names
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.pairing import count_outside, explain_nothing, pair_folders, write_pairs
from batchfill.manifest.picture_names import why_not_sent
from batchfill.manifest.validation import read_rows

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.domain.pairs import Pairing

NAMES = [
    f"{folder}{stem}{mark}{suffix}"
    for folder, stem, mark, suffix in product(
        ("", "x/"), ("a", "a_mask"), ("", "_mask", ".jpg", " (mask)"), (".png", ".jpg", ".dng")
    )
]


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
        ("b.jpg", "b.jpg.png"),
        ("b.jpg", "b.jpg.mask.png"),
        ("b.jpg", "b.jpg_mask.webp"),
        ("b.webp", "b.jpg.png"),
        ("a.jfif", "a.png"),
        ("a.jpe", "a.PNG"),
        ("a.png", "a-mask.tif"),
        ("a.png", "a - mask.png"),
        ("a.png", "a__mask.png"),
        ("a.png", "a(mask).png"),
        ("a.png", "A (Mask).png"),
        ("a.png", "a [mask].png"),
        ("a.png", "(mask) a.png"),
        ("a.png", "mask-a.png"),
        ("a.png", "mask of a.png"),
        ("a.png", "masks_a.jpg.png"),
        ("a.png", "a_masks.png"),
        ("a.png", "a_matte.png"),
        ("a.png", "a_alpha.png"),
        ("a.png", "alpha_a.png"),
        ("a.png", "a_maske.png"),
        ("a.png", "a_mask_1.png"),
        ("a.png", "a_mask (2).png"),
        ("a.png", "a_mask copy.png"),
        ("a.png", "amask.png"),
        ("img_001.jpg", "mask_001.png"),
        ("001_image.jpg", "001_mask.png"),
        ("a mask.png", "a mask_mask.png"),
        ("unmask.png", "unmask.png"),
        ("IMG_1234 (1).JPG", "IMG_1234 (1).png"),
        ("photo - Copy (2).jpg", "photo - Copy (2).png"),
        ("IMG_1234 (1).JPG", "IMG_1234_mask (1).png"),
        ("photo - Copy (2).jpg", "photo_mask - Copy (2).png"),
        ("a.png", "a_mask - Kopie.png"),
        ("a.png", "a-mask - Copy (3).png"),
        ("a.png", "a_seg.png"),
        ("a.png", "a_segmentation.png"),
        ("a.png", "a_label.png"),
        ("a.png", "label_a.png"),
        ("a.png", "a_labelIds.png"),
        ("a.png", "a_gt.png"),
        ("wine_label.jpg", "wine_label.png"),
        ("hero.png", "hero 蒙版.png"),
        ("img001.jpg", "mask001.png"),
        ("1.jpg", "mask1.png"),
        ("IMG2.jpg", "2.png"),
        ("image.png", "mask.png"),
        ("img.png", "label.png"),
    ],
)
def test_a_mask_belongs_to_the_picture_of_its_name(tmp_path: Path, image: str, mask: str) -> None:
    images, masks = folder_of(tmp_path / "i", image), folder_of(tmp_path / "m", mask)

    assert pair_folders(images, masks).pairs == ((images / image, masks / mask),)


@pytest.mark.parametrize("mask", ["ab.png", "a_mas.png", "a_masked.png", "a_1.png", "mask.png", "_mask.png"])
def test_a_mask_of_another_name_belongs_to_none(tmp_path: Path, mask: str) -> None:
    images, masks = folder_of(tmp_path / "i", "a.png"), folder_of(tmp_path / "m", mask)

    pairing = pair_folders(images, masks)

    assert (pairing.pairs, pairing.alone_masks) == ((), (masks / mask,))


def test_a_mask_that_names_the_whole_file_decides_between_two_of_a_stem(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "i", "b.jpg", "b.png", "c.jpg", "c.png")
    masks = folder_of(tmp_path / "m", "b.jpg.png", "b.png_mask.png", "c.jpg.png", "c.png")

    pairing = pair_folders(images, masks)

    assert pairing.pairs == (
        (images / "b.jpg", masks / "b.jpg.png"),
        (images / "b.png", masks / "b.png_mask.png"),
    )
    assert pairing.ambiguous == ((images / "c.jpg", images / "c.png", masks / "c.jpg.png", masks / "c.png"),)


def tree_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode())
    return path


def test_folders_below_are_paired_by_their_own_names(tmp_path: Path) -> None:
    images = tree_of(tmp_path / "i", "a.jpg", "Kitchen/a.jpg", "kitchen 2/a.jpg", "bath/x/c.jpg", "d/e.jpg")
    masks = tree_of(tmp_path / "m", "a.png", "kitchen/a_mask.png", "bath/x/c.jpg.png", "e.png")

    pairing = pair_folders(images, masks)

    assert pairing.pairs == (
        (images / "Kitchen/a.jpg", masks / "kitchen/a_mask.png"),
        (images / "a.jpg", masks / "a.png"),
        (images / "bath/x/c.jpg", masks / "bath/x/c.jpg.png"),
    )
    assert pairing.alone_images == (images / "d/e.jpg", images / "kitchen 2/a.jpg")
    assert pairing.alone_masks == (masks / "e.png",)
    assert pairing.elsewhere == {images / "d/e.jpg": masks / "e.png", masks / "e.png": images / "d/e.jpg"}
    text = io.StringIO()
    write_pairs(pairing, text, folder=tmp_path)
    assert text.getvalue().splitlines()[1:] == [
        "Kitchen-a,i/Kitchen/a.jpg,m/kitchen/a_mask.png,",
        "a,i/a.jpg,m/a.png,",
        "bath-x-c,i/bath/x/c.jpg,m/bath/x/c.jpg.png,",
    ]


def test_masks_may_lie_in_a_folder_among_the_pictures(tmp_path: Path) -> None:
    images = tree_of(tmp_path / "i", "a.jpg", "masks/a.png", "kitchen/b.jpg", "masks/kitchen/b.png")

    pairing = pair_folders(images, images / "masks")

    assert [mask for _, mask in pairing.pairs] == [images / "masks/a.png", images / "masks/kitchen/b.png"]
    assert (pairing.alone_images, pairing.alone_masks, pairing.left_out) == ((), (), ())


def test_folders_that_lead_back_are_listed_once(tmp_path: Path) -> None:
    images, masks = tree_of(tmp_path / "i", "x/a.jpg"), tree_of(tmp_path / "m", "x/a.png")
    (images / "x/back").symlink_to(images)

    pairing = pair_folders(images, masks)

    assert (pairing.pairs, pairing.alone_images) == (((images / "x/a.jpg", masks / "x/a.png"),), ())


def test_every_file_that_no_row_can_name_is_told_with_the_reason(tmp_path: Path) -> None:
    names = ["a.dng", "b.psd", "c.jxl", "d.ppm", "e.txt", ".f.png", "g", "h.NEF", "i.svg", "j.jp2", "k.mp4"]
    images = tree_of(tmp_path / "i", "z.png", ".git/x.png", "night.batch/outputs/z.png", *names)
    masks = tree_of(tmp_path / "m", "z.png", "Thumbs.db", "b.psb")
    (images / "l.png").symlink_to("gone.png")
    (images / os.fsdecode(b"\xe9.png")).touch()

    pairing = pair_folders(images, masks)

    assert pairing.pairs == ((images / "z.png", masks / "z.png"),)
    assert (pairing.alone_images, pairing.alone_masks) == ((), ())
    assert {path.relative_to(tmp_path).as_posix(): reason for path, reason in pairing.left_out} == {
        "i/.git": "a hidden folder",
        "i/night.batch": "a batch folder",
        "i/a.dng": "a raw photograph: develop it first",
        "i/b.psd": "a Photoshop file: save it as PNG or JPEG",
        "i/c.jxl": "a JPEG XL file: save it as PNG or JPEG",
        "i/d.ppm": "a Netpbm file: save it as PNG or JPEG",
        "i/e.txt": "not a picture",
        "i/.f.png": "hidden by a dot",
        "i/g": "not a picture",
        "i/h.NEF": "a raw photograph: develop it first",
        "i/i.svg": "a drawing: save it as PNG or JPEG",
        "i/j.jp2": "a JPEG 2000 file: save it as PNG or JPEG",
        "i/k.mp4": "a video: save its pictures by themselves",
        "i/l.png": "not a file, or a link that leads nowhere",
        "i/\udce9.png": "its name is not UTF-8: rename it",
        "m/Thumbs.db": "not a picture",
        "m/b.psb": "a Photoshop file: save it as PNG or JPEG",
    }


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".hif"])
@pytest.mark.parametrize("found", [True, False])
def test_heic_is_paired_where_it_can_be_read(
    monkeypatch: pytest.MonkeyPatch, suffix: str, found: bool
) -> None:
    monkeypatch.setattr(picture_names, "find_spec", lambda name: name if found else None)

    assert (why_not_sent(suffix) is None) is found


@given(pictures=st.sets(st.sampled_from(NAMES)), masks=st.sets(st.sampled_from(NAMES)), shared=st.booleans())
@settings(max_examples=60)
def test_every_file_is_accounted_for_just_once(pictures: set[str], masks: set[str], shared: bool) -> None:
    with TemporaryDirectory() as folder:
        images = tree_of(Path(folder) / "i", "only.png", *pictures)
        others = images if shared else tree_of(Path(folder) / "m", "only_mask.png", *masks)

        pairing = pair_folders(images, others)

        told = [
            *(path for pair in pairing.pairs for path in pair),
            *pairing.alone_images,
            *pairing.alone_masks,
            *(path for group in pairing.ambiguous for path in group),
            *(path for path, _ in pairing.left_out),
        ]
        there = {path for root in {images, others} for path in root.rglob("*") if path.is_file()}
        assert sorted(told) == sorted(there)


def test_one_mask_may_be_that_of_every_picture(tmp_path: Path) -> None:
    images = tree_of(tmp_path / "i", "a.jpg", "x/b.png", "mask.png", "notes.txt")

    pairing = pair_folders(images, images / "mask.png")

    assert pairing.pairs == (
        (images / "a.jpg", images / "mask.png"),
        (images / "x/b.png", images / "mask.png"),
    )
    assert pairing.left_out == ((images / "notes.txt", "not a picture"),)
    with pytest.raises(UsageError, match=r"notes\.txt: not a picture"):
        pair_folders(images, images / "notes.txt")


def test_a_name_that_a_cell_would_not_keep_is_written_as_a_path(tmp_path: Path, dev: Model) -> None:
    names = [" a.png", "data:b.png", "http:c.png", "=d.png", "e\\f.png"]
    images = tree_of(tmp_path / "i", *names)
    target = images / "night.csv"

    write_pairs(pair_folders(images, tree_of(tmp_path / "m", *names)), target, prompt="a boat")
    found = list(read_rows(open_manifest(target), dev, digest=digest_file))

    assert [row.local_files["image"].path.name for row in found if isinstance(row, Row)] == sorted(names)


@pytest.mark.parametrize(("place", "outside"), [("work", 0), ("work/deep", 0), ("work/deep/er", 1)])
def test_pairs_that_a_manifest_may_not_name_are_counted(tmp_path: Path, place: str, outside: int) -> None:
    images, masks = tree_of(tmp_path / "work/i", "a.png"), tree_of(tmp_path / "work/m", "a.png")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)

    assert count_outside(pair_folders(images, masks), tmp_path / place) == outside


def test_what_is_written_without_pairs_has_only_its_header(tmp_path: Path) -> None:
    text = io.StringIO()

    write_pairs(pair_folders(tree_of(tmp_path / "i", "a.png"), folder_of(tmp_path / "m")), text)

    assert text.getvalue() == "id,image,mask,prompt\n"


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
    other = images / "a.png" if kind == "file" else tmp_path / "m"

    with pytest.raises(UsageError, match=r"a\.png is not a folder|m: no such folder"):
        pair_folders(other, images)
    if kind == "missing":
        with pytest.raises(UsageError, match="m: no such folder"):
            pair_folders(images, other)


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


def paired(found: Pairing, top: Path) -> dict[str, str]:
    return {
        image.relative_to(top).as_posix(): mask.relative_to(top).as_posix() for image, mask in found.pairs
    }


def test_a_copy_belongs_to_the_copy_of_its_name(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", "a.jpg", "a (1).jpg", "a - Copy.jpg")
    masks = folder_of(tmp_path / "masks", "a_mask.png", "a_mask (1).png", "a_mask - Copy.png")

    assert paired(pair_folders(images, masks), tmp_path) == {
        "images/a.jpg": "masks/a_mask.png",
        "images/a (1).jpg": "masks/a_mask (1).png",
        "images/a - Copy.jpg": "masks/a_mask - Copy.png",
    }


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ("images/a.jpg masks/a.png", {"images/a.jpg": "masks/a.png"}),
        (
            "train/images/a.jpg train/masks/a.png val/images/a.jpg val/masks/a.png",
            {"train/images/a.jpg": "train/masks/a.png", "val/images/a.jpg": "val/masks/a.png"},
        ),
        ("images/val/a.jpg masks/val/a.png", {"images/val/a.jpg": "masks/val/a.png"}),
        (
            "JPEGImages/a.jpg SegmentationClass/a.png SegmentationObject/a.png",
            {"JPEGImages/a.jpg": "SegmentationClass/a.png"},
        ),
        (
            "a_json/img.png a_json/label.png a_json/label_viz.png b_json/img.png b_json/label.png",
            {"a_json/img.png": "a_json/label.png", "b_json/img.png": "b_json/label.png"},
        ),
        (
            "a/image.png a/mask.png b/photo.jpg b/mask.png",
            {"a/image.png": "a/mask.png", "b/photo.jpg": "b/mask.png"},
        ),
        ("a.jpg masks/a_mask.png", {"a.jpg": "masks/a_mask.png"}),
        ("masks/a.jpg masks/a_mask.png", {"masks/a.jpg": "masks/a_mask.png"}),
        ("labels/wine.jpg labels/beer.jpg", {}),
        ("wine.jpg wine_label.jpg wine_seg.jpg", {}),
    ],
)
def test_folders_and_names_say_which_files_of_one_folder_are_masks(
    tmp_path: Path, names: str, pairs: dict[str, str]
) -> None:
    top = tree_of(tmp_path / "all", *names.split())

    found = pair_folders(top, top)

    assert paired(found, top) == pairs
    assert found.ambiguous == ()


def test_folders_that_say_only_what_they_hold_do_not_part_pictures_from_masks(tmp_path: Path) -> None:
    images = tree_of(tmp_path / "p", "JPEGImages/a.jpg", "x/images/b.jpg", "b.jpg")
    masks = tree_of(tmp_path / "m", "SegmentationClass/a.png", "x/b.png", "masks/b.png")

    assert paired(pair_folders(images, masks), tmp_path) == {
        "p/JPEGImages/a.jpg": "m/SegmentationClass/a.png",
        "p/x/images/b.jpg": "m/x/b.png",
        "p/b.jpg": "m/masks/b.png",
    }


def test_what_systems_leave_in_folders_is_left_out_with_the_reason(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "p", "a.jpg", ".DS_Store", "Thumbs.db", "._a.jpg", "desktop.ini")
    masks = folder_of(tmp_path / "m", "a.jpg.mask.png", "._a.png", "Thumbs.db")

    found = pair_folders(images, masks)

    assert paired(found, tmp_path) == {"p/a.jpg": "m/a.jpg.mask.png"}
    assert {(path.name, reason) for path, reason in found.left_out} == {
        (".DS_Store", "hidden by a dot"),
        ("._a.jpg", "hidden by a dot"),
        ("._a.png", "hidden by a dot"),
        ("Thumbs.db", "not a picture"),
        ("desktop.ini", "not a picture"),
    }


def test_a_folder_of_another_name_is_met_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match=r"fotos: no such folder; did you mean photos\?"):
        pair_folders(tmp_path / "fotos", tmp_path / "masks")
    empty = pair_folders(tmp_path / "photos", tmp_path / "masks")
    said = explain_nothing(empty, Path("photos"), Path("masks"))
    assert said == "nothing to pair: there is no picture in photos"
