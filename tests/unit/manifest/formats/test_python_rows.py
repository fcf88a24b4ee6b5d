from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.errors import ManifestError, UsageError
from batchfill.manifest.formats.python_rows import write_rows
from batchfill.manifest.formats.rows_file import read_items
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = [{"id": "hero", "image": "a.png", "mask": "b.png"}]
NAN = float("nan")


def written(path: Path, rows: Any) -> list[dict[str, Any]]:
    """Return the rows of a new manifest as its JSON has them."""
    lines = write_rows(path / "night", rows).read_text("utf-8").split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


def cells_read(manifest: Path) -> list[dict[str, str]]:
    """Return the rows as a run reads them."""
    opened = open_manifest(manifest)
    items = read_items(opened.rows, opened.rows_kind, encoding=None, sheet=None, literal_quotes=False)
    found = [item for item in items if isinstance(item, Record)]
    assert [record.line for record in found] == list(range(1, len(found) + 1))
    return [dict(zip(record.names, record.cells, strict=True)) for record in found]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ('a, "quoted"\nword', 'a, "quoted"\nword'),
        (Path("photos/a.png"), str(Path("photos/a.png"))),
        (PurePosixPath("photos/a.png"), "photos/a.png"),
        (None, None),
        (True, True),
        (np.bool_(False), False),
        (7, 7),
        (np.int64(7), 7),
        (7.0, 7),
        (7.5, 7.5),
        (np.float32(7.5), 7.5),
        (1e300, 1e300),
        (NAN, None),
        (np.float64("nan"), None),
        (Decimal("0.10"), "0.10"),
        (Decimal("NaN"), None),
        (Decimal("sNaN"), None),
        (np.str_("word"), "word"),
        (date(2026, 11, 30), "2026-11-30"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=repr,
)
def test_a_value_is_kept_as_a_cell_says_it(value: Any, kept: Any, tmp_path: Path) -> None:
    (row,) = written(tmp_path, [{"x_value": value}])
    assert row == {"x_value": kept}
    assert type(row["x_value"]) is type(kept)


def test_a_value_of_pandas_is_kept_as_a_cell_says_it(tmp_path: Path) -> None:
    import pandas as pd

    rows = [{"x_value": value} for value in (pd.NA, pd.NaT, pd.Timestamp("2026-11-30 07:30"))]
    assert [row["x_value"] for row in written(tmp_path, rows)] == [None, None, "2026-11-30T07:30:00"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"mask": ["b.png"]}, "mask must be text, a number, True, False or None, not list"),
        ({"mask": {"a": 1}}, "mask must be text, a number, True, False or None, not dict"),
        ({"image": np.zeros((2, 2))}, "image must be text, a number, True, False or None, not ndarray"),
        ({"image": b"\x89PNG"}, "image must be text, a number, True, False or None, not bytes"),
        ({"seed": 1 + 2j}, "seed must be text, a number, True, False or None, not complex"),
        ({"seed": np.longdouble(1)}, "seed must be text, a number, True, False or None, not longdouble"),
        ({"guidance": float("inf")}, "guidance must be a finite number, not inf"),
        ({"guidance": Decimal("-Infinity")}, "guidance must be a finite number, not -Infinity"),
        ({"prompt": "\ud800"}, "prompt is not UTF-8"),
        ({"\udcff": "a"}, "\\udcff is not UTF-8"),
        ({0: "a.png"}, "the name of a column must be text, not 0"),
        ("a.png", "a row must be a dictionary, not str"),
    ],
)  # fmt: skip
def test_a_value_that_no_cell_can_hold_names_its_row(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        write_rows(tmp_path / "night", [*ROWS, row])
    assert str(caught.value) == f"night.jsonl: row 2: {message}"
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_are_told_at_once_with_the_ids_of_their_rows(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "seed": [n]} for n in range(150)]
    with pytest.raises(ManifestError) as caught:
        write_rows(tmp_path / "night", rows)
    lines = str(caught.value).split("\n")
    assert lines[1] == "night.jsonl: row 2 ('r1'): seed must be text, a number, True, False or None, not list"
    assert (len(lines), lines[-1]) == (21, "… and 130 more")


