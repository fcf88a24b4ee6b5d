"""Servers that speak Cog's API, on loopback.

A *FakeCog* has the manners of cog 0.16, or of cog 0.23 with coglet; its model is a *gate* that a test opens.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batchfill.emulator.backends.pool_timings import PoolTimings
from batchfill.emulator.emulator_model import TINY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Handler

QUICK_POOL = PoolTimings(
    watch=0.05,
    first_look=0.01,
    longest_look=0.05,
    look_timeout=60.0,
    silence=0.2,
    rest=0.1,
    hold=0.1,
    grace=0.1,
    slots_look=0.0,
    report=3600.0,
    file_look=0.02,
)

PICTURE = "data:image/webp;base64," + base64.b64encode(TINY).decode()

DISK_FULL = "OSError: [Errno 28] No space left on device"


def schema(*more: str) -> dict[str, Any]:
    """Return `/openapi.json` of a model that fills masks; *more* inputs are text."""
    kinds: dict[str, dict[str, Any]] = {
        "image": {"type": "string", "format": "uri"},
        "mask": {"type": "string", "format": "uri"},
        "prompt": {"type": "string"},
        "seed": {"type": "integer"},
        "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28},
        **{name: {"type": "string"} for name in more},
    }
    inputs = {"type": "object", "required": ["image", "mask", "prompt"], "properties": kinds}
    output = {"type": "array", "items": {"type": "string", "format": "uri"}}
    return {"openapi": "3.0.2", "components": {"schemas": {"Input": inputs, "Output": output}}}


class FakeCog:
    """One container. `begun` has the id of each run, `inputs` what it was given."""

    def __init__(self, *, coglet: bool = False, slots: int = 1) -> None:
        self.coglet, self.slots = coglet, slots
        self.document = schema()
        self.begun: list[str] = []
        self.inputs: list[dict[str, Any]] = []
        self.canceled: list[str] = []
        self.most_at_once = 0
        self.gate = asyncio.Event()
        """Runs wait for it; open unless a test closes it."""
        self.gate.set()
        self.fate: Callable[[dict[str, Any]], str] = lambda _: ""
        """What becomes of a run: empty, `crash`, or the words it fails with."""
        self.status = "READY"
        """What it says of its health while it is idle."""
        self.refusals = 0
        """Runs that it refuses as busy, though it says that it is ready."""
        self.awake = asyncio.Event()
        """While it is clear, nothing is answered, as by a process that hangs."""
        self.awake.set()
        self.page = ""
        """A web page that it answers everything with."""
        self.elsewhere = ""
        """Where it sends every request."""
        self.error = ""
        self.starts = self.looks = 0
        self.at = ""
        self._running: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Serve; again on the same port, as after a restart."""
        self.starts += 1
        self.status = "READY"
        app = web.Application(client_max_size=2**27, middlewares=[self._misbehave])
        app.router.add_get("/", self._index)
        app.router.add_get("/health-check", self._health)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_put("/predictions/{id}", self._predict)
        app.router.add_post("/predictions/{id}/cancel", self._cancel)
        self._runner = web.AppRunner(app, handler_cancellation=self.coglet, shutdown_timeout=0.01)
        await self._runner.setup()
        assert self._runner.server is not None
        self._listener = await asyncio.get_running_loop().create_server(
            self._runner.server, "127.0.0.1", port or self.port
        )
        self.at = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    @property
    def port(self) -> int:
        """Its port, 0 before its first start."""
        return int(self.at.rpartition(":")[2] or 0)

    async def kill(self) -> None:
        """End as by SIGKILL: every connection is reset, and what ran is gone."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for run in self._running.values():
            run.cancel()
        self._running.clear()
        self.awake.set()
        assert self._listener is not None
        assert runner.server is not None
        for listening in self._listener.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        # asyncio loses a connection whose server closes in the turns of the loop after it was accepted.
        for _ in range(5):
            await asyncio.sleep(0)
        self._listener.close()
        for connection in list(runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()

    async def until(self, condition: Callable[[FakeCog], bool]) -> None:
        """Return when *condition* holds; it is asked whenever a run begins or ends, or health is."""
        while not condition(self):
            self._news.clear()
            await self._news.wait()

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self.awake.wait()
        if self.elsewhere:
            raise web.HTTPTemporaryRedirect(f"{self.elsewhere}{request.path}")
        if self.page:
            return web.Response(text=self.page, content_type="text/html")
        return await handler(request)

    async def _index(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "cog_version": "0.23.1" if self.coglet else "0.16.12",
                "docs_url": "/docs",
                "openapi_url": "/openapi.json",
                "shutdown_url": "/shutdown",
                "healthcheck_url": "/health-check",
                "predictions_url": "/predictions",
                "predictions_idempotent_url": "/predictions/{prediction_id}",
                "predictions_cancel_url": "/predictions/{prediction_id}/cancel",
            }
        )

    async def _health(self, _: web.Request) -> web.Response:
        self.looks += 1
        self._news.set()
        busy = self.status == "READY" and len(self._running) >= self.slots
        setup = {"started_at": f"2026-11-30T08:08:{self.starts:02}+00:00", "status": "succeeded", "logs": ""}
        told: dict[str, Any] = {"status": "BUSY" if busy else self.status, "setup": setup}
        if self.coglet:
            told["version"] = {"coglet": "0.23.1", "python_sdk": "0.23.1"}
        if self.error:
            told["user_healthcheck_error"] = self.error
        return web.json_response(told)

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.json_response(self.document)

    async def _predict(self, request: web.Request) -> web.Response:
        id_, inputs = request.match_info["id"], (await request.json())["input"]
        if id_ in self._running:
            return web.json_response({"id": id_, "status": "processing", "output": None}, status=202)
        if self.refusals or len(self._running) >= self.slots or self.status != "READY":
            self.refusals = max(self.refusals - 1, 0)
            return web.json_response(self._busy_words(), status=409)
        self.begun.append(id_)
        self.inputs.append(inputs)
        run = asyncio.ensure_future(self._run(inputs))
        self._running[id_] = run
        self.most_at_once = max(self.most_at_once, len(self._running))
        self._news.set()
        try:
            told = await asyncio.shield(run)
        except asyncio.CancelledError:
            # coglet cancels a run whose client is gone; cog 0.16 runs on.
            if self.coglet or run.cancelled():
                run.cancel()
                self._end(id_)
                if id_ in self.canceled:
                    return web.json_response({"id": id_, "status": "canceled", "logs": ""})
            raise
        self._end(id_)
        if told["status"] == "crash":
            return self._answer_crash(id_)
        return web.json_response({"id": id_, "logs": "made\n", "metrics": {}} | told)

    async def _run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        await self.gate.wait()
        fate = self.fate(inputs)
        if fate == "crash":
            return {"status": "crash"}
        if fate:
            prefix = "Prediction failed: Prediction failed: " if self.coglet else ""
            return {"status": "failed", "error": prefix + fate, "output": None}
        return {"status": "succeeded", "output": [PICTURE]}

    async def _cancel(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        run = self._running.get(id_)
        if run is None:
            return web.json_response({}, status=404)
        self.canceled.append(id_)
        run.cancel()
        self._end(id_)
        return web.json_response({})

    def _end(self, id_: str) -> None:
        self._running.pop(id_, None)
        self._news.set()

    def _busy_words(self) -> dict[str, str]:
        if self.coglet:
            return {"error": "At capacity - all prediction slots busy", "status": "failed"}
        return {"detail": "Already running a prediction"}

    def _answer_crash(self, id_: str) -> web.Response:
        """Answer as a server whose model's process was killed, and take no run from here on."""
        if self.coglet:
            self.status, self.error = "UNHEALTHY", "user healthcheck: worker is gone"
            return web.json_response({"id": id_, "error": "Worker crashed", "logs": "", "status": "failed"})
        self.status = "DEFUNCT"
        return web.Response(status=500, text="Internal Server Error")


@pytest.fixture
async def cogs() -> AsyncIterator[Callable[..., Any]]:
    """`await cogs(coglet=True)` starts a FakeCog."""
    started: list[FakeCog] = []

    async def begin(**options: Any) -> FakeCog:
        cog = FakeCog(**options)
        started.append(cog)
        await cog.start()
        return cog

    yield begin
    for cog in started:
        with suppress(OSError):
            await cog.kill()
