"""Every row's picture and mask is looked at, those that rows share only once."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import anyio

from batchfill.catalog.pixel_options import Pixels
from batchfill.check.findings_log import Findings
from batchfill.domain.drawn_masks import DrawnMask
from batchfill.domain.findings import Finding, FindingKind, Severity
from batchfill.domain.objects import ObjectFile
from batchfill.domain.rows import LocalFile
from batchfill.errors import BadPicture, Mistake, NotFetched
from batchfill.images.preflight.inspection import Inspection, InspectTask, PictureSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.check.remembered import RememberedFiles
    from batchfill.check.remote import Remote
    from batchfill.domain.findings import PictureReport
    from batchfill.domain.rows import Input, Row
    from batchfill.workers.pool import Workers

Elsewhere = str | ObjectFile
"""A file that is looked at only where asked: at an address that the service reads, or in a bucket."""

KNOWN = 10_000
"""Judgements that are remembered for rows to come."""

_USUAL = Pixels()


class _Files(NamedTuple):
    """What a judgement depends on, so that rows with the same share it. Some are elsewhere: see Elsewhere."""

    picture: LocalFile | Elsewhere | None
    mask: LocalFile | Elsewhere | DrawnMask | None
    pixels: Pixels
    choice: Input | None
    """The input that chooses the size at which the model works."""

    @property
    def elsewhere(self) -> list[Elsewhere]:
        """The files that are elsewhere."""
        return [file for file in (self.picture, self.mask) if isinstance(file, str | ObjectFile)]

    @property
    def local(self) -> list[LocalFile]:
        """The files that are here."""
        return [file for file in (self.picture, self.mask) if isinstance(file, LocalFile)]


_NONE = _Files(None, None, _USUAL, None)
"""Of rows whose files are not looked at."""


class PictureInspector:
    """Looks at the pictures of rows as they come."""

    def __init__(
        self,
        model: Model,
        rows_file: Path,
        workers: Workers,
        *,
        fitted: bool,
        remote: Remote | None,
        remembered: RememberedFiles,
    ) -> None:
        """*fitted*: local files are turned and scaled before they are sent. *remote*: None: not asked."""
        self._model = model
        self._settings = model.pixel_settings
        self._rows_file = rows_file
        self._workers = workers
        self._fitted = fitted
        self._remote = remote
        self._remembered = remembered
        self._known = {_NONE: Inspection(())}
        self._findings = Findings()

    async def inspect_rows(self, rows: Sequence[Row]) -> tuple[list[Row], list[Mistake]]:
        """Return those of *rows* whose pictures can be run, and the mistakes of the others."""
        named = [(row, self._files_of(row)) for row in rows]
        if len(self._known) > KNOWN:
            self._known = {_NONE: Inspection(())}
        async with anyio.create_task_group() as judging:
            for files in {files: None for _, files in named if files not in self._known}:
                judging.start_soon(self._inspect_files, files)
        good, mistakes = [], []
        for row, files in named:
            wrong = self._note_findings(row, files)
            mistakes += [Mistake(self._rows_file, row.line, one.text, kind=one.kind) for one in wrong]
            if not wrong:
                good.append(row)
        return good, mistakes

    def report(self) -> PictureReport:
        """Return what was found so far."""
        return self._findings.report()

    def _note_findings(self, row: Row, files: _Files) -> list[Finding]:
        """Note what is known of a row; return what is wrong with it."""
        judgement = self._known[files]
        if notes := (*self._seed_findings(row), *_case_findings(row)):
            judgement = replace(judgement, findings=(*judgement.findings, *notes))
        self._findings.add(row, files, judgement)
        return judgement.mistakes

    def _seed_findings(self, row: Row) -> Iterator[Finding]:
        seed = row.inputs.get(self._model.seed_field or "")
        if isinstance(seed, int) and seed < 0:
            text = f"seed {seed} is no random seed, and models may refuse it"
            way = "leave the cell empty for a random seed"
            yield Finding(FindingKind.SEED, Severity.WARNING, f"{text}: {way}")

    def _files_of(self, row: Row) -> _Files:
        model, rule = self._model, self._model.size_rule
        picture = self._file_of(row, model.image_field)
        drawn = model.drawn_mask(row.inputs)
        # Nothing is told of what is drawn on a picture that is not looked at.
        mask = (picture and drawn) if drawn else self._file_of(row, model.mask_field)
        if picture is None and mask is None:
            return _NONE
        choice = None if rule is None else row.inputs.get(rule.field)
        usual = drawn is None and self._settings.isdisjoint(row.inputs)
        return _Files(picture, mask, _USUAL if usual else model.pixels(row.inputs), choice)

    def _file_of(self, row: Row, name: str | None) -> LocalFile | Elsewhere | None:
        if name is None or name not in row.inputs:
            return None
        file = row.files.get(name)
        if isinstance(file, LocalFile):
            return file if file.spelled is None else replace(file, spelled=None)
        self._findings.remote += self._remote is None
        return (file or str(row.inputs[name])) if self._remote else None

    async def _inspect_files(self, files: _Files) -> None:
        async with self._fetch_remote(files) as fetched:
            places = dict(zip(files.elsewhere, fetched, strict=False))
            task = self._make_task(files, places)
            judgement = self._recall(task, files) or await self._run_inspection(task, files)
        failures = tuple(
            _unfetched_finding(place) for place in places.values() if isinstance(place, NotFetched)
        )
        self._known[files] = replace(judgement, findings=(*judgement.findings, *failures))

    def _recall(self, task: InspectTask, files: _Files) -> Inspection | None:
        return None if files.elsewhere else self._remembered.recall(task, files.local)

    async def _run_inspection(self, task: InspectTask, files: _Files) -> Inspection:
        # Decoders are loaded where there is a file to decode.
        from batchfill.images.preflight.inspect import inspect_files

        try:
            judgement = await self._workers.do(inspect_files, task)
        except BadPicture as error:
            names = " and ".join(source.name for source in (task.picture, task.mask) if source)
            text = f"{names}: {error}"
            return Inspection((Finding(FindingKind(error.kind), Severity.MISTAKE, text),))
        if not files.elsewhere:
            self._remembered.note(task, files.local, judgement)
        return judgement

    def _fetch_remote(self, files: _Files) -> AbstractAsyncContextManager[list[Path | NotFetched]]:
        if self._remote is None or not files.elsewhere:
            return nullcontext([])
        return self._remote.open_files(files.elsewhere)

    def _make_source(
        self, file: LocalFile | Elsewhere | None, places: dict[Elsewhere, Path | NotFetched]
    ) -> PictureSource | None:
        if file is None:
            return None
        if isinstance(file, LocalFile):
            return PictureSource(file.path, file.path.name, fitted=self._fitted)
        place = places.get(file)
        if place is None or isinstance(place, NotFetched):
            return None
        if isinstance(file, str):
            return PictureSource(place, _file_name(file), fitted=False, remote=True)
        return PictureSource(place, file.name, fitted=self._fitted)

    def _make_task(self, files: _Files, places: dict[Elsewhere, Path | NotFetched]) -> InspectTask:
        picture, drawn = self._make_source(files.picture, places), files.mask
        mask = drawn if isinstance(drawn, DrawnMask) else self._make_source(drawn, places)
        rule = self._model.size_rule
        inputs = {} if rule is None or files.choice is None else {rule.field: files.choice}
        return InspectTask(picture, mask, files.pixels, rule, inputs)


def _case_findings(row: Row) -> Iterator[Finding]:
    for name, file in row.files.items():
        if isinstance(file, LocalFile) and file.spelled is not None:
            text = f"{row.inputs[name]} is {file.spelled} here: the case of its letters differs"
            yield Finding(FindingKind.CASE, Severity.NOTE, text)


def _file_name(address: str) -> str:
    parts = urlsplit(address)
    return unquote(PurePosixPath(parts.path).name) or parts.netloc


def _unfetched_finding(error: NotFetched) -> Finding:
    return Finding(FindingKind.UNFETCHED, Severity.WARNING, str(error))
