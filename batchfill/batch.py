"""A batch: what the command line and Python programs both use."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import anyio
from anyio import to_thread

from batchfill.domain.progress import Level, LogEvent
from batchfill.domain.reports import Status, Summary, Which
from batchfill.domain.rows import RowState
from batchfill.domain.token import Token
from batchfill.errors import LedgerError, LedgerFailed, RunBroken, UsageError, in_words, unwrap_single
from batchfill.export import results
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.payment_record import PAID, read_heading
from batchfill.ledger.reader import open_reader
from batchfill.process import refuse_few_files
from batchfill.settings.addresses import LOCAL, REPLICATE
from batchfill.settings.credentials import Environment
from batchfill.settings.definitions import FLUX_FILL_DEV
from batchfill.settings.resolve import folder_of, resolve_settings
from batchfill.storage import inbox, lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from batchfill.catalog.model import Model
    from batchfill.domain.progress import ProgressListener
    from batchfill.domain.reports import (
        CheckReport,
        EndedAttempt,
        Exported,
        FinishReport,
        Plan,
        Result,
        ReviewRow,
    )
    from batchfill.domain.review import ReviewDecision
    from batchfill.export.results import Stream
    from batchfill.ledger.reader import Reader
    from batchfill.manifest.manifest import Manifest
    from batchfill.manifest.pairing import Pairing
    from batchfill.session.session import Session
    from batchfill.settings.settings import Settings
    from batchfill.workers.pool import Processes

LOG = "run.log"
RESULTS = "results.csv"
PROVIDER = "provider"
"""Folder of the local emulator's own memory, so that an interrupted rehearsal resumes too."""

FILES = 64
"""Files that a run opens at once, beside two for each process that works on pictures."""

CURRENCY = "USD"

