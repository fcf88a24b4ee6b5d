"""Which settings come from around a command, in lines for the user who forgot that they are there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING, Any

from batchfill.domain.money import MILLION
from batchfill.errors import cut_short
from batchfill.settings.addresses import LOCAL, show_base
from batchfill.settings.base_choice import base_of, counting_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchfill.settings.layers import Layer

HIDDEN = frozenset({"header", "notify", "token_command"})
"""Settings of which the name is shown alone: their values can be secrets."""
REMEMBERED = frozenset({"max_cost", "model", "outputs"})
"""Settings that the batch remembers, and that places around a command do not change."""
MERGED = frozenset({"column", "set"})
"""Settings of which each place may add some pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """What a command goes by, and what was said with it."""

    base: str
    """Of the provider."""
    chosen: Mapping[str, Any]
    """The settings as they were decided."""
    told: Mapping[str, Any]
    """Flags, and settings of the manifest: they go before what is said around the command."""

    def lines(self, layers: Sequence[Layer]) -> Iterator[str]:
        """Yield a line for each of *layers*, the strongest first, with the settings that count from there."""
        taken = {*self.told, *(f"{name}.{one}" for name in MERGED for one in self.told.get(name, ()))}
        for layer in layers:
            counting = counting_values(layer, self.base)
            if words := [word for name in counting for word in self._words(name, layer, taken)]:
                yield f"from {layer.place}: {', '.join(words)}"
            if idle := sorted(layer.values.keys() - counting.keys()):
                here = "the local emulator" if self.base == LOCAL else self.base
                only = f"for {base_of(layer)} alone and not for {here}"
                yield f"not from {layer.place}: {', '.join(idle)}, {only}"
            remembered = REMEMBERED & counting.keys() - taken
            if other := sorted(name for name in remembered if not self._counts(name, layer)):
                yield f"not from {layer.place}: {', '.join(other)}, since the batch remembers another"
            taken |= counting.keys()

    def places(self, layers: Sequence[Layer]) -> dict[str, str]:
        """Return the place of each setting that counts from *layers*: `config.toml:7`."""
        return {
            name: layer.where[name]
            for layer in reversed(layers)
            for name in counting_values(layer, self.base)
            if name not in self.told and self._counts(name, layer)
        }

    def _words(self, name: str, layer: Layer, taken: set[str]) -> Iterator[str]:
        value = layer.values[name]
        if name in MERGED:
            fresh = {one: text for one, text in value.items() if f"{name}.{one}" not in taken}
            yield from (f"{one}={cut_short(text)}" for one, text in fresh.items())
            taken |= {f"{name}.{one}" for one in fresh}
        elif name == "header" or (name not in taken and self._counts(name, layer)):
            yield name if name in HIDDEN else _show(name, value)

    def _counts(self, name: str, layer: Layer) -> bool:
        """Whether what *layer* says is what was chosen: the ledger may remember another model or cap."""
        value = layer.values[name]
        if name == "base_url":
            return base_of(layer) == self.base
        if name == "token_command":
            command = self.chosen[name]
            return command is not None and command.words == value
        return name not in self.chosen or bool(self.chosen[name] == value)


def _show(name: str, value: Any) -> str:
    match value:
        case bool():
            return name if value else f"no {name}"
        case int() if name in ("price", "max_cost"):
            return f"{name} {value / MILLION:g}"
        case float():
            return f"{name} {value:g}"
        case time():
            return f"{name} {value:%H:%M}"
        case tuple():
            return f"{name} {','.join(map(str, value))}"
        case _:
            return f"{name} {show_base(value) if name == 'base_url' else cut_short(str(value))}"
