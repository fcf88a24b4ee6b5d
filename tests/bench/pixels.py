"""What a photograph keeps when a part of it is filled, and what that costs: `python -m tests.bench.pixels`.

Three tables as Markdown. The first: one photograph of 12 megapixels, sent whole or as what surrounds its
mask, its output taken as it is or finished. Inside the mask there is a truth to hold an output against only
for a model that changes nothing: what was sent, at the size at which the model works. Outside it is the
local emulator's output, with the losses of its WebP. The second: finishing, by format and size, each kind
in a process of its own. The third: many rows at once, as a run works on them, by two processes.
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from PIL import Image
from PIL.Image import Resampling

from batchfill.catalog.builtin import find_model
from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.images.composite.composite import FinishTask, make_composite
from batchfill.images.inpaint import PaintTask, inpaint_files
from batchfill.images.prepare.fit import FitTask, fit_files
from batchfill.images.prepare.grow import fade_mask
from batchfill.images.prepare.mask import read_mask
from batchfill.workers.pool import Processes
from tests.bench import photograph, results
from tests.bench.measure import measured
from tests.bench.tables import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Box
    from batchfill.images.prepare.fit import Fitted

    Values = NDArray[np.float32]

SIZES = {"12": (4032, 3024), "24": (6000, 4000)}
"""By megapixels."""
FORMATS = (None, "webp", "jpg")
SHARES = {"small": 0.2, "large": 0.8}
"""Of the picture's sides, that the mask takes."""
ROUNDS = 3
SHARP = Pixels(finish="exact")
LATER = 60
"""Rows after which the peak should be what it was after ten."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one way to send and to finish leaves of a photograph."""

    way: str
    generated: str
    outside: float
    """PSNR in dB against the original."""
    inside: float
    """The same for a model that changes nothing."""
    detail: float
    """Energy of its finest frequencies inside the mask, as a share of the original's."""
    fit_ms: float
    """CPU time."""
    finish_ms: float | None


