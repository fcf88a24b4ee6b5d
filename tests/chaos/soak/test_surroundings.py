from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos.soak import flips, surroundings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full and a shell")


def test_whatever_streams_a_command_is_given_it_says_what_it_must_or_that_it_cannot(tmp_path: Path) -> None:
    for line in surroundings.surrounded(7, tmp_path, of_each=3):
        assert line.broken == ()


def test_bits_that_went_bad_are_told_and_nothing_is_paid_for_twice(tmp_path: Path) -> None:
    for line in flips.flipped(7, tmp_path / "flips", flips=4):
        assert line.broken == ()