MISSING = (
    "no token for {base}: set BATCHFILL_TOKEN{other} to your API token, "
    "or rehearse offline and free of charge with --local"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """A manifest and its folder. Open one with `Batch.open`."""

    manifest: Path
    flags: Mapping[str, Any] = field(repr=False)
    """Not shown, as --notify is among them."""
    environ: Environment = field(repr=False)

    @classmethod
    def open(cls, manifest: str | Path, *, environ: Mapping[str, str] | None = None, **flags: Any) -> Batch:
        """Return the batch of *manifest*; *flags* are those of `batchfill run`, with underscores.

        Nothing is read or written yet. `set` and `column` are mappings; `retry` is text (`"failed,expired"`);
        *environ* replaces the environment, where the token and the base are looked for.
        """
        if not isinstance(environ, Environment):
            environ = Environment(os.environ if environ is None else environ)
        return cls(Path(manifest), flags, environ)

    @property
    def folder(self) -> Path:
        """The batch folder: `night.batch` beside `night.csv`, unless `out` names another."""
        return folder_of(self.manifest, self.flags)

    async def check(self, *, online: bool = False, outputs: bool = False, fetch: bool = False) -> CheckReport:
        """Find out everything that can be known before paying; without *online* and *fetch*, without network.

        *outputs* compares the files with the ledger; *fetch* looks at pictures and masks at addresses too.
        Raises UsageError, ServiceRefused.
        """
        from batchfill.check import check

        manifest, settings = self._resolve_manifest()
        notes: list[str] = []
        if online and settings.local:
            notes.append("the embedded provider is at hand, and needs no token")
        elif online:
            notes += await check.ask_provider(settings.base, _with_token(settings))
        if outputs:
            with open_reader(self.folder / LEDGER) as reader:
                notes += check.compare_outputs(self.folder, reader.collected_files(arriving=True))
        model = _find_model(settings)
        ledger = self.folder / LEDGER
        return await check.check(
            manifest, model, settings, ledger, fetch=fetch, warnings=_model_warnings(model), notes=notes
        )

    async def run(
        self,
        *,
        watch: ProgressListener | None = None,
        confirm: Callable[[Plan], bool] = lambda plan: True,
        obey_signals: bool = False,
    ) -> Summary:
        """Run the batch, or go on with it, until nothing is left to do or something stops it.

        *watch* is told what happens; *confirm* is asked before the first payment; with *obey_signals*
        Ctrl-C stops the run in its three stages. Raises UsageError when nothing was done, ServiceRefused when
        the service refused the token at once, RunBroken when it broke off after something was submitted.
        """
        manifest, settings = self._resolve_manifest()
        _refuse_cap_without_price(settings, _find_model(settings))

        async def run(watch: ProgressListener | None) -> Summary:
            async with self._open_session(settings, watch, obey_signals=obey_signals) as session:
                with _breaking_off(session):
                    await session.run(manifest, confirm)
                    return self._make_summary(session)

        return await notify_of_run(run, settings, watch)

    async def cancel(self, *, watch: ProgressListener | None = None, obey_signals: bool = False) -> Summary:
        """Recover lost answers, cancel what runs at the service, collect what succeeded all the same.

        Raises UsageError while another process runs the batch; `request` reaches that one.
        """
        if not is_there(self.folder / LEDGER) and read_heading(self.folder / PAID) is None:
            raise LedgerError(f"{self.folder}: no ledger here yet, so nothing of this batch runs")
        # Without the manifest, which may be gone: what runs is in the ledger.
        settings = self._resolve_settings(head={}, defaults={}, column={})
        async with self._open_session(settings, watch, obey_signals=obey_signals) as session:
            await session.cancel()
            return self._make_summary(session)

    async def finish(self, *, watch: ProgressListener | None = None) -> FinishReport:
        """Finish pictures that are done anew, as the manifest now asks for, without network and cost.

        *watch* is told of those that cannot be. Raises UsageError, also while another process runs the batch.
        """
        from batchfill.session.session import Session

        if not is_there(self.folder / LEDGER):
            raise LedgerError(f"{self.folder}: no ledger here yet, so nothing is there to be finished")
        manifest, settings = self._resolve_manifest()
        with unwrap_single():
            async with self._hold_lock(settings.folder):
                model = _find_model(settings)
                session = Session(settings=settings, model=model, base=settings.base, watcher=watch)
                report = await session.finish(manifest)
        self._keep_results(watch)
        return report

    async def decide(self, rulings: Sequence[ReviewDecision]) -> None:
        """Note what somebody decided about pictures: it is on disk, all of it, when this returns.

        A run that is going on takes it into its ledger within a second; else that is done now. Later rulings
        about the same prediction replace earlier ones. Raises UsageError, with nothing noted, for pictures
        that are not of this batch and where the folder cannot be written; LedgerError without a ledger.
        """
        refused = self._refusals(rulings)
        if refused:
            raise UsageError(f"{next(iter(refused.values()))}: nothing was decided")
        await self._note(rulings)

    def _refusals(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        with open_reader(self.folder / LEDGER) as reader:
            return inbox.refusals(rulings, reader)

    async def _note(self, rulings: Sequence[ReviewDecision]) -> None:
        try:
            await to_thread.run_sync(inbox.post_rulings, self.folder, rulings)
        except OSError as error:
            raise UsageError(
                f"{self.folder / inbox.NAME} cannot be written: {error.strerror}; the decision was not taken"
            ) from error
        await self._take_rulings()

    def stop(self) -> bool:
        """Ask a running batch to stop as the first Ctrl-C does; False when none runs."""
        return self._post_request(inbox.Request.STOP)

    def ask_to_cancel(self) -> bool:
        """Ask a running batch to cancel what runs at the service; False when none runs."""
        return self._post_request(inbox.Request.CANCEL)

    async def wait_until_idle(self) -> None:
        """Return once no process works on the batch."""
        while True:
            if not self.is_running():
                return
            # A lock tells nobody when it is let go; to ask costs a system call or two.
            await anyio.sleep(0.2)

    def still_running(self) -> int:
        """Return how many predictions may still run at the service, as far as the ledger knows."""
        status = self.status()
        states = (RowState.RUNNING, RowState.SUBMITTING)
        return sum(counts.get(state, 0) for counts in (status.counts, status.gone) for state in states)

    def in_doubt(self) -> int:
        """Return how many rows may have been made and paid for without our knowing."""
        status = self.status()
        return status.counts[RowState.IN_DOUBT] + status.gone.get(RowState.IN_DOUBT, 0)

    def is_running(self) -> bool:
        """Whether some process works on the batch."""
        return lock.is_held(self.folder)

    def status(self) -> Status:
        """Return where the batch stands, running or not. Raises LedgerError without a ledger."""
        with open_reader(self.folder / LEDGER) as reader:
            return self._read_status(reader)

    async def review(
        self,
        *,
        port: int = 0,
        on_ready: Callable[[str], None],
        browse: Callable[[str], object] | None = None,
    ) -> None:
        """Serve the review page on 127.0.0.1 until cancelled, whether the batch runs or not; port 0: any.

        *on_ready* is told an address that lets one browser in, once; *browse*, in a thread, one to start a
        browser with. Raises LedgerError without a ledger, UsageError when the port cannot be had.
        """
        from batchfill.review.server import serve_review

        with self._open_source() as (source, workers), unwrap_single():
            await serve_review(source, workers, port=port, on_ready=on_ready, browse=browse)

    async def report(
        self, target: Path | None = None, *, watch: Callable[[int, int], None] = lambda done, of: None
    ) -> Path:
        """Write the review page as a folder that works offline, and return the file to open.

        *target* is `night.report` beside `night.csv` unless given; *watch* is told after each picture how
        many are made, and of how many. Raises LedgerError without a ledger, UsageError when *target* holds
        other files.
        """
        from batchfill.review.report import write_report

        target = target or self.manifest.with_name(f"{self.manifest.stem}.report")
        with self._open_source() as (source, workers), unwrap_single():
            return await write_report(source, workers, target, watch=watch)

    def results(self) -> Iterator[Result]:
        """Yield one result a row of the manifest, in its order. Raises LedgerError without a ledger."""
        with open_reader(self.folder / LEDGER) as reader:
            yield from reader.results()

    def write_results(
        self, stream: Stream, *, kind: str = "csv", bom: bool = False, raw: bool = False
    ) -> bool:
        """Write `results` to *stream* as `csv` or `jsonl`. *bom*: the mark by which Excel knows UTF-8.

        In CSV a quote is put before cells that a spreadsheet would take for formulas, unless *raw*. Return
        whether there was one.
        """
        if kind == "jsonl":
            results.write_jsonl(self.results(), stream)
            return False
        with open_reader(self.folder / LEDGER) as reader:
            extra = reader.extra_columns()
        return results.write_csv(self.results(), stream, extra=extra, bom=bom, raw=raw)

    def export(
        self,
        target: str | Path,
        *,
        name: str = "{id}",
        which: Which | str | None = None,
        link: bool = False,
        force: bool = False,
        changed: bool = False,
        kind: str = "csv",
        watch: Callable[[int, int], None] = lambda done, of: None,
    ) -> Exported:
        """Copy, or *link*, pictures of finished rows to the folder *target*, each whole or not at all.

        *name*: a template of `{id}`, `{n}`, `{seed}`, `{prompt:40}` and the manifest's `{x_…}`. *which*: by
        default the approved rows when anything was decided, else all. A picture that is there already is
        left as it is; *force* replaces other files that have the name of one. *changed*: pictures that were
        worked on are exported as they are. *kind*: of the table `results.csv` or `results.jsonl`. *watch* is
        told how many pictures are in their places, and of how many.

        Raises NotExported, with nothing copied, for everything that is in the way; UsageError when there is
        nothing to export; ExportStopped when it broke off, to be gone on with by the same call.
        """
        from batchfill.export.export import ExportRequest, export_pictures

        rows = None if which is None else Which(which)
        wish = ExportRequest(Path(target), name, rows, link=link, force=force, changed=changed, kind=kind)
        with open_reader(self.folder / LEDGER) as reader:
            return export_pictures(reader, self.folder, wish, watch)

    def _read_status(self, reader: Reader) -> Status:
        facts = reader.metadata()
        cost = reader.cost(CURRENCY)
        return Status(
            manifest=facts.get("manifest", self.manifest.name),
            model=facts.get("model", ""),
            base=facts.get("base", ""),
            running=self.is_running(),
            counts=reader.counts(),
            gone=reader.counts(gone=True),
            cost=replace(cost, rehearsal=facts.get("base") == LOCAL),
            started_at=_read_time(facts.get("started_at")),
            updated_at=_read_time(facts.get("updated_at")),
            stopped_because=facts.get("stopped_because"),
            reasons=reader.reasons(),
            doubts=reader.doubts(),
        )

    @contextmanager
    def _open_source(self) -> Iterator[tuple[_Source, Processes]]:
        """Give what the gallery reads, and who makes pictures small for it."""
        from batchfill.workers.pool import Processes

        workers = Processes()
        try:
            with open_reader(self.folder / LEDGER) as reader:
                yield _Source(self, reader), workers
        finally:
            workers.close()

    def _keep_results(self, watch: ProgressListener | None) -> None:
        """Write `results.csv` beside the outputs, whole or not at all; *watch* is told of the latter."""
        unfinished = self.folder / f"{RESULTS}.tmp"
        try:
            with unfinished.open("w", encoding="utf-8", newline="") as stream:
                self.write_results(stream, bom=True)
            unfinished.replace(self.folder / RESULTS)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            text = f"{RESULTS} could not be written: {error.strerror}. `batchfill results` prints it"
            if watch:
                watch.notice(LogEvent(time.time(), text, Level.WARNING))

    def _post_request(self, request: inbox.Request) -> bool:
        if not self.is_running():
            return False
        inbox.post_request(self.folder, request)
        return True

    def _resolve_manifest(self) -> tuple[Manifest, Settings]:
        from batchfill.manifest.manifest import open_manifest

        manifest = open_manifest(self.manifest, encoding=self.flags.get("encoding"))
        settings = self._resolve_settings(
            head=manifest.settings, defaults=manifest.defaults, column=manifest.column
        )
        return manifest, settings

    def _resolve_settings(self, **manifest: Mapping[str, Any]) -> Settings:
        """Return the settings: flags over what the *manifest* says, that over what the ledger remembers."""
        return resolve_settings(
            self.manifest, self.flags, facts=self._read_metadata(), environ=self.environ, **manifest
        )

    def _read_metadata(self) -> dict[str, str]:
        ledger = self.folder / LEDGER
        if not is_there(ledger):
            heading = read_heading(self.folder / PAID)
            return {} if heading is None else {"model": heading.model}
        with open_reader(ledger) as reader:
            return reader.metadata()

    async def _take_rulings(self) -> None:
        """Take decisions that wait, unless another process holds the lock, which then does so itself.

        Whoever lets the lock go has to call this: what was left while it was held waits for nobody else.
        """
        met: frozenset[str] = frozenset()
        # Where that fails they stay in the inbox, for the next who comes by.
        with suppress(UsageError, LedgerFailed):
            while is_there(self.folder / LEDGER) and inbox.rulings_waiting(self.folder) - met:
                with lock.held_for_a_moment(self.folder) as ours:
                    if not ours:
                        return
                    met |= await self._take_rulings_now()

    async def _take_rulings_now(self) -> frozenset[str]:
        from batchfill.ledger.ledger import open_ledger

        async with open_ledger(self.folder / LEDGER, time.time, checked=False) as ledger:
            return (await inbox.take_rulings(self.folder, ledger)).met

    @asynccontextmanager
    async def _hold_lock(self, folder: Path) -> AsyncIterator[None]:
        await lock.wait_out_moments(folder)
        try:
            with lock.hold_lock(folder):
                yield
        finally:
            with anyio.CancelScope(shield=True):
                await self._take_rulings()

    @asynccontextmanager
    async def _open_session(
        self, settings: Settings, watch: ProgressListener | None, *, obey_signals: bool
    ) -> AsyncIterator[Session]:
        from batchfill.run.shutdown import watch_signals
        from batchfill.session.session import Session

        settings = _with_token(settings)
        refuse_few_files(FILES + 2 * (os.cpu_count() or 2), "a run")
        _make_folder(settings.folder)
        with unwrap_single():
            # The lock first: the local emulator keeps its memory in the same folder.
            async with (
                self._hold_lock(settings.folder),
                self._open_provider(settings) as (base, settings),
                anyio.create_task_group() as tasks,
            ):
                session = Session(settings=settings, model=_find_model(settings), base=base, watcher=watch)
                if obey_signals:
                    # Until then Ctrl-C ends the program: nothing has been done.
                    session.on_start = lambda: tasks.start_soon(
                        watch_signals, session.stopping, watch, session.clock
                    )
                yield session
                tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def _open_provider(self, settings: Settings) -> AsyncIterator[tuple[str, Settings]]:
        """Give the address to talk to, with the local emulator behind it for a local run."""
        if not settings.local:
            yield settings.base, settings
            return
        from batchfill.emulator.emulator_server import EmulatorServer

        # A token of its own: the user's has no business at a rehearsal.
        token = secrets.token_hex(16)
        provider = EmulatorServer(settings.folder / PROVIDER, token=token, latency=settings.latency or 0.0)
        await provider.start()
        try:
            yield provider.base, replace(settings, token=Token(token))
        finally:
            with anyio.CancelScope(shield=True):
                await provider.stop()

    def _make_summary(self, session: Session) -> Summary:
        from batchfill.run.progress_meter import peak_memory
        from batchfill.run.shutdown import exit_code

        status, ended = self.status(), session.ended
        assert ended is not None
        self._keep_results(session.watcher)
        return Summary(
            exit_code=exit_code(status.counts, status.gone, session.stopping, skipped=session.skipped),
            counts=status.counts,
            gone=status.gone,
            cost=status.cost,
            reasons=status.reasons,
            doubts=status.doubts,
            stopped_because=session.stopping.because,
            folder=str(self.folder),
            submitted_now=ended.submitted,
            finished_now=ended.finished,
            elapsed=ended.elapsed,
            requests=session.requests,
            throttled=ended.throttled,
            held=ended.held,
            peak_memory=peak_memory(),
            skipped=session.skipped,
        )


async def notify_of_run(
    run: Callable[[ProgressListener | None], Awaitable[Summary]],
    settings: Settings,
    watch: ProgressListener | None,
) -> Summary:
    """Return what *run* returns, having told of it where --notify asks for that."""
    if settings.notify is None:
        return await run(watch)
    from batchfill.notify.notifier import Notifier
    from batchfill.notify.webhook import Webhook
    from batchfill.run.clock import SystemClock

    notifier = Notifier(
        receiver=Webhook(settings.notify),
        manifest=settings.manifest.name,
        log=settings.folder / LOG,
        watcher=watch,
        clock=SystemClock(),
    )
    return await notifier.run_and_notify(run)


@contextmanager
def _breaking_off(session: Session) -> Iterator[None]:
    """Raise RunBroken for whatever ends a run that has submitted something, and so was not refused."""
    try:
        yield
    except Exception as error:  # the run's boundary: to Python and to the shell alike, work is left
        if not session.intents:
            raise
        raise RunBroken(f"{in_words(error)}; run again to go on") from error


@dataclass(frozen=True, slots=True)
class _Source:
    """What the gallery asks of a batch."""

    batch: Batch
    reader: Reader

    @property
    def folder(self) -> Path:
        """The batch folder."""
        return self.batch.folder

    def mark(self) -> object:
        """Return something that stays equal as long as nothing of the batch changes."""
        return self.reader.data_version(), self.batch.is_running(), inbox.rulings_waiting(self.folder)

    def status(self) -> Status:
        """Return where the batch stands."""
        return self.batch._read_status(self.reader)

    def review_rows(self) -> Iterator[ReviewRow]:
        """Yield every row of the manifest, in its order, with the decisions that a run is yet to take."""
        # In one moment, so that no decision is put over a later one that the run takes meanwhile.
        with self.reader.hold_snapshot():
            waiting = inbox.waiting_rulings(self.folder, taken=self.reader.letters_taken)
            last = {ruling.prediction_id: ruling for ruling in waiting}
            for exhibit in self.reader.review_rows():
                ruling = last.get(exhibit.result.prediction_id or "")
                yield exhibit if ruling is None else _decided(exhibit, ruling)

    def history(self) -> Iterator[EndedAttempt]:
        """Yield every attempt that came to an end, in the order of the ends."""
        return self.reader.history()

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        """Return once *rulings* are on disk, but for those refused: by place, why. Raises UsageError."""
        refused = await to_thread.run_sync(self.batch._refusals, rulings)
        accepted = [ruling for place, ruling in enumerate(rulings) if place not in refused]
        if accepted:
            await self.batch._note(accepted)
        return refused


def _decided(exhibit: ReviewRow, ruling: ReviewDecision) -> ReviewRow:
    result = replace(exhibit.result, decision=ruling.decision, chosen=ruling.chosen)
    return replace(exhibit, result=result, redo_prompt=ruling.prompt, redo_seed=ruling.seed)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}; give a folder that can be written with --out"
        ) from error


