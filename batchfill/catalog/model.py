"""What one model accepts, costs and returns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from batchfill.catalog.field import Field, FieldType, guess_value
from batchfill.catalog.pixel_options import ENLARGING, PIXEL_READERS, Pixels
from batchfill.domain.drawn_masks import ALPHA, NOTHING, read_drawn_mask
from batchfill.domain.money import CURRENCY
from batchfill.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from batchfill.catalog.sizes import Size, SizeRule
    from batchfill.domain.drawn_masks import DrawnMask
    from batchfill.domain.rows import Input

Source = TypeVar("Source")


@lru_cache(maxsize=256)
def _pixels_of(given: frozenset[tuple[str, Input]]) -> Pixels:
    # Asked for several times a row, and most rows of a batch say the same.
    return Pixels.of(dict(given))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. Money is in millionths of the currency."""

    name: str
    """OWNER/NAME."""
    fields: Mapping[str, Field]
    """The inputs by name, in the order in which a person should read them."""
    checked: bool = True
    """False for a model without a description: every column is an input, its type is guessed."""
    image_field: str | None = None
    """The input that is the picture."""
    mask_field: str | None = None
    prompt_field: str | None = None
    seed_field: str | None = None
    """None when a seed cannot be sent."""
    outputs_field: str | None = None
    """The input that says how many outputs are asked for; None when there is always one."""
    price: int | None = None
    """Of one output; None where it is not known."""
    currency: str = CURRENCY
    size_rule: SizeRule | None = None
    lists_outputs: bool = True
    """Whether `output` is an array; else it is one string."""
    pixel_settings: frozenset[str] = field(init=False, repr=False, compare=False)
    """Settings that rows may hold in addition to inputs: none where an input may have the same name."""
    _enlarging: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for several times a row.
        is_known = self.checked and self.image_field and self.mask_field
        settings = frozenset(PIXEL_READERS.keys() - self.fields.keys()) if is_known else frozenset[str]()
        object.__setattr__(self, "pixel_settings", settings)
        object.__setattr__(self, "_enlarging", ENLARGING & settings)

    @property
    def required_inputs(self) -> tuple[str, ...]:
        """The inputs that every row must give: the required ones, and the mask; none if not checked.

        Services call the mask optional, but without one these models crash or use the picture's alpha.
        """
        mask = self.mask_field if self.checked else None
        return tuple(field.name for field in self.fields.values() if field.required or field.name == mask)

    def pixels(self, inputs: Mapping[str, Input]) -> Pixels:
        """Return the pixel settings among a row's *inputs*."""
        settings = self.pixel_settings
        found = _pixels_of(frozenset([one for one in inputs.items() if one[0] in settings]))
        drawn = self.drawn_mask(inputs)
        return replace(found, mask_from=ALPHA) if drawn is not None and drawn.is_alpha else found

    def drawn_mask(self, inputs: Mapping[str, Input]) -> DrawnMask | None:
        """Return the mask that a row's *inputs* draw; None where it is a file, remote, or not there.

        A row that enlarges its picture and has no mask draws nothing on it.
        """
        mask = inputs.get(self.mask_field or "") if self.pixel_settings else None
        if mask is None and self.enlarges(inputs):
            return NOTHING
        return read_drawn_mask(mask) if isinstance(mask, str) else None

    def enlarges(self, inputs: Iterable[str]) -> bool:
        """Whether a row with *inputs* of these names enlarges its picture, so that it needs no mask."""
        return not self._enlarging.isdisjoint(inputs)

    def mask_of(self, inputs: Mapping[str, Input], files: Mapping[str, Source]) -> Source | DrawnMask | None:
        """Return where the mask of a row is read: one of *files*, by the names of their inputs, or what is
        drawn; None where it is at an address.

        That of `alpha` is the picture's own file, whose transparency `pixels` says to take.
        """
        if (mask := files.get(self.mask_field or "")) is not None:
            return mask
        drawn = self.drawn_mask(inputs)
        return files.get(self.image_field or "") if drawn is not None and drawn.is_alpha else drawn

    def without_pixels(self, inputs: Mapping[str, Input]) -> dict[str, Input]:
        """Return a row's *inputs* without its pixel settings: what goes to the service."""
        settings = self.pixel_settings
        return {name: value for name, value in inputs.items() if name not in settings}

    def sizing(self, inputs: Mapping[str, Input]) -> dict[str, Input]:
        """Return those of a row's *inputs* that its size rule reads: others may hold signed addresses."""
        rule = self.size_rule
        return {} if rule is None or rule.field not in inputs else {rule.field: inputs[rule.field]}

    def with_seed(self, inputs: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
        """Return *inputs* with the *seed* of an attempt, where there is one and the model takes it."""
        field = self.seed_field
        return dict(inputs) if field is None or seed is None else {**inputs, field: seed}

    @property
    def file_fields(self) -> tuple[str, ...]:
        """The inputs that are files."""
        return tuple(field.name for field in self.fields.values() if field.type is FieldType.FILE)

    def reader(self, name: str) -> Callable[[str], Input]:
        """Return what types the cells of the input *name*. Raises ValueError for an unknown input."""
        if name in self.fields:
            return self.fields[name].reader
        if name in self.pixel_settings:
            return PIXEL_READERS[name]
        if self.checked:
            raise ValueError(f"unknown input {name}{did_you_mean(name, self.fields)}")
        return guess_value

    def type_cell(self, name: str, text: str) -> Input:
        """Return the value of the input *name* that *text* stands for.

        An undescribed model has integers, decimals and booleans recognised where JSON would write them so
        (`28`, `3.5`, `true`), since their type matters to the service; all else is text. Raises ValueError
        for a person: `output_format must be webp, jpg or png, not 'jepg'; did you mean jpg?`.
        """
        return self.reader(name)(text)

    def outputs_asked(self, inputs: Mapping[str, Input]) -> int:
        """Return how many outputs a row with *inputs* asks for, at least 1."""
        if self.outputs_field is None:
            return 1
        asked = inputs.get(self.outputs_field)
        if asked is None and self.outputs_field in self.fields:
            asked = self.fields[self.outputs_field].default
        return asked if isinstance(asked, int) and asked > 1 else 1

    def most_outputs(self, inputs: Mapping[str, object], asked: int) -> int | None:
        """Return how many outputs a prediction of *inputs* has that asks for so many; None: not known.

        What else a service names beyond them is none: smaller copies, or what it was sent.
        """
        known = self.checked or self.outputs_field in inputs
        return asked if known and not (self.outputs_field is None and self.lists_outputs) else None

    def price_of(self, inputs: Mapping[str, Input], per_output: int | None = None) -> int | None:
        """Return the price of one attempt; *per_output* goes before the catalog's. None: not known."""
        price = self.price if per_output is None else per_output
        return None if price is None else price * self.outputs_asked(inputs)

    def generated_size(self, width: int, height: int, inputs: Mapping[str, Input]) -> Size | None:
        """Return the size that the model works at for such a picture; None when its rule is not known."""
        return self.size_rule.generated_size(width, height, inputs) if self.size_rule else None

    def fitting_size(self, width: int, height: int, inputs: Mapping[str, Input]) -> Size:
        """Return the size to send such a picture at, never larger than it is.

        It is a size that the model keeps (`generated_size` of it is itself), or the picture's own where it
        is not larger than that, or where no rule is known.
        """
        return self.size_rule.fitting_size(width, height, inputs) if self.size_rule else (width, height)
