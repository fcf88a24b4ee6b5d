"""How many rows a minute this machine can finish, from a short trial on some of the batch's own."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio

from batchfill.catalog.finish import finish_of, is_finished
from batchfill.domain.reports import FinishRate
from batchfill.domain.rows import Asked, LocalFile
from batchfill.errors import BadPicture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Row
    from batchfill.images.finish_trial import FinishTrial
    from batchfill.workers.pool import Processes

MOST_TRIED = 8
"""Rows that are tried at most."""
BUDGET, LIMIT = 0.4, 0.8
"""Seconds after which a process begins no further row, and after which it is ended."""


class FinishTrials:
    """Some of the rows that are finished here, spread evenly over the batch as it is read."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._rows = 0
        self._finished = 0
        self._stride = 1
        self._kept: list[Row] = []

    def note_rows(self, rows: Iterable[Row]) -> None:
        """Take in *rows*, the next of the batch."""
        for row in rows:
            self._rows += 1
            # A row at addresses is known by that alone, of which a batch may have a million.
            if row.files and is_finished(self._model, Asked(row.inputs, row.files)):
                self._note_finished(row)

    def _note_finished(self, row: Row) -> None:
        if self._finished % self._stride == 0 and all(isinstance(f, LocalFile) for f in row.files.values()):
            self._kept.append(row)
        self._finished += 1
        if len(self._kept) > MOST_TRIED:
            self._kept = self._kept[::2]
            self._stride *= 2

    async def measure_rate(self, workers: Processes, pace: float) -> FinishRate | None:
        """Return what this machine does; None where no row is finished here, or none that was tried can be.

        A row that is not finished here takes no time. *pace*: rows that are submitted a minute.
        """
        if not self._kept:
            return None
        try:
            folder = TemporaryDirectory(prefix="batchfill-", ignore_cleanup_errors=True)
        except OSError:
            return None
        with folder:
            seconds = await self._try_rows(workers, Path(folder.name))
        if not seconds:
            return None
        # A trial that was ended took all of its time, and more.
        mean = sum(LIMIT if each is None else each for each in seconds) / len(seconds)
        share = self._finished / self._rows
        return FinishRate(60 * workers.most / mean / share, pace, at_most=None in seconds)

    async def _try_rows(self, workers: Processes, folder: Path) -> list[float | None]:
        """Return the seconds of each row that was tried; None: longer than there was time for."""
        from batchfill.images.finish_trial import TrialTask, load_modules, time_trials

        trials = [self._make_trial(row, folder / str(n)) for n, row in enumerate(self._kept)]
        found = deque[float | None]()

        async def try_some(some: tuple[FinishTrial, ...]) -> None:
            try:
                await workers.do(load_modules, None)
                found.extend(await workers.do_within(time_trials, TrialTask(some, BUDGET), LIMIT))
            except TimeoutError:
                found.append(None)
            except BadPicture:
                # Too much for this machine: others may be tried.
                return

        async with anyio.create_task_group() as tasks:
            # All cores at once, as in a run.
            for n in range(min(workers.most, len(trials))):
                tasks.start_soon(try_some, tuple(trials[n :: workers.most]))
        return list(found)

    def _make_trial(self, row: Row, place: Path) -> FinishTrial:
        # Decoders are loaded where there is a row to finish.
        from batchfill.images.composite.composite import FinishTask
        from batchfill.images.finish_trial import FinishTrial

        model, how = self._model, finish_of(self._model, Asked(row.inputs, row.files))
        files = row.local_files
        mask = model.mask_of(row.inputs, files)
        assert how is not None
        assert mask is not None
        finish = FinishTask(
            raw=place.with_suffix(".raw"),
            picture=files[model.image_field or ""],
            mask=mask,
            pixels=how.pixels,
            area=None,
            target=place,
            format=how.format,
            note={"model": model.name} if how.pixels.metadata else {},
        )
        return FinishTrial(finish, model.size_rule, model.without_pixels(row.inputs), row.outputs_asked)
