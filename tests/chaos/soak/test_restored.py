"""A small part of what `make soak` does with restored and renamed batches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.chaos.soak import restored
from tests.chaos.soak.table import table

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only POSIX kills")


def test_nothing_is_paid_for_twice_whatever_became_of_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeds = (restored.restore_ledger, restored.lose_ledger, restored.rename_folder)
    monkeypatch.setattr(restored, "DEEDS", deeds)
    lines = restored.restored(7, tmp_path, situations=len(deeds))
    assert [text for line in lines for text in line.broken] == []
    assert len(list(table("restored", lines))) == 1 + len(deeds)
