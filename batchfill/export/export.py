"""Pictures of finished rows go to a folder of the user's, with a table of what they are."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import TYPE_CHECKING

from batchfill.domain.reports import Exported, Which
from batchfill.domain.review import Decision
from batchfill.domain.rows import RowState
from batchfill.errors import ExportStopped, NotExported, UsageError
from batchfill.export import results
from batchfill.export.conflicts import Step, Survey, table_trouble
from batchfill.export.copier import Delivery
from batchfill.export.name_template import DEFAULT, Picked, Taken, Template, name_troubles, read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchfill.domain.reports import Result
    from batchfill.domain.rows import Placed
    from batchfill.ledger.reader import Reader

    Watch = Callable[[int, int], None]
    """Is told how many pictures are in their places, and of how many."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How somebody wants pictures exported."""

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


def export(reader: Reader, folder: Path, wish: Wish, watch: Watch) -> Exported:
    """Export pictures of the batch in *folder*, having found nothing against it.

    Raises NotExported with everything that was found, UsageError when there is nothing to export, and
    ExportStopped when it broke off between two pictures.
    """
    with reader.moment():
        which = wish.which or (Which.APPROVED if _any_decided(reader) else Which.ALL)
        selection = Selection(reader, which)
        template = _template(wish, reader.extra_columns())
        steps = _surveyed(selection, folder, wish, template)
        if not steps:
            raise UsageError(_nothing(which))
        delivery = Delivery(wish.target, link=wish.link, force=wish.force)
        with _stopping(wish.target):
            _deliver(_named(selection, template), steps, folder, delivery, watch)
            rows = _write_table(selection, wish, template, delivery)
            delivery.flush()
    return _told(wish, which, rows, steps, delivery)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a batch whose pictures are exported, and which of their pictures."""

    reader: Reader
    which: Which

    def rows(self) -> Iterator[Picked]:
        """Yield them in the manifest's order, as often as it is asked."""
        files = groupby(self.reader.collected(), key=lambda placed: placed.id)
        for result in self.reader.results():
            if result.state is not RowState.DONE or not result.outputs:
                continue
            _, placed = next(files)
            picked = Picked(result, tuple(placed))
            if self.which is Which.ALL:
                yield picked
            elif result.decision is Decision.APPROVED:
                yield _chosen(picked)


def _chosen(picked: Picked) -> Picked:
    """Return the row with only its chosen file, which may be gone; with all where none was chosen."""
    chosen = picked.result.chosen
    return (
        picked if chosen is None else Picked(picked.result, tuple(f for f in picked.files if f.n == chosen))
    )


def _any_decided(reader: Reader) -> bool:
    return any(result.decision is not None for result in reader.results())


def _template(wish: Wish, columns: list[str]) -> Template:
    try:
        return read_template(wish.name, columns)
    except ValueError as error:
        raise NotExported(str(error).split("\n")) from None


def _surveyed(selection: Selection, folder: Path, wish: Wish, template: Template) -> bytearray:
    """Return the Step for each picture. Raises NotExported."""
    taken = Taken()
    survey = Survey(folder, wish.target, changed=wish.changed, force=wish.force)
    extra = selection.reader.extra_columns()
    refusal = NotExported(
        chain(
            name_troubles(template, selection.rows(), taken),
            survey.troubles(selection.rows(), template),
            () if wish.link else survey.lack(),
            table_trouble(wish.target / wish.table, extra, taken, force=wish.force),
        )
    )
    if refusal.troubles:
        raise refusal
    return survey.steps


def _nothing(which: Which) -> str:
    if which is Which.ALL:
        return "nothing to export: no row is done yet"
    return "nothing to export: no finished row was approved; decide with `batchfill review`, or export --all"


@contextmanager
def _stopping(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportStopped(
            f"{error.filename or target}: {error.strerror}. What was exported is whole: "
            "see to it, then export again to go on"
        ) from error


def _named(selection: Selection, template: Template) -> Iterator[tuple[Placed, str]]:
    """Yield every picture with its name, in the order of the steps."""
    for picked in selection.rows():
        yield from zip(picked.files, template.names(picked), strict=True)


def _deliver(
    pictures: Iterator[tuple[Placed, str]], steps: bytearray, folder: Path, delivery: Delivery, watch: Watch
) -> None:
    for done, ((placed, name), step) in enumerate(zip(pictures, steps, strict=True)):
        watch(done, len(steps))
        if step in (Step.COPY, Step.CHANGED):
            delivery.put(folder / placed.file, name, placed.sha256 if step == Step.COPY else None)
    watch(len(steps), len(steps))


def _write_table(selection: Selection, wish: Wish, template: Template, delivery: Delivery) -> int:
    """Write what was exported; return how many rows."""
    rows = 0

    def exported() -> Iterator[Result]:
        nonlocal rows
        for rows, picked in enumerate(selection.rows(), 1):  # noqa: B007 - counted for the caller
            yield replace(picked.result, outputs=tuple(template.names(picked)))

    with delivery.text(wish.table) as stream:
        if wish.kind == "jsonl":
            results.write_jsonl(exported(), stream)
        else:
            results.write_csv(exported(), stream, extra=selection.reader.extra_columns(), bom=True)
    return rows


def _told(wish: Wish, which: Which, rows: int, steps: bytearray, delivery: Delivery) -> Exported:
    return Exported(
        folder=str(wish.target),
        which=which,
        rows=rows,
        copied=delivery.copied,
        linked=delivery.linked,
        there=steps.count(Step.THERE) + steps.count(Step.CHANGED_THERE),
        changed=steps.count(Step.CHANGED) + steps.count(Step.CHANGED_THERE),
        size=delivery.size,
        table=wish.table,
        no_links=delivery.no_links,
    )
