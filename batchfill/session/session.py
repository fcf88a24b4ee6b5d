"""One start of a batch: its lock, its ledger, its rows, its account, the plan, and then the night."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from batchfill.domain.progress import Weight
from batchfill.domain.rows import RowState
from batchfill.errors import LedgerFailed, NoAnswer, ServiceRefused, TryAgain, UsageError
from batchfill.ledger.digests import open_digests
from batchfill.ledger.ledger import open_ledger
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.manifest.local_files import digest_file
from batchfill.providers.connection import connect
from batchfill.providers.rate_limiter import Pace
from batchfill.run.clock import SystemChance, SystemClock
from batchfill.run.context import Bench, Tools
from batchfill.run.engine import LEARNED_FROM, Ended, Night
from batchfill.run.ledger_guard import watched
from batchfill.run.poll.run_times import Timing
from batchfill.run.run_log import tell_lack, tell_taken, telling
from batchfill.run.shutdown import LEFT, Stopping
from batchfill.run.submit.disk_space import PATIENCE
from batchfill.session import identity, past
from batchfill.session.ingest import basis_of, files_stand, take_in
from batchfill.session.plan import make_plan
from batchfill.session.refinish import finish_anew
from batchfill.settings.resolve import BY_FLAG, NO_CAP
from batchfill.storage import inbox
from batchfill.storage.missing import NONE_MISSING, find_missing, of_rows
from batchfill.storage.output_store import Shelf
from batchfill.workers.pool import Processes, Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchfill.catalog.model import Model
    from batchfill.domain.progress import Watcher
    from batchfill.domain.reports import FinishReport, Plan
    from batchfill.ledger.import_rows import Comparison
    from batchfill.ledger.ledger import Ledger
    from batchfill.ledger.selection import Chosen
    from batchfill.manifest.manifest import Manifest
    from batchfill.providers.client import Service
    from batchfill.run.clock import Chance, Clock
    from batchfill.run.run_log import Telling
    from batchfill.session.past import Past
    from batchfill.settings.settings import Settings
    from batchfill.storage.missing import Missing

ACCOUNT_WAITS = (1.0, 3.0, 10.0)
"""Seconds between questions for the account that the service cannot answer just now."""
LONGEST_ACCOUNT_WAIT = 60.0

LOG = "run.log"
BASIS = "basis"
"""The fact that says what the rows in the ledger rest on."""
READS = 5
"""Times the pace of creates: the pace of all other calls, as the service's own limits stand to each other."""


@dataclass(frozen=True, slots=True)
class _Agreed:
    plan: Plan
    missing: Missing
    chosen: Chosen | None
    """What --retry and --id come to; None: neither was given."""


