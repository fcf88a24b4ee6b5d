"""A relay between program and service, with clocks and lists as relays have them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCKS = ("true", "shifted", "local", "missing", "hosts")
"""How `created_at` is told: by the service's clock, by another one, in a local time without its zone,
not at all, by one of two hosts that have a clock each."""

DATES = ("true", "shifted", "missing", "hosts")
"""What the Date of an answer says, likewise."""

LISTS = ("whole", "lagging", "newest", "recent", "reversed", "shuffled", "strangers", "ended", "seedless")
"""What the list shows: everything, nothing of the last seconds, only the newest few, nothing that is older,
the oldest first, no order, only another account's, only what has ended, everything without its seed."""


@dataclass(frozen=True)
class Relay:
    """What a relay makes of the service's answers."""

    clock: str = "true"
    date: str = "true"
    lists: str = "whole"
    off: float = 0.0
    """Seconds by which a clock that is not true is off."""
    many: int = 3
    """How many the list shows of the newest; for how many tens of seconds it lags, or looks back."""

    def passed_on(self, request: httpx.Request) -> httpx.Request:
        """Return *request* as the service gets it: windows are the relay's own."""
        if not _is_list(request):
            return request
        return httpx.Request("GET", request.url.copy_with(query=None), headers=request.headers)

    async def answered(self, request: httpx.Request, response: httpx.Response, now: float) -> httpx.Response:
        """Return *response* as the program gets it."""
        headers = self._dated(response.headers)
        if not response.is_success or "/predictions" not in request.url.path:
            response.headers = headers
            return response
        body = await response.aread()
        headers.pop("content-length", None)
        try:
            value = json.loads(body)
        except ValueError:
            changed = body
        else:
            told = self._listed(value, request, now) if _is_list(request) else self._told(value)
            changed = json.dumps(told).encode()
        return httpx.Response(response.status_code, headers=headers, content=changed, request=request)

    def _dated(self, headers: httpx.Headers) -> httpx.Headers:
        headers = httpx.Headers(headers)
        if self.date == "missing":
            headers.pop("date", None)
        elif self.date != "true" and "date" in headers:
            true = parsedate_to_datetime(headers["date"]).timestamp()
            other = self.date == "shifted" or int(true) % 2 == 0
            headers["date"] = formatdate(true + (self.off if other else 0.0), usegmt=True)
        return headers

    def _told(self, value: Any) -> Any:
        if not isinstance(value, dict) or not {"id", "created_at"} <= value.keys():
            return value
        if self.clock == "missing":
            return {key: item for key, item in value.items() if key != "created_at"}
        made = datetime.fromtimestamp(self._made(value), UTC)
        if self.clock == "local":
            made += timedelta(seconds=self.off)
        zone = "" if self.clock == "local" else "Z"
        return value | {"created_at": made.strftime("%Y-%m-%dT%H:%M:%S.%f") + zone}

    def _made(self, value: Any) -> float:
        """Return when the relay believes that a prediction was made."""
        true = datetime.fromisoformat(value["created_at"].replace("Z", "+00:00")).timestamp()
        other = self.clock == "shifted" or (
            self.clock == "hosts" and (crc32(value["id"].encode()) >> 1) % 2 == 0
        )
        return true + (self.off if other else 0.0)

    def _listed(self, value: Any, request: httpx.Request, now: float) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("results"), list):
            return value
        after = request.url.params.get("created_after")
        start = datetime.fromisoformat(after.replace("Z", "+00:00")).timestamp() if after else 0.0
        shown = [item for item in value["results"] if self._made(item) >= start]
        results = [self._told(item) for item in self._kept(shown, now)]
        return value | {"results": results, "next": None, "previous": None}

    def _kept(self, items: list[Any], now: float) -> list[Any]:
        def age(item: Any) -> float:
            return now - datetime.fromisoformat(item["created_at"]).timestamp()

        kinds: dict[str, Callable[[], list[Any]]] = {
            "whole": lambda: items,
            "lagging": lambda: [item for item in items if age(item) > 10.0 * self.many],
            "newest": lambda: items[: self.many],
            "recent": lambda: [item for item in items if age(item) < 100.0 * self.many],
            "reversed": lambda: items[::-1],
            "shuffled": lambda: random.Random(self.many).sample(items, len(items)),
            "strangers": lambda: [item | {"id": f"other{n}"} for n, item in enumerate(_another(items))],
            "ended": lambda: [item for item in items if item.get("completed_at")],
            "seedless": lambda: [
                item | {"input": _without_seed(item["input"]), "logs": ""} for item in items
            ],
        }
        return kinds[self.lists]()


def _is_list(request: httpx.Request) -> bool:
    return request.method == "GET" and request.url.path.endswith("/predictions")


def _another(items: list[Any]) -> list[Any]:
    """Return what another account's list holds: as much, of other seeds."""
    return [item | {"input": {"prompt": "another's", "seed": 4242}, "logs": ""} for item in items]


def _without_seed(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "seed"}