def init_manifest(path: Path) -> None:
    """Write a commented manifest to *path*. Raises UsageError when there is something already."""
    from batchfill.catalog.builtin import find_model, unchecked_model
    from batchfill.manifest.template import write_template

    write_template(path, find_model(FLUX_FILL_DEV) or unchecked_model(FLUX_FILL_DEV))


def pair_folders(images: Path, masks: Path, target: Path | TextIO, *, prompt: str = "") -> Pairing:
    """Make a CSV manifest of two folders, matched by stem; return what matched and what stayed alone.

    Raises UsageError when a folder cannot be read, nothing matches, or *target* exists already.
    """
    from batchfill.manifest.pairing import pair_folders, write_pairs

    pairing = pair_folders(images, masks)
    if not pairing.pairs:
        raise UsageError(f"nothing to pair: no picture in {images} has a mask of its name in {masks}")
    write_pairs(pairing, target, prompt=prompt)
    return pairing


async def serve_provider(
    folder: Path, *, on_ready: Callable[[str], None], on_end: Callable[[str], None], **options: Any
) -> None:
    """Run the local emulator by itself, until cancelled; *on_end* is told its bill in a line.

    *options* are those of `local.serve.serve`.
    """
    from batchfill.emulator.emulator_server import serve_emulator

    await serve_emulator(folder, on_ready=on_ready, on_end=lambda bill: on_end(str(bill)), **options)


