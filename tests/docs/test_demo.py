"""What `make demo` says at its end is so."""

from __future__ import annotations

import csv
import re

from tests.docs.pages import ROOT


def test_the_pictures_that_the_demo_names_are_made_as_it_says() -> None:
    told = dict(re.findall(r'@echo "  (\S+\.\w+) +(.+)"', (ROOT / "Makefile").read_text("utf-8")))
    with (ROOT / "jobs" / "demo.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    jpeg, enlarged, boxed = (rows[name.partition(".")[0]] for name in told)
    assert "exact JPEG" in told["rocket-moon.jpg"]
    assert (jpeg["finish"], jpeg["image"][-4:]) == ("exact", ".jpg")
    assert told["coffee-poster.png"] == f"enlarged to {enlarged['aspect']}"
    assert "box" in told["cat-collar.png"]
    assert boxed["mask"].startswith("box:")