def main() -> None:
    """Print the tables; or do one part of the work, in a process that this one started."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pixels", description=__doc__)
    parser.add_argument("part", nargs="*", help=argparse.SUPPRESS)
    part = parser.parse_args().part
    if part:
        _PARTS[part[0]](*part[1:])
        return
    print(results.circumstances("python -m tests.bench.pixels"), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measured("tests.bench.pixels", "make", folder, folder=Path(folder))
        print(measured("tests.bench.pixels", "compare", folder, folder=Path(folder)).said)
        print(*_alone(Path(folder)), "", *_together(Path(folder)), sep="\n", flush=True)


def make(folder: str) -> None:
    """Write the photographs, their masks and what stands for their outputs to *folder*."""
    for name, size in SIZES.items():
        picture = photograph.mosaic(*size)
        picture.save(Path(folder, f"{name}.jpg"), quality=92)
        picture.resize((1152, 768), Resampling.LANCZOS).save(Path(folder, f"{name}-raw.webp"), quality=80)
        for kind, share in SHARES.items():
            photograph.ellipse(*size, share).save(Path(folder, f"{name}-{kind}.png"))


def compare(folder: str) -> None:
    """Print the first table."""
    print(
        line_of("sent, finished", "made at", "PSNR outside", "PSNR inside", "detail inside", "fit", "finish")
    )
    print(line_of("---", *["---:"] * 6))
    for area in ("whole", "mask"):
        for kept in _compared(Path(folder), Pixels(area=area, finish="exact")):
            finishing = "" if kept.finish_ms is None else f"{kept.finish_ms:,.0f} ms"
            figures = (_decibel(kept.outside), _decibel(kept.inside), f"{kept.detail:.0%}")
            print(line_of(kept.way, kept.generated, *figures, f"{kept.fit_ms:,.0f} ms", finishing))


def _compared(folder: Path, pixels: Pixels) -> Iterator[Kept]:
    picture, mask = folder / "12.jpg", folder / "12-small.png"
    task = FitTask(picture.read_bytes(), mask.read_bytes(), pixels, _model().size_rule)
    fitted, fit_ms = _timed(fit_files, task)
    painted, same, made = _made(folder, fitted)
    original, hole = _opened(picture), _hole(mask, pixels)
    box = fitted.area or (0, 0, *original.size)
    part, hole_part = original.crop(box), hole.crop(box)
    raw, plain = (_opened(each).resize(part.size, Resampling.LANCZOS) for each in (painted, same))
    yield Kept(f"{pixels.area}, raw", made, *_figures(part, raw, plain, hole_part), fit_ms, None)
    for form in FORMATS:
        finished, finish_ms = _finished(folder, painted, pixels, fitted.area, form)
        unchanged, _ = _finished(folder, same, pixels, fitted.area, form)
        figures = _figures(original, finished, unchanged, hole)
        yield Kept(f"{pixels.area}, exact, {form or 'png'}", made, *figures, fit_ms, finish_ms)


def _made(folder: Path, fitted: Fitted) -> tuple[Path, Path, str]:
    """Return the output of the local emulator, one of a model that changes nothing, and their size."""
    assert fitted.picture is not None
    assert fitted.mask is not None
    size = _model().generated_size(*fitted.picture.size, {})
    assert size is not None
    painted, same = folder / "painted.webp", folder / "same.png"
    task = PaintTask(fitted.picture.content, fitted.mask.content, size, (1,), "webp", 80)
    painted.write_bytes(inpaint_files(task)[0])
    with Image.open(io.BytesIO(fitted.picture.content)) as sent:
        sent.convert("RGB").resize(size, Resampling.LANCZOS).save(same)
    return painted, same, f"{size[0]}x{size[1]}"


def _model() -> Model:
    found = find_model("black-forest-labs/flux-fill-dev")
    assert found is not None
    return found


def _finished(
    folder: Path, output: Path, pixels: Pixels, area: Box | None, form: str | None
) -> tuple[Image.Image, float]:
    """Return the finished picture, and the milliseconds of CPU that it took."""
    task = _task(folder, "12", "small", form, output=output, pixels=pixels, area=area)
    _, spent = _timed(make_composite, task)
    return _opened(task.target), spent


def _task(folder: Path, name: str, kind: str, form: str | None, **other: Any) -> FinishTask:
    output = other.get("output", folder / f"{name}-raw.webp")
    picture, mask = _local(folder / f"{name}.jpg"), _local(folder / f"{name}-{kind}.png")
    target = folder / f"finished-{other.get('number', 0)}"
    pixels, area = other.get("pixels", SHARP), other.get("area")
    return FinishTask(output, picture, mask, pixels, area, target, form, {"prompt": "a fox"})


def _figures(
    original: Image.Image, result: Image.Image, unchanged: Image.Image, hole: Image.Image
) -> tuple[float, float, float]:
    """Return PSNR outside, PSNR inside and the share of the detail inside."""
    greys = np.asarray(hole)
    inside = greys == 255
    share = detail(unchanged, inside) / detail(original, inside)
    return psnr(original, result, greys == 0), psnr(original, unchanged, inside), share


def psnr(one: Image.Image, other: Image.Image, where: NDArray[np.bool_]) -> float:
    """Return how alike two pictures are *where* it matters, in dB."""
    apart = np.asarray(one)[where].astype(np.float32) - np.asarray(other)[where]
    error = float(np.mean(np.square(apart), dtype=np.float64))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def detail(image: Image.Image, where: NDArray[np.bool_]) -> float:
    """Return the mean square of what a pixel differs from its four neighbours by, in grey levels."""
    grey: Values = np.asarray(image.convert("L"), np.float32)
    fine = np.zeros_like(grey)
    fine[1:-1, 1:-1] = (
        grey[1:-1, 1:-1] - (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    )
    return float(np.mean(np.square(fine[where]), dtype=np.float64))


def _alone(folder: Path) -> Iterator[str]:
    """Yield the second table."""
    yield line_of("megapixels, mask, format", "CPU a picture", "file", "peak memory")
    yield line_of("---", *["---:"] * 3)
    for name, kind, form in product(SIZES, SHARES, FORMATS):
        used = measured("tests.bench.pixels", "once", str(folder), name, kind, str(form), folder=folder)
        yield line_of(f"{name}, {kind}, {form or 'png'}", *used.said.split("\t"), f"{used.peak_mb:.0f} MB")


def _together(folder: Path) -> Iterator[str]:
    """Yield the third table."""
    yield line_of("24 megapixels, large mask", "CPU a picture", "peak of either process")
    yield line_of("---", *["---:"] * 2)
    for rows, form in (*product((10,), FORMATS), (LATER, "jpg")):
        used = measured("tests.bench.pixels", "many", str(folder), str(form), str(rows), folder=folder)
        yield line_of(f"{rows} rows at once, {form or 'png'}", *used.said.split("\t"))


def once(folder: str, name: str, kind: str, form: str) -> None:
    """Finish one picture and say what it took."""
    task = _task(Path(folder), name, kind, None if form == "None" else form)
    began = time.process_time()
    answer = make_composite(task)
    print(f"{(time.process_time() - began) * 1000:,.0f} ms\t{answer.size / 1e6:.1f} MB", end="")


def many(folder: str, form: str, rows: str) -> None:
    """Finish many large pictures, all asked for at once, and say what the processes took."""
    anyio.run(_many, Path(folder), None if form == "None" else form, int(rows))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (used.ru_utime + used.ru_stime) * 1000 / int(rows)
    print(f"{spent:,.0f} ms\t{used.ru_maxrss / 1024:.0f} MB", end="")


async def _many(folder: Path, form: str | None, rows: int) -> None:
    workers = Processes(2)
    async with anyio.create_task_group() as group:
        for number in range(rows):
            task = _task(folder, "24", "large", form, number=number % 10)
            group.start_soon(workers.do, make_composite, task)
    workers.close()


def _timed(work: Callable[[Any], Any], task: Any) -> tuple[Any, float]:
    """Return what *work* makes of *task*, and its milliseconds of CPU: the median of some rounds."""
    spent, answer = [], None
    for _ in range(ROUNDS):
        began = time.process_time()
        answer = work(task)
        spent.append((time.process_time() - began) * 1000)
    return answer, median(spent)


def _hole(mask: Path, pixels: Pixels) -> Image.Image:
    with Image.open(mask) as image:
        size = image.size
    return fade_mask(read_mask(mask, pixels, mask.name, size), pixels.mask_feather)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _local(path: Path) -> LocalFile:
    content = path.read_bytes()
    return LocalFile(path, Stamp(len(content), 0), sha256(content).hexdigest())


def _decibel(figure: float) -> str:
    return "infinite" if figure == float("inf") else f"{figure:.1f} dB"


_PARTS: dict[str, Callable[..., None]] = {"make": make, "compare": compare, "once": once, "many": many}

if __name__ == "__main__":
    main()
