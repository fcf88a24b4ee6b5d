"""A batch: what the command line and Python programs both use."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from batchfill.domain.reports import Which
from batchfill.errors import UsageError, unwrap_single
from batchfill.export.results import keep_results, result_object, write_table
from batchfill.ledger.database import is_there
from batchfill.ledger.location import LEDGER
from batchfill.ledger.payment_record import PAID, read_heading
from batchfill.session.batch_ledger import no_ledger, open_batch_ledger, refuse_other_name
from batchfill.session.batch_settings import BatchSettings, take_surroundings
from batchfill.session.batch_status import read_status
from batchfill.session.reviewed.decision_check import refused_decisions
from batchfill.settings.credentials import Environment, Variables
from batchfill.settings.keyword_flags import check_flags
from batchfill.settings.surroundings import ALONE
from batchfill.settings.user_folders import cache_folder
from batchfill.storage import inbox, lock
from batchfill.storage.decision_inbox import hold_batch, post_decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from batchfill.domain.progress import ProgressListener
    from batchfill.domain.reports import CheckReport, Exported, FinishReport, Plan, Result, Status, Summary
    from batchfill.domain.review import ReviewDecision
    from batchfill.export.results import Stream
    from batchfill.session.reviewed.batch_review_source import BatchReviewSource
    from batchfill.session.session import Session
    from batchfill.settings.surroundings import Surroundings
    from batchfill.workers.pool import Processes


@dataclass(frozen=True, slots=True)
class Batch:
    """A manifest and its folder. Open one with `Batch.open`."""

    manifest: Path
    flags: Mapping[str, Any] = field(repr=False)
    """Not shown, as --notify is among them."""
    environ: Environment = field(repr=False)
    around: Surroundings = field(repr=False, default=ALONE)
    """What is said of settings in the environment and in config.toml."""

    @classmethod
    def open(cls, manifest: str | Path, *, environ: Mapping[str, str] | None = None, **flags: Any) -> Batch:
        """Return the batch of *manifest*; *flags* are those of `batchfill run`, with underscores.

        Nothing is written, and nothing read but config.toml and `env_file`. `set`, `column` and `header` are
        mappings; `retry` is text (`"failed,expired"`); *environ* replaces the environment, where the token,
        the base and other settings are looked for. Raises UsageError for a name that is no flag, a value of
        another kind, and a file that cannot be read.
        """
        check_flags(flags)
        if not isinstance(environ, Environment):
            # In the place of what would show its values in a traceback.
            environ = Variables(os.environ if environ is None else environ)
        return cls(Path(manifest), flags, *take_surroundings(environ, flags))

    @classmethod
    def create(
        cls,
        manifest: str | Path,
        rows: Any,
        *,
        replace: bool = False,
        environ: Mapping[str, str] | None = None,
        **flags: Any,
    ) -> Batch:
        """Write *rows* to a manifest, `night.jsonl` for `night`, and return its batch as `open` does.

        *rows*: dictionaries, or a DataFrame of pandas, Polars or Arrow. Their paths are relative to the
        manifest. One that has the same rows is left as it is; *replace* puts these rows in the place of
        others. Raises UsageError, with nothing written; ManifestError for rows that no manifest can hold.
        """
        from batchfill.manifest.formats.python_rows import write_rows

        batch = cls.open(manifest, environ=environ, **flags)
        return cls(
            write_rows(batch.manifest, rows, replace=replace), batch.flags, batch.environ, batch.around
        )

    @property
    def _source(self) -> BatchSettings:
        return BatchSettings(self.manifest, self.flags, self.environ, self.around)

    @property
    def folder(self) -> Path:
        """The batch folder: `night.batch` next to `night.csv`, unless `out` names another."""
        return self._source.folder

    async def check(self, *, online: bool = False, outputs: bool = False, fetch: bool = False) -> CheckReport:
        """Find out everything that can be known before paying.

        Without *online* and *fetch* only buckets that rows name are asked, for listings.
        *outputs* compares files with the ledger; *fetch* looks elsewhere. Raises UsageError, ServiceRefused.
        """
        from batchfill.catalog.model_choice import choose_model, model_warnings
        from batchfill.check import check
        from batchfill.session.as_begun.default_prompt import default_prompt_warnings

        manifest, settings = self._source.read()
        notes: list[str] = []
        provider = lost = None
        if online and settings.local:
            notes.append("the local emulator is at hand, and needs no token")
        elif online:
            from batchfill.check.provider import introduce_provider

            provider, said = await introduce_provider(settings)
            notes += said
        if outputs:
            with open_batch_ledger(self.manifest, self._source.placed) as reader:
                said, lost = check.compare_with_ledger(reader, self.folder, settings.outputs)
            notes += said
        model = choose_model(settings)
        ledger = self.folder / LEDGER
        return await check.check(
            manifest,
            model,
            settings,
            ledger,
            fetch=fetch,
            warnings=[*settings.warnings, *model_warnings(model), *default_prompt_warnings(settings)],
            notes=[*settings.origins, *notes],
            provider=provider,
            lost=lost,
            caches=cache_folder(self.environ),
        )

    async def run(
        self,
        *,
        watch: ProgressListener | None = None,
        confirm: Callable[[Plan], bool] = lambda plan: True,
        obey_signals: bool = False,
    ) -> Summary:
        """Run the batch, or go on with it, until nothing is left to do or something stops it.

        *watch* is told what happens, by default the notebook around it; *confirm* is asked before the first
        payment; with *obey_signals* Ctrl-C stops the run in its three stages. Raises UsageError when nothing
        was done, ServiceRefused when the token was refused at once, RunBroken, TakenOver when it broke off.
        """
        from batchfill.catalog.model_choice import choose_model, refuse_cap_without_price
        from batchfill.notebook.run_display import open_display
        from batchfill.notify.notifier import notify_of_run
        from batchfill.session.open_session import breaking_off, open_session, prepare_folder

        await prepare_folder(self._source, watch)
        manifest, settings = self._source.read()
        refuse_cap_without_price(settings, choose_model(settings))

        async def run(watch: ProgressListener | None) -> Summary:
            async with open_session(settings, watch, obey_signals=obey_signals) as session:
                with breaking_off(session):
                    await session.run(manifest, confirm)
                    return self._sum_up(session)

        return await notify_of_run(run, settings, watch or open_display(quiet=settings.quiet))

    async def cancel(self, *, watch: ProgressListener | None = None, obey_signals: bool = False) -> Summary:
        """Recover lost answers, cancel what runs at the service, collect what succeeded all the same.

        Raises UsageError while another process runs the batch; `request` reaches that one.
        """
        from batchfill.notebook.run_display import open_display
        from batchfill.session.open_session import open_session

        if not is_there(self.folder / LEDGER) and read_heading(self.folder / PAID) is None:
            raise no_ledger(self.manifest, self._source.placed, ", so nothing of this batch runs")
        # Without the manifest, which may be gone: what runs is in the ledger.
        settings = self._source.resolve(head={}, defaults={}, column={})
        watch = watch or open_display(quiet=settings.quiet)
        async with open_session(settings, watch, obey_signals=obey_signals) as session:
            await session.cancel()
            return self._sum_up(session)

    async def finish(
        self, *, watch: ProgressListener | None = None, count: Callable[[int, int], None] | None = None
    ) -> FinishReport:
        """Finish again the pictures that are done, as the manifest now asks for, without service and cost.

        *watch* is told of those that cannot be, *count* how many rows were looked at, and of how many; by
        default the notebook around it. Raises UsageError, also while another process runs the batch.
        """
        from batchfill.catalog.model_choice import choose_model
        from batchfill.notebook.run_display import open_counted_display
        from batchfill.session.session import Session

        if not is_there(self.folder / LEDGER):
            raise no_ledger(self.manifest, self._source.placed, ", so nothing is there to be finished")
        manifest, settings = self._source.read()
        shown, count = open_counted_display(watch, count, quiet=settings.quiet)
        model = choose_model(settings)
        session = Session(settings=settings, model=model, base=settings.base, watcher=shown)
        with unwrap_single():
            async with hold_batch(settings.folder):
                report = await session.finish(manifest, count)
        keep_results(self.folder, watch)
        return report

    async def decide(self, rulings: Sequence[ReviewDecision]) -> None:
        """Note what an editor decided about pictures: it is on disk, all of it, when this returns.

        A run that is going on takes it into its ledger within a second; else that is done now. Later rulings
        about the same prediction replace earlier ones. Raises UsageError, with nothing noted, for pictures
        that are not of this batch and where the folder cannot be written; LedgerError without a ledger.
        """
        refused = refused_decisions(self.folder, rulings)
        if refused:
            raise UsageError(f"{next(iter(refused.values()))}: nothing was decided")
        await post_decisions(self.folder, rulings)

    def stop(self) -> bool:
        """Ask a running batch to stop as the first Ctrl-C does; False when none runs.

        Raises UsageError when there is no such manifest, LedgerError when only its rehearsal has begun.
        """
        if self._post_request(inbox.Request.STOP):
            return True
        refuse_other_name(self.manifest, self._source.placed)
        return False

    def ask_to_cancel(self) -> bool:
        """Ask a running batch to cancel what runs at the service; False when none runs."""
        return self._post_request(inbox.Request.CANCEL)

    async def wait_until_idle(self) -> None:
        """Return once no process works on the batch."""
        while True:
            if not self.is_running():
                return
            # A lock does not tell when it is let go; to ask costs a system call or two.
            await anyio.sleep(0.2)

    def still_running(self) -> int:
        """Return how many predictions may still run at the service, as far as the ledger knows."""
        return self.status().still_running

    def in_doubt(self) -> int:
        """Return how many rows may have been made and paid for without our knowing."""
        return self.status().in_doubt

    def is_running(self) -> bool:
        """Whether some process works on the batch."""
        return lock.is_held(self.folder)

    def status(self) -> Status:
        """Return the state of the batch, running or not. Raises LedgerError without a ledger."""
        with open_batch_ledger(self.manifest, self._source.placed) as reader:
            return read_status(reader, self.manifest, self.folder)

    def origins(self) -> tuple[str, ...]:
        """Return a line for each place but flags and manifest from which a run here takes settings.

        None where the manifest or a setting has a mistake, which `check` tells.
        """
        return self._source.origins()

    async def review(
        self,
        *,
        port: int = 0,
        host: str | None = None,
        run_command: Sequence[str] = (),
        on_ready: Callable[[str], None],
        on_shared: Callable[[str], None] = lambda address: None,
        browse: Callable[[str], object] | None = None,
    ) -> None:
        """Serve the review page on 127.0.0.1 until cancelled, whether the batch runs or not; port 0: any.

        *on_ready* is told an address that lets one browser in, once; *browse*, in a thread, one to start a
        browser with. With *host*, an address of this machine in a trusted network, it is served there too,
        and *on_shared* is told an address for a browser of another device, which starts no run. *run_command*
        starts a run for the page and takes --agreed; without one the page starts none. Raises LedgerError
        without a ledger, UsageError when a port cannot be had.
        """
        from batchfill.review.runs import PageRuns
        from batchfill.review.server import serve_review

        runs = PageRuns(run_command, self.environ.reveal()) if run_command else None
        told = {"on_ready": on_ready, "on_shared": on_shared}
        with self._open_source() as (source, workers), unwrap_single():
            await serve_review(source, workers, port=port, host=host, runs=runs, browse=browse, **told)

    async def report(
        self,
        target: Path | None = None,
        *,
        size: str = "full",
        watch: Callable[[int, int], None] = lambda done, of: None,
    ) -> Path:
        """Write the review page as a folder that works offline, and return the file to open.

        *target* is `night.report` next to `night.csv` unless given. *size*: `full`, or `small`
        without the larger copies. *watch* is told after each picture how many are made, and of how many.
        Raises LedgerError without a ledger, UsageError when *target* holds other files.
        """
        from batchfill.review.report import write_report

        target = target or self.manifest.with_name(f"{self.manifest.stem}.report")
        with self._open_source() as (source, workers), unwrap_single():
            return await write_report(source, workers, target, size=size, watch=watch)

    def results(self) -> Iterator[Result]:
        """Yield one result a row of the manifest, in its order. Raises LedgerError without a ledger."""
        with open_batch_ledger(self.manifest, self._source.placed) as reader:
            yield from reader.results()

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield `results` as dictionaries, as `results --format jsonl` has them: money in units.

        What makes a DataFrame of dictionaries takes them. Raises LedgerError without a ledger.
        """
        return map(result_object, self.results())

    def to_dataframe(self) -> Any:
        """Return `records` as a DataFrame of pandas, which has the same columns whatever rows there are.

        Raises LedgerError without a ledger, UsageError where pandas is not installed.
        """
        from batchfill.export.dataframe import make_dataframe

        with open_batch_ledger(self.manifest, self._source.placed) as reader:
            return make_dataframe(reader.results(), reader.extra_columns())

    def _repr_html_(self) -> str:
        """Return the state of the batch with a few pictures, for a notebook."""
        from batchfill.notebook.batch_view import batch_html

        return batch_html(self.status, self.manifest, self.folder, self._source.placed)

    def write_results(
        self, stream: Stream, *, kind: str = "csv", bom: bool = False, raw: bool = False
    ) -> bool:
        """Write `results` to *stream* as `csv` or `jsonl`. *bom*: the mark by which Excel knows UTF-8.

        In CSV a quote is put before cells that a spreadsheet would take for formulas, unless *raw*. Return
        whether there was one. Raises LedgerError without a ledger.
        """
        with open_batch_ledger(self.manifest, self._source.placed) as reader:
            return write_table(reader, stream, kind=kind, bom=bom, raw=raw)

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

        *name*: a template of `{id}`, `{row}`, `{n}`, `{count}`, `{seed}`, `{prompt:40}` and the manifest's
        `{x_…}`. *which*: by default the approved rows when anything was decided, else all. A picture that is
        there already is left as it is; *force* replaces other files that have the name of one. *changed*:
        pictures that were worked on are exported as they are. *kind*: of the table `results.csv` or
        `results.jsonl`. *watch* is told how many pictures are in their places, and of how many.

        Raises NotExported, with nothing copied, for everything that is in the way; UsageError when there is
        nothing to export; ExportStopped when it broke off, to be gone on with by the same call.
        """
        from batchfill.export.export import ExportRequest, export_pictures

        rows = None if which is None else Which(which)
        wish = ExportRequest(Path(target), name, rows, link=link, force=force, changed=changed, kind=kind)
        with open_batch_ledger(self.manifest, self._source.placed) as reader:
            return replace(export_pictures(reader, self.folder, wish, watch), running=self.is_running())

    def _open_source(self) -> AbstractContextManager[tuple[BatchReviewSource, Processes]]:
        """Give what the gallery reads, and who makes pictures small for it."""
        from batchfill.session.reviewed.batch_review_source import open_review_source

        return open_review_source(self.manifest, self._source.placed, self.environ.secret_names)

    def _sum_up(self, session: Session) -> Summary:
        from batchfill.session.run_summary import make_summary

        status = self.status()
        keep_results(self.folder, session.watcher)
        return make_summary(session, status, self.folder)

    def _post_request(self, request: inbox.Request) -> bool:
        if not self.is_running():
            return False
        inbox.post_request(self.folder, request)
        return True
