"""Masks without a file, from the manifest to the finished picture; masks that are paid for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from batchfill.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

    Serve = Callable[..., Awaitable[EmulatorServer]]
    Open = Callable[..., Batch]
    Look = Callable[..., Awaitable[Any]]

SIZE = (96, 64)


@pytest.fixture
def picture(desk: Desk) -> NDArray[np.uint8]:
    """A photograph with a hole in its transparency, `images/p.png`, also turned: `images/t.jpg`."""
    noise = np.random.default_rng(5).integers(0, 200, (*SIZE[::-1], 3), np.uint8)
    (desk.folder / "images").mkdir()
    alpha = Image.new("L", SIZE, 255)
    alpha.paste(0, (40, 20, 60, 40))
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(desk.folder / "images/t.jpg", exif=exif)
    image.putalpha(alpha)
    image.save(desk.folder / "images/p.png")
    return np.asarray(image)


def row(mask: str, **cells: str) -> dict[str, str]:
    return {"id": "r1", "image": "images/p.png", "mask": mask, "prompt": "x", **cells}


@pytest.mark.parametrize(
    ("mask", "filled"),
    [
        ("box:10,5,20,30", (10, 5, 30, 35)),
        ("polygon:10,5 30,5 30,35 10,35", (10, 5, 30, 35)),
        ("box:10,5,10,30;box:20,5,10,30", (10, 5, 30, 35)),
        ("alpha", (40, 20, 60, 40)),
    ],
)
async def test_what_is_drawn_is_filled_and_nothing_else(
    service: Serve, batch: Open, picture: NDArray[np.uint8], mask: str, filled: tuple[int, int, int, int]
) -> None:
    made = batch(await service(tiny=False), [row(mask, finish="exact", mask_feather="0", megapixels="0.25")])
    assert (await made.run()).exit_code == 0
    (found,) = made.results()
    assert found.mask == mask
    with Image.open(made.folder / found.outputs[0]) as image:
        after = np.asarray(image)
    left, top, right, bottom = filled
    inside = np.zeros(SIZE[::-1], np.bool_)
    inside[top:bottom, left:right] = True
    assert np.array_equal(after[~inside], picture[~inside])
    assert (after[inside] != picture[inside]).any()
    assert (after[inside][:, 3] == 255).all()


async def test_a_picture_that_is_sent_as_it_is_gets_a_mask_of_its_size(
    service: Serve, batch: Open, picture: NDArray[np.uint8], desk: Desk
) -> None:
    made = batch(
        await service(tiny=False), [row("box:10,5,20,30", megapixels="0.25")], head={"send": "original"}
    )
    assert (await made.run()).exit_code == 0


async def test_a_turned_picture_that_is_sent_as_it_is_is_refused_before_anything_is_paid(
    service: Serve, batch: Open, picture: NDArray[np.uint8]
) -> None:
    provider = await service()
    turned = row("box:10,5,20,30", image="images/t.jpg")
    with pytest.raises(ManifestError, match=r"t\.jpg is to be turned as its EXIF says.*use send: fitted"):
        await batch(provider, [turned], head={"send": "original"}).run()
    with pytest.raises(ManifestError, match="box:96,0,9,9 fills nothing of its picture, which is 96x64"):
        await batch(provider, [row("box:96,0,9,9")]).run()
    assert provider.bill == []


async def test_a_grey_that_would_be_filled_in_part_fails_its_row_unpaid(
    service: Serve, batch: Open, picture: NDArray[np.uint8], desk: Desk
) -> None:
    green = Image.new("RGB", SIZE)
    green.paste((0, 255, 0), (10, 10, 50, 50))
    green.save(desk.folder / "green.png")
    provider = await service()
    made = batch(provider, [row("green.png"), row("green.png", id="r2", mask_from="auto")])
    await made.run()
    refused, right = made.results()
    assert refused.error is not None
    assert "has the grey 150 of 255, which would be filled only in part" in refused.error
    assert right.state.value == "done"
    assert len(provider.bill) == 1


async def test_a_seed_below_zero_fails_its_row_and_is_told_by_check(
    service: Serve, batch: Open, picture: NDArray[np.uint8]
) -> None:
    made = batch(await service(tiny=False), [row("box:10,5,20,30", seed="-1", megapixels="0.25")], attempts=1)
    report = await made.check()
    assert [one.finding.text for one in report.pictures.found if one.finding.kind == "seed"] == [
        "seed -1 is no random seed, and models may refuse it: leave the cell empty for a random seed"
    ]
    assert (await made.run()).exit_code == 1
    (found,) = made.results()
    assert found.error is not None
    assert "seed must be 0 or more, not -1" in found.error
