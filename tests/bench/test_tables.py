"""The tables' arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.bench import clients, scale, tables
from tests.bench.clients import Setting, figures, median_of
from tests.bench.limit import BURST, Limit
from tests.bench.measure import Failed, Used, measured
from tests.bench.offer import Offer
from tests.bench.run_times import ideal, run_times
from tests.bench.serving import Asked

if TYPE_CHECKING:
    from pathlib import Path

SETTING = Setting(offer=Offer(run_time=2), rows=10, concurrency=5)
USED = Used(began_at=100.0, ended_at=109.0, cpu=0.5, peak_mb=40.0, said="")
ASKED = Asked(
    billed=10,
    asked={"create": 12, "throttled": 2, "get": 15, "account": 1, "output": 10},
    first_at=101.0,
    delays=[0.1 * n for n in range(11)],
    cpu=0.02,
)


def test_a_run_is_counted_by_the_row_and_against_the_ideal() -> None:
    found = figures(SETTING, USED, ASKED, decoding=0.1)
    assert (found.cpu, found.decoding, found.service) == (50.0, 10.0, 2.0)
    assert found.requests == 2.8
    assert found.makespan == 2.0
    assert (found.noticed, found.noticed_p90, found.noticed_max) == pytest.approx((500, 900, 1000))
    assert found.throttled == 0.2


def test_rounds_are_put_together_as_medians_and_the_longest_delay() -> None:
    one = figures(SETTING, USED, ASKED, decoding=0.0)
    rounds = [replace(one, cpu=cpu, noticed_max=cpu) for cpu in (9.0, 5.0, 6.0)]
    assert median_of(rounds) == replace(one, cpu=6.0, noticed_max=9.0)


@pytest.mark.parametrize(
    ("rows", "concurrency", "per_minute", "seconds"),
    [(1000, 100, None, 10.0), (1001, 100, None, 11.0), (50, 100, None, 1.0), (60, 100, 120, 31.0)],
)
def test_the_ideal_is_bound_by_room_and_by_the_limit(
    rows: int, concurrency: int, per_minute: float | None, seconds: float
) -> None:
    assert ideal(Offer(creates_per_minute=per_minute), rows, concurrency) == pytest.approx(seconds)


def test_run_times_are_spread_evenly_and_the_same_for_the_same_seed() -> None:
    offer = Offer(run_time=10, spread=0.2, seed=7)
    drawn = [time for time, _ in zip(run_times(offer), range(1000), strict=False)]
    assert drawn == [time for time, _ in zip(run_times(offer), range(1000), strict=False)]
    assert min(drawn) == pytest.approx(8, abs=0.1)
    assert max(drawn) == pytest.approx(12, abs=0.1)


def test_the_limit_lends_a_few_and_then_keeps_its_pace() -> None:
    limit = Limit(60)
    assert [limit.take(100.0) for _ in range(BURST)] == [0.0] * BURST
    assert limit.take(100.0) == pytest.approx(1.0)
    assert limit.take(101.0) == 0.0
    assert limit.take(101.5) == pytest.approx(0.5)


def test_the_cost_of_a_row_leaves_start_and_end_out() -> None:
    assert scale.slope([5.0 + 0.002 * n for n in range(1000)]) == pytest.approx(2.0)


def test_clients_stand_beside_batchfill_with_their_ratios() -> None:
    ours = figures(SETTING, USED, ASKED, decoding=0.1)
    theirs = replace(ours, cpu=25.0, decoding=0.0, requests=5.6)
    lines = list(tables.clients_table({clients.OURS: ours, "another": theirs}))
    assert lines[2] == (
        "| **batchfill** | 50.00 ms (40.00 without decoding) | 2.80 | 2.00 | 40 MB | 500, 900, 1000 ms |"
    )
    assert lines[3] == "| another | 25.00 ms (0.50×) | 5.60 (2.00×) | 2.00 | 40 MB | 500, 900, 1000 ms |"


def test_whoever_measures_loads_nothing_heavy(tmp_path: Path) -> None:
    """A process never counts for less memory than the one that starts it."""
    (tmp_path / "probe.py").write_text("import sys, tests.bench.__main__\nprint(*sys.modules)\n")
    loaded = measured("probe", folder=tmp_path).said.split()
    assert not {"PIL", "aiohttp", "anyio", "httpx", "matplotlib", "numpy", "pydantic"}.intersection(loaded)


def test_a_process_is_measured_alone(tmp_path: Path) -> None:
    """What another has used before is not counted, nor is the memory of the one that measures."""
    (tmp_path / "work.py").write_text("import time\nwhile time.process_time() < 0.3: pass\nprint('done')\n")
    (tmp_path / "rest.py").write_text("")
    worked, rested = measured("work", folder=tmp_path), measured("rest", folder=tmp_path)
    assert worked.said == "done\n"
    assert worked.cpu > max(0.3, rested.cpu)


def test_a_process_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"ended with 1: .*no_such_module"):
        measured("no_such_module", folder=tmp_path)
