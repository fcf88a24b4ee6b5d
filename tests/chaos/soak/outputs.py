"""Bad outputs: of every kind, in every place of four and several at once, in runs that are stopped."""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import httpx
from aiohttp import ClientSession, web
from PIL import Image

from batchfill.batch import Batch
from batchfill.clock import SystemClock
from batchfill.emulator.emulator_model import TINY
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.settings import timings
from tests.chaos.soak.table import Line
from tests.support.gateways import open_origins, pass_on
from tests.support.judge import leaks
from tests.support.ledgers import in_ledger
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from batchfill.domain.progress import Progress
    from batchfill.domain.reports import Result
    from batchfill.emulator.journal import PredictionRecord

HOUR = 3600.0
ASKED = 4
TOKEN = "r8_for_bad_outputs_only"


class Bad(NamedTuple):
    """What is wrong with an output."""

    address: str
    """`{host}` is the hostile host, which answers as the path says; `{sibling}` another output."""
    reason: str | None
    """What is said of it in the end; None: nothing, for it can be had all the same."""


BAD = {
    "ftp": Bad("ftp://127.0.0.1/a.webp", "fetched from https addresses only. It was paid for"),
    "http off loopback": Bad("http://10.0.0.9/a.webp", "fetched from https addresses only"),
    "no address": Bad("nonsense", "is not an address"),
    "a file": Bad("file:///etc/hostname", "It was paid for, and the service removes it about"),
    "401": Bad("{host}/401", "answered 401"),
    "403": Bad("{host}/403", "answered 403"),
    "404": Bad("{host}/404", "the service has removed"),
    "410": Bad("{host}/410", "the service has removed"),
    "500": Bad("{host}/500", "answered 500"),
    "cut short": Bad("{host}/cut", "no whole picture"),
    "html": Bad("{host}/html", "is a web page"),
    "garbage": Bad("{host}/garbage", "no whole picture"),
    "empty": Bad("{host}/empty", "is empty"),
    "never answers": Bad("{host}/never", "cannot be fetched"),
    "redirect": Bad("{host}/redirect", "fetched from https addresses only"),
    "redirect in a circle": Bad("{host}/circle", "redirects more than 5 times"),
    "data": Bad("data:image/webp;base64,@@@@", "not base64"),
    "data cut": Bad("data:image/webp", "without data"),
    "data of another kind": Bad("data:text/plain,hello", "is text, not a picture"),
    "a sibling's address": Bad("{sibling}", None),
}

SILENT = frozenset({"500", "never answers"})

RUN_HANGS = 600
"""Seconds after which a run is taken to hang."""

NEVER = httpx.Timeout(20.0, read=2.0)
"""A run waits shortly for an output that never comes."""

LATE = "Timeout on reading"
"""What may be said of any of them on a machine that is busy."""


async def hostile(request: web.Request) -> web.StreamResponse:
    """Answer as the path says."""
    kind = request.path.strip("/")
    if kind.isdecimal():
        return web.Response(status=int(kind))
    if kind == "never":
        await asyncio.Event().wait()
    if kind in ("redirect", "circle"):
        place = "http://10.0.0.9/a.webp" if kind == "redirect" else "/circle"
        return web.Response(status=302, headers={"Location": place})
    bodies = {"cut": TINY[:-20], "html": b"<html>expired</html>", "garbage": b"\x81" * 99, "empty": b""}
    return web.Response(body=bodies[kind], content_type="image/webp")


Spoilt = dict[int, str]
"""The bad outputs of one row: their kinds by their numbers."""


def spoiling(provider: EmulatorServer, rows: Mapping[str, Spoilt], host: str) -> Callable[[str], str]:
    """Return what changes the addresses of bad outputs in an answer; *rows* has them by prompt."""

    def change(text: str) -> str:
        for record in provider.predictions():
            if record.id in text:
                for n, kind in rows.get(record.input.get("prompt", ""), {}).items():
                    mine, sibling = _address(provider, record, n), _address(provider, record, n % ASKED + 1)
                    text = text.replace(mine, BAD[kind].address.format(host=host, sibling=sibling))
        return text

    return change


