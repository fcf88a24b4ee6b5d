"""The tables of photographs."""

from __future__ import annotations

import numpy as np

from tests.bench.photograph import strokes
from tests.bench.photographs import OURS, Photo, Script, scripts_table, steps_table

PHOTO = Photo(check=80.4, prepare=120, finish=400, thumbnail=20, sent_kb=1800, written_mb=3.14, peak_mb=111.6)


def test_a_photograph_is_a_line_with_its_units() -> None:
    *_, line = steps_table({"12, jpg, small": PHOTO})

    assert line == ("| 12, jpg, small | 80 ms | 120 ms | 400 ms | 20 ms | 1,800 kB | 3.1 MB | 112 MB |")


def test_each_script_is_held_against_batchfill_at_the_same_original() -> None:
    found = {
        f"jpg, {OURS}": Script(100, 300, 110),
        "jpg, Pillow script": Script(300, 700, 200),
        f"png, {OURS}": Script(200, 300, 110),
        "png, Pillow script": Script(50, 200, 300),
    }

    lines = list(scripts_table(found))[2:]

    assert [line.split(" | ")[3] for line in lines] == [
        "400 ms",
        "1,000 ms (2.50×)",
        "500 ms",
        "250 ms (0.50×)",
    ]


def test_strokes_are_thin_and_cross_the_picture() -> None:
    mask = np.asarray(strokes(400, 300)) > 0
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]

    assert 0.01 < mask.mean() < 0.1
    assert np.ptp(rows) > 200
    assert np.ptp(columns) > 300
