"""What an earlier check saw of local files: one that did not change since costs a stat."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from batchfill.domain.findings import Finding, FindingKind, Severity, Sizes
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.images.preflight.inspection import Inspection
from batchfill.ledger.digests import SETTLED
from batchfill.manifest.local_files import digest_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from batchfill.images.preflight.inspection import InspectTask
    from batchfill.ledger.caches.file_memory import FileMemory


class RememberedFiles:
    """Digests by a file's stamp, and inspections by the digests of what was inspected.

    What it says is free to be wrong for a file that was changed without a trace in its stamp: `check` pays
    nothing, and a run reads and hashes what it sends.
    """

    def __init__(self, memory: FileMemory, now: Callable[[], float]) -> None:
        self._memory = memory
        self._now = now

    def digest_file(self, path: Path) -> LocalFile:
        """Return *path* with its stamp and SHA-256, read only where it changed. Raises OSError."""
        stamp = Stamp.of(path.stat())
        facts = ["sha256", str(path), *stamp]
        known = self._memory.recall(facts)
        if isinstance(known, str):
            return LocalFile(path, stamp, known)
        file = digest_file(path)
        if file.stamp == stamp and self._is_settled(stamp):
            self._memory.note(facts, file.sha256)
        return file

    def recall(self, task: InspectTask, files: Iterable[LocalFile]) -> Inspection | None:
        """Return what became of *task* when its *files* were as they are; None: it is not known."""
        known = self._memory.recall(self._facts_of(task, files))
        try:
            return None if known is None else _to_inspection(known)
        except (TypeError, ValueError):
            return None

    def note(self, task: InspectTask, files: Iterable[LocalFile], inspection: Inspection) -> None:
        """Remember what became of *task*, unless there are mistakes, or its *files* changed meanwhile.

        A mistake may be this machine's, which had no memory left, say; and mistakes are there to be mended.
        """
        if not inspection.mistakes and all(map(self._is_as_it_was, files)):
            self._memory.note(self._facts_of(task, files), _to_json(inspection))

    @cached_property
    def _rules(self) -> list[str]:
        # Decoders are loaded where there is a file to decode.
        from batchfill.images.preflight.inspect import inspection_rules

        return inspection_rules()

    def _facts_of(self, task: InspectTask, files: Iterable[LocalFile]) -> list[Any]:
        return ["inspection", self._rules, repr(task), [file.sha256 for file in files]]

    def _is_as_it_was(self, file: LocalFile) -> bool:
        try:
            return Stamp.of(file.path.stat()) == file.stamp and self._is_settled(file.stamp)
        except OSError:
            return False

    def _is_settled(self, stamp: Stamp) -> bool:
        return self._now() - max(stamp.mtime_ns, stamp.ctime_ns) / 1e9 > SETTLED


def _to_json(inspection: Inspection) -> list[Any]:
    return [[[f.kind, f.severity, f.text] for f in inspection.findings], inspection.scale, inspection.cover]


def _to_inspection(known: Any) -> Inspection:
    """Return the inspection. Raises TypeError, ValueError for what `_to_json` did not make."""
    findings, scale, cover = known
    found = tuple(Finding(FindingKind(kind), Severity(severity), text) for kind, severity, text in findings)
    return Inspection(found, None if scale is None else _to_sizes(*scale), cover)


def _to_sizes(picture: Any, area: Any, generated: Any, canvas: Any) -> Sizes:
    return Sizes(
        tuple(picture), area and tuple(area), generated and tuple(generated), canvas and tuple(canvas)
    )