@pytest.mark.parametrize("rows", [ROWS[0], OrderedDict(image=["a.png"]), "a.png", b"rows", 5, None])
def test_what_is_no_list_of_rows_is_told_with_an_example(rows: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rows must be dictionaries, such as \{'image': 'a.png'"):
        write_rows(tmp_path / "night", rows)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_at_all_are_a_mistake(tmp_path: Path) -> None:
    import pandas as pd

    none: tuple[Any, ...] = ([], iter(()), pd.DataFrame({"image": []}))
    for rows in none:
        with pytest.raises(ManifestError, match=r"night.jsonl: no rows were given"):
            write_rows(tmp_path / "night", rows)


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    alive: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for n in range(3):
            alive.append(n)
            yield {"id": f"r{n}"}

    assert [row["id"] for row in written(tmp_path, rows())] == ["r0", "r1", "r2"]
    assert alive == [0, 1, 2]


def test_a_program_that_fails_between_its_rows_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": "r1"}
        raise KeyError("mask")

    with pytest.raises(KeyError):
        write_rows(tmp_path / "night", rows())
    assert list(tmp_path.iterdir()) == []


def test_gaps_of_a_dataframe_are_empty_cells_and_its_whole_numbers_stay_whole(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"image": ["a.png", "b.png"], "seed": [7, None], "x_n": pd.array([1, None], dtype="Int64")}
    )
    assert written(tmp_path, frame) == [
        {"image": "a.png", "seed": 7, "x_n": 1},
        {"image": "b.png", "seed": None, "x_n": None},
    ]


def test_an_index_with_a_name_is_a_column_and_one_without_is_none(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"image": ["a.png", "b.png"]}, index=pd.Index(["hero", "cat"], name="id"))
    assert [row["id"] for row in written(tmp_path, frame)] == ["hero", "cat"]
    assert written(tmp_path / "..", frame.reset_index(drop=True).iloc[1:]) == [{"image": "b.png"}]


def test_a_column_that_is_there_twice_is_not_dropped_in_silence(tmp_path: Path) -> None:
    import pandas as pd

    columns = pd.DataFrame([["a", "b"]], columns=["image", "image"])
    index = pd.DataFrame({"image": ["a"]}, index=pd.Index(["b"], name="image"))
    for frame in (columns, index):
        with pytest.raises(UsageError, match="the table has two columns image: rename one"):
            write_rows(tmp_path / "night", frame)


class Table:
    """A table of another library: its columns, and what gives its rows."""

    columns = ("image",)

    def to_dict(self, as_series: bool = True) -> dict[str, list[str]]:
        return {"image": ["not", "these"]}


class PolarsTable(Table):
    def to_dicts(self) -> list[dict[str, str]]:
        return [{"image": "a.png"}]


class ArrowTable(Table):
    columns = ("a column is its values there",)
    column_names = ("image",)

    def to_pylist(self) -> list[dict[str, str]]:
        return [{"image": "a.png"}]


@pytest.mark.parametrize("table", [PolarsTable(), ArrowTable()], ids=["Polars", "Arrow"])
def test_tables_of_other_libraries_give_their_rows(table: Any, tmp_path: Path) -> None:
    assert written(tmp_path, table) == [{"image": "a.png"}]


@pytest.mark.parametrize(
    ("name", "file"), [("night", "night.jsonl"), ("night.jsonl", "night.jsonl"), ("v1.2", "v1.2.jsonl")]
)
def test_the_manifest_is_jsonl(name: str, file: str, tmp_path: Path) -> None:
    assert write_rows(tmp_path / name, ROWS) == tmp_path / file


@pytest.mark.parametrize("name", ["night.csv", "night.YAML", "night.xlsx", "night.json"])
def test_another_kind_of_manifest_is_refused_with_the_name_to_take(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=rf"{name}: rows of a program are kept as JSONL: name it night.jsonl"
    ):
        write_rows(tmp_path / name, ROWS)


def test_a_manifest_that_would_share_its_batch_folder_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"night.csv is there already, and night.jsonl would have its batch"):
        write_rows(tmp_path / "night", ROWS)


def test_a_cell_of_a_notebook_may_run_twice_and_others_rows_are_replaced_only_when_asked(
    tmp_path: Path,
) -> None:
    target = write_rows(tmp_path / "night", ROWS)
    before = target.stat().st_ino
    write_rows(tmp_path / "night", ROWS)
    assert target.stat().st_ino == before
    with pytest.raises(UsageError, match=r"night.jsonl is there already, with other rows"):
        write_rows(tmp_path / "night", [*ROWS, *ROWS])
    assert len(cells_read(target)) == 1
    write_rows(tmp_path / "night", [*ROWS, *ROWS], replace=True)
    assert len(cells_read(target)) == 2
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("path", [Path(), Path("/")])
def test_a_manifest_without_a_name_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match=r"the manifest needs a name, such as night.jsonl"):
        write_rows(path, ROWS)


def test_a_folder_of_that_name_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "night.jsonl").mkdir()
    for replace in (False, True):
        with pytest.raises(UsageError, match=r"night.jsonl: cannot be written: Is a directory"):
            write_rows(tmp_path / "night", ROWS, replace=replace)
    assert [path.name for path in tmp_path.iterdir()] == ["night.jsonl"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"night.jsonl: cannot be written: No such file or directory"):
        write_rows(tmp_path / "none" / "night", ROWS)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    rows=st.lists(st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1, max_size=3), min_size=1, max_size=4)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_as_it_was_given(rows: list[dict[str, str]], tmp_path: Path) -> None:
    assert cells_read(write_rows(tmp_path / "night", rows, replace=True)) == rows