def _address(provider: EmulatorServer, record: PredictionRecord, n: int) -> str:
    return f"{provider.outputs_base}/outputs/{record.id}/out-{n - 1}.webp"


def bad_outputs(seed: int, folder: Path, *, rows: int = 200) -> list[Line]:
    """Run batches with bad outputs, raw and finished: every case, and as many drawn ones as make *rows*."""
    return [
        asyncio.run(_batch(finish, folder / finish, Random(f"{seed} {finish}"), rows))
        for finish in ("raw", "exact")
    ]


@dataclass(slots=True)
class _Found:
    starts: int = 0
    trouble: list[str] = field(default_factory=list)


async def _batch(finish: str, folder: Path, chance: Random, rows: int) -> Line:
    cases = _drawn(chance, rows)
    prompts = {f"picture {n}": case for n, case in enumerate(cases)}
    folder.mkdir(parents=True)
    found = _Found()
    async with _service(folder, prompts) as (provider, base):
        manifest = _write(folder, finish, list(prompts))
        with _hurried() as later:
            await _live(found, manifest, base, prompts, chance, later)
        batch = Batch.open(manifest, environ={"BATCHFILL_TOKEN": TOKEN}, base_url=base)
        broken = [*found.trouble, *_judge(provider, list(batch.results()), batch, prompts)]
        broken += leaks(folder / "desk", TOKEN)
        spoilt = Counter(kind for case in cases for kind in case.values())
        figures = {
            "rows": len(cases),
            "bad outputs": spoilt.total(),
            "starts": found.starts,
            "billed": provider.billed,
            "fetched": provider.requests["output"],
            "broken": len(broken),
        }
    return Line(finish, figures, tuple(broken))


def _drawn(chance: Random, rows: int) -> list[Spoilt]:
    """Return every kind in every place, then rows with up to four drawn bad outputs each."""
    # Where siblings may be bad too, the address of one says nothing.
    several = [kind for kind, bad in BAD.items() if bad.reason is not None]
    cases: list[Spoilt] = [{n: kind} for kind, n in product(BAD, range(1, ASKED + 1))]
    chance.shuffle(cases)
    cases = cases[:rows]
    while len(cases) < rows:
        places = chance.sample(range(1, ASKED + 1), chance.randint(1, ASKED))
        cases.append({n: chance.choice(several) for n in places})
    return cases


@asynccontextmanager
async def _service(folder: Path, prompts: Mapping[str, Spoilt]) -> AsyncIterator[tuple[EmulatorServer, str]]:
    """Serve a provider, behind a gateway that spoils outputs; yield it and the gateway's base."""
    async with AsyncExitStack() as stack:
        provider = EmulatorServer(folder / "provider", token=TOKEN, tiny=True)
        await provider.start(port=0)
        stack.push_async_callback(provider.stop)
        serve = await stack.enter_async_context(open_origins())
        host = await serve(hostile)
        onward = await stack.enter_async_context(ClientSession())
        change = spoiling(provider, prompts, host)

        async def hand_on(request: web.Request) -> web.Response:
            return await pass_on(request, provider, onward, change)

        yield provider, await serve(hand_on) + "/v1"


