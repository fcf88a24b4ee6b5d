"""Answers and outputs of a gigabyte, packed or plain: the run's memory stays where it was."""

from __future__ import annotations

import gzip
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.emulator.emulator_server import EmulatorServer

    Serve = Callable[..., Awaitable[EmulatorServer]]
    Between = Callable[..., Awaitable[str]]

MIB = 2**20
GIGABYTE = 1024 * MIB
WAVE = 16 * MIB

MEASURED = """
import atexit, sys
from pathlib import Path
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    print("peak", int(kib) // 1024, file=sys.stderr)
atexit.register(peak)
"""
"""Says the peak in MiB; getrusage would begin with that of the process that started this one."""

CODINGS = {"account": "gzip", "create": "", "get": "gzip, gzip", "list": "gzip"}
"""How the answers to each call are packed."""


@cache
def wave(coding: str) -> bytes:
    """Return 16 MiB, packed so."""
    content = b'{"id": "' + b"x" * (WAVE - 8)
    for _ in filter(None, coding.split(",")):
        content = gzip.compress(content)
    return content


class Flood(web.StreamResponse):
    """An answer of a gigabyte."""

    def __init__(self, coding: str) -> None:
        super().__init__(headers={"Content-Type": "application/json"})
        if coding:
            self.headers["Content-Encoding"] = coding
        self._wave = wave(coding)

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send it; whoever hangs up has had enough."""
        writer = await super().prepare(request)
        for _ in range(GIGABYTE // WAVE):
            await self.write(self._wave)
        return writer


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of one program")
async def test_a_gigabyte_in_every_answer_leaves_memory_where_it_was(
    service: Serve, between: Between, batchfill: Any, desk: Any, origin: Between
) -> None:
    flooded: set[str] = set()

    async def endless(request: web.Request) -> web.StreamResponse:
        flooded.add("output")
        return web.StreamResponse(headers={"Content-Length": str(GIGABYTE)})

    provider, host = await service(), await origin(endless)

    def alter(call: str, value: dict[str, Any]) -> Any:
        if call == "create" and "account" not in flooded:
            return value
        if call not in flooded:
            flooded.add(call)
            return Flood(CODINGS[call])
        if call == "get" and value.get("output") and "output" not in flooded:
            return {**value, "output": [f"{host}/out-0.webp"]}
        return value

    desk.write(desk.rows(3))
    hurried = sys.modules[type(batchfill).__module__].HURRIED
    flags = ["--base-url", await between(provider, alter), "--answer-timeout", "20", "--recover-wait", "0"]
    ran = await batchfill.python("-c", MEASURED + hurried, "run", "night.csv", *flags, "--concurrency", "1")
    assert flooded == {*CODINGS, "output"}
    assert (ran.code, provider.billed) == (0, 3), ran.err
    # Asked afresh, the service names the picture itself.
    assert "the output is larger than 256 MiB; again" in ran.err
    assert "done: all 3 rows" in ran.err
    peak = int(ran.err.split()[-1])
    print(f"{peak} MiB")
    # An ordinary run has about 65 MiB; an answer may have 16, a page of the list 64, and a while twice that.
    assert peak < 400
