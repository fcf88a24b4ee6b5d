"""A row is finished and judged as its outputs are one by one, of each file decoded once."""

from __future__ import annotations

import io
import pickle
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.errors import BadPicture
from batchfill.images import finished_row
from batchfill.images.codec.colors import without_alpha
from batchfill.images.codec.thumbnail import FOLDER, LONGEST, THUMB, ThumbTask, make_thumbnail
from batchfill.images.composite.composite import FinishTask, make_composite
from batchfill.images.finished_row import RowTask, finish_row
from batchfill.images.quality.flags import FlagTask, flag_outputs
from batchfill.review.thumbnails import Original, Thumbnails
from tests.unit.review.collection import Collection

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.rows import Box

WHOLE, PART = None, (8, 4, 72, 60)


def local(path: Path) -> LocalFile:
    content = path.read_bytes()
    return LocalFile(path, Stamp(len(content), 0), sha256(content).hexdigest())


def deep(photo: Image.Image) -> Image.Image:
    """Return *photo* in greys of 16 bits."""
    return Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257)


def row_of(
    folder: Path,
    photo: Image.Image,
    mask: Image.Image,
    *,
    name: str = "hero.png",
    form: str = "same",
    area: Box | None = None,
    pixels: Pixels | None = None,
    **options: Any,
) -> RowTask:
    """Return a row of two outputs: what was sent once more, and one colour."""
    photo.save(folder / name, **options)
    mask.save(folder / "mask.png")
    part = photo if area is None else photo.crop(area)
    without_alpha(part, name).save(folder / "0.png")
    Image.new("RGB", part.size, "teal").save(folder / "1.webp", lossless=True)
    raws = folder / "0.png", folder / "1.webp"
    pixels = pixels or Pixels(mask_grow=1, mask_feather=3)
    picture, hole = local(folder / name), local(folder / "mask.png")
    outputs = tuple(
        FinishTask(raw, picture, hole, pixels, area, folder / f"made-{n}", form, {"output": str(n)})
        for n, raw in enumerate(raws)
    )
    flags = FlagTask(raws, picture.path, hole.path, pixels, area, None, ())
    return RowTask(outputs, flags)


@pytest.mark.parametrize("area", [WHOLE, PART], ids=["whole", "part"])
@pytest.mark.parametrize(
    ("name", "mode", "form", "options"),
    [
        ("hero.png", "RGB", "png", {}),
        ("hero.png", "RGBA", "same", {}),
        ("hero.png", "LA", "webp", {}),
        ("hero.png", "P", "png", {}),
        ("hero.png", "I;16", "png", {}),
        ("hero.jpg", "RGB", "same", {"quality": 90}),
        ("hero.jpg", "RGB", "png", {"quality": 90}),
        ("hero.jpg", "L", "same", {}),
        ("hero.jpg", "CMYK", "same", {}),
        ("hero.webp", "RGB", "jpg", {}),
    ],
)
def test_a_row_becomes_what_its_outputs_become_one_by_one(
    name: str,
    mode: str,
    form: str,
    options: dict[str, Any],
    area: Box | None,
    photo: Image.Image,
    mask: Image.Image,
    tmp_path: Path,
) -> None:
    picture = deep(photo) if mode == "I;16" else photo.convert(mode)
    task = row_of(tmp_path, picture, mask, name=name, form=form, area=area, **options)
    alone = [(make_composite(one), one.target.read_bytes()) for one in task.outputs]
    row = pickle.loads(pickle.dumps(finish_row(pickle.loads(pickle.dumps(task)))))
    assert [
        (file, one.target.read_bytes()) for file, one in zip(row.files, task.outputs, strict=True)
    ] == alone
    assert task.flags is not None
    assert (row.flags, row.unjudged) == (flag_outputs(task.flags), None)
    assert [bool(words) for words in row.flags] == [True, True]


