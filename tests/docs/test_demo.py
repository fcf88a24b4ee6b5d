"""What `batchfill demo` says at its end is so."""

from __future__ import annotations

import csv

from batchfill.console.render_demo import PICTURES
from tests.docs.pages import ROOT


def test_the_pictures_that_the_demo_names_are_made_as_it_says() -> None:
    with (ROOT / "jobs" / "demo.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    jpeg, enlarged, boxed = (rows[name.partition(".")[0]] for name in PICTURES)
    assert "exact JPEG" in PICTURES["rocket-moon.jpg"]
    assert (jpeg["finish"], jpeg["image"][-4:]) == ("exact", ".jpg")
    assert PICTURES["coffee-poster.png"] == f"enlarged to {enlarged['aspect']}"
    assert "box" in PICTURES["cat-collar.png"]
    assert boxed["mask"].startswith("box:")
