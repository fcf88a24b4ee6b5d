"""Rows that enlarge their pictures, from the manifest to the finished picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageOps

from batchfill.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

    Serve = Callable[..., Awaitable[EmulatorServer]]
    Open = Callable[..., Batch]

SIZE = (90, 60)


@pytest.fixture
def upright(desk: Desk) -> Image.Image:
    """A photograph, `images/p.jpg`, that lies on its side in its file; as it is seen."""
    (desk.folder / "images").mkdir()
    across = np.linspace(20, 220, SIZE[1])[None, :, None].repeat(SIZE[0], 0).repeat(3, 2)
    noise = np.random.default_rng(5).integers(-15, 15, across.shape)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray((across + noise).astype(np.uint8)).save(desk.folder / "images/p.jpg", exif=exif)
    with Image.open(desk.folder / "images/p.jpg") as image:
        return ImageOps.exif_transpose(image)


def row(id_: str, **cells: str) -> dict[str, str]:
    usual = {"image": "images/p.jpg", "mask": "", "prompt": "x", "finish": "exact", "megapixels": "0.25"}
    blank = {"expand": "", "aspect": "", "anchor": ""}
    return {"id": id_, **usual, **blank, **cells}


async def test_pictures_are_enlarged_and_their_old_pixels_stay(
    service: Serve, batch: Open, upright: Image.Image
) -> None:
    boxes = {
        "all": (18, 12, 108, 72),
        "sides": (7, 0, 97, 60),
        "tall": (0, 0, 90, 60),
        "part": (0, 15, 90, 75),
    }
    rows = [
        row("all", expand="20%"),
        row("sides", expand="left=7 right=30%"),
        row("tall", aspect="9:16", anchor="top"),
        row("part", aspect="1:1", mask="box:30,20,20,20"),
    ]
    made = batch(await service(tiny=False), rows)
    assert (await made.run()).exit_code == 0
    sizes: dict[str, tuple[int, int]] = {}
    before = np.asarray(upright)
    for found in made.results():
        assert found.flags == (), found.id
        assert found.finished_as == ("png",)
        with Image.open(made.folder / found.outputs[0]) as image:
            sizes[found.id] = image.size
            after = np.asarray(image.crop(boxes[found.id]))
        kept = np.ones(SIZE[::-1], np.bool_)
        kept[20:40, 30:50] = found.id != "part"
        assert np.array_equal(after[kept], before[kept]), found.id
        assert found.id != "part" or (after[~kept] != before[~kept]).any()
    assert sizes == {"all": (126, 84), "sides": (124, 60), "tall": (90, 160), "part": (90, 90)}


async def test_what_cannot_be_enlarged_is_refused_before_anything_is_paid(
    service: Serve, batch: Open, upright: Image.Image
) -> None:
    provider = await service()
    for cells, told in (
        ({"aspect": "3:2"}, "nothing to fill: aspect: 3:2 adds nothing to 90x60, and there is no mask"),
        ({"expand": "0"}, "nothing to fill: expand: 0 adds nothing to 90x60"),
        ({"expand": "99999"}, "more than 200 megapixels"),
    ):
        with pytest.raises(ManifestError, match=told):
            await batch(provider, [row("r", **cells)]).run()
    assert provider.bill == []


async def test_check_tells_the_new_size_and_how_much_is_made_up(
    service: Serve, batch: Open, upright: Image.Image
) -> None:
    report = await batch(await service(), [row("r", expand="left=90")]).check()
    (counted,) = report.pictures.scales
    assert (counted.scale.picture, counted.scale.canvas) == (SIZE, (180, 60))
    assert (counted.least, counted.most) == (0.5, 0.5)


async def test_a_larger_picture_is_compared_on_its_canvas_and_exported_as_edited(
    service: Serve, batch: Open, upright: Image.Image, tmp_path: Path
) -> None:
    """Where nothing was finished, too: the old picture is a part of what the service made."""
    made = batch(await service(tiny=False), [row("r", expand="left=90", finish="raw")])
    assert (await made.run()).exit_code == 0
    page = await made.report(tmp_path / "report")
    (told,) = json.loads((page.parent / "batch.json").read_text("utf-8"))["rows"]
    shapes = []
    for shown in (told["image"], told["mask"], told["outputs"][0]):
        with Image.open(page.parent / "thumbs" / f"{shown['key']}.webp") as thumb:
            shapes.append(round(thumb.width / thumb.height, 1))
    assert shapes == [3, 3, 3]
    made.export(tmp_path / "final")
    (picture,) = (tmp_path / "final").glob("r.*")
    assert b"compositeWithTrainedAlgorithmicMedia" in picture.read_bytes()