def test_a_row_that_is_enlarged_is_judged_on_its_canvas(
    photo: Image.Image, mask: Image.Image, tmp_path: Path
) -> None:
    task = row_of(tmp_path, photo, mask, pixels=Pixels(expand="20%"))
    assert task.flags is not None
    assert finish_row(task).flags == flag_outputs(task.flags)


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_row_of_a_turned_photograph_is_judged_upright(
    turned: int, photo: Image.Image, mask: Image.Image, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    mask = mask.transpose(Image.Transpose.ROTATE_90) if turned > 4 else mask
    task = row_of(tmp_path, photo, mask, name="hero.jpg", exif=exif)
    assert task.flags is not None
    row = finish_row(task)
    assert (row.flags, row.unjudged) == (flag_outputs(task.flags), None)
    assert {file.made_as for file in row.files} == {"jpeg-blocks"}


def test_each_file_of_a_row_is_decoded_once(
    photo: Image.Image, mask: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = Counter[str]()
    load = ImageFile.ImageFile.load

    def loading(image: ImageFile.ImageFile) -> Any:
        if getattr(image, "tile", None):
            decoded[image.format or ""] += 1
        return load(image)

    task = row_of(tmp_path, photo, mask, name="hero.jpg", form="png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", loading)
    assert len(finish_row(task).files) == 2
    # The picture is the JPEG; the mask and an output are PNG, the other output is WebP.
    assert decoded == {"JPEG": 1, "PNG": 2, "WEBP": 1}


def test_a_row_that_cannot_be_judged_is_finished(
    photo: Image.Image, mask: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BadPicture("nothing to see")

    monkeypatch.setattr(finished_row, "judge_outputs", refuse)
    row = finish_row(row_of(tmp_path, photo, mask))
    assert (row.flags, row.unjudged) == (((), ()), "nothing to see")
    assert all((tmp_path / f"made-{n}").exists() for n in range(2))


def test_a_row_is_finished_without_being_judged_when_nothing_is_asked(
    photo: Image.Image, mask: Image.Image, tmp_path: Path
) -> None:
    row = finish_row(replace(row_of(tmp_path, photo, mask), flags=None))
    assert (len(row.files), row.flags, row.unjudged) == (2, ((), ()), None)


def test_of_a_jpeg_that_stays_one_only_what_is_filled_is_decoded_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jpeglib")
    decoded = []
    load = ImageFile.ImageFile.load

    def loading(image: ImageFile.ImageFile) -> Any:
        if image.format == "JPEG" and image.tile:
            decoded.append(image.width * image.height)
        return load(image)

    photo, mask = Image.effect_noise((512, 384), 40).convert("RGB"), Image.new("L", (512, 384))
    mask.paste(255, (200, 100, 260, 160))
    task = row_of(tmp_path, photo, mask, name="hero.jpg")
    for one in task.outputs:
        Image.new("RGB", (128, 96), "teal").save(one.raw, "PNG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", loading)
    assert {file.made_as for file in finish_row(task).files} == {"jpeg-blocks"}
    # What is judged is as large as the outputs, and decoded once for both.
    assert sorted(decoded)[-1] < 512 * 384 / 4
    assert decoded.count(128 * 96) == 1


KEPT_OF = [
    ("hero.jpg", "RGB", "same", 1),
    ("hero.jpg", "RGB", "same", 6),
    ("hero.jpg", "CMYK", "same", 1),
    ("hero.jpg", "L", "webp", 6),
    ("hero.png", "RGBA", "same", 1),
    ("hero.png", "I;16", "png", 1),
]


@pytest.mark.parametrize(("name", "mode", "form", "turned"), KEPT_OF)
async def test_the_small_copy_that_the_review_asks_for_is_there_already(
    name: str, mode: str, form: str, turned: int, tmp_path: Path
) -> None:
    size = (800, 600)
    photo = Image.linear_gradient("L").resize(size).convert("RGB")
    mask = Image.new("L", size if turned < 5 else size[::-1])
    mask.paste(255, (100, 100, 400, 400))
    exif = Image.Exif()
    exif[0x0112] = turned
    picture = deep(photo) if mode == "I;16" else photo.convert(mode)
    task = row_of(tmp_path, picture, mask, name=name, form=form, exif=exif)
    task = replace(task, outputs=tuple(replace(one, thumbs=tmp_path / FOLDER) for one in task.outputs))
    row = finish_row(task)
    thumbnails = Thumbnails(Collection(tmp_path), NoWorkers())
    for file, one in zip(row.files, task.outputs, strict=True):
        copy = await thumbnails.small_copy(Original(one.target.name, file.sha256), THUMB)
        made = make_thumbnail(ThumbTask(one.target, file.sha256, LONGEST[THUMB]))
        found, expected = Image.open(copy), Image.open(io.BytesIO(made))
        assert (found.format, found.size) == ("WEBP", expected.size)
        assert np.abs(np.asarray(found, np.int16) - np.asarray(expected)).mean() < 3


class NoWorkers:
    """Workers that are not there."""

    async def do(self, work: Any, task: Any) -> Any:
        raise AssertionError(f"{work} is asked for {task}")


def test_a_row_is_finished_where_no_small_copy_can_be_kept(
    photo: Image.Image, mask: Image.Image, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    task = row_of(tmp_path, photo, mask)
    task = replace(task, outputs=tuple(replace(one, thumbs=tmp_path / FOLDER) for one in task.outputs))
    assert len(finish_row(task).files) == 2
