"""An independent, minimal provider: just enough of the Replicate API, and a memory of who was told what when.

`python -m tests.bench.service '{"run_time": 1.0}'` serves (see Offer) until its standard input ends. It
prints the API's base once it is there; `GET /bench` beside it tells what was asked so far, see Asked.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.bench import answers
from tests.bench.limit import Limit
from tests.bench.offer import REPORT, Offer
from tests.bench.pictures import make_output
from tests.bench.predictions import Predictions
from tests.bench.run_times import run_times
from tests.bench.wire import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.predictions import Made
    from tests.bench.wire import Request

HOST = "127.0.0.1"

CALLS = {
    "create": re.compile(r"POST /v1/models/([^/]+/[^/]+)/predictions"),
    "get": re.compile(r"GET /v1/predictions/([^/]+)"),
    "list": re.compile(r"GET /v1/predictions"),
    "account": re.compile(r"GET /v1/account"),
    "model": re.compile(r"GET /v1/models/([^/]+/[^/]+)"),
}


class Service:
    """What stands behind the two ports."""

    def __init__(self, offer: Offer, base: str, outputs: str) -> None:
        """*base* and *outputs* are the addresses of the two."""
        self._offer = offer
        self._base = base
        self._outputs = outputs
        self._output = make_output(offer.output_bytes)
        self._predictions = Predictions(run_times(offer))
        self._limit = Limit(offer.creates_per_minute) if offer.creates_per_minute else None
        self._asked: Counter[str] = Counter()
        self._shown: dict[tuple[str, str], bytes] = {}
        self._began = time.process_time()
        self._calls: dict[str, Callable[[Request, str], Answer]] = {
            "create": self._create,
            "get": self._get,
            "list": self._list,
            "account": lambda _, __: answers.answer(answers.ACCOUNT),
            "model": lambda _, name: answers.answer(answers.model(name)),
        }

    def answer(self, request: Request) -> Answer:
        """Answer a request to the API."""
        if request.path == REPORT:
            return answers.answer(self._report())
        line = f"{request.method} {request.path}"
        for call, pattern in CALLS.items():
            if match := pattern.fullmatch(line):
                self._asked[call] += 1
                return self._calls[call](request, "".join(match.groups()))
        self._asked["other"] += 1
        return answers.not_found()

    def give(self, request: Request) -> Answer:
        """Answer a request for an output."""
        self._asked["output"] += 1
        return Answer(200, self._output.content, self._output.kind)

    def _create(self, request: Request, model: str) -> Answer:
        try:
            given = dict(json.loads(request.body)["input"])
        except (ValueError, LookupError, TypeError):
            return answers.invalid("input is required")
        now = time.time()
        wait = self._limit.take(now) if self._limit else 0.0
        if wait:
            self._asked["throttled"] += 1
            return answers.throttled(wait)
        return Answer(201, self._show(self._predictions.make(model, given, now), "starting"))

    def _get(self, _: Request, id_: str) -> Answer:
        made = self._predictions.find(id_)
        return answers.not_found() if made is None else Answer(200, self._tell(made, time.time()))

    def _list(self, request: Request, _: str) -> Answer:
        if not self._offer.has_list:
            return answers.not_found()
        now = time.time()
        after, before, below = answers.read_window(request.query)
        page = self._predictions.page(after, before, below)
        told = b", ".join(self._tell(made, now) for made in page.made)
        following = answers.next_page(self._base, after, page.below)
        return Answer(200, b'{"next": %s, "previous": null, "results": [%s]}' % (following, told))

    def _tell(self, made: Made, now: float) -> bytes:
        """Return the prediction as it stands, and remember that the client knows."""
        if now < made.ends_at:
            return self._show(made, "processing")
        made.told_at = made.told_at or now
        return self._show(made, "succeeded")

    def _show(self, made: Made, status: str) -> bytes:
        known = made.id, status
        if known not in self._shown:
            output = f"{self._outputs}/{made.id}/out-0.{self._output.suffix}"
            told = answers.prediction(made, status=status, base=self._base, output=output)
            self._shown[known] = json.dumps(told).encode()
        return self._shown[known]

    def _report(self) -> dict[str, object]:
        return {
            "billed": len(self._predictions),
            "asked": self._asked,
            "first_at": self._predictions.first_at,
            "delays": self._predictions.delays(),
            "cpu": time.process_time() - self._began,
        }


async def serve(offer: Offer, ready: Callable[[str], object], until: asyncio.Event) -> None:
    """Serve what is offered *until* then; *ready* is told the API's base."""
    api, outputs = socket.create_server((HOST, offer.port)), socket.create_server((HOST, 0))
    base = f"{_address(api)}/v1"
    service = Service(offer, base, _address(outputs))
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Connection(service.answer), sock=api),
        await loop.create_server(lambda: Connection(service.give), sock=outputs),
    ]
    ready(base)
    await until.wait()
    # Whoever is still connected is not waited for.
    for server in servers:
        server.close()


async def main() -> None:
    """Serve what the command line asks for."""
    left = asyncio.Event()
    # Whoever started it may be killed: then its end of the pipe is closed all the same.
    asyncio.get_running_loop().add_reader(sys.stdin, left.set)
    await serve(Offer(**json.loads(sys.argv[1])), lambda base: print(base, flush=True), left)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


if __name__ == "__main__":
    asyncio.run(main())
