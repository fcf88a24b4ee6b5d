from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from batchfill.errors import UsageError
from batchfill.export.dataframe import make_dataframe
from batchfill.export.results import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.reports import Result


def test_money_is_in_units_and_whole_numbers_stay_whole(make_result: Callable[..., Result]) -> None:
    frame = make_dataframe(
        [
            make_result(id="a", cost=40_000, seed=7, outputs=("outputs/a@1.png", "outputs/a@2.png")),
            make_result(id="b", cost=None, seed=None, extra={"x_for": "menu", "cost": "12"}),
        ],
        ["x_for", "cost"],
    )
    assert list(frame.columns) == [*COLUMNS, "x_for", "x_cost"]
    first, second = frame.to_dict("records")
    assert (first["cost"], first["seed"], first["outputs"]) == (
        0.04,
        7,
        ["outputs/a@1.png", "outputs/a@2.png"],
    )
    assert frame["cost"].isna().to_list() == [False, True]
    assert frame["seed"].isna().to_list() == [False, True]
    assert (second["x_for"], second["x_cost"]) == ("menu", "12")
    assert str(frame["seed"].dtype) == "Int64"
    assert frame["cost"].sum() == 0.04


def test_a_batch_without_rows_has_the_same_columns() -> None:
    frame = make_dataframe([], ["x_for"])
    assert list(frame.columns) == [*COLUMNS, "x_for"]
    assert (len(frame), str(frame["seed"].dtype), frame["cost"].sum()) == (0, "Int64", 0)


def test_without_pandas_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        UsageError, match=r"pandas is not installed: pip install pandas, or give Batch.records"
    ):
        make_dataframe([], [])
