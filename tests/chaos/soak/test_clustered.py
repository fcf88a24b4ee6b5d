"""A small part of what `make soak` does with a cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from batchfill.session import session
from batchfill.workers.pool import Processes
from tests.chaos.soak.clustered import clustered

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only POSIX kills")


def test_every_row_is_done_and_paid_for_once_whatever_of_a_cluster_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Processes that outlive a run know the bucket server of another test.
    monkeypatch.setattr(session, "Processes", Processes)
    (line,) = clustered(7, tmp_path, rows=12, kills=2, of_scheduler=1)

    assert line.broken == ()
    assert line.figures == {"rows": 12, "creates": 12, "workers": 2, "schedulers": 1}
