"""Runs that the page starts: what was agreed to goes to a process, whose words come back."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill.domain.review import Agreed
from batchfill.errors import UsageError
from batchfill.review.runs import PageRuns, read_agreed
from tests.support.bounds import HANGS

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path
    from typing import IO


def runs(script: str, **environ: str) -> PageRuns:
    """Return what starts *script* instead of a run."""
    return PageRuns([sys.executable, "-c", script], environ)


TELLS = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.environ.get("BATCHFILL_TOKEN"), sys.stdin.read()]))
"""


@pytest.mark.parametrize(
    ("agreed", "word"),
    [(None, "nothing"), (Agreed(12, 480_000), "12:480000"), (Agreed(3, None), "3:unknown")],
)
async def test_a_process_is_told_what_was_agreed_to_and_its_first_line_comes_back(
    agreed: Agreed | None, word: str
) -> None:
    started = runs(TELLS, BATCHFILL_TOKEN="r8_secret")
    told = await (started.plan() if agreed is None else started.start(agreed))
    assert told == [["--agreed", word], "r8_secret", ""]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('batchfill: no token for it: set BATCHFILL_TOKEN')", "^no token for it: set "),
        ("import sys; print('one\\ntwo', file=sys.stderr)", "^one\ntwo$"),
        ("import sys; print('x' * 100_000, file=sys.stderr)", "^x{4000}$"),
        ("import os; os.write(2, b'\\xff\\xfe')", "^\ufffd\ufffd$"),
        ("", "ended without a word: see run.log"),
    ],
)
async def test_why_a_run_is_not_started_is_told_in_its_words(script: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        await runs(script).start(Agreed(1, 1))


async def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be started: No such file"):
        await PageRuns(["/nowhere/python"], {}).plan()


async def test_a_run_goes_on_when_its_server_has_heard_of_it(tmp_path: Path) -> None:
    """It breaks no pipe, it is in a session of its own, and nothing waits for it."""
    os.mkfifo(tmp_path / "go")
    script = f"""
import os, sys
print(os.getsid(0) == os.getpid(), file=sys.stderr, flush=True)
print("true" if os.getsid(0) == os.getpid() else "false", flush=True)
with open({str(tmp_path / "go")!r}) as go:
    go.read()
print("spoken on", file=sys.stderr, flush=True)
os.write(1, b"")
open({str(tmp_path / "ended")!r}, "w").close()
with open({str(tmp_path / "go")!r}, "w"):
    pass
"""
    assert await runs(script).start(Agreed(1, 1)) is True
    with anyio.fail_after(HANGS):
        await anyio.to_thread.run_sync((tmp_path / "go").write_text, "")
        await anyio.to_thread.run_sync((tmp_path / "go").read_text)
    assert (tmp_path / "ended").exists()


async def test_a_server_that_ends_stops_what_has_not_answered_yet(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "up")
    # It holds the other end for as long as it lives.
    up_there = str(tmp_path / "up")
    script = f"import signal; up = open({up_there!r}, 'w'); print(1, file=up, flush=True); signal.pause()"
    with anyio.fail_after(HANGS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runs(script).plan)
            with await anyio.to_thread.run_sync(lambda: (tmp_path / "up").open()) as up:
                assert await anyio.to_thread.run_sync(up.readline) == "1\n"
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    assert await anyio.to_thread.run_sync(up.read) == ""


async def test_a_run_that_is_not_wanted_any_more_as_it_starts_leaves_no_pipe_open() -> None:
    started: list[subprocess.Popen[bytes]] = []
    with anyio.CancelScope() as scope:

        class Hasty(PageRuns):
            def _open_process(self, agreed: str, told: IO[bytes]) -> subprocess.Popen[bytes]:
                started.append(super()._open_process(agreed, told))
                scope.cancel()
                return started[-1]

        await Hasty([sys.executable, "-c", "import signal; signal.pause()"], {}).plan()
    (process,) = started
    assert process.stdout is not None
    with anyio.fail_after(HANGS):
        while process.returncode is None or not process.stdout.closed:  # noqa: ASYNC110 - it is another thread's
            await anyio.sleep(0.01)


@pytest.mark.parametrize(("rows", "price"), [(0, 0), (12, 480_000), (1, None), (2**53 - 1, 2**53 - 1)])
def test_what_was_agreed_to_is_read(rows: int, price: int | None) -> None:
    assert read_agreed(json.loads(json.dumps({"rows": rows, "price": price}))) == (rows, price)


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "yes",
        {},
        {"rows": 1},
        {"price": 1},
        {"rows": 1, "price": 1, "more": 1},
        {"rows": None, "price": 1},
        {"rows": "1", "price": 1},
        {"rows": True, "price": 1},
        {"rows": 1.0, "price": 1},
        {"rows": 1, "price": "unknown"},
        {"rows": 1, "price": False},
        {"rows": -1, "price": 1},
        {"rows": 1, "price": -1},
        {"rows": 2**53, "price": 1},
    ],
)
def test_what_agrees_to_nothing_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="rows and price"):
        read_agreed(said)
