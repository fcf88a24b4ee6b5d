"""What a redo may change of a row's inputs, typed as the cells of a manifest are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Input


def type_redo_inputs(model: Model, cells: Mapping[str, str]) -> dict[str, Input | None]:
    """Return *cells* as values; None: the model's default. Raises ValueError, of the first misfit."""
    return {name: _type_cell(model, name, text) for name, text in cells.items()}


def _type_cell(model: Model, name: str, text: str) -> Input | None:
    if (kept := _why_kept(model, name)) is not None:
        raise ValueError(f"a redo cannot change {name}: {kept}")
    if text.strip():
        return model.type_cell(name, text)
    model.reader(name)  # raises where there is no such input
    if name in model.required_inputs:
        raise ValueError(f"{name} must not be empty")
    return None


def _why_kept(model: Model, name: str) -> str | None:
    """Return why the input *name* stays as its row has it, and what to do; None where it may change."""
    if name in (model.prompt_field, model.seed_field):
        return f"its {'prompt' if name == model.prompt_field else 'seed'} is told apart from its other inputs"
    if name in (model.image_field, model.mask_field, *model.file_fields):
        return "it keeps the files of its row; change the manifest"
    if name == model.outputs_field:
        return "it makes as many pictures as its row; change the manifest"
    if name in model.pixel_settings:
        return "it is prepared and finished as its row; change the manifest"
    return None
