from __future__ import annotations

import csv
import io
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfill.domain.rows import Row
from batchfill.errors import Mistake, UsageError
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.validation import read_rows
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchfill.catalog.model import Model

ROW = f"a,{URLS},a boat\n"


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW,
        (HEADER + ROW).replace("\n", "\r\n"),
        (HEADER + ROW).replace("\n", "\r"),
        (HEADER + ROW).replace(",", ";"),
        (HEADER + ROW).replace(",", "\t"),
        "\ufeff" + HEADER + ROW,
        "\n\n" + HEADER + "\n ,, ,\n,,,\n" + ROW + "\n\n",
        HEADER + ROW.rstrip("\n"),
        "sep=;\r\n" + (HEADER + ROW).replace(",", ";"),
        ' id , "image","mask" ,prompt\n'.replace(', "', ',"').replace('" ,', '",') + ROW,
        HEADER.replace("\n", ",,\n") + ROW.replace("\n", ",,\n"),
        f'"id","image","mask","prompt"\n"a",{URLS},"a boat"\n',
    ],
)
def test_every_way_that_spreadsheets_write_a_table_is_understood(
    rows: Callable[..., list[Row]], content: str
) -> None:
    (row,) = rows(content)

    assert row.id == "a"
    assert row.inputs == {"image": "http://x/a.png", "mask": "http://x/m.png", "prompt": "a boat"}


def test_a_row_knows_the_line_where_it_begins(rows: Callable[..., list[Row]]) -> None:
    content = f'{HEADER}\na,{URLS},"two\nlines"\n\nb,{URLS},"one\r\n\r\nmore"\nc,{URLS},x\n'

    assert [(row.position, row.line, row.id) for row in rows(content)] == [
        (0, 3, "a"),
        (1, 6, "b"),
        (2, 9, "c"),
    ]


