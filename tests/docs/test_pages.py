"""README and docs agree with the program, and with each other."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import click
import pytest

from batchfill.batch import Batch
from batchfill.catalog.builtin import find_model
from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.cli.commands import cli
from batchfill.domain.findings import FLAGS
from batchfill.domain.rows import RowState
from batchfill.settings.definitions import IN_MANIFEST
from batchfill.settings.value_types import FLUX_FILL_DEV
from tests.docs.pages import (
    PAGES,
    README,
    ROOT,
    anchors_of,
    codes_of,
    links_of,
    name_of,
    prose_of,
    section_of,
    tables_of,
    text_of,
)
from tests.docs.reference import reference_tables, table_in

if TYPE_CHECKING:
    from pathlib import Path

DOCS = ROOT / "docs"
PACKAGE = ROOT / "batchfill"
SHARED = frozenset({"--out", "--local", "--profile", "--env-file", "--help"})
"""Flags that commands.md explains once, for all commands."""
UNWANTED = re.compile(r"\b(nobody|somebody|everybody|whoever|whatever|anew|beside|for ever)\b", re.IGNORECASE)
LONGEST_SENTENCE = 20
"""Words, code spans apart: a list of flags is no sentence."""


def test_the_readme_is_short() -> None:
    """It is read on two screens, and the first one holds the first commands."""
    assert len(text_of(README).split()) <= 700
    screen = "\n".join(text_of(README).splitlines()[:40])
    assert "make demo" in screen
    assert "make test" in screen
    assert "batchfill run night.csv" in screen


def test_the_picture_is_small() -> None:
    """It is downloaded by everyone who opens the README."""
    assert (DOCS / "before-mask-after.webp").stat().st_size < 150_000


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link names a file of the checkout, and a heading in it."""
    for link in links_of(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{name_of(page)}: {link}"


def test_every_page_is_linked_from_the_readme() -> None:
    """A page without a link is not found."""
    linked = {link.partition("#")[0] for link in links_of(README)}
    assert {name_of(page) for page in PAGES if page != README} <= linked


def test_a_package_index_shows_no_link_into_the_checkout() -> None:
    """The build replaces such links by their text: the index has neither the pages nor the picture."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    shown = text_of(README) + hook["fragments"][-1]["text"]
    for rule in hook["substitutions"]:
        shown = re.sub(rule["pattern"], rule["replacement"], shown)
    assert re.findall(r"\]\((?!https://)", shown) == []
    assert "[flux-fill-dev](https://replicate.com/" in shown
    assert "looked up (docs/reliability.md)" in shown
    assert "before-mask-after" not in shown
    # Nor has it the Makefile, or the folder to install.
    assert "make " not in shown
    assert "install ." not in shown
    assert "\nbatchfill demo " in shown
    assert "named in brackets are in the source distribution" in shown


def test_the_package_names_the_pythons_and_systems_that_it_is_for() -> None:
    """An index finds it by them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [each.rpartition(" :: ")[2] for each in project["classifiers"]]
    oldest = project["requires-python"].removeprefix(">=")
    assert next(name for name in named if name.startswith("3.")) == oldest
    systems = text_of(DOCS / "systems.md")
    assert all(f"| {system} |" in systems for system in ("Linux", "macOS", "Windows"))
    assert {"Linux", "MacOS", "Windows"} <= set(named)


def test_every_test_that_is_named_exists() -> None:
    """Docs name the tests behind a claim."""
    for page in PAGES:
        for code in codes_of(prose_of(page)):
            if re.fullmatch(r"(tests|jobs)/[\w/*.]+", code) and ".local.batch" not in code:
                assert list(ROOT.glob(code.rstrip("/"))), f"{name_of(page)}: {code}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_english_is_plain(page: Path) -> None:
    """A sentence is short and names its actor."""
    text = re.sub(r"(`+).+?\1", "", prose_of(page))
    assert UNWANTED.findall(text) == []
    long = [
        sentence for sentence in _sentences(text) if len(re.findall(r"\w\S*", sentence)) > LONGEST_SENTENCE
    ]
    assert long == []


def _sentences(text: str) -> list[str]:
    """Return the sentences outside tables and headings; an item of a list begins one."""
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#", "!["))]
    plain = re.sub(r"\]\([^)]*\)", "]", "\n".join(lines))
    parts = re.split(r"[.:;?!]\)?\*{0,2}\s|\n\s*\n|\n(?=\s*(?:-|\d\.) )", plain)
    return [" ".join(part.split()) for part in parts if part.strip()]


def test_the_settings_are_those_of_run() -> None:
    """Same flags, same order, and those of `check` apart."""
    both, run_only, flagless, _ = tables_of(text_of(DOCS / "settings.md"))
    assert _names(both) == _flags("check", without={"--online", "--outputs", "--fetch", "--json"})
    assert [*_names(both), *_names(run_only)] == _flags("run", without={"-n"})
    held = {row[1].strip("`") for row in (*both, *run_only)} - {"no"}
    named = held | set(_names([row for row in flagless if row[1] == "yes"]))
    assert named == IN_MANIFEST.keys() | {"rows"}
    section = section_of(DOCS / "settings.md", "Settings without a flag")
    assert set(PIXEL_READERS) <= set(codes_of(section))


@pytest.mark.parametrize(("page", "heading"), reference_tables(), ids=str)
def test_the_tables_of_settings_are_those_of_the_program(page: Path, heading: str) -> None:
    """`python -m tests.docs.reference` writes them."""
    assert table_in(page, heading) == reference_tables()[page, heading]


def test_flags_states_and_inputs_are_all_there() -> None:
    """What `results` and `status` say is explained."""
    flags = tables_of(section_of(DOCS / "pixels.md", "Flags"))[0]
    assert tuple(_names(flags)) == FLAGS
    states = tables_of(section_of(DOCS / "running-and-resuming.md", "States of a row"))[0]
    assert _names(states) == [state.value for state in RowState]
    model = find_model(FLUX_FILL_DEV)
    assert model is not None
    inputs = tables_of(section_of(DOCS / "manifest.md", "Inputs of flux-fill-dev"))[0]
    assert set(_names(inputs)) == set(model.fields) - {"image", "mask", "prompt"}


@pytest.mark.parametrize("name", [name for name, command in cli.commands.items() if not command.hidden])
def test_every_command_is_explained_with_its_flags(name: str) -> None:
    """And with no flag that it does not have."""
    section = section_of(DOCS / "commands.md", name)
    # In code blocks, too: -o of `pair` is named in a table.
    explained = {flag for code in codes_of(section) for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", code)}
    assert explained - SHARED == set(_flags(name)) - SHARED
    assert f"| `{name}` |" in text_of(README)


def test_every_public_name_of_batch_is_explained() -> None:
    """A method that is not in the docs is not found."""
    named = {re.match(r"(?:await )?\w+", code) for code in codes_of(text_of(DOCS / "python-api.md"))}
    words = {match[0].removeprefix("await ") for match in named if match}
    public = {name for name in dir(Batch) if not name.startswith("_")} - {"open", "create"}
    assert public <= words


def test_every_field_of_the_review_is_explained() -> None:
    """The page of the docs and the one in the package tell of the same fields."""
    fields = set(codes_of((PACKAGE / "review" / "FORMAT.md").read_text("utf-8")))
    fields.discard("batchfill status --json")  # a link there
    assert fields <= set(codes_of(text_of(DOCS / "review-json.md")))


def test_the_glossary_is_in_order() -> None:
    """It is read by people who look for a word."""
    for table in tables_of(text_of(DOCS / "glossary.md")):
        terms = [row[0].lower() for row in table]
        assert terms == sorted(set(terms))


def _messages() -> list[str]:
    """Return the messages that troubleshooting quotes."""
    rows = [row for table in tables_of(text_of(DOCS / "troubleshooting.md")) for row in table]
    return [code for row in rows for code in codes_of(row[0])]


@pytest.mark.parametrize("message", _messages())
def test_every_message_of_troubleshooting_is_one_of_the_program(message: str) -> None:
    """Its fixed words, between the places where … stands for something, are texts of the source."""
    parts = [part.strip() for part in message.split("…")]
    fixed = [part for part in parts if re.search(r"\w", part)]
    assert fixed
    missing = [part for part in fixed if not any(part in text for text in _texts())]
    assert missing == []


@cache
def _texts() -> frozenset[str]:
    """Return every text in the package's source; values that are filled in are left out."""
    scripts = {file.read_text("utf-8") for file in PACKAGE.rglob("*.js")}
    return frozenset(scripts).union(
        text
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if (text := _text(node))
    )


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return "\N{BULLET}" if isinstance(node, ast.FormattedValue) else ""


def test_the_architecture_names_packages_and_files_that_exist() -> None:
    """And every package that there is."""
    rows = tables_of(section_of(DOCS / "architecture.md", "Packages"))[0]
    for package, _, files in rows:
        folder = ROOT / "batchfill" / package.strip("`").removeprefix("batchfill")
        for code in codes_of(files):
            path = folder / code
            assert path.exists() or path.with_suffix(".py").exists() or (folder / f"{code}.py").exists(), path
    named = {row[0].strip("`").partition("/")[0] for row in rows} | {"__pycache__"}
    assert {folder.name for folder in PACKAGE.iterdir() if folder.is_dir()} <= named


def _names(rows: list[list[str]]) -> list[str]:
    return [code for row in rows for code in codes_of(row[0])]


def _flags(name: str, without: frozenset[str] | set[str] = frozenset()) -> list[str]:
    params = cli.commands[name].params
    options = [option for option in params if isinstance(option, click.Option) and not option.hidden]
    return [flag for option in options for flag in option.opts + option.secondary_opts if flag not in without]
