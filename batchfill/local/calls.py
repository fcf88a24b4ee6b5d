"""The calls that make, show, list and cancel predictions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from batchfill.local import creation, guard, listing
from batchfill.local.answers import Refused, problem, throttled
from batchfill.local.misbehaviour import HITS
from batchfill.local.schema import version_of

if TYPE_CHECKING:
    from batchfill.catalog import Model
    from batchfill.local.desk import Desk
    from batchfill.local.record import Record


class Calls:
    """Handlers; each returns the service's answer or raises Refused."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._versions = {version_of(model): model for model in desk.models.values()}

    async def create_by_model(self, request: web.Request) -> web.Response:
        """POST /models/{owner}/{name}/predictions."""
        return await self._create(request, self._desk.model(_name(request)))

    async def create_by_version(self, request: web.Request) -> web.Response:
        """POST /predictions, the model named by the version's id, `owner/name` or `owner/name:id`."""
        version = creation.read_body(await request.read()).get("version")
        if not isinstance(version, str):
            raise Refused(problem(422, title="Input validation failed", detail="- version is required\n"))
        model = self._versions.get(version.rpartition(":")[2]) or self._desk.models.get(version)
        if model is None:
            detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            raise Refused(problem(422, title="Invalid version or not permitted", detail=detail))
        return await self._create(request, model)

    async def create_by_deployment(self, request: web.Request) -> web.Response:
        """POST /deployments/{owner}/{name}/predictions; each model is deployed under its own name."""
        return await self._create(request, self._desk.model(_name(request)), deployment=_name(request))

    async def get(self, request: web.Request) -> web.Response:
        """GET /predictions/{id}."""
        record = self._desk.prediction(request)
        if record.ended and any(hit.kind == "expired" for hit in request[HITS]):
            record = self._desk.predictions.remove(record.id)
        return web.json_response(self._desk.show(record))

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /predictions/{id}/cancel; a prediction that has ended is left as it is."""
        record = self._desk.prediction(request)
        if not any(hit.kind == "loses" for hit in request[HITS]):
            record = self._desk.predictions.cancel(record.id)
        return web.json_response(self._desk.show(record))

    async def list(self, request: web.Request) -> web.Response:
        """GET /predictions, a hundred a page, newest first."""
        desk = self._desk
        desk.predictions.sweep()
        window = listing.read_window(request.query)
        page = listing.read_page(desk.predictions.all(), window)
        page = listing.distort(page, window, request[HITS], desk.now())
        return web.json_response(
            {
                "next": listing.address(desk.told_base, page.next),
                "previous": listing.address(desk.told_base, page.previous),
                "results": [desk.show(record) for record in page.records],
            }
        )

    async def _create(
        self, request: web.Request, model: Model, deployment: str | None = None
    ) -> web.Response:
        desk = self._desk
        if desk.token is None:
            guard.refuse_other_types(request)
        body = creation.read_body(await request.read())
        if desk.token is None:
            guard.refuse_errands(request, model, body["input"])
        limits = self._take_turn()
        record = creation.new_record(
            model,
            body["input"],
            id_=desk.new_id(),
            contents=desk.contents,
            files=desk.files,
            now=desk.now(),
            hits=request[HITS],
            deployment=deployment,
            lifetime=creation.read_lifetime(request.headers.get("Cancel-After")),
        )
        desk.predictions.sweep()
        desk.predictions.create(record)
        wait = creation.read_wait(request.headers.get("Prefer"))
        if wait is not None:
            record = await desk.predictions.wait(record.id, wait)
        return self._answer(record, limits, waited=wait is not None)

    def _take_turn(self) -> dict[str, str]:
        """Return the headers that tell of the limit. Raises Refused when it is used up."""
        rate = self._desk.rate
        if rate is None:
            return {}
        missing = rate.take()
        limits = {"ratelimit-remaining": str(rate.remaining), "ratelimit-reset": str(math.ceil(rate.reset))}
        if missing:
            refusal = throttled(missing, rate.form)
            refusal.headers.update({**limits, "Retry-After": str(math.ceil(missing))})
            raise Refused(refusal)
        return limits

    def _answer(self, record: Record, headers: dict[str, str], *, waited: bool) -> web.Response:
        status = 202 if waited and not record.ended else 201
        if waited:
            headers = {**headers, "Preference-Applied": "wait"}
            if not record.ended:
                # As documented: a wait that was too short is answered with `starting`, whatever is under way.
                record = replace(record, status="starting")
        status = self._desk.manner.create_status or status
        return web.json_response(self._desk.show(record), status=status, headers=headers)


def _name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"
