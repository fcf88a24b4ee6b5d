"""People's files, each from nothing to filled pictures by the commands of its section in your-files.md."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.docs.pages import ROOT, text_of
from tests.docs.play import make_environ
from tests.support.bounds import HANGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.fork_server import ForkServer

PAGE = ROOT / "docs" / "your-files.md"
SIZE = (48, 36)


def picture(shade: int) -> Image.Image:
    return Image.linear_gradient("L").resize(SIZE).point([min(255, n // 2 + shade) for n in range(256)])


def mask() -> Image.Image:
    drawn = Image.new("L", SIZE)
    drawn.paste(255, (12, 9, 30, 24))
    return drawn


def shop(folder: Path) -> None:
    """46 columns, among them one of pictures, some of money, and one of text with a comma and quotes."""
    (folder / "img").mkdir()
    names = ["Handle", "Title", "Body (HTML)", "Image Src", "Variant Price", "Published"]
    names += [f"Google Shopping / Custom Label {n}" for n in range(46 - len(names))]
    with (folder / "products.csv").open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        for n, title in enumerate(("Lamp", "Chair, oak")):
            picture(60 + n).convert("RGB").save(folder / f"img/{n}.jpg")
            cells = [title.lower(), title, '<p class="a">Text</p>', f"img/{n}.jpg", "19,90", "TRUE"]
            table.writerow(cells + [""] * (46 - len(cells)))


def office(folder: Path) -> None:
    """A workbook with German names, a decimal comma as text, a number, and an empty line."""
    import openpyxl

    (folder / "Bilder").mkdir()
    mask().save(folder / "Bilder/Fläche.png")
    made = openpyxl.Workbook()
    sheet: Any = made.active
    sheet.append(["Bild", "Maske", "Text", "Stärke"])
    for n, strength in enumerate(("3,5", 30)):
        picture(40 + n).convert("RGB").save(folder / f"Bilder/Straße {n}.jpg")
        sheet.append([rf"Bilder\Straße {n}.jpg", r"Bilder\Fläche.png", "leere Straße, früh", strength])
        sheet.append([])
    made.save(folder / "Bilder.xlsx")


def iphone(folder: Path) -> None:
    """HEIC pictures with capital suffixes, and the files that a Mac leaves beside them."""
    import pillow_heif

    (folder / "iphone").mkdir()
    for n in (1, 2):
        name = folder / f"iphone/IMG_000{n}.HEIC"
        pillow_heif.from_pillow(picture(50 + n).convert("RGB")).save(name, format="HEIF")
    (folder / "iphone/.DS_Store").write_bytes(b"\0")
    (folder / "iphone/IMG_0001.AAE").write_text("<plist/>")
    mask().save(folder / "mask.png")


def labelme(folder: Path) -> None:
    """Polygons and a box, with corners between pixels; the pictures are next to their JSON."""
    (folder / "labelme").mkdir()
    polygon = {"shape_type": "polygon", "points": [[4.5, 3.25], [20, 4], [12.75, 20.0]], "label": "a"}
    box = {"shape_type": "rectangle", "points": [[30, 8], [44, 30.5]], "label": "b"}
    for n, shapes in enumerate(([polygon], [polygon, box])):
        picture(70 + n).convert("RGB").save(folder / f"labelme/{n}.jpg")
        label = {"version": "5.4.1", "imagePath": f"{n}.jpg", "imageData": None, "shapes": shapes}
        (folder / f"labelme/{n}.json").write_text(json.dumps(label))


WAYS = {
    "Shop export": (shop, "products"),
    "Excel file": (office, "Bilder"),
    "Folder of iPhone pictures": (iphone, "iphone"),
    "LabelMe export": (labelme, "labelme/manifest"),
}


def commands_of(section: str) -> list[str]:
    found = re.search(rf"^## {section}\n.*?^```sh norun\n(.*?)^```$", text_of(PAGE), re.DOTALL | re.MULTILINE)
    assert found, section
    return found[1].splitlines()


def test_every_section_of_the_page_is_a_way() -> None:
    assert re.findall(r"^## (.+)$", text_of(PAGE), re.MULTILINE) == list(WAYS)


@pytest.mark.parametrize("section", WAYS)
def test_files_as_people_have_them_become_pictures_in_at_most_three_commands(
    section: str, tmp_path: Path, fork_server: ForkServer
) -> None:
    commands = commands_of(section)
    if commands[0].startswith("jq") and shutil.which("jq") is None:
        pytest.skip("needs jq")
    make: Callable[[Path], None]
    make, stem = WAYS[section]
    make(tmp_path)
    environ = make_environ(tmp_path, fork_server)
    assert len(commands) <= 3
    for command in commands:
        if command.startswith("batchfill check"):
            # `run` reads the rows in the same way, and a process takes its time.
            continue
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=HANGS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    made = list((tmp_path / f"{stem}.local.batch" / "outputs").glob("*.*"))
    assert len(made) == 2
