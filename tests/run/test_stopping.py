from __future__ import annotations

from batchfill.run.stopping import Stopping


def test_the_first_reason_counts() -> None:
    stopping = Stopping()
    stopping.submits("--limit 3 reached")
    stopping.submits("stopped by the user", by_user=True)
    assert stopping.because == "--limit 3 reached"
    assert stopping.by_user


def test_ctrl_c_stops_in_three_stages() -> None:
    stopping = Stopping()
    assert stopping.interrupt() == 1
    assert (stopping.because, stopping.by_user, stopping.at_once) == ("stopped by the user", True, False)
    assert stopping.interrupt() == 2
    assert stopping.at_once
    assert stopping.interrupt() == 3


def test_ctrl_c_after_another_stop_still_waits_for_what_runs() -> None:
    stopping = Stopping()
    stopping.submits("--until 07:00 reached")
    assert stopping.interrupt() == 1
    assert not stopping.at_once


def test_every_change_rings() -> None:
    stopping = Stopping()
    for n, change in enumerate(
        (lambda: stopping.submits("a"), lambda: stopping.everything("b"), stopping.cancel_all)
    ):
        assert stopping.bell.rung == n
        change()
    assert stopping.bell.rung == 3
