from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING

import pytest

from batchfill.emulator.faults.fault_plan import FaultPlan, read_plan
from batchfill.emulator.faults.fault_plan import read_plan as documented
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[[str], FaultPlan]


@pytest.fixture
def plan_of(tmp_path: Path) -> Read:
    """Read a plan from its text."""

    def from_text(text: str) -> FaultPlan:
        path = tmp_path / "plan.yaml"
        path.write_text(text, "utf-8")
        return read_plan(path)

    return from_text


@pytest.fixture
def plan_mistakes(plan_of: Read) -> Callable[[str], list[str]]:
    """Return what is wrong with a plan, line by line."""

    def of(text: str) -> list[str]:
        with pytest.raises(UsageError) as caught:
            plan_of(text)
        return str(caught.value).split("\n")

    return of


def struck(plan: FaultPlan, call: str, count: int, elapsed: float = 0.0) -> dict[int, list[str]]:
    """Return which faults hit the requests of a call, by position."""
    hits = {place: plan.faults.match(call, elapsed) for place in range(1, count + 1)}
    return {place: [fault.kind for fault in faults] for place, faults in hits.items() if faults}


def test_a_plan_says_which_requests_go_wrong_and_how(plan_of: Read) -> None:
    plan = plan_of("""
        clock_skew: -120
        rate: {per_minute: 600, burst: 3}
        faults:
          - {call: create, kind: reset_after, at: [3, 5]}
          - {call: output, kind: cut, first: 2, times: 2}
          - {call: any, kind: down, after: 3600, before: 7200}
          - call: get
            kind: status
            status: 429
            form: resets
            seconds: 30
    """)
    assert (plan.faults.clock_skew, plan.rate, plan.burst) == (-120, 600, 3)
    assert struck(plan, "create", 6) == {3: ["reset_after"], 5: ["reset_after"]}
    assert struck(plan, "output", 6) == {2: ["cut"], 3: ["cut"]}
    (fault,) = plan.faults.match("get")
    assert fault.options == {"status": 429, "form": "resets", "seconds": 30}
    assert struck(plan, "account", 1, 3600) == {1: ["down"]}


def test_chance_follows_the_seed_of_the_plan(plan_of: Read) -> None:
    text = "seed: {}\nfaults: [{{call: get, kind: cut, probability: 0.5}}]"
    first, again, other = (struck(plan_of(text.format(seed)), "get", 50) for seed in (1, 1, 2))
    assert first == again != other


def test_low_credit_is_a_pace_by_itself(plan_of: Read) -> None:
    plan = plan_of("credit: low")
    assert (plan.rate, plan.burst) == (6, 1)


def test_the_plan_that_is_documented_can_be_read(plan_of: Read) -> None:
    text = cleandoc(str(documented.__doc__))
    plan = plan_of("\n".join(line for line in text.splitlines() if line.startswith(" " * 4)))
    assert (plan.rate, plan.faults.clock_skew) == (600, -120)
    assert struck(plan, "output", 9) == {5: ["cut"], 6: ["cut"]}


def test_all_mistakes_are_told_at_once_each_where_it_is(plan_mistakes: Callable[[str], list[str]]) -> None:
    told = plan_mistakes("""
        sed: 7
        clock_skew: much
        rate: {per_minute: 0, bursts: 1}
        faults:
          - {call: create, kind: cut}
          - {call: creat, kind: cut}
          - {call: create, kind: blow_up}
          - {call: create, kind: cut, probabilty: 1}
          - {call: create, kind: cut, at: 3}
          - {call: create, kind: cut, at: [3], first: 2}
          - {call: create}
          - cut
    """)
    known = "; known are "
    assert [line.split(known)[0] for line in told] == [
        "plan.yaml: unknown setting 'sed'; did you mean seed?",
        "plan.yaml: clock_skew must be a number of seconds, not 'much'",
        "plan.yaml: fault 2: unknown call 'creat'; did you mean create?",
        "plan.yaml: fault 3: unknown fault 'blow_up'",
        "plan.yaml: fault 4: unknown option of cut 'probabilty'; did you mean probability?",
        "plan.yaml: fault 5: at must be a list of positions such as [3, 17], not 3",
        "plan.yaml: fault 6: at and first exclude each other",
        "plan.yaml: fault 7: call and kind must be given, such as {call: create, kind: reset_after}",
        "plan.yaml: fault 8: call and kind must be given, such as {call: create, kind: reset_after}",
        "plan.yaml: rate: unknown name 'bursts'; did you mean burst?",
        "plan.yaml: per_minute must be a number above 0, not 0",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plan.yaml: must be names and values"),
        ("- a", "plan.yaml: must be names and values"),
        ("a: b: c", "plan.yaml:1: not YAML: "),
        ("a: !!python/object:os.system x", "plan.yaml:1: not YAML: "),
        ("faults: {call: get}", "plan.yaml: faults must be a list"),
        ("credit: high", "plan.yaml: credit must be low, not 'high'"),
        ("credit: low\nrate: {per_minute: 6}", "plan.yaml: rate and credit both set the pace"),
        ("rate: 600", "plan.yaml: rate must be such as {per_minute: 600, burst: 10}"),
        ("\x00", "plan.yaml: not YAML: "),
    ],
)
def test_what_is_no_plan_is_refused_in_words(
    plan_mistakes: Callable[[str], list[str]], text: str, message: str
) -> None:
    assert plan_mistakes(text)[0].startswith(message)


def test_a_plan_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"plan\.yaml: cannot be read: No such file"):
        read_plan(tmp_path / "plan.yaml")
