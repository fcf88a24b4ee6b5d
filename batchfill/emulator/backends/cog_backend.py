"""The backend whose pictures own model servers make: Cog containers, reached through a pool."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batchfill.catalog.openapi import model_from_document
from batchfill.emulator.backend import Made, RunFailed
from batchfill.emulator.backends.container_answers import AnswerKind
from batchfill.emulator.backends.container_pool import ContainerPool
from batchfill.emulator.backends.turns import Turn
from batchfill.emulator.input_sources import upload_id
from batchfill.emulator.schema import find_faults, version_of
from batchfill.settings.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.catalog.model import Model
    from batchfill.emulator.backends.container import Container
    from batchfill.emulator.backends.container_answers import Answer
    from batchfill.emulator.backends.pool_addresses import PoolAddresses
    from batchfill.emulator.backends.pool_timings import PoolTimings
    from batchfill.emulator.input_sources import Sources
    from batchfill.emulator.journal import PredictionRecord
    from batchfill.emulator.outputs import OutputFiles
    from batchfill.emulator.schema import Fault

MOST_TRIES = 5
"""Runs of one prediction that may break off before it fails."""

_ANY = "own/model"
"""A name to read a schema by, where none was asked for."""

_KINDS = (
    (b"\x89PNG", "png", "image/png"),
    (b"\xff\xd8\xff", "jpg", "image/jpeg"),
    (b"RIFF", "webp", "image/webp"),
    (b"GIF8", "gif", "image/gif"),
    (b"II*\x00", "tiff", "image/tiff"),
    (b"MM\x00*", "tiff", "image/tiff"),
)
"""How files begin, their suffix and their type: containers tell a picture by its type."""


class CogBackend:
    """Runs predictions on a pool of containers, which share one schema of inputs.

    The containers run one model, whatever name a create gives it.
    """

    def __init__(
        self,
        addresses: PoolAddresses,
        sources: Sources,
        outputs: OutputFiles,
        *,
        tell: Callable[[str], object],
        timings: PoolTimings | None = None,
    ) -> None:
        """*tell* is given each line for a person."""
        self._addresses, self._sources, self._outputs = addresses, sources, outputs
        self._tell = tell
        self.pool = ContainerPool(self._examine, tell, timings)
        self._document: object = None
        """What the containers publish, once one of them did."""
        self._carriers: set[str] = set()
        """Containers that were seen to run what the document describes."""
        self._models: dict[str, Model] = {}
        self._names: dict[str, str] = {}
        """Names that were asked for, by the id of their version."""
        self._file_watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look for the containers."""
        await self.pool.start(self._addresses.known)
        self._file_watch = asyncio.create_task(self._follow_file())

    async def stop(self) -> None:
        """Let go of the containers."""
        if self._file_watch is not None:
            self._file_watch.cancel()
        await self.pool.stop()

    def find_model(self, name: str) -> Model | None:
        """Return the containers' model under the name that was asked for; None before one was ready."""
        if self._document is None:
            return None
        if name not in self._models:
            self._models[name] = read_model(name, self._document)
        self._names[version_of(self._models[name])] = name
        return self._models[name]

    def find_version(self, version: str) -> Model | None:
        """Return the containers' model for `OWNER/NAME`, `OWNER/NAME:ID`, or an id that was told before."""
        name, _, id_ = version.partition(":")
        known = name if "/" in name else self._names.get(id_ or name)
        return self.find_model(known) if known else None

    async def accept(self) -> None:
        """Return when a container works. Raises NotReady."""
        await self.pool.wait_alive(self.pool.timings.hold)

    def find_faults(self, model: Model, inputs: Mapping[str, Any]) -> list[Fault]:
        """Return what the containers would refuse, and inputs that they would drop without a word."""
        known = ", ".join(model.fields)
        unknown = [
            ("unknown_input", f"input.{name}", f"{name} is no input of the containers' model ({known})")
            for name, value in inputs.items()
            if name not in model.fields and value is not None
        ]
        return unknown + find_faults(model, inputs)

    async def run(self, record: PredictionRecord, begin: Callable[[], None]) -> Made:
        """Make the outputs of a prediction, on another container where a run breaks off. Raises RunFailed."""
        avoid: set[str] = set()
        broken: list[str] = []
        first = False
        while len(broken) < MOST_TRIES:
            async with self.pool.slot(Turn(record.sender, avoid), first=first) as container:
                answer = await self._run_on(container, record, begin)
            if answer.kind is AnswerKind.MADE:
                return await self._keep(record, answer)
            if answer.kind is AnswerKind.FAILED:
                raise RunFailed(answer.words)
            first = True
            if answer.kind in (AnswerKind.LOST, AnswerKind.TROUBLE):
                avoid.add(container.at)
                broken.append(answer.words)
        raise RunFailed(f"{MOST_TRIES} runs broke off, the last one so: {broken[-1]}")

    def report(self) -> Mapping[str, Any]:
        """Return the state of the pool."""
        return self.pool.report()

    def closing_line(self) -> str:
        """Return what the containers made."""
        return self.pool.closing_line()

    async def _run_on(
        self, container: Container, record: PredictionRecord, begin: Callable[[], None]
    ) -> Answer:
        body = await self._body_of(record)
        begin()
        try:
            answer = await container.run(record.id, body)
        except asyncio.CancelledError:
            self.pool.abandon(container, record.id)
            raise
        if answer.kind is AnswerKind.RUNNING:
            # Begun before this server was started. Its slot is free the sooner.
            await container.cancel(record.id)
        return answer

    async def _body_of(self, record: PredictionRecord) -> bytes:
        """Return what is sent to a container: files inside, addresses of other machines as they are."""
        model = self.find_model(record.model)
        files = {
            name: await self._sources.read(record, name)
            for name in (model.file_fields if model else record.contents)
            if name in record.contents or _is_ours(record.input.get(name))
        }
        return await asyncio.to_thread(_encode, record.input, files)

    async def _keep(self, record: PredictionRecord, answer: Answer) -> Made:
        try:
            contents = await asyncio.to_thread(lambda: tuple(map(_decode, answer.outputs)))
        except ValueError as error:
            raise RunFailed(f"the model returned no picture: {error}") from None
        suffix = _kind_of(contents[0])[0]
        names = await asyncio.to_thread(self._outputs.write, record.id, contents, suffix)
        return Made(names, answer.logs)

    def _examine(self, container: Container, document: object) -> str:
        """Return what is wrong with the schema of a container; empty: nothing, it belongs to the pool."""
        try:
            inputs = _inputs_of(read_model(_ANY, document))
        except ValueError as error:
            return f"publishes a schema that cannot be used: {error}"
        if self._document is None or self._may_replace(container):
            self._document, self._carriers = document, set()
            self._models.clear()
        ours = _inputs_of(read_model(_ANY, self._document))
        if inputs != ours:
            return _tell_difference(inputs, ours, next(iter(self._known), "the others"))
        self._carriers.add(container.at)
        return ""

    def _may_replace(self, container: Container) -> bool:
        """Whether *container* may bring a new model: no other works, and none that may come back had the old.

        A stranger in the pool never takes over from containers that are being restarted.
        """
        others_work = any(one.alive for one in self.pool.members if one is not container)
        return not others_work and (container.at in self._known or not self._known)

    @property
    def _known(self) -> list[str]:
        """The containers of the pool that were seen to run its model."""
        return [one.at for one in self.pool.members if one.at in self._carriers]

    async def _follow_file(self) -> None:
        """Change the pool whenever the file of addresses changes."""
        while True:
            await asyncio.sleep(self.pool.timings.file_look)
            addresses, words = self._addresses.read_again()
            if words:
                self._tell(words)
            if addresses is not None:
                come, gone = self.pool.change(addresses)
                for sign, names in (("+", come), ("-", gone)):
                    for name in names:
                        self._tell(f"{sign} {name}")


