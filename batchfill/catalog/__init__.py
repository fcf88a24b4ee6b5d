"""What a model accepts, costs and returns."""

from batchfill.catalog.field import Field, FieldType, either, guess, hint, shown
from batchfill.catalog.model import Model
from batchfill.catalog.pixels import FINISHING, PIXEL_READERS, Pixels
from batchfill.catalog.schema import from_schema
from batchfill.catalog.shipped import find, shipped, unchecked
from batchfill.catalog.size import Size, SizeRule

__all__ = [
    "FINISHING",
    "PIXEL_READERS",
    "Field",
    "FieldType",
    "Model",
    "Pixels",
    "Size",
    "SizeRule",
    "either",
    "find",
    "from_schema",
    "guess",
    "hint",
    "shipped",
    "shown",
    "unchecked",
]
