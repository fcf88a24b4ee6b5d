"""Rows that ask for finished pictures: exact outside the mask, whatever happens, and never paid for twice."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from PIL import Image

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import StorageError, UsageError
from batchfill.ledger.ledger import Ledger
from batchfill.run.engine import Engine
from batchfill.run.placement import OutputPlacer
from batchfill.session.session import Session
from batchfill.storage.output_store import OutputStore
from tests.support.ledgers import in_ledger
from tests.support.listeners import Ears
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

    Serve = Callable[..., Awaitable[EmulatorServer]]
    Open = Callable[..., Batch]
    Exact = Callable[..., list[dict[str, str]]]

SIZE = (300, 200)
HOLE = (120, 80, 160, 120)
FEATHER = 4


@pytest.fixture
def exact(desk: Desk) -> Exact:
    """Return rows of a photograph with noise in it that ask for finished pictures, and these *cells*."""

    return lambda count=1, **cells: desk.exact_rows(count, SIZE, HOLE, **cells)


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def changed_box(desk: Desk, path: Path) -> tuple[int, ...] | None:
    """Return the box around what differs from the photograph."""
    differs = (pixels(path) != pixels(desk.folder / "images/p.png")).any(axis=2)
    return Image.fromarray(differs.astype(np.uint8) * 255).getbbox()


def outputs(batch: Batch) -> dict[str, str]:
    """Return every file below `outputs/` and what it is."""
    found = {}
    for path in sorted((batch.folder / "outputs").rglob("*")):
        if path.is_file():
            with Image.open(path) as image:
                found[path.relative_to(batch.folder / "outputs").as_posix()] = f"{image.width}x{image.height}"
    return found


def glob(batch: Batch, pattern: str) -> list[Path]:
    return sorted(batch.folder.glob(pattern))


async def test_a_finished_picture_is_the_original_outside_the_mask(
    service: Serve, batch: Open, exact: Exact, desk: Desk
) -> None:
    made = batch(await service(), exact())
    assert (await made.run()).exit_code == 0
    (row,) = made.results()
    assert row.outputs == ("outputs/r1.png",)
    assert pixels(made.folder / row.outputs[0]).shape == (*SIZE[::-1], 3)
    box = changed_box(desk, made.folder / row.outputs[0])
    assert box is not None
    assert all(edge >= least - FEATHER for edge, least in zip(box[:2], HOLE[:2], strict=True))
    assert all(edge <= most + FEATHER for edge, most in zip(box[2:], HOLE[2:], strict=True))
    assert [name for name in outputs(made) if name.startswith("raw/")] == [f"raw/{row.prediction_id}-1.webp"]


async def test_only_the_area_around_the_mask_is_sent_and_remembered(
    service: Serve, batch: Open, exact: Exact, desk: Desk
) -> None:
    provider = await service()
    made = batch(provider, exact(area="mask", padding="10", megapixels="match_input"))
    assert (await made.run()).exit_code == 0
    ((area,),) = in_ledger(made, "SELECT area FROM attempts")
    left, top, right, bottom = map(int, area.strip("[]").split(","))
    assert (right - left) * (bottom - top) < SIZE[0] * SIZE[1] / 4
    assert left <= HOLE[0] - 10
    assert bottom >= HOLE[3] + 10
    assert changed_box(desk, made.folder / "outputs/r1.png") is not None


async def test_a_finished_file_tells_how_it_was_made_unless_told_not_to(
    service: Serve, batch: Open, exact: Exact
) -> None:
    told, silent = exact(2)
    silent["metadata"] = "no"
    made = batch(await service(), [told | {"metadata": ""}, silent])
    await made.run()
    row = next(made.results())
    with (
        Image.open(made.folder / "outputs/r1.png") as one,
        Image.open(made.folder / "outputs/r2.png") as other,
    ):
        assert one.info["prompt"] == "picture 1"
        assert one.info["seed"] == str(row.seed)
        assert one.info["prediction"] == f"{row.prediction_id}, output 1"
        assert "prompt" not in other.info


async def test_outputs_are_judged_and_flags_are_in_the_results(
    service: Serve, batch: Open, exact: Exact, desk: Desk
) -> None:
    plain = {**exact()[0], "id": "plain", "finish": "raw"}
    made = batch(await service(), [*exact(), plain, *desk.rows(1)[:0]])
    await made.run()
    assert in_ledger(made, "SELECT count(*) FROM outputs WHERE flags IS NULL") == [(0,)]
    flags = {row.id: row.flags for row in made.results()}
    assert flags.keys() == {"r1", "plain"}
    # A picture of 64 x 48 is what the tiny provider of tests makes, whatever it is given.
    assert all("size" in words for words in flags.values())


async def test_an_original_that_is_gone_leaves_the_output_as_it_was_sent(
    service: Serve, batch: Open, exact: Exact, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = OutputPlacer.keep_raw

    async def keep_and_lose(*args: Any) -> Any:
        (desk.folder / "images/p.png").unlink(missing_ok=True)
        return await kept(*args)

    monkeypatch.setattr(OutputPlacer, "keep_raw", keep_and_lose)
    made = batch(await service(), exact())
    assert (await made.run()).exit_code == 0
    (row,) = made.results()
    assert row.error is not None
    assert row.error.startswith("not finished: p.png cannot be read")
    assert row.outputs == ("outputs/r1.webp",)


async def test_work_that_ends_its_process_leaves_the_output_as_it_was_sent(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.finishing.row_finisher.finish_row", _EndOfTheProcess())
    made = batch(await service(), exact())
    assert (await made.run()).exit_code == 0
    (row,) = made.results()
    assert "too much for this machine" in (row.error or "")
    assert row.outputs == ("outputs/r1.webp",)


class _EndAsItArrives:
    """A task that takes the process along to which it is sent."""

    def __init__(self, **_: object) -> None:
        self.outputs = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


class _EndOfTheProcess:
    """Work that takes its process along, whatever the task: pickled as what makes it there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("lambda task: __import__('os')._exit(9)",)