def read_model(name: str, document: object) -> Model:
    """Return the model that `/openapi.json` describes. Raises ValueError."""
    model = model_from_document(name, document)
    kind = document
    for key in ("components", "schemas", "Output", "type"):
        kind = kind.get(key) if isinstance(kind, dict) else None
    return replace(model, lists_outputs=kind == "array")


def _inputs_of(model: Model) -> dict[str, Any]:
    """Return what two containers must agree in: not their texts."""
    return {name: replace(field, description="") for name, field in model.fields.items()}


def _tell_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any], at: str) -> str:
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return (
        f"runs another model than {at}: they differ in {', '.join(names)}; "
        "start a server of its own for it, with another --port and --folder"
    )


def _is_ours(value: object) -> bool:
    """Whether only this machine can read an address: an upload, or one of its own."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        return False
    try:
        host = urlsplit(value).hostname or ""
    except ValueError:
        return False
    return upload_id(value) is not None or is_loopback(host)


def _kind_of(content: bytes) -> tuple[str, str]:
    """Return suffix and type of a file by how it begins."""
    found = (kind for kind in _KINDS if content.startswith(kind[0]))
    return next(found, (b"", "bin", "application/octet-stream"))[1:]


def _encode(inputs: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    urls = {
        name: f"data:{_kind_of(content)[1]};base64,{base64.b64encode(content).decode()}"
        for name, content in files.items()
    }
    return json.dumps({"input": {**inputs, **urls}}, separators=(",", ":")).encode()


def _decode(url: str) -> bytes:
    match = re.match(r"data:[^,]{0,200};base64,", url)
    if match is None:
        raise ValueError("its data URL is not base64")
    try:
        return base64.b64decode(url[match.end() :], validate=True)
    except binascii.Error as error:
        raise ValueError(f"its data URL is not base64: {error}") from None
