from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.clock import SystemClock
from batchfill.domain.progress import Level
from batchfill.settings.timings import Timings
from batchfill.storage import disk
from batchfill.storage.disk import LEAST, DiskSpaceGuard
from batchfill.storage.run_log import open_run_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.listeners import Ears

MB = 1_000_000


@pytest.fixture
def guard(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int | None], DiskSpaceGuard]]:
    """Give a disk with so many bytes free, which is looked at every time."""
    with open_run_log(tmp_path / "run.log", ears, SystemClock()) as say:
        watching = DiskSpaceGuard(tmp_path / "night.batch", say, Timings())

        def guard(free: int | None, **seconds: float) -> DiskSpaceGuard:
            watching._timings = Timings(**{"disk_look": 0.0, **seconds})  # type: ignore[arg-type]
            monkeypatch.setattr(disk, "free_bytes", lambda _: free)
            return watching

        yield guard


async def test_a_lack_of_room_is_said_with_what_is_left_and_where(
    guard: Callable[..., DiskSpaceGuard],
) -> None:
    assert guard(12_400_000).shortage(0, 0, None) == (
        "only 12 MB left on the disk of night.batch: nothing more is submitted until there is room"
    )


@pytest.mark.parametrize(
    ("free", "in_flight", "largest", "lacks"),
    [
        (LEAST, 0, 0, False),
        (LEAST - 1, 0, 0, True),
        (LEAST, 1000, 0, False),
        (400 * MB, 9, 10 * MB, False),
        (400 * MB - 1, 9, 10 * MB, True),
        (None, 1000, 10 * MB, False),
    ],
)
async def test_there_has_to_be_room_for_four_pictures_of_each_prediction_in_flight_and_the_next(
    guard: Callable[..., DiskSpaceGuard], free: int | None, in_flight: int, largest: int, *, lacks: bool
) -> None:
    assert (guard(free).shortage(in_flight, largest, None) is not None) is lacks


async def test_a_picture_that_was_not_taken_is_a_lack_whatever_the_disk_says(
    guard: Callable[..., DiskSpaceGuard],
) -> None:
    assert guard(10**12).shortage(0, 0, "Disk quota exceeded") == (
        "Disk quota exceeded: nothing more is submitted until night.batch takes pictures again"
    )


async def test_a_lack_and_its_end_are_told_once_however_often_they_come(
    guard: Callable[..., DiskSpaceGuard], ears: Ears
) -> None:
    for free in (MB, MB, 10**12, 10**12, MB, 10**12):
        guard(free).shortage(0, 0, None)
    assert [(notice.level, notice.text.partition(":")[0]) for notice in ears.notices] == [
        (Level.WARNING, "only 1 MB left on the disk of night.batch"),
        (Level.INFO, "there is room on the disk again"),
    ]


async def test_the_disk_is_asked_every_few_seconds_at_most(
    guard: Callable[..., DiskSpaceGuard],
) -> None:
    assert guard(MB, disk_look=3600.0).shortage(0, 0, None)
    assert guard(10**12, disk_look=3600.0).shortage(0, 0, None)


async def test_patience_ends_only_where_there_was_no_room_all_the_time(
    guard: Callable[..., DiskSpaceGuard],
) -> None:
    found = []
    for free, patience in ((MB, 3600.0), (MB, -1.0), (10**12, -1.0)):
        guard(free, disk_patience=patience).shortage(0, 0, None)
        found.append(guard(free, disk_patience=patience).out_of_patience)
    assert found == [False, True, False]


def test_a_disk_that_cannot_be_asked_holds_nothing_up(tmp_path: Path) -> None:
    assert disk.free_bytes(tmp_path / "nowhere") is None
    assert (disk.free_bytes(tmp_path) or 0) > 0
