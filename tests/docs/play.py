"""Runs the fenced blocks of a page in its order, in a folder of a user, with real processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING

from PIL import Image

from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.settings.credentials import Variables
from batchfill.settings.surroundings import read_surroundings
from tests.docs.pages import README, ROOT, Fence, fences_of
from tests.support.bounds import HANGS
from tests.support.ports import find_free_port
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.fork_server import ForkServer

SIDE = 128
"""Pixels: small pictures take little time."""
SAMPLES = {"hero": ("astronaut.jpg", "astronaut-patch.png"), "cat": ("cat.png", "cat-nose.png")}
"""The pictures and masks that examples name, and the sample files that they are made of."""
DEMO_ROWS = 4
"""Of the sample manifest, which `make demo` runs whole."""
SHOWN_ONLY = {("text", ""), ("sh", "norun"), ("python", "norun")}
FILES = ("csv", "jsonl", "yaml")
PORT = re.compile(r"\b87\d\d\b")
"""The ports of examples: free ones take their places, since another program may use them."""


def play(page: Path, folder: Path, server: ForkServer) -> None:
    """Run the blocks of *page* in the new folder *folder*; *server* runs their commands."""
    fences = [fence for fence in _with_free_ports(page) if (fence.language, fence.info) not in SHOWN_ONLY]
    if not fences:
        return
    _furnish(folder)
    with ExitStack() as stack:
        environ = make_environ(folder, server)
        # It has no model of a service's prices, so rows cost nothing anywhere.
        base = stack.enter_context(_background("batchfill serve --port 0 --folder service", folder, environ))
        environ["BATCHFILL_BASE_URL"] = base.split()[-1]
        output = ""
        for fence in fences:
            if (fence.language, fence.info) == ("sh", "background"):
                stack.enter_context(_background(fence.text, folder, environ))
            else:
                output = _run(fence, folder, environ, output)


def _with_free_ports(page: Path) -> list[Fence]:
    ports = {port: str(find_free_port()) for fence in fences_of(page) for port in PORT.findall(fence.text)}
    return [replace(f, text=PORT.sub(lambda port: ports[port[0]], f.text)) for f in fences_of(page)]


def _refuse_mistakes(fence: Fence, folder: Path) -> None:
    """Read the block as a file of settings, and each profile in it."""
    home = folder / f"settings-{fence.line}"
    (home / "batchfill").mkdir(parents=True)
    (home / "batchfill" / "config.toml").write_text(fence.text, "utf-8")
    for profile in (None, *re.findall(r"^\[profile\.(\w+)\]", fence.text, re.MULTILINE)):
        _, around = read_surroundings(
            Variables(XDG_CONFIG_HOME=str(home)), {"profile": profile}, PIXEL_READERS
        )
        around.refuse_mistakes()
        assert around.layers or profile is None, f"{fence}: [profile.{profile}] says nothing"


def _run(fence: Fence, folder: Path, environ: Mapping[str, str], before: str) -> str:
    """Run one block, and return what it printed; *before*: what the block before it printed."""
    match fence.language:
        case "sh":
            return _ended(fence, ["bash", "-ec", fence.text], folder, environ)
        case "python":
            return _ended(fence, [sys.executable, "-W", "error", "-c", fence.text], folder, environ)
        case "sql":
            with closing(sqlite3.connect(f"file:{folder / fence.info}?mode=ro", uri=True)) as ledger:
                assert ledger.execute(fence.text).fetchall(), f"{fence}: no rows"
        case "text":
            assert fence.info == "output", f"{fence}: unknown word {fence.info!r}"
            missing = [line for line in fence.text.splitlines() if not _shown_as(line).search(before)]
            assert not missing, f"{fence}: {missing} not in what was printed:\n{before}"
        case "toml":
            _refuse_mistakes(fence, folder)
        case language:
            assert language in FILES, f"{fence}: unknown language {language!r}"
            assert re.fullmatch(r"[\w-]+\.\w+", fence.info), f"{fence}: no name of a file"
            (folder / fence.info).write_text(fence.text, "utf-8")
    return before


def _ended(fence: Fence, command: list[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run *command* to its end, which must be the one that the block announces; return what it printed."""
    announced = re.fullmatch(r"(?:exit=(\d))?", fence.info)
    assert announced, f"{fence}: unknown word {fence.info!r}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=HANGS,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == int(announced[1] or 0), f"{fence}: {done.returncode}\n{printed}"
    return printed


@contextmanager
def _background(text: str, folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Run commands until the end of the block, then press Ctrl-C; yields the first line that they print."""
    process = subprocess.Popen(
        ["bash", "-ec", text],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        yield _first_line(process)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, text


def _first_line(process: subprocess.Popen[str]) -> str:
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    Thread(target=lambda stream: lines.put(stream.readline()), args=(process.stdout,), daemon=True).start()
    try:
        line = lines.get(timeout=HANGS)
    except Empty:
        line = ""
    assert line, "it printed nothing"
    return line


def _shown_as(line: str) -> re.Pattern[str]:
    """Return what a line of output looks like, whatever its numbers and what `…` stands for."""
    texts = (re.escape(text) for text in line.rstrip().split("…"))
    pattern = ".*".join(re.sub(r"(?:\d|\\\.|,)+", r"[\\d.,]+", text) for text in texts)
    return re.compile(f"^{pattern}$", re.MULTILINE)


def _furnish(folder: Path) -> None:
    """Put into *folder* what examples rely on: two pictures and masks, the README's manifest, the samples."""
    for name, (photograph, mask) in SAMPLES.items():
        for kind, source in (("photos", f"photographs/{photograph}"), ("masks", f"masks/{mask}")):
            target = folder / kind / f"{name}{'.jpg' if kind == 'photos' else '.png'}"
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(ROOT / "jobs" / source) as image:
                image.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
                image.convert("RGB" if kind == "photos" else "L").save(target)
    shutil.copytree(ROOT / "jobs", folder / "jobs", ignore=shutil.ignore_patterns("*.batch", "*.report"))
    demo = folder / "jobs" / "demo.csv"
    demo.write_text("".join(demo.read_text("utf-8").splitlines(keepends=True)[: 1 + DEMO_ROWS]), "utf-8")
    for fence in fences_of(README):
        if fence.language == "csv":
            (folder / fence.info).write_text(fence.text, "utf-8")


def make_environ(folder: Path, server: ForkServer) -> dict[str, str]:
    """Return the environment of a user with `batchfill` on the path; nothing of the tester's own counts."""
    program = folder / ".bin" / "batchfill"
    server.write_program(program, waits=QUICK)
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    return kept | {
        "PATH": os.pathsep.join([str(program.parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(folder / ".bin"),
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "BATCHFILL_TOKEN": "r8_for_examples_only",
    }
