"""What a machine can finish a minute, tried on rows of the batch."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.domain.rows import LocalFile, Row, Stamp
from batchfill.images.finish_trial import TrialTask, time_trials
from batchfill.session.finish_rate import LIMIT, MOST_TRIED, FinishTrials
from batchfill.workers.pool import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchfill.catalog.model import Model

    MakeRow = Callable[..., Row]

PACE = 600.0


class Timed(Processes):
    """One core, at which every row takes as long as is said; None: longer than there is time for."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__(1)
        self.tasks: list[TrialTask] = []
        self._seconds = seconds

    async def do(self, work: Any, task: Any) -> Any:
        return None

    async def do_within(self, work: Any, task: Any, seconds: float) -> Any:
        self.tasks.append(task)
        if self._seconds is None:
            raise TimeoutError
        return (self._seconds,) * len(task.trials)


@pytest.fixture
def core() -> Iterator[Processes]:
    with closing(Processes(1)) as processes:
        yield processes


@pytest.fixture
def row(tmp_path: Path) -> MakeRow:
    """Rows of one tiny photograph, finished exactly unless it is said otherwise."""
    picture, mask = tmp_path / "hero.jpg", tmp_path / "mask.png"
    Image.effect_noise((64, 48), 60).convert("RGB").save(picture)
    Image.new("L", (64, 48)).save(mask)
    with Image.open(mask) as drawn:
        drawn.paste(255, (16, 12, 40, 30))
        drawn.save(mask)

    def local(path: Path) -> LocalFile:
        content = path.read_bytes()
        return LocalFile(path, Stamp(len(content), 0, 0, 0), sha256(content).hexdigest())

    def make(n: int, **inputs: Any) -> Row:
        files = {"image": local(picture)}
        if "mask" not in inputs:
            files["mask"] = local(mask)
        asked = {"image": "hero.jpg", "mask": "mask.png", "finish": "exact", **inputs}
        return Row(n, n + 2, None, "hero", asked, files, {}, str(n), int(inputs.get("num_outputs", 1)), None)

    return make


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [(0.1, (600, False)), (0.5, (120, False)), (None, (60 / LIMIT, True))],
)
async def test_seconds_become_rows_a_minute(
    dev: Model, row: MakeRow, seconds: float | None, rows: tuple[float, bool]
) -> None:
    trials = FinishTrials(dev)
    trials.note_rows([row(0), row(1)])
    rate = await trials.measure_rate(Timed(seconds), PACE)
    assert rate is not None
    assert (round(rate.rows, 6), rate.at_most) == rows
    assert rate.pace == PACE


async def test_rows_that_are_not_finished_here_take_no_time(dev: Model, row: MakeRow) -> None:
    trials = FinishTrials(dev)
    trials.note_rows([row(0), *(row(n, finish="raw") for n in range(1, 4))])
    rate = await trials.measure_rate(Timed(0.1), PACE)
    assert rate is not None
    assert round(rate.rows) == 2400


async def test_a_batch_without_exact_rows_is_not_tried(dev: Model, row: MakeRow) -> None:
    trials, core = FinishTrials(dev), Timed(0.1)
    trials.note_rows([row(0, finish="raw")])
    assert await trials.measure_rate(core, PACE) is None
    assert core.tasks == []


async def test_the_rows_that_are_tried_are_few_and_spread_over_the_batch(dev: Model, row: MakeRow) -> None:
    trials, core, one = FinishTrials(dev), Timed(0.1), row(0)
    first = row(1, finish="exact", area="mask")
    for _ in range(50):
        trials.note_rows([first] * 10)
    for _ in range(50):
        trials.note_rows([one] * 10)
    await trials.measure_rate(core, PACE)
    (task,) = core.tasks
    areas = [trial.finish.pixels.area for trial in task.trials]
    assert MOST_TRIED // 2 <= len(areas) <= MOST_TRIED
    assert abs(areas.count("mask") - areas.count("whole")) <= 1


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"area": "mask"},
        {"mask": "box:10,10,20,20"},
        {"expand": "25%"},
        {"finish_format": "png", "num_outputs": 2},
        {"mask_feather": 9, "mask_grow": 2, "metadata": False},
    ],
    ids=str,
)
async def test_every_kind_of_exact_row_is_tried_as_a_run_would_finish_it(
    dev: Model, row: MakeRow, core: Processes, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []

    async def here(work: Any, task: TrialTask, seconds: float) -> tuple[float, ...]:
        found = time_trials(task)
        done.extend(trial.finish.target.stat().st_size for trial in task.trials)
        return found

    monkeypatch.setattr(core, "do_within", here)
    trials = FinishTrials(dev)
    trials.note_rows([row(0, **inputs)])
    rate = await trials.measure_rate(core, PACE)
    assert rate is not None
    assert rate.rows > 0
    assert all(done)
    assert len(done) == 1


async def test_what_cannot_be_tried_is_not_told(dev: Model, row: MakeRow, core: Processes) -> None:
    trials, gone = FinishTrials(dev), row(0)
    gone.local_files["image"].path.unlink()
    trials.note_rows([gone])
    assert await trials.measure_rate(core, PACE) is None
