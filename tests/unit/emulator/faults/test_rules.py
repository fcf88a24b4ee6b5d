from __future__ import annotations

from typing import Any

import pytest

from batchfill.emulator.faults.rules import Fault, Faults


def struck(faults: Faults, call: str, count: int) -> list[int]:
    return [place for place in range(1, count + 1) if faults.match(call)]


@pytest.mark.parametrize(
    ("call", "kind", "options", "message"),
    [
        ("creat", "cut", {}, "unknown call 'creat'"),
        ("create", "explode", {}, "unknown fault 'explode'"),
        ("get", "stuck", {}, "the fault stuck does not exist for the call get"),
        ("output", "invalid_json", {}, "does not exist for the call output"),
        ("get", "delay", {"minutes": 1}, "unknown option of delay 'minutes'"),
        ("get", "status", {}, "needs the option status"),
    ],
)
def test_what_does_not_exist_is_refused(call: str, kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(call, kind, options=options)


def test_positions_count_the_requests_of_one_call() -> None:
    faults = Faults([Fault("get", "cut", at=frozenset({2, 5}))])
    faults.match("create")
    assert struck(faults, "get", 6) == [2, 5]


def test_a_fault_may_begin_late_and_end_early() -> None:
    assert struck(Faults([Fault("get", "cut", first=3, times=2)]), "get", 9) == [3, 4]


def test_chance_is_the_same_for_the_same_seed() -> None:
    rule = Fault("get", "cut", probability=0.5)
    hits = struck(Faults([rule], seed=1), "get", 200)
    assert hits == struck(Faults([rule], seed=1), "get", 200)
    assert hits != struck(Faults([rule], seed=2), "get", 200)
    assert 60 < len(hits) < 140


def test_rules_come_and_go_while_it_runs() -> None:
    faults = Faults()
    assert struck(faults, "get", 2) == []
    faults.add(Fault("get", "cut", at=frozenset({3})))
    assert len(faults.match("get")) == 1
    faults.clear()
    assert faults.match("get") == ()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"at": frozenset({0})}, r"at must be a list of positions such as \[3, 17\]"),
        ({"first": 0}, "first must be a whole number from 1 on, not 0"),
        ({"times": True}, "times must be a whole number from 1 on, not True"),
        ({"probability": 2}, "probability must be a number from 0 to 1, not 2"),
        ({"after": -1}, "after must be a number of seconds, not -1"),
        ({"after": 9, "before": 8}, r"before \(8 s\) must be later than after \(9 s\)"),
        ({"options": {"seconds": "long"}}, "seconds must be a number of seconds, not 'long'"),
    ],
)
def test_what_a_rule_says_must_make_sense(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault("create", "delay", **members)


@pytest.mark.parametrize(
    "options",
    [
        {"status": 99},
        {"status": 429, "form": "politely"},
        {"status": 429, "late": "yes"},
        {"status": 500, "body": {1, 2}},
        {"status": 500, "headers": {"X": "two\r\nlines"}},
        {"status": 500, "content_type": 7},
    ],
)
def test_an_answer_must_be_one_that_can_be_sent(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{list(options)[-1]} must be "):
        Fault("create", "status", options=options)


def test_a_rule_for_any_call_counts_the_requests_of_all() -> None:
    faults = Faults([Fault("any", "down", at=frozenset({2, 3}))])
    assert [bool(faults.match(call)) for call in ("create", "get", "other", "get")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_rule_for_any_call_is_of_a_kind_that_every_call_knows() -> None:
    with pytest.raises(ValueError, match="the fault stuck does not exist for the call any, only for create"):
        Fault("any", "stuck")


def test_a_rule_holds_between_two_moments() -> None:
    faults = Faults([Fault("get", "down", after=60, before=120)])
    assert [bool(faults.match("get", elapsed)) for elapsed in (0, 59.9, 60, 119.9, 120)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_what_a_rule_may_do_so_often_is_not_used_up_before_it_holds() -> None:
    faults = Faults([Fault("get", "down", after=60, times=1)])
    assert [bool(faults.match("get", elapsed)) for elapsed in (0, 61, 62)] == [False, True, False]
