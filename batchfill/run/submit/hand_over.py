"""Pictures handed over by their bucket: a worker reads, fits and puts them, and the service fetches them.

No byte of them passes the process that pays. What it signs, the service may read for a day.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.domain.objects import ObjectFile, parse_object_address
from batchfill.domain.rows import SENT, Prepared, sent_note
from batchfill.errors import ObjectsRefused
from batchfill.filenames import mime_of
from batchfill.images.prepare.input_file import InputFile, fitting_of, read_input_file
from batchfill.settings.addresses import why_out_of_reach
from batchfill.storage.remote_store import RemoteStore, store_of_process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from batchfill.domain.rows import Box, PendingRow, RowFile
    from batchfill.images.prepare.input_file import Fitting
    from batchfill.run.context import RunContext
    from batchfill.storage.object_store import ObjectStore, ObjectWriter

FOLDER = "batchfill/"
"""Where a bucket keeps what was sent out of it."""
SIGNED_FOR = 24 * 3600.0
"""Seconds for which a service may read what it was given the address of: it may queue for hours."""


@dataclass(frozen=True, slots=True)
class HandOverTask:
    """Files of a row that a worker is to read, to make ready and to put into a bucket."""

    files: Mapping[str, RowFile]
    """By input name."""
    fitting: Fitting | None
    """None: they go as they are."""
    root: str
    """Where to put them: `s3://bucket/batchfill/`."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a worker put into a bucket."""

    digests: Mapping[str, str]
    """The SHA-256 of each content, by input name: its object is `sent/DIGEST`."""
    area: Box | None
    """What is sent of the picture; None: all of it."""


def hand_over(task: HandOverTask) -> HandedOver:
    """Put what is to be sent of *task* into its bucket; done twice, it is the same.

    Raises BadPicture and RowRejected where a file cannot be sent, ObjectGone where an object has changed,
    ObjectsRefused and NoAnswer as every call of a storage.
    """
    store = store_of_process()
    files = {name: _read(store, name, file) for name, file in task.files.items()}
    area = None
    if (fitting := task.fitting) is not None:
        files, area = fitting.with_fitted(files, fitting.work(fitting.with_contents(files)))
    return HandedOver({name: _put(store, task.root, file) for name, file in files.items()}, area)


def _read(store: ObjectStore, name: str, file: RowFile) -> InputFile:
    if not isinstance(file, ObjectFile):
        return read_input_file(name, file)
    content = io.BytesIO()
    store.read_object(file, content)
    return InputFile(content.getvalue(), mime_of(file.name), file.name)


def _put(store: ObjectWriter, root: str, file: InputFile) -> str:
    digest = sha256(file.content).hexdigest()
    # Also where it is there already: a rule of the bucket that removes what is old may be about to.
    store.put_object(f"{root}{sent_note(digest)}", file.content, mime=file.mime)
    return digest


class BucketHandOver:
    """Has the files of rows put next to their pictures, and signs what the service reads there."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._model = context.model
        self._settings = context.settings
        self._store = RemoteStore()
        self._signing = anyio.CapacityLimiter(4)

    def takes(self, due: PendingRow) -> bool:
        """Whether the picture of *due* is in a bucket, and is to be handed over by it."""
        image = due.files.get(self._model.image_field or "")
        return self._settings.hand_over == "bucket" and isinstance(image, ObjectFile)

    async def prepare(self, due: PendingRow) -> Prepared:
        """Make *due* ready; see `hand_over` for what it raises."""
        model, settings = self._model, self._settings
        image = due.files[model.image_field or ""]
        assert isinstance(image, ObjectFile)
        root = settings.outputs or parse_object_address(image.address).root + FOLDER
        fitting = fitting_of(model, due.inputs, frozenset(due.files), send=settings.send, limit=None)
        # Before a picture is moved for nothing.
        await self._address_of(f"{root}{SENT}any")
        pixels = self._context.cluster_for(due.files) or self._context.pixels
        made = await pixels.do(hand_over, HandOverTask(due.files, fitting, root))
        inputs: dict[str, Any] = model.without_pixels(due.inputs)
        noted = dict(inputs)
        for name, digest in made.digests.items():
            noted[name] = sent_note(digest)
            inputs[name] = await self._address_of(f"{root}{noted[name]}")
        return Prepared(inputs, noted, made.area)

    async def _address_of(self, address: str) -> str:
        """Return an address by which the service reads an object. Raises ObjectsRefused where it cannot."""
        settings = self._settings
        sign = partial(self._store.sign_read, address, seconds=SIGNED_FOR)
        signed = await to_thread.run_sync(sign, limiter=self._signing)
        if (why := why_out_of_reach(signed, settings.address, plain_http=settings.plain_http)) is not None:
            root = parse_object_address(address).root
            raise ObjectsRefused(f"{root} cannot hand pictures over: {why}; use --hand-over upload")
        return signed
