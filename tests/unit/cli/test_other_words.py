"""The words of other tools: none of ours is among them, and no answer names what there is not."""

from __future__ import annotations

import re

import click
import pytest

from batchfill.cli.commands import cli
from batchfill.cli.other_words import COMMANDS, FLAGS, no_such_command


def flags_of(*commands: str) -> set[str]:
    return {flag for name in commands for param in cli.commands[name].params for flag in param.opts}


def test_no_word_of_another_tool_is_one_of_ours() -> None:
    assert not set(COMMANDS) & set(cli.commands)
    assert not set(FLAGS) & flags_of("run", "check")


@pytest.mark.parametrize("answer", sorted({*COMMANDS.values(), *FLAGS.values()}))
def test_an_answer_names_commands_and_flags_that_there_are(answer: str) -> None:
    commands = re.findall(r"batchfill ([a-z]+)", answer)
    assert set(commands) <= set(cli.commands)
    assert set(re.findall(r"--[a-z-]+", answer)) <= flags_of("run", "check")
    assert commands or "--" in answer or "BATCHFILL_TOKEN" in answer or "run.log" in answer


@pytest.mark.parametrize("word", ["", "-", "a" * 5000, "\udcff", "\x1b[31m"])
def test_a_word_that_no_file_can_have_is_no_folder(word: str) -> None:
    assert no_such_command(word, click.Context(cli)) is None
