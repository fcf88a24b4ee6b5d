"""The main job: a manifest goes in, and every row comes out accounted for."""

from __future__ import annotations

import csv
import io
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.api.refusals import Call
from batchfill.errors import ManifestError, ServiceRefused, UsageError
from batchfill.local import Manner
from batchfill.show import summary_lines
from batchfill.values import RowState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.local import Provider
    from batchfill.values import Notice, Plan, Progress, Result

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[Provider]]
    States = Callable[[Batch], dict[str, str]]


async def test_every_row_of_a_manifest_is_done_and_billed_once(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service()
    night = batch(provider, 30)
    summary = await night.run()
    assert (summary.exit_code, summary.submitted_now, summary.finished_now) == (0, 30, 30)
    assert set(states(night).values()) == {"done"}
    assert provider.billed == 30
    assert len({charge.digest for charge in provider.bill}) == 30
