from __future__ import annotations

import pytest

from batchfill.domain.rows import RowState
from batchfill.run.context import StopSignal
from batchfill.run.shutdown import exit_code

TABLE = [
    # rows of the manifest, rows gone from it, refused, skipped → exit code
    ({"done": 5}, {}, False, 0, 0),
    ({}, {}, False, 0, 0),
    ({"done": 5}, {"pending": 2, "failed": 1, "done": 1}, False, 0, 0),
    ({"done": 4, "failed": 1}, {}, False, 0, 1),
    ({"done": 4, "expired": 1}, {}, False, 0, 1),
    ({"done": 4, "in_doubt": 1}, {}, False, 0, 1),
    ({"done": 5}, {}, False, 1, 1),
    ({"done": 4, "pending": 1}, {}, False, 0, 3),
    ({"done": 4, "submitting": 1}, {}, False, 0, 3),
    ({"done": 4, "running": 1}, {}, False, 0, 3),
    ({"done": 4, "collecting": 1}, {}, False, 0, 3),
    ({"failed": 4, "pending": 1}, {}, False, 3, 3),
    ({"done": 5}, {"running": 1}, False, 0, 3),
    ({"done": 5}, {"collecting": 1}, False, 0, 3),
    ({"done": 5}, {"submitting": 1}, False, 0, 3),
    ({"pending": 5}, {}, True, 0, 4),
    ({"done": 5}, {}, True, 0, 4),
]


@pytest.mark.parametrize(("counts", "gone", "refused", "skipped", "code"), TABLE)
def test_the_exit_code_is_the_first_that_applies(
    counts: dict[str, int], gone: dict[str, int], refused: bool, skipped: int, code: int
) -> None:
    present = {state: counts.get(state.value, 0) for state in RowState}
    absent = {RowState(state): rows for state, rows in gone.items()}
    stopping = StopSignal()
    if refused:
        stopping.stop_submitting("401", refused=True)
    assert exit_code(present, absent, stopping, skipped=skipped) == code


def test_a_run_that_was_stopped_with_nothing_left_has_done_all() -> None:
    stopping = StopSignal()
    stopping.stop_submitting("--limit 5 reached")
    present = {state: 5 if state is RowState.DONE else 0 for state in RowState}
    assert exit_code(present, {}, stopping, skipped=0) == 0
