"""Real Cog servers in processes of their own, where they are installed.

`make cogs` installs them, or `BATCHFILL_COGS` names a folder that has them: `cog-0.16` and `cog-0.23`, each a
virtual environment. A *RealCog* is one server; the log of its model has a line for each run.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.bounds import HANGS
from tests.support.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

ROOT = Path(__file__).parents[2]
COGS = Path(os.environ.get("BATCHFILL_COGS", ROOT / ".cogs"))
VERSIONS = ("cog-0.16", "cog-0.23")

COGLET = tuple(map(Path, ("/tmp/coglet", "/tmp/coglet/output", "/tmp/coglet/predictions")))
"""Folders that every coglet of a machine writes to, of every user."""


def _missing() -> str:
    """Return why no real server can be started here; empty: they can."""
    if not all(
        any((COGS / version).glob("lib/python*/site-packages/cog/__init__.py")) for version in VERSIONS
    ):
        return f"no Cog servers in {COGS}: `make cogs` installs them"
    closed = [str(path) for path in COGLET if path.exists() and not os.access(path, os.W_OK)]
    return f"coglet cannot write {closed[0]}, which another user made: remove it" if closed else ""


needs_cogs = pytest.mark.skipif(bool(_missing()), reason=_missing())

PREDICT = """
import os, time
from typing import List, Optional
from cog import BasePredictor, Input, Path

try:
    import cv2
except ImportError:
    cv2 = None

class Predictor(BasePredictor):
    def setup(self) -> None:
        pass

    def predict(
        self,
        image: Path = Input(description="Picture"),
        mask: Path = Input(description="Mask"),
        prompt: str = Input(description="Prompt"),
        seed: Optional[int] = Input(default=None, description="Seed"),
    ) -> List[Path]:
        began = time.monotonic()
        with open(os.environ["RUNS"], "a") as runs:
            runs.write(f"{time.time()} {prompt}\\n")
        out = f"{os.environ['RUNS']}-{os.getpid()}.png"
        if cv2 is None:
            from PIL import Image
            Image.open(str(image)).convert("RGB").save(out)
        else:
            picture, hole = cv2.imread(str(image)), cv2.imread(str(mask), 0)
            hole = cv2.resize(hole, picture.shape[1::-1])
            cv2.imwrite(out, cv2.inpaint(picture, (hole > 127).astype("uint8"), 3, cv2.INPAINT_TELEA))
        time.sleep(max(0.0, float(os.environ["SECONDS"]) - (time.monotonic() - began)))
        with open(os.environ["RUNS"], "a") as runs:
            runs.write(f"{time.time()} end\\n")
        return [Path(out)]
"""
YAML = 'build:\n  python_version: "3.11"\npredict: "predict.py:Predictor"\n'


class RealCog:
    """One server, which may be killed and started again on its port."""

    def __init__(self, folder: Path, version: str, seconds: float) -> None:
        self.folder, self.version, self.seconds = folder, version, seconds
        self.port = find_free_port()
        self.at = f"http://127.0.0.1:{self.port}"
        self.runs = folder / "runs"
        self._process: asyncio.subprocess.Process | None = None
        (folder / ".cog").mkdir(parents=True)
        (folder / "predict.py").write_text(PREDICT)
        self.runs.touch()

    @property
    def begun(self) -> int:
        """How many runs its model began."""
        return sum(not line.endswith(" end") for line in self.runs.read_text().splitlines())

    async def start(self, openapi: bytes = b"") -> None:
        """Start it; *openapi*: the schema, which coglet is given instead of finding it out."""
        python = COGS / self.version / "bin" / "python"
        environ = {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PORT": str(self.port),
            "RUNS": str(self.runs),
            "SECONDS": str(self.seconds),
        }
        if self.version == "cog-0.16":
            (self.folder / "cog.yaml").write_text(YAML)
        else:
            _share_folders()
            environ["COG_PREDICT_TYPE_STUB"] = "predict.py:Predictor"
            if openapi:
                (self.folder / ".cog" / "openapi_schema.json").write_bytes(openapi)
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(python, "-m", "cog.server.http", "--host", "127.0.0.1"),
                *(("--threads", "2") if self.version == "cog-0.16" else ()),
                cwd=self.folder,
                env=environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> bytes:
        """Return its schema once it is ready."""
        async with asyncio.timeout(HANGS):
            while await asyncio.to_thread(self._status) != "READY":  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.1)
        return await asyncio.to_thread(lambda: self._get("/openapi.json"))

    async def kill(self) -> None:
        """Send SIGKILL to it and all that it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def _status(self) -> str:
        try:
            return str(json.loads(self._get("/health-check")).get("status"))
        except OSError:
            return ""

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.at + path, timeout=HANGS) as answer:
            return bytes(answer.read())


def _share_folders() -> None:
    """Leave the folders of coglet so that another user's tests can write there too."""
    for path in COGLET:
        path.mkdir(exist_ok=True)
        with suppress(PermissionError):
            path.chmod(0o1777)


async def until_begun(cogs: Sequence[RealCog], *, more: int) -> None:
    """Return when so many more runs have begun."""
    wanted = sum(cog.begun for cog in cogs) + more
    async with asyncio.timeout(HANGS):
        while sum(cog.begun for cog in cogs) < wanted:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.05)


@pytest.fixture
async def real_cogs(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[list[RealCog]]]]:
    """`await real_cogs(2, seconds=0.8)` starts two servers of each version and waits for them."""
    started: list[RealCog] = []

    async def begin(of_each: int, *, seconds: float) -> list[RealCog]:
        for version in VERSIONS:
            of_version = [RealCog(tmp_path / f"{version}-{n}", version, seconds) for n in range(of_each)]
            openapi = await started[0].ready() if started else b""
            started.extend(of_version)
            for cog in of_version:
                await cog.start(openapi)
        for cog in started:
            await cog.ready()
        return started

    yield begin
    for cog in started:
        await cog.kill()