def _write(folder: Path, finish: str, prompts: Sequence[str]) -> Path:
    desk = folder / "desk"
    desk.mkdir()
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(desk / "p.png")
    mask = Image.new("L", (64, 48))
    mask.paste(255, (20, 15, 40, 30))
    mask.save(desk / "m.png")
    with (desk / "night.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "mask", "prompt", "num_outputs", "finish", "area"])
        for n, prompt in enumerate(prompts):
            table.writerow([f"r{n}", "p.png", "m.png", prompt, ASKED, finish, ("whole", "mask")[n % 2]])
    return desk / "night.csv"


class _hurried(ExitStack):  # noqa: N801 - it is called as a function
    """Cuts short what waits for a service far away; gives what puts the clock ahead."""

    def __enter__(self) -> Callable[[float], None]:  # type: ignore[override]
        ahead = [0.0]
        self.enter_context(mock.patch.object(timings, "DEFAULT", QUICK))
        self.enter_context(mock.patch("batchfill.providers.downloads._TIMEOUT", NEVER))

        def now(_: SystemClock) -> float:
            return time.time() + ahead[0]

        self.enter_context(mock.patch.object(SystemClock, "now", now))
        return lambda seconds: ahead.__setitem__(0, ahead[0] + seconds)


class _Watch:
    """Stops a run, or puts the clock ahead, once so many outputs are kept."""

    def __init__(self, batch: Batch, most: int, then: Callable[[], object]) -> None:
        self._batch, self._most, self._then = batch, most, then

    def notice(self, notice: object) -> None:
        """Not listened to."""

    def progress(self, progress: Progress) -> None:
        if self._most and kept(self._batch) >= self._most:
            self._most = 0
            self._then()


def kept(batch: Batch) -> int:
    """Return how many outputs are in the ledger, kept or in their places."""
    ((number,),) = in_ledger(batch, "SELECT count(coalesce(raw, file)) FROM outputs")
    return int(number)


async def _live(
    found: _Found,
    manifest: Path,
    base: str,
    prompts: Mapping[str, Spoilt],
    chance: Random,
    later: Callable[[float], None],
) -> None:
    """Start the batch and stop it, some times; at last let the hour pass once all that is whole is kept."""
    whole = sum(map(_whole, prompts.values()))
    stops = sorted(chance.sample(range(1, whole), min(3, whole - 1)))
    for number in [*stops, whole, None]:
        flags = {"base_url": base, "rate": 60_000, "concurrency": len(prompts)}
        batch = Batch.open(manifest, environ={"BATCHFILL_TOKEN": TOKEN}, **flags)
        then = batch.stop if number != whole else lambda: later(HOUR + 1)
        found.starts += 1
        try:
            async with asyncio.timeout(RUN_HANGS):
                await batch.run(watch=_Watch(batch, number or 0, then))
        except Exception as error:  # whatever it is, it is a broken promise
            found.trouble.append(f"a run ended with {error!r}")


def _whole(case: Spoilt) -> int:
    return ASKED - sum(BAD[kind].reason is not None for kind in case.values())


def _judge(
    provider: EmulatorServer, results: Sequence[Result], batch: Batch, prompts: Mapping[str, Spoilt]
) -> Iterator[str]:
    if provider.billed != len(prompts):
        yield f"{len(prompts)} rows were paid for {provider.billed} times"
    if "Traceback" in (batch.folder / "run.log").read_text("utf-8"):
        yield "a traceback in run.log"
    for row in results:
        case = prompts[row.prompt]
        there = [batch.folder / output for output in row.outputs]
        if len(there) != _whole(case) or not all(map(_decodes, there)):
            yield f"lost: {len(there)} of {_whole(case)} whole outputs are in place: {case}, {row}"
        if row.state not in _states(case):
            yield f"{row.state} where {_whole(case)} outputs were whole: {case}, {row.error}"
        yield from (
            f"no word of {bad.reason!r}: {case}, {row.error}"
            for bad in {BAD[kind] for kind in case.values()}
            if bad.reason is not None and len(case) == 1 and not is_told(bad, row.error)
        )


def _states(case: Spoilt) -> tuple[str, ...]:
    """Return the states in which a row may end."""
    if _whole(case):
        return ("done",)
    # What never answers may come yet, and the row has nothing else to show.
    return ("collecting",) if SILENT & set(case.values()) else ("failed", "expired")


def is_told(bad: Bad, error: str | None) -> bool:
    """Whether a row's *error* tells what was wrong with its output."""
    return bad.reason is None or bad.reason in (error or "") or LATE in (error or "")


def _decodes(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True
