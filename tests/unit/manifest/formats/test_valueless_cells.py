"""Cells that the reader of workbooks gives as empty: each would be paid for as if it had been left out."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from batchfill.manifest.formats import valueless_cells
from batchfill.manifest.formats.valueless_cells import find_valueless

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.rows import Row
    from batchfill.errors import Mistake

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"

FORMULA = (
    "{} holds a formula without its value: "
    "open the workbook in a spreadsheet program and save it there, which works formulas out"
)


def text(place: str, value: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


def head(line: int = 1, first: str = "A") -> str:
    columns = [chr(ord(first) + step) for step in range(4)]
    names = ["image", "mask", "prompt", "guidance"]
    cells = (text(f"{column}{line}", name) for column, name in zip(columns, names, strict=True))
    return f'<row r="{line}">{"".join(cells)}</row>'


def row(*cells: str, line: int = 2) -> str:
    files = [text(f"A{line}", "http://x/a.png"), text(f"B{line}", "http://x/m.png")]
    return f'<row r="{line}">{"".join([*files, *cells])}</row>'


def book(*rows: str, prefix: str = "", target: str = "worksheets/sheet1.xml") -> bytes:
    """Return a workbook with one sheet, `Night`, written by hand: cells as any program may write them."""
    mark = f"{prefix}:" if prefix else ""
    named = f"xmlns:{prefix}" if prefix else "xmlns"
    sheet = f"<worksheet {named}='{MAIN}'><sheetData>{''.join(rows)}</sheetData></worksheet>"
    if prefix:
        for name in ("worksheet", "sheetData", "row", "c", "is", "t", "f", "v"):
            sheet = sheet.replace(f"<{name}>", f"<{mark}{name}>").replace(f"<{name} ", f"<{mark}{name} ")
            sheet = sheet.replace(f"</{name}>", f"</{mark}{name}>").replace(f"<{name}/>", f"<{mark}{name}/>")
    content = f"{PACKAGE}/content-types"
    of_sheets = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    place = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{content}">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{of_sheets}.sheet.main+xml"/>'
        f'<Override PartName="/{place}" ContentType="{of_sheets}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="Night" sheetId="1" r:id="r7"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r7" Type="{OFFICE}/worksheet" Target="{target}"/></Relationships>',
        place: sheet,
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as package:
        for name, value in parts.items():
            package.writestr(name, value)
    return held.getvalue()


ERRORS = ["#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_a_setting_is_a_mistake_that_names_it(
    mistakes: Callable[..., list[str]], error: str
) -> None:
    line = row(text("C2", "a boat"), f'<c r="D2" t="e"><f>VLOOKUP(1,A1,1)</f><v>{error}</v></c>')

    assert mistakes(book(head(), line), "night.xlsx") == [
        f"night.xlsx:2: guidance must be a number, not '{error}'"
    ]


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="D2"><f>1+1</f></c>',
        '<c r="D2"><f>1+1</f><v></v></c>',
        '<c r="D2"><f>1+1</f><v/></c>',
        '<c r="D2" t="n"><f>1+1</f></c>',
        '<c r="D2" t="b"><f>TRUE</f></c>',
        '<c r="D2"><f t="shared" si="0"/></c>',
        '<c r="D2"><f t="array" ref="D2">1+1</f></c>',
        '<c r="d2" s="3"><f\n>1+1</f></c>',
        "<c r='D2'><f>1+1</f></c>",
        "<c><f>1+1</f></c>",
    ],
)
def test_a_formula_that_no_program_worked_out_is_a_mistake_of_its_row(
    mistakes: Callable[..., list[str]], cell: str
) -> None:
    line = row(text("C2", "a boat"), cell)

    assert mistakes(book(head(), line), "night.xlsx") == [f"night.xlsx:2: {FORMULA.format('guidance')}"]


@pytest.mark.parametrize(
    ("cell", "guidance"),
    [
        ('<c r="D2"><f>1+1</f><v>2</v></c>', 2),
        ('<c r="D2"><f>0</f><v>3.5</v></c>', 3.5),
        ('<c r="D2" t="str"><f>IF(1,"")</f><v></v></c>', 30),
        ('<c r="D2" t="str"><f>"4"</f><v>4</v></c>', 4),
        ('<c r="D2"/>', 30),
        ("", 30),
    ],
)
def test_what_a_program_worked_out_is_the_value(
    rows: Callable[..., list[Row]], cell: str, guidance: float
) -> None:
    (made,) = rows(book(head(), row(text("C2", "a boat"), cell)), "night.xlsx")

    assert made.inputs.get("guidance", 30) == guidance


@pytest.mark.parametrize("below", ["", row(text("C3", "a boat"), line=3)])
def test_a_row_of_formulas_alone_is_not_left_out(mistakes: Callable[..., list[str]], below: str) -> None:
    cells = "".join(f'<c r="{column}2"><f>Other!{column}2</f></c>' for column in "ABC")

    assert mistakes(book(head(), f'<row r="2">{cells}</row>', below), "night.xlsx") == [
        f"night.xlsx:2: {FORMULA.format('image')}"
    ]


def test_a_formula_beyond_the_named_columns_is_as_empty_as_it_looks(rows: Callable[..., list[Row]]) -> None:
    line = row(text("C2", "a boat"), '<c r="H2"><f>SUM(D1:D9)</f></c>')

    assert len(rows(book(head(), line), "night.xlsx")) == 1


@pytest.mark.parametrize("line", [2, 3, 9])
def test_a_sum_next_to_the_table_makes_no_row(rows: Callable[..., list[Row]], line: int) -> None:
    below = f'<row r="{line}"><c r="H{line}"><f>SUM(D1:D9)</f></c></row>'
    lines = (
        [below, row(text("C4", "a boat"), line=4)] if line < 4 else [row(text("C4", "a boat"), line=4), below]
    )

    assert [made.line for made in rows(book(head(), *lines), "night.xlsx")] == [4]


@pytest.mark.parametrize("cells", ["ABCD", "C"])
def test_names_of_columns_that_are_formulas_without_values_are_told(
    mistakes: Callable[..., list[str]], cells: str
) -> None:
    names = "".join(
        f'<c r="{column}1"><f>Other!{column}1</f></c>' if column in cells else text(f"{column}1", name)
        for column, name in zip("ABCD", ("image", "mask", "prompt", "guidance"), strict=True)
    )
    made = book(f'<row r="1">{names}</row>', row(text("C2", "a boat")))

    (found,) = mistakes(made, "night.xlsx")
    assert found.startswith("night.xlsx:1: the names of its columns are formulas without their values: open")


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "", "x"])
def test_a_line_whose_number_is_none_is_the_one_after_the_line_before(
    mistakes: Callable[..., list[str]], number: str
) -> None:
    line = row(text("C2", "a boat"), '<c r="D2" t="e"><v>#N/A</v></c>').replace('r="2"', f'r="{number}"', 1)

    found = mistakes(book(head(), line), "night.xlsx")
    assert len(found) == 1
    assert any(said in found[0] for said in ("#N/A", "cannot be read", "most of them empty"))


@pytest.mark.parametrize("number", ["1048576", "9" * 5000])
def test_cells_without_places_far_down_are_told_before_the_reader_takes_the_memory(
    mistakes: Callable[..., list[str]], number: str
) -> None:
    far = f'<row r="{number}"><c><v>1</v></c></row>'

    (found,) = mistakes(book(head(), row(text("XFD2", "x")), far), "night.xlsx")
    assert "columns, most of them empty" in found


def test_a_line_far_down_without_cells_takes_no_memory(rows: Callable[..., list[Row]]) -> None:
    made = book(head(), row(text("C2", "a boat")), '<row r="1048576" hidden="1"/>')

    assert len(rows(made, "night.xlsx")) == 1


def test_an_error_beyond_the_named_columns_is_told_as_any_value_is(
    mistakes: Callable[..., list[str]],
) -> None:
    line = row(text("C2", "a boat"), '<c r="H2" t="e"><v>#N/A</v></c>')

    assert mistakes(book(head(), line), "night.xlsx") == [
        "night.xlsx:2: a cell to the right of the 4 columns that have a name: name its column"
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": "x"},
        {"target": "/xl/worksheets/sheet1.xml"},
        {"target": "sheets/Other.xml"},
    ],
)
def test_a_workbook_may_name_its_parts_as_it_likes(
    mistakes: Callable[..., list[str]], options: dict[str, str]
) -> None:
    line = row(text("C2", "a boat"), '<c r="D2" t="e"><v>#N/A</v></c>')

    assert mistakes(book(head(), line, **options), "night.xlsx") == [
        "night.xlsx:2: guidance must be a number, not '#N/A'"
    ]


def test_a_table_that_begins_further_down_keeps_its_lines(mistakes: Callable[..., list[str]]) -> None:
    line = row(text("C9", "a boat"), '<c r="D9" t="e"><v>#N/A</v></c>', line=9)

    assert mistakes(book(head(4), line), "night.xlsx") == [
        "night.xlsx:9: guidance must be a number, not '#N/A'"
    ]


def test_errors_are_looked_for_in_the_sheet_that_is_read(folder: Path) -> None:
    import openpyxl

    made = openpyxl.Workbook()
    made.active.title = "Notes"
    made.active["A1"] = "=1/0"
    night = made.create_sheet("Night & day")
    night.append(["image", "=1+1"])
    made.save(folder / "night.xlsx")

    with zipfile.ZipFile(folder / "night.xlsx") as package:
        assert find_valueless(package, "Night & day").formulas == {1: {1}}
        assert find_valueless(package, "Notes").formulas == {1: {0}}


def test_more_cells_without_a_value_than_are_counted_are_refused(
    mistakes: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valueless_cells, "MOST", 3)
    lines = [row(f'<c r="C{line}" t="e"><v>#N/A</v></c>', line=line) for line in range(2, 7)]

    assert mistakes(book(head(), *lines), "night.xlsx")[0].startswith(
        "night.xlsx: has more than 3 cells with errors or formulas without a value: open the workbook in"
    )


def test_a_document_type_is_refused(mistakes: Callable[..., list[str]]) -> None:
    made = book(head(), row('<c r="C2" t="e"><v>#N/A</v></c>'))
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made)) as old, zipfile.ZipFile(held, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa">]>' + content
            new.writestr(name, content)

    assert mistakes(held.getvalue(), "night.xlsx") == [
        "night.xlsx: is a workbook with a document type, which none has"
    ]


def test_an_error_where_a_prompt_should_be_is_not_sent_as_if_it_were_missing(
    read: Callable[..., list[Row | Mistake]],
) -> None:
    (found,) = read(book(head(), row('<c r="C2" t="e"><v>#N/A</v></c>')), "night.xlsx")

    assert "#N/A" in str(found)
