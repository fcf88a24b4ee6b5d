from __future__ import annotations

import datetime as dt
import io
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfill.domain.rows import Row
from batchfill.errors import Mistake, UsageError
from batchfill.manifest.formats import workbook
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.validation import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.catalog.model import Model

HEAD = ["image", "mask", "prompt", "guidance", "x_note"]
FILES = ["http://x/a.png", "http://x/m.png"]


def book(*lines: list[Any], at: int = 1, **more: list[list[Any]]) -> bytes:
    """Return a workbook whose first sheet holds *lines* from line *at* on; *more* are further sheets."""
    import openpyxl

    made = openpyxl.Workbook()
    sheet: Any = made.active
    for number, line in enumerate(lines, at):
        for place, value in enumerate(line, 1):
            sheet.cell(number, place, value)
    for name, rows in more.items():
        other = made.create_sheet(name)
        for row in rows:
            other.append(row)
    held = io.BytesIO()
    made.save(held)
    return held.getvalue()


def test_rows_of_a_workbook_are_read_with_their_lines(rows: Callable[..., list[Row]]) -> None:
    content = book(HEAD, [*FILES, "a boat", 3.5], [], [*FILES, "ein Schloß, nachts", 30.0, "n"], at=4)

    first, second = rows(content, "night.xlsx")

    assert (first.line, second.line) == (5, 7)
    assert (first.inputs["prompt"], second.inputs["prompt"]) == ("a boat", "ein Schloß, nachts")
    assert (first.inputs["guidance"], second.inputs["guidance"]) == (3.5, 30)
    assert (first.extra, second.extra) == ({"x_note": ""}, {"x_note": "n"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (30, "30"),
        (30.0, "30"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333333333333"),
        (4006381333931, "4006381333931"),
        (-2.5, "-2.5"),
        (True, "true"),
        (dt.date(2026, 3, 1), "2026-03-01"),
        (dt.datetime(2026, 3, 1, 7, 30), "2026-03-01 07:30:00"),
        (dt.time(7, 30), "07:30:00"),
        (dt.timedelta(hours=30), "30:00:00"),
        ("007", "007"),
        (" a ", " a "),
        ("two\nlines", "two\nlines"),
        (None, ""),
    ],
)
def test_a_cell_is_what_a_person_sees(rows: Callable[..., list[Row]], value: object, shown: str) -> None:
    (row,) = rows(book(HEAD, [*FILES, "p", None, value]), "night.xlsx")

    assert row.extra["x_note"] == shown


def test_the_first_sheet_that_is_shown_is_read_unless_one_is_named(
    folder: Path, read: Callable[..., list[Row | Mistake]], dev: Model
) -> None:
    import openpyxl

    made = openpyxl.load_workbook(
        io.BytesIO(book(["nothing"], Nacht=[HEAD, [*FILES, "n"]], Tag=[HEAD, [*FILES, "t"]]))
    )
    made.worksheets[0].sheet_state = "hidden"
    made.save(folder / "night.xlsx")

    def prompts(**options: Any) -> list[object]:
        manifest = open_manifest(folder / "night.xlsx", **options)
        found = list(read_rows(manifest, dev, digest=digest_file))
        return [row.inputs["prompt"] if isinstance(row, Row) else str(row) for row in found]

    assert prompts() == ["n"]
    assert prompts(sheet="tag ") == ["t"]
    assert prompts(sheet="Tab")[0] == "night.xlsx: has no sheet Tab; its sheets are Sheet, Nacht, Tag"
    (row,) = read("sheet: Tag\nrows: night.xlsx\n", "night.yaml")
    assert isinstance(row, Row)
    assert row.inputs["prompt"] == "t"


def test_a_first_sheet_without_rows_is_told_with_the_sheets_there_are(
    folder: Path, read: Callable[..., list[Row | Mistake]]
) -> None:
    (folder / "night.xlsx").write_bytes(book(["read me"], Rows=[HEAD, [*FILES, "a cat"]]))

    (found,) = read("rows: night.xlsx\n", "night.yaml")

    sheets = "the sheets are Sheet, Rows: name the one with the rows with --sheet"
    assert str(found) == f"night.xlsx:1: the first line must name the columns; {sheets}"


def test_a_sheet_is_named_of_workbooks_only(folder: Path) -> None:
    (folder / "night.csv").write_text("image,mask,prompt\n")

    with pytest.raises(UsageError, match=r"--sheet a: night\.csv is no workbook"):
        open_manifest(folder / "night.csv", sheet="a")


def test_a_cell_outside_the_columns_that_have_a_name_is_a_mistake(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(book(HEAD[:3], [*FILES, "p", "", "note"]), "night.xlsx") == [
        "night.xlsx:2: a cell to the right of the 3 columns that have a name: name its column"
    ]


def test_a_cell_far_out_is_told_before_the_reader_takes_the_memory(
    mistakes: Callable[..., list[str]],
) -> None:
    import openpyxl

    made = openpyxl.Workbook()
    sheet: Any = made.active
    sheet.append(HEAD)
    sheet["XFD1048576"] = "x"
    held = io.BytesIO()
    made.save(held)

    assert mistakes(held.getvalue(), "night.xlsx")[0].startswith(
        "night.xlsx: has a sheet of 1,048,576 lines and 16,384 columns, most of them empty: save its rows as"
    )


def test_a_workbook_that_unpacks_to_more_than_is_allowed_is_refused(
    mistakes: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "UNPACKED", 1024)

    assert "is a workbook of more than" in mistakes(book(HEAD, [*FILES, "p"]), "night.xlsx")[0]


def test_without_the_reader_of_workbooks_it_is_said_how_to_get_it(
    mistakes: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)

    assert 'save it as "CSV UTF-8", or `pip install "batchfill[xlsx]"`' in mistakes(book(HEAD), "n.xlsx")[0]


def test_an_empty_sheet_has_no_rows(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(book(), "night.xlsx") == ["night.xlsx: no rows: add one for each picture"]


WHOLE = book(HEAD, [*FILES, "p"])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=20))
def test_a_damaged_workbook_is_told_or_read(
    tmp_path_factory: pytest.TempPathFactory, dev: Model, damage: list[tuple[int, int]]
) -> None:
    content = bytearray(WHOLE)
    for place, byte in damage:
        content[place] = byte
    path = tmp_path_factory.mktemp("damaged") / "night.xlsx"
    path.write_bytes(content)
    try:
        found = list(read_rows(open_manifest(path), dev, digest=digest_file))
    except UsageError as error:
        assert str(error)  # noqa: PT017 - some damage is seen when the file is opened
        return
    assert found
    assert all(isinstance(item, Row | Mistake) for item in found)


def marked(change: Callable[[Any], None], *lines: list[Any]) -> bytes:
    """Return a workbook with HEAD, then *lines*, on whose sheet *change* was made."""
    import openpyxl

    made = openpyxl.Workbook()
    sheet: Any = made.active
    for line in (HEAD, *lines):
        sheet.append(line)
    change(sheet)
    held = io.BytesIO()
    made.save(held)
    return held.getvalue()


@pytest.mark.parametrize(
    ("hidden", "told"),
    [
        ((), []),
        ((3,), ["1 row is hidden in the sheet, by a filter or by hand, and read as all others"]),
        ((2, 4), ["2 rows are hidden in the sheet, by a filter or by hand, and read as all others"]),
        ((1, 9), []),
    ],
)
def test_hidden_rows_are_counted_in_a_note(
    rows: Callable[..., list[Row]], hidden: tuple[int, ...], told: list[str]
) -> None:
    def hide(sheet: Any) -> None:
        sheet.auto_filter.ref = "A1:D4"
        sheet.column_dimensions["A"].hidden = True
        for line in hidden:
            sheet.row_dimensions[line].hidden = True

    notes: list[str] = []
    content = marked(hide, *([*FILES, f"p{n}"] for n in range(3)))

    assert [row.line for row in rows(content, "night.xlsx", note=notes.append)] == [2, 3, 4]
    assert notes == [f"night.xlsx: {words}" for words in told]


@pytest.mark.parametrize(
    ("merged", "told"),
    [
        (["C2:C4"], {3: "prompt is empty, as its cell is merged with others (C2:C4)", 4: "prompt is empty"}),
        (["A2:B2"], {2: "mask is empty, as its cell is merged with others (A2:B2)"}),
        (["E3:E4"], {4: "x_note is empty, as its cell is merged with others (E3:E4)"}),
        (
            ["A3:B4"],
            {3: "mask is empty, as its", 4: "image is empty, as its cell is merged with others (A3:B4)"},
        ),
        (["A1:A1", "G2:H4", "A6:E9"], {}),
    ],
)
def test_what_merged_cells_do_not_hold_is_a_mistake_of_its_row(
    read: Callable[..., list[Row | Mistake]], merged: list[str], told: dict[int, str]
) -> None:
    def merge(sheet: Any) -> None:
        for ref in merged:
            sheet.merge_cells(ref)

    found = read(marked(merge, *([*FILES, "p", "", "n"] for _ in range(3))), "night.xlsx")

    wrong = {item.line: item.message for item in found if not isinstance(item, Row)}
    assert wrong.keys() == told.keys()
    assert all(wrong[line].startswith(words) for line, words in told.items())


def test_rows_that_share_a_merged_column_are_one_mistake(read: Callable[..., list[Row | Mistake]]) -> None:
    content = marked(lambda sheet: sheet.merge_cells("C2:C9"), *([*FILES, "p"] for _ in range(8)))

    causes = {item.cause for item in read(content, "night.xlsx") if not isinstance(item, Row)}

    assert causes == {
        "prompt is empty, as its cells are merged with others: take them apart, and fill each cell"
    }


def test_cells_merged_over_more_lines_than_are_kept_are_told(
    mistakes: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.manifest.formats.valueless_cells.MOST", 1000)
    content = marked(lambda sheet: sheet.merge_cells("C2:C9000"), [*FILES, "p"])

    assert mistakes(content, "night.xlsx") == [
        "night.xlsx: has merged cells in more than 1,000 lines: take them apart, and fill each cell"
    ]
