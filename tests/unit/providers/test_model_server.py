"""A Cog container is told by its health, and nothing else passes for one."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from batchfill.providers.model_server import find_container
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.providers.requests import HttpResponse

SETUP = {"started_at": "2026-11-30T08:08:06+00:00", "status": "succeeded", "logs": ""}


async def found(base: str, told: object, status: int = 200) -> str | None:
    """Return what is found at *base*, whose health check answers *told*."""

    async def answer(*_: Any, **__: Any) -> HttpResponse:
        return HttpResponse(status, httpx.Headers(), json.dumps(told).encode())

    line: Any = SimpleNamespace(base=base, send_request=answer)
    return await find_container(line, RateLimiter(6000))


@pytest.mark.parametrize("word", ["READY", "BUSY", "STARTING", "SETUP_FAILED", "DEFUNCT", "UNHEALTHY"])
@pytest.mark.parametrize("setup", [SETUP, None], ids=["set up", "not set up"])
async def test_a_container_is_told_by_its_health_at_its_origin(word: str, setup: object) -> None:
    told = {"status": word, "setup": setup}
    assert await found("http://gpu1:5000/v1", told) == "http://gpu1:5000"


OTHERS: dict[str, object] = {
    "a gateway's health": {"status": "READY"},
    "another word": {"status": "ok", "setup": {}},
    "a word that is none": {"status": ["READY"], "setup": {}},
    "no object": ["READY"],
    "a text": "READY",
}


@pytest.mark.parametrize("case", OTHERS)
async def test_what_tells_another_health_is_no_container(case: str) -> None:
    assert await found("http://gateway/v1", OTHERS[case]) is None


async def test_an_error_and_a_base_with_a_path_of_its_own_are_no_container() -> None:
    told = {"status": "READY", "setup": SETUP}
    assert await found("http://gpu1:5000", told, status=503) is None
    assert await found("http://gateway/replicate/v1", told) is None
