"""The rows of a manifest, checked one by one as they are read."""

from __future__ import annotations

import os
from functools import lru_cache, partial
from operator import attrgetter
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from batchfill.catalog.field import UnfitValue
from batchfill.catalog.finish import EXACT, can_finish
from batchfill.catalog.pixel_needs import PixelNeeds
from batchfill.catalog.pixel_options import FINISHING
from batchfill.domain.drawn_masks import read_drawn_mask
from batchfill.domain.objects import is_object_address
from batchfill.domain.rows import Asked, Row
from batchfill.errors import MissingFile, did_you_mean
from batchfill.filenames import check_id, stem_of
from batchfill.manifest.columns import Layout, RowCounter, explain_empty
from batchfill.manifest.file_cells import RowFiles, read_file_cell, refuse_object
from batchfill.manifest.fingerprint import make_fingerprint
from batchfill.manifest.formats.csv import has_odd_quotes
from batchfill.manifest.formats.rows_file import read_items
from batchfill.manifest.headers import explain_missing_header
from batchfill.manifest.local_files import FEW, LocalFiles, explain_missing_folder
from batchfill.manifest.prompt_template import PromptTemplate
from batchfill.manifest.record import (
    Broken,
    Header,
    Note,
    Record,
    RowFault,
    Trouble,
    find_unfit_cells,
    make_mistake,
    why_unfit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Input, RowFile
    from batchfill.errors import Mistake
    from batchfill.manifest.columns import Columns, Reader
    from batchfill.manifest.file_cells import FindObject
    from batchfill.manifest.formats.rows_file import Item
    from batchfill.manifest.local_files import Digest
    from batchfill.manifest.manifest import Manifest

_UNKNOWN_COLUMN = "the default prompt names the column"
_QUOTED = 'in quotes that a table takes for a part of the name: put " in their place, or none'
_NOTHING: Mapping[str, str] = MappingProxyType({})


def read_rows(
    manifest: Manifest,
    model: Model,
    *,
    defaults: Mapping[str, str] = _NOTHING,
    column: Mapping[str, str] = _NOTHING,
    extra_columns: bool = False,
    allow_outside: bool = False,
    price: int | None = None,
    fitted: bool = True,
    literal_prompt: bool = False,
    literal_quotes: bool = False,
    finished_by_default: bool = False,
    digest: Digest,
    find_object: FindObject = refuse_object,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Row | Mistake]:
    """Yield the rows of *manifest* and, in line with them, every mistake in it; never the whole file at once.

    *defaults* (input → text) and *column* (input → its name in the manifest) are taken as they are: the
    caller has laid the flags over the manifest's. *price* of one output goes before the catalog's. Not
    *fitted*: files are sent as they are, so that pixel settings cannot change them. *finished_by_default*:
    rows with local files that do not say how are finished exactly. A row may have several
    mistakes. After a mistake that concerns every row (a wrong header, a wrong default) rows are
    still checked but none is yielded; after one that makes going on pointless (bytes in another encoding, a
    quote that is never closed, a first line that is no header) reading ends. *note* is told what is good to
    know of the file as a whole. Whether ids or rows repeat is not looked at.
    """
    local = LocalFiles(manifest.path.parent, allow_outside=allow_outside, digest=digest)
    layout = Layout(
        model,
        column=column,
        given=frozenset(name for name, text in defaults.items() if text.strip()),
        extra_columns=extra_columns,
        has_header=manifest.rows_kind in ("csv", "workbook"),
    )
    reader = _RowReader(
        manifest,
        model,
        layout,
        RowFiles(local, find_object),
        price,
        fitted=fitted,
        literal_prompt=literal_prompt,
        finished_by_default=finished_by_default,
        note=note,
    )
    reader.take_defaults(defaults)
    return reader.read_rows(
        read_items(
            manifest.rows,
            manifest.rows_kind,
            encoding=manifest.encoding,
            sheet=manifest.sheet,
            literal_quotes=literal_quotes,
        )
    )


class _RowReader:
    def __init__(
        self,
        manifest: Manifest,
        model: Model,
        layout: Layout,
        files: RowFiles,
        price: int | None,
        *,
        fitted: bool,
        literal_prompt: bool,
        finished_by_default: bool,
        note: Callable[[str], None],
    ) -> None:
        self._note = note
        self._header_line = 0
        self._missing_folder = lru_cache(maxsize=1024)(self._missing_folder_uncached)
        self._manifest = manifest
        self._model = model
        self._layout = layout
        self._files = files
        self._price = price
        self._literal_prompt = literal_prompt
        self._finished_by_default = finished_by_default
        self._template: PromptTemplate | None = None
        """The default prompt, where it names columns."""
        self._finishing = FINISHING & model.pixel_settings
        self._needs = PixelNeeds(model, fitted=fitted)
        self._defaults: dict[str, Input] = {}
        self._default_files: dict[str, RowFile] = {}
        self._mistakes = [
            self._setting_mistake(f"column.{name}", f"column: {layout.explain_unknown(name)}")
            for name in layout.unknown_mappings
        ]

    def take_defaults(self, defaults: Mapping[str, str]) -> None:
        """Type the defaults of all rows; what is wrong with them is reported first."""
        for name, text in defaults.items():
            if not text.strip():
                continue
            wrong = [] if (unfit := why_unfit(name, text)) is None else [unfit]
            if not wrong and name in self._model.file_fields:
                self._take_file(name, text.strip(), self._defaults, self._default_files, wrong)
            elif not wrong and name == self._model.prompt_field and not self._literal_prompt:
                self._take_prompt(name, text, wrong)
            elif not wrong:
                self._defaults[name] = _read_typed(partial(self._model.type_cell, name), text, wrong)
            self._mistakes += [
                self._setting_mistake(f"defaults.{name}", f"defaults: {words}") for words in wrong
            ]

    def _take_prompt(self, name: str, text: str, wrong: list[str]) -> None:
        try:
            template = PromptTemplate(text)
        except ValueError as error:
            wrong.append(str(error))
            return
        if template.columns:
            self._template = template
        else:
            self._defaults[name] = template.fill((), ())

    def read_rows(self, items: Iterable[Item]) -> Iterator[Row | Mistake]:
        """Yield the rows and mistakes of *items*; see read_rows."""
        yield from sorted(self._mistakes, key=attrgetter("line"))
        sound = not self._mistakes
        seen = position = 0
        counter: RowCounter | None = None
        for item in items:
            if isinstance(item, Header):
                self._header_line = item.line
                if no_header := self._explain_header(item):
                    yield make_mistake(self._manifest.rows, item.line, no_header, ends=True)
                    return
                wrong = [*self._find_header_mistakes(item)]
                counter = RowCounter.of(item.names, self._layout.columns(item.names).counter)
                sound = sound and not wrong
                yield from wrong
                continue
            if isinstance(item, Note):
                self._note(f"{self._manifest.rows.name}: {item.text}")
                continue
            seen += 1
            if counter is not None and isinstance(item, Record) and not counter.counts_on(item.cells):
                yield make_mistake(self._manifest.rows, self._header_line, counter.explain_stop(), ends=True)
                sound, counter = False, None
            if isinstance(item, Broken):
                yield make_mistake(self._manifest.rows, item.line, item.message, ends=True)
                continue
            row = self._read_row(item, position)
            if not isinstance(row, Row):
                yield from (self._row_mistake(item.line, message) for message in row)
            elif sound:
                yield row
                position += 1
        if counter is not None and seen:
            self._note(counter.explain())
        yield from self._find_missed(seen)

    def _find_header_mistakes(self, header: Header) -> Iterator[Mistake]:
        for message in self._layout.columns(header.names).mistakes:
            yield self._row_mistake(header.line, message)
        if self._template is None:
            return
        field = self._model.prompt_field or ""
        for column in self._template.find_unknown(header.names):
            if self._manifest.defaults.get(field) == self._template.text:
                yield self._setting_mistake(f"defaults.{field}", f"{_UNKNOWN_COLUMN} {column}")
            else:
                yield self._row_mistake(header.line, f"{_UNKNOWN_COLUMN} {column}")

    def _fill_prompt(self, record: Record, inputs: dict[str, Input], wrong: list[str]) -> None:
        """Give a row without a prompt the default one, filled in from its cells."""
        field, template = self._model.prompt_field, self._template
        if template is None or field is None or field in inputs:
            return
        if unknown := template.find_unknown(record.names):
            if not self._layout.has_header:  # else it was told once, for all rows
                wrong += [f"{_UNKNOWN_COLUMN} {column}" for column in unknown]
            return
        try:
            inputs[field] = filled = template.fill(record.names, record.cells)
        except ValueError as error:
            wrong.append(str(error))
        else:
            wrong += [] if (unfit := why_unfit(field, filled)) is None else [unfit]

    def _find_missed(self, seen: int) -> Iterator[Mistake]:
        """Yield what can be known only at the end."""
        if not seen:
            yield self._row_mistake(0, "no rows: add one for each picture")
        for name, own in self._layout.never_found():
            yield self._setting_mistake(f"column.{name}", f"column: no row has {own}, which should be {name}")

    def _explain_header(self, header: Header) -> str | None:
        if not self._model.checked:
            return None
        return explain_missing_header(self._manifest, header, self._layout.knows)

    def _read_row(self, record: Record | Trouble, position: int) -> Row | list[str]:
        """Return the row that *record* stands for, or everything that is wrong with it."""
        if isinstance(record, Trouble):
            return [record.message]
        cells = record.cells
        if unfit := find_unfit_cells(record):
            return unfit
        columns = self._layout.columns(record.names)
        wrong = [] if self._layout.has_header else [*columns.mistakes]
        inputs, files = self._take_cells(cells, columns, wrong)
        if self._template is not None:
            self._fill_prompt(record, inputs, wrong)
        own_id = "" if columns.id is None else _read_id(cells[columns.id].strip(), wrong)
        if empty := [n for n in columns.needed if n not in inputs and not self._needs.spares(n, inputs)]:
            wrong += explain_empty(empty, columns.needed)
        if not wrong:
            wrong += self._needs.find_unmet(inputs, files)
        if wrong:
            return wrong
        if self._finished_by_default and can_finish(self._model, Asked(inputs, files)):
            inputs.setdefault("finish", EXACT)
        extra = {name: cells[place] for place, name in columns.extras}
        return self._make_row(position, record.line, own_id, inputs, files, extra)

    def _make_row(
        self,
        position: int,
        line: int,
        own_id: str,
        inputs: dict[str, Input],
        files: dict[str, RowFile],
        extra: dict[str, str],
    ) -> Row:
        model, asked = self._model, inputs
        if not self._finishing.isdisjoint(inputs):
            # Finished otherwise, it is the same row: it need not be paid for again.
            asked = {name: value for name, value in inputs.items() if name not in self._finishing}
        return Row(
            position=position,
            line=line,
            id=own_id or None,
            # No id is made for a row that has one.
            stem=own_id or stem_of(str(inputs.get(model.image_field or "", ""))),
            inputs=inputs,
            files=files,
            extra=extra,
            fingerprint=make_fingerprint(model.name, asked, files),
            outputs_asked=model.outputs_asked(inputs),
            price=model.price_of(inputs, self._price),
        )

    def _take_cells(
        self, cells: Sequence[str], columns: Columns, wrong: list[str]
    ) -> tuple[dict[str, Input], dict[str, RowFile]]:
        """Return the inputs and the files among them; a cell that is *wrong* is kept as text."""
        inputs, files = self._defaults.copy(), self._default_files.copy()
        for place, name, read in columns.scalars:
            text = cells[place]
            if text and not text.isspace():
                inputs[name] = _read_typed(read, text, wrong)
        for place, name in columns.files:
            text = cells[place].strip()
            if text:
                self._take_file(name, text, inputs, files, wrong)
        return inputs, files

    def _take_file(
        self, name: str, address: str, inputs: dict[str, Input], files: dict[str, RowFile], wrong: list[str]
    ) -> None:
        inputs[name] = address
        files.pop(name, None)
        try:
            if name == self._needs.drawable and (drawn := read_drawn_mask(address)) is not None:
                inputs[name] = drawn.text
                return
            inputs[name] = address = read_file_cell(address)
            file = self._files.find_file(address)
        except ValueError as error:
            wrong.append(self._explain_file(name, address, error))
            return
        if file is not None:
            files[name] = file

    def _explain_file(self, name: str, address: str, error: ValueError) -> str:
        """Return what is wrong with *address*, which is given for *name*, and what rows share of it."""
        message = f"{name}: {error}"
        if has_odd_quotes(address):
            return RowFault.shared(f"{name}: {address} is {_QUOTED}", f"{name}: {_QUOTED}")
        if is_object_address(address):
            folder, _, leaf = address.rpartition("/")
            missing = f"{name}: no such objects in {folder}/: "
        else:
            path = PurePosixPath(address.replace("\\", "/"))
            if gone := self._missing_folder(str(path.parent)):
                return RowFault.shared(message, f"{name}: {gone}")
            where = "" if str(path.parent) == "." else f" in {path.parent}"
            missing, leaf = f"{name}: no such files{where}: ", path.name
        if isinstance(error, MissingFile):
            return RowFault.shared(message, missing, value=leaf, apart=FEW)
        return message

    def _missing_folder_uncached(self, folder: str) -> str:
        """Return what to say where no *folder* of the manifest's is there; nothing where one is."""
        start = self._manifest.path.parent
        # A Path raises where a name is too long.
        if os.path.isdir(start / folder):  # noqa: PTH112
            return ""
        meant = explain_missing_folder(start, folder)
        if ":" in folder and not meant:
            return ""
        return f"there is no folder {folder}{meant or self._nearest_folder(PurePosixPath(folder))}"

    def _nearest_folder(self, folder: PurePosixPath) -> str:
        """Return `; did you mean photos?` where a folder of nearly the name stands in its place."""
        parent = self._manifest.path.parent / folder.parent
        try:
            names = [entry.name for entry in parent.iterdir() if entry.is_dir()]
        except (OSError, ValueError):
            return ""
        return did_you_mean(folder.name, names)

    def _row_mistake(self, line: int, message: str) -> Mistake:
        return make_mistake(self._manifest.rows, line, message)

    def _setting_mistake(self, name: str, message: str) -> Mistake:
        return make_mistake(self._manifest.path, self._manifest.lines.get(name, 0), message)


def _read_typed(read: Reader, text: str, wrong: list[str]) -> Input:
    try:
        return read(text)
    except UnfitValue as error:
        wrong.append(RowFault.shared(str(error), f"{error.expected}, not ", value=error.found))
    except ValueError as error:
        wrong.append(str(error))
    return text


def _read_id(text: str, wrong: list[str]) -> str:
    try:
        return check_id(text) if text else ""
    except ValueError as error:
        wrong.append(str(error))
        return text
