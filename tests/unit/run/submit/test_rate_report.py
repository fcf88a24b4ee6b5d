"""What is said of a service that allows less than was asked."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.domain.rows import RowState
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.run.submit.rate_report import RateReport, allowance_text
from tests.chaos.nights.loop import SimLoop
from tests.chaos.nights.world import Near, World
from tests.support.listeners import Ears

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.progress import ProgressListener
    from batchfill.domain.reports import Summary


@pytest.mark.parametrize(
    ("pace", "rows", "said"),
    [
        (
            5.1,
            10_000,
            "the service allows about 6 a minute (below $5 of credit Replicate allows no more): "
            "10,000 rows would take 28 h",
        ),
        (2.9, 60, "the service allows about 2.9 a minute: 60 rows would take 21 min"),
        (61.7, 10_000, "the service allows about 62 a minute: 10,000 rows would take 2.7 h"),
        (1234.0, 12, "the service allows about 1,200 a minute: 12 rows would take 1 min"),
    ],
)
def test_a_person_learns_what_is_allowed_and_how_long_that_takes(pace: float, rows: int, said: str) -> None:
    assert allowance_text(pace, rows) == said


def run(folder: Path, rows: int, *, rate: float, burst: int, watcher: ProgressListener) -> Summary:
    """Run a batch in virtual time against a provider that allows *rate* a minute."""

    async def night() -> Summary:
        world = World(folder, 1)
        provider = Near(world, folder / "provider", token="t", latency=1.0, rate=rate, burst=burst)
        await provider.start()
        world.begin()
        with world.entered():
            batch = Batch.open(manifest, environ={"BATCHFILL_TOKEN": "t"}, base_url=provider.base)
            summary = await batch.run(watch=watcher)
        await provider.stop()
        return summary

    manifest = folder / "night.jsonl"
    address = "https://example.com"
    lines = [
        {"image": f"{address}/{n}.png", "mask": f"{address}/m.png", "prompt": f"picture {n}"}
        for n in range(rows)
    ]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(night())


def test_low_credit_is_recognised_and_said_once(tmp_path: Path) -> None:
    heard = Ears()
    summary = run(tmp_path, 40, rate=6, burst=1, watcher=heard)
    said = [f"{one.level.value} {one.text}" for one in heard.notices if "allows" in one.text]
    assert summary.exit_code == 0
    assert len(said) == 1
    assert said[0].startswith("warning the service allows about 6 a minute (below $5 of credit")
    assert "the service's rate limit, about 6 a minute" in heard.waits


def test_low_credit_is_said_with_the_first_refusal(tmp_path: Path) -> None:
    heard = Ears()
    # Two rows: the second is refused once, and nothing shows a pace by itself yet.
    run(tmp_path, 2, rate=6, burst=1, watcher=heard)
    said = [one.text for one in heard.notices if "allows" in one.text]
    assert said == [
        "the service allows about 6 a minute (below $5 of credit Replicate allows no more): "
        "1 row would take 1 min"
    ]


def test_a_limit_that_is_named_and_then_lifted_is_said_both_times() -> None:
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        assert runner.run(_told_of([6.0, 6.0, None])) == [6.0, 600]
        assert runner.run(_told_of([600.0, 400.0])) == []


async def _told_of(stated: list[float | None]) -> list[float]:
    """Return the paces that are told after each refusal that names one; None: the pace recovers."""
    told: list[float] = []
    creates = RateLimiter(600)
    ledger: Any = SimpleNamespace(counts={RowState.PENDING: 9})
    log: Any = SimpleNamespace(notice=lambda text, level: told.append(float(re.findall(r"\d+", text)[0])))
    report = RateReport(creates, ledger, log)
    for per_minute in stated:
        if per_minute is None:
            await asyncio.sleep(24 * 3600)
            creates.accepted()
            report.report_change()
        else:
            creates.throttled(1)
            report.report_stated(per_minute)
    return told


def test_a_service_that_allows_what_was_asked_is_not_mentioned(tmp_path: Path) -> None:
    heard = Ears()
    run(tmp_path, 40, rate=600, burst=10, watcher=heard)
    assert [f"{one.level.value} {one.text}" for one in heard.notices if "allows" in one.text] == []
