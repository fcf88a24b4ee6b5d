"""What valgrind says is read."""

from __future__ import annotations

import pytest

from tests.bench.measure import Failed
from tests.bench.row_instructions import counted

SAID = "==7== Cachegrind, a high-precision tracing profiler\n==7== \n==7== I   refs:      1,690,207,894\n"


def test_the_count_is_taken_from_what_valgrind_says() -> None:
    assert counted(SAID) == 1_690_207_894


def test_a_run_without_a_count_failed() -> None:
    with pytest.raises(Failed, match="no count"):
        counted("valgrind: command not found")
