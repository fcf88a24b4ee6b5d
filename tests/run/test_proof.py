from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.run import proof
from batchfill.values import Attempt, Prediction, RowState

if TYPE_CHECKING:
    from collections.abc import Callable

Attempts = Any
Predictions = Any


def ours(prediction: Predictions) -> Prediction:
    """Another prediction of ours, which shows that the list is of this account."""
    known: Prediction = prediction("known", seed=9)
    return known


def test_an_unclaimed_prediction_with_our_seed_and_prompt_is_adopted(
    attempt: Attempts, prediction: Predictions
) -> None:
    verdict = proof.judge([attempt(1)], [prediction("p1")], set(), complete=False)
    assert verdict.adopted == {1: prediction("p1")}
    assert (verdict.absent, verdict.doubtful) == (frozenset(), {})


@pytest.mark.parametrize("echo", [{"seed": "41"}, {"seed": 41.0}, {"guidance": "30.0"}, {"extra": 1}])
def test_a_service_may_echo_numbers_in_its_own_way(
    attempt: Attempts, prediction: Predictions, echo: dict[str, Any]
) -> None:
    item = prediction("p1")
    item = replace(item, input={**item.input, **echo})
    assert proof.judge([attempt(1)], [item], set(), complete=True).adopted == {1: item}


def test_a_claimed_prediction_is_never_adopted(attempt: Attempts, prediction: Predictions) -> None:
    verdict = proof.judge([attempt(1)], [prediction("p1")], {"p1"}, complete=True)
    assert verdict.adopted == {}
    assert verdict.absent == {1}


def test_our_seed_with_another_prompt_is_a_doubt(attempt: Attempts, prediction: Predictions) -> None:
    item = replace(prediction("p1"), input={"prompt": "a cat", "seed": 41})
    verdict = proof.judge([attempt(1)], [item, ours(prediction)], {"known"}, complete=True)
    assert "same seed" in verdict.doubtful[1]


@pytest.mark.parametrize(
    ("sent", "adopted"),
    [
        ({}, True),
        ({"guidance": 31.0}, False),
        ({"prompt": "a cat"}, False),
        ({"image": "sha256:cd:12"}, True),
        ({"image": "https://api.example.com/v1/files/7"}, True),
        ({"image": "https://elsewhere.example.com/7.png"}, False),
        ({"num_outputs": 2}, False),
    ],
)
def test_a_seed_fixed_by_the_row_needs_equal_scalars_too(
    attempt: Attempts, prediction: Predictions, sent: dict[str, Any], adopted: bool
) -> None:
    lost = attempt(1, own=False)
    lost = replace(lost, sent={**lost.sent, **sent})
    verdict = proof.judge([lost], [prediction("p1"), ours(prediction)], {"known"}, complete=True)
    assert (1 in verdict.adopted) == adopted
    assert (1 in verdict.doubtful) != adopted


def test_of_two_predictions_that_fit_none_is_adopted(attempt: Attempts, prediction: Predictions) -> None:
    items = [prediction("p1"), prediction("p2"), ours(prediction)]
    verdict = proof.judge([attempt(1)], items, {"known"}, complete=True)
    assert verdict.adopted == {}
    assert "more than one" in verdict.doubtful[1]


def test_one_prediction_that_fits_two_attempts_is_nobodys(attempt: Attempts, prediction: Predictions) -> None:
    lost = [attempt(1, own=False), attempt(2, own=False)]
    verdict = proof.judge(lost, [prediction("p1"), ours(prediction)], {"known"}, complete=True)
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())
    assert verdict.doubtful.keys() == {1, 2}


def test_one_that_fits_an_attempt_still_unanswered_is_not_adopted(
    attempt: Attempts, prediction: Predictions
) -> None:
    rival = attempt(2, own=False)
    items = [prediction("p1"), ours(prediction)]
    verdict = proof.judge([attempt(1, own=False)], items, {"known"}, complete=True, rivals=[rival])
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())


def test_what_was_made_before_the_intent_is_not_the_attempts(
    attempt: Attempts, prediction: Predictions
) -> None:
    items = [prediction("p1", created_at=99.0), ours(prediction)]
    assert proof.judge([attempt(1)], items, {"known"}, complete=True, since=lambda lost: 100.0).absent == {1}
    assert proof.judge([attempt(1)], items, {"known"}, complete=True, since=lambda lost: 99.0).adopted == {
        1: items[0]
    }


