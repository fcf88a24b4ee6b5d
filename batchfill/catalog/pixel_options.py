"""What a row may ask for around the model: its mask, the area that is sent, how the result is finished."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from batchfill.catalog.field import Field, FieldType
from batchfill.domain.enlargement import ANCHORS, Enlargement, read_aspect, read_expand
from batchfill.errors import quote_shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.domain.rows import Input

MAX_DISTANCE = 1000
"""Pixels by which a mask may grow or be feathered, and that may be left around it, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """The pixel settings of one row. Lengths are pixels of the picture as it is, when upright."""

    mask_from: str = "white"
    """What is filled: `white`, `black`, `alpha` (transparent is filled), `nonzero` (labels), or `auto`."""
    mask_grow: int = 0
    """By how much the mask grows outwards before it is sent."""
    mask_feather: int = 4
    """Over how much, outside the grown mask, a finished picture blends into the original."""
    mask_fit: str = "error"
    """What becomes of a mask of another shape than its picture: `error` or `resize`."""
    area: str = "whole"
    """What is sent: the `whole` picture, or what surrounds the `mask`."""
    padding: int | str = "25%"
    """Left around the mask when that is what is sent: pixels, or a share of the mask box's longer side."""
    expand: str | None = None
    """By how much the canvas grows on its sides: `20%`, `256`, `left=256 right=25%`."""
    aspect: str | None = None
    """The shape that the canvas gets then: `16:9`."""
    anchor: str = ANCHORS[0]
    """Where the picture lies in that shape."""
    finish: str = "raw"
    """`raw`: the output as the service sent it; `exact`: pasted into the original at its own size.

    Reading a new batch makes `exact` of silence where it can be done.
    """
    finish_format: str | None = None
    """`same`, `png`, `webp` or `jpg`: what finished files are; None: as `output_format` says, else `same`."""
    metadata: bool = True
    """Whether a finished file tells how it was made."""
    mark: str = "ai"
    """`ai`: files say in the standard way that AI edited them; `none`: they do not."""

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> Pixels:
        """Return what *inputs* of a row ask for, and the defaults where they are silent."""
        return cls(**{name: value for name, value in inputs.items() if name in PIXEL_READERS})

    @property
    def shape_what_is_sent(self) -> bool:
        """Whether they change the files that go to the service."""
        plain = Pixels()
        finishing = {name: getattr(plain, name) for name in FINISHING}
        return replace(self, padding=plain.padding, anchor=plain.anchor, **finishing) != plain

    @property
    def enlargement(self) -> Enlargement | None:
        """How the canvas grows; None: it is the picture."""
        if self.expand is None and self.aspect is None:
            return None
        return Enlargement(self.expand or "", self.aspect or "", self.anchor)

    @property
    def around(self) -> tuple[int, float]:
        """The padding as pixels and as a share of the mask box's longer side; one of the two is zero."""
        if isinstance(self.padding, int):
            return self.padding, 0.0
        return 0, int(self.padding.removesuffix("%")) / 100


ENLARGING = frozenset({"expand", "aspect"})
"""Settings with which a row needs no mask: what is new is filled."""

FINISHING = frozenset({"mask_feather", "finish", "finish_format", "metadata", "mark"})
"""Settings that change nothing that is sent, so that a row is the same row with others."""


def _read_padding(text: str) -> Input:
    match = re.fullmatch(r"(\d{1,4}) ?(%|px)?", text.strip(), re.ASCII)
    if not match or int(match[1]) > MAX_DISTANCE:
        raise ValueError(
            f"padding must be a share such as 25% or pixels such as 64, at most {MAX_DISTANCE}, not "
            f"{quote_shortened(text)}"
        )
    return f"{int(match[1])}%" if match[2] == "%" else int(match[1])


def _choice_field(name: str, *words: str, does: str) -> Field:
    return Field(name=name, type=FieldType.STRING, choices=words, default=_DEFAULTS[name], description=does)


def _length_field(name: str, *, does: str) -> Field:
    return Field(
        name=name,
        type=FieldType.INTEGER,
        minimum=0,
        maximum=MAX_DISTANCE,
        default=_DEFAULTS[name],
        description=does,
    )


_DEFAULTS: Mapping[str, Input] = asdict(Pixels())
PIXEL_FIELDS = (
    _choice_field(
        "mask_from",
        *("white", "black", "alpha", "auto", "nonzero"),
        does="which part of the mask is filled; `alpha`: what is transparent, `nonzero`: all but black",
    ),
    _length_field("mask_grow", does="pixels by which the mask grows before it is sent"),
    _choice_field(
        "mask_fit", "error", "resize", does="a mask of another shape is a mistake, or is stretched"
    ),
    _choice_field("area", "whole", "mask", does="the whole picture is sent, or the part around the mask"),
    Field(
        name="padding",
        type=FieldType.STRING,
        default=_DEFAULTS["padding"],
        description="space around the mask with `area: mask`",
    ),
    Field(
        name="expand",
        type=FieldType.STRING,
        description="the canvas grows, and what is new is filled",
    ),
    Field(
        name="aspect",
        type=FieldType.STRING,
        description="the canvas grows to this shape, and what is new is filled",
    ),
    _choice_field("anchor", *ANCHORS, does="where the picture lies in the shape that `aspect` makes"),
    Field(
        name="finish",
        type=FieldType.STRING,
        choices=("raw", "exact"),
        default="exact",
        description="the output as it comes, as always at addresses, or pasted into the original at its size",
    ),
    _length_field("mask_feather", does="pixels outside the mask over which a finished picture blends"),
    _choice_field(
        "finish_format",
        *("same", "png", "webp", "jpg"),
        does="the format of finished pictures; `same`: a JPEG stays a JPEG, others become PNG",
    ),
    Field(
        name="metadata",
        type=FieldType.BOOLEAN,
        default=_DEFAULTS["metadata"],
        description="prompt, seed, model, prediction and row are written into finished files",
    ),
    _choice_field(
        "mark", "ai", "none", does="finished and exported pictures say that AI edited them, or do not"
    ),
)
"""Every pixel setting, as an input of a row that no model has."""

PIXEL_READERS: Mapping[str, Callable[[str], Input]] = {
    **{field.name: field.read for field in PIXEL_FIELDS},
    "padding": _read_padding,
    "expand": read_expand,
    "aspect": read_aspect,
}
"""What reads each setting; each raises ValueError with what was expected."""

assert PIXEL_READERS.keys() == _DEFAULTS.keys()
