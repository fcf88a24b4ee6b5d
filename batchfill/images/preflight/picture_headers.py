"""What the headers of local pictures say against their rows, before any of them is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.errors import BadPicture
from batchfill.images.codec.decode import read_header
from batchfill.images.codec.open import turned_text
from batchfill.images.prepare.enlarge import place_canvas
from batchfill.images.prepare.mask import refuse_misfit

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.catalog.pixel_options import Pixels
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.predictions import Picture
    from batchfill.domain.rows import Row

HEADERS_KEPT = 1000


class PictureHeaders:
    """The headers of the pictures seen last, and what is wrong with rows by them."""

    def __init__(self, model: Model, *, fitted: bool) -> None:
        """*fitted*: local files are turned and scaled before they are sent."""
        self._model, self._fitted = model, fitted
        self._seen: dict[Path, Picture] = {}

    def find_trouble(self, row: Row) -> str | None:
        """Return what the headers of a row's local pictures say against it; None: nothing."""
        model, local = self._model, row.local_files
        found: dict[str, Picture] = {}
        for name in (model.image_field, model.mask_field):
            if name is not None and name in local:
                try:
                    found[name] = self._header_of(local[name].path)
                except BadPicture as error:
                    return f"{name} {error}"
        pixels, image = model.pixels(row.inputs), model.image_field or ""
        if image in found and (trouble := _canvas_trouble(row, model, pixels, found[image])) is not None:
            return trouble
        if (drawn := model.drawn_mask(row.inputs)) is not None:
            if image not in found:
                return None
            return _drawn_trouble(drawn, found[image], local[image].path.name, fitted=self._fitted)
        if len(found) < 2:
            return None
        picture, mask = found.values()
        sizes = (picture.width, picture.height), (mask.width, mask.height)
        try:
            refuse_misfit(*sizes, pixels, local[list(found)[1]].path.name)
        except BadPicture as error:
            return str(error)
        return None

    def _header_of(self, path: Path) -> Picture:
        """Return what the header of *path* says. Raises BadPicture."""
        if path not in self._seen:
            if len(self._seen) >= HEADERS_KEPT:
                self._seen.clear()
            self._seen[path] = read_header(path)
        return self._seen[path]


def _canvas_trouble(row: Row, model: Model, pixels: Pixels, picture: Picture) -> str | None:
    """Return why the picture of *row* cannot be enlarged as it asks; None: it can, or is not to be."""
    try:
        place_canvas(pixels, (picture.width, picture.height), has_mask=model.mask_field in row.inputs)
    except BadPicture as error:
        return str(error)
    return None


def _drawn_trouble(drawn: DrawnMask, picture: Picture, name: str, *, fitted: bool) -> str | None:
    """Return why a mask cannot be drawn on *picture*, called *name*; None: its header allows it."""
    if picture.rotated and not fitted:
        return turned_text(name)
    if drawn.lies_outside(picture.width, picture.height):
        return drawn.outside_text(picture.width, picture.height)
    return None
