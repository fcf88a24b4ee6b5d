from __future__ import annotations

from batchfill.run.expense import Lost, peak_memory


def test_time_counts_as_lost_from_the_first_wait_to_its_end() -> None:
    lost = Lost()
    lost.note(waits=False, now=1.0)
    assert lost.total(2.0) == 0.0
    for now in (3.0, 4.0):
        lost.note(waits=True, now=now)
    lost.note(waits=False, now=6.0)
    lost.note(waits=False, now=9.0)
    assert lost.total(10.0) == 3.0


def test_a_wait_that_goes_on_counts_up_to_now() -> None:
    lost = Lost()
    lost.note(waits=True, now=3.0)
    assert lost.total(10.0) == 7.0


def test_memory_is_told_in_bytes() -> None:
    peak = peak_memory()
    assert peak is None or 10 << 20 < peak < 1 << 40
