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

from batchfill.catalog.builtin import find_model, model_names
from batchfill.emulator.backends.classical_fill import ClassicalFill
from batchfill.emulator.emulator_predictions import Predictions
from batchfill.emulator.faults.fault_plan import read_plan
from batchfill.emulator.faults.injection import fault_middleware
from batchfill.emulator.faults.rules import Faults
from batchfill.emulator.files import UploadedFiles
from batchfill.emulator.handler_context import HandlerContext
from batchfill.emulator.input_sources import Contents, Sources
from batchfill.emulator.journal import Bill, charge_for, new_id
from batchfill.emulator.listener import serve_app
from batchfill.emulator.outputs import OutputFiles, outputs_app
from batchfill.emulator.quirks import Quirks
from batchfill.emulator.rate_limit import Rate
from batchfill.emulator.routes import api_app, call_of
from batchfill.errors import UsageError
from batchfill.systems import system_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from aiohttp import web

    from batchfill.catalog.model import Model
    from batchfill.emulator.backend import Backend
    from batchfill.emulator.faults.rules import Fault
    from batchfill.emulator.journal import Charge, PredictionRecord


RETENTION = 3600.0
_PORT_FILE = "outputs.port"


class EmulatorServer:
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
        quirks: Quirks | None = None,
        rate: float | None = None,
        burst: int = 10,
        retention: float = RETENTION,
        tiny: bool = False,
        models: Iterable[Model] = (),
        account: str = "local",
        behind: Callable[[Sources, OutputFiles], Backend] | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        """*token*: the one that is let in; None lets in any. *latency*: the pretended run time (s).

        *rate*: creates a minute, None for no limit; *burst* of them at once. *retention*: seconds after its
        end after which a prediction's data is removed. *tiny*: every output is one fixed pixel and no input
        is read. *models*: offered besides those of the catalog. *behind* makes the backend; None for the
        classical fill. *clock*: seconds since the epoch. *new_id*: gives the next id. With a clock and ids
        of one's own, *tiny*, and requests in one order, all that it says is the same every time.
        """
        self.faults = faults or Faults()
        self.requests: Counter[str] = Counter()
        self._folder = folder
        self._clock = clock
        self._outputs = OutputFiles(folder / "outputs", tiny=tiny)
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._started_at = clock()
        self._stops: list[Callable[[], Awaitable[None]]] = []
        contents, files = Contents(folder / "inputs"), UploadedFiles(folder / "files", new_id)
        self._sources = Sources(contents, files, self.now)
        shelf = [model for name in model_names() if (model := find_model(name))]
        by_name = {model.name: model for model in (*shelf, *models)}
        self._backend: Backend = (
            behind(self._sources, self._outputs)
            if behind is not None
            else ClassicalFill(by_name, self._sources, self._outputs, tiny=tiny)
        )
        self._context = HandlerContext(
            predictions=self._open_predictions(contents, latency, retention),
            contents=contents,
            files=files,
            outputs=self._outputs,
            backend=self._backend,
            quirks=quirks or Quirks(),
            token=token,
            account=account,
            rate=Rate(rate, burst, clock) if rate is not None else None,
            now=self.now,
            new_id=new_id,
        )

    def _open_predictions(self, contents: Contents, latency: float, retention: float) -> Predictions:
        return Predictions(
            self._folder,
            contents,
            run=self._backend.run,
            forget=lambda record: self._outputs.delete(record.id),
            tell=self._wake_waiting,
            now=self.now,
            latency=latency,
            retention=retention,
        )

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT/v1`; empty before the start."""
        return self._context.base

    @property
    def outputs_base(self) -> str:
        """The second origin, which serves outputs to anybody."""
        return self._outputs.base

    @property
    def billed(self) -> int:
        """How many predictions were made, each counted once, those of earlier starts too."""
        return len(self._context.predictions)

    @property
    def bill(self) -> list[Charge]:
        """What was made, in order."""
        return [charge_for(record) for record in self.predictions()]

    @property
    def closing_line(self) -> str:
        """What was done, in a line."""
        return self._backend.closing_line() or str(Bill(tuple(self.bill)))

    @property
    def creates_seen(self) -> int:
        """How many creates arrived since the start, refused ones too."""
        return self.requests["create"]

    def predictions(self) -> list[PredictionRecord]:
        """Return every prediction as it is, oldest first."""
        return self._context.predictions.all()

    def now(self) -> float:
        """Return the provider's time in seconds since the epoch; `faults.clock_skew` puts it off."""
        return self._clock() + self.faults.clock_skew

    async def wait(self, prediction_id: str, seconds: float = 60.0) -> PredictionRecord:
        """Return a prediction when it has ended, or as it is after so many seconds."""
        return await self._context.predictions.wait(prediction_id, seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when *condition* holds; it is asked whenever a request arrives or a prediction changes."""
        while not condition():
            await self._news.wait()

    def expire(self, prediction_id: str) -> PredictionRecord:
        """Remove the data of an ended prediction now, as the retention would later; return what is left."""
        return self._context.predictions.remove(prediction_id)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve, port 0 being any free one, and go on with unfinished predictions. Raises OSError."""
        self._started_at = self._clock()
        await self._backend.start()
        misbehave = fault_middleware(self._match_faults, call_of, pause=self._pause_for, now=self.now)
        self._context.base = await self._open_site(api_app(self._context, misbehave), host, port) + "/v1"
        self._outputs.base = await self._open_outputs(host)
        self._context.predictions.resume()

    async def stop(self) -> None:
        """Stop serving; unfinished predictions wait for the next provider on this folder."""
        self._stopping.set()
        self._context.predictions.wake()
        stops, self._stops = self._stops, []
        for stop in stops:
            await stop()
        await self._context.predictions.stop()
        await self._backend.stop()
        await self._sources.close()

    def _match_faults(self, call: str) -> tuple[Fault, ...]:
        """Count a request and return the faults that hit it."""
        self.requests[call] += 1
        self._wake_waiting()
        return self.faults.match(call, self._clock() - self._started_at)

    def _wake_waiting(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _open_outputs(self, host: str) -> str:
        context = self._context
        app = outputs_app(
            self._outputs,
            context.predictions.get,
            remove=self.expire,
            pause=self._pause_for,
            middleware=fault_middleware(
                self._match_faults, lambda _: "output", pause=self._pause_for, now=self.now
            ),
            now=self.now,
        )
        # The port of the last time, if it is free: addresses that were given out stay good.
        remembered = self._folder / _PORT_FILE
        last = int(remembered.read_text()) if remembered.exists() else 0
        base = await self._open_site(app, host, last, 0)
        remembered.write_text(str(urlsplit(base).port))
        return base

    async def _open_site(self, app: web.Application, host: str, *ports: int) -> str:
        """Serve on the first port that can be had and return the origin. Raises OSError."""
        app.on_response_prepare.append(self._add_date)
        origin, stop = await serve_app(app, host, *ports)
        self._stops.append(stop)
        return origin

    async def _add_date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.now(), usegmt=True)

    async def _pause_for(self, seconds: float) -> bool:
        """Wait so long, or until it stops; return whether it goes on."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return not self._stopping.is_set()


async def serve_emulator(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    latency: float = 0.0,
    plan: Path | None = None,
    on_ready: Callable[[str], None],
    on_end: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> None:
    """Serve from *folder* until cancelled; *on_ready* is told the base once it answers.

    *on_end* is told in a line what was done: of the classical fill its bill. *plan*: a fault plan.
    *options* are those of EmulatorServer; a rate among them wins over the plan's.
    Raises UsageError when the plan cannot be read, or folder or address cannot be had.
    """
    asked = _merge_options(plan, options) | {"token": token, "latency": latency}
    try:
        provider = EmulatorServer(folder, **asked)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be used: {error.strerror}; give a folder that can be written with --folder"
        ) from error
    try:
        try:
            await provider.start(host, port)
        except OSError as error:
            why = system_words(error)
            raise UsageError(
                f"cannot serve on {host} port {port} ({why}): give another --port or --host"
            ) from error
        on_ready(provider.base)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await provider.stop()
        if provider.base:
            on_end(provider.closing_line)


def _merge_options(path: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    if path is None:
        return given
    plan = read_plan(path)
    pace = {} if "rate" in given else {"rate": plan.rate, "burst": plan.burst}
    return {"faults": plan.faults, "quirks": plan.quirks, **pace, **given}
