"""How well flags tell spoilt outputs from good ones: `python -m tests.bench.calibration` prints a table.

The photographs and masks of `jobs/`, at their own size, with the finest detail there is to mistake, and at
the megapixel at which models work; each output in any format and quality. All of it drawn from one seed.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from batchfill.catalog.builtin import find_model
from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.findings import FLAGS
from batchfill.images.prepare.mask import read_mask, scale_mask
from batchfill.images.quality.flags import FlagTask, flag_outputs
from tests.bench.spoiling import GOOD, SPOILT, Scene, any_good, filled, textured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

JOBS = Path(__file__).parents[2] / "jobs"
PHOTOGRAPHS = tuple(sorted((JOBS / "photographs").iterdir()))
MASKS = tuple(sorted((JOBS / "masks").glob("*.png")))
LOSSY = (("webp", 60), ("webp", 80), ("webp", 95), ("jpeg", 60), ("jpeg", 75), ("jpeg", 85), ("jpeg", 95))
ENCODINGS = (*LOSSY, ("png", 0))
MEGAPIXELS = ("match_input", "1")
MODEL = find_model("black-forest-labs/flux-fill-dev")
assert MODEL is not None
assert MODEL.size_rule is not None
RULE = MODEL.size_rule


@dataclass
class Counts:
    """What was made, and what was flagged of it."""

    spoilt: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    good: Counter[str] = field(default_factory=Counter)
    """Good outputs by kind."""
    alarms: Counter[str] = field(default_factory=Counter)
    """Flags on good outputs."""
    flagged: int = 0
    """Good outputs with any flag."""
    missed: list[str] = field(default_factory=list)
    """What was not as it should be, in words."""

    def add_good(self, name: str, words: Sequence[str], what: str) -> None:
        self.good[name] += 1
        self.alarms.update(words)
        self.flagged += bool(words)
        if words:
            self.missed.append(f"good, flagged {', '.join(words)}: {what}")

    def add_spoilt(self, word: str, words: Sequence[str], what: str) -> None:
        self.spoilt[word] += 1
        self.caught[word] += word in words
        if word not in words:
            self.missed.append(f"{word}, flagged {', '.join(words) or 'not at all'}: {what}")

    @property
    def table(self) -> str:
        good = self.good.total()
        lines = [f"| flag | spoilt | caught | false alarms of {good} |", "| --- | ---: | ---: | ---: |"]
        lines += [f"| `{w}` | {self.spoilt[w]} | {self.caught[w]} | {self.alarms[w]} |" for w in FLAGS]
        shares = self.caught.total() / self.spoilt.total(), self.flagged / good
        lines.append(
            f"| any | {self.spoilt.total()} | {self.caught.total()} ({shares[0]:.1%}) "
            f"| {self.flagged} ({shares[1]:.1%}) |"
        )
        return "\n".join(lines)


def scenes(masks: Sequence[Path] = MASKS, megapixels: Sequence[str] = MEGAPIXELS) -> Iterator[Scene]:
    """Give every mask with its photograph, whose name it begins with, and another one, at each size."""
    for n, mask in enumerate(masks):
        (at,) = (i for i, path in enumerate(PHOTOGRAPHS) if path.stem == mask.stem.partition("-")[0])
        other = PHOTOGRAPHS[(at + 1 + n % (len(PHOTOGRAPHS) - 1)) % len(PHOTOGRAPHS)]
        for size in megapixels:
            yield scene(PHOTOGRAPHS[at], mask, other, size)


def scene(picture: Path, mask: Path, other: Path, megapixels: str) -> Scene:
    inputs = {"megapixels": megapixels}
    with Image.open(picture) as image, Image.open(other) as second:
        photograph = image.convert("RGB")
        size = RULE.generated_size(*RULE.fitting_size(*photograph.size, inputs), inputs)
        before = photograph.resize(size, Image.Resampling.LANCZOS)
        elsewhere = ImageOps.fit(second.convert("RGB"), size)
    hole = scale_mask(read_mask(mask, Pixels(), mask.name, photograph.size), size)
    return Scene(mask.stem, picture, mask, megapixels, before, hole, elsewhere)


@dataclass(frozen=True)
class Calibration:
    """One scene, and where its outputs are written."""

    scene: Scene
    folder: Path
    chance: Random
    counts: Counts

    def all(self) -> None:
        self.good()
        self.spoilt()
        self.duplicates()

    def good(self) -> None:
        """One output of each kind; and two of another seed, which may be alike only to a careless eye."""
        for name, make in GOOD.items():
            path = self.saved(make(self.scene, self.chance))
            self.counts.add_good(name, self.judged(path)[0], self.what(name, path))
        for make in (filled, textured):
            paths = [self.saved(make(self.scene, self.chance)) for _ in range(2)]
            name = f"{make.__name__}, another seed"
            self.counts.add_good(name, self.judged(*paths)[1], self.what(name, *paths))

    def spoilt(self) -> None:
        for word, makes in SPOILT.items():
            for make in makes:
                path = self.saved(make(self.scene, self.chance))
                self.counts.add_spoilt(word, self.judged(path)[0], self.what(make.__name__, path))

    def duplicates(self) -> None:
        """One output twice, once with another in between."""
        for between in (0, 1):
            once = any_good(self.scene, self.chance)
            others = [self.saved(any_good(self.scene, self.chance)) for _ in range(between)]
            paths = [self.saved(once), *others, self.saved(once)]
            self.counts.add_spoilt("duplicate", self.judged(*paths)[-1], self.what("copied", *paths))

    def saved(self, image: Image.Image) -> Path:
        kind, quality = self.chance.choice(ENCODINGS)
        path = self.folder / f"{self.counts.good.total()}-{self.chance.randrange(2**31)}-q{quality}.{kind}"
        image.save(path, quality=quality, method=2, compress_level=1)
        return path

    def judged(self, *outputs: Path) -> tuple[tuple[str, ...], ...]:
        inputs = (("megapixels", self.scene.megapixels),)
        try:
            return flag_outputs(
                FlagTask(outputs, self.scene.picture, self.scene.mask, Pixels(), None, RULE, inputs)
            )
        finally:
            for path in outputs:
                path.unlink()

    def what(self, name: str, *paths: Path) -> str:
        saved = " ".join(path.name.rpartition("-")[2] for path in paths)
        return f"{self.scene.name} at {self.scene.megapixels}, {name} ({saved})"


def calibrate(folder: Path, found: Iterator[Scene], *, seed: int = 11) -> Counts:
    """Return the counts of all outputs of *found*, which are written to *folder* one by one."""
    counts, chance = Counts(), Random(seed)
    for one in found:
        Calibration(one, folder, chance, counts).all()
    return counts


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        counts = calibrate(Path(name), scenes())
    print(counts.table)
    if "-v" in sys.argv:
        print("", *counts.missed, sep="\n")


if __name__ == "__main__":
    main()
