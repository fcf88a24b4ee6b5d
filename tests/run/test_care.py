from __future__ import annotations

from batchfill.run.care import FIRST_PAUSE, LONGEST_PAUSE, Care


def test_without_trouble_nothing_waits() -> None:
    assert Care().wait(now=100.0, creates_open=8) == 0.0


def test_after_trouble_everything_pauses() -> None:
    care = Care()
    care.trouble(100.0)
    assert care.careful
    assert care.wait(100.0, creates_open=0) == FIRST_PAUSE
    assert care.wait(104.0, creates_open=0) == 1.0


def test_after_the_pause_rows_go_one_at_a_time() -> None:
    care = Care()
    care.trouble(100.0)
    assert care.wait(105.0, creates_open=0) == 0.0
    assert care.wait(105.0, creates_open=1) is None


def test_one_that_is_accepted_ends_the_care() -> None:
    care = Care()
    care.trouble(100.0)
    care.accepted()
    assert not care.careful
    assert care.wait(100.0, creates_open=8) == 0.0


def test_companions_that_fail_in_the_pause_do_not_prolong_it() -> None:
    care = Care()
    for now in (100.0, 100.1, 104.9):
        care.trouble(now)
    assert care.wait(105.0, creates_open=0) == 0.0


def test_an_outage_that_lasts_is_asked_less_and_less_often() -> None:
    care, now, pauses = Care(), 100.0, []
    for _ in range(6):
        care.trouble(now)
        pause = care.wait(now, creates_open=0)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses == [5.0, 10.0, 20.0, 40.0, LONGEST_PAUSE, LONGEST_PAUSE]
    care.accepted()
    care.trouble(now)
    assert care.wait(now, creates_open=0) == FIRST_PAUSE
