"""What becomes of rows whose creates were refused, by a table."""

from __future__ import annotations

import pytest

from batchfill.errors import ServiceRefused
from batchfill.run.submit.refused_rows import WINDOW, AfterRefusal, RefusedRows

WAIT, FAIL, END = AfterRefusal.WAIT, AfterRefusal.FAIL, AfterRefusal.END


def refused(text: str = "the service answered 401 to the create call", status: int = 401) -> ServiceRefused:
    return ServiceRefused(text, status=status)


def test_a_row_waits_is_asked_once_more_and_fails() -> None:
    rows = RefusedRows()
    steps = [rows.add_refusal("a", refused(), now=now, any_accepted=True) for now in (0, 30)]
    assert steps == [WAIT, FAIL]


def test_five_rows_alike_within_five_minutes_end_submitting() -> None:
    rows = RefusedRows()
    steps = [rows.add_refusal(key, refused(), now=60, any_accepted=True) for key in "abcde"]
    assert steps == [WAIT] * 4 + [END]


def test_one_row_is_no_five_rows() -> None:
    rows = RefusedRows()
    steps = [rows.add_refusal("a", refused(), now=now, any_accepted=True) for now in range(6)]
    assert END not in steps


def test_refusals_over_a_longer_time_end_nothing() -> None:
    rows = RefusedRows()
    steps = [
        rows.add_refusal(key, refused(), now=n * (WINDOW / 4 + 1), any_accepted=True)
        for n, key in enumerate("abcdefgh")
    ]
    assert steps == [WAIT] * 8


@pytest.mark.parametrize(
    ("texts", "step"),
    [
        (["无效的令牌 (request id: 2025abc1)", "无效的令牌 (request id: 77f0e)"], END),
        (["无效的令牌（request id: 2025abc1）", "无效的令牌（request id: 77f0e）"], END),
        (["blocked: Ray ID 9f1c2", "Blocked: Ray ID 88e01"], END),
        (["no such token", "not allowed here"], WAIT),
    ],
)
def test_alike_are_refusals_whose_words_differ_by_numbers_and_ids_only(
    texts: list[str], step: AfterRefusal
) -> None:
    rows, last = RefusedRows(), None
    for n, key in enumerate("abcde"):
        last = rows.add_refusal(key, refused(texts[n % 2]), now=0, any_accepted=True)
    assert last is step


@pytest.mark.parametrize(("final", "accepted"), [(True, True), (True, False), (False, False)])
def test_a_lack_of_credit_and_a_refusal_before_any_success_end_submitting_at_once(
    final: bool, accepted: bool
) -> None:
    error = ServiceRefused("no", status=403, final=final)
    assert RefusedRows().add_refusal("a", error, now=0, any_accepted=accepted) is END
