"""The soak's bad outputs, a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.soak.outputs import bad_outputs

if TYPE_CHECKING:
    from pathlib import Path


def test_no_bad_output_takes_another_along_however_often_a_run_is_stopped(tmp_path: Path) -> None:
    lines = bad_outputs(7, tmp_path, rows=6)
    assert [line.broken for line in lines] == [(), ()]
    assert [line.figures["billed"] for line in lines] == [6, 6]
