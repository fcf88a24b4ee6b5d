"""A batch that is nearly done is made as a run would have left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import scale
from tests.bench.finished import finish
from tests.bench.offer import Offer
from tests.support import ledgers

if TYPE_CHECKING:
    from pathlib import Path


def test_a_ledger_is_finished_and_gone_on_with(tmp_path: Path) -> None:
    place = scale.Place(tmp_path, 40, Offer(run_time=0.1, port=scale.free_port()))
    place.run("imported", 1)
    ledger = place.copy("imported", "resumed")
    finish(ledger, 36)
    assert ledgers.faults(ledger) == []
    assert ledgers.states(ledger) == {"done": 36, "pending": 4}
    place.run("resumed", 4)
    assert ledgers.faults(ledger) == []
    assert ledgers.states(ledger) == {"done": 40}
