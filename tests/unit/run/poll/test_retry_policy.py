from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.run.poll.retry_policy import Failure, RetryDecision, decide_retry
from batchfill.settings.timings import DEFAULT

PA = "Prediction interrupted; please retry (code: PA)"
NSFW = "NSFW content detected. Try running it again, or try a different prompt."
FLAGGED = "The input or output was flagged as sensitive. Please try again. (E005)"
MEMORY = "CUDA out of memory. Tried to allocate 20.00 MiB"


def failure(**changes: Any) -> Failure:
    usual: dict[str, Any] = {
        "status": "failed",
        "error": PA,
        "tries": 1,
        "attempts": 3,
        "fixed_seed": False,
        "inline_bytes": 0,
        "cancel_asked": None,
    }
    return Failure(**(usual | changes))


def decide(failed: Failure) -> RetryDecision | None:
    return decide_retry(failed, DEFAULT.attempt_retry)


@pytest.mark.parametrize(
    "error",
    [
        PA,
        "Director: unexpected error handling prediction (E8765)",
        "Director: unexpected error",
        "Queue is full (E1000)",
        "E6716: Timeout starting prediction",
        "Error E9828",
        "Service is temporarily unavailable (E003)",
    ],
)
def test_a_trouble_of_the_service_is_tried_again(error: str) -> None:
    assert decide(failure(error=error)) == RetryDecision(10.0)


@pytest.mark.parametrize(
    "error",
    [
        "guidance must be at most 100",
        "",
        "E1001: Out of memory",
        "E002",
        "no such thing as SPA, code: PAX",
        FLAGGED,
    ],
)
def test_an_error_that_is_not_known_to_pass_is_final(error: str) -> None:
    assert decide(failure(error=error)) is None


@pytest.mark.parametrize("status", ["aborted"])
def test_what_the_service_aborted_is_tried_again_whatever_it_says(status: str) -> None:
    assert decide(failure(status=status, error="")) == RetryDecision(10.0)


def test_the_safety_filter_is_asked_again_at_once_with_a_new_seed() -> None:
    assert decide(failure(error=NSFW)) == RetryDecision(0.0)


def test_the_safety_filter_is_not_asked_again_where_the_row_fixes_its_seed() -> None:
    assert decide(failure(error=NSFW, fixed_seed=True)) is None


def test_too_little_memory_is_tried_once_more() -> None:
    assert decide(failure(error=MEMORY)) == RetryDecision(10.0)
    assert decide(failure(error=MEMORY, tries=2)) is None


def test_an_interruption_by_too_large_an_input_is_final() -> None:
    assert decide(failure(inline_bytes=6_000_000)) == RetryDecision(10.0)
    assert decide(failure(inline_bytes=6_000_001)) is None


def test_what_our_time_out_canceled_is_tried_again() -> None:
    assert decide(failure(status="canceled", error="", cancel_asked="time-out")) == RetryDecision(10.0)
    assert decide(failure(status="failed", error="canceled", cancel_asked="time-out")) == RetryDecision(10.0)


@pytest.mark.parametrize("status", ["canceled", "failed", "aborted"])
def test_what_the_user_canceled_is_final(status: str) -> None:
    assert decide(failure(status=status, cancel_asked="user")) is None


def test_what_somebody_canceled_on_the_services_page_is_final() -> None:
    assert decide(failure(status="canceled", error=PA)) is None


@pytest.mark.parametrize(
    ("status", "asked", "by_user"),
    [
        ("canceled", "user", True),
        ("failed", "user", True),
        ("aborted", "user", True),
        ("canceled", None, True),
        ("canceled", "time-out", False),
        ("failed", "time-out", False),
        ("aborted", "time-out", False),
        ("failed", None, False),
        ("aborted", None, False),
    ],
)
def test_only_what_the_user_stopped_counts_as_canceled(status: str, asked: str | None, by_user: bool) -> None:
    assert failure(status=status, cancel_asked=asked).by_user is by_user


def test_waits_grow_and_are_bounded() -> None:
    waits = [decide(failure(tries=tries, attempts=9)) for tries in range(1, 6)]
    assert waits == [
        RetryDecision(10.0),
        RetryDecision(40.0),
        RetryDecision(160.0),
        RetryDecision(300.0),
        RetryDecision(300.0),
    ]


@given(
    status=st.sampled_from(["failed", "canceled", "aborted"]),
    error=st.one_of(st.sampled_from([PA, NSFW, MEMORY, FLAGGED]), st.text()),
    attempts=st.integers(1, 100),
    more=st.integers(0, 3),
    asked=st.sampled_from([None, "user", "time-out"]),
)
def test_attempts_are_never_exceeded(
    status: str, error: str, attempts: int, more: int, asked: str | None
) -> None:
    used = failure(status=status, error=error, attempts=attempts, tries=attempts + more, cancel_asked=asked)
    assert decide(used) is None


@given(st.integers(1, 99))
def test_every_wait_can_be_waited_for(tries: int) -> None:
    again = decide(failure(tries=tries, attempts=tries + 1))
    assert again is not None
    assert 0 <= again.wait <= 300
