"""Inputs of a row, made ready to send: files read, checked, fitted, inlined or uploaded."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.domain.progress import Level
from batchfill.domain.rows import Prepared, inline_note
from batchfill.errors import BadPicture, NoAnswer, NotOffered, ObjectGone, RowRejected, is_shortage
from batchfill.images.prepare.input_file import fitting_of, read_input_file
from batchfill.run.submit.hand_over import BucketHandOver
from batchfill.run.submit.uploader import Uploader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Box, Input, PendingRow
    from batchfill.images.prepare.input_file import InputFile
    from batchfill.run.context import RunContext


class InputPreparer:
    """Prepares rows; rows that share a picture share its upload."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._waits = False
        """Whether it was told that objects cannot be read for now."""
        self._hand_over = BucketHandOver(context)
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
        if self._hand_over.takes(due):
            with self._telling_of_objects(), _rejecting_bad_files():
                return await self._hand_over.prepare(due)
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
        if not due.files:
            return Prepared(inputs, noted)
        files, area = await self._read_files(due, offered=offered)
        for name, file in files.items():
            inputs[name], noted[name] = await self._address_of(file, offered=offered)
        return Prepared(inputs, noted, area)

    async def _read_files(self, due: PendingRow, *, offered: bool) -> tuple[dict[str, InputFile], Box | None]:
        files = await self._read_contents(due)
        limit = None if offered else self._uploader.largest * 3 // 4 - 100
        context = self._context
        fitting = fitting_of(
            context.model, due.inputs, frozenset(files), send=context.settings.send, limit=limit
        )
        if fitting is None:
            return files, None
        with _rejecting_bad_files():
            fitted = await context.pixels.do(fitting.work, fitting.with_contents(files))
        return fitting.with_fitted(files, fitted)

    async def _read_contents(self, due: PendingRow) -> dict[str, InputFile]:
        with self._telling_of_objects():
            async with self._context.copies.hold(due.files) as local:
                return {n: await to_thread.run_sync(read_input_file, n, file) for n, file in local.items()}

    @contextmanager
    def _telling_of_objects(self) -> Iterator[None]:
        """Say of reads of objects inside what it means for their row, and once that rows wait."""
        try:
            yield
        except ObjectGone as error:
            raise RowRejected(f"{error}: it changed while the batch ran, so run again to send it") from error
        except NoAnswer as error:
            self._context.log.notice(f"{error}: rows wait", Level.DEBUG if self._waits else Level.WARNING)
            self._waits = True
            raise
        self._waits = False

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


@contextmanager
def _rejecting_bad_files() -> Iterator[None]:
    """Raise RowRejected for what is no fault of this machine."""
    try:
        yield
    except (BadPicture, OSError) as error:
        if is_shortage(error):
            raise
        raise RowRejected(str(error)) from error


def apply_redo(due: PendingRow, model: Model) -> PendingRow:
    """Return *due* with the inputs that it is submitted with: those that its redo changes are replaced.

    Without a seed, where the redo names none: one of our own is chosen for it.
    """
    if due.redo is None:
        return due
    changed = due.redo.inputs
    given = {**due.inputs, **changed}
    inputs: dict[str, Input] = {
        name: value for name, value in given.items() if name != model.seed_field and value is not None
    }
    if model.seed_field is not None and due.redo.seed is not None:
        inputs[model.seed_field] = due.redo.seed
    if model.prompt_field is not None and due.redo.prompt is not None:
        inputs[model.prompt_field] = due.redo.prompt
    return replace(due, inputs=inputs)