@dataclass(slots=True, kw_only=True)
class Session:
    """What one start is given, and what it leaves behind."""

    settings: Settings
    model: Model
    base: str
    """The address to talk to; the embedded provider's, where it serves the run."""
    stopping: Stopping = field(default_factory=Stopping)
    watcher: Watcher | None = None
    clock: Clock = field(default_factory=SystemClock)
    chance: Chance = field(default_factory=SystemChance)
    on_start: Callable[[], object] = lambda: None
    """Called once the plan is confirmed: from here on there is something to stop."""
    skipped: int = 0
    """Rows left out because of their mistakes."""
    requests: int = 0
    intents: int = 0
    """How many rows it was about to pay for; 0: nothing can have been paid for."""
    ended: Ended | None = None
    _account: dict[str, str] = field(default_factory=dict)
    _past: Past = field(default_factory=past.Past)

    async def run(self, manifest: Manifest, confirm: Callable[[Plan], bool]) -> None:
        """Run the batch, or go on with it.

        *confirm* is asked before the first payment. Raises UsageError when nothing was done, ServiceRefused
        when the service refused the account at once.
        """
        async with self._opened() as (ledger, say), self._connected(say) as tools_for:
            tools = tools_for(ledger)
            plan = await self._take_in(tools, manifest, confirm)
            await self._begin(tools, plan)
            await self._carry_out(tools)

    async def cancel(self) -> None:
        """Recover lost answers, cancel what runs at the service, and collect what succeeded all the same."""
        async with self._opened() as (ledger, say), self._connected(say) as tools_for:
            tools = tools_for(ledger)
            await self._check_account(tools)
            await past.close(tools, await past.recall(tools, incoming=False, asks=False))
            self.on_start()
            self.stopping.cancel_all()
            await self._carry_out(tools)

    async def finish(self, manifest: Manifest) -> FinishReport:
        """Finish pictures anew, as the rows of *manifest* now ask for, without network and cost.

        Raises UsageError, ManifestError.
        """
        async with self._opened() as (ledger, say):
            self.on_start()
            with closing(Processes()) as pixels:
                bench = Bench(
                    model=self.model,
                    ledger=ledger,
                    shelf=Shelf(self.settings.folder),
                    workers=Threads(),
                    pixels=pixels,
                    telling=say,
                )
                return await finish_anew(bench, manifest, self.settings, self.clock.now())

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Ledger, Telling]]:
        folder = self.settings.folder
        with telling(folder / LOG, self.watcher, self.clock) as say:
            identity.refuse_saved_ledger(folder / LEDGER)
            Shelf(folder).prepare()
            inbox.drain(folder)  # requests to a run that has ended already
            async with open_ledger(folder / LEDGER, self.clock.now) as ledger:
                identity.refuse_other_batch(ledger.facts, self.settings)
                ledger.wait_for_room(PATIENCE, partial(tell_lack, say))
                self.stopping.on_hurry = ledger.give_up_waiting
                tell_taken(say, await inbox.take_rulings(folder, ledger))
                try:
                    yield ledger, say
                finally:
                    self.intents = ledger.intents

    @asynccontextmanager
    async def _connected(self, say: Telling) -> AsyncIterator[Callable[[Ledger], Tools]]:
        settings = self.settings
        assert settings.token is not None
        connection = connect(
            self.base,
            settings.token,
            reads_per_minute=READS * settings.rate,
            answer_timeout=settings.answer_timeout,
            clock=self.clock.now,
        )
        async with connection as (service, outputs):
            pixels = Processes()

            def tools_for(ledger: Ledger) -> Tools:
                return Tools(
                    settings=settings,
                    model=self.model,
                    ledger=ledger,
                    service=service,
                    outputs=outputs,
                    shelf=Shelf(settings.folder),
                    workers=Threads(),
                    pixels=pixels,
                    clock=self.clock,
                    chance=self.chance,
                    telling=say,
                    creates=Pace(settings.rate),
                )

            try:
                yield tools_for
            finally:
                self.requests = service.requests
                pixels.close()

    async def _check_account(self, tools: Tools) -> None:
        """Find out early, and free of charge, whether the token is good and the account the same."""
        settings, ledger = self.settings, tools.ledger
        account = await _ask_account(tools.service, self.base)
        identity.refuse_other_account(ledger.facts, settings, account)
        assert settings.token is not None
        self._account = identity.account_facts(ledger.facts, settings.token, account)

    async def _take_in(self, tools: Tools, manifest: Manifest, confirm: Callable[[Plan], bool]) -> Plan:
        settings, ledger = self.settings, tools.ledger
        basis = await to_thread.run_sync(basis_of, manifest, self.model, settings)
        if await self._is_read(tools, manifest, basis):
            tools.telling.log("the manifest and its files are as they were: not read again")
            await self._check_account(tools)
            self._past = await past.recall(tools, incoming=False)
            comparison = await ledger.standing({RowState.PENDING})
            agreed = await self._agree(tools, comparison, confirm, incoming=False)
        else:
            agreed = await self._read(tools, manifest, basis, confirm)
        if agreed.chosen is not None:
            # Rows in doubt are left out: they are looked up once more before they are submitted anew.
            await ledger.retry()
            if agreed.chosen.only is not None:
                await ledger.narrow(agreed.chosen.only)
        await ledger.fetch_again(agreed.missing.attempts)
        return agreed.plan

    async def _is_read(self, tools: Tools, manifest: Manifest, basis: str | None) -> bool:
        """Whether the rows in the ledger are those that reading the manifest would give."""
        if basis is None or basis != tools.ledger.facts.get(BASIS):
            return False
        return await tools.workers.do(
            partial(files_stand, self.settings.folder / LEDGER), manifest.path.parent
        )

    async def _read(
        self, tools: Tools, manifest: Manifest, basis: str | None, confirm: Callable[[Plan], bool]
    ) -> _Agreed:
        settings, ledger = self.settings, tools.ledger
        async with ledger.intake() as intake:
            with open_digests(settings.folder / LEDGER, digest_file, self.clock.now) as digests:
                reading = await take_in(
                    intake, manifest, self.model, settings, digests, remember=ledger.record_digests
                )
            # What was edited while it was read, or could be once more without a new time, is read again.
            sound = not reading.bad and digests.settled
            rests_on = await to_thread.run_sync(basis_of, manifest, self.model, settings) if sound else None
            self.skipped = reading.bad_rows
            reading.refuse_mistakes(skip_bad=settings.skip_bad)
            # After the manifest's mistakes, which can be told without network.
            await self._check_account(tools)
            await intake.drop_duplicates()
            self._past = await past.recall(tools, incoming=True)
            agreed = await self._agree(tools, await intake.compare(), confirm, incoming=True)
            for mistake in reading.mistakes:
                tools.telling.say(f"left out: {mistake}", Weight.WARNING)
            await intake.merge(self.clock.now(), basis=basis if basis == rests_on else None)
        return agreed

    async def _agree(
        self, tools: Tools, comparison: Comparison, confirm: Callable[[Plan], bool], *, incoming: bool
    ) -> _Agreed:
        """Have the plan confirmed. Raises UsageError when it is not, or an id is no row's."""
        settings, ledger = self.settings, tools.ledger
        chosen = await ledger.choose(settings.choice, incoming=incoming) if settings.choice else None
        if chosen is not None:
            identity.refuse_unknown_ids(settings.manifest, chosen.unknown)
        missing = await self._find_missing(tools)
        plan = make_plan(
            comparison,
            settings,
            replace(ledger.cost, cap=settings.max_cost),
            skipped=self.skipped,
            run_time=Timing(await ledger.run_times(LEARNED_FROM)).expected,
            warnings=self._warnings(),
            missing=missing,
            chosen=chosen,
        )
        if not confirm(plan):
            raise UsageError("nothing was started, and nothing was paid")
        self.on_start()
        await _remember_cap(ledger, settings)
        return _Agreed(plan, missing, chosen)

    async def _find_missing(self, tools: Tools) -> Missing:
        """Compare the files of finished rows with the ledger, where --retry names those that are missing."""
        if not self.settings.fetch_missing:
            return NONE_MISSING
        with open_reader(self.settings.folder / LEDGER) as reader:
            collected = of_rows(reader.collected(), self.settings.ids)
            return await tools.workers.do(partial(find_missing, self.settings.folder), collected)

    def _warnings(self) -> list[str]:
        if self.model.checked:
            return []
        return [f"{self.model.name} is not in the catalog: its inputs are not checked"]

    async def _begin(self, tools: Tools, plan: Plan) -> None:
        settings, now = self.settings, self.clock.now()
        facts = {
            "manifest": settings.manifest.name,
            "model": settings.model,
            "base": settings.base,
            "stopped_because": None,
            **self._account,
        }
        if "started_at" not in tools.ledger.facts:
            facts["started_at"] = str(now)
        await past.close(tools, self._past)
        self._past = past.Past()  # it may be large
        await tools.ledger.remember(**facts)
        tools.telling.log(f"begun: {plan.to_go} rows to go, {plan.open} open, {plan.finished} done before")

    async def _carry_out(self, tools: Tools) -> None:
        timing = Timing(await tools.ledger.run_times(LEARNED_FROM))
        async with watched(tools, self.stopping):
            await self._see_through(tools, Night(tools, self.stopping, timing, self.watcher))

    async def _see_through(self, tools: Tools, night: Night) -> None:
        try:
            self.ended = await night.run()
            if not tools.ledger.in_state(RowState.COLLECTING):
                tools.shelf.sweep()
        finally:
            because = self.stopping.because
            tools.telling.log(f"ended: {because or 'nothing left to do'}")
        counts = tools.ledger.counts
        if not any(counts[state] for state in LEFT):
            because = None  # it came to its end all the same
        with suppress(LedgerFailed):  # what ended the night, perhaps; its exit code says so
            await tools.ledger.remember(stopped_because=because)


async def _ask_account(service: Service, base: str) -> str | None:
    """Return the account's name; None where the service does not tell it, for whatever reason."""
    for wait in ACCOUNT_WAITS:
        try:
            return await service.account()
        except ServiceRefused as error:
            if error.status == 401:
                raise
            return None  # some gateways forbid what they do not offer
        except NoAnswer as error:
            raise UsageError(f"{base} does not answer: {error}. Check the address and the network") from error
        except TryAgain as error:
            await anyio.sleep(min(error.wait or wait, LONGEST_ACCOUNT_WAIT))
    return None


async def _remember_cap(ledger: Ledger, settings: Settings) -> None:
    cap = NO_CAP if settings.max_cost is None else str(settings.max_cost)
    await ledger.remember(max_cost=cap, max_cost_by=BY_FLAG if settings.cap_by_flag else None)
