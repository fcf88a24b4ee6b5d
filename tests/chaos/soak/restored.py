"""Ledgers restored or gone, records torn, folders and manifests renamed: nothing is paid for twice unasked.

Each situation is a small batch whose runs are real processes, killed or not; then its past is spoilt, and it
is run again, as a script would, and with the consent that it asks for.
"""

from __future__ import annotations

import csv
import re
import secrets
import shutil
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.journal import Bill, read_bill
from tests.chaos.soak.processes import Hung, Processes
from tests.chaos.soak.side_by_side import live_all
from tests.chaos.soak.table import Line
from tests.support import ledgers
from tests.support.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ROWS = 10
SITUATIONS = 66
AT_ONCE = 3
NOTHING_DONE = 2
STARTS = 4
"""Starts until a batch whose past was spoilt is done."""

TIMES = ("--recover-wait", "1", "--answer-timeout", "3", "--rate", "60000")
ASKED = re.compile(r"add --accept-loss (\d+)")
ELSEWHERE = re.compile(r"go on with --out (\S+)\. ")


@dataclass(slots=True)
class Desk:
    """One batch, on its way through a situation."""

    folder: Path
    chance: Random
    manifest: Path
    batch: Path
    provider: EmulatorServer
    processes: Processes
    accepted: int = 0
    """Rows of which the user said that they may be paid for again."""
    refused: int = 0
    """Starts that asked first."""
    broken: list[str] = field(default_factory=list)

    async def run(self, *flags: str, kill: bool = False) -> tuple[int, str]:
        """Run the batch, perhaps to be killed; return its exit code and what it said."""
        told = ("run", str(self.manifest), "--base-url", self.provider.base, *TIMES, *flags)
        life = await self.processes.start("batchfill", *told)
        if kill:
            most = self.chance.uniform(0.2, 1.0) * ROWS + self.provider.billed
            while not life.over and self.provider.billed < most:
                await life.wait(0.01)
            await life.wait(self.chance.uniform(0, 0.3))
            await life.kill()
        code = await life.ended()
        if "Traceback" in life.said():
            self.broken.append(f"a traceback: {life.said()[-1500:]}")
        return code, life.said()


def _files(batch: Path, *names: str) -> list[Path]:
    return [path for name in names for path in batch.glob(f"{name}*") if path.is_file()]


def _remove(batch: Path, *names: str) -> None:
    for path in _files(batch, *names):
        path.unlink()


def _restore(desk: Desk, *names: str) -> None:
    _remove(desk.batch, *names)
    for path in _files(desk.folder / "copy", *names):
        shutil.copy(path, desk.batch)


def restore_ledger(desk: Desk) -> None:
    """The ledger is from a copy of an earlier moment."""
    _restore(desk, "ledger.sqlite")


def restore_half(desk: Desk) -> None:
    """The same without SQLite's log."""
    _restore(desk, "ledger.sqlite")
    _remove(desk.batch, "ledger.sqlite-")


def lose_ledger(desk: Desk) -> None:
    """Ledger and log are gone."""
    _remove(desk.batch, "ledger.sqlite")


def keep_outputs(desk: Desk) -> None:
    """Only the pictures are there."""
    _remove(desk.batch, "ledger.sqlite", "paid.jsonl", "run.log", "results.csv")


def lose_record(desk: Desk) -> None:
    """The record is gone."""
    _remove(desk.batch, "paid.jsonl")


def restore_record(desk: Desk) -> None:
    """The record is from a copy of an earlier moment."""
    _restore(desk, "paid.jsonl")


def tear_record(desk: Desk) -> None:
    """The record's end is gone, or never came to the disk."""
    path = desk.batch / "paid.jsonl"
    content = path.read_bytes()
    cut = desk.chance.randrange(len(content))
    path.write_bytes(content[:cut] + desk.chance.choice([b"", bytes(300), b'{"accepted":3']))


def garble_record(desk: Desk) -> None:
    """Some byte of the record is another, and its ledger is gone or not."""
    path = desk.batch / "paid.jsonl"
    content = bytearray(path.read_bytes())
    content[desk.chance.randrange(len(content))] ^= 1 << desk.chance.randrange(8)
    path.write_bytes(bytes(content))


def take_anothers(desk: Desk) -> None:
    """The record is another batch's."""
    path = desk.batch / "paid.jsonl"
    text = path.read_text("utf-8")
    path.write_text(re.sub(r'"batch":"\w+"', f'"batch":"{"0" * 32}"', text), "utf-8")


def rename_folder(desk: Desk) -> None:
    """The folder has another name."""
    desk.batch.rename(desk.folder / "kept.batch")


def rename_manifest(desk: Desk) -> None:
    """The manifest has another name."""
    desk.manifest = desk.manifest.rename(desk.folder / "evening.csv")
    desk.batch = desk.folder / "evening.batch"


def rename_both(desk: Desk) -> None:
    """Both have another name."""
    folder = desk.batch
    rename_manifest(desk)
    folder.rename(desk.batch)


def move_desk(desk: Desk) -> None:
    """All of it is in another folder."""
    other = desk.folder / "elsewhere"
    other.mkdir()
    for path in (desk.manifest, desk.batch, desk.folder / "a.png", desk.folder / "mask.png"):
        shutil.move(path, other)
    desk.manifest, desk.batch = other / desk.manifest.name, other / desk.batch.name


