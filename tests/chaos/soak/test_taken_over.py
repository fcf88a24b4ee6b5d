"""A small part of what `make soak` does with lost machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.chaos.soak.taken_over import taken_over

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only POSIX kills")


def test_a_batch_whose_machine_is_lost_is_paid_for_once(tmp_path: Path) -> None:
    (line,) = taken_over(7, tmp_path, losses=1)

    assert line.broken == ()
    assert line.figures["losses"] == 1
