"""Pictures of finished rows go to a folder of the user's, with a table of what they are."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import TYPE_CHECKING

from batchfill.domain.reports import Exported, Which
from batchfill.domain.review import Decision
from batchfill.domain.rows import RowState
from batchfill.errors import (
    ExportStopped,
    NoAnswer,
    NotExported,
    ObjectGone,
    ObjectsRefused,
    UsageError,
)
from batchfill.export import results
from batchfill.export.conflicts import Action, ConflictScan, OriginalsThere, table_trouble
from batchfill.export.copier import Copier
from batchfill.export.marking import mark_of
from batchfill.export.name_template import (
    DEFAULT,
    ExportRow,
    TakenNames,
    Template,
    name_troubles,
    read_template,
)
from batchfill.storage.placed_files import open_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from batchfill.domain.reports import Result
    from batchfill.domain.rows import StoredFile
    from batchfill.ledger.reader import Reader
    from batchfill.storage.placed_files import PlacedFiles

    Watch = Callable[[int, int], None]
    """Is told how many pictures are in their places, and of how many."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """How the user wants pictures exported."""

    target: Path
    """The folder they go to."""
    name: str = DEFAULT
    which: Which | None = None
    """None: approved rows when anything was decided, else all."""
    link: bool = False
    force: bool = False
    changed: bool = False
    kind: str = "csv"
    """Of the table: `csv` or `jsonl`."""

    @property
    def table(self) -> str:
        """The table's name."""
        return f"results.{self.kind}"


def export_pictures(reader: Reader, folder: Path, wish: ExportRequest, watch: Watch) -> Exported:
    """Export pictures of the batch in *folder*, having found nothing against it.

    Raises NotExported with everything that was found, UsageError when there is nothing to export, and
    ExportStopped when it broke off between two pictures.
    """
    root = reader.metadata().get("outputs")
    with reader.hold_snapshot(), open_files(folder, root, reader.remote_copy) as files:
        which = wish.which or (Which.APPROVED if _any_decided(reader) else Which.ALL)
        selection = Selection(reader, which, reader.metadata().get("model", ""))
        template = _read_template(wish, reader.extra_columns())
        originals = OriginalsThere(reader.named_files(), wish.target)
        survey = ConflictScan(
            folder,
            files,
            wish.target,
            selection.model,
            originals,
            changed=wish.changed,
            force=wish.force,
        )
        steps = _scan_conflicts(selection, survey, wish, template)
        if not steps:
            raise UsageError(_nothing_to_export(which))
        delivery = Copier(wish.target, link=wish.link, force=wish.force)
        with _stop_on_error(wish.target):
            _copy_pictures(selection, template, steps, files, delivery, watch)
            rows = _write_table(selection, wish, template, delivery)
            delivery.flush_folders()
    report = _export_report(wish, which, rows, steps, delivery)
    return replace(report, originals=len(originals))


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a batch whose pictures are exported, and which of their pictures."""

    reader: Reader
    which: Which
    model: str
    """What made the pictures."""

    def rows(self) -> Iterator[ExportRow]:
        """Yield them in the manifest's order, as often as it is asked."""
        files = groupby(self.reader.collected_files(), key=lambda placed: placed.id)
        first = 1
        for row, result in enumerate(self.reader.results(), 1):
            if result.state is not RowState.DONE or not result.outputs:
                continue
            _, placed = next(files)
            if self.which is Which.ALL or result.decision is Decision.APPROVED:
                picked = ExportRow(result, self._chosen_of(result, placed), row, first)
                first += len(picked.files)
                yield picked

    def _chosen_of(self, result: Result, files: Iterable[StoredFile]) -> tuple[StoredFile, ...]:
        """Return the file that was chosen alone, which may be gone; all, where they are asked for."""
        chosen = None if self.which is Which.ALL else result.chosen
        return tuple(file for file in files if chosen in (None, file.n))


def _any_decided(reader: Reader) -> bool:
    return any(result.decision is not None for result in reader.results())


def _read_template(wish: ExportRequest, columns: list[str]) -> Template:
    try:
        return read_template(wish.name, columns)
    except ValueError as error:
        raise NotExported(str(error).split("\n")) from None


def _scan_conflicts(
    selection: Selection, survey: ConflictScan, wish: ExportRequest, template: Template
) -> bytearray:
    """Return the Action for each picture. Raises NotExported."""
    taken = TakenNames()
    extra = selection.reader.extra_columns()
    refusal = NotExported(
        chain(
            name_troubles(template, selection.rows(), taken),
            survey.find_troubles(selection.rows(), template),
            () if wish.link else survey.shortage(),
            table_trouble(wish.target / wish.table, extra, taken, force=wish.force),
        )
    )
    if refusal.troubles:
        raise refusal
    return survey.steps


def _nothing_to_export(which: Which) -> str:
    if which is Which.ALL:
        return "nothing to export: no row is done yet"
    return "nothing to export: no finished row was approved; decide with `batchfill review`, or export --all"


@contextmanager
def _stop_on_error(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportStopped(
            f"{error.filename or target}: {error.strerror}. What was exported is whole: "
            "see to it, then export again to go on"
        ) from error
    except (ObjectGone, ObjectsRefused, NoAnswer) as error:
        raise ExportStopped(f"{error}. What was exported is whole: export again to go on") from error


def _name_pictures(selection: Selection, template: Template) -> Iterator[tuple[StoredFile, str]]:
    """Yield every picture with its name, in the order of the steps."""
    for picked in selection.rows():
        yield from zip(picked.files, template.file_names(picked), strict=True)


def _copy_pictures(
    selection: Selection,
    template: Template,
    steps: bytearray,
    files: PlacedFiles,
    delivery: Copier,
    watch: Watch,
) -> None:
    pictures = _name_pictures(selection, template)
    for done, ((placed, name), step) in enumerate(zip(pictures, steps, strict=True)):
        watch(done, len(steps))
        if step in (Action.COPY, Action.CHANGED):
            digest = placed.sha256 if step == Action.COPY else None
            own, change = files.is_here(placed.file), mark_of(placed, selection.model)
            with files.hold(placed) as path:
                delivery.put_file(path, name, digest, change, own=own)
    watch(len(steps), len(steps))


def _write_table(selection: Selection, wish: ExportRequest, template: Template, delivery: Copier) -> int:
    """Write what was exported; return how many rows."""
    rows = 0

    def exported() -> Iterator[Result]:
        nonlocal rows
        for rows, picked in enumerate(selection.rows(), 1):  # noqa: B007 - counted for the caller
            yield replace(picked.result, outputs=tuple(template.file_names(picked)))

    with delivery.open_text(wish.table) as stream:
        if wish.kind == "jsonl":
            results.write_jsonl(exported(), stream)
        else:
            results.write_csv(exported(), stream, extra=selection.reader.extra_columns(), bom=True)
    return rows


def _export_report(
    wish: ExportRequest, which: Which, rows: int, steps: bytearray, delivery: Copier
) -> Exported:
    return Exported(
        folder=str(wish.target),
        which=which,
        rows=rows,
        copied=delivery.copied,
        linked=delivery.linked,
        there=steps.count(Action.THERE) + steps.count(Action.CHANGED_THERE),
        changed=steps.count(Action.CHANGED) + steps.count(Action.CHANGED_THERE),
        size=delivery.size,
        table=wish.table,
        no_links=delivery.no_links,
        unmarked=delivery.unmarked,
    )
