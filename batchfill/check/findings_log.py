"""What was found in the pictures of a manifest, counted for all rows and kept for a bounded number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchfill.domain.findings import FindingKind, LocatedFinding, PictureReport, Severity, SizesCount

if TYPE_CHECKING:
    from collections.abc import Hashable

    from batchfill.domain.findings import Finding, Sizes
    from batchfill.domain.rows import Row
    from batchfill.images.preflight.inspection import Inspection

KEPT = 100
"""Warnings and notes in the report."""

KEPT_OF_A_KIND = 100
SCALES_KEPT = 1000
SCALES_TOLD = 100
NAMED = 3
"""Rows of one scale that are named."""

_KINDS, _GRAVITIES = list(FindingKind), list(Severity)


@dataclass(slots=True)
class _Kept:
    finding: Finding
    line: int
    id: str
    rows: int = 0

    def as_located(self) -> LocatedFinding:
        return LocatedFinding(self.finding, self.line, self.id, self.rows)

    def sort_key(self) -> tuple[int, int, int]:
        """Return what sorts the worst first, and the rows of a kind in their order."""
        return _GRAVITIES.index(self.finding.severity), _KINDS.index(self.finding.kind), self.line


@dataclass(slots=True)
class _Rows:
    """The rows of one scale."""

    rows: int = 0
    first: list[tuple[str, float | None]] = field(default_factory=list)
    covers: tuple[float, float] | None = None

    def add(self, id_: str, cover: float | None) -> None:
        self.rows += 1
        if len(self.first) < NAMED:
            self.first.append((id_, cover))
        if cover is not None:
            least, most = self.covers or (cover, cover)
            self.covers = min(least, cover), max(most, cover)

    def as_count(self, scale: Sizes) -> SizesCount:
        least, most = self.covers or (None, None)
        return SizesCount(scale, self.rows, tuple(self.first), least, most)


class Findings:
    """Takes what each row's pictures hold; its size does not grow with the rows."""

    def __init__(self) -> None:
        self._kinds: Counter[FindingKind] = Counter()
        self._listable = 0
        self._kept: dict[tuple[Hashable, Finding], _Kept] = {}
        self._kept_of: Counter[tuple[Severity, FindingKind]] = Counter()
        self._scales: dict[Sizes, _Rows] = {}
        self._other_scales = 0
        self.remote = 0
        """Files at addresses that were not looked at."""

    def add(self, row: Row, files: Hashable, judgement: Inspection) -> None:
        """Note what there is to know of *row*; rows that share their *files* share what is found in them."""
        id_ = row.id or row.stem
        if judgement.findings:
            self._kinds.update({finding.kind for finding in judgement.findings})
            for finding in judgement.findings:
                if finding.severity is not Severity.MISTAKE:
                    self._keep_finding(row.line, id_, files, finding)
        if judgement.scale is not None and not judgement.mistakes:
            self._count_sizes(judgement.scale, id_, judgement.cover)

    def report(self) -> PictureReport:
        """Return what was found, the worst first."""
        listed = sorted(self._kept.values(), key=_Kept.sort_key)[:KEPT]
        scales = sorted(self._scales.items(), key=lambda item: -item[1].rows)
        told, untold = scales[:SCALES_TOLD], scales[SCALES_TOLD:]
        return PictureReport(
            found=tuple(kept.as_located() for kept in listed),
            left_out=self._listable - sum(kept.rows for kept in listed),
            kinds={kind: self._kinds[kind] for kind in _KINDS if self._kinds[kind]},
            scales=tuple(rows.as_count(scale) for scale, rows in told),
            other_scales=self._other_scales + sum(rows.rows for _, rows in untold),
            remote=self.remote,
        )

    def _keep_finding(self, line: int, id_: str, files: Hashable, finding: Finding) -> None:
        self._listable += 1
        key, kind = (files, finding), (finding.severity, finding.kind)
        if key not in self._kept and self._kept_of[kind] < KEPT_OF_A_KIND:
            self._kept_of[kind] += 1
            self._kept[key] = _Kept(finding, line, id_)
        if key in self._kept:
            self._kept[key].rows += 1

    def _count_sizes(self, scale: Sizes, id_: str, cover: float | None) -> None:
        if scale in self._scales or len(self._scales) < SCALES_KEPT:
            self._scales.setdefault(scale, _Rows()).add(id_, cover)
        else:
            self._other_scales += 1
