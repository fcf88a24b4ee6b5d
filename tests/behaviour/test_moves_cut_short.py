"""A run dies while it gives a picture its name, and the row has another name before the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator.faults.rules import Fault
from batchfill.ledger.output_events import OutputEvents
from batchfill.storage.output_store import OutputStore
from tests.behaviour.test_remote_outputs import ROOT, here, is_there_alone, made
from tests.support.batches import counts
from tests.support.buckets import Failure
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.crash import Crash
    from tests.support.desk import Desk

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Arrange = Callable[..., type[Crash]]

PLACES = [None, ROOT]


def called(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Return *rows* under other names."""
    return [row | {"id": name} for row, name in zip(rows, names, strict=True)]


async def dies(night: Batch, crash: type[Crash]) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group of it
        await night.run()
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, crash)


@pytest.mark.parametrize(
    ("outputs", "late"),
    [(None, False), (ROOT, False), (ROOT, True)],
    ids=["here", "in a bucket", "soon in a bucket"],
)
@pytest.mark.parametrize(
    "names", [("x", "y"), ("r1", "r2"), ("r2", "r1")], ids=["others", "as before", "same"]
)
@pytest.mark.parametrize("step", [1, 3, 4])
async def test_a_picture_is_found_that_was_moved_before_the_ledger_was_told(
    service: Serve,
    batch: Open,
    desk: Desk,
    buckets: BucketServer,
    crash: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    outputs: str | None,
    late: bool,
    names: tuple[str, str],
    step: int,
) -> None:
    provider, rows = await service(tiny=False), desk.rows(2, megapixels="0.25")
    set_timings(monkeypatch, storage_retries=(0.01,))
    if late:
        buckets.fail = lambda kind, place: Failure(503) if kind == "put" and "/outputs/r" in place else None
    night = batch(provider, rows, outputs=outputs)
    await night.run()
    before = sorted(made(night).values())
    dead = crash(OutputEvents, "record_moved", at=step)
    await dies(batch(provider, called(rows, "r2", "r1")), dead)
    buckets.fail = lambda kind, place: None

    summary = await batch(provider, called(rows, *names)).run()

    assert (summary.exit_code, len(provider.predictions())) == (0, 2)
    assert sorted(made(night).values()) == before
    assert {file.split(".")[0] for file in made(night)} == {f"outputs/{name}" for name in names}
    if outputs is None:
        assert here(night) == made(night)
    else:
        assert is_there_alone(night, buckets)


@pytest.mark.parametrize("outputs", PLACES, ids=["here", "in a bucket"])
@pytest.mark.parametrize("names", [("x", "r2"), ("r2", "r1")], ids=["renamed", "swapped"])
async def test_a_picture_is_found_that_was_placed_before_the_ledger_was_told(
    service: Serve,
    batch: Open,
    desk: Desk,
    buckets: BucketServer,
    crash: Arrange,
    outputs: str | None,
    names: tuple[str, str],
) -> None:
    provider, rows = await service(tiny=False), desk.rows(2, megapixels="0.25")
    night = batch(provider, rows, outputs=outputs, concurrency=1)
    await dies(night, crash(OutputStore, "commit", after=True))
    placed = here(night)
    # The service has removed it meanwhile.
    provider.faults.add(Fault("output", "status", options={"status": 404}, times=1))

    summary = await batch(provider, called(rows, *names)).run()

    assert len(placed) == 1
    assert (summary.exit_code, counts(night), len(provider.predictions())) == (0, {"done": 2}, 2)
    assert set(placed.values()) < set(made(night).values())
    if outputs is None:
        assert here(night) == made(night)
    else:
        assert is_there_alone(night, buckets)


async def test_a_finished_picture_under_a_name_that_its_row_has_no_more_is_made_again_without_cost(
    service: Serve, batch: Open, desk: Desk, crash: Arrange
) -> None:
    provider = await service(tiny=False)
    rows = desk.exact_rows(1, (64, 48), (16, 12, 40, 30), megapixels="0.25")
    night = batch(provider, rows)
    await dies(night, crash(OutputStore, "commit", at=2, after=True))
    placed = [file for file in here(night) if file.startswith("outputs/r1.")]

    summary = await batch(provider, called(rows, "x")).run()

    assert len(placed) == 1
    assert (summary.exit_code, counts(night), len(provider.predictions())) == (0, {"done": 1}, 1)
    assert here(night) == made(night)


@pytest.mark.parametrize("names", [("r1", "r2"), ("x", "y")], ids=["as before", "others"])
@pytest.mark.parametrize("step", [1, 4])
async def test_a_picture_that_was_about_to_be_renamed_is_not_missing(
    service: Serve, batch: Open, desk: Desk, crash: Arrange, names: tuple[str, str], step: int
) -> None:
    provider, rows = await service(tiny=False), desk.rows(2, megapixels="0.25")
    night = batch(provider, rows)
    await night.run()
    before = sorted(made(night).values())
    await dies(batch(provider, called(rows, "r2", "r1")), crash(OutputEvents, "record_moved", at=step))
    provider.faults.add(Fault("output", "status", options={"status": 404}))

    summary = await batch(provider, called(rows, *names), retry="missing").run()

    assert (summary.exit_code, counts(night), len(provider.predictions())) == (0, {"done": 2}, 2)
    assert sorted(made(night).values()) == before
    assert here(night) == made(night)
