"""A prediction ends, whatever its run meets."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from batchfill.emulator.backend import Made
from batchfill.emulator.emulator_predictions import Predictions
from batchfill.emulator.input_sources import Contents
from batchfill.emulator.journal import PredictionRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def predictions_of(folder: Path, error: Exception) -> Predictions:
    async def run(record: PredictionRecord, begin: Callable[[], None]) -> Made:
        begin()
        raise error

    return Predictions(
        folder,
        Contents(folder),
        run=run,
        forget=lambda record: None,
        tell=lambda: None,
        now=lambda: 0.0,
        latency=0,
        retention=3600,
    )


def record() -> PredictionRecord:
    return PredictionRecord(id="p1", model="a/b", input={}, contents={}, digest="d", created_at=0.0)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("expected non-negative integer"),
        KeyError("megapixels"),
        ZeroDivisionError("division by zero"),
        AssertionError("never"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        OSError(errno.EIO, "Input/output error"),
        AttributeError("no such thing"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_run_raises_ends_it_as_failed_with_the_reason(
    tmp_path: Path, error: Exception
) -> None:
    predictions = predictions_of(tmp_path, error)
    predictions.create(record())
    ended = await predictions.wait("p1", 60)
    assert ended.status == "failed"
    assert ended.error
    await predictions.stop()


async def test_a_journal_that_takes_no_more_keeps_no_one_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = predictions_of(tmp_path, ValueError("x"))
    predictions.create(record())

    def refuse(*_: object, **__: object) -> PredictionRecord:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(predictions._journal, "change", refuse)
    assert (await predictions.wait("p1", 60)).status == "failed"
    await predictions.stop()


async def test_what_waited_longer_than_the_retention_is_kept_from_its_end_on(tmp_path: Path) -> None:
    now = [0.0]

    async def run(record: PredictionRecord, begin: Callable[[], None]) -> Made:
        begin()
        now[0] = 5000.0
        return Made(["out-0.webp"], "")

    predictions = Predictions(
        tmp_path,
        Contents(tmp_path),
        run=run,
        forget=lambda record: None,
        tell=lambda: None,
        now=lambda: now[0],
        latency=0,
        retention=3600,
    )
    predictions.create(record())
    assert (await predictions.wait("p1", 60)).outputs == ["out-0.webp"]
    now[0] = 5000.0 + 3599
    predictions.sweep()
    assert not predictions.all()[0].removed
    now[0] += 1
    predictions.sweep()
    assert predictions.all()[0].removed
    await predictions.stop()