def test_what_was_made_at_an_unknown_time_may_be_the_attempts(
    attempt: Attempts, prediction: Predictions
) -> None:
    items = [prediction("p1"), ours(prediction)]
    verdict = proof.judge([attempt(1)], items, {"known"}, complete=True, since=lambda lost: 100.0)
    assert verdict.adopted == {1: items[0]}


def test_the_full_proof_of_absence(attempt: Attempts, prediction: Predictions) -> None:
    items = [ours(prediction), prediction("stranger", seed=5)]
    assert proof.judge([attempt(1)], items, {"known"}, complete=True).absent == {1}


def without_input(prediction: Predictions) -> list[Prediction]:
    return [ours(prediction), replace(prediction("p1"), input=None)]


def without_seed(prediction: Predictions) -> list[Prediction]:
    return [ours(prediction), replace(prediction("p1"), input={"prompt": "a spaceship"})]


@pytest.mark.parametrize(
    ("items", "claimed", "complete", "why"),
    [
        (lambda p: [ours(p)], {"known"}, False, "to its end"),
        (lambda p: [ours(p)], set(), True, "no other prediction of this batch"),
        (lambda p: [], set(), True, "no other prediction of this batch"),
        (without_input, {"known"}, True, "without its inputs"),
        (without_seed, {"known"}, True, "without one"),
        (lambda p: [ours(p), p("p1", seed=None)], {"known"}, True, "without one"),
        (lambda p: [ours(p), p("p1", seed=0)], {"known"}, True, "without one"),
        (lambda p: [ours(p), p("p1", seed="x")], {"known"}, True, "without one"),
        (lambda p: [ours(p), p("p1", seed=float("inf"))], {"known"}, True, "without one"),
    ],
)
def test_anything_less_is_a_doubt(
    attempt: Attempts,
    prediction: Predictions,
    items: Callable[[Predictions], list[Prediction]],
    claimed: set[str],
    complete: bool,
    why: str,
) -> None:
    verdict = proof.judge([attempt(1)], items(prediction), claimed, complete=complete)
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())
    assert why in verdict.doubtful[1]


def test_a_seed_told_only_in_the_logs_is_another_seed(attempt: Attempts, prediction: Predictions) -> None:
    item = replace(prediction("p1"), input={"prompt": "a spaceship"}, seed=12345)
    verdict = proof.judge([attempt(1)], [item, ours(prediction)], {"known"}, complete=True)
    assert verdict.absent == {1}


def test_for_a_model_without_seeds_all_that_was_sent_decides(
    attempt: Attempts, prediction: Predictions
) -> None:
    sent = {"prompt": "a spaceship", "guidance": 30.0}
    lost = replace(attempt(1, seed=None, own=False), sent=sent)
    item = replace(prediction("p1"), input=sent)
    assert proof.judge([lost], [item], set(), complete=True).adopted == {1: item}
    other = replace(item, input={**sent, "guidance": 2})
    verdict = proof.judge([lost], [other, ours(prediction)], {"known"}, complete=True)
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())


