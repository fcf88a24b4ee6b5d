"""Ingests the manifest: checks its rows, hands them to the ledger, remembers what they rest on."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill._version import __version__
from batchfill.domain.objects import ObjectFile
from batchfill.domain.rows import Row
from batchfill.errors import ManifestError, Mistake
from batchfill.ledger.reader import open_reader
from batchfill.manifest.local_addresses import reach_of
from batchfill.manifest.local_files import FileLocations, digest_file
from batchfill.manifest.prompt_template import PromptTemplate, is_template
from batchfill.manifest.prompts import Prompts
from batchfill.manifest.validation import read_rows
from batchfill.storage.object_finder import open_finder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import LocalFile
    from batchfill.images.preflight.picture_headers import PictureHeaders
    from batchfill.ledger.digests import Digests
    from batchfill.ledger.import_rows import Duplicate, RowImport
    from batchfill.manifest.file_cells import FindObject
    from batchfill.manifest.local_files import Digest
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings


NEIGHBOURS = 4096
"""Files that are looked at only once, where rows that name them stand together."""


def manifest_digest(manifest: Manifest, model: Model, settings: Settings) -> str | None:
    """Return 64 hex digits of all that reading *manifest* depends on, except the local files that rows name.

    None when it cannot be told, because a file cannot be read.
    """
    try:
        files = [_file_facts(path) for path in dict.fromkeys((manifest.path, manifest.rows))]
    except OSError:
        return None
    rests_on = {
        "program": [__version__, *sys.version_info[:3]],
        "files": files,
        "kinds": [manifest.kind, manifest.rows_kind, manifest.encoding, manifest.sheet],
        "model": repr(model),
        "defaults": dict(settings.defaults),
        "column": dict(settings.column),
        "extra_columns": settings.extra_columns,
        "literal": [settings.literal_prompt, settings.literal_quotes],
        "finish": settings.finished_by_default,
        "price": settings.price,
        "reach": None if settings.allow_outside else [str(part) for part in reach_of(manifest.path.parent)],
    }
    return sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()


def files_stand(ledger: Path, folder: Path) -> bool:
    """Whether each file that rows in *ledger* name is the one that was read; *folder*: the manifest's."""
    stands = lru_cache(maxsize=NEIGHBOURS)(FileLocations(folder).still_hold)
    with open_reader(ledger) as reader, open_finder() as finder:
        return all(
            finder.still_holds(file) if isinstance(file, ObjectFile) else stands(file)
            for file in reader.named_files()
        )


def _file_facts(path: Path) -> list[str | int]:
    file = digest_file(path)
    return [file.stamp.size, file.stamp.mtime_ns, file.sha256]


CHUNK = 500
KEPT = 1000
"""Causes of mistakes that are kept; beyond them mistakes are only counted."""


@dataclass(slots=True)
class Reading:
    """What reading a manifest found."""

    rows: int = 0
    more: int = 0
    """Mistakes beyond those kept."""
    bad_rows: int = 0
    """Rows with a mistake."""
    whole: bool = True
    """Whether the file could be read to its end."""
    prompts: Prompts = field(default_factory=lambda: Prompts(None))
    """Of the rows without a mistake."""
    notes: list[str] = field(default_factory=list)
    """What is good to know of the file as a whole."""
    _last: tuple[Path, int] | None = None
    _kept: dict[tuple[Path, str], Mistake] = field(default_factory=dict)

    @property
    def mistakes(self) -> list[Mistake]:
        """Those kept, one of each cause, the worst first."""
        return sorted(
            chain.from_iterable(mistake.told() for mistake in self._kept.values()), key=Mistake.sort_key
        )

    @property
    def bad(self) -> int:
        """How many mistakes there are."""
        return sum(mistake.rows for mistake in self._kept.values()) + self.more

    def add_mistake(self, mistake: Mistake) -> None:
        """Note one mistake; those of one row come one after the other."""
        self.whole = self.whole and not mistake.ends
        self.bad_rows += (mistake.file, mistake.line) != self._last
        self._last = (mistake.file, mistake.line)
        key = mistake.file, mistake.cause
        if key in self._kept:
            self._kept[key] = self._kept[key].shared(mistake)
        elif len(self._kept) < KEPT:
            self._kept[key] = mistake
        else:
            self.more += 1

    def refuse_mistakes(self, *, skip_bad: bool) -> None:
        """Raise ManifestError when there are any; with *skip_bad* only for those about more than a row.

        Rows that could not be read would otherwise count as taken out of the manifest.
        """
        if self._kept and not (skip_bad and self.whole and self.rows):
            raise ManifestError(self.mistakes, more=self.more)


