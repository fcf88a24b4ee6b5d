"""Which provider a command is for, and which of what is said around it counts there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchfill.domain.token import Token
from batchfill.errors import UsageError
from batchfill.settings.addresses import LOCAL, REPLICATE, read_base, show_base
from batchfill.settings.definitions import FOR_THE_PROVIDER
from batchfill.settings.layers import Rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchfill.settings.layers import Layer


@dataclass(frozen=True, slots=True)
class Base:
    """The address of the provider."""

    shown: str
    """With the values of its query hidden; or LOCAL."""
    query: Token | None = None
    named: bool = False
    """Whether the user named it for this command: by flag or by a variable."""


def choose_base(given: Mapping[str, Any], facts: Mapping[str, str], layers: Sequence[Layer]) -> Base:
    """Return the base: of the flags *given*, the ledger's *facts*, *layers*, else Replicate's.

    Raises UsageError for an address that cannot be.
    """
    if given.get("local"):
        return Base(LOCAL)
    plain_http = bool(given.get("plain_http"))
    if given.get("base_url"):
        return _read_address(given["base_url"], "--base-url", plain_http=plain_http, named=True)
    saying = [layer for layer in layers if "base_url" in layer.values]
    if "base" in facts:
        same = [layer for layer in saying if base_of(layer) == facts["base"]]
        return _join(same, plain_http=plain_http) if same else Base(facts["base"])
    return _join(saying[:1], plain_http=plain_http) if saying else Base(REPLICATE)


def _join(layers: Sequence[Layer], *, plain_http: bool) -> Base:
    """Return the base that all *layers* name, with the query of the first."""
    first = layers[0]
    named = any(layer.rank is Rank.ENVIRONMENT for layer in layers)
    return _read_address(
        first.values["base_url"], first.where["base_url"], plain_http=plain_http, named=named
    )


def _read_address(text: str, where: str, *, plain_http: bool, named: bool) -> Base:
    try:
        base = read_base(text, plain_http=plain_http)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None
    query = base.partition("?")[2]
    return Base(show_base(base), Token(query) if query else None, named=named)


def base_of(layer: Layer) -> str | None:
    """Return the base of *layer* as the ledger has it; None where it names none that can be read."""
    text = layer.values.get("base_url")
    if text is None:
        return None
    try:
        return show_base(read_base(text, plain_http=True))
    except ValueError:
        return None


def counting_values(layer: Layer, base: str) -> dict[str, Any]:
    """Return what *layer* says that counts at *base*: what is about a provider goes to that one alone."""
    same = base_of(layer) == base
    return {name: value for name, value in layer.values.items() if same or name not in FOR_THE_PROVIDER}


def refuse_other_profile(
    folder: str, facts: Mapping[str, str], layers: Sequence[Layer], given: Mapping[str, Any]
) -> None:
    """Raise UsageError, naming both, when a profile that was asked for is about another batch than *facts*.

    *given*: flags, and settings of the manifest, which go before those of a profile.
    """
    for layer in layers:
        if layer.rank is not Rank.PROFILE:
            continue
        said = {"base": base_of(layer), "model": layer.values.get("model")}
        told = {"base": given.get("base_url") or given.get("local"), "model": given.get("model")}
        for name, value in said.items():
            known = facts.get(name)
            if not told[name] and None not in (value, known) and value != known:
                flag = "--base-url" if name == "base" else "--model"
                # It may be a variable that names it.
                leave = "leave --profile out" if given.get("profile") else "give --profile ''"
                raise UsageError(
                    f"{folder} was begun with {name} {known}, and {layer.place} says {value}: {leave}, or "
                    f"give {flag} {known} to go on, or another folder with --out"
                )


class CountingSettings:
    """What counts of the layers at one base; of each setting what the strongest place says."""

    def __init__(self, layers: Sequence[Layer], base: str) -> None:
        self.values: dict[str, Any] = {}
        """Settings that have one value."""
        self.pairs: dict[str, dict[str, str]] = {"column": {}, "set": {}}
        """Settings to which each place adds its own."""
        self.headers: dict[str, str] = {}
        """Variables of further headers, by their names."""
        self.header_places: dict[str, str] = {}
        """Where each of those was read."""
        self.commands: dict[Rank, tuple[str, tuple[str, ...]]] = {}
        """Commands that print the token of this base, and where they were read."""
        for layer in reversed(layers):
            self._add(counting_values(layer, base), layer.rank, layer.where)

    def _add(self, values: Mapping[str, Any], rank: Rank, where: Mapping[str, str]) -> None:
        self.values |= {name: value for name, value in values.items() if name not in ("header", *self.pairs)}
        for name, pairs in self.pairs.items():
            pairs |= values.get(name, {})
        self.headers = merge_headers(self.headers, values.get("header", {}))
        self.header_places |= dict.fromkeys(values.get("header", ()), where.get("header", ""))
        if "token_command" in values:
            self.commands[rank] = where["token_command"], values["token_command"]


def merge_headers(weaker: Mapping[str, str], stronger: Mapping[str, str]) -> dict[str, str]:
    """Return both; of headers whose names differ in case alone that of *stronger*."""
    again = {name.lower() for name in stronger}
    return {name: one for name, one in weaker.items() if name.lower() not in again} | dict(stronger)
