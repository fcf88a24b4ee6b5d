"""What becomes of a row's outputs, wherever its files are read: told once, and followed on any machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill._version import __version__
from batchfill.images.composite.composite import FinishTask
from batchfill.images.finished_row import RowTask
from batchfill.images.quality.flags import FlagTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchfill.catalog.finish import Finish
    from batchfill.catalog.model import Model
    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import SizeRule
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.predictions import Output
    from batchfill.domain.rows import Box, DownloadJob, Input, LocalFile


@dataclass(frozen=True, slots=True)
class RowRecipe:
    """How the outputs of a row are judged and finished. It names inputs, and no files; travels anywhere."""

    image: str | None
    """The input that is the picture; None: the row has none that is read here."""
    mask: str | DrawnMask | None
    """The input whose file is the mask, or what is drawn; None: it is at an address."""
    pixels: Pixels
    area: Box | None
    rule: SizeRule | None
    sizing: tuple[tuple[str, Input], ...]
    """The inputs that the rule reads."""
    format: str | None
    """That of finished files; None: outputs are judged only."""
    notes: tuple[Mapping[str, str], ...]
    """What each finished file tells of itself."""

    @classmethod
    def of(cls, model: Model, one: DownloadJob, how: Finish | None) -> RowRecipe:
        """Return the recipe of the outputs of *one*; *how*: None where they stay as the service sent them."""
        inputs, names = one.asked.inputs, {name: name for name in one.asked.files}
        told = how is not None and how.pixels.metadata
        return cls(
            image=model.image_field if model.image_field in names else None,
            mask=model.mask_of(inputs, names),
            pixels=model.pixels(inputs),
            area=one.attempt.area,
            rule=model.size_rule,
            sizing=tuple(model.sizing(inputs).items()),
            format=None if how is None else how.format,
            notes=tuple(_note_of(model, one, output) if told else {} for output in one.outputs),
        )

    def row_task(
        self,
        files: Mapping[str, LocalFile],
        raws: Sequence[Path],
        targets: Sequence[Path],
        *,
        thumbs: Path | None,
        judged: bool,
    ) -> RowTask:
        """Return the task that makes *targets* of *raws*, the outputs, and of *files*, by their inputs."""
        assert self.image is not None
        assert self.mask is not None
        tasks = tuple(
            FinishTask(
                raw=raw,
                picture=files[self.image],
                mask=files[self.mask] if isinstance(self.mask, str) else self.mask,
                pixels=self.pixels,
                area=self.area,
                target=target,
                format=self.format,
                note=note,
                thumbs=thumbs,
            )
            for raw, target, note in zip(raws, targets, self.notes, strict=True)
        )
        return RowTask(tasks, self.flag_task(files, raws) if judged else None)

    def flag_task(self, files: Mapping[str, LocalFile], outputs: Sequence[Path]) -> FlagTask:
        """Return the task that judges *outputs*."""
        return FlagTask(
            outputs=tuple(outputs),
            picture=None if self.image is None else files[self.image].path,
            mask=files[self.mask].path if isinstance(self.mask, str) else self.mask,
            pixels=self.pixels,
            area=self.area,
            rule=self.rule,
            inputs=self.sizing,
        )


def _note_of(model: Model, one: DownloadJob, output: Output) -> dict[str, str]:
    return {
        # As it was sent: a redo has another prompt than its row.
        "prompt": str(one.attempt.sent.get(model.prompt_field or "", "")),
        "seed": "" if one.attempt.seed is None else str(one.attempt.seed),
        "model": model.name,
        "prediction": f"{output.prediction_id}, output {output.n}",
        "row": one.attempt.id,
        "software": f"batchfill {__version__}",
    }
