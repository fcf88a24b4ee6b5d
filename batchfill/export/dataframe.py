"""The results of a batch as a DataFrame of pandas, which is loaded for those who ask for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfill.errors import UsageError
from batchfill.export.results import COLUMNS, extra_column_names, result_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchfill.domain.reports import Result

_WHOLE = dict.fromkeys(("line", "seed", "attempts", "chosen"), "Int64")
"""Columns of whole numbers. With gaps, others would become floats."""


def make_dataframe(results: Iterable[Result], extra: Sequence[str]) -> Any:
    """Return a DataFrame of *results*: a row each, the same columns whatever rows there are.

    Money is in units of the currency. *extra*: the columns that are only carried along. Raises UsageError
    where pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UsageError(
            "pandas is not installed: pip install pandas, or give Batch.records() to another library"
        ) from None
    columns = [*COLUMNS, *extra_column_names(extra)]
    frame = pandas.DataFrame(map(result_object, results), columns=columns)
    return frame.astype({**_WHOLE, "cost": "float64"})