DEEDS: Sequence[Callable[[Desk], None]] = (
    restore_ledger,
    restore_half,
    lose_ledger,
    keep_outputs,
    lose_record,
    restore_record,
    tear_record,
    garble_record,
    take_anothers,
    rename_folder,
    rename_manifest,
    rename_both,
    move_desk,
)
WHOLE = (keep_outputs,)
"""Deeds after which nothing tells of what was still on its way."""


def restored(seed: int, folder: Path, *, situations: int = SITUATIONS) -> list[Line]:
    """Go through *situations* below an empty *folder*, drawn from *seed*; return a line for each kind."""

    async def live(number: int) -> tuple[str, Desk]:
        deed = DEEDS[number % len(DEEDS)]
        desk = await _live(folder / str(number), deed, f"{seed} {number}")
        return deed.__name__.replace("_", " "), desk

    found: dict[str, list[Desk]] = {}
    for name, desk in live_all(live, situations, at_once=AT_ONCE):
        found.setdefault(name, []).append(desk)
    return [_line(name, desks) for name, desks in found.items()]


async def _live(folder: Path, deed: Callable[[Desk], None], seed: str) -> Desk:
    token = f"r8_{secrets.token_hex(18)}"
    folder.mkdir(parents=True)
    provider = EmulatorServer(folder / "provider", token=token, tiny=True, latency=0.2, faults=Faults([]))
    await provider.start()
    processes = Processes(folder, token)
    desk = Desk(folder, Random(seed), _manifest(folder), folder / "night.batch", provider, processes)
    try:
        await _spoil(desk, deed)
        await _go_on(desk)
    except Hung as error:
        desk.broken.append(str(error))
    finally:
        await processes.stop()
        await provider.stop()
    desk.broken += _judge(desk, token)
    return desk


async def _spoil(desk: Desk, deed: Callable[[Desk], None]) -> None:
    """Run it twice, each time killed or not, with a copy made between; then comes the deed."""
    if desk.chance.random() < 0.5:
        await desk.run(kill=True)
    else:
        await desk.run("--limit", str(desk.chance.randrange(1, ROWS)))
    shutil.copytree(desk.batch, desk.folder / "copy")
    await desk.run(kill=deed not in WHOLE and desk.chance.random() < 0.6)
    deed(desk)
    if desk.chance.random() < 0.5:
        # What is looked up is forgotten by the service, mostly.
        gone = Fault("get", "status", times=desk.chance.randrange(1, ROWS), options={"status": 404})
        desk.provider.faults.add(gone)


async def _go_on(desk: Desk) -> None:
    """Start it again until it is done, with the consent that it asks for."""
    for _ in range(STARTS):
        flags = ["--accept-loss", str(desk.accepted)] if desk.accepted else []
        before = desk.provider.billed
        code, said = await desk.run(*flags)
        if code != NOTHING_DONE:
            if code == 0:
                return
            continue
        desk.refused += 1
        if desk.provider.billed != before:
            desk.broken.append(f"it ended 2 with {desk.provider.billed - before} submitted")
        if (found := ELSEWHERE.search(said)) and desk.chance.random() < 0.5:
            desk.batch = desk.batch.with_name(found[1].rpartition("/")[2])
            if desk.batch.with_suffix(".csv").exists() or desk.manifest.name == "night.csv":
                shutil.rmtree(desk.folder / "night.batch", ignore_errors=True)
                desk.batch = desk.batch.rename(desk.folder / "night.batch")
            else:
                shutil.rmtree(desk.folder / "evening.batch", ignore_errors=True)
                desk.batch = desk.batch.rename(desk.folder / "evening.batch")
        elif asked := ASKED.search(said):
            desk.accepted = int(asked[1])
        else:
            lose_record(desk)  # as it says
    desk.broken.append(f"it was not done after {STARTS} starts")


def _judge(desk: Desk, token: str) -> Iterator[str]:
    if not (desk.batch / "ledger.sqlite").exists():
        yield "there is no ledger"
        return
    verdict = judge(desk.folder, desk.batch, token)
    twice = sum(
        len(paid) - 1 for paid in Bill(tuple(read_bill(desk.folder / "provider"))).paid_twice().values()
    )
    if twice > desk.accepted:
        yield f"{twice} rows were paid for twice, and {desk.accepted} accepted: {verdict.paid_twice}"
    if len(verdict.lost) > desk.accepted:
        yield from verdict.lost
    yield from verdict.leaks
    yield from ledgers.faults(desk.batch / "ledger.sqlite")
    if verdict.done != ROWS:
        yield f"{verdict.done} of {ROWS} rows are done"


def _line(name: str, desks: Sequence[Desk]) -> Line:
    broken = tuple(f"{name}, {desk.folder}: {text}" for desk in desks for text in desk.broken)
    figures = {
        "situations": len(desks),
        "asked first": sum(bool(desk.refused) for desk in desks),
        "accepted": sum(desk.accepted for desk in desks),
        "billed": sum(desk.provider.billed for desk in desks),
        "broken": len(broken),
    }
    return Line(name, figures, broken)


def _manifest(folder: Path) -> Path:
    for name, background, patch in (("a.png", 90, 200), ("mask.png", 0, 255)):
        image = Image.new("L", (64, 48), background)
        ImageDraw.Draw(image).rectangle((16, 12, 48, 36), fill=patch)
        image.save(folder / name)
    manifest = folder / "night.csv"
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "image", "mask", "prompt"])
        writer.writerows([f"r{n}", "a.png", "mask.png", f"picture {n}"] for n in range(ROWS))
    return manifest
