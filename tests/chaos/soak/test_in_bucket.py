"""A small part of what `make soak` does with outputs in a bucket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.chaos.soak.in_bucket import in_bucket

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only POSIX kills")


def test_a_bucket_is_as_the_ledger_says_whenever_a_run_is_killed(tmp_path: Path) -> None:
    (line,) = in_bucket(7, tmp_path, kills=1)

    assert line.broken == ()
    assert line.figures["kills"] == 1
