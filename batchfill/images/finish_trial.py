"""How long this machine takes to prepare, finish and judge a row, tried on pictures of the batch itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from batchfill.domain.drawn_masks import DrawnMask
from batchfill.errors import BadPicture
from batchfill.images.finished_row import RowTask, finish_row
from batchfill.images.prepare.fit import FitTask, fit_files
from batchfill.images.quality.flags import FlagTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.sizes import SizeRule
    from batchfill.domain.rows import Input
    from batchfill.images.composite.composite import FinishTask


@dataclass(frozen=True, slots=True)
class FinishTrial:
    """One row to try."""

    finish: FinishTask
    """Its `raw` and its `target` are written, and left."""
    rule: SizeRule | None
    """What the model does to sizes; None: not known."""
    inputs: Mapping[str, Input]
    """The model's inputs, for the rule."""
    outputs: int
    """How many pictures the row asks for."""


@dataclass(frozen=True, slots=True)
class TrialTask:
    """Rows to try, one after the other. Travels to a process; may run twice."""

    trials: tuple[FinishTrial, ...]
    budget: float
    """Seconds after which no further row begins."""


def time_trials(task: TrialTask) -> tuple[float, ...]:
    """Return the seconds that each row takes; without those that cannot be finished, or are not begun."""
    begun, found = perf_counter(), list[float]()
    for trial in task.trials:
        if perf_counter() - begun > task.budget:
            break
        # A file that is gone or no longer itself, a disk without room: others may be tried.
        with suppress(BadPicture, OSError):
            found.append(_time_trial(trial))
    return tuple(found)


def load_modules(_: None) -> None:
    """Load what a process loads once: it is none of a row's time."""
    from batchfill.images.composite import jpeg_blocks  # noqa: F401
    from batchfill.images.quality import compare  # noqa: F401


def _time_trial(trial: FinishTrial) -> float:
    begun = perf_counter()
    finish = _prepare(trial)
    prepared = perf_counter()
    finish_row(RowTask((finish,), _flag_task(trial, finish)))
    return prepared - begun + (perf_counter() - prepared) * trial.outputs


def _prepare(trial: FinishTrial) -> FinishTask:
    """Return the trial's task with an output of the right size: what would be sent."""
    finish = trial.finish
    content = finish.picture.path.read_bytes()
    mask: bytes | DrawnMask
    if isinstance(finish.mask, DrawnMask):
        mask = content if finish.mask.is_alpha else finish.mask
    else:
        mask = finish.mask.path.read_bytes()
    fitted = fit_files(FitTask(content, mask, finish.pixels, trial.rule, trial.inputs))
    assert fitted.picture is not None
    finish.raw.write_bytes(fitted.picture.content)
    return replace(finish, area=fitted.area)


def _flag_task(trial: FinishTrial, finish: FinishTask) -> FlagTask:
    return FlagTask(
        outputs=(finish.raw,),
        picture=finish.picture.path,
        mask=finish.mask if isinstance(finish.mask, DrawnMask) else finish.mask.path,
        pixels=finish.pixels,
        area=finish.area,
        rule=trial.rule,
        inputs=tuple(trial.inputs.items()),
    )
