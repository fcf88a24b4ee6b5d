"""Bits of a half-done ledger that went bad: told before anything is paid for, and nothing is paid twice."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from unittest import mock

from PIL import Image, ImageDraw

from batchfill.batch import Batch
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.errors import BatchfillError, RunBroken, ServiceRefused
from batchfill.settings import timings
from tests.chaos.soak.processes import Processes
from tests.chaos.soak.table import Line
from tests.support.ports import find_free_port
from tests.support.providers import TOKEN
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

ROWS = 16
LEDGER, LOG = "ledger.sqlite", "ledger.sqlite-wal"
PLACES = {"file": LEDGER, "log": LOG}
REFUSED = 2
PAID = "paid"


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one file."""

    file: str
    byte: int
    bit: int

    def apply(self, folder: Path) -> None:
        """Turn it over."""
        with (folder / self.file).open("r+b") as file:
            file.seek(self.byte)
            (before,) = file.read(1)
            file.seek(self.byte)
            file.write(bytes([before ^ 1 << self.bit]))


@dataclass(frozen=True, slots=True)
class Lived:
    """What came of one flip."""

    flip: Flip
    code: int
    broken: tuple[str, ...]


def flipped(seed: int, folder: Path, *, flips: int = 300) -> list[Line]:
    """Flip as many bits of a ledger, one at a time, half of them in its log; a line for each of the two."""
    with _hurried():
        lived = asyncio.run(_Flipping(folder, random.Random(seed)).all(flips))
    return [_line(place, [one for one in lived if one.flip.file == file]) for place, file in PLACES.items()]


class _Flipping:
    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self._port = find_free_port()
        self._good = folder / "good"
        self._context = folder / "desk"

    async def all(self, flips: int) -> list[Lived]:
        await self._half_a_run()
        lived = []
        for number in range(flips):
            flip = self._draw(list(PLACES.values())[number % 2])
            lived.append(await self._live(flip))
        return lived

    async def _half_a_run(self) -> None:
        """Leave a batch whose run was killed, and the provider that it ran at."""
        write_manifest(self._good)
        processes = Processes(self._good, TOKEN)
        provider = await self._serve(self._good, latency=0.3)
        try:
            base = f"http://127.0.0.1:{self._port}/v1"
            life = await processes.start(
                "batchfill", "run", "night.csv", "--base-url", base, "--concurrency", "4"
            )
            await provider.until(lambda: provider.billed >= ROWS // 2)
            await life.kill()
        finally:
            await processes.stop()
            await provider.stop()

    def _draw(self, file: str) -> Flip:
        content = (self._good / "night.batch" / file).read_bytes()
        # Where nothing is written nothing can go bad.
        written = [at for at, byte in enumerate(content) if byte]
        return Flip(file, self._chance.choice(written), self._chance.randrange(8))

    async def _live(self, flip: Flip) -> Lived:
        shutil.rmtree(self._context, ignore_errors=True)
        shutil.copytree(self._good, self._context)
        flip.apply(self._context / "night.batch")
        provider = await self._serve(self._context)
        try:
            code, broken = await self._judge(provider)
        finally:
            await provider.stop()
        return Lived(flip, code, broken)

    async def _judge(self, provider: EmulatorServer) -> tuple[int, tuple[str, ...]]:
        broken = [text for text in map(self._read, ("status", "results")) if text is not None]
        before = provider.creates_seen
        code, crash = await self._run()
        if crash is not None:
            broken.append(f"run: {crash}")
        if code == REFUSED and provider.creates_seen != before:
            broken.append(f"exit 2, and {provider.creates_seen - before} creates")
        if code == REFUSED:
            self._put_back()
            code_then, crash = await self._run()
            if code_then:
                broken.append(f"the good ledger ends with {code_then} {crash or ''}")
        made = Counter(record.input["prompt"] for record in provider.predictions())
        broken += [f"{PAID} {times} times: {prompt}" for prompt, times in made.items() if times > 1]
        return code, tuple(broken)

    def _put_back(self) -> None:
        # Without SQLite's other file, which it makes of these two.
        (self._context / "night.batch" / f"{LEDGER}-shm").unlink(missing_ok=True)
        for name in PLACES.values():
            shutil.copy(self._good / "night.batch" / name, self._context / "night.batch" / name)

    def _read(self, command: str) -> str | None:
        batch = Batch.open(self._context / "night.csv", environ={})
        try:
            batch.status() if command == "status" else list(batch.results())
        except BatchfillError:
            return None
        except Exception as error:  # what is looked for
            return f"{command}: {error!r}"
        return None

    async def _run(self) -> tuple[int, str | None]:
        """Return how a run ended, and what it ended with where that was no error of ours."""
        flags = {"rate": 60_000, "recover_wait": 0.2, "answer_timeout": 5, "base_url": self._base}
        batch = Batch.open(self._context / "night.csv", environ={"BATCHFILL_TOKEN": TOKEN}, **flags)
        try:
            async with asyncio.timeout(120):
                return (await batch.run()).exit_code, None
        except RunBroken:
            return 3, None
        except ServiceRefused:
            return 4, None
        except BatchfillError:
            return REFUSED, None
        except Exception as error:  # what is looked for
            return REFUSED, repr(error)

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def _serve(self, folder: Path, *, latency: float = 0.0) -> EmulatorServer:
        provider = EmulatorServer(folder / "provider", token=TOKEN, tiny=True, latency=latency)
        await provider.start(port=self._port)
        return provider


def write_manifest(folder: Path, *, rows: int = ROWS) -> None:
    """Write `night.csv` of so many rows, and the picture and the mask that they share."""
    for name, background, patch in (("images", (90, 120, 200), (200, 60, 30)), ("masks", 0, 255)):
        (folder / name).mkdir(parents=True)
        picture = Image.new("L" if name == "masks" else "RGB", (64, 48), background)
        ImageDraw.Draw(picture).rectangle((16, 12, 48, 36), fill=patch)
        picture.save(folder / name / "a.png")
    lines = [f"r{n},images/a.png,masks/a.png,picture {n}\n" for n in range(rows)]
    (folder / "night.csv").write_text("".join(["id,image,mask,prompt\n", *lines]), "utf-8")


def _hurried() -> AbstractContextManager[object]:
    """Cut the waits short that only a service far away needs.

    What ran while its provider was gone took that long: the gaps between polls would grow with it.
    """
    return mock.patch.object(timings, "DEFAULT", replace(QUICK, longest_poll_gap=0.5))


def _line(place: str, lived: list[Lived]) -> Line:
    broken = tuple(f"{one.flip}: {text}" for one in lived for text in one.broken)
    codes = Counter(one.code for one in lived)
    figures = {
        "flips": len(lived),
        "refused": codes[REFUSED],
        "went on": codes[0],
        "stopped": codes[3],
        "broken": len(broken),
    }
    return Line(f"flips in its {place}", figures, broken)
