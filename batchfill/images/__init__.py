"""Everything that knows pixels. `fill` and `paint`, which need numpy, are imported by their modules."""

from batchfill.images.fit import FitTask, Fitted, FittedFile, fit
from batchfill.images.look import look, stored_size, whole
from batchfill.images.masks import Judgement, JudgeTask, judge

__all__ = [
    "FitTask",
    "Fitted",
    "FittedFile",
    "JudgeTask",
    "Judgement",
    "fit",
    "judge",
    "look",
    "stored_size",
    "whole",
]
