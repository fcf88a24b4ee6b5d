"""What a row must give for its pixel settings to be met: local files, and settings that go together."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from batchfill.catalog.model import Model
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.rows import Input

_NOT_BOTH = "area: mask sends a part of the picture, which expand and aspect enlarge: leave one of them out"


class PixelNeeds:
    """Judges the rows of one model."""

    def __init__(self, model: Model, *, fitted: bool) -> None:
        """Not *fitted*: files are sent as they are, so that pixel settings cannot change them."""
        self._model, self._fitted = model, fitted
        self._settings = model.pixel_settings
        self.drawable = model.mask_field if self._settings else None
        """The input that may be drawn; None: none may."""

    def spares(self, name: str, inputs: Mapping[str, Input]) -> bool:
        """Whether a row needs no input *name*: no mask, where it enlarges its picture."""
        return name == self.drawable and self._model.enlarges(inputs)

    def find_unmet(self, inputs: Mapping[str, Input], files: Container[str]) -> list[str]:
        """Return why the pixel settings of a row cannot be met; *files*: the inputs that are local files."""
        drawn = self._find_drawn(inputs, files)
        if drawn is not None and self._model.image_field not in files:
            return [self._explain_undrawable(drawn)]
        return [] if self._settings.isdisjoint(inputs) else self._find_unsuited(inputs, files, drawn)

    def _find_drawn(self, inputs: Mapping[str, Input], files: Container[str]) -> DrawnMask | None:
        """Return the mask that a row draws; None where it is a file, which most are, or at an address."""
        if self.drawable is None or self.drawable in files:
            return None
        with suppress(ValueError):  # of a default, which is told once for all rows
            return self._model.drawn_mask(inputs)
        return None

    def _explain_undrawable(self, drawn: DrawnMask) -> str:
        place = f"{self._model.image_field} is at an address"
        if drawn.is_nothing:
            return f"expand and aspect enlarge a local picture, and {place}: download it"
        return (
            f"{self.drawable}: {drawn.name} is drawn on a local picture, and {place}: give a mask there too"
        )

    def _find_unsuited(
        self, inputs: Mapping[str, Input], files: Container[str], drawn: DrawnMask | None
    ) -> list[str]:
        # What is drawn has no use for mask_from, and its picture is local.
        useless = () if drawn is None else ("mask_from", self.drawable)
        pixels = self._model.pixels({name: value for name, value in inputs.items() if name not in useless})
        if pixels.enlargement is not None and pixels.area != "whole":
            return [_NOT_BOTH]
        if pixels.shape_what_is_sent and not self._fitted:
            return ["pixel settings change what is sent, and send: original sends files as they are"]
        named = (self._model.image_field, None if drawn else self._model.mask_field)
        remote = [n for n in named if n and n not in files]
        if remote and (pixels.shape_what_is_sent or pixels.finish == "exact"):
            return [f"pixel settings need local files, and {' and '.join(remote)} is at an address"]
        return []
