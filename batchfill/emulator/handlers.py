"""Handlers of the API's calls: predictions, files, account, models."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from batchfill.emulator import access, create, emulator_pagination
from batchfill.emulator.faults.injection import HITS
from batchfill.emulator.files import MAX_SIZE
from batchfill.emulator.responses import Refused, format_time, problem_response, throttled_response
from batchfill.emulator.schema import model_answer, version_answer, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from batchfill.catalog.model import Model
    from batchfill.emulator.handler_context import HandlerContext
    from batchfill.emulator.journal import PredictionRecord


class Calls:
    """Handlers; each returns the service's answer or raises Refused."""

    def __init__(self, context: HandlerContext) -> None:
        self._context = context

    async def create_by_model(self, request: web.Request) -> web.Response:
        """POST /models/{owner}/{name}/predictions."""
        await self._context.accept()
        return await self._create_prediction(request, self._context.model(_model_name(request)))

    async def create_by_version(self, request: web.Request) -> web.Response:
        """POST /predictions, the model named by the version's id, `owner/name` or `owner/name:id`."""
        await self._context.accept()
        version = create.read_body(await request.read()).get("version")
        if not isinstance(version, str):
            raise Refused(
                problem_response(422, title="Input validation failed", detail="- version is required\n")
            )
        model = self._context.backend.find_version(version)
        if model is None:
            detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            raise Refused(problem_response(422, title="Invalid version or not permitted", detail=detail))
        return await self._create_prediction(request, model)

    async def create_by_deployment(self, request: web.Request) -> web.Response:
        """POST /deployments/{owner}/{name}/predictions; each model is deployed under its own name."""
        await self._context.accept()
        return await self._create_prediction(
            request, self._context.model(_model_name(request)), deployment=_model_name(request)
        )

    async def get(self, request: web.Request) -> web.Response:
        """GET /predictions/{id}."""
        record = self._context.prediction(request)
        if record.ended and any(hit.kind == "expired" for hit in request[HITS]):
            record = self._context.predictions.remove(record.id)
        return web.json_response(self._context.show(record))

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /predictions/{id}/cancel; a prediction that has ended is left as it is."""
        record = self._context.prediction(request)
        if not any(hit.kind == "loses" for hit in request[HITS]):
            record = self._context.predictions.cancel(record.id)
        return web.json_response(self._context.show(record))

    async def list(self, request: web.Request) -> web.Response:
        """GET /predictions, a hundred a page, newest first."""
        context = self._context
        context.predictions.sweep()
        window = emulator_pagination.read_window(request.query)
        page = emulator_pagination.read_page(context.predictions.all(), window)
        page = emulator_pagination.distort_page(page, window, request[HITS], context.now())
        return web.json_response(
            {
                "next": emulator_pagination.page_url(context.told_base, page.next),
                "previous": emulator_pagination.page_url(context.told_base, page.previous),
                "results": [context.show(record) for record in page.records],
            }
        )

    async def _create_prediction(
        self, request: web.Request, model: Model, deployment: str | None = None
    ) -> web.Response:
        context = self._context
        if context.token is None:
            access.refuse_other_types(request)
        body = create.read_body(await request.read())
        if context.token is None:
            access.refuse_errands(request, model, body["input"])
        limits = self._take_turn()
        key, asked = self._read_key(request), create.request_digest(request.path, body)
        if (known := context.predictions.find_key(key)) is not None:
            if known.request != asked:
                raise Refused(create.other_request_response())
            return self._answer_prediction(known, limits, waited=False)
        record = self._new_record(request, model, body["input"], deployment)
        context.predictions.sweep()
        context.predictions.create(replace(record, key=key, request=asked if key else ""))
        wait = create.read_wait(request.headers.get("Prefer"))
        if wait is not None:
            record = await context.predictions.wait(record.id, wait)
        return self._answer_prediction(record, limits, waited=wait is not None)

    def _read_key(self, request: web.Request) -> str | None:
        honoured = self._context.quirks.dialect.keys == "honoured"
        return request.headers.get("Idempotency-Key") if honoured else None

    def _new_record(
        self, request: web.Request, model: Model, inputs: Mapping[str, Any], deployment: str | None
    ) -> PredictionRecord:
        return create.new_record(
            model,
            inputs,
            faults=self._context.backend.find_faults(model, inputs),
            id_=self._context.new_id(),
            contents=self._context.contents,
            files=self._context.files,
            now=self._context.now(),
            hits=request[HITS],
            deployment=deployment,
            sender=access.sender_of(request),
            lifetime=create.read_lifetime(request.headers.get("Cancel-After")),
        )

    def _take_turn(self) -> dict[str, str]:
        """Return the headers that tell of the limit. Raises Refused when it is used up."""
        rate = self._context.rate
        if rate is None:
            return {}
        missing = rate.take()
        limits = {"ratelimit-remaining": str(rate.remaining), "ratelimit-reset": str(math.ceil(rate.reset))}
        if missing:
            refusal = throttled_response(missing, rate.form)
            refusal.headers.update({**limits, "Retry-After": str(math.ceil(missing))})
            raise Refused(refusal)
        return limits

    def _answer_prediction(
        self, record: PredictionRecord, headers: dict[str, str], *, waited: bool
    ) -> web.Response:
        status = 202 if waited and not record.ended else 201
        if waited:
            headers = {**headers, "Preference-Applied": "wait"}
            if not record.ended:
                # As documented: a wait that was too short is answered with `starting`, whatever is under way.
                record = replace(record, status="starting")
        status = self._context.quirks.create_status or status
        return web.json_response(self._context.show(record), status=status, headers=headers)


def _model_name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


class Extras:
    """Handlers; each returns the service's answer or raises Refused."""

    def __init__(self, context: HandlerContext) -> None:
        self._context = context
        self._since = format_time(context.now())

    async def account(self, request: web.Request) -> web.Response:
        """GET /account."""
        name = self._context.account
        url = f"https://github.com/{name}"
        return web.json_response({"type": "user", "username": name, "name": name, "github_url": url})

    async def model(self, request: web.Request) -> web.Response:
        """GET /models/{owner}/{name}."""
        model = await self._find_model(request)
        runs = sum(record.model == model.name for record in self._context.predictions.all())
        return web.json_response(model_answer(model, self._since, runs))

    async def versions(self, request: web.Request) -> web.Response:
        """GET /models/{owner}/{name}/versions."""
        versions = [version_answer(await self._find_model(request), self._since)]
        return web.json_response({"next": None, "previous": None, "results": versions})

    async def version(self, request: web.Request) -> web.Response:
        """GET /models/{owner}/{name}/versions/{id}."""
        model = await self._find_model(request)
        if request.match_info["id"] != version_of(model):
            raise Refused(problem_response(404))
        return web.json_response(version_answer(model, self._since))

    async def pool(self, request: web.Request) -> web.Response:
        """GET /pool: the model servers behind this one."""
        report = self._context.backend.report()
        if report is None:
            raise Refused(problem_response(404))
        return web.json_response(report)

    async def upload(self, request: web.Request) -> web.Response:
        """POST /files, multipart with the part `content` and perhaps `metadata`."""
        if not request.content_type.startswith("multipart/"):
            raise Refused(problem_response(400, detail="Expected multipart/form-data"))
        upload: dict[str, Any] | None = None
        metadata: Any = {}
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "content":
                upload = await _read_content(part)
            elif isinstance(part, BodyPartReader) and part.name == "metadata":
                metadata = _read_metadata(await part.read())
        if upload is None:
            raise Refused(problem_response(400, detail="Missing content"))
        id_ = self._context.files.add(**upload, metadata=metadata, now=self._context.now())
        return web.json_response(self._find_file(id_), status=201)

    async def file(self, request: web.Request) -> web.Response:
        """GET /files/{id}."""
        return web.json_response(self._find_file(request.match_info["id"]))

    async def files(self, request: web.Request) -> web.Response:
        """GET /files, newest first."""
        context = self._context
        answers = [
            context.files.answer(id_, context.told_base, context.now())
            for id_ in context.files.newest_first()
        ]
        return web.json_response({"next": None, "previous": None, "results": [one for one in answers if one]})

    async def delete_file(self, request: web.Request) -> web.Response:
        """DELETE /files/{id}."""
        if not self._context.files.delete(request.match_info["id"]):
            raise Refused(problem_response(404, detail="File not found"))
        return web.Response(status=204)

    def _find_file(self, id_: str) -> dict[str, Any]:
        found = self._context.files.answer(id_, self._context.told_base, self._context.now())
        if found is None:
            raise Refused(problem_response(404, detail="File not found"))
        return found

    async def _find_model(self, request: web.Request) -> Model:
        name = _model_name(request)
        if not self._context.backend.find_model(name):
            await self._context.accept()
        return self._context.model(name)


async def _read_content(part: BodyPartReader) -> dict[str, Any]:
    content = bytes(await part.read())
    if len(content) > MAX_SIZE:
        raise Refused(problem_response(413, detail=f"Files are limited to {MAX_SIZE // 2**20} MiB"))
    mime = part.headers.get("Content-Type", "application/octet-stream")
    return {"content": content, "name": part.filename or "file", "mime": mime}


def _read_metadata(text: bytes | bytearray) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise Refused(problem_response(400, detail="metadata must be a JSON object"))
    return metadata
