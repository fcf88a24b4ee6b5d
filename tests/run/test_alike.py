from __future__ import annotations

from itertools import cycle, islice

from batchfill.run.alike import MANY, Alike


def test_the_tenth_failure_alike_is_told() -> None:
    alike = Alike()
    assert [alike.failed("the model is gone") for _ in range(MANY + 1)] == [False] * 9 + [True, True]


def test_numbers_ids_and_letter_case_make_no_difference() -> None:
    alike = Alike()
    reasons = [f"Error {n}: prediction <{n * 7}> FAILED{'!' * n}" for n in range(MANY)]
    assert [alike.failed(reason) for reason in reasons][-1]


def test_a_success_in_between_begins_the_count_again() -> None:
    alike = Alike()
    for _ in range(MANY - 1):
        assert not alike.failed("the model is gone")
    alike.succeeded()
    assert [alike.failed("the model is gone") for _ in range(MANY)] == [False] * 9 + [True]


def test_failures_of_two_kinds_are_not_alike() -> None:
    alike = Alike()
    reasons = islice(cycle(["the model is gone", "the mask is empty"]), 100)
    assert not any(alike.failed(reason) for reason in reasons)


def test_reasons_without_a_word_count_too() -> None:
    alike = Alike()
    assert [alike.failed("503") for _ in range(MANY)][-1]
