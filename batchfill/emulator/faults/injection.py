"""Faults carried out: connections reset and cut, answers delayed, replaced and spoilt."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from batchfill.emulator.responses import wrong_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler, Middleware

    from batchfill.emulator.faults.rules import Fault

    Pause = Callable[[float], Awaitable[bool]]
    """Waits so many seconds, or until the provider stops; returns whether it goes on."""

HITS = web.RequestKey("hits", tuple)
"""The faults that hit a request; handlers look for those that only they can carry out."""

_NO_LINGER = struct.pack("ii", 1, 0)


def fault_middleware(
    strike: Callable[[str], tuple[Fault, ...]],
    call_of: Callable[[web.Request], str],
    *,
    pause: Pause,
    now: Callable[[], float],
) -> Middleware:
    """Return the outermost middleware: *strike* counts each call and tells the faults that it carries out."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[HITS] = strike(call_of(request))
        try:
            return await _answer_faulty(request, handler, pause=pause, now=now)
        except ConnectionError:
            # The client has gone.
            return web.Response()

    return middleware


async def _answer_faulty(
    request: web.Request, handler: Handler, *, pause: Pause, now: Callable[[], float]
) -> web.StreamResponse:
    hits = request[HITS]
    early = next((hit for hit in hits if _is_early(hit)), None)
    if early is not None:
        return _refuse_request(request, early, now())
    late = next((hit for hit in hits if hit.kind == "taken_late"), None)
    if late is not None and not await _held_back(request, late, pause):
        return _reset_connection(request)
    response = await handler(request)
    for hit in hits:
        response = await _spoil_response(request, response, hit, pause=pause, now=now())
    return response


async def send_slowly(
    request: web.Request, content: bytes, mime: str, fault: Fault, pause: Pause
) -> web.StreamResponse:
    """Answer with *content*, with a pause in the middle."""
    answer = await _send_half(request, content, web.Response(content_type=mime))
    await pause(fault.option("seconds", 1.0))
    await answer.write(content[len(content) // 2 :])
    return answer


def _is_early(hit: Fault) -> bool:
    return hit.kind in ("down", "reset_before", "missing") or (
        hit.kind == "status" and not hit.option("late", False)
    )


def _refuse_request(request: web.Request, hit: Fault, now: float) -> web.Response:
    if hit.kind in ("down", "reset_before"):
        return _reset_connection(request)
    return wrong_response(hit.option("status", 404), hit.options, now)


async def _held_back(request: web.Request, hit: Fault, pause: Pause) -> bool:
    """Keep a request for later, even when its sender goes; return whether the provider still runs then."""
    # What has arrived is read now: it could not be once the connection is gone.
    await request.read()
    return await pause(hit.option("seconds", 120.0))


async def _spoil_response(
    request: web.Request, response: web.StreamResponse, hit: Fault, *, pause: Pause, now: float
) -> web.StreamResponse:
    """Return what is sent in place of *response*, whose request has taken effect."""
    if hit.kind == "reset_after":
        return _reset_connection(request)
    if hit.kind == "delay":
        await pause(hit.option("seconds", 1.0))
    if hit.kind == "status":
        return wrong_response(hit.options["status"], hit.options, now)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if hit.kind == "cut":
        return await _cut_body(request, response.body, response)
    if hit.kind == "invalid_json":
        return _replace_body(response, response.body[:-1] + b",")
    if hit.kind == "no_id":
        return _replace_body(response, _without_id(response.body))
    return response


def _without_id(body: bytes) -> bytes:
    try:
        answer = json.loads(body)
    except ValueError:
        return body  # another fault was there first
    return json.dumps({name: value for name, value in answer.items() if name != "id"}).encode()


def _reset_connection(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            # Closed without lingering, the kernel says RST; a plain close would be an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()


async def _cut_body(request: web.Request, body: bytes, like: web.Response) -> web.StreamResponse:
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


def _replace_body(like: web.Response, body: bytes) -> web.Response:
    return web.Response(status=like.status, body=body, content_type=like.content_type)
