"""What is around a command: the environment, the file of --env-file, and config.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError, cut_short
from batchfill.settings.config_file import CONFIG, ConfigFile, read_config
from batchfill.settings.credentials import REPLICATE_TOKEN, TOKEN, Environment, Variables
from batchfill.settings.env_file import EnvFile
from batchfill.settings.layers import LayerReader, find_said
from batchfill.settings.permissions import judge_permissions
from batchfill.settings.setting import PREFIX, variable_of
from batchfill.settings.user_folders import config_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from batchfill.settings.layers import Layer

COMMAND = variable_of("token_command")
_SECRET_VALUES = frozenset({TOKEN, REPLICATE_TOKEN, variable_of("notify"), COMMAND})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is said of settings around one command."""

    layers: tuple[Layer, ...] = ()
    """Those that say something of settings, the strongest first."""
    mistakes: tuple[str, ...] = ()
    """What is wrong with their values: told by commands that go by them."""
    warnings: tuple[str, ...] = ()

    def reading(self, flags: Mapping[str, Any]) -> dict[str, str | None]:
        """Return what `open_manifest` takes: *flags* for its file, and what is said elsewhere."""
        names = ("encoding", "sheet")
        elsewhere = {f"else_{name}": find_said(self.layers, name) for name in names}
        return {name: flags.get(name) for name in names} | elsewhere

    def refuse_mistakes(self) -> None:
        """Raise UsageError that names every mistake."""
        if self.mistakes:
            raise UsageError("\n".join(self.mistakes))


ALONE = Surroundings()
"""Of a command around which nothing is said."""


def read_surroundings(
    environ: Variables | Environment, flags: Mapping[str, Any], pixels: Collection[str]
) -> tuple[Environment, Surroundings]:
    """Return what is around a command with *flags*; *pixels*: the names of pixel settings.

    The environment has the variables of --env-file too, which go before its own. No file is read but that
    one and config.toml. Raises UsageError for a file that cannot be read, or a profile that is not there.
    """
    around = environ.reveal() if isinstance(environ, Environment) else environ
    file = EnvFile(Path(flags["env_file"])) if flags.get("env_file") else None
    config = _open_config(around)
    reader = LayerReader(pixels)
    profile = _named_profile(flags, file or {}, around)
    layers = [reader.read_table(_there(config, profile), profile)] if profile else []
    if file is not None:
        layers.append(reader.read_variables(str(file.path), file, file.place))
    layers.append(reader.read_variables("the environment", around, str))
    layers.append(reader.read_table(config, None))
    headers = {*(flags.get("header") or {}).values(), *_header_variables(config, layers)}
    if file is not None or not isinstance(environ, Environment):
        environ = Environment(_joined(around, file, headers), also=headers)
    warnings = [*reader.warnings, *_judge_files(config, file, headers)]
    said = tuple(layer for layer in layers if layer.values)
    return environ, Surroundings(said, tuple(reader.mistakes), tuple(warnings))


def _open_config(environ: Mapping[str, str]) -> ConfigFile:
    folder = config_folder(environ)
    return ConfigFile(Path(CONFIG)) if folder is None else read_config(folder / CONFIG)


def _named_profile(
    flags: Mapping[str, Any], file: Mapping[str, str], environ: Mapping[str, str]
) -> str | None:
    """Return the profile that the user asks for; an empty name asks for none."""
    if flags.get("profile") is not None:
        return str(flags["profile"])
    variable = variable_of("profile")
    return file.get(variable, "").strip() or environ.get(variable, "").strip() or None


def _there(config: ConfigFile, profile: str) -> ConfigFile:
    if not config.text and not config.path.exists():
        where = config.path if config.path.is_absolute() else f"{CONFIG} in the user's folder of settings"
        name = cut_short(profile)
        raise UsageError(f"profile {name}: there is no {where}: write one with [profile.{name}] in it")
    return config


def _header_variables(config: ConfigFile, layers: Iterable[Layer]) -> Iterator[str]:
    """Yield the variables that hold values of headers, those of profiles that were not asked for included."""
    for layer in layers:
        yield from layer.values.get("header", {}).values()
    for table in (config.default, *config.profiles.values()):
        header = table.get("header")
        yield from filter(_is_text, header.values() if isinstance(header, dict) else ())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _joined(environ: Mapping[str, str], file: EnvFile | None, headers: Collection[str]) -> dict[str, str]:
    """Return the variables of *environ* under those of *file* that are ours to read.

    A file that says where its token comes from is not overruled by the token of the environment, which may be
    another provider's.
    """
    if file is None:
        return dict(environ)
    ours = {
        name: value
        for name, value in file.items()
        if name.startswith(PREFIX) or name == REPLICATE_TOKEN or name in headers
    }
    hidden = {TOKEN, REPLICATE_TOKEN} if ours.get(COMMAND) else set()
    return {**{name: value for name, value in environ.items() if name not in hidden}, **ours}


def _judge_files(config: ConfigFile, file: EnvFile | None, headers: Collection[str]) -> Iterator[str]:
    if config.text:
        tables = (config.default, *config.profiles.values())
        secret = any("notify" in table or "?" in str(table.get("base_url", "")) for table in tables)
        yield from filter(None, [judge_permissions(config.path, secret=secret)])
    if file is not None:
        query = "?" in file.get(variable_of("base_url"), "")
        secret = query or not _SECRET_VALUES.union(headers).isdisjoint(file)
        yield from filter(None, [judge_permissions(file.path, secret=secret)])