def test_newlines_quotes_and_emoji_inside_quotes_are_kept(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(HEADER + f'a,{URLS}," say ""hi"",\n🚀 "\n')

    assert row.inputs["prompt"] == ' say "hi",\n🚀 '


def test_a_delimiter_inside_a_quoted_column_name_does_not_count(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows('image;mask;prompt;"x_a,b,c,d"\nhttp://x/a;http://x/m;p;note\n')

    assert row.extra == {"x_a,b,c,d": "note"}


def test_cells_left_out_at_the_end_are_empty(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(HEADER + "a,http://x/a.png\n") == [
        "night.csv:2: mask is empty: fill it in, or give one to all with `--set mask=…`",
        "night.csv:2: prompt is empty: fill it in, or give one to all with `--set prompt=…`",
    ]


def test_too_many_cells_are_a_mistake_and_reading_goes_on(read: Callable[..., list[Row | Mistake]]) -> None:
    mistake, row = read(HEADER + f"a,{URLS},a boat, blue\n" + ROW)

    assert (
        str(mistake)
        == "night.csv:2: 5 cells, but the header has 4: put quotes round a cell that holds a comma"
    )
    assert isinstance(row, Row)
    assert (row.position, row.line) == (0, 3)


def test_a_quote_inside_a_quoted_cell_is_a_mistake_of_its_line_only(
    read: Callable[..., list[Row | Mistake]],
) -> None:
    mistake, row = read(HEADER + f'a,{URLS},"a 12" ruler"\n' + ROW)

    assert str(mistake) == 'night.csv:2: a quote inside a quoted cell: write it twice, as ""'
    assert isinstance(row, Row)


def test_a_quote_in_a_cell_without_quotes_is_just_text(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(HEADER + f'a,{URLS},a 12" ruler\n')

    assert row.inputs["prompt"] == 'a 12" ruler'


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'a,{URLS},"open\n' + ROW * 3, 2),
        (f'a,{URLS},"open\n' + f'b,{URLS},"closed"\n' + ROW, 2),
        (ROW + f'a,{URLS},"two\nlines"\nb,{URLS},"open\n' + ROW * 3, 5),
        (f'a,{URLS},"two ""quoted"" words\n' + ROW, 2),
        (f'"a\nb",{URLS},"open\n' + ROW, 3),
    ],
)
def test_a_quote_that_is_not_closed_is_reported_where_it_opens_and_ends_reading(
    mistakes: Callable[..., list[str]], content: str, line: int
) -> None:
    assert mistakes(HEADER + content) == [
        f"night.csv:{line}: a quote opens here and is not closed at the end of its cell: close it, or "
        "write it twice if it is text"
    ]


def test_a_quote_that_swallows_a_large_file_is_noticed_early(
    folder: Path, dev: Model, mistakes: Callable[..., list[str]]
) -> None:
    content = HEADER + ROW + f'a,{URLS},"open\n' + ROW * 200_000
    (folder / "night.csv").write_text(content)

    tracemalloc.start()
    found = list(read_rows(open_manifest(folder / "night.csv"), dev, digest=digest_file))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert str(found[-1]) == (
        "night.csv:3: a quote opens here and is never closed (or its cell is far too long)"
    )
    assert peak < 12_000_000


def test_a_line_without_end_is_noticed_early(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(HEADER + "x" * 3_000_000) == ["night.csv:2: a row of more than 1,000,000 characters"]


def test_a_nul_deep_in_the_file_ends_reading_at_its_line(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes(HEADER + ROW * 5000 + "a,\0\n" + ROW) == [
        "night.csv:5002: holds a NUL character: the file is damaged, or not a text file"
    ]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_any_text_in_a_cell_comes_back_to_the_letter(dev: Model, texts: Sequence[str]) -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["image", "mask", "prompt", "x_note"])
    for text in texts:
        writer.writerow(["http://x/a", "http://x/m", "p", text])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "night.csv"
        path.write_text(table.getvalue(), encoding="utf-8", newline="")
        found = list(read_rows(open_manifest(path), dev, digest=digest_file))

    assert [row.extra["x_note"] if isinstance(row, Row) else str(row) for row in found] == list(texts)


@settings(max_examples=200)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", HEADER.encode(), b"rows:\n", b'{"image": 1}\n', HEADER.encode() + ROW.encode()]),
    st.sampled_from([".csv", ".jsonl", ".yaml", ".txt"]),
    st.sampled_from([None, "utf-16", "gb18030", "windows-1252", "utf-7"]),
)
def test_no_bytes_whatever_raise_anything_but_mistakes(
    dev: Model, noise: bytes, beginning: bytes, suffix: str, encoding: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"night{suffix}"
        path.write_bytes(beginning + noise)
        try:
            manifest = open_manifest(path, encoding=encoding)
        except UsageError as error:
            assert str(error)  # noqa: PT017 - some bytes raise, some do not
            return
        found = list(
            read_rows(manifest, dev, defaults=manifest.defaults, column=manifest.column, digest=digest_file)
        )

    assert found
    assert all(isinstance(item, Row | Mistake) for item in found)


def peak_memory(path: Path, count: int, dev: Model) -> int:
    with path.open("w") as file:
        file.write(HEADER)
        file.writelines(
            f"row-{n},http://x/{n}.png,http://x/{n}-m.png,boat number {n}\n" for n in range(count)
        )
    manifest = open_manifest(path)
    tracemalloc.start()
    assert sum(1 for _ in read_rows(manifest, dev, digest=digest_file)) == count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path, dev: Model) -> None:
    few = peak_memory(tmp_path / "few.csv", 300, dev)
    many = peak_memory(tmp_path / "many.csv", 3000, dev)

    assert many < few + 200_000


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ('a, {}, "a cat"\n', "a cat"),
        ('a, {}, "a cat, asleep"\n', "a cat, asleep"),
        ('a,{},   "a cat, asleep"   \r\n', "a cat, asleep"),
        ('"a" , {} ,"a ""cat"", asleep" \n', 'a "cat", asleep'),
        ('a, {}, "a ""cat"" , ""asleep"" "\n', 'a "cat" , "asleep" '),
        ('a, {}, "two,\n "" lines"" ,\nor three" \n', 'two,\n " lines" ,\nor three'),
        ('a, {}, "OPEN" on a door\n', ' "OPEN" on a door'),
        ("a, {}, a cat \n", " a cat "),
        ('a, {}, a 12" ruler and a 13" one\n', ' a 12" ruler and a 13" one'),
        ('a, {}, ""\n', None),
    ],
)
def test_quotes_behind_a_space_are_quotes_and_other_spaces_stay(
    read: Callable[..., list[Row | Mistake]], line: str, prompt: str | None
) -> None:
    (found,) = read("id, image, mask, prompt\n" + line.format(URLS))

    assert (found.inputs["prompt"] if isinstance(found, Row) else None) == prompt
    assert (
        isinstance(found, Row)
        or str(found) == "night.csv:2: prompt is empty: fill it in, or give one to all with `--set prompt=…`"
    )


def test_a_row_behind_cells_of_several_lines_knows_its_line(rows: Callable[..., list[Row]]) -> None:
    content = f'id, image, mask, prompt\na, {URLS}, "two\n "" ,\nlines"\nb, {URLS}, "x"\n'

    assert [(row.line, row.inputs["prompt"]) for row in rows(content)] == [(2, 'two\n " ,\nlines'), (5, "x")]


