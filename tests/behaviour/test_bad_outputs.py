"""One output that cannot be had: whatever is wrong with it, its siblings are kept as they come."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web
from PIL import Image

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.domain.rows import RowState
from batchfill.emulator.emulator_model import TINY
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.run.download.unfetched import LOOKS_FOR_ANY, NONE_NAMED
from batchfill.run.placement import OutputPlacer
from batchfill.storage.output_store import OutputStore
from tests.chaos.soak.outputs import ASKED, BAD, HOUR, NEVER, hostile, is_told, spoiling
from tests.support.batches import pictures
from tests.support.bounds import HANGS
from tests.support.ledgers import in_ledger
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from batchfill.batch import Batch
    from batchfill.domain.progress import Progress
    from batchfill.domain.reports import Result, Summary
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk
    from tests.support.programs import Program

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Gateway = Callable[[EmulatorServer, Callable[[str], str]], Awaitable[str]]
    Origin = Callable[..., Awaitable[str]]
    Later = Callable[[float], None]


class Until:
    """Looks at every report of progress whether something has happened."""

    def __init__(self, has: Callable[[], bool]) -> None:
        self._has = has
        self.happened = asyncio.Event()

    async def before(self, run: asyncio.Task[Summary]) -> None:
        """Return when it has happened, which it must before *run* ends."""
        happened = asyncio.ensure_future(self.happened.wait())
        await asyncio.wait({happened, run}, return_when=asyncio.FIRST_COMPLETED)
        assert not run.done(), await run

    def notice(self, notice: object) -> None:
        """Not listened to."""

    def progress(self, progress: Progress) -> None:
        if self._has():
            self.happened.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits shortly for an output that never comes."""
    monkeypatch.setattr("batchfill.providers.downloads._TIMEOUT", NEVER)


def every_case() -> list[tuple[str, int]]:
    """Every kind, at two of the four places: at the ends and between them in turn. The soak has them all."""
    return [(kind, n) for place, kind in enumerate(BAD) for n in ((1, ASKED), (2, 3))[place % 2]]


def judge(rows: Sequence[Result], cases: Sequence[tuple[str, int]]) -> None:
    for row, (kind, n) in zip(rows, cases, strict=True):
        spoilt = BAD[kind].reason is not None
        assert row.state == "done", (kind, n, row)
        assert len(row.outputs) == ASKED - spoilt, (kind, n, row)
        assert (row.error or "").startswith("3 of 4 pictures: " if spoilt else ""), (kind, n, row.error)
        assert (row.error is not None) == spoilt, (kind, n, row.error)
        assert is_told(BAD[kind], row.error), (kind, n, row.error)


@dataclass(frozen=True, slots=True)
class SpoiltNight:
    """A batch in which each row has one bad output, of a kind and at a place."""

    base: str
    night: Batch
    provider: EmulatorServer
    whole: int
    """How many of all its outputs can be had."""


@pytest.fixture
async def spoilt(
    service: Serve, batch: Open, gateway: Gateway, origin: Origin, impatient: None
) -> Callable[..., Awaitable[SpoiltNight]]:
    """Return what makes one of *rows*, each with the output of *cases* spoilt."""

    async def make(rows: list[dict[str, str]], cases: Sequence[tuple[str, int]]) -> SpoiltNight:
        provider = await service()
        bad = {row["prompt"]: {n: kind} for row, (kind, n) in zip(rows, cases, strict=True)}
        base = await gateway(provider, spoiling(provider, bad, await origin(hostile)))
        whole = sum(ASKED - (BAD[kind].reason is not None) for kind, _ in cases)
        return SpoiltNight(base, batch(base, rows, concurrency=len(rows)), provider, whole)

    return make


async def run_past_the_hour(made: SpoiltNight, column: str, later: Later) -> Summary:
    """Run it; put the clock ahead once every output that can be had is in the ledger's *column*."""
    there = [(made.whole,)]
    watch = Until(lambda: in_ledger(made.night, f"SELECT count({column}) FROM outputs") == there)
    run = asyncio.create_task(made.night.run(watch=watch))
    await watch.before(run)
    later(HOUR + 1)
    return await run


