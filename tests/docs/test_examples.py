"""Every command and example of README and docs runs as written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest

from batchfill.cli.commands import cli
from tests.docs.pages import PAGES, ROOT, Fence, codes_of, fences_of, name_of, prose_of, text_of
from tests.docs.play import play

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fork_server import ForkServer

OTHERS = frozenset({"--help", "--version", "--prompt", "--preload"})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_example_of_a_page_runs(page: Path, tmp_path: Path, fork_server: ForkServer) -> None:
    """They run one after the other, in one folder, at the local emulator."""
    play(page, tmp_path, fork_server)
    described = text_of(ROOT / "docs" / "batch-folder.md")
    for file in tmp_path.glob("*.batch/*"):
        assert f"`{file.name}" in described, f"batch-folder.md does not tell of {file.name}"


def test_examples_name_commands_and_flags_that_exist() -> None:
    """This holds for blocks that are not run, too."""
    for page in PAGES:
        for fence in fences_of(page):
            for words in _commands(fence) if fence.language == "sh" else ():
                _check(fence, words)


def test_flags_in_prose_exist() -> None:
    """A flag that is renamed is renamed in the docs."""
    known = {flag for name in cli.commands for flag in _flags(name)} | OTHERS
    for page in PAGES:
        for code in codes_of(prose_of(page)):
            if not code.startswith(("python", "ruff")):
                named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code))
                assert named <= known, f"{name_of(page)}: {named - known}"


def test_commands_in_prose_exist() -> None:
    """A command that is renamed is renamed in the docs."""
    for page in PAGES:
        for code in codes_of(prose_of(page)):
            if named := re.match(r"batchfill ([a-z]+)", code):
                assert named[1] in cli.commands, f"{name_of(page)}: {code}"


def _commands(fence: Fence) -> Iterator[list[str]]:
    """Yield the words of each command in a block."""
    text = fence.text.replace("\\\n", " ")
    for line in text.splitlines():
        for part in re.split(r"&&|\|\||;", re.sub(r"\s#.*", "", line)):
            if words := part.split():
                yield words


def _check(fence: Fence, words: list[str]) -> None:
    match words:
        case ["make", *targets]:
            made = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
            assert set(targets) <= set(made), f"{fence}: make has no target {targets}"
        case ["batchfill", name, *rest] if not name.startswith("-"):
            assert name in cli.commands, f"{fence}: no command {name}"
            flags = {word.partition("=")[0] for word in rest if word.startswith("-")} - OTHERS
            assert flags <= _flags(name), f"{fence}: {name} has no {flags - _flags(name)}"


def _flags(name: str) -> set[str]:
    command = cli.commands[name]
    options = [option for option in command.params if isinstance(option, click.Option)]
    return {flag for option in options for flag in (*option.opts, *option.secondary_opts)}