@pytest.mark.parametrize("begin", ["", "sep=|\n", '"sep=|"\r\n', "\ufeffSEP=|\n\n"])
def test_bars_part_cells_too(rows: Callable[..., list[Row]], begin: str) -> None:
    (row,) = rows(begin + (HEADER + ROW).replace(",", "|").replace("a boat", "a boat, blue; red"))

    assert row.inputs["prompt"] == "a boat, blue; red"


@pytest.mark.parametrize("begin", ['"sep=;"\n', '"sep=;",,\n', "sep=;;;\n", '"SEP=;"\r\n\r\n'])
def test_the_line_that_names_the_delimiter_may_have_quotes(
    rows: Callable[..., list[Row]], begin: str
) -> None:
    (row,) = rows(begin + (HEADER + ROW).replace(",", ";"))

    assert row.inputs["prompt"] == "a boat"


def test_a_decimal_comma_is_read_where_it_parts_no_cells(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows("sep=;\r\nimage;mask;prompt;guidance\r\nhttp://x/a;http://x/m;a cat;3,5\r\n")
    (quoted,) = rows(f'image,mask,prompt,guidance\n{URLS},a cat,"3,5"\n')

    assert row.inputs["guidance"] == quoted.inputs["guidance"] == 3.5


WORDS = st.text(st.sampled_from(' ",;a\n'), max_size=12)


@given(st.lists(WORDS, min_size=2, max_size=4), st.sampled_from([",", ";"]))
def test_what_any_writer_wrote_is_read_as_it_was_before(
    dev: Model, texts: Sequence[str], delimiter: str
) -> None:
    # As csv writes, no space is between a quote and a delimiter: so nothing is closed up.
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["image", "mask", "prompt", *(f"x_{n}" for n in range(len(texts)))])
    writer.writerow(["http://x/a", "http://x/m", "p", *texts])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "night.csv"
        path.write_text(table.getvalue(), encoding="utf-8", newline="")
        (row,) = read_rows(open_manifest(path), dev, digest=digest_file)

    assert isinstance(row, Row)
    assert list(row.extra.values()) == texts


@pytest.mark.parametrize(
    "row",
    [
        'a, {}, "' + ' ""\n' * 200_000 + '"\n',
        "a, {}," + ' "x" y,' * 120_000 + "\n",
        "a, {}," + ' " ,' * 200_000 + "\n",
    ],
    ids=["lines", "cells", "quotes"],
)
def test_gaps_in_a_row_as_long_as_a_row_may_be_cost_no_more_than_its_length(
    read: Callable[..., list[Row | Mistake]], row: str
) -> None:
    # Were each cell or line looked at once a cell or line, this would not end.
    assert len(read("id, image, mask, prompt\n" + row.format(URLS))) == 1


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        ("image,mask,prompt,", f"{URLS},p,q", "a cell to the right of the 3 columns that have a name: name"),
        (
            "image,mask,prompt,,",
            f"{URLS},p,,q",
            "a cell to the right of the 3 columns that have a name: name",
        ),
        (
            "image,mask,prompt,",
            f"{URLS},p,q,r",
            "5 cells, but the header has 3: put quotes round a cell that",
        ),
        (
            "image,mask,prompt",
            f"{URLS},a cat, asleep",
            "4 cells, but the header has 3: put quotes round a cell",
        ),
        ("image,mask,prompt", f"{URLS},“a cat, asleep”", "4 cells, but the header has 3: “ is no quote of a"),
        (
            "image,mask,prompt",
            f"{URLS}, 'a cat, asleep'",
            "4 cells, but the header has 3: ' is no quote of a",
        ),
        ("image,mask,prompt", f"{URLS},«a cat, asleep»", "4 cells, but the header has 3: « is no quote of a"),
        (
            "image,mask,prompt",
            "“a.png”,http://x/m,p",
            "image: “a.png” is in quotes that a table takes for a part",
        ),
        (
            "image,mask,prompt",
            "http://x/a,'a.png',p",
            "mask: 'a.png' is in quotes that a table takes for a part",
        ),
        ("image,mask,prompt", "‘http://x/a’,http://x/m,p", "image: ‘http://x/a’ is in quotes that a table"),
    ],
)
def test_what_makes_a_row_too_long_or_a_name_wrong_is_told(
    mistakes: Callable[..., list[str]], header: str, row: str, told: str
) -> None:
    (found,) = mistakes(f"{header}\n{row}\n", "n.csv")

    assert found.startswith(f"n.csv:2: {told}")


def test_a_file_whose_name_has_quotes_is_found(rows: Callable[..., list[Row]], folder: Path) -> None:
    (folder / "'a'").write_bytes(b"x")

    assert rows("image,mask,prompt\n'a',http://x/m,p\n")[0].local_files["image"].path.name == "'a'"