async def test_what_was_kept_is_finished_by_the_next_start_without_the_service(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    made = batch(provider, exact(2))

    async def die(*_: object) -> None:
        await provider.until(lambda: provider.billed == 2)
        made.stop()

    monkeypatch.setattr("batchfill.run.postprocess.postprocessor.PostProcessor._finish_row", die)
    assert (await made.run()).exit_code == 3
    assert made.status().counts[RowState.COLLECTING] == 2
    monkeypatch.undo()
    before = provider.billed
    again = await service.again(provider, faults=Faults([Fault("output", "down"), Fault("get", "down")]))  # type: ignore[attr-defined]
    assert (await batch(again).run()).exit_code == 0
    assert again.billed == before
    assert {"r1.png", "r2.png"} <= outputs(made).keys()


async def test_pictures_are_finished_anew_without_paying(
    service: Serve, batch: Open, exact: Exact, desk: Desk
) -> None:
    provider = await service()
    made = batch(provider, [row | {"finish": "raw"} for row in exact()])
    await made.run()
    assert list(outputs(made)) == ["r1.webp"]
    await provider.stop()
    again = batch(provider, exact())
    report = await again.finish()
    assert (report.finished, report.unchanged, report.failed) == (1, 0, 0)
    (row,) = again.results()
    assert row.outputs == ("outputs/r1.png",)
    assert outputs(again).keys() == {"r1.png", f"raw/{row.prediction_id}-1.webp"}
    narrow = changed_box(desk, again.folder / "outputs/r1.png")
    wide = batch(provider, exact(mask_feather="20"))
    assert (await wide.finish()).finished == 1
    assert (await wide.finish()).unchanged == 1
    assert changed_box(desk, again.folder / "outputs/r1.png") != narrow


async def test_a_picture_that_somebody_worked_on_is_kept_when_it_is_finished_anew(
    service: Serve, batch: Open, exact: Exact
) -> None:
    provider = await service()
    made = batch(provider, exact())
    await made.run()
    Image.new("RGB", SIZE, "teal").save(made.folder / "outputs/r1.png")
    assert (await batch(provider, exact(mask_feather="0")).finish()).finished == 1
    (kept,) = (made.folder / "outputs/earlier").iterdir()
    assert tuple(pixels(kept)[0, 0]) == (0, 128, 128)


async def test_a_finished_picture_that_is_gone_is_made_again_of_what_is_kept(
    service: Serve, batch: Open, exact: Exact
) -> None:
    provider = await service()
    made = batch(provider, exact())
    await made.run()
    (made.folder / "outputs/r1.png").unlink()
    again = batch(provider, retry="missing")
    assert (await again.run()).exit_code == 0
    assert (made.folder / "outputs/r1.png").is_file()


async def test_what_is_lost_altogether_is_fetched_again(service: Serve, batch: Open, exact: Exact) -> None:
    provider = await service()
    made = batch(provider, exact())
    await made.run()
    for path in [*(made.folder / "outputs").glob("*.png"), *(made.folder / "outputs/raw").iterdir()]:
        path.unlink()
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert provider.billed == 1
    assert len(outputs(made)) == 2


async def test_without_a_ledger_there_is_nothing_to_finish(service: Serve, batch: Open, exact: Exact) -> None:
    with pytest.raises(UsageError, match="nothing is there to be finished"):
        await batch(await service(), exact()).finish()


async def test_a_run_does_not_end_between_a_picture_and_its_judgement(
    service: Serve, batch: Open, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last row is done in the ledger, and whoever judges it has not been told yet."""
    looked = anyio.Event()
    record, is_over = Ledger.record_collected, Engine._is_over

    async def recording(*arguments: Any, **options: Any) -> None:
        await record(*arguments, **options)
        await looked.wait()

    def looking(night: Engine) -> bool:
        if night._context.ledger.counts[RowState.DONE]:
            looked.set()
        return is_over(night)

    monkeypatch.setattr(Ledger, "record_collected", recording)
    monkeypatch.setattr(Engine, "_is_over", looking)
    night = batch(await service(), 1)
    assert (await night.run()).exit_code == 0
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM outputs WHERE flags IS NULL").fetchone() == (0,)


async def test_an_output_that_was_delivered_raw_is_fetched_again_when_it_is_missing(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    monkeypatch.setattr("batchfill.finishing.row_finisher.finish_row", _EndOfTheProcess())
    made = batch(provider, exact())
    await made.run()
    (made.folder / "outputs/r1.webp").unlink()
    monkeypatch.undo()
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert provider.billed == 1
    assert "r1.png" in outputs(made)


async def test_judging_that_fails_keeps_no_picture_from_being_finished(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.finishing.row_recipe.FlagTask", _EndAsItArrives)
    made = batch(await service(), exact())
    assert (await made.run()).exit_code == 0
    (row,) = made.results()
    assert (row.outputs, row.flags, row.error) == (("outputs/r1.png",), (), None)


async def test_rows_without_files_are_judged_as_they_are_fetched(
    service: Serve, batch: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    first = batch(provider, 1)
    await first.run()
    ((address,),) = in_ledger(first, "SELECT url FROM outputs")
    rows = [{"id": "r1", "image": address, "mask": address, "prompt": "p"}]
    made = batch(provider, rows, name="addresses.csv")
    # Nobody who works later is to be needed for it.
    monkeypatch.setattr(Ledger, "unjudged_jobs", _none_unjudged)
    assert (await made.run()).exit_code == 0
    assert in_ledger(made, "SELECT count(*) FROM outputs WHERE flags IS NULL") == [(0,)]


async def _none_unjudged(*_: object, **__: object) -> list[object]:
    return []


async def test_finishing_anew_changes_no_row_that_would_have_to_be_paid_for(
    service: Serve, batch: Open, exact: Exact
) -> None:
    provider = await service()
    await batch(provider, exact()).run()
    with pytest.raises(UsageError, match="1 finished rows ask for something else now"):
        await batch(provider, exact(mask_grow="5")).finish()
    assert (await batch(provider, exact(mask_feather="9")).finish()).finished == 1


async def test_a_full_disk_ends_finishing_anew_in_words_and_loses_nothing(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    made = batch(provider, exact(3))
    await made.run()
    before = outputs(made)

    async def refuse(*_: object, **__: object) -> None:
        raise StorageError("the batch folder cannot be written: No space left on device. Make room")

    monkeypatch.setattr(OutputStore, "commit", refuse)
    again = batch(provider, exact(3, mask_feather="9"))
    with pytest.raises(UsageError, match=r"r\d: .*Make room; then run `finish` again"):
        await again.finish()
    monkeypatch.undo()
    assert (await again.finish()).finished == 3
    assert outputs(made).keys() >= before.keys()


async def test_a_full_disk_keeps_finishing_waiting_and_creates_too(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, storage_retries=(0.02, 0.02), disk_look=0.02)
    full, refused, often = True, 0, asyncio.Event()

    async def place(self: OutputPlacer, *given: Any, **named: Any) -> Any:
        nonlocal refused
        if full:
            refused += 1
            if refused > 20:
                often.set()
            error = StorageError("the batch folder cannot be written: No space left on device. Make room")
            raise error from OSError(errno.ENOSPC, "No space left on device")
        return await placed(self, *given, **named)

    placed = OutputPlacer.place_outputs
    monkeypatch.setattr(OutputPlacer, "place_outputs", place)
    provider, ears = await service(latency=0.05), Ears()
    made = batch(provider, exact(20), concurrency=1)
    running = asyncio.ensure_future(made.run(watch=ears))
    held = ears.hear("nothing more is submitted until night.batch takes pictures again", running)
    ends = {asyncio.ensure_future(held), asyncio.ensure_future(provider.until(lambda: provider.billed == 20))}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    await often.wait()
    assert provider.billed < 20
    full = False
    assert (await running).exit_code == 0
    assert provider.billed == len(glob(made, "outputs/*.png")) == 20


async def test_what_cannot_be_finished_for_another_reason_is_left_for_the_next_run(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, storage_retries=(0.0, 0.0))

    async def place(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    provider = await service()
    made = batch(provider, exact())
    with monkeypatch.context() as patch:
        patch.setattr(OutputPlacer, "place_outputs", place)
        assert (await made.run()).exit_code == 3
    assert (await batch(provider, exact()).run()).exit_code == 0
    assert provider.billed == len(glob(made, "outputs/*.png")) == 1


async def test_a_decision_that_came_while_pictures_were_finished_anew_is_taken(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = batch(await service(), exact())
    await made.run()
    (row,) = made.results()
    assert row.prediction_id is not None
    ruling = ReviewDecision(prediction_id=row.prediction_id, decision=Decision.APPROVED, at=1.0)
    original = Session.finish

    async def finish_and_hear(self: Session, *given: Any) -> Any:
        await made.decide([ruling])
        return await original(self, *given)

    monkeypatch.setattr(Session, "finish", finish_and_hear)
    await made.finish()
    assert next(made.results()).decision is Decision.APPROVED


async def test_one_output_that_was_saved_is_finished_when_the_service_has_removed_the_others(
    service: Serve, batch: Open, exact: Exact, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    made = batch(provider, exact(num_outputs="2"))

    async def die(*_: object) -> None:
        made.stop()
        raise StorageError("it was not recorded")

    monkeypatch.setattr(Ledger, "record_kept", die)
    assert (await made.run()).exit_code == 3
    monkeypatch.undo()
    lost, _ = sorted((made.folder / "outputs/raw").iterdir())
    lost.unlink()
    provider.expire(lost.stem.rpartition("-")[0])
    await batch(provider).run()
    (row,) = made.results()
    assert (row.state, row.outputs) == (RowState.DONE, ("outputs/r1@2.png",))
    assert row.error == "1 of 2 pictures: the service has removed the others"


def as_jpegs(desk: Desk, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return *rows* of the same photograph as a JPEG."""
    with Image.open(desk.folder / "images/p.png") as image:
        image.save(desk.folder / "images/p.jpg", quality=85)
    return [row | {"image": "images/p.jpg"} for row in rows]


async def test_results_say_how_each_picture_was_finished(
    service: Serve, batch: Open, exact: Exact, desk: Desk
) -> None:
    formats = ["", "png", "webp", "jpg", "same"]
    rows = as_jpegs(desk, exact(5))
    rows = [row | {"finish_format": form} for row, form in zip(rows, formats, strict=True)]
    rows[0]["num_outputs"] = "2"
    rows += [{**rows[1], "id": "plain", "finish": "raw", "output_format": "png"}]
    made = batch(await service(), rows)
    assert (await made.run()).exit_code == 0
    found = {row.id: row for row in made.results()}
    blocks = "jpeg-blocks"
    assert [row.finished_as for row in found.values()] == [
        (blocks, blocks),
        ("png",),
        ("webp",),
        (blocks,),
        (blocks,),
        (),
    ]
    assert found["r1"].outputs == ("outputs/r1@1.jpg", "outputs/r1@2.jpg")
    assert [row.outputs for row in found.values()][1:5] == [
        (f"outputs/r{n}.{suffix}",) for n, suffix in ((2, "png"), (3, "webp"), (4, "jpg"), (5, "jpg"))
    ]
    # The view of that name is for people with an SQLite shell.
    told = in_ledger(made, "SELECT finished_as FROM results")
    assert told[0] == (f"{blocks};{blocks}",)


@pytest.mark.parametrize(
    ("cells", "suffix"),
    [
        ({}, "jpg"),
        ({"output_format": "webp"}, "webp"),
        ({"output_format": "png"}, "jpg"),
        ({"output_format": "jpg", "finish_format": "png"}, "png"),
    ],
)
async def test_an_output_format_decides_where_nothing_else_does(
    service: Serve, batch: Open, exact: Exact, desk: Desk, cells: dict[str, str], suffix: str
) -> None:
    made = batch(await service(), as_jpegs(desk, exact(**cells)))
    await made.run()
    assert next(made.results()).outputs == (f"outputs/r1.{suffix}",)


async def test_what_an_earlier_version_finished_is_finished_again_only_when_something_new_is_asked_for(
    service: Serve, batch: Open, exact: Exact, desk: Desk
) -> None:
    provider = await service()
    made = batch(provider, as_jpegs(desk, exact(finish_format="png")))
    await made.run()
    old = '{"version": 1, "format": null, "feather": 4, "metadata": true}'
    with closing(sqlite3.connect(made.folder / "ledger.sqlite")) as db:
        db.execute("UPDATE outputs SET finished_with = ?, finished_as = NULL", (old,))
        db.commit()
    await provider.stop()
    assert (await batch(provider, as_jpegs(desk, exact())).finish()).unchanged == 1
    for cells in ({"mark": "none"}, {"finish_format": "same"}, {"mask_feather": "9"}):
        assert (await batch(provider, as_jpegs(desk, exact(**cells))).finish()).finished == 1
    assert next(made.results()).outputs == ("outputs/r1.jpg",)


async def test_exported_pictures_say_that_ai_edited_them_unless_told_not_to(
    service: Serve, batch: Open, exact: Exact, desk: Desk, tmp_path: Path
) -> None:
    rows = as_jpegs(desk, exact(6))
    rows[0] |= {"finish": "raw"}
    rows[1] |= {"finish": "raw"}
    rows[2] |= {"finish": "raw", "metadata": "no"}
    rows[3] |= {"finish": "raw", "mark": "none"}
    rows[4] |= {"mark": "none"}
    made = batch(await service(), rows)
    await made.run()
    exported = made.export(tmp_path / "final")
    assert (exported.copied, exported.unmarked) == (6, 0)
    marks = [mark_in(path) for path in sorted((tmp_path / "final").glob("r*.*[gp]"))]
    assert marks == [True, True, True, False, False, True]
    for id_, told in (("r1", True), ("r3", False)):
        (copy,) = (tmp_path / "final").glob(f"{id_}.*")
        assert (b"AISystemUsed" in copy.read_bytes()) is told
    # What the service sent stays as it was sent.
    assert not any(mark_in(path) for path in glob(made, "outputs/r1.*"))
    assert (made.export(tmp_path / "final")).there == 6
    linked = made.export(tmp_path / "linked", link=True)
    assert (linked.linked, linked.unmarked) == (6, 3)


def mark_in(path: Path) -> bool:
    with Image.open(path) as image:
        packet = image.info.get("xmp", b"")
        return b"digitalsourcetype/compositeWith" in (packet.encode() if isinstance(packet, str) else packet)
