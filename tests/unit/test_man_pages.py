"""The man pages that the source distribution has."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from batchfill._version import __version__
from batchfill.cli.commands import cli

ROOT = Path(__file__).parents[2]


def load_hook() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:.*make_default_short_help:DeprecationWarning")
def test_there_is_a_page_for_every_command_and_none_for_what_is_hidden(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    load_hook().write_man_pages(tmp_path, __version__)
    shown = [name for name, command in cli.commands.items() if not command.hidden]
    assert {page.name for page in tmp_path.iterdir()} == {
        "batchfill.1",
        *(f"batchfill-{name}.1" for name in shown),
    }
    run = (tmp_path / "batchfill-run.1").read_text("utf-8")
    assert run.startswith(f'.TH "BATCHFILL RUN" "1" "2026-11-30" "{__version__}"')
    assert "max\\-cost" in run
