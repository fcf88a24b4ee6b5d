"""Inputs of a row, made ready to send: files read, checked, fitted, inlined or uploaded."""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.domain.progress import Level
from batchfill.domain.rows import Prepared, inline_note
from batchfill.errors import BadPicture, NoAnswer, NotOffered, ObjectGone, RowRejected, is_shortage
from batchfill.images.prepare.fit import FitTask, fit_files, make_mask
from batchfill.regular_files import open_regular
from batchfill.run.submit.uploader import InputFile, Uploader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Box, Input, LocalFile, PendingRow
    from batchfill.images.prepare.fit import Fitted
    from batchfill.run.context import RunContext


_DRAWN = InputFile(b"", "image/png", "mask.png")
"""What a mask without a file is called on its way."""


class InputPreparer:
    """Prepares rows; rows that share a picture share its upload."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._waits = False
        """Whether it was told that objects cannot be read for now."""
        self._uploader = Uploader(
            context.service,
            context.ledger,
            base=context.settings.base,
            log=context.log,
            clock=context.clock,
        )

    async def prepare_inputs(self, due: PendingRow) -> Prepared:
        """Make *due* ready.

        Raises RowRejected when a file cannot be sent, TransientError when reading or uploading failed, and
        ObjectsRefused or ServiceRefused where other rows would meet the same.
        """
        try:
            return await self._prepare_alone(due)
        except NotOffered:
            # Learned once, from the first large file: without files calls they have to be made smaller.
            return await self._prepare_alone(due)

    def shrink(self, prepared: Prepared) -> bool:
        """Send less inline from now on, for *prepared* was too large; False where it cannot be less."""
        texts = (value for value in prepared.inputs.values() if isinstance(value, str))
        return self._uploader.shrink(text for text in texts if text.startswith("data:"))

    async def _prepare_alone(self, due: PendingRow) -> Prepared:
        # One answer for the whole row: what was made for an upload may be too large to go inline.
        offered = self._uploader.offered
        inputs: dict[str, Any] = self._context.model.without_pixels(due.inputs)
        noted = dict(inputs)
        files, area = await self._read_files(due, offered=offered)
        for name, file in files.items():
            inputs[name], noted[name] = await self._address_of(file, offered=offered)
        return Prepared(inputs, noted, area)

    async def _read_files(self, due: PendingRow, *, offered: bool) -> tuple[dict[str, InputFile], Box | None]:
        files = await self._read_contents(due)
        model = self._context.model
        as_they_are = self._context.settings.send == "original" and model.drawn_mask(due.inputs) is None
        if as_they_are or not {model.image_field, model.mask_field} & files.keys():
            return files, None
        try:
            fitted = await self._fit_files(due, files, offered=offered)
        except (BadPicture, OSError) as error:
            if is_shortage(error):
                raise
            raise RowRejected(str(error)) from error
        made = {model.image_field: fitted.picture, model.mask_field: fitted.mask}
        ready = {
            n: replace(files.get(n, _DRAWN), content=f.content, mime=f.mime)
            for n, f in made.items()
            if n and f
        }
        return {**files, **ready}, fitted.area

    async def _read_contents(self, due: PendingRow) -> dict[str, InputFile]:
        try:
            async with self._context.copies.hold(due.files) as local:
                files = {n: await to_thread.run_sync(_read_file, n, file) for n, file in local.items()}
        except ObjectGone as error:
            raise RowRejected(f"{error}: it changed while the batch ran, so run again to send it") from error
        except NoAnswer as error:
            self._context.log.notice(f"{error}: rows wait", Level.DEBUG if self._waits else Level.WARNING)
            self._waits = True
            raise
        self._waits = False
        return files

    async def _fit_files(self, due: PendingRow, files: Mapping[str, InputFile], *, offered: bool) -> Fitted:
        model = self._context.model
        drawn = model.drawn_mask(due.inputs)
        picture = files.get(model.image_field or "")
        mask = picture if drawn is not None and drawn.is_alpha else files.get(model.mask_field or "")
        limit = None if offered else self._uploader.largest * 3 // 4 - 100
        task = FitTask(
            picture=picture.content if picture else None,
            mask=mask.content if mask else drawn,
            pixels=model.pixels(due.inputs),
            rule=model.size_rule,
            inputs=model.without_pixels(due.inputs),
            picture_limit=limit,
            mask_limit=limit,
            picture_name=picture.name if picture else "picture",
            mask_name=mask.name if mask else "mask",
        )
        work = make_mask if self._context.settings.send == "original" else fit_files
        return await self._context.pixels.do(work, task)

    async def _address_of(self, file: InputFile, *, offered: bool) -> tuple[str, str]:
        """Return what stands for the file in the request, and in the ledger's note of it."""
        uploader, length = self._uploader, len(file.content) * 4 // 3 + 100
        if length > (uploader.small if offered else uploader.largest) and (offered or uploader.fails_for_now):
            url = await uploader.upload(file, sha256(file.content).hexdigest())
            return url, url
        url = f"data:{file.mime};base64,{base64.b64encode(file.content).decode()}"
        if len(url) > uploader.largest:
            raise RowRejected(
                f"{file.name} is {len(file.content):,} bytes, and this provider takes no files: inline "
                f"it may have {uploader.largest * 3 // 4:,}; use `send: fitted`, or put the file at a URL"
            )
        return url, inline_note(file.content, url)


def _read_file(name: str, file: LocalFile) -> InputFile:
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
    mime = mimetypes.guess_type(file.path.name)[0] or "application/octet-stream"
    return InputFile(content, mime, file.path.name)


def apply_redo(due: PendingRow, model: Model) -> PendingRow:
    """Return *due* with the inputs that it is submitted with: of a redo the seed and the prompt replaced.

    Without a seed, where the redo names none: one of our own is chosen for it.
    """
    if due.redo is None:
        return due
    inputs: dict[str, Input] = {name: value for name, value in due.inputs.items() if name != model.seed_field}
    if model.seed_field is not None and due.redo.seed is not None:
        inputs[model.seed_field] = due.redo.seed
    if model.prompt_field is not None and due.redo.prompt is not None:
        inputs[model.prompt_field] = due.redo.prompt
    return replace(due, inputs=inputs)