async def test_one_output_of_four_that_is_bad_takes_no_other_along(
    spoilt: Callable[..., Awaitable[SpoiltNight]], batch: Open, desk: Desk, later: Later
) -> None:
    cases = every_case()
    rows = desk.rows(len(cases), num_outputs=str(ASKED))
    made = await spoilt(rows, cases)
    provider, night, whole = made.provider, made.night, made.whole
    # Long before the hour is over, all that is whole is in its place and in the ledger.
    summary = await run_past_the_hour(made, "file", later)
    assert summary.exit_code == 0, summary
    assert len(pictures(night)) == whole
    judge(list(night.results()), cases)
    assert (provider.billed, provider.requests["output"]) == (len(rows), whole), "each was fetched once"
    report = await night.check(outputs=True)
    assert report.notes == (f"every one of {whole} files is in place and as it was fetched",)
    lost = night.folder / next(night.results()).outputs[0]
    content = lost.read_bytes()
    lost.unlink()
    again = batch(made.base, retry="missing")
    assert (await again.run()).exit_code == 0
    judge(list(again.results()), cases)
    assert (lost.read_bytes(), provider.billed) == (content, len(rows))


@pytest.fixture
def exact_in_parts(desk: Desk) -> Callable[..., list[dict[str, str]]]:
    """Return rows that ask for finished pictures, of all of the photograph and of a part in turn."""

    def rows(count: int, **cells: str) -> list[dict[str, str]]:
        asked = {"num_outputs": str(ASKED), "megapixels": "0.25"} | cells
        found = desk.exact_rows(count, (64, 48), (20, 15, 40, 30), **asked)
        return [row | {"area": ("whole", "mask")[n % 2]} for n, row in enumerate(found, 1)]

    return rows


async def test_what_there_is_of_a_row_is_finished(
    spoilt: Callable[..., Awaitable[SpoiltNight]],
    exact_in_parts: Callable[..., list[dict[str, str]]],
    later: Later,
) -> None:
    cases = [(kind, 1 + place % ASKED) for place, kind in enumerate(BAD)]
    rows = exact_in_parts(len(cases))
    made = await spoilt(rows, cases)
    provider, night, whole = made.provider, made.night, made.whole
    assert (await run_past_the_hour(made, "raw", later)).exit_code == 0
    found = list(night.results())
    judge(found, cases)
    for row, (_, n) in zip(found, cases, strict=True):
        for output in row.outputs:
            with Image.open(night.folder / output) as image:
                assert image.size == (64, 48)
        assert row.error is None or f"outputs/{row.id}@{n}.png" not in row.outputs
    assert (provider.billed, provider.requests["output"]) == (len(rows), whole)
    report = await night.finish()
    assert (report.finished, report.unchanged, report.failed) == (0, len(rows), 0)
    judge(list(night.results()), cases)


async def test_what_was_whole_before_a_kill_is_neither_lost_nor_fetched_again(
    service: Serve, batch: Open, desk: Desk, gateway: Gateway, origin: Origin, batchfill: Program
) -> None:
    provider, rows = await service(), desk.rows(1, num_outputs="2")
    host = await origin(hostile)

    def change(text: str) -> str:
        for record in provider.predictions():
            text = text.replace(f"{provider.outputs_base}/outputs/{record.id}/out-1.webp", f"{host}/500")
        return text

    base = await gateway(provider, change)
    night = batch(base, rows)
    running = await batchfill.start("run", "night.csv", "--base-url", base, "--yes")
    await running.says("r1: fetching: output 2:")
    running.signal(signal.SIGKILL)
    await running.ended()
    assert pictures(night) == ["r1@1.webp"]
    assert night.status().counts[RowState.COLLECTING] == 1
    (record,) = provider.predictions()
    provider.expire(record.id)
    again = batch(base)
    assert (await again.run()).exit_code == 0
    (row,) = again.results()
    assert (row.state, row.outputs) == ("done", ("outputs/r1@1.webp",))
    assert row.error == "1 of 2 pictures: the service has removed the others"
    assert (provider.billed, provider.requests["output"]) == (1, 1)


