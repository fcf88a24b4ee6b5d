from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.check import findings_log as findings_log_module
from batchfill.check.findings_log import Findings
from batchfill.domain.findings import Finding, FindingKind, Severity, Sizes
from batchfill.domain.rows import Row
from batchfill.images.preflight.inspection import Inspection

if TYPE_CHECKING:
    import pytest

    from batchfill.domain.findings import PictureReport

SCALE = Sizes((4032, 3024), None, (1152, 864))


def row(line: int, id_: str | None = None) -> Row:
    return Row(line - 2, line, id_, f"stem{line}", {}, {}, {}, "", 1, None)


def finding(kind: str, gravity: str = "warning", text: str = "m.png") -> Finding:
    return Finding(FindingKind(kind), Severity(gravity), text)


def told(report: PictureReport) -> list[tuple[int, str, int]]:
    return [(found.line, found.finding.kind.value, found.rows) for found in report.found]


def test_the_worst_comes_first_and_rows_of_a_kind_in_their_order() -> None:
    findings = Findings()
    for line, kind, gravity in [
        (2, "soft", "note"),
        (3, "size", "warning"),
        (4, "polarity", "warning"),
        (5, "alpha", "note"),
        (6, "polarity", "warning"),
    ]:
        findings.add(row(line), line, Inspection((finding(kind, gravity),)))
    assert told(findings.report()) == [
        (4, "polarity", 1),
        (6, "polarity", 1),
        (3, "size", 1),
        (5, "alpha", 1),
        (2, "soft", 1),
    ]


def test_rows_that_share_files_share_a_finding_and_are_all_counted() -> None:
    findings = Findings()
    for line in range(2, 1002):
        findings.add(row(line, "hero"), "files", Inspection((finding("polarity"),)))
    report = findings.report()
    assert told(report) == [(2, "polarity", 1000)]
    assert report.kinds == {FindingKind.POLARITY: 1000}
    assert (report.found[0].id, report.left_out) == ("hero", 0)


def test_kinds_count_rows_not_findings_and_mistakes_too() -> None:
    findings = Findings()
    both = finding("unreadable", "mistake", "a.png"), finding("unreadable", "mistake", "m.png")
    findings.add(row(2), "a", Inspection((*both, finding("size"))))
    findings.add(row(3), "b", Inspection((finding("size"),)))
    report = findings.report()
    assert list(report.kinds.items()) == [(FindingKind.UNREADABLE, 1), (FindingKind.SIZE, 2)]
    assert [found.finding.severity for found in report.found] == [Severity.WARNING] * 2


def test_what_is_kept_is_bounded_holds_the_worst_and_says_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(findings_log_module, "KEPT", 5)
    monkeypatch.setattr(findings_log_module, "KEPT_OF_A_KIND", 4)
    findings = Findings()
    for line in range(2, 52):
        findings.add(row(line), line, Inspection((finding("soft", "note"),)))
    for line in range(52, 55):
        findings.add(row(line), line, Inspection((finding("polarity"),)))
    report = findings.report()
    worst = [(line, "polarity", 1) for line in (52, 53, 54)]
    assert told(report) == [*worst, (2, "soft", 1), (3, "soft", 1)]
    assert report.left_out == 48
    assert report.kinds == {FindingKind.POLARITY: 3, FindingKind.SOFT: 50}


def test_rows_are_counted_by_their_sizes_the_most_frequent_first() -> None:
    findings = Findings()
    small = Sizes((512, 512), None, (1024, 1024))
    findings.add(row(2, "one"), 2, Inspection((), small, 0.25))
    for line in range(3, 13):
        findings.add(row(line, f"r{line}"), line, Inspection((), SCALE, line / 100))
    most, least = findings.report().scales
    assert (most.scale, most.rows, most.least, most.most) == (SCALE, 10, 0.03, 0.12)
    assert most.first == (("r3", 0.03), ("r4", 0.04), ("r5", 0.05))
    assert (least.scale, least.rows, least.first) == (small, 1, (("one", 0.25),))


def test_sizes_are_bounded_and_rows_of_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings_log_module, "SCALES_KEPT", 6)
    monkeypatch.setattr(findings_log_module, "SCALES_TOLD", 4)
    findings = Findings()
    for side in range(1, 11):
        findings.add(row(side + 1), side, Inspection((), Sizes((side, side), None, None)))
    report = findings.report()
    assert (len(report.scales), report.other_scales) == (4, 6)


def test_a_row_with_a_mistake_has_no_size() -> None:
    findings = Findings()
    findings.add(row(2), "a", Inspection((finding("empty", "mistake"),), SCALE))
    assert findings.report().scales == ()
