"""What becomes of an output that could not be fetched, as a table over every reason."""

from __future__ import annotations

import pytest

from batchfill.domain.predictions import Output, Prediction
from batchfill.errors import BadPicture, BatchfillError, NotFound, OutputRefused, StorageError, TransientError
from batchfill.providers.downloads import SignatureWanted
from batchfill.run.download.unfetched import (
    ENOUGH,
    LOOKS_FOR_ANY,
    LOOKS_FOR_MORE,
    NONE_NAMED,
    Step,
    Unfetched,
    is_removed,
    why_none,
)
from batchfill.settings.timings import Timings

REASONS = {
    "refused": OutputRefused("ftp"),
    "unsigned": SignatureWanted("403"),
    "not found": NotFound("404"),
    "damaged": BadPicture("garbage"),
    "silent": TransientError("500"),
    "disk": StorageError("full"),
}


def output(n: int, url: str) -> Output:
    return Output("p1", n, url)


def after(looks: int, error: BatchfillError, *, url: str, over: bool, siblings: bool) -> Step:
    known, address = Unfetched(), "https://x/a?sig=0"
    for look in range(looks):
        fresh = url.format(look=look)
        known.looked([output(1, address)], {1: fresh})
        address = fresh
    return known.next_step(1, error, over=over, siblings=siblings)


@pytest.mark.parametrize("siblings", [False, True])
@pytest.mark.parametrize("reason", REASONS)
def test_while_the_service_has_it_only_a_refused_address_that_stays_is_given_up(
    reason: str, siblings: bool
) -> None:
    step = after(ENOUGH, REASONS[reason], url="https://x/a?sig={look}", over=False, siblings=siblings)
    assert step is (Step.LOST if reason == "refused" else Step.AGAIN)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("over", [False, True])
def test_nothing_is_given_up_or_left_before_some_looks(reason: str, over: bool) -> None:
    step = after(ENOUGH - 1, REASONS[reason], url="https://x/a", over=over, siblings=True)
    assert step is Step.AGAIN


def test_an_address_that_is_another_one_each_time_is_tried_for_the_whole_hour() -> None:
    options = {"url": "https://x/{look}", "siblings": True}
    assert after(50, REASONS["refused"], over=False, **options) is Step.AGAIN  # type: ignore[arg-type]
    assert after(50, REASONS["refused"], over=True, **options) is Step.LOST  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "alone", "beside"),
    [
        ("refused", Step.LOST, Step.LOST),
        ("unsigned", Step.LOST, Step.LOST),
        ("not found", Step.LOST, Step.LOST),
        ("damaged", Step.LOST, Step.LOST),
        # It may come yet, and where there is nothing else the row can wait for it.
        ("silent", Step.LEFT, Step.LOST),
        ("disk", Step.LEFT, Step.LEFT),
    ],
)
def test_after_the_hour_a_row_goes_on_without_what_does_not_come(
    reason: str, alone: Step, beside: Step
) -> None:
    for siblings, step in ((False, alone), (True, beside)):
        found = after(ENOUGH, REASONS[reason], url="https://x/a", over=True, siblings=siblings)
        assert found is step


@pytest.mark.parametrize(
    ("prediction", "reasons", "over", "removed"),
    [
        (Prediction("p1", "succeeded", outputs=("https://x/a",)), ["not found"], True, False),
        (Prediction("p1", "succeeded", outputs=("https://x/a",), data_removed=True), ["silent"], False, True),
        (Prediction("p1", "succeeded", data_removed=True), ["silent"], False, True),
        (Prediction("p1", "succeeded"), ["silent", "not found"], False, True),
        (Prediction("p1", "succeeded"), ["silent", "unsigned"], False, False),
        (Prediction("p1", "unknown"), ["disk"], True, True),
        (Prediction("p1", "processing"), ["damaged"], False, False),
    ],
)
def test_removed_is_the_service_s_word_or_what_two_answers_agree_on(
    prediction: Prediction, reasons: list[str], over: bool, removed: bool
) -> None:
    assert is_removed(prediction, [REASONS[reason] for reason in reasons], over=over) is removed


@pytest.mark.parametrize(
    ("named", "asked", "looks"),
    [(1, 4, LOOKS_FOR_MORE), (3, 4, LOOKS_FOR_MORE), (4, 4, 0), (5, 4, 0)],
)
def test_outputs_that_are_not_named_yet_are_looked_for(named: int, asked: int, looks: int) -> None:
    waits = [Unfetched(looks=n).may_name_more(named, asked) for n in range(LOOKS_FOR_ANY + 2)]
    assert waits == [True] * looks + [False] * (LOOKS_FOR_ANY + 2 - looks)


@pytest.mark.parametrize(
    ("gap", "late", "looks"),
    [
        pytest.param(1.0, 0.0, LOOKS_FOR_ANY, id="so many looks, however soon"),
        pytest.param(100.0, 300.0, LOOKS_FOR_ANY, id="so many looks, however long they take"),
        pytest.param(30.0, 300.0, 11, id="for some minutes"),
    ],
)
def test_a_prediction_that_names_nothing_is_asked_again_for_some_minutes(
    gap: float, late: float, looks: int
) -> None:
    known, asked = Unfetched(), 1
    while known.may_name_any(asked * gap, late):
        asked += 1
    assert asked == looks


def test_a_service_has_some_minutes_to_name_what_it_made() -> None:
    assert 180 <= Timings().late_outputs <= 600


@pytest.mark.parametrize(
    ("filtered", "end"),
    [
        (None, " within 5 min; it gives no reason"),
        ("NSFW content detected", " within 5 min; the service says: NSFW content detected"),
    ],
)
def test_what_is_said_of_a_row_without_a_picture_is_the_services_word(filtered: str | None, end: str) -> None:
    told = why_none(Prediction("p1", "succeeded", filtered=filtered), 300.0)
    assert told == NONE_NAMED + end
    assert "safety" not in told


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("siblings", [False, True])
def test_a_file_that_no_decoder_here_reads_is_kept_once(over: bool, siblings: bool) -> None:
    foreign = BadPicture("the service sent a JPEG XL file", foreign="JPEG XL")
    assert after(1, foreign, url="https://x/a", over=over, siblings=siblings) is Step.LOST
