"""The help of a command shows its flags in groups, and says how it ends."""

from __future__ import annotations

import re
from collections import Counter

import click
import pytest

from batchfill.cli.commands import cli
from batchfill.cli.option_groups import GROUPS, OTHERS, GroupedCommand
from batchfill.domain.exit_codes import EXIT_MEANINGS, ExitCode
from batchfill.settings.definitions import SETTINGS
from batchfill.settings.setting import READING, RUN

GROUPED = [name for name, command in cli.commands.items() if isinstance(command, GroupedCommand)]


def help_of(name: str) -> str:
    command = cli.commands[name]
    return command.get_help(click.Context(command, info_name=f"batchfill {name}"))


def test_every_flag_of_a_run_is_in_one_group() -> None:
    grouped = Counter(name for names in GROUPS.values() for name in names)
    assert set(grouped.values()) == {1}
    assert set(grouped) >= {setting.name for setting in SETTINGS if {READING, RUN} & set(setting.places)}


@pytest.mark.parametrize("name", GROUPED)
def test_a_help_in_groups_shows_each_flag_once(name: str) -> None:
    said = help_of(name)
    listed = Counter(re.findall(r"^  (?:-\w, )?(--?[a-z][a-z-]*)", said, re.MULTILINE))
    options = [one for one in cli.commands[name].params if isinstance(one, click.Option)]
    flags = [one.opts[-1] for one in options if not one.hidden]
    assert listed == Counter([*flags, "--help"])
    titles = re.findall(r"^(\S.*):$", said, re.MULTILINE)
    assert titles == [title for title in (OTHERS, *GROUPS) if title in titles]


@pytest.mark.parametrize("text", [cli.get_help(click.Context(cli)), help_of("run")], ids=["batchfill", "run"])
def test_the_help_tells_every_exit_code(text: str) -> None:
    assert EXIT_MEANINGS.keys() == set(ExitCode)
    for code, meaning in EXIT_MEANINGS.items():
        assert f"    {code:d}  {meaning}\n" in f"{text}\n"
