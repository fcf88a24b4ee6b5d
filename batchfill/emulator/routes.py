"""The API origin: which path is which call, who may call, and what refusals look like."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from batchfill.emulator.access import refuse_strangers
from batchfill.emulator.dialects.dialect import Dialect
from batchfill.emulator.dialects.dressing import dress_answers
from batchfill.emulator.handlers import Calls, Extras
from batchfill.emulator.quirks import OFFERS
from batchfill.emulator.responses import Refused, problem_response

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from batchfill.emulator.handler_context import HandlerContext

_MAX_BODY = 128 * 1024 * 1024
_MODEL = "/models/{owner}/{name}"


def api_app(context: HandlerContext, misbehaving: Middleware) -> web.Application:
    """Return the application of the API; *misbehaving* is its outermost middleware."""
    middlewares = [misbehaving, _guard_calls(context)]
    if (dialect := context.quirks.dialect) != Dialect():
        middlewares.insert(0, dress_answers(dialect, call_of, context.now))
    app = web.Application(middlewares=middlewares, client_max_size=_MAX_BODY)
    for method, path, handler in _route_table(context):
        app.router.add_route(method, f"/v1{path}", handler)
    # Of the pool, not of the API: it has no version.
    app.router.add_get("/pool", Extras(context).pool)
    return app


def call_of(request: web.Request) -> str:
    """Return the call that a request makes (create, get, list, cancel, files, account, model) or `other`."""
    path = request.path.removeprefix("/v1")
    if path.endswith("/predictions"):
        return "create" if request.method == "POST" else "list"
    if path.startswith("/predictions/"):
        return "cancel" if path.endswith("/cancel") else "get"
    first = path.split("/")[1] if path.startswith("/") else ""
    return {"files": "files", "account": "account", "models": "model"}.get(first, "other")


def _route_table(context: HandlerContext) -> list[tuple[str, str, Handler]]:
    calls, extras = Calls(context), Extras(context)
    return [
        ("POST", f"{_MODEL}/predictions", calls.create_by_model),
        ("POST", "/predictions", calls.create_by_version),
        ("POST", "/deployments/{owner}/{name}/predictions", calls.create_by_deployment),
        ("GET", "/predictions", calls.list),
        ("GET", "/predictions/{id}", calls.get),
        ("POST", "/predictions/{id}/cancel", calls.cancel),
        ("POST", "/files", extras.upload),
        ("GET", "/files", extras.files),
        ("GET", "/files/{id}", extras.file),
        ("DELETE", "/files/{id}", extras.delete_file),
        ("GET", "/account", extras.account),
        ("GET", _MODEL, extras.model),
        ("GET", f"{_MODEL}/versions", extras.versions),
        ("GET", f"{_MODEL}/versions/{{id}}", extras.version),
    ]


def _guard_calls(context: HandlerContext) -> Middleware:
    """Return the middleware that lets in who may call what exists, and answers refusals as JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _may_call(request, context.token):
            return problem_response(401)
        try:
            if context.token is None:
                refuse_strangers(request)
            if call_of(request) in OFFERS - context.quirks.offers:
                return problem_response(context.quirks.not_offered)
            return await handler(request)
        except Refused as refused:
            return refused.response
        except web.HTTPException as error:
            return _told(error)
        except RecursionError:
            # Wherever it is met: reading JSON, checking it, or writing it down.
            return problem_response(400, title="Bad request", detail="The request body is nested too deeply")

    return middleware


def _told(error: web.HTTPException) -> web.Response:
    response = problem_response(
        error.status, **({"detail": error.reason} if error.status not in (404, 405) else {})
    )
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _may_call(request: web.Request, token: str | None) -> bool:
    if token is None:
        return True
    given = request.headers.get("Authorization", "")
    # The service takes both words.
    return any(
        secrets.compare_digest(given.encode(), f"{word} {token}".encode()) for word in ("Bearer", "Token")
    )
