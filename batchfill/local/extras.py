"""The calls beside the predictions: files, account, model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from batchfill.local.answers import Refused, moment, problem
from batchfill.local.files import MAX_SIZE
from batchfill.local.schema import model_answer, version_answer, version_of

if TYPE_CHECKING:
    from batchfill.catalog import Model
    from batchfill.local.desk import Desk


class Extras:
    """Handlers; each returns the service's answer or raises Refused."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._since = moment(desk.now())

    async def account(self, request: web.Request) -> web.Response:
        """GET /account."""
        name = self._desk.account
        url = f"https://github.com/{name}"
        return web.json_response({"type": "user", "username": name, "name": name, "github_url": url})

    async def model(self, request: web.Request) -> web.Response:
        """GET /models/{owner}/{name}."""
        model = self._model(request)
        runs = sum(record.model == model.name for record in self._desk.predictions.all())
        return web.json_response(model_answer(model, self._since, runs))

    async def versions(self, request: web.Request) -> web.Response:
        """GET /models/{owner}/{name}/versions."""
        versions = [version_answer(self._model(request), self._since)]
        return web.json_response({"next": None, "previous": None, "results": versions})

    async def version(self, request: web.Request) -> web.Response:
        """GET /models/{owner}/{name}/versions/{id}."""
        model = self._model(request)
        if request.match_info["id"] != version_of(model):
            raise Refused(problem(404))
        return web.json_response(version_answer(model, self._since))

    async def upload(self, request: web.Request) -> web.Response:
        """POST /files, multipart with the part `content` and perhaps `metadata`."""
        if not request.content_type.startswith("multipart/"):
            raise Refused(problem(400, detail="Expected multipart/form-data"))
        upload: dict[str, Any] | None = None
        metadata: Any = {}
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "content":
                upload = await _read_content(part)
            elif isinstance(part, BodyPartReader) and part.name == "metadata":
                metadata = _read_metadata(await part.read())
        if upload is None:
            raise Refused(problem(400, detail="Missing content"))
        id_ = self._desk.files.add(**upload, metadata=metadata, now=self._desk.now())
        return web.json_response(self._file(id_), status=201)

    async def file(self, request: web.Request) -> web.Response:
        """GET /files/{id}."""
        return web.json_response(self._file(request.match_info["id"]))

    async def files(self, request: web.Request) -> web.Response:
        """GET /files, newest first."""
        desk = self._desk
        answers = [desk.files.answer(id_, desk.told_base, desk.now()) for id_ in desk.files.newest_first()]
        return web.json_response({"next": None, "previous": None, "results": [one for one in answers if one]})

    async def delete_file(self, request: web.Request) -> web.Response:
        """DELETE /files/{id}."""
        if not self._desk.files.delete(request.match_info["id"]):
            raise Refused(problem(404, detail="File not found"))
        return web.Response(status=204)

    def _file(self, id_: str) -> dict[str, Any]:
        found = self._desk.files.answer(id_, self._desk.told_base, self._desk.now())
        if found is None:
            raise Refused(problem(404, detail="File not found"))
        return found

    def _model(self, request: web.Request) -> Model:
        return self._desk.model(f"{request.match_info['owner']}/{request.match_info['name']}")


async def _read_content(part: BodyPartReader) -> dict[str, Any]:
    content = bytes(await part.read())
    if len(content) > MAX_SIZE:
        raise Refused(problem(413, detail=f"Files are limited to {MAX_SIZE // 2**20} MiB"))
    mime = part.headers.get("Content-Type", "application/octet-stream")
    return {"content": content, "name": part.filename or "file", "mime": mime}


def _read_metadata(text: bytes | bytearray) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise Refused(problem(400, detail="metadata must be a JSON object"))
    return metadata
