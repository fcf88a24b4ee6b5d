"""Faults carried out: connections reset and cut, answers delayed, replaced and spoilt."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from batchfill.local.answers import wrong

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler, Middleware

    from batchfill.local.faults import Fault, Faults

    Pause = Callable[[float], Awaitable[object]]
    """Waits so many seconds, or until the provider stops."""

HITS = web.RequestKey("hits", tuple)
"""The faults that hit a request; handlers look for those that only they can carry out."""

_NO_LINGER = struct.pack("ii", 1, 0)


def misbehaving(
    faults: Faults,
    call_of: Callable[[web.Request], str],
    count: Callable[[str], None],
    *,
    pause: Pause,
    now: Callable[[], float],
) -> Middleware:
    """Return the outermost middleware: it has each request counted and carries out the faults that hit."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        call = call_of(request)
        count(call)
        hits = faults.strike(call)
        request[HITS] = hits
        early = next((hit for hit in hits if _is_early(hit)), None)
        if early is not None:
            return _refuse(request, early, now())
        response = await handler(request)
        for hit in hits:
            response = await _spoil(request, response, hit, pause=pause, now=now())
        return response

    return middleware


async def send_slowly(
    request: web.Request, content: bytes, mime: str, fault: Fault, pause: Pause
) -> web.StreamResponse:
    """Answer with *content*, with a pause in the middle."""
    answer = await _send_half(request, content, web.Response(content_type=mime))
    await pause(fault.option("seconds", 1.0))
    await answer.write(content[len(content) // 2 :])
    return answer


def _is_early(hit: Fault) -> bool:
    return hit.kind == "reset_before" or (hit.kind == "status" and not hit.option("late", False))


def _refuse(request: web.Request, hit: Fault, now: float) -> web.Response:
    if hit.kind == "reset_before":
        return _reset(request)
    return wrong(hit.options["status"], hit.options, now)


async def _spoil(
    request: web.Request, response: web.StreamResponse, hit: Fault, *, pause: Pause, now: float
) -> web.StreamResponse:
    """Return what is sent in place of *response*, whose request has taken effect."""
    if hit.kind == "reset_after":
        return _reset(request)
    if hit.kind == "delay":
        await pause(hit.option("seconds", 1.0))
    if hit.kind == "status":
        return wrong(hit.options["status"], hit.options, now)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if hit.kind == "cut":
        return await _cut(request, response.body, response)
    if hit.kind == "invalid_json":
        return _replaced(response, response.body[:-1] + b",")
    if hit.kind == "no_id":
        body = json.loads(response.body)
        body.pop("id", None)
        return _replaced(response, json.dumps(body).encode())
    return response


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            # Closed without lingering, the kernel says RST; a plain close would be an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()


async def _cut(request: web.Request, body: bytes, like: web.Response) -> web.StreamResponse:
    answer = await _send_half(request, body, like)
    if request.transport is not None:
        request.transport.close()
    return answer


async def _send_half(request: web.Request, body: bytes, like: web.Response) -> web.StreamResponse:
    """Send the head of an answer like *like* with the length of all of *body*, and the first half of it."""
    answer = web.StreamResponse(status=like.status, headers={"Content-Type": like.headers["Content-Type"]})
    answer.content_length = len(body)
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    return answer


def _replaced(like: web.Response, body: bytes) -> web.Response:
    return web.Response(status=like.status, body=body, content_type=like.content_type)
