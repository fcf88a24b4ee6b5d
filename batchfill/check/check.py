"""Everything that can be known of a batch before paying."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

from batchfill.check.pictures import PictureInspector
from batchfill.check.remembered import RememberedFiles
from batchfill.domain.reports import CheckReport
from batchfill.domain.rows import RowState
from batchfill.ledger.caches.file_memory import open_memory
from batchfill.ledger.digests import open_digests
from batchfill.ledger.import_rows import open_scratch
from batchfill.session import plan
from batchfill.session.finish_rate import FinishTrials
from batchfill.session.ingest import Reading, ingest_rows
from batchfill.storage.missing import LOST, FileState
from batchfill.storage.object_finder import open_finder
from batchfill.storage.placed_files import open_files
from batchfill.workers.pool import Processes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.check.remote import Remote
    from batchfill.domain.findings import PictureReport
    from batchfill.domain.offers import ProviderCheck
    from batchfill.domain.reports import FinishRate
    from batchfill.domain.rows import Row, StoredFile
    from batchfill.errors import Mistake
    from batchfill.ledger.import_rows import Comparison
    from batchfill.ledger.reader import Reader
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings
    from batchfill.storage.placed_files import PlacedFiles

MISTAKES_KEPT = 100

MEMORY = "checked-1.db"
"""The file among the user's caches that remembers what was seen; another number where its form changes."""


async def check(
    manifest: Manifest,
    model: Model,
    settings: Settings,
    ledger: Path,
    *,
    fetch: bool,
    warnings: Sequence[str],
    notes: Sequence[str],
    provider: ProviderCheck | None = None,
    lost: int | None = None,
    caches: Path | None = None,
) -> CheckReport:
    """Read and judge every row, without a change to the batch.

    *caches*: the folder that remembers what was seen of a file; None: nothing is remembered. *notes* and
    *lost*: what a comparison of the files with the ledger came to, for the report.

    Without network but for listings of buckets, unless *fetch* asks for a look at pictures and masks at
    addresses and in buckets; no token is sent.
    """
    reading, comparison, pictures, finish_rate = await _read_rows(
        manifest, model, settings, ledger, fetch=fetch, caches=caches
    )
    to_go = plan.groups_to_go(comparison, None)
    rows = sum(group.rows for group in to_go)
    kept = tuple(reading.mistakes[:MISTAKES_KEPT])
    return CheckReport(
        rows=sum(group.rows for group in comparison.groups.values()),
        finished=comparison.groups[RowState.DONE].rows,
        mistakes=kept,
        more_mistakes=reading.bad - sum(mistake.rows for mistake in kept),
        warnings=(*warnings, *reading.prompts.warnings(manifest.rows.name)),
        price_to_go=plan.total_price(to_go),
        currency=model.currency,
        seconds=plan.seconds_for(rows, settings, None),
        model=model.name,
        outputs_to_go=sum(group.outputs for group in to_go),
        notes=(*reading.notes, *notes),
        provider=provider,
        lost=lost,
        file=manifest.rows.name,
        pictures=pictures,
        redo=settings.redo_rule,
        price_redo=plan.redo_price(comparison, to_go, settings),
        prompts=reading.prompts.first(),
        finish_rate=finish_rate,
    )


async def _open_remote(base: str, stack: AsyncExitStack) -> Remote:
    # The libraries of the network are most of what a check would have to load.
    from batchfill.check.remote import remote_files

    return await stack.enter_async_context(remote_files(base))


async def _read_rows(
    manifest: Manifest, model: Model, settings: Settings, ledger: Path, *, fetch: bool, caches: Path | None
) -> tuple[Reading, Comparison, PictureReport, FinishRate | None]:
    async with open_scratch(ledger) as intake, AsyncExitStack() as stack:
        remote = await _open_remote(settings.base, stack) if fetch else None
        workers, fitted = Processes(hidden=settings.extras.variables), settings.send == "fitted"
        stack.callback(workers.close)
        memory = stack.enter_context(open_memory(caches and caches / MEMORY, time.time()))
        remembered = RememberedFiles(memory, time.time)
        looking = PictureInspector(
            model, manifest.rows, workers, fitted=fitted, remote=remote, remembered=remembered
        )
        trials = FinishTrials(model)

        async def look_at(rows: list[Row]) -> tuple[list[Row], list[Mistake]]:
            good, wrong = await looking.inspect_rows(rows)
            trials.note_rows(good)
            return good, wrong

        finder = stack.enter_context(open_finder())
        with open_digests(ledger, remembered.digest_file, time.time) as digests:
            reading = await ingest_rows(
                intake, manifest, model, settings, digests, finder.find_object, look_at=look_at
            )
        await intake.drop_duplicates()
        comparison = await intake.compare_rows()
        to_go = any(group.rows for group in plan.groups_to_go(comparison, None))
        rate = await trials.measure_rate(workers, settings.rate) if to_go else None
        return reading, comparison, looking.report(), rate


class FileComparison(NamedTuple):
    """What became of a batch's files."""

    lines: list[str]
    """For a person."""
    lost: int
    """Files of finished rows that are missing or damaged."""


def compare_with_ledger(reader: Reader, folder: Path, remote: str | None) -> FileComparison:
    """Return `compare_outputs` of the batch in *folder*. Raises UsageError as `open_files` does."""
    with open_files(folder, remote, reader.remote_copy) as files:
        collected, known = reader.collected_files(arriving=True), reader.known_files()
        return compare_outputs(files, collected, earlier=known, remote=remote)


def compare_outputs(
    files: PlacedFiles,
    collected: Iterable[StoredFile],
    *,
    earlier: Collection[str] = (),
    remote: str | None = None,
) -> FileComparison:
    """Return what is missing, damaged, changed or extra below `outputs/`.

    *earlier*: files that the ledger knows, whether or not their rows are finished. *remote*: where they are,
    instead of here. Raises as *files* do.
    """
    names = files.names()
    known, lines, kept = set(), [], 0
    fates: Counter[FileState] = Counter()
    for placed in collected:
        known.add(placed.file)
        fate = files.state(placed)
        fates[fate] += 1
        kept += remote is not None and files.is_here(placed.file)
        if fate is not FileState.IN_PLACE:
            lines.append(f"{fate.value}: {placed.file} (row {placed.id}, line {placed.line})")
    lines.extend(
        f"made before: {name} (its row is not finished again)" if name in earlier else f"extra: {name}"
        for name in sorted(names - known)
    )
    if lost := sum(fates[fate] for fate in LOST):
        holder = "the service has them" if remote is None else f"{remote} or the service has them"
        lines.append(f"`run --retry missing` fetches missing and damaged files again, if {holder}")
    if fates[FileState.CHANGED]:
        lines.append("changed pictures are taken for your own work and left alone: remove one to miss it")
    if kept:
        files_are = "1 file is" if kept == 1 else f"{kept:,} files are"
        lines.append(f"{files_are} in the batch folder still: the next run puts them into {remote}")
    at = "" if remote is None or kept else f" in {remote}"
    whole = f"every one of {len(known)} files is in place{at} and as it was fetched"
    return FileComparison(lines or [whole], lost)
