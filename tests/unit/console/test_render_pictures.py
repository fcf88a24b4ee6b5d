from __future__ import annotations

from batchfill.console.render_pictures import finding_lines, kind_line, remote_line, scale_lines
from batchfill.domain.findings import (
    Finding,
    FindingKind,
    LocatedFinding,
    PictureReport,
    Severity,
    Sizes,
    SizesCount,
)

WHOLE = Sizes((4032, 3024), None, (1152, 864))
AREA = Sizes((4032, 3024), (1024, 1024), (1024, 1024))


def found(line: int, rows: int = 1, text: str = "m.png is 88% white") -> LocatedFinding:
    return LocatedFinding(Finding(FindingKind.POLARITY, Severity.WARNING, text), line, "hero", rows)


def sizes(*scales: SizesCount, others: int = 0) -> list[str]:
    return list(scale_lines(PictureReport(scales=scales, other_scales=others)))


def one(scale: Sizes, cover: float | None = 0.12) -> SizesCount:
    return SizesCount(scale, 1, (("hero", cover),), cover, cover)


def test_a_finding_is_told_with_its_place_and_how_many_rows_share_it() -> None:
    report = PictureReport(found=(found(2), found(5, rows=1000)))
    assert list(finding_lines(report, "night.csv")) == [
        "warning: night.csv:2: m.png is 88% white",
        "warning: night.csv:5: m.png is 88% white (and 999 more rows)",
    ]


def test_of_many_findings_the_first_twenty_are_shown_and_the_rows_of_the_others_counted() -> None:
    report = PictureReport(found=tuple(found(n, rows=2) for n in range(30)), left_out=7)
    lines = list(finding_lines(report, "night.csv"))
    assert len(lines) == 21
    assert lines[-1] == "… and 27 more warnings or notes"


def test_a_name_that_holds_escape_sequences_is_harmless() -> None:
    lines = [*finding_lines(PictureReport(found=(found(2, text="\x1b[2Jm.png"),)), "night.csv")]
    lines += sizes(SizesCount(WHOLE, 1, (("\x1b[2Jhero", None),), None, None))
    assert not any("\x1b" in line for line in lines)


def test_kinds_are_summed_up_in_a_line() -> None:
    report = PictureReport(kinds={FindingKind.POLARITY: 1200, FindingKind.SOFT: 3})
    assert list(kind_line(report)) == ["rows by what was found in their pictures: polarity 1,200, soft 3"]
    assert list(kind_line(PictureReport())) == []


def test_a_row_is_told_at_what_size_the_model_works() -> None:
    assert sizes(one(WHOLE)) == ["hero: 4032x3024 is generated at 1152x864; its mask fills 12%"]
    assert sizes(one(WHOLE, None)) == ["hero: 4032x3024 is generated at 1152x864"]
    assert sizes(one(AREA, 0.004)) == [
        "hero: 1024x1024 around its mask, of 4032x3024, is generated at 1024x1024; its mask fills 0.4%"
    ]


def test_where_the_models_rule_is_not_known_the_size_is_told_without_it() -> None:
    assert sizes(one(WHOLE._replace(generated=None), 0.0001)) == [
        "hero: 4032x3024; its mask fills under 0.1%"
    ]
    assert sizes(one(AREA._replace(generated=None), None)) == [
        "hero: 1024x1024 around its mask, of 4032x3024, is sent"
    ]


def test_many_rows_of_one_size_are_told_in_one_line() -> None:
    first = (("a", 0.1), ("b", 0.2), ("c", 0.3))
    assert sizes(SizesCount(WHOLE, 9500, first, 0.02, 0.63)) == [
        "9,500 pictures of 4032x3024 are generated at 1152x864; their masks fill 2% to 63%"
    ]
    assert sizes(SizesCount(AREA, 4, first, 0.1, 0.1)) == [
        "4 pictures: 1024x1024 around the mask, of 4032x3024, are generated at 1024x1024; "
        "their masks fill 10%"
    ]


def test_of_many_sizes_the_first_twenty_are_shown_and_the_rows_of_the_others_counted() -> None:
    scales = [SizesCount(Sizes((n, n), None, None), 5, (), None, None) for n in range(1, 26)]
    lines = sizes(*scales, others=100)
    assert len(lines) == 21
    assert lines[-1] == "… and 125 more rows of other sizes"


def test_files_at_addresses_are_told_of() -> None:
    assert list(remote_line(PictureReport(remote=2))) == ["2 files at addresses not looked at: --fetch does"]
    assert list(remote_line(PictureReport())) == []


def test_a_larger_picture_is_told_with_its_new_size_and_how_much_is_made_up() -> None:
    large = Sizes((1000, 800), None, (1152, 896), (1400, 1120))
    assert sizes(one(large, 0.49)) == [
        "hero: 1000x800 is enlarged to 1400x1120, generated at 1152x896; 49% of that is made up"
    ]
    many = SizesCount(large._replace(generated=None), 9, (), 0.4, 0.5)
    assert sizes(many) == ["9 pictures of 1000x800 are enlarged to 1400x1120; 40% to 50% of that is made up"]
