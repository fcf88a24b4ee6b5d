"""What is said of settings around a command, a layer for each place that says something."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from batchfill.domain.token import TOKEN_WORDS
from batchfill.errors import cut_short, did_you_mean_or_known, nearest_word
from batchfill.settings.definitions import BY_NAME, FOR_THE_PROVIDER, OUTSIDE
from batchfill.settings.outside_values import read_text, read_toml, toml_text
from batchfill.settings.setting import (
    NOT_IN_CONFIG,
    PREFIX,
    SAID_WITH_COMMAND,
    explain_said_with_command,
    variable_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from batchfill.settings.config_file import ConfigFile

_KEYS = OUTSIDE | {one.in_manifest: one for one in OUTSIDE.values() if one.in_manifest}
"""Settings of a profile by their names there: `defaults` of a manifest is `set` too."""
_OURS = frozenset({"token", "run_event", "run_folder", "run_manifest"})
"""Variables that begin as those of settings do: the token's, and what --on-end tells its command."""
FIRST = ("local", "log_format", "out", "quiet", "verbose")
"""Settings that are asked for without the manifest."""
_IN_A_FILE = "the token does not stand in config.toml: name the command that prints it as token_command"


class Rank(Enum):
    """Which kind of place it is; the stronger first."""

    PROFILE = "the profile that was asked for"
    ENVIRONMENT = "variables, of --env-file or of the environment"
    DEFAULT = "[default] of config.toml"


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says of settings."""

    place: str
    """As users are told: `profile gateway`, `gateway.env`, `the environment`, `[default]`."""
    rank: Rank
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Setting → its value, read; among `set` are pixel settings, as text."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Setting → the variable, or the file and line, for messages."""


def find_said(layers: Iterable[Layer], name: str) -> Any:
    """Return what the strongest of *layers* says of the setting *name*; None: none says anything."""
    return next((layer.values[name] for layer in layers if name in layer.values), None)


def fill_in(flags: Mapping[str, Any], layers: Iterable[Layer]) -> dict[str, Any]:
    """Return *flags*, and what *layers* say of what is asked for without the manifest and no flag gives."""
    layers = tuple(layers)
    said = {name: find_said(layers, name) for name in FIRST if flags.get(name) is None}
    return {**flags, **{name: value for name, value in said.items() if value is not None}}


@dataclass(slots=True)
class LayerReader:
    """Reads layers; what is wrong is collected, to be told where it matters."""

    pixels: Collection[str]
    """Names of pixel settings, which are given as defaults of rows."""
    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read_table(self, config: ConfigFile, profile: str | None) -> Layer:
        """Return what the table of *profile* says; None: `[default]`. Raises UsageError without one."""
        table = config.default if profile is None else config.profile(profile)
        found = _Found(self.mistakes)
        for key, value in table.items():
            where = config.place(profile, key)
            if (problem := self._find_problem(key)) is not None:
                self.mistakes.append(f"{where}: {problem}")
            elif key in self.pixels:
                found.add_pixel(key, value, where, toml_text)
            else:
                setting = _KEYS[key]
                found.add(setting.name, key, where, partial(read_toml, setting, value))
        if profile is None:
            return found.layer("[default]", Rank.DEFAULT)
        return found.layer(f"profile {profile}", Rank.PROFILE)

    def _find_problem(self, key: str) -> str | None:
        if key in SAID_WITH_COMMAND:
            return explain_said_with_command(key)
        if key in NOT_IN_CONFIG:
            return f"{key} cannot be set in config.toml: give --{key}"
        if key in TOKEN_WORDS:
            return _IN_A_FILE
        if key in _KEYS or key in self.pixels:
            return None
        return f"unknown setting {cut_short(key)}{did_you_mean_or_known(key, sorted({*_KEYS, *self.pixels}))}"

    def read_variables(self, place: str, variables: Mapping[str, str], where: Callable[[str], str]) -> Layer:
        """Return what *variables* say; *where* returns the place of one, by its name.

        A variable without a value says nothing. One that no setting has is another program's, unless it is
        nearly that of a setting.
        """
        found = _Found(self.mistakes)
        for variable, text in variables.items():
            name = variable.removeprefix(PREFIX).lower()
            if variable != variable_of(name) or not variable.startswith(PREFIX) or not text.strip():
                continue
            if name in SAID_WITH_COMMAND:
                self.mistakes.append(f"{where(variable)}: {explain_said_with_command(name)}")
            elif name in self.pixels:
                found.add_pixel(name, text, where(variable), str)
            elif name in OUTSIDE:
                found.add(name, "", where(variable), partial(read_text, OUTSIDE[name], text))
            elif name not in _OURS and (near := nearest_word(name, self._names())) is not None:
                meant = variable_of(near)
                self.warnings.append(
                    f"{where(variable)} is no setting, and says nothing; did you mean {meant}?"
                )
        return found.layer(place, Rank.ENVIRONMENT)

    def _names(self) -> Iterator[str]:
        yield from OUTSIDE
        yield from self.pixels


class _Found:
    """The values of one layer as they are found."""

    def __init__(self, mistakes: list[str]) -> None:
        self._mistakes = mistakes
        self._values: dict[str, Any] = {}
        self._where: dict[str, str] = {}
        self._pixels: dict[str, str] = {}

    def add(self, name: str, shown: str, where: str, read: Callable[[], Any]) -> None:
        """Take what *read* returns for the setting *name*, which *where* is followed by as *shown*."""
        if name in self._values:
            self._mistakes.append(f"{where}: {shown} is given twice, as set and as defaults")
            return
        try:
            self._values[name] = read()
        except ValueError as error:
            says = f"{where}: {shown}".removesuffix(": ")
            self._mistakes.append(f"{where}: {error}" if name == "base_url" else f"{says} {error}")
        else:
            self._where[name] = where

    def add_pixel(self, name: str, value: Any, where: str, text_of: Callable[[Any], str]) -> None:
        """Take a pixel setting: around a manifest it is a default of its rows."""
        try:
            self._pixels[name] = text_of(value)
        except ValueError as error:
            self._mistakes.append(f"{where}: {name} {error}")
        else:
            self._where.setdefault("set", where)

    def layer(self, place: str, rank: Rank) -> Layer:
        """Return the layer; what is about a provider needs that provider's base next to it."""
        if self._pixels:
            self._values["set"] = {**self._pixels, **self._values.get("set", {})}
        for name in sorted(FOR_THE_PROVIDER & self._values.keys()):
            if "base_url" not in self._values:
                beside = "base_url" if rank is not Rank.ENVIRONMENT else variable_of("base_url")
                self._mistakes.append(
                    f"{self._where[name]}: {name} counts for one provider alone: name it with {beside} "
                    f"next to it{_or_flag(name)}"
                )
                del self._values[name]
        return Layer(place, rank, self._values, self._where)


def _or_flag(name: str) -> str:
    return f", or give {BY_NAME[name].flag}" if BY_NAME[name].places else ""
