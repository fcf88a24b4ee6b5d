"""One start of a batch: its lock, its ledger, its rows, its account, the plan, and then the night."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.catalog.model_choice import model_warnings
from batchfill.clock import SystemChance, SystemClock
from batchfill.domain.offers import offer_lines
from batchfill.domain.progress import Level
from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.domain.rows import LEFT, OPEN, RowState
from batchfill.errors import LedgerFailed, UsageError
from batchfill.finishing.file_context import FileContext
from batchfill.ledger.digests import open_digests
from batchfill.ledger.ledger import open_ledger
from batchfill.ledger.location import LEDGER
from batchfill.manifest.local_files import digest_file
from batchfill.providers.connection import open_service
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.run.context import RunContext
from batchfill.run.engine import Engine, EngineResult
from batchfill.run.ledger_guard import guard
from batchfill.run.prediction_lookup import PredictionLookup
from batchfill.run.read_refusals import ReadRefusals
from batchfill.run.run_times import LEARNED_FROM, RunTimes
from batchfill.run.shutdown import StopSignal
from batchfill.session import identity, past
from batchfill.session.as_begun.begun_settings import begun_facts
from batchfill.session.as_begun.default_prompt import default_prompt_warnings
from batchfill.session.cluster_choice import ask_for_cluster, cluster_of
from batchfill.session.free_questions import ask_account, ask_for_outputs, claim_outputs, wrong_base
from batchfill.session.ingest import files_stand, ingest_rows, manifest_digest
from batchfill.session.lost_files import find_missing
from batchfill.session.lost_machine.mirroring import mirrored
from batchfill.session.plan import make_plan, select_rows
from batchfill.session.reviewed.decision_check import MODEL_SCHEMA
from batchfill.settings import timings
from batchfill.settings.resolve import BY_FLAG, IDEMPOTENT, NO_CAP
from batchfill.storage import inbox
from batchfill.storage.object_copies import OBJECTS, ObjectCopies, copy_object
from batchfill.storage.object_finder import open_finder
from batchfill.storage.output_store import TMP, OutputStore
from batchfill.storage.placed_outputs import PlacedOutputs
from batchfill.storage.run_log import RUN_LOG, log_applied_decisions, open_run_log, tell_lack
from batchfill.workers.pool import Processes, Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchfill.catalog.model import Model
    from batchfill.clock import Chance, Clock
    from batchfill.domain.progress import ProgressListener
    from batchfill.domain.reports import FinishReport, Plan
    from batchfill.ledger.import_rows import Comparison
    from batchfill.ledger.ledger import Ledger
    from batchfill.ledger.selection import SelectedRows
    from batchfill.manifest.manifest import Manifest
    from batchfill.providers.downloads import OutputClient
    from batchfill.providers.provider_protocol import Provider
    from batchfill.session.past import Past
    from batchfill.settings.settings import Settings
    from batchfill.settings.timings import Timings
    from batchfill.storage.missing import Missing
    from batchfill.storage.run_log import RunLog

BASIS = "basis"
"""The fact that says what the rows in the ledger rest on."""


@dataclass(frozen=True, slots=True)
class _Agreed:
    plan: Plan
    missing: Missing
    chosen: SelectedRows | None
    """What --retry and --id come to; None: neither was given."""


@dataclass(slots=True, kw_only=True)
class Session:
    """What one start is given, and what it leaves behind."""

    settings: Settings
    model: Model
    base: str
    """The address to talk to; the local emulator's, where it serves the run."""
    stopping: StopSignal = field(default_factory=StopSignal)
    watcher: ProgressListener | None = None
    clock: Clock = field(default_factory=SystemClock)
    timings: Timings = field(default_factory=lambda: timings.DEFAULT)
    chance: Chance = field(default_factory=SystemChance)
    on_start: Callable[[], object] = lambda: None
    """Called once the plan is confirmed: from here on there is something to stop."""
    skipped: int = 0
    """Rows left out because of their mistakes."""
    requests: int = 0
    intents: int = 0
    """How many rows it was about to pay for; 0: nothing can have been paid for."""
    ended: EngineResult | None = None
    _read_warnings: list[str] = field(default_factory=list)
    _account: dict[str, str] = field(default_factory=dict)
    _past: Past = field(default_factory=past.Past)

    async def run(self, manifest: Manifest, confirm: Callable[[Plan], bool]) -> None:
        """Run the batch, or go on with it.

        *confirm* is asked before the first payment. Raises UsageError when nothing was done, ServiceRefused
        when the service refused the account at once.
        """
        async with self._open_ledger() as (ledger, say), self._open_context(ledger, say) as context:
            plan = await self._ingest_rows(context, manifest, confirm)
            await self._record_start(context, plan)
            await self._carry_out(context)

    async def cancel(self) -> None:
        """Recover lost answers, cancel what runs at the service, and collect what succeeded all the same."""
        async with self._open_ledger() as (ledger, say), self._open_context(ledger, say) as context:
            await self._check_account(context)
            await past.close(context, await past.recall(context, incoming=False, asks=False))
            self.on_start()
            self.stopping.cancel_all()
            await self._carry_out(context)

    async def finish(self, manifest: Manifest, count: Callable[[int, int], None]) -> FinishReport:
        """Finish pictures again, as the rows of *manifest* now ask for, without the service and cost.

        *count* is told how many rows were looked at, and of how many. Raises UsageError, ManifestError.
        """
        # A run has no use for it, and what works on pixels takes long to load.
        from batchfill.session.refinish import refinish_rows

        async with self._open_ledger() as (ledger, say):
            self.on_start()
            pixels = Processes(hidden=self.settings.extras.variables)
            copies = self._make_copies(pixels)
            with closing(pixels), closing(copies):
                context = FileContext(
                    model=self.model,
                    ledger=ledger,
                    placed=PlacedOutputs(OutputStore(self.settings.folder), self.settings.outputs),
                    copies=copies,
                    workers=Threads(),
                    pixels=pixels,
                    log=say,
                    timings=self.timings,
                )
                return await refinish_rows(context, manifest, self.settings, self.clock.now(), count)

    @asynccontextmanager
    async def _open_ledger(self) -> AsyncIterator[tuple[Ledger, RunLog]]:
        folder = self.settings.folder
        with open_run_log(folder / RUN_LOG, self.watcher, self.clock, self.settings.log_style) as say:
            identity.refuse_saved_ledger(folder / LEDGER)
            OutputStore(folder).make_folders()
            inbox.drain_requests(folder)  # requests to a run that has ended already
            async with open_ledger(folder / LEDGER, self.clock.now) as ledger:
                facts = identity.binding_facts(ledger.metadata, made=ledger.has_made)
                identity.refuse_other_batch(facts, self.settings)
                ledger.wait_for_room(self.timings.disk_patience, partial(tell_lack, say))
                self.stopping.on_hurry = ledger.give_up_waiting
                async with mirrored(ledger, self.settings, self.timings, say, self.stopping):
                    log_applied_decisions(say, await inbox.take_rulings(folder, ledger))
                    try:
                        yield ledger, say
                    finally:
                        self.intents = ledger.intents

    @asynccontextmanager
    async def _open_context(self, ledger: Ledger, say: RunLog) -> AsyncIterator[RunContext]:
        settings = self.settings
        assert settings.token is not None
        connection = open_service(
            self.base,
            settings.token,
            extras=settings.extras,
            reads_per_minute=REPLICATE_API.reads_per_create * settings.rate,
            answer_timeout=settings.answer_timeout,
            clock=self.clock.now,
            may_pay=ledger.may_pay,
        )
        async with connection as (service, outputs):
            pixels = Processes(settings.workers, hidden=settings.extras.variables)
            copies = self._make_copies(pixels)
            try:
                with closing(pixels), closing(copies):
                    async with cluster_of(settings, pixels, say, self.timings) as cluster:
                        context = self._make_context(ledger, say, service, outputs, pixels, copies)
                        yield replace(context, cluster=cluster)
            finally:
                self.requests = service.requests

    def _make_copies(self, pixels: Processes) -> ObjectCopies:
        # Where a bucket hands pictures over, originals do not pass this process to be finished either.
        copy = partial(pixels.do, copy_object) if self.settings.hand_over == "bucket" else None
        return ObjectCopies(self.settings.folder / TMP / OBJECTS, copy=copy)

    def _make_context(
        self,
        ledger: Ledger,
        say: RunLog,
        service: Provider,
        outputs: OutputClient,
        pixels: Processes,
        copies: ObjectCopies,
    ) -> RunContext:
        return RunContext(
            settings=self.settings,
            stopping=self.stopping,
            run_times=RunTimes(timings=self.timings),
            model=self.model,
            ledger=ledger,
            service=service,
            lookup=PredictionLookup(self.model, ledger, service),
            refusals=ReadRefusals(
                service.facts, self.stopping, log=say, clock=self.clock, timings=self.timings
            ),
            outputs=outputs,
            placed=PlacedOutputs(OutputStore(self.settings.folder), self.settings.outputs),
            copies=copies,
            workers=Threads(),
            pixels=pixels,
            clock=self.clock,
            chance=self.chance,
            log=say,
            timings=self.timings,
            creates=RateLimiter(self.settings.rate),
            began=self.clock.now(),
        )

    async def _check_account(self, context: RunContext) -> None:
        """Find out early, and free of charge, whether the token is good and the account the same."""
        settings, ledger = self.settings, context.ledger
        account = await ask_account(context.service, self.base, self.timings.question_retries)
        if (wrong := await wrong_base(context.service)) is not None:
            if not any(ledger.in_state(state) for state in OPEN):
                raise UsageError(wrong)
            # It was right before, and what was paid for there is waited for.
            context.log.notice(wrong, Level.WARNING)
        facts = identity.binding_facts(ledger.metadata, made=await past.may_have_made(ledger))
        identity.refuse_other_account(facts, settings, account)
        assert settings.token is not None
        self._account = identity.account_facts(facts, settings, account)

    async def _ingest_rows(
        self, context: RunContext, manifest: Manifest, confirm: Callable[[Plan], bool]
    ) -> Plan:
        ledger = context.ledger
        basis = await self._digest_manifest(manifest)
        if await self._is_read(context, manifest, basis):
            context.log.debug("the manifest and its files are as they were: not read again")
            await self._check_account(context)
            self._past = await past.recall(context, incoming=False)
            comparison = await ledger.summarize({RowState.PENDING})
            agreed = await self._confirm_plan(context, comparison, confirm, incoming=False)
        else:
            agreed = await self._read_manifest(context, manifest, basis, confirm)
        if agreed.chosen is not None:
            # Rows in doubt are left out: they are looked up once more before they are submitted again.
            await ledger.retry_selected()
            if agreed.chosen.only is not None:
                await ledger.restrict_to(agreed.chosen.only)
        await ledger.fetch_again(agreed.missing.attempts)
        return agreed.plan

    async def _digest_manifest(self, manifest: Manifest) -> str | None:
        return await to_thread.run_sync(manifest_digest, manifest, self.model, self.settings)

    async def _is_read(self, context: RunContext, manifest: Manifest, basis: str | None) -> bool:
        """Whether the rows in the ledger are those that reading the manifest would give."""
        if basis is None or basis != context.ledger.metadata.get(BASIS):
            return False
        return await context.workers.do(
            partial(files_stand, self.settings.folder / LEDGER), manifest.path.parent
        )

    async def _read_manifest(
        self, context: RunContext, manifest: Manifest, basis: str | None, confirm: Callable[[Plan], bool]
    ) -> _Agreed:
        settings, ledger = self.settings, context.ledger
        async with ledger.open_import() as intake:
            known = open_digests(settings.folder / LEDGER, digest_file, self.clock.now)
            with known as digests, open_finder() as finder:
                find, remember = finder.find_object, ledger.record_digests
                reading = await ingest_rows(
                    intake, manifest, self.model, settings, digests, find, remember=remember
                )
            # What was edited while it was read, or could be once more without a new time, is read again.
            sound = not reading.bad and digests.settled
            rests_on = await self._digest_manifest(manifest) if sound else None
            self.skipped = reading.bad_rows
            self._read_warnings = [*reading.prompts.warnings(manifest.rows.name)]
            reading.refuse_mistakes(skip_bad=settings.skip_bad)
            # After the manifest's mistakes, which can be told without network.
            await self._check_account(context)
            await intake.drop_duplicates()
            self._past = await past.recall(context, incoming=True)
            agreed = await self._confirm_plan(context, await intake.compare_rows(), confirm, incoming=True)
            for mistake in reading.mistakes:
                context.log.notice(f"left out: {mistake}", Level.WARNING)
            await intake.merge_rows(self.clock.now(), basis=basis if basis == rests_on else None)
        return agreed

    async def _confirm_plan(
        self, context: RunContext, comparison: Comparison, confirm: Callable[[Plan], bool], *, incoming: bool
    ) -> _Agreed:
        """Have the plan confirmed. Raises UsageError when it is not, and as select_rows does."""
        settings, ledger = self.settings, context.ledger
        await ask_for_outputs(context)
        ask_for_cluster(context)
        chosen = await select_rows(ledger, self.model, settings, incoming=incoming)
        missing = await find_missing(context)
        plan = make_plan(
            comparison,
            settings,
            replace(ledger.cost, cap=settings.max_cost),
            skipped=self.skipped,
            run_time=RunTimes(await ledger.run_times(LEARNED_FROM)).expected,
            warnings=self._collect_warnings(),
            now=self.clock.now(),
            missing=missing,
            chosen=chosen,
        )
        if not confirm(plan):
            raise UsageError("nothing was started, and nothing was paid")
        self.on_start()
        await _remember_cap(ledger, settings)
        return _Agreed(plan, missing, chosen)

    def _collect_warnings(self) -> list[str]:
        settings = self.settings
        known = [*settings.warnings, *model_warnings(self.model), *default_prompt_warnings(settings)]
        return [*known, *self._read_warnings]

    async def _record_start(self, context: RunContext, plan: Plan) -> None:
        settings, now = self.settings, self.clock.now()
        facts = {
            "manifest": settings.manifest.name,
            "model": settings.model,
            "base": settings.base,
            MODEL_SCHEMA: None if settings.model_schema is None else settings.model_schema.name,
            IDEMPOTENT: settings.base if settings.idempotent else None,
            "stopped_because": None,
            **begun_facts(settings),
            **dict.fromkeys(identity.ACCOUNT),
            **self._account,
        }
        if "started_at" not in context.ledger.metadata:
            facts["started_at"] = str(now)
        await past.close(context, self._past)
        self._past = past.Past()  # it may be large
        outputs = await claim_outputs(context)
        await context.ledger.set_metadata(**facts, outputs=outputs)
        for line in settings.origins:
            context.log.debug(f"settings {line}")
        if outputs is not None:
            await context.ledger.take_remote()
        context.log.debug(f"begun: {plan.to_go} rows to go, {plan.open} open, {plan.finished} done before")

    async def _carry_out(self, context: RunContext) -> None:
        for run_time in await context.ledger.run_times(LEARNED_FROM):
            context.run_times.add_run_time(run_time)
        async with guard(context):
            await self._run_engine(context, Engine(context, self.watcher))

    async def _run_engine(self, context: RunContext, night: Engine) -> None:
        try:
            self.ended = await night.run()
            if not context.ledger.in_state(RowState.COLLECTING):
                context.store.sweep_temporary()
        finally:
            because = self.stopping.because
            context.log.debug(f"the provider: {'; '.join(offer_lines(context.service.offers))}")
            context.log.debug(f"ended: {because or 'nothing left to do'}")
        counts = context.ledger.counts
        if not any(counts[state] for state in LEFT):
            because = None  # it came to its end all the same
        with suppress(LedgerFailed):  # what ended the night, perhaps; its exit code says so
            await context.ledger.set_metadata(stopped_because=because)


async def _remember_cap(ledger: Ledger, settings: Settings) -> None:
    cap = NO_CAP if settings.max_cost is None else str(settings.max_cost)
    await ledger.set_metadata(max_cost=cap, max_cost_by=BY_FLAG if settings.cap_by_flag else None)
