"""Everything that knows pixels. `fill` and `paint`, which need numpy, are imported by their modules."""

from batchfill.images.fit import FitTask, Fitted, FittedFile, fit
from batchfill.images.look import look, stored_size, whole
from batchfill.images.pair import Judgement, JudgeTask, Source, judge
from batchfill.images.thumb import ThumbTask, thumb

__all__ = [
    "FitTask",
    "Fitted",
    "FittedFile",
    "JudgeTask",
    "Judgement",
    "Source",
    "ThumbTask",
    "fit",
    "judge",
    "look",
    "stored_size",
    "thumb",
    "whole",
]
