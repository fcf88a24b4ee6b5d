"""Settings of a batch, of which a test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.token import Token
from batchfill.settings.addresses import REPLICATE
from batchfill.settings.settings import DEFAULTS, Settings
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    usual = Settings(
        **DEFAULTS,
        manifest=tmp_path / "night.csv",
        folder=tmp_path / "night.batch",
        base=REPLICATE,
        token=Token(TOKEN),
    )
    return lambda **changes: replace(usual, **changes)
