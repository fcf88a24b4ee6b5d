"""A look at every picture and mask before anything is paid: from the manifest to what is printed."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from PIL import Image, ImageOps

from batchfill.check import remote
from batchfill.domain.findings import Sizes
from batchfill.settings.credentials import Environment
from batchfill.workers.pool import Processes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.domain.rows import Box
    from batchfill.images.preflight.inspection import Inspection, InspectTask

    Open = Callable[..., Batch]
    Origin = Callable[..., Awaitable[str]]

NOWHERE = "https://provider.test/v1"


def mask(size: tuple[int, int] = (64, 48), box: Box = (16, 12, 48, 36)) -> Image.Image:
    image = Image.new("L", size)
    image.paste(255, box)
    return image


def bytes_of(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


class Shop:
    """A server of pictures that notes what it is asked."""

    def __init__(self) -> None:
        self.base = ""
        self.files: dict[str, bytes] = {
            "/a.png": bytes_of(Image.new("RGB", (64, 48), 90)),
            "/m.png": bytes_of(mask()),
            "/inverted.png": bytes_of(ImageOps.invert(mask())),
            "/page.png": b"<!doctype html><p>not found",
        }
        self.asked: list[str] = []
        self.headers: list[str] = []
        self.now = self.most = 0
        """Requests that are open, and that were open at the same time."""
        self.waits_for = 1
        """How many must be open before the first are answered."""
        self.enough = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.headers += request.headers.keys()
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= self.waits_for:
            self.enough.set()
        await self.enough.wait()
        self.now -= 1
        if request.path == "/moved.png":
            raise web.HTTPFound("/m.png")
        if request.path not in self.files:
            raise web.HTTPNotFound
        return web.Response(body=self.files[request.path])


@pytest.fixture
async def shop(origin: Origin) -> Shop:
    found = Shop()
    found.base = await origin(found.serve)
    return found


def kinds(report: Any) -> dict[str, int]:
    return {kind.value: rows for kind, rows in report.pictures.kinds.items()}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[InspectTask]:
    """What processes were given to look at, so far."""
    found: list[InspectTask] = []
    do = Processes.do

    async def noting(self: Processes, work: Any, task: InspectTask) -> Inspection:
        found.append(task)
        return await do(self, work, task)

    monkeypatch.setattr(Processes, "do", noting)
    return found


async def test_rows_that_share_a_pair_are_looked_at_once_and_all_counted(
    batch: Open, desk: Any, looks: list[InspectTask]
) -> None:
    rows = desk.rows(1200)
    ImageOps.invert(mask()).save(desk.folder / "masks" / "a.png")
    report = await batch(NOWHERE, rows).check()
    assert len(looks) == 1
    assert kinds(report) == {"polarity": 1200}
    (found,) = report.pictures.found
    assert (found.line, found.id, found.rows, report.pictures.left_out) == (2, "r1", 1200, 0)
    (counted,) = report.pictures.scales
    assert (counted.scale, counted.rows) == (Sizes((64, 48), None, (1152, 864)), 1200)


async def test_a_second_check_says_the_same_and_decodes_only_what_changed(
    batch: Open,
    desk: Any,
    looks: list[InspectTask],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    environ = Environment({"XDG_CACHE_HOME": str(tmp_path / "caches")})
    # What was written a moment ago is not remembered.
    monkeypatch.setattr("batchfill.check.check.time", SimpleNamespace(time=lambda: time.time() + 3600))
    rows = desk.rows(3)
    ImageOps.invert(mask()).save(desk.folder / "masks" / "a.png")
    night = replace(batch(NOWHERE, rows), environ=environ)
    first = await night.check()
    assert (await night.check()).pictures == first.pictures
    assert (len(looks), kinds(first)) == (1, {"polarity": 3})
    mask(box=(0, 0, 20, 20)).save(desk.folder / "masks" / "a.png")
    changed = await night.check()
    assert (len(looks), kinds(changed)) == (2, {})


async def test_a_picture_that_takes_the_process_along_is_a_mistake_of_its_row(
    batch: Open, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Called with a task it is no exit code, so that the process ends on the spot and says 1.
    monkeypatch.setattr("batchfill.images.preflight.inspect.inspect_files", sys.exit)
    report = await batch(NOWHERE, desk.rows(1)).check()
    (mistake,) = report.mistakes
    assert mistake.message.startswith("a.png and a.png: too much for this machine")


async def test_settings_of_a_row_decide_how_its_mask_is_judged(batch: Open, desk: Any) -> None:
    layer = Image.merge("LA", (Image.new("L", (64, 48), 9), ImageOps.invert(mask())))
    rows = desk.rows(3)
    for row, source in zip(rows, ("", "alpha", "auto"), strict=True):
        row["mask_from"] = source
    layer.save(desk.folder / "masks" / "a.png")
    report = await batch(NOWHERE, rows).check()
    assert [(mistake.line, mistake.kind) for mistake in report.mistakes] == [(2, "alpha")]
    assert "or set mask_from: alpha" in report.mistakes[0].message
    assert report.rows == 2


async def test_a_row_with_a_picture_that_cannot_be_run_counts_neither_as_right_nor_in_the_cost(
    batch: Open, desk: Any
) -> None:
    rows = desk.rows(3)
    Image.new("L", (64, 48)).save(desk.folder / "masks" / "empty.png")
    rows[1]["mask"] = "masks/empty.png"
    report = await batch(NOWHERE, rows, head={"price": "0.04"}).check()
    assert [str(mistake) for mistake in report.mistakes] == [
        "night.csv:3: empty.png is black all over: nothing would be filled; draw what is to be filled white"
    ]
    assert (report.rows, report.outputs_to_go, report.price_to_go) == (2, 2, 80_000)


async def test_what_this_machine_finishes_a_minute_is_tried_on_the_rows_that_ask_for_it(
    batch: Open, desk: Any
) -> None:
    rows = desk.rows(3)
    assert (await batch(NOWHERE, rows).check()).finish_rate is None
    rows[1]["finish"] = "exact"
    rate = (await batch(NOWHERE, rows, rate=77).check()).finish_rate
    assert rate is not None
    assert rate.pace == 77


async def test_the_size_of_the_area_around_the_mask_is_told(batchfill: Any, desk: Any) -> None:
    rows = desk.rows(2, id="hero")
    Image.new("RGB", (4032, 3024), 90).save(desk.folder / "images" / "large.jpg")
    mask((4032, 3024), (1000, 1000, 1200, 1200)).save(desk.folder / "masks" / "large.png")
    for row, area in zip(rows, ("whole", "mask"), strict=True):
        row |= {"id": area, "image": "images/large.jpg", "mask": "masks/large.png", "area": area}
    desk.write(rows)
    checked = await batchfill("check", "night.csv")
    assert checked.code == 0
    lines = checked.out.splitlines()
    assert "whole: 4032x3024 is generated at 1152x864; its mask fills 0.3%" in lines
    assert (
        "mask: 1024x1024 around its mask, of 4032x3024, is generated at 1024x1024; its mask fills 0.3%"
    ) in lines


async def test_check_prints_mistakes_then_warnings_worst_first_then_the_summary(
    batchfill: Any, desk: Any
) -> None:
    rows = desk.rows(4)
    masks = desk.folder / "masks"
    mask().resize((32, 24), 0).save(masks / "small.png")
    ImageOps.invert(mask()).save(masks / "inverted.png")
    Image.new("L", (64, 48)).save(masks / "empty.png")
    for row, name in zip(rows, ("a", "small", "inverted", "empty"), strict=True):
        row["mask"] = f"masks/{name}.png"
    desk.write(rows)
    checked = await batchfill("check", "night.csv")
    assert checked.code == 2
    assert checked.out.splitlines() == [
        "night.csv:5: empty.png is black all over: nothing would be filled; draw what is to be filled white",
        "warning: night.csv:4: inverted.png is 75% white, and white is what gets filled: is it inverted? "
        "If so, set mask_from: black",
        "warning: night.csv:3: small.png is 32x24, its picture 64x48: the mask is scaled",
        "rows by what was found in their pictures: empty 1, polarity 1, size 1",
        *(f"prompt of r{n}: picture {n}" for n in (1, 2, 3)),
        "r1: 64x48 is generated at 1152x864; its mask fills 27%",
        "r2: 64x48 is generated at 1152x864; its mask fills 25%",
        "r3: 64x48 is generated at 1152x864; its mask fills 75%",
        "3 rows right, 1 mistake",
        checked.out.splitlines()[-1],
    ]


async def test_json_tells_the_same_to_a_program(batchfill: Any, desk: Any) -> None:
    rows = desk.rows(2)
    ImageOps.invert(mask()).save(desk.folder / "masks" / "inverted.png")
    rows[0]["mask"] = "masks/inverted.png"
    rows[1]["guidance"] = "1000"
    rows[0]["guidance"] = ""
    desk.write(rows)
    checked = await batchfill("check", "night.csv", "--json")
    assert checked.code == 2
    told = json.loads(checked.out)
    assert told["file"] == "night.csv"
    assert told["mistakes"] == [
        {"line": 3, "rows": 1, "kind": None, "text": "guidance must be between 0 and 100, not 1000"}
    ]
    (finding,) = told["findings"]
    assert finding.pop("text").startswith("inverted.png is 75% white")
    assert finding == {"weight": "warning", "kind": "polarity", "line": 2, "id": "r1", "rows": 1}
    assert told["kinds"] == {"polarity": 1}
    (size,) = told["sizes"]
    assert (size["picture"], size["area"], size["generated"]) == ([64, 48], None, [1152, 864])
    assert (size["rows"], size["ids"]) == (1, ["r1"])
    assert size["cover"][0] == size["cover"][1] == pytest.approx(0.75)
    assert (told["rows"], told["more_mistakes"], told["more_findings"], told["not_looked_at"]) == (1, 0, 0, 0)
    assert told["cost"] == {"to_go": 0.04, "currency": "USD"}


async def test_what_is_at_addresses_is_left_alone_and_counted(batch: Open, desk: Any, shop: Shop) -> None:
    rows = desk.rows(2)
    rows[0] |= {"image": f"{shop.base}/a.png", "mask": f"{shop.base}/m.png"}
    report = await batch(shop.base, rows).check()
    assert (shop.asked, report.pictures.remote) == ([], 2)


async def test_fetch_looks_at_what_is_at_addresses_and_shows_nobody_the_token(
    batch: Open, desk: Any, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    rows = desk.rows(5)
    for row, name in zip(rows, ("m", "inverted", "moved", "page", "none"), strict=True):
        row |= {"image": f"{shop.base}/a.png", "mask": f"{shop.base}/{name}.png?signature=secret"}
    report = await batch(shop.base, rows).check(fetch=True)
    assert [(mistake.line, mistake.kind, mistake.message) for mistake in report.mistakes] == [
        (5, "unreadable", "page.png is a web page, not a picture")
    ]
    assert kinds(report) == {"unreadable": 1, "polarity": 1, "unfetched": 1}
    polarity, unfetched = report.pictures.found
    assert polarity.finding.text.endswith("is it inverted?")
    assert (polarity.line, unfetched.line, unfetched.id) == (3, 6, "r5")
    assert unfetched.finding.text == (
        f"{shop.base}/none.png cannot be looked at: {shop.base}/none.png answered 404"
    )
    assert report.pictures.remote == 0
    assert "Authorization" not in shop.headers
    assert list(temporary.iterdir()) == []


async def test_few_are_fetched_at_once_and_each_only_once(batch: Open, desk: Any, shop: Shop) -> None:
    shop.waits_for = remote.AT_ONCE
    rows = desk.rows(60)
    for n, row in enumerate(rows):
        shop.files[f"/{n % 30}.png"] = shop.files["/m.png"]
        row |= {"image": f"{shop.base}/a.png", "mask": f"{shop.base}/{n % 30}.png"}
    report = await batch(shop.base, rows).check(fetch=True)
    assert kinds(report) == {}
    assert sorted(shop.asked) == sorted([*(f"/{n}.png" for n in range(30)), *["/a.png"] * 30])
    assert shop.most == remote.AT_ONCE


async def test_a_private_address_is_not_asked_for_a_provider_far_away(
    batch: Open, desk: Any, shop: Shop
) -> None:
    rows = desk.rows(1)
    rows[0]["mask"] = f"{shop.base}/m.png"
    report = await batch("https://93.184.215.14/v1", rows).check(fetch=True)
    assert kinds(report) == {"unfetched": 1}
    assert "is an address of a private network" in report.pictures.found[0].finding.text
    assert shop.asked == []


async def test_fetch_is_a_flag_of_the_command(batchfill: Any, desk: Any, shop: Shop) -> None:
    rows = desk.rows(1)
    rows[0] |= {"image": f"{shop.base}/a.png", "mask": f"{shop.base}/inverted.png"}
    desk.write(rows)
    checked = await batchfill("check", "night.csv", "--fetch", "--local")
    assert checked.code == 0, checked.err
    assert "warning: night.csv:2: inverted.png is 75% white" in checked.out
    assert "r1: 64x48 is generated at 1152x864; its mask fills 75%" in checked.out


async def test_a_picture_that_was_found_in_another_case_is_told_and_fingerprinted_as_ever(
    batch: Open, desk: Any
) -> None:
    rows = desk.rows(2)
    other = {**rows[0], "id": "upper", "image": rows[0]["image"].upper()}
    assert not (desk.folder / other["image"]).exists(), "this test needs names that case tells apart"

    report = await batch(NOWHERE, [rows[0], other]).check()

    (found,) = report.pictures.found
    assert (found.line, found.finding.severity.value, found.finding.kind.value) == (3, "note", "case")
    assert found.finding.text == (
        f"{other['image']} is {rows[0]['image']} here: the case of its letters differs"
    )
    assert (report.rows, report.mistakes) == (2, ())
