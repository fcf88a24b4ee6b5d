"""A file of a row as it is sent, read on the condition that it is the one that was fingerprinted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from batchfill.domain.drawn_masks import DrawnMask
from batchfill.errors import RowRejected, is_shortage
from batchfill.filenames import mime_of
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Box, Input, LocalFile
    from batchfill.images.prepare.fit import FitTask, Fitted


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file as it is sent."""

    content: bytes
    mime: str
    name: str


_DRAWN = InputFile(b"", "image/png", "mask.png")
"""What a mask without a file is called on its way."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a row's files are made ready: what is to be done, once their contents are there."""

    image: str | None
    """The input that is the picture."""
    mask: str | None
    work: Callable[[FitTask], Fitted]
    task: FitTask
    """Without contents, but for a mask that is drawn."""

    def with_contents(self, files: Mapping[str, InputFile]) -> FitTask:
        """Return the task with what is in *files*, by input name."""
        drawn = self.task.mask
        picture = files.get(self.image or "")
        alpha = isinstance(drawn, DrawnMask) and drawn.is_alpha
        mask = picture if alpha else files.get(self.mask or "")
        return replace(
            self.task,
            picture=picture.content if picture else None,
            mask=mask.content if mask else drawn,
            picture_name=picture.name if picture else "picture",
            mask_name=mask.name if mask else "mask",
        )

    def with_fitted(
        self, files: Mapping[str, InputFile], fitted: Fitted
    ) -> tuple[dict[str, InputFile], Box | None]:
        """Return *files* as they are to be sent, and what is sent of the picture; None: all of it."""
        made = {self.image: fitted.picture, self.mask: fitted.mask}
        ready = {
            n: replace(files.get(n, _DRAWN), content=f.content, mime=f.mime)
            for n, f in made.items()
            if n and f
        }
        return {**files, **ready}, fitted.area


def fitting_of(
    model: Model, inputs: Mapping[str, Input], names: frozenset[str], *, send: str, limit: int | None
) -> Fitting | None:
    """Return how the files of a row with *inputs* are made ready; None: they go as they are.

    *names*: the inputs that are files. *limit*: bytes of each that the provider takes; None for no limit.
    """
    drawn = model.drawn_mask(inputs)
    as_they_are = send == "original" and drawn is None
    if as_they_are or not {model.image_field, model.mask_field} & names:
        return None
    # Rows at addresses have no use for it, and what works on pixels takes long to load.
    from batchfill.images.prepare.fit import FitTask, fit_files, make_mask

    task = FitTask(
        picture=None,
        mask=drawn,
        pixels=model.pixels(inputs),
        rule=model.size_rule,
        inputs=model.sizing(inputs),
        picture_limit=limit,
        mask_limit=limit,
    )
    work = make_mask if send == "original" else fit_files
    return Fitting(model.image_field, model.mask_field, work, task)


def read_input_file(name: str, file: LocalFile) -> InputFile:
    """Return the bytes that were fingerprinted. Raises RowRejected when they cannot be had any more."""
    try:
        with open_regular(file.path) as opened:
            content = opened.read()
    except OSError as error:
        if is_shortage(error):
            raise
        raise RowRejected(f"{name} {file.path.name} cannot be read: {error.strerror}") from error
    if sha256(content).hexdigest() != file.sha256:
        raise RowRejected(
            f"{name} {file.path.name} changed while the batch ran: run again to send the new one"
        )
    return InputFile(content, mime_of(file.path.name), file.path.name)
