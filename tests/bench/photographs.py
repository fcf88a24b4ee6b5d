"""The tables of photographs: what each step costs by size, mask and original, and what short scripts cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import product
from statistics import median
from typing import TYPE_CHECKING

from batchfill.workers.worker import KEPT_MEMORY
from tests.bench.measure import ENVIRON, measured
from tests.bench.tables import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SIZES = ("12", "24")
"""Megapixels."""
ORIGINALS = ("jpg", "png", "webp")
MASKS = ("small", "large", "strokes")

OURS = "batchfill"
SCRIPTS = {
    "Pillow script": ("pillow_script", "PIL"),
    "libvips script": ("vips_script", "pyvips"),
    "OpenCV script": ("opencv_script", "cv2"),
}
"""By the name of what is in `peers/`, and the package that it needs."""
COMPARED = ("jpg", "png")
"""The originals of the second table, of 12 megapixels with the small mask."""


@dataclass(frozen=True, slots=True)
class Photo:
    """What one photograph took; times are milliseconds of CPU."""

    check: float
    prepare: float
    finish: float
    """Finishing and judging."""
    thumbnail: float
    sent_kb: float
    written_mb: float
    peak_mb: float
    """Of the process that did all of it."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a script took for one photograph; times are milliseconds of CPU."""

    prepare: float
    finish: float
    peak_mb: float


def measure_steps(rounds: int, folder: Path, say: Callable[[str], object]) -> dict[str, Photo]:
    """Return the medians of each kind of photograph; the kinds are taken in turn, a process each."""
    kinds = [", ".join(kind) for kind in product(SIZES, ORIGINALS, MASKS)]
    found: dict[str, list[Photo]] = {kind: [] for kind in kinds}
    for number, kind in product(range(1, rounds + 1), kinds):
        say(f"round {number} of {rounds}: a photograph, {kind}")
        found[kind].append(_walk(folder, *kind.split(", ")))
    return {kind: Photo(**_medians(photos)) for kind, photos in found.items()}


def measure_scripts(rounds: int, folder: Path, say: Callable[[str], object]) -> dict[str, Script]:
    """Return the medians of batchfill and of each script whose package is there, by original and name."""
    present = {name: script for name, (script, package) in SCRIPTS.items() if find_spec(package)}
    names = [f"{original}, {name}" for original in COMPARED for name in (OURS, *present)]
    found: dict[str, list[Script]] = {name: [] for name in names}
    for number, name in product(range(1, rounds + 1), names):
        say(f"round {number} of {rounds}: {name}")
        original, client = name.split(", ")
        found[name].append(_ours(folder, original) if client == OURS else _script(folder, original, client))
    return {name: Script(**_medians(scripts)) for name, scripts in found.items()}


def steps_table(found: Mapping[str, Photo]) -> Iterator[str]:
    """Yield what each kind of photograph took."""
    yield line_of(
        "megapixels, original, mask",
        "`check`",
        "prepare",
        "finish and judge",
        "thumbnail",
        "sent",
        "written",
        "peak memory",
    )
    yield line_of("---", *["---:"] * 7)
    for kind, photo in found.items():
        times = (photo.check, photo.prepare, photo.finish, photo.thumbnail)
        sizes = (f"{photo.sent_kb:,.0f} kB", f"{photo.written_mb:.1f} MB", f"{photo.peak_mb:.0f} MB")
        yield line_of(kind, *(f"{time:,.0f} ms" for time in times), *sizes)


def scripts_table(found: Mapping[str, Script]) -> Iterator[str]:
    """Yield what batchfill and the scripts took, with the ratio to batchfill."""
    yield line_of("original, by", "prepare", "finish", "both", "peak memory")
    yield line_of("---", *["---:"] * 4)
    for name, script in found.items():
        ours = found[f"{name.partition(', ')[0]}, {OURS}"]
        both, our_both = script.prepare + script.finish, ours.prepare + ours.finish
        ratio = "" if script is ours else f" ({both / our_both:.2f}×)"
        times = (f"{script.prepare:,.0f} ms", f"{script.finish:,.0f} ms", f"{both:,.0f} ms{ratio}")
        yield line_of(name, *times, f"{script.peak_mb:.0f} MB")


def _walk(folder: Path, stem: str, original: str, mask: str) -> Photo:
    # As a worker has it.
    environ = {**ENVIRON, **KEPT_MEMORY}
    used = measured("tests.bench.photo_work", stem, original, mask, folder=folder, environ=environ)
    return Photo(**json.loads(used.said), peak_mb=used.peak_mb)


def _ours(folder: Path, original: str) -> Script:
    photo = _walk(folder, "12", original, "small")
    return Script(photo.prepare, photo.finish, photo.peak_mb)


def _script(folder: Path, original: str, name: str) -> Script:
    files = [str(folder / file) for file in (f"12.{original}", "12-small.png", "12-raw.webp")]
    module = f"tests.bench.peers.{SCRIPTS[name][0]}"
    target = str(folder / f"by-script.{original}")
    prepare, finish = (
        measured(module, step, *files, target, folder=folder) for step in ("prepare", "finish")
    )
    peak_mb = max(prepare.peak_mb, finish.peak_mb)
    return Script(float(prepare.said), float(finish.said), peak_mb)


def _medians(found: Sequence[Photo] | Sequence[Script]) -> dict[str, float]:
    every = [asdict(one) for one in found]
    return {name: median(one[name] for one in every) for name in every[0]}
