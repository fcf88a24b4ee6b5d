"""A value that is a whole file by mistake is repeated by its beginning alone, wherever it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.catalog.builtin import find_model
from batchfill.errors import UsageError
from batchfill.settings.definitions import SETTINGS
from batchfill.settings.setting import MANIFEST, READING, RUN, SAID_WITH_COMMAND, variable_of
from batchfill.settings.value_types import FilePath, FolderPath, Pairs, Switch

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.settings.setting import Setting
    from tests.unit.settings.conftest import Home

LONG = "z" * 50_000
LONGS = (LONG, f"\n{LONG}", f"x/{LONG}", f"http://{LONG}", f"s3://{LONG}", "9" * 4000)
SHORT = 700
"""Characters of a message that lists all known names, as a few do."""
READ = [one for one in SETTINGS if not isinstance(one.type, (Switch, FilePath, FolderPath))]
"""Paths are told whole: the command line cuts those that no system has."""
ROWS = "rows:\n  - {image: a.png, mask: b.png, prompt: a boat}\n"


@pytest.fixture(autouse=True)
def _manifest(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_text(ROWS, "utf-8")


def said(folder: Path, environ: dict[str, str] | None = None, **flags: Any) -> str:
    """Return what a command is answered; nothing where it takes the value."""
    around = {"HOME": str(folder), **(environ or {})}
    try:
        Batch.open(folder / "night.yaml", environ=around, **flags)._source.read()
    except UsageError as error:
        return str(error)
    return ""


def value_for(setting: Setting, text: str) -> Any:
    return {"image": text} if isinstance(setting.type, Pairs) else text


@pytest.mark.parametrize("setting", READ, ids=lambda one: one.name)
def test_a_long_value_is_cut_wherever_it_is_said(setting: Setting, home: Home) -> None:
    for text in LONGS:
        answers = []
        if {READING, RUN} & set(setting.places):
            answers.append(said(home.folder, **{setting.name: value_for(setting, text)}))
        if setting.name not in SAID_WITH_COMMAND:
            answers.append(said(home.folder, {variable_of(setting.name): text}))
            home.write_config(f'[default]\n{setting.name} = "{text.strip()}"\n')
            answers.append(said(home.folder))
            home.config.unlink()
        if MANIFEST in setting.places:
            line = f"{setting.in_manifest}: {text.strip()}\n"
            (home.folder / "night.yaml").write_text(line + ROWS, "utf-8")
            answers.append(said(home.folder))
            (home.folder / "night.yaml").write_text(ROWS, "utf-8")
        assert max(map(len, answers)) <= SHORT
        assert not any("z" * 61 in answer for answer in answers)


@pytest.mark.parametrize(
    "text",
    [
        f"[default]\n{LONG} = 1\n",
        f"[{LONG}]\nrate = 1\n",
        f"{LONG} = 1\n",
        f"[profile]\n{LONG} = 1\n",
        f"{LONG}\n",
        f"[default]\nrate = {LONG}\n",
    ],
)
def test_long_names_of_a_file_of_settings_are_cut(home: Home, text: str) -> None:
    home.write_config(text)
    answer = said(home.folder)
    assert answer
    assert len(answer) <= SHORT + len(str(home.config))


def test_a_long_flag_of_a_program_is_cut(home: Home) -> None:
    assert "there is no flag zzz" in (answer := said(home.folder, None, **{LONG: "1"}))
    assert len(answer) <= SHORT


@pytest.mark.parametrize("secret", ["sk-live-0123456789", "a" * 200, "Bearer abc", "0123456789abcdef"])
def test_the_value_of_a_header_in_the_place_of_its_variable_is_not_repeated(home: Home, secret: str) -> None:
    answer = said(home.folder, header={"x-key": secret}, base_url="https://gateway.example.com/v1")
    assert (
        answer
        == "--header x-key must name the variable that holds the header's value, and not be the value itself"
    )


def test_a_long_name_of_a_model_is_no_model(home: Home) -> None:
    assert find_model(f"x/{LONG}") is None
    assert "--model must be OWNER/NAME" in said(home.folder, model=f"x/{LONG}")


def test_the_schema_of_a_model_is_named_by_text_too(home: Home) -> None:
    assert (
        said(home.folder, model_schema="schema.json")
        == "schema.json: cannot be read: No such file or directory"
    )
