"""How well flags tell spoilt outputs from good ones: `python -m tests.images.calibration` prints a table.

The photographs and masks of `jobs/`, filled at the size at which the model works. Good: the classical fill,
and other photographs blended in over a few pixels, in every format and quality. Spoilt: what goes wrong with
services and settings, in several strengths. All of it drawn from one seed.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from batchfill.catalog import Pixels, find
from batchfill.images.fill import fill
from batchfill.images.flags import FlagTask, flag
from batchfill.values import FLAGS

JOBS = Path(__file__).parents[2] / "jobs"
ENCODINGS = (("WEBP", 80), ("WEBP", 60), ("JPEG", 90), ("JPEG", 70), ("PNG", 0))
MODEL = find("black-forest-labs/flux-fill-dev")
assert MODEL is not None
RULE = MODEL.size_rule
assert RULE is not None


@dataclass(frozen=True)
class Scene:
    """One photograph with one mask, at the size at which the model works."""

    picture: Path
    mask: Path
    before: Image.Image
    hole: Image.Image


def scenes() -> list[Scene]:
    found = []
    for mask in sorted((JOBS / "masks").glob("*.png")):
        (picture,) = (JOBS / "photographs").glob(f"{mask.stem.partition('-')[0]}.*")
        photo, hole = Image.open(picture).convert("RGB"), Image.open(mask).convert("L")
        size = RULE.generated(*RULE.fitting(*photo.size, {}), {}) if RULE else photo.size
        before = photo.resize(size, Image.Resampling.LANCZOS)
        found.append(Scene(picture, mask, before, hole.resize(size, Image.Resampling.BILINEAR)))
    return found


def filled(scene: Scene, seed: int) -> Image.Image:
    pixels = fill(np.asarray(scene.before), np.asarray(scene.hole), seed)
    return Image.fromarray(pixels)


def blended(scene: Scene, other: Scene, soft: int) -> Image.Image:
    """Another photograph in the hole, its border blurred over *soft* pixels, as a model blends it."""
    patch = ImageOps.fit(other.before, scene.before.size)
    hard = scene.hole.filter(ImageFilter.MinFilter(2 * (soft // 2) + 1)).filter(ImageFilter.BoxBlur(soft / 2))
    return Image.composite(patch, scene.before, hard)


def goods(scene: Scene, others: list[Scene], chance: random.Random) -> Iterator[tuple[str, Image.Image]]:
    for _ in range(3):
        yield "filled", filled(scene, chance.randrange(2**31))
    for other in others[:3]:
        yield "blended", blended(scene, other, chance.choice((8, 12)))


Spoil = Callable[[Scene, Scene, random.Random], Image.Image]


def _enhanced(kind: type[ImageEnhance.Brightness | ImageEnhance.Color | ImageEnhance.Contrast]) -> Spoil:
    def spoil(scene: Scene, _: Scene, chance: random.Random) -> Image.Image:
        share = 1 + chance.choice((-1, 1)) * chance.choice((0.05, 0.07, 0.1))
        if kind is ImageEnhance.Color:
            share = chance.choice((0.4, 0.6, 1.6))
        return kind(filled(scene, chance.randrange(2**31))).enhance(share)

    return spoil


def _moved(scene: Scene, _: Scene, chance: random.Random) -> Image.Image:
    by = chance.choice((2, 3, 5, 8))
    whole = filled(scene, chance.randrange(2**31))
    return whole.transform(
        whole.size, Image.Transform.AFFINE, (1, 0, by, 0, 1, -by), Image.Resampling.BICUBIC
    )


def _zoomed(scene: Scene, _: Scene, chance: random.Random) -> Image.Image:
    whole = filled(scene, chance.randrange(2**31))
    by = chance.choice((0.01, 0.02, 0.03))
    width, height = whole.size
    box = (by * width / 2, by * height / 2, width * (1 - by / 2), height * (1 - by / 2))
    return whole.resize(whole.size, Image.Resampling.BICUBIC, box=box)


def _pasted(scene: Scene, other: Scene, chance: random.Random) -> Image.Image:
    patch = filled(scene, chance.randrange(2**31))
    by = chance.choice((25, 35, 50)) * chance.choice((-1, 1))
    off = patch.point([min(max(v + by, 0), 255) for v in range(256)] * 3)
    return Image.composite(off, scene.before, scene.hole.point([255 * (v > 127) for v in range(256)]))


def _plain(scene: Scene, _: Scene, chance: random.Random) -> Image.Image:
    return Image.new(
        "RGB", scene.before.size, chance.choice(((0, 0, 0), (128, 128, 128), (255, 255, 255), (7, 9, 8)))
    )


def _smaller(scene: Scene, _: Scene, chance: random.Random) -> Image.Image:
    width, height = scene.before.size
    by = chance.choice((32, 64, 160))
    return filled(scene, chance.randrange(2**31)).resize((width - by, height - by))


SPOILS: dict[str, list[Spoil]] = {
    "blank": [_plain] * 3,
    "unchanged": [lambda scene, *_: scene.before] * 4,
    "drift": [
        _enhanced(ImageEnhance.Brightness),
        _enhanced(ImageEnhance.Contrast),
        _enhanced(ImageEnhance.Color),
        _moved,
        _zoomed,
    ],
    "seam": [_pasted] * 3,
    "size": [_smaller] * 2,
}


def saved(image: Image.Image, folder: Path, n: int, chance: random.Random) -> Path:
    kind, quality = chance.choice(ENCODINGS)
    path = folder / f"{n}.{kind.lower()}"
    target = io.BytesIO()
    image.save(target, kind, quality=quality)
    path.write_bytes(target.getvalue())
    return path


def judged(scene: Scene, *outputs: Path) -> tuple[tuple[str, ...], ...]:
    return flag(FlagTask(outputs, scene.picture, scene.mask, Pixels(), None, RULE, ()))


def calibrate(
    folder: Path, share: int = 1, *, seed: int = 11
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return spoilt outputs by flag, those caught, and flags on good outputs, of every *share*-th scene."""
    chance = random.Random(seed)
    found = scenes()[::share]
    spoilt, caught, alarms = Counter[str](), Counter[str](), Counter[str]()
    for scene in found:
        others = [one for one in found if one.picture != scene.picture]
        chance.shuffle(others)
        for n, (kind, image) in enumerate(goods(scene, others, chance)):
            (words,) = judged(scene, saved(image, folder, n, chance))
            alarms[f"good: {kind}"] += 1
            alarms.update(words)
            alarms["flagged"] += bool(words)
            if words and "-v" in sys.argv:
                print(f"{scene.mask.stem}: {kind}: {words}")
        for word, spoils in SPOILS.items():
            for n, spoil in enumerate(spoils):
                image = spoil(scene, others[0], chance)
                (words,) = judged(scene, saved(image, folder, n, chance))
                spoilt[word] += 1
                caught[word] += word in words
                if word not in words and "-v" in sys.argv:
                    print(f"{scene.mask.stem}: {word} {spoil.__name__} not caught: {words}")
        image = filled(scene, chance.randrange(2**31))
        again, other = saved(image, folder, 20, chance), saved(filled(scene, 5), folder, 21, chance)
        first = saved(image, folder, 22, chance)
        spoilt["duplicate"] += 1
        _, copied, new = judged(scene, first, again, other)
        caught["duplicate"] += "duplicate" in copied
        alarms["good: another seed"] += 1
        alarms["duplicate"] += "duplicate" in new
        alarms["flagged"] += "duplicate" in new
    return spoilt, caught, alarms


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        spoilt, caught, alarms = calibrate(Path(name))
    good = sum(count for kind, count in alarms.items() if kind.startswith("good"))
    print("| flag | spoilt | caught | false alarms |\n| --- | ---: | ---: | ---: |")
    for word in FLAGS:
        print(f"| `{word}` | {spoilt[word]} | {caught[word]} | {alarms[word]} |")
    print(f"| any | {spoilt.total()} | {caught.total()} | {alarms['flagged']} of {good} |")


if __name__ == "__main__":
    main()
