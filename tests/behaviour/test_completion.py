"""Completion in the shells that are there: commands, flags and files, without loading what a run needs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.test_startup import HEAVY, loaded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fork_server import ForkServer

SHELLS = ("bash", "zsh", "fish", "powershell")

ASKED = [
    ("batchfill ", {"init", "run", "completion"}, {"night.csv"}),
    ("batchfill ru", {"run"}, {"init", "night.csv"}),
    ("batchfill run --no", {"--notify"}, {"--local"}),
    ("batchfill results night.csv --format ", {"csv", "jsonl"}, {"run"}),
    ("batchfill completion ", set(SHELLS), {"run"}),
]
"""What was typed, some of what may follow, and what must not."""

IN_BASH = """
source <(batchfill completion bash)
COMP_WORDS=({typed}"${{LAST-}}") COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_LINE="$1" COMP_POINT=${{#1}}
compopt() {{ echo "files: $2"; }}
"$(complete -p batchfill | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" batchfill
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def on_path(batchfill: Any, fork_server: ForkServer, tmp_path: Path) -> None:
    """Make `batchfill` a command of the shells that a test starts."""
    command = tmp_path / "bin" / "batchfill"
    fork_server.write_program(command)
    batchfill.environ["PATH"] = f"{command.parent}{os.pathsep}{batchfill.environ['PATH']}"


async def said(batchfill: Any, *command: str) -> list[str]:
    """Return the lines that a shell's command prints."""
    script = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    ran = await batchfill.python("-c", script, *command)
    assert (ran.code, ran.err) == (0, "")
    return list(ran.out.splitlines())


async def in_bash(batchfill: Any, typed: str) -> list[str]:
    words = typed.split()
    last = "" if typed.endswith(" ") else words.pop()
    script = IN_BASH.format(typed="".join(f"{word} " for word in words))
    return await said(batchfill, "bash", "-c", f"LAST='{last}'\n{script}", "bash", typed)


async def in_fish(batchfill: Any, typed: str) -> list[str]:
    script = 'batchfill completion fish | source; complete -C "$argv"'
    return [line.partition("\t")[0] for line in await said(batchfill, "fish", "-c", script, "--", typed)]


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
@pytest.mark.parametrize(("typed", "offered", "others"), ASKED)
async def test_bash_completes(
    batchfill: Any, on_path: None, typed: str, offered: set[str], others: set[str]
) -> None:
    found = set(await in_bash(batchfill, typed))
    assert (offered <= found, others & found) == (True, set()), found


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
@pytest.mark.parametrize("typed", ["batchfill run nig", "batchfill check ", "batchfill status nig"])
async def test_bash_completes_manifests_as_files(batchfill: Any, on_path: None, typed: str) -> None:
    assert "files: default" in await in_bash(batchfill, typed)


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
async def test_bash_completes_the_batch_folder_as_one(batchfill: Any, on_path: None) -> None:
    assert "files: dirnames" in await in_bash(batchfill, "batchfill run night.csv --out n")


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish here")
@pytest.mark.parametrize(("typed", "offered", "others"), ASKED)
async def test_fish_completes(
    batchfill: Any, on_path: None, typed: str, offered: set[str], others: set[str]
) -> None:
    found = set(await in_fish(batchfill, typed))
    assert (offered <= found, others & found) == (True, set()), found


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish here")
async def test_fish_completes_manifests_as_files(batchfill: Any, on_path: None, desk: Any) -> None:
    desk.write(desk.rows(1))
    assert await in_fish(batchfill, "batchfill run nig") == ["night.csv"]


@pytest.mark.parametrize("shell", SHELLS)
async def test_each_script_is_taken_by_its_shell(
    batchfill: Any, on_path: None, tmp_path: Path, shell: str
) -> None:
    script = tmp_path / "script"
    ran = await batchfill("completion", shell)
    assert (ran.code, "_BATCHFILL_COMPLETE" in ran.out) == (0, True)
    if shell != "powershell" and shutil.which(shell):
        script.write_text(ran.out, "utf-8")
        assert await said(batchfill, shell, "-n", str(script)) == []


async def test_the_question_that_powershell_asks_is_answered(batchfill: Any) -> None:
    batchfill.environ |= {
        "_BATCHFILL_COMPLETE": "powershell_complete",
        "COMP_WORDS": "batchfill run --no",
        "COMP_CWORD": "2",
    }
    # A command of its own: PowerShell starts it without any word.
    ran = await batchfill.python("-m", "batchfill")
    assert (ran.code, ran.err) == (0, "")
    assert "--notify" in ran.out.splitlines()


async def test_completing_loads_nothing_heavy(batchfill: Any) -> None:
    asked = {"_BATCHFILL_COMPLETE": "bash_complete", "COMP_WORDS": "batchfill run --no", "COMP_CWORD": "2"}
    assert await loaded(batchfill, "completion", "zsh") & (HEAVY | {"sqlite3"}) == set()
    batchfill.environ |= asked
    assert await loaded(batchfill) & (HEAVY | {"sqlite3"}) == set()


async def test_a_question_in_no_language_that_it_knows_is_no_command(batchfill: Any) -> None:
    batchfill.environ["_BATCHFILL_COMPLETE"] = "tcsh_complete"
    ran = await batchfill("status", "night.csv")
    assert (ran.code, ran.out, ran.err) == (1, "", "")