def fill(manifest: str | Path, **flags: Any) -> Summary:
    """Run *manifest* from a program that is not asynchronous; *flags* as in `Batch.open`."""
    return anyio.run(Batch.open(manifest, **flags).run)


def _with_token(settings: Settings) -> Settings:
    if settings.token is None and not settings.local:
        other = " (or REPLICATE_API_TOKEN)" if settings.base == REPLICATE else ""
        raise UsageError(MISSING.format(base=settings.base, other=other))
    return settings


def _find_model(settings: Settings) -> Model:
    """Return what is known of the model, at the price that holds for this provider."""
    from batchfill.catalog.builtin import find_model, unchecked_model
    from batchfill.catalog.openapi import from_schema

    if settings.model_schema is not None:
        model = from_schema(settings.model, settings.model_schema)
    else:
        model = find_model(settings.model) or unchecked_model(settings.model)
    if settings.price is not None:
        return replace(model, price=settings.price)
    # The catalog's prices are Replicate's; a gateway sets its own.
    return model if settings.base == REPLICATE or settings.local else replace(model, price=None)


def _model_warnings(model: Model) -> list[str]:
    return [] if model.checked else [f"{model.name} is not in the catalog: its inputs are not checked"]


def _refuse_cap_without_price(settings: Settings, model: Model) -> None:
    if settings.max_cost is not None and model.price is None:
        raise UsageError(
            f"--max-cost needs to know what a picture of {model.name} costs at {settings.base}: "
            "give `price: 0.04` in a YAML manifest, or leave --max-cost out"
        )


def _read_time(fact: str | None) -> float | None:
    return None if fact is None else float(fact)
