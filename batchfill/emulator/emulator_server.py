"""The local emulator: it starts, serves in the caller's event loop, counts, and stops."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from batchfill.catalog.builtin import find, shipped
from batchfill.emulator.emulator_predictions import Predictions
from batchfill.emulator.faults.fault_plan import read_plan
from batchfill.emulator.faults.injection import misbehaving
from batchfill.emulator.faults.rules import Faults
from batchfill.emulator.files import Files
from batchfill.emulator.handler_context import Desk
from batchfill.emulator.input_sources import Contents, Sources
from batchfill.emulator.journal import Bill, charge, new_id
from batchfill.emulator.listener import serve_app
from batchfill.emulator.outputs import Outputs, outputs_app
from batchfill.emulator.quirks import Manner
from batchfill.emulator.rate_limit import Rate
from batchfill.emulator.routes import api_app, call_of
from batchfill.emulator.runner import Painter
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from aiohttp import web

    from batchfill.catalog.model import Model
    from batchfill.emulator.faults.rules import Fault
    from batchfill.emulator.journal import Charge, Record


RETENTION = 3600.0
_PORT_FILE = "outputs.port"


class Provider:
    """One provider on one folder, which remembers its predictions from one start to the next.

    `requests` counts what arrived, by call: create, get, list, cancel, files, account, model, output.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str | None = None,
        latency: float = 0.0,
        faults: Faults | None = None,
        manner: Manner | None = None,
        rate: float | None = None,
        burst: int = 10,
        retention: float = RETENTION,
        tiny: bool = False,
        models: Iterable[Model] = (),
        account: str = "local",
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        """*token*: the one that is let in; None lets in everybody. *latency*: the pretended run time (s).

        *rate*: creates a minute, None for no limit; *burst* of them at once. *retention*: seconds after which
        a prediction's data is removed. *tiny*: every output is one fixed pixel and no input is read.
        *models*: offered besides those of the catalog. *clock*: seconds since the epoch. *new_id*: gives the
        next id. With a clock and ids of one's own, *tiny*, and requests in one order, all that it says is the
        same every time.
        """
        self.faults = faults or Faults()
        self.requests: Counter[str] = Counter()
        self._folder = folder
        self._clock = clock
        self._outputs = Outputs(folder / "outputs", tiny=tiny)
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._started_at = clock()
        self._stops: list[Callable[[], Awaitable[None]]] = []
        contents, files = Contents(folder / "inputs"), Files(folder / "files", new_id)
        self._sources = Sources(contents, files, self.now)
        shelf = [model for name in shipped() if (model := find(name))]
        by_name = {model.name: model for model in (*shelf, *models)}
        painter = Painter(by_name, self._sources, self._outputs, tiny=tiny)
        self._desk = Desk(
            predictions=Predictions(
                folder,
                contents,
                run=painter.run,
                forget=lambda record: self._outputs.delete(record.id),
                tell=self._tell,
                now=self.now,
                latency=latency,
                retention=retention,
            ),
            contents=contents,
            files=files,
            outputs=self._outputs,
            models=by_name,
            manner=manner or Manner(),
            token=token,
            account=account,
            rate=Rate(rate, burst, clock) if rate is not None else None,
            now=self.now,
            new_id=new_id,
        )

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT/v1`; empty before the start."""
        return self._desk.base

    @property
    def outputs_base(self) -> str:
        """The second origin, which serves outputs to anybody."""
        return self._outputs.base

    @property
    def billed(self) -> int:
        """How many predictions were made, each counted once, those of earlier starts too."""
        return len(self._desk.predictions)

    @property
    def bill(self) -> list[Charge]:
        """What was made, in order."""
        return [charge(record) for record in self.predictions()]

    @property
    def creates_seen(self) -> int:
        """How many creates arrived since the start, refused ones too."""
        return self.requests["create"]

    def predictions(self) -> list[Record]:
        """Return every prediction as it stands, oldest first."""
        return self._desk.predictions.all()

    def now(self) -> float:
        """Return the provider's time in seconds since the epoch; `faults.clock_skew` puts it off."""
        return self._clock() + self.faults.clock_skew

    async def wait(self, prediction_id: str, seconds: float = 60.0) -> Record:
        """Return a prediction when it has ended, or as it stands after so many seconds."""
        return await self._desk.predictions.wait(prediction_id, seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when *condition* holds; it is asked whenever a request arrives or a prediction changes."""
        while not condition():
            await self._news.wait()

    def expire(self, prediction_id: str) -> Record:
        """Remove the data of an ended prediction now, as the retention would later; return what is left."""
        return self._desk.predictions.remove(prediction_id)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve, port 0 being any free one, and go on with unfinished predictions. Raises OSError."""
        self._started_at = self._clock()
        misbehave = misbehaving(self._strike, call_of, pause=self._pause, now=self.now)
        self._desk.base = await self._open(api_app(self._desk, misbehave), host, port) + "/v1"
        self._outputs.base = await self._open_outputs(host)
        self._desk.predictions.resume()

    async def stop(self) -> None:
        """Stop serving; unfinished predictions wait for the next provider on this folder."""
        self._stopping.set()
        self._desk.predictions.wake()
        stops, self._stops = self._stops, []
        for stop in stops:
            await stop()
        await self._desk.predictions.stop()
        await self._sources.close()

    def _strike(self, call: str) -> tuple[Fault, ...]:
        """Count a request and return the faults that hit it."""
        self.requests[call] += 1
        self._tell()
        return self.faults.strike(call, self._clock() - self._started_at)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _open_outputs(self, host: str) -> str:
        desk = self._desk
        app = outputs_app(
            self._outputs,
            desk.predictions.get,
            remove=self.expire,
            pause=self._pause,
            middleware=misbehaving(self._strike, lambda _: "output", pause=self._pause, now=self.now),
        )
        # The port of the last time, if it is free: addresses that were given out stay good.
        remembered = self._folder / _PORT_FILE
        last = int(remembered.read_text()) if remembered.exists() else 0
        base = await self._open(app, host, last, 0)
        remembered.write_text(str(urlsplit(base).port))
        return base

    async def _open(self, app: web.Application, host: str, *ports: int) -> str:
        """Serve on the first port that can be had and return the origin. Raises OSError."""
        app.on_response_prepare.append(self._date)
        origin, stop = await serve_app(app, host, *ports)
        self._stops.append(stop)
        return origin

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.now(), usegmt=True)

    async def _pause(self, seconds: float) -> bool:
        """Wait so long, or until it stops; return whether it goes on."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return not self._stopping.is_set()


async def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    latency: float = 0.0,
    plan: Path | None = None,
    on_ready: Callable[[str], None],
    on_end: Callable[[Bill], None] = lambda bill: None,
    **options: Any,
) -> None:
    """Serve from *folder* until cancelled; *on_ready* is told the base once it answers, *on_end* the bill.

    *plan*: a fault plan. *options* are those of Provider; a rate among them wins over the plan's. Raises
    UsageError when the plan cannot be read or the address cannot be had.
    """
    asked = _asked(plan, options) | {"token": token, "latency": latency}
    provider = Provider(folder, **asked)
    try:
        try:
            await provider.start(host, port)
        except OSError as error:
            raise UsageError(f"cannot serve on {host} port {port}: {error.strerror or error}") from error
        on_ready(provider.base)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await provider.stop()
        if provider.base:
            on_end(Bill(tuple(provider.bill)))


def _asked(path: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    if path is None:
        return given
    plan = read_plan(path)
    pace = {} if "rate" in given else {"rate": plan.rate, "burst": plan.burst}
    return {"faults": plan.faults, **pace, **given}