async def ingest_rows(
    intake: RowImport,
    manifest: Manifest,
    model: Model,
    settings: Settings,
    digests: Digests,
    find_object: FindObject,
    *,
    remember: Callable[[list[LocalFile]], Awaitable[None]] | None = None,
    look_at: Callable[[list[Row]], Awaitable[tuple[list[Row], list[Mistake]]]] | None = None,
) -> Reading:
    """Read every row into *intake*, identified; mistakes are in the answer, duplicates among them.

    Headers of local pictures are looked at here; pixels at the row's turn. *remember* is given the files
    that had to be read. *look_at* is given the rows without a mistake and returns those whose pictures have
    none either, and the mistakes of the others; where it does, headers are left to it.
    """
    reading = Reading(prompts=Prompts(model.prompt_field, _template_of(model, settings)))
    rows = read_checked(manifest, model, settings, digests, find_object, reading.notes.append)
    if look_at is None:
        rows = _check_headers(rows, manifest, model, fitted=settings.send == "fitted")
    while chunk := await to_thread.run_sync(lambda: list(islice(rows, CHUNK))):
        for mistake in (item for item in chunk if isinstance(item, Mistake)):
            reading.add_mistake(mistake)
        good = [item for item in chunk if isinstance(item, Row)]
        reading.prompts.add_rows(good)
        if look_at is not None:
            good, wrong = await look_at(good)
            for mistake in wrong:
                reading.add_mistake(mistake)
        reading.rows += len(good)
        await intake.add_rows(good)
        if remember is not None and (new := digests.take_new()):
            await remember(new)
    await intake.identify_rows()
    for double in await intake.find_duplicates(KEPT):
        reading.add_mistake(Mistake(manifest.rows, double.line, _duplicate_text(double)))
    return reading


def _template_of(model: Model, settings: Settings) -> PromptTemplate | None:
    """Return the default prompt, where rows without a prompt are given it, filled in."""
    text = settings.defaults.get(model.prompt_field or "", "")
    if not is_template(text) or settings.literal_prompt:
        return None
    with suppress(ValueError):  # told as a mistake of the defaults
        return PromptTemplate(text)
    return None


def _duplicate_text(double: Duplicate) -> str:
    case = "" if double.id == double.first_id else f" (as {double.first_id}: only the case differs)"
    return f"id {double.id} is used already in line {double.first_line}{case}"


def read_checked(
    manifest: Manifest,
    model: Model,
    settings: Settings,
    digest: Digest,
    find_object: FindObject,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Row | Mistake]:
    """Yield the rows of *manifest*, and its mistakes, as *settings* have them read."""
    return read_rows(
        manifest,
        model,
        defaults=settings.defaults,
        column=settings.column,
        extra_columns=settings.extra_columns,
        allow_outside=settings.allow_outside,
        price=settings.price,
        fitted=settings.send == "fitted",
        literal_prompt=settings.literal_prompt,
        literal_quotes=settings.literal_quotes,
        finished_by_default=settings.finished_by_default,
        digest=digest,
        find_object=find_object,
        note=note,
    )


def _check_headers(
    rows: Iterator[Row | Mistake], manifest: Manifest, model: Model, *, fitted: bool
) -> Iterator[Row | Mistake]:
    headers: PictureHeaders | None = None
    for row in rows:
        message = None
        # Objects are read at the row's turn.
        if isinstance(row, Row) and row.local_files:
            headers = headers or _make_headers(model, fitted=fitted)
            message = headers.find_trouble(row)
        yield row if message is None else Mistake(manifest.rows, row.line, message)


def _make_headers(model: Model, *, fitted: bool) -> PictureHeaders:
    # Decoders are loaded where there is a file to decode.
    from batchfill.images.preflight.picture_headers import PictureHeaders

    return PictureHeaders(model, fitted=fitted)
