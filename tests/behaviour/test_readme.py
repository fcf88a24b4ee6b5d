"""What the README shows is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_python_example_runs_as_written(tmp_path: Path) -> None:
    """It is run in a copy of the samples, by a fresh interpreter."""
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs", ignore=shutil.ignore_patterns("*.batch"))
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "15 rows, 0 mistakes"
    assert lines[1].startswith("0 from ")
    assert len(lines) == 17
    assert all(" done outputs/" in line for line in lines[2:])


def test_the_first_screen_shows_the_two_commands() -> None:
    """A newcomer reads no further before the first try."""
    screen = "\n".join(README.splitlines()[:40])
    assert "make demo" in screen
    assert "make test" in screen
    assert "batchfill run night.csv" in screen


def test_every_command_in_the_readme_exists() -> None:
    """Words after `batchfill` in code are commands of the command line."""
    from batchfill.cli.commands import cli

    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    named = set(re.findall(r"\bbatchfill ([a-z]+)", blocks))
    assert named
    assert named <= set(cli.commands)


def test_every_file_in_the_readme_exists() -> None:
    """Links and test files that it names can be opened."""
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"`(tests/[\w/*.]+)`", README):
        assert list(ROOT.glob(name.rstrip("/"))), name