@dataclass
class World:
    """Attempts whose answers are not known, and what a service lists of what it made."""

    lost: list[Attempt]
    rivals: list[Attempt]
    made: dict[str, int]
    """Prediction id → number of the attempt it was made for; those of strangers are not there."""
    items: list[Prediction]
    claimed: set[str]
    complete: bool

    def judge(self) -> proof.Verdict:
        return proof.judge(
            self.lost,
            self.items,
            self.claimed,
            complete=self.complete,
            rivals=self.rivals,
            since=lambda attempt: attempt.intended_at,
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    numbers = range(1, draw(st.integers(2, 8)))
    own_seeds = draw(st.permutations(range(100, 110)))
    attempts, items, made, claimed = [], [], {}, set()
    for number in numbers:
        own = draw(st.booleans())
        seed = own_seeds[number] if own else draw(st.sampled_from([3, 4]))
        sent = {"seed": seed, "prompt": draw(st.sampled_from("ab")), "image": f"sha256:{number}:9"}
        attempts.append(_attempt(number, seed, sent, own=own))
        if draw(st.booleans()):
            id_ = f"p{number}"
            made[id_] = number
            made_at = draw(st.sampled_from([None, 10.0 * number, 10.0 * number + 100]))
            echo = _echo(draw, {**sent, "image": "https://x/1"})
            items.append(Prediction(id_, "processing", created_at=made_at, input=echo))
    for n in range(draw(st.integers(0, 3))):
        seed = draw(st.sampled_from([3, 4, 50, 101, 102]))
        echo = {"seed": seed, "prompt": draw(st.sampled_from("ab")), "image": "https://x/1"}
        made_at = draw(st.sampled_from([None, 0.0, 35.0, 200.0]))
        items.append(Prediction(f"stranger{n}", "processing", created_at=made_at, input=_echo(draw, echo)))
    kinds = {a.number: draw(st.sampled_from(["lost", "lost", "rival", "known"])) for a in attempts}
    claimed = {id_ for id_, number in made.items() if kinds[number] == "known"}
    return World(
        lost=[a for a in attempts if kinds[a.number] == "lost"],
        rivals=[a for a in attempts if kinds[a.number] == "rival"],
        made=made,
        items=draw(st.permutations(items)),
        claimed=claimed,
        complete=draw(st.booleans()),
    )


def _attempt(number: int, seed: int, sent: dict[str, Any], *, own: bool) -> Attempt:
    return Attempt(
        number=number,
        key=str(number),
        id=str(number),
        line=number,
        state=RowState.SUBMITTING,
        seed=seed,
        own_seed=own,
        origin="https://api.example.com/v1",
        sent=sent,
        outputs_asked=1,
        intended_at=10.0 * number,
        service_time=1.0,
        anchor=None,
    )


def _echo(draw: st.DrawFn, given: dict[str, Any]) -> dict[str, Any] | None:
    """What a service may make of an input that it lists."""
    match draw(st.sampled_from(["whole", "whole", "whole", "none", "no seed", "words"])):
        case "none":
            return None
        case "no seed":
            return {name: value for name, value in given.items() if name != "seed"}
        case "words":
            return {name: str(value) for name, value in given.items()}
    return given


many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(worlds())
def test_every_lost_submission_gets_one_verdict(world: World) -> None:
    verdict = world.judge()
    groups = [set(verdict.adopted), set(verdict.absent), set(verdict.doubtful)]
    assert sorted(number for group in groups for number in group) == [a.number for a in world.lost]


@many
@given(worlds())
def test_an_adopted_prediction_is_unclaimed_and_no_other_attempts(world: World) -> None:
    adopted = world.judge().adopted
    ids = [item.id for item in adopted.values()]
    assert len(ids) == len(set(ids))
    assert not set(ids) & world.claimed
    for number, item in adopted.items():
        assert world.made.get(item.id, number) == number


@many
@given(worlds())
def test_what_was_made_and_is_listed_is_never_called_absent(world: World) -> None:
    listed = {world.made[item.id] for item in world.items if item.id in world.made}
    assert not world.judge().absent & listed


@many
@given(worlds())
def test_absence_has_the_full_proof(world: World) -> None:
    unclaimed = [item for item in world.items if item.id not in world.claimed]
    for number in world.judge().absent:
        (lost,) = [a for a in world.lost if a.number == number]
        free = [i for i in unclaimed if i.created_at is None or i.created_at >= lost.intended_at]
        assert world.complete
        assert world.claimed
        assert all(item.input is not None for item in free)
        assert all(str(item.input.get("seed", lost.seed)) != str(lost.seed) for item in free if item.input)


@many
@given(worlds())
def test_a_seed_of_our_own_listed_in_full_is_always_found(world: World) -> None:
    taken = [str(item.input.get("seed")) for item in world.items if item.input]
    adopted = world.judge().adopted
    for item in world.items:
        for lost in world.lost:
            mine = world.made.get(item.id) == lost.number and lost.own_seed
            if mine and item.input and "seed" in item.input and taken.count(str(lost.seed)) == 1:
                assert adopted[lost.number] == item