@pytest.mark.parametrize("finish", ["raw", "exact"])
async def test_outputs_that_are_removed_meanwhile_leave_the_others_in_place(
    service: Serve,
    batch: Open,
    exact_in_parts: Callable[..., list[dict[str, str]]],
    finish: str,
) -> None:
    faults = Faults([Fault("output", "status", at=frozenset({2, 4, *range(5, 99)}), options={"status": 500})])
    provider = await service(faults=faults)
    night = batch(provider, exact_in_parts(1, finish=finish))
    column = "file" if finish == "raw" else "raw"
    watch = Until(lambda: in_ledger(night, f"SELECT count({column}) FROM outputs") == [(2,)])
    run = asyncio.create_task(night.run(watch=watch))
    await watch.before(run)
    provider.expire(provider.predictions()[0].id)
    assert (await run).exit_code == 0
    (row,) = night.results()
    assert (row.state, len(row.outputs)) == ("done", 2)
    assert row.error == "2 of 4 pictures: the service has removed the others"
    assert provider.billed == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_an_address_that_has_expired_is_asked_for_afresh_and_tried_at_once(
    service: Serve,
    batch: Open,
    desk: Desk,
    gateway: Gateway,
    origin: Origin,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """The first addresses are no longer good, and others may not be good for long."""
    set_timings(monkeypatch, download_retry=HOUR)
    monkeypatch.setattr("batchfill.run.download.downloader.LONGEST_WAIT", HOUR)
    provider, looks = await service(), 0

    async def signed(request: web.Request) -> web.StreamResponse:
        good = request.query["sig"] != "1"
        return web.Response(body=TINY, content_type="image/webp") if good else web.Response(status=status)

    host = await origin(signed)

    def change(text: str) -> str:
        nonlocal looks
        looks += "/out-0.webp" in text
        for record in provider.predictions():
            for n in range(ASKED):
                mine = f"{provider.outputs_base}/outputs/{record.id}/out-{n}.webp"
                text = text.replace(mine, f"{host}/{n}?sig={looks}")
        return text

    night = batch(await gateway(provider, change), desk.rows(1, num_outputs=str(ASKED)))
    async with asyncio.timeout(HANGS):
        assert (await night.run()).exit_code == 0
    assert (len(pictures(night)), provider.billed, looks) == (ASKED, 1, 2)


ORDERS: dict[str, Callable[[int, list[str]], list[str]]] = {
    "backward": lambda look, urls: urls[::-1] if look % 2 == 0 else urls,
    "turned": lambda look, urls: urls[look % ASKED :] + urls[: look % ASKED],
    "signed": lambda look, urls: [f"{url}?sig={look}" for url in (urls if look % 2 else urls[::-1])],
}
"""How a service names its outputs at each look."""


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("finish", ["raw", "exact"])
async def test_outputs_that_are_named_in_another_order_are_each_fetched_once(
    service: Serve,
    batch: Open,
    exact_in_parts: Callable[..., list[dict[str, str]]],
    gateway: Gateway,
    order: str,
    finish: str,
) -> None:
    late = Fault("output", "status", at=frozenset({1, 2, 4}), options={"status": 503})
    provider, looks = await service(tiny=False, faults=Faults([late])), 0

    def change(text: str) -> str:
        nonlocal looks
        answer = json.loads(text)
        if answer.get("status") == "succeeded":
            looks += 1
            answer["output"] = ORDERS[order](looks, answer["output"])
        return json.dumps(answer)

    night = batch(await gateway(provider, change), exact_in_parts(1, finish=finish))
    assert (await night.run()).exit_code == 0
    named = in_ledger(night, "SELECT url FROM outputs")
    assert {url.partition("?")[0].rpartition("/")[2] for (url,) in named} == {
        f"out-{n}.webp" for n in range(ASKED)
    }
    (row,) = night.results()
    assert len({(night.folder / name).read_bytes() for name in row.outputs}) == ASKED
    assert (provider.billed, provider.requests["output"]) == (1, ASKED + 3)
    assert looks > 1


LAGGING: dict[str, tuple[int, Callable[[dict[str, Any]], object]]] = {
    "null": (LOOKS_FOR_ANY - 1, lambda made: made.update(output=None)),
    "an empty list": (LOOKS_FOR_ANY - 1, lambda made: made.update(output=[])),
    "not told": (LOOKS_FOR_ANY - 1, lambda made: made.pop("output")),
    "the first": (2, lambda made: made.update(output=made["output"][:1])),
    "the last two": (2, lambda made: made.update(output=made["output"][2:])),
    "all but one": (2, lambda made: made.update(output=made["output"][:3])),
}
"""For how many looks, the first one included, a prediction that succeeded tells of its outputs too little."""


@pytest.mark.parametrize("kind", LAGGING)
@pytest.mark.parametrize("finish", ["raw", "exact"])
async def test_outputs_that_are_named_later_are_waited_for(
    service: Serve,
    batch: Open,
    exact_in_parts: Callable[..., list[dict[str, str]]],
    gateway: Gateway,
    kind: str,
    finish: str,
) -> None:
    provider, looks = await service(tiny=False), 0
    lags, spoil = LAGGING[kind]

    def change(text: str) -> str:
        nonlocal looks
        made = json.loads(text)
        if made.get("status") == "succeeded":
            looks += 1
            if looks < lags:
                spoil(made)
        return json.dumps(made)

    night = batch(await gateway(provider, change), exact_in_parts(1, finish=finish))
    assert (await night.run()).exit_code == 0
    (row,) = night.results()
    assert (row.state, row.error, len(row.outputs)) == ("done", None, ASKED)
    assert len({(night.folder / name).read_bytes() for name in row.outputs}) == ASKED
    assert (provider.billed, provider.requests["output"], looks) == (1, ASKED, lags)


async def test_a_prediction_that_never_names_an_output_made_none(
    service: Serve, batch: Open, desk: Desk, gateway: Gateway
) -> None:
    provider = await service()

    def change(text: str) -> str:
        made = json.loads(text)
        return json.dumps({**made, "output": None} if made.get("status") == "succeeded" else made)

    night = batch(await gateway(provider, change), desk.rows(1))
    assert (await night.run()).exit_code == 1
    (row,) = night.results()
    assert row.state == "failed"
    assert (row.error or "").startswith(NONE_NAMED)
    assert (row.error or "").endswith("; it gives no reason")
    assert provider.billed == 1


async def test_the_outputs_of_a_row_get_their_places_one_at_a_time(
    service: Serve, batch: Open, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first clears the way, and what it put there is not to be cleared by the second."""
    write, place, fetched, placing, most = OutputStore.write_staged, OutputPlacer.place_outputs, 0, 0, 0
    all_fetched = asyncio.Event()

    async def noting(*args: Any) -> Any:
        nonlocal fetched
        written = await write(*args)
        fetched += 1
        if fetched == ASKED:
            all_fetched.set()
        return written

    async def counting(*args: Any, **options: Any) -> Any:
        nonlocal placing, most
        placing += 1
        most = max(most, placing)
        await all_fetched.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        try:
            return await place(*args, **options)
        finally:
            placing -= 1

    monkeypatch.setattr(OutputStore, "write_staged", noting)
    monkeypatch.setattr(OutputPlacer, "place_outputs", counting)
    night = batch(await service(), desk.rows(1, num_outputs=str(ASKED)))
    assert (await night.run()).exit_code == 0
    assert (len(pictures(night)), most) == (ASKED, 1)


async def test_a_row_without_any_output_that_can_be_had_fails_with_every_reason(
    service: Serve, batch: Open, desk: Desk, gateway: Gateway
) -> None:
    provider = await service()

    def change(text: str) -> str:
        for record in provider.predictions():
            for n in range(2):
                mine = f"{provider.outputs_base}/outputs/{record.id}/out-{n}.webp"
                text = text.replace(mine, ("ftp://127.0.0.1/a", "data:image/webp;base64,@")[n])
        return text

    night = batch(await gateway(provider, change), desk.rows(1, num_outputs="2"))
    assert (await night.run()).exit_code == 1
    (row,) = night.results()
    assert (row.state, row.outputs) == ("failed", ())
    assert "output 1: ftp://127.0.0.1/a: outputs are fetched from https" in (row.error or "")
    assert "output 2: the output is a data URL that is not base64" in (row.error or "")


async def test_a_redo_keeps_what_it_has_and_what_there_was_before(
    service: Serve, batch: Open, desk: Desk, gateway: Gateway, origin: Origin
) -> None:
    provider, rows = await service(), desk.rows(1, num_outputs=str(ASKED))
    bad: dict[str, dict[int, str]] = {}
    base = await gateway(provider, spoiling(provider, bad, await origin(hostile)))
    night = batch(base, rows)
    assert (await night.run()).exit_code == 0
    first = [(night.folder / name).read_bytes() for name in next(night.results()).outputs]
    bad[rows[0]["prompt"]] = {2: "ftp"}
    (row,) = night.results()
    assert row.prediction_id is not None
    await night.decide([ReviewDecision(prediction_id=row.prediction_id, decision=Decision.REDO, at=1.0)])
    again = batch(base, retry="redo")
    assert (await again.run()).exit_code == 0
    (row,) = again.results()
    assert row.outputs == ("outputs/r1@1.webp", "outputs/r1@3.webp", "outputs/r1@4.webp")
    assert [path.read_bytes() for path in sorted((night.folder / "outputs/earlier").iterdir())] == first
    assert provider.billed == 2


async def test_files_that_came_before_an_id_was_changed_bear_the_new_one(
    service: Serve, batch: Open, desk: Desk
) -> None:
    held = Fault("output", "status", at=frozenset({2}), options={"status": 500})
    provider = await service(faults=Faults([held]))
    rows = desk.rows(1, num_outputs="2")
    night = batch(provider, rows)
    watch = Until(lambda: in_ledger(night, "SELECT count(file) FROM outputs") == [(1,)])
    run = asyncio.create_task(night.run(watch=watch))
    provider.faults.add(Fault("output", "status", first=2, options={"status": 500}))
    await watch.before(run)
    night.stop()
    await run
    assert len(pictures(night)) == 1
    report = await night.check(outputs=True)
    assert report.notes == ("every one of 1 files is in place and as it was fetched",)
    provider.faults.clear()
    fetched = provider.requests["output"]
    renamed = batch(provider, [{**rows[0], "id": "hero"}])
    assert (await renamed.run()).exit_code == 0
    assert pictures(night) == ["hero@1.webp", "hero@2.webp"]
    assert (provider.billed, provider.requests["output"]) == (1, fetched + 1)


async def test_a_row_that_hangs_keeps_no_other_row_from_being_fetched(
    service: Serve,
    batch: Open,
    desk: Desk,
    gateway: Gateway,
    origin: Origin,
    later: Later,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Far more rows hang, each of them again and again, than are fetched at once."""
    # What comes too late on a busy machine is only fetched once more.
    monkeypatch.setattr("batchfill.providers.downloads._TIMEOUT", httpx.Timeout(20.0, read=0.3))
    monkeypatch.setattr("batchfill.run.download.downloader.FETCHED_AT_ONCE", 4)
    monkeypatch.setattr("batchfill.run.download.downloader.ROWS_AT_ONCE", 8)
    provider, rows = await service(), desk.rows(16, num_outputs=str(ASKED))
    bad = {row["prompt"]: {1: "never answers"} for row in rows[:13]}
    base = await gateway(provider, spoiling(provider, bad, await origin(hostile)))
    night = batch(base, rows, concurrency=16)
    watch = Until(lambda: in_ledger(night, "SELECT count(file) FROM outputs") == [(13 * 3 + 3 * 4,)])
    run = asyncio.create_task(night.run(watch=watch))
    await watch.before(run)
    later(HOUR + 1)
    assert (await run).exit_code == 0
    assert provider.billed == 16


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
@pytest.mark.parametrize("name", ["images/p.png", "masks/p.png"])
@pytest.mark.parametrize("put", ["pipe", "folder", "device"])
async def test_an_original_in_whose_place_something_else_is_leaves_the_outputs_as_they_were_sent(
    service: Serve,
    batch: Open,
    exact_in_parts: Callable[..., list[dict[str, str]]],
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    put: str,
) -> None:
    keep = OutputPlacer.keep_raw
    replacing: dict[str, Callable[[Path], object]] = {
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
        "device": lambda path: path.symlink_to("/dev/zero"),
    }

    async def keep_and_replace(*args: Any) -> Any:
        path = desk.folder / name
        if path.is_file():
            path.unlink()
            replacing[put](path)
        return await keep(*args)

    monkeypatch.setattr(OutputPlacer, "keep_raw", keep_and_replace)
    night = batch(await service(), exact_in_parts(1))
    assert (await night.run()).exit_code == 0
    (row,) = night.results()
    assert (row.state, len(row.outputs)) == ("done", ASKED)
    assert (row.error or "").startswith("not finished: p.png cannot be read: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
@pytest.mark.parametrize("finish", ["raw", "exact"])
@pytest.mark.parametrize("put", ["pipe", "folder", "full folder", "link", "link to nothing", "unreadable"])
async def test_whatever_is_in_the_place_of_a_picture_is_set_aside(
    service: Serve, batch: Open, exact_in_parts: Callable[..., list[dict[str, str]]], put: str, finish: str
) -> None:
    # A file under a row's name may be a picture that was paid for: the user says that it is not.
    night = batch(await service(), exact_in_parts(1, finish=finish, num_outputs="1"), accept_loss=1)
    place = night.folder / f"outputs/r1.{'webp' if finish == 'raw' else 'png'}"
    place.parent.mkdir(parents=True)
    other = night.folder / "other.webp"
    match put:
        case "pipe":
            os.mkfifo(place)
        case "folder" | "full folder":
            place.mkdir()
            (place / "mine").write_bytes(b"mine") if put == "full folder" else None
        case "unreadable":
            place.write_bytes(b"mine")
            place.chmod(0)
        case _:
            other.write_bytes(b"mine") if put == "link" else None
            place.symlink_to(other)
    assert (await night.run()).exit_code == 0
    (row,) = night.results()
    assert (row.state, night.folder / row.outputs[0]) == ("done", place)
    assert place.is_file()
    assert not place.is_symlink()
    (aside,) = (night.folder / "outputs/earlier").iterdir()
    assert aside.name.startswith("r1-")
    if put == "full folder":
        assert (aside / "mine").read_bytes() == b"mine"
    if put == "link":
        assert other.read_bytes() == b"mine"
