"""The flags that commands share, made of the table of settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchfill.domain.exit_codes import EXIT_MEANINGS
from batchfill.errors import quote_shortened
from batchfill.settings.definitions import BY_NAME, SETTINGS
from batchfill.settings.setting import Place
from batchfill.settings.value_types import FilePath, FolderPath, Pairs, Switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    from batchfill.settings.setting import Setting

ONCE = {setting.name for setting in SETTINGS if setting.once} | {"as_json", "watch"}
"""Flags that are for one call, or that the batch remembers: the command that goes on does without them."""

F = Any


class _Pair(click.ParamType[tuple[str, str]]):
    """`INPUT=VALUE`."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, equals, text = str(value).partition("=")
        if not (name and equals):
            self.fail(f"{quote_shortened(str(value))} must be NAME=VALUE", param, ctx)
        return name, text


def with_options(*chosen: Callable[[F], F]) -> Callable[[F], F]:
    """Return what adds all of *chosen* to a command, to be listed in this order."""

    def add(command: F) -> F:
        for option in reversed(chosen):
            command = option(command)
        return command

    return add


def _complete_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def _option(setting: Setting) -> Callable[[F], F]:
    """Return the flag of *setting*. One that is not given is None: the manifest may have another value."""
    how: dict[str, Any] = {"help": _help_text(setting), "multiple": setting.repeatable}
    match setting.type:
        case Switch():
            how |= {"is_flag": True, "default": None}
        case Pairs(metavar=metavar):
            how |= {"type": _Pair(), "metavar": metavar}
        case FilePath(metavar=metavar):
            how |= {"type": click.Path(path_type=Path), "metavar": metavar}
        case FolderPath(metavar=metavar):
            how |= {"shell_complete": _complete_folders, "metavar": metavar}
        case other:
            how |= {"metavar": other.metavar}
    short = (setting.short,) if setting.short else ()
    return click.option(*short, "/".join(filter(None, (setting.flag, setting.flag_off))), **how)


def _help_text(setting: Setting) -> str:
    default = (
        f" ({setting.default:g})" if isinstance(setting.default, int | float) and setting.default else ""
    )
    return setting.plain_help[0].upper() + setting.plain_help[1:] + default + "."


def _options_at(place: Place) -> Callable[[F], F]:
    return with_options(*(_option(setting) for setting in SETTINGS if place in setting.places))


EXIT_CODES = "\n".join(
    [
        "\b",
        "Exit codes; the first that applies:",
        *(f"  {code:d}  {text}" for code, text in EXIT_MEANINGS.items()),
    ]
)
"""For the help of commands; click wraps what comes behind a \\b not."""

MANIFEST = click.argument("manifest", type=click.Path(path_type=Path))
OUT = with_options(*(_option(BY_NAME[name]) for name in ("out", "profile", "env_file")))
"""Where a batch is, which a profile may say too."""
PROVIDER = with_options(*(_option(BY_NAME[name]) for name in ("base_url", "header", "plain_http")))
LOCAL = click.option("--local", is_flag=True, default=None, help="The batch of the local emulator.")
READING = _options_at(Place.READING)
RUNNING = _options_at(Place.RUN)
