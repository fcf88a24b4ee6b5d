"""Settings that decide which rows there are, and were said around the command when the batch was begun.

They go on counting as they did. What config.toml or a variable says since, as likely for another batch, would
make other rows of those that are done, to be paid for once more.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batchfill.catalog.pixel_options import FINISHING
from batchfill.settings.layers import Layer, Rank, find_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchfill.settings.settings import Settings
    from batchfill.settings.surroundings import Surroundings

FACT = "said_around"
"""The fact of a ledger that holds them: JSON. Batches that were begun before had none."""
PAIRS, SINGLE = ("set", "column"), ("encoding", "sheet")
PLACE = "the first start"
TOLD = (
    "said around the command otherwise than when this batch was begun, and its rows stay as they are: "
    "{names}. Flags change them; what is made again is paid for again"
)


def as_begun(around: Surroundings, metadata: Mapping[str, str]) -> Surroundings:
    """Return *around* for the batch whose ledger remembers *metadata*; as it is, if that is yet to begin."""
    if "started_at" not in metadata:
        return around
    known = json.loads(metadata.get(FACT, "{}"))
    layers = [_without_rows(layer) for layer in around.layers]
    begun = Layer(PLACE, Rank.DEFAULT, known, dict.fromkeys(known, PLACE))
    warnings = (*around.warnings, *_differences(known, decide_rows(around.layers)))
    said = tuple(layer for layer in (*layers, begun) if layer.values)
    return replace(around, layers=said, warnings=warnings)


def decide_rows(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return what *layers*, the strongest first, say of settings that decide which rows there are."""
    layers = tuple(layers)
    pairs: dict[str, Any] = {name: {} for name in PAIRS}
    for layer in reversed(layers):
        for name in PAIRS:
            pairs[name] |= _deciding(layer.values.get(name, {}))
    found = pairs | {name: find_said(layers, name) for name in SINGLE}
    return {name: value for name, value in found.items() if value}


def around_facts(settings: Settings) -> dict[str, str]:
    """Return what the ledger is to remember, so that every start reads the same rows."""
    return {FACT: json.dumps(settings.rows_said, sort_keys=True)} if settings.rows_said else {}


def _deciding(pairs: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in pairs.items() if name not in FINISHING}


def _without_rows(layer: Layer) -> Layer:
    values = {name: value for name, value in layer.values.items() if name not in (*PAIRS, *SINGLE)}
    finishing = {name: value for name, value in layer.values.get("set", {}).items() if name in FINISHING}
    return replace(layer, values=values | ({"set": finishing} if finishing else {}))


def _differences(known: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for what is said otherwise now, or no more."""
    before, after = _flat(known), _flat(now)
    other = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [TOLD.format(names=", ".join(other))] if other else []


def _flat(said: Mapping[str, Any]) -> dict[str, Any]:
    pairs = {f"{name} {one}": text for name in PAIRS for one, text in said.get(name, {}).items()}
    return pairs | {name: said[name] for name in SINGLE if name in said}
