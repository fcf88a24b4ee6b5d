"""One photograph through each step: `python -m tests.bench.photo_work STEM ORIGINAL MASK`.

In a process of its own, from the files of the working folder; it prints its figures as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from batchfill.catalog.builtin import find_model
from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.images.codec.thumbnail import FOLDER, LONGEST, THUMB, ThumbTask, make_thumbnail
from batchfill.images.composite.composite import FinishTask
from batchfill.images.finish_trial import load_modules
from batchfill.images.finished_row import RowTask, finish_row
from batchfill.images.preflight.inspect import inspect_files
from batchfill.images.preflight.inspection import InspectTask, PictureSource
from batchfill.images.prepare.fit import FitTask, fit_files
from batchfill.images.quality.flags import FlagTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.catalog.sizes import SizeRule

Answer = TypeVar("Answer")

EXACT = Pixels(finish="exact")


def main(stem: str, original: str, mask: str) -> None:
    """Take the steps one after the other and print what they took."""
    load_modules(None)
    took = _walk(_local(f"{stem}.{original}"), _local(f"{stem}-{mask}.png"), stem)
    print(json.dumps(took), end="")


def _walk(picture: LocalFile, mask: LocalFile, stem: str) -> dict[str, float]:
    rule = _rule()
    look = InspectTask(
        PictureSource(picture.path, picture.path.name), PictureSource(mask.path, mask.path.name), EXACT, rule
    )
    found, check = _timed(lambda: inspect_files(look))
    assert not found.mistakes, found
    fit = FitTask(picture.path.read_bytes(), mask.path.read_bytes(), EXACT, rule)
    sent, prepare = _timed(lambda: fit_files(fit))
    assert sent.picture is not None
    raw, target = Path(f"{stem}-raw.webp").absolute(), Path("finished").absolute()
    thumbs = target.with_name(FOLDER)
    finish = FinishTask(raw, picture, mask, EXACT, None, target, "same", {"prompt": "a fox"}, thumbs)
    judge = FlagTask((raw,), picture.path, mask.path, EXACT, None, rule, ())
    row, finishing = _timed(lambda: finish_row(RowTask((finish,), judge)))
    thumb = ThumbTask(target, row.files[0].sha256, LONGEST[THUMB])
    _, thumbnail = _timed(lambda: make_thumbnail(thumb))
    times = {"check": check, "prepare": prepare, "finish": finishing, "thumbnail": thumbnail}
    return times | {"sent_kb": len(sent.picture.content) / 1e3, "written_mb": row.files[0].size / 1e6}


def _rule() -> SizeRule:
    model = find_model("black-forest-labs/flux-fill-dev")
    assert model is not None
    assert model.size_rule is not None
    return model.size_rule


def _timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    began = time.process_time()
    answer = work()
    return answer, (time.process_time() - began) * 1000


def _local(name: str) -> LocalFile:
    path = Path(name).absolute()
    return LocalFile(path, Stamp.of(path.stat()), sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])
