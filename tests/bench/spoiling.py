"""Outputs as a model should make them, and as it should not, made from photographs and masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from batchfill.images.inpaint import fill_masked

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from batchfill.catalog.sizes import Size


@dataclass(frozen=True)
class Scene:
    """One photograph with one mask, at a size at which the model works."""

    name: str
    picture: Path
    mask: Path
    megapixels: str
    """What the model's input of this name was."""
    before: Image.Image
    hole: Image.Image
    other: Image.Image
    """Another photograph, at the same size."""


Make = Callable[[Scene, Random], Image.Image]


def filled(scene: Scene, chance: Random) -> Image.Image:
    """The classical fill, which is smooth."""
    pixels = fill_masked(np.asarray(scene.before), np.asarray(scene.hole), chance.randrange(2**31))
    return Image.fromarray(pixels)


def textured(scene: Scene, chance: Random) -> Image.Image:
    """The classical fill with the fine detail of another photograph."""
    smooth, other = filled(scene, chance), _turned(scene.other, chance)
    detail = np.asarray(other, float) - np.asarray(other.filter(ImageFilter.GaussianBlur(6)), float)
    return _blended(_clipped(np.asarray(smooth, float) + chance.choice((1, 2)) * detail), smooth, scene, 8)


def patched(scene: Scene, chance: Random) -> Image.Image:
    """Another photograph in the hole."""
    return _blended(_turned(scene.other, chance), scene.before, scene, chance.choice((8, 12, 16)))


def edged(scene: Scene, chance: Random) -> Image.Image:
    """The classical fill with bars of strong colours across it, which end where it does."""
    base = filled(scene, chance)
    bars = base.copy()
    draw = ImageDraw.Draw(bars)
    width, height = bars.size
    for _ in range(chance.choice((3, 6, 12))):
        ends = [chance.randrange(width), 0, chance.randrange(width), height]
        if chance.random() < 0.5:
            ends = [0, chance.randrange(height), width, chance.randrange(height)]
        draw.line(ends, _colour(chance), width=chance.choice((3, 9, 40)))
    return _blended(bars, base, scene, 8)


def rebuilt(scene: Scene, chance: Random) -> Image.Image:
    """Any of those as a model's decoder draws it: all of it a little softer, with a faint grain."""
    sharp = chance.choice((filled, textured, patched, edged))(scene, chance)
    soft = Image.blend(sharp, sharp.filter(ImageFilter.GaussianBlur(1)), 0.5)
    grain = np.random.default_rng(chance.randrange(2**31)).normal(0, 1.5, (*soft.size[::-1], 1))
    return _clipped(np.asarray(soft, float) + grain)


GOOD: Mapping[str, Make] = {made.__name__: made for made in (filled, textured, patched, edged, rebuilt)}


def any_good(scene: Scene, chance: Random) -> Image.Image:
    return chance.choice(tuple(GOOD.values()))(scene, chance)


def _turned(image: Image.Image, chance: Random) -> Image.Image:
    turned = ImageOps.mirror(image) if chance.random() < 0.5 else image
    return ImageOps.flip(turned) if chance.random() < 0.5 else turned


