"""How a row's outputs are finished, and what a finished file remembers of that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchfill.catalog.pixel_options import Pixels

if TYPE_CHECKING:
    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Asked

EXACT = "exact"
"""How rows are finished that ask for it, or that may be and do not say how."""

VERSION = 2
"""Of what a finished file is for its settings; another one has all of them finished again when asked to."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How one row is finished."""

    pixels: Pixels
    format: str
    """`same`, `png`, `webp` or `jpg`."""
    asked: str | None
    """The row's `output_format`."""

    @property
    def settings(self) -> str:
        """All that decides what the file will be, apart from what it is made of: JSON."""
        found = {"format": self.format, **self._old, "mark": self.pixels.mark}
        return json.dumps({"version": VERSION, **found})

    @property
    def _old(self) -> dict[str, object]:
        return {"feather": self.pixels.mask_feather, "metadata": self.pixels.metadata}

    def made(self, settings: str | None) -> bool:
        """Whether a file with these *settings* is what the row asks for.

        A row that names none of the settings that came with version 2 is content with a file of version 1.
        """
        if settings == self.settings:
            return True
        plain = self.pixels.finish_format is None and self.pixels.mark == Pixels().mark
        return plain and settings == json.dumps({"version": 1, "format": self.asked, **self._old})


def can_finish(model: Model, asked: Asked) -> bool:
    """Whether a row's outputs can be pasted into its picture: that and its mask are here."""
    return model.image_field in asked.files and model.mask_of(asked.inputs, asked.files) is not None


def is_finished(model: Model, asked: Asked) -> bool:
    """Whether a row that asks for this is finished, and not delivered as the service sends it."""
    says_so = "finish" in model.pixel_settings and asked.inputs.get("finish") == EXACT
    return says_so and can_finish(model, asked)


def finish_of(model: Model, asked: Asked) -> Finish | None:
    """Return how a row that asks for this is finished; None: its outputs stay as the service sends them."""
    if not is_finished(model, asked):
        return None
    pixels = model.pixels(asked.inputs)
    form = asked.inputs.get("output_format")
    asked_format = form if isinstance(form, str) else None
    known = asked_format if asked_format in ("webp", "jpg") else "same"
    return Finish(pixels, pixels.finish_format or known, asked_format)
