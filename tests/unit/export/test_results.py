from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.domain.review import Decision
from batchfill.domain.rows import RowState
from batchfill.export.results import COLUMNS, write_csv, write_jsonl
from batchfill.filenames import FORMULA, as_cell, from_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchfill.domain.reports import Result


def test_csv_has_the_documented_columns_and_then_the_carried_ones(make_result: Callable[..., Result]) -> None:
    stream = io.StringIO()
    write_csv(
        [
            make_result(
                extra={"x_for": "menu"},
                flags=("drift", "seam"),
                decision=Decision.APPROVED,
                chosen=2,
                finished_as=("png", "jpeg-blocks"),
                changed_inputs={"guidance": 40, "output_format": None},
            ),
            make_result(id="b"),
        ],
        stream,
        extra=["x_for"],
    )
    assert stream.getvalue().split("\r\n") == [
        "id,line,state,image,mask,prompt,outputs,seed,prediction_id,attempts,cost,error,flags,decision,chosen,"
        "finished_as,changed_inputs,x_for",
        "hero,2,done,images/hero.png,masks/hero.png,a spaceship,outputs/hero@1.webp;outputs/hero@2.webp,"
        "41,tv3jnp73n1rmc0crb54b3srz94,1,0.08,,drift;seam,approved,2,png;jpeg-blocks,"
        '"{""guidance"": 40, ""output_format"": null}",menu',
        "b,2,done,images/hero.png,masks/hero.png,a spaceship,outputs/hero@1.webp;outputs/hero@2.webp,"
        "41,tv3jnp73n1rmc0crb54b3srz94,1,0.08,,,,,,,",
        "",
    ]


def test_what_is_not_known_is_an_empty_cell(make_result: Callable[..., Result]) -> None:
    pending = make_result(
        state=RowState.PENDING, outputs=(), seed=None, prediction_id=None, attempts=0, cost=None, line=None
    )
    stream = io.StringIO()
    write_csv([pending], stream)
    assert stream.getvalue().splitlines()[1] == (
        "hero,,pending,images/hero.png,masks/hero.png,a spaceship,,,,0,,,,,,,"
    )


def test_the_mark_for_excel_is_written_only_when_asked_for(make_result: Callable[..., Result]) -> None:
    plain, marked = io.StringIO(), io.StringIO()
    write_csv([make_result()], plain)
    write_csv([make_result()], marked, bom=True)
    assert plain.getvalue().startswith("id,line")
    assert marked.getvalue() == "\ufeff" + plain.getvalue()


def test_a_price_below_a_cent_is_written_without_an_exponent(make_result: Callable[..., Result]) -> None:
    stream = io.StringIO()
    write_csv([make_result(cost=1)], stream)
    assert ",0.000001," in stream.getvalue()


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_what_the_service_wrote_is_no_formula_in_a_spreadsheet(
    make_result: Callable[..., Result], text: str
) -> None:
    stream = io.StringIO()
    write_csv([make_result(error=text, prediction_id=text)], stream)
    cells = next(csv.DictReader(io.StringIO(stream.getvalue())))
    assert (cells["error"], cells["prediction_id"]) == (f"'{text}", f"'{text}")


def test_a_carried_column_never_hides_one_of_ours(make_result: Callable[..., Result]) -> None:
    carried = make_result(extra={"cost": "9"})
    stream, lines = io.StringIO(), io.StringIO()
    write_csv([carried], stream, extra=["cost"])
    write_jsonl([carried], lines)
    assert (
        stream.getvalue()
        .splitlines()[0]
        .endswith(",cost,error,flags,decision,chosen,finished_as,changed_inputs,x_cost")
    )
    value = json.loads(lines.getvalue())
    assert (value["cost"], value["x_cost"]) == (0.08, "9")


def test_jsonl_has_the_same_keys_with_outputs_as_a_list_and_unknown_as_null(
    make_result: Callable[..., Result],
) -> None:
    stream = io.StringIO()
    write_jsonl([make_result(prompt="a cat 猫\nat night", cost=None, extra={"x_for": "menu"})], stream)
    value = json.loads(stream.getvalue())
    assert list(value) == [*COLUMNS, "x_for"]
    assert value["outputs"] == ["outputs/hero@1.webp", "outputs/hero@2.webp"]
    assert (value["prompt"], value["cost"], value["error"]) == ("a cat 猫\nat night", None, None)
    assert (value["decision"], value["chosen"]) == (None, None)
    assert stream.getvalue().count("\n") == 1


def test_rows_are_written_as_they_come(make_result: Callable[..., Result]) -> None:
    stream = io.StringIO()
    written = []

    def rows() -> Iterator[Result]:
        for n in range(3):
            written.append(stream.getvalue().count("\n"))
            yield make_result(id=f"row-{n}")

    write_jsonl(rows(), stream)
    assert written == [0, 1, 2]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_prompt_survives_csv(make_result: Callable[..., Result], text: str) -> None:
    stream = io.StringIO(newline="")
    write_csv([make_result(prompt=text)], stream)
    back = list(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert from_cell(back[1][COLUMNS.index("prompt")]) == text


FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "'=1",
    "-",
    "--x",
    "+49 30 1",
]
INERT = ["", "a = b", "-5", "+3", "-1.5", "-1,5", "1e5", "-1e-5", "'tis", "''", "x@y", " =1", "猫"]


@pytest.mark.parametrize("text", FORMULAS)
def test_the_users_own_cells_are_no_formulas_in_a_spreadsheet(
    make_result: Callable[..., Result], text: str
) -> None:
    stream, raw, lines = (io.StringIO(newline="") for _ in range(3))
    made = make_result(prompt=text, image=text, mask=text, extra={"x_a": text, text: "1"})
    assert write_csv([made], stream, extra=["x_a", text])
    head, cells = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    found = dict(zip(head, cells, strict=True))
    assert {found[name] for name in ("prompt", "image", "mask", "x_a")} == {f"'{text}"}
    assert head[-1] == f"'{text}"
    # Programs get them as they are.
    assert not write_csv([made], raw, extra=["x_a", text], raw=True)
    head, cells = csv.reader(io.StringIO(raw.getvalue(), newline=""))
    assert (cells[COLUMNS.index("prompt")], head[-1]) == (text, text)
    write_jsonl([made], lines)
    assert json.loads(lines.getvalue())["prompt"] == text


@pytest.mark.parametrize("text", INERT)
def test_a_text_or_a_number_that_is_no_formula_stays_as_it_is(
    make_result: Callable[..., Result], text: str
) -> None:
    stream = io.StringIO(newline="")
    assert not write_csv([make_result(prompt=text, extra={"x_a": text})], stream, extra=["x_a"])
    found = next(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert (found["prompt"], found["x_a"]) == (text, text)


@given(text=st.text(st.sampled_from("'=+-@\t\r\n＝5,.eE ax"), max_size=8), numbers=st.booleans())
def test_a_cell_is_never_a_formula_and_gives_its_text_again(text: str, numbers: bool) -> None:
    cell = as_cell(text, numbers=numbers)
    assert from_cell(cell) == text
    assert not cell.startswith(FORMULA) or (numbers and float(cell.replace(",", ".")) is not None)
