"""*Another disk* than that of a test's temporary folder, on machines that have one."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = (Path("/dev/shm"), Path("/var/tmp"), Path("/tmp"))
"""Where file systems of their own may be."""


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on it; a test is left out where there is none."""
    here = tmp_path.stat().st_dev
    others = [place for place in PLACES if os.access(place, os.W_OK) and place.stat().st_dev != here]
    if not others:
        pytest.skip("there is no other disk here")
    with TemporaryDirectory(dir=others[0]) as name:
        yield Path(name)