def _blended(patch: Image.Image, base: Image.Image, scene: Scene, soft: int) -> Image.Image:
    """Return *patch* in the hole of *base*, fading in over *soft* pixels inside, as a model blends."""
    core = hard(scene).filter(ImageFilter.MinFilter(2 * (soft // 2) + 1))
    return Image.composite(
        patch, base, core.filter(ImageFilter.BoxBlur(soft / 4)).filter(ImageFilter.BoxBlur(soft / 4))
    )


def hard(scene: Scene) -> Image.Image:
    return scene.hole.point([255 * (grey > 127) for grey in range(256)])


def _clipped(values: NDArray[Any]) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))


def _colour(chance: Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


# blank


def plain(scene: Scene, chance: Random) -> Image.Image:
    colour = chance.choice(((0, 0, 0), (255, 255, 255), (128, 128, 128), _colour(chance)))
    return Image.new("RGB", scene.before.size, colour)


def grainy(scene: Scene, chance: Random) -> Image.Image:
    """One colour with the faint grain that a decoder leaves on it."""
    grain = np.random.default_rng(chance.randrange(2**31)).normal(0, 1.5, (*scene.before.size[::-1], 3))
    return _clipped(np.asarray(plain(scene, chance), float) + grain)


# unchanged


def returned(scene: Scene, _: Random) -> Image.Image:
    return scene.before


def softened(scene: Scene, _: Random) -> Image.Image:
    """What was sent, once through a model's decoder."""
    return Image.blend(scene.before, scene.before.filter(ImageFilter.GaussianBlur(1)), 0.5)


# drift


def _by(chance: Random) -> float:
    return 1 + chance.choice((-1, 1)) * chance.choice((0.04, 0.06, 0.08, 0.1))


def brightened(scene: Scene, chance: Random) -> Image.Image:
    return ImageEnhance.Brightness(any_good(scene, chance)).enhance(_by(chance))


def bent(scene: Scene, chance: Random) -> Image.Image:
    """Another gamma."""
    power = _by(chance)
    return any_good(scene, chance).point([round(255 * (v / 255) ** power) for v in range(256)] * 3)


def washed_out(scene: Scene, chance: Random) -> Image.Image:
    return ImageEnhance.Contrast(any_good(scene, chance)).enhance(chance.choice((0.9, 0.92, 0.94)))


def saturated(scene: Scene, chance: Random) -> Image.Image:
    return ImageEnhance.Color(any_good(scene, chance)).enhance(_by(chance))


def tinted(scene: Scene, chance: Random) -> Image.Image:
    """One channel weaker or stronger."""
    tables = [[min(round(v * by), 255) for v in range(256)] for by in (_by(chance), 1, 1)]
    chance.shuffle(tables)
    return any_good(scene, chance).point([value for table in tables for value in table])


def moved(scene: Scene, chance: Random) -> Image.Image:
    far = chance.choice((2, 3, 5, 8))
    across, down = chance.choice(((far, 0), (0, far), (far, -far), (-far, far // 2)))
    whole, way = any_good(scene, chance), (1, 0, across, 0, 1, down)
    return whole.transform(whole.size, Image.Transform.AFFINE, way, Image.Resampling.BICUBIC)


def zoomed(scene: Scene, chance: Random) -> Image.Image:
    return _part(any_good(scene, chance), chance.choice((0.01, 0.02, 0.03)), 0.5)


def cropped(scene: Scene, chance: Random) -> Image.Image:
    """Another crop, off the middle."""
    return _part(any_good(scene, chance), chance.choice((0.05, 0.1, 0.2)), chance.choice((0, 1)))


def _part(whole: Image.Image, less: float, place: float) -> Image.Image:
    width, height = whole.size
    left, top = place * less * width, place * less * height
    box = (left, top, left + (1 - less) * width, top + (1 - less) * height)
    return whole.resize(whole.size, Image.Resampling.BICUBIC, box=box)


# seam


def pasted(scene: Scene, chance: Random) -> Image.Image:
    """A fill of other colours, its border hard."""
    by, channels = (
        chance.choice((-1, 1)) * chance.choice((20, 30, 40, 50)),
        chance.choice(((1, 1, 1), (1, 0, 0), (0, 1, 1))),
    )
    off = np.asarray(filled(scene, chance), float) + by * np.array(channels)
    return Image.composite(_clipped(off), scene.before, hard(scene))


def cut_in(scene: Scene, chance: Random) -> Image.Image:
    """Another photograph, its border hard."""
    return Image.composite(_turned(scene.other, chance), scene.before, hard(scene))


# size


def smaller(scene: Scene, chance: Random) -> Image.Image:
    by = chance.choice((32, 64, 96))
    return _resized(scene, chance, (scene.before.width - by, scene.before.height - by))


def doubled(scene: Scene, chance: Random) -> Image.Image:
    return _resized(scene, chance, (2 * scene.before.width, 2 * scene.before.height))


def own_size(scene: Scene, chance: Random) -> Image.Image:
    """As a model that makes squares of everything."""
    return _resized(scene, chance, (768, 768))


def _resized(scene: Scene, chance: Random, size: Size) -> Image.Image:
    return any_good(scene, chance).resize(size, Image.Resampling.BICUBIC)


SPOILT: Mapping[str, tuple[Make, ...]] = {
    "blank": (plain, grainy),
    "unchanged": (returned, softened),
    "drift": (brightened, bent, washed_out, saturated, tinted, moved, zoomed, cropped),
    "seam": (pasted, cut_in),
    "size": (smaller, doubled, own_size),
}
