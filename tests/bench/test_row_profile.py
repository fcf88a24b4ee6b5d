"""Samples of a profiler belong to parts of a row, whose functions are there."""

from __future__ import annotations

import re

import pytest

from tests.bench.measure import ROOT
from tests.bench.row_profile import PARTS, REST, count_parts

LOOP = "thread (1): MainThread;main (runner.py:83);BaseEventLoop._run_once (asyncio/base_events.py:1922)"


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (f"{LOOP};_download_row (a.py:1);fetch (batchfill/providers/downloads.py:9)", "requests for outputs"),
        (f"{LOOP};_download_row (a.py:1);_get (a.py:2)", "downloads, apart from these"),
        (f"{LOOP};_poll_list (a.py:1);_find_and_load (<frozen importlib._bootstrap>:1)", "imports"),
        (LOOP, "asyncio itself"),
        (
            "thread (2): X;_connection_worker_thread (aiosqlite/core.py:60);execute (a.py:1)",
            "thread of the ledger",
        ),
        ("thread (1): MainThread;main (runner.py:83)", REST),
    ],
)
def test_a_sample_belongs_to_the_first_part_in_its_stack(stack: str, part: str) -> None:
    """A download's request is a request, the rest of it is a download."""
    (found,) = count_parts([f"{stack} 3"]).items()
    assert part in found[0]
    assert found[1] == 3


def test_samples_of_a_part_add_up() -> None:
    """The same stack may come on several lines, and its frames may hold blanks."""
    assert count_parts([f"{LOOP} 3", f"{LOOP};x (a b.py:1) 4"]).total() == 7


@pytest.mark.parametrize("piece", [piece for piece in PARTS if "(batchfill/" in piece])
def test_a_part_names_a_function_that_is_there(piece: str) -> None:
    """A function that is renamed would leave its part without samples."""
    match = re.fullmatch(r"(\w+) \((.+)", piece)
    assert match is not None
    assert f"def {match[1]}(" in (ROOT / match[2]).read_text("utf-8")
