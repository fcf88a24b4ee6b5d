from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.domain.predictions import Prediction
from batchfill.domain.rows import Accepted, Attempt, RowState
from batchfill.run.recover import matching

if TYPE_CHECKING:
    from collections.abc import Callable

Attempts = Any
Predictions = Any


KNOWN: dict[str, int | None] = {"known": 9}
"""Its id, and the seed that was sent for it."""


def ours(prediction: Predictions) -> Prediction:
    """Another prediction of ours, which shows that the list is of this account."""
    known: Prediction = prediction("known", seed=9)
    return known


def test_an_unclaimed_prediction_with_our_seed_and_prompt_is_adopted(
    attempt: Attempts, listed: Predictions
) -> None:
    verdict = matching.match_orphans([attempt(1)], [listed("p1")], {}, complete=False)
    assert verdict.adopted == {1: listed("p1")}
    assert (verdict.absent, verdict.doubtful) == (frozenset(), {})


@pytest.mark.parametrize("echo", [{"seed": "41"}, {"seed": 41.0}, {"guidance": "30.0"}, {"extra": 1}])
def test_a_service_may_echo_numbers_in_its_own_way(
    attempt: Attempts, listed: Predictions, echo: dict[str, Any]
) -> None:
    item = listed("p1")
    item = replace(item, input={**item.input, **echo})
    assert matching.match_orphans([attempt(1)], [item], {}, complete=True).adopted == {1: item}


def test_a_claimed_prediction_is_never_adopted(attempt: Attempts, listed: Predictions) -> None:
    verdict = matching.match_orphans([attempt(1)], [listed("p1")], {"p1": 41}, complete=True)
    assert verdict.adopted == {}
    assert verdict.absent == {1}


def test_our_seed_with_another_prompt_is_a_doubt(attempt: Attempts, listed: Predictions) -> None:
    item = replace(listed("p1"), input={"prompt": "a cat", "seed": 41})
    verdict = matching.match_orphans([attempt(1)], [item, ours(listed)], KNOWN, complete=True)
    assert "same seed" in verdict.doubtful[1]


@pytest.mark.parametrize(
    ("sent", "adopted"),
    [
        ({}, True),
        ({"guidance": 31.0}, False),
        ({"prompt": "a cat"}, False),
        ({"image": "sha256:cd:12"}, False),
        ({"image": "https://api.example.com/v1/files/7"}, False),
        ({"image": "https://elsewhere.example.com/7.png"}, False),
        ({"num_outputs": 2}, False),
    ],
)
def test_a_seed_fixed_by_the_row_needs_equal_scalars_too(
    attempt: Attempts, listed: Predictions, sent: dict[str, Any], adopted: bool
) -> None:
    lost = attempt(1, own=False)
    lost = replace(lost, sent={**lost.sent, **sent})
    verdict = matching.match_orphans([lost], [listed("p1"), ours(listed)], KNOWN, complete=True)
    assert (1 in verdict.adopted) == adopted
    assert (1 in verdict.doubtful) != adopted


def test_of_two_predictions_that_fit_none_is_adopted(attempt: Attempts, listed: Predictions) -> None:
    items = [listed("p1"), listed("p2"), ours(listed)]
    verdict = matching.match_orphans([attempt(1)], items, KNOWN, complete=True)
    assert verdict.adopted == {}
    assert "more than one" in verdict.doubtful[1]


def test_one_prediction_that_fits_two_attempts_is_nobodys(attempt: Attempts, listed: Predictions) -> None:
    lost = [attempt(1, own=False), attempt(2, own=False)]
    verdict = matching.match_orphans(lost, [listed("p1"), ours(listed)], KNOWN, complete=True)
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())
    assert verdict.doubtful.keys() == {1, 2}


def test_one_that_fits_an_attempt_still_unanswered_is_not_adopted(
    attempt: Attempts, listed: Predictions
) -> None:
    rival = attempt(2, own=False)
    items = [listed("p1"), ours(listed)]
    verdict = matching.match_orphans([attempt(1, own=False)], items, KNOWN, complete=True, competing=[rival])
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())


def test_the_full_proof_of_absence(attempt: Attempts, listed: Predictions) -> None:
    items = [ours(listed), listed("stranger", seed=5)]
    assert matching.match_orphans([attempt(1)], items, KNOWN, complete=True).absent == {1}


def without_input(prediction: Predictions) -> list[Prediction]:
    return [ours(prediction), replace(prediction("p1"), input=None)]


def without_seed(prediction: Predictions) -> list[Prediction]:
    return [ours(prediction), replace(prediction("p1"), input={"prompt": "a spaceship"})]


@pytest.mark.parametrize(
    ("items", "claimed", "complete", "why"),
    [
        (lambda p: [ours(p)], KNOWN, False, "to its end"),
        (lambda p: [ours(p)], {}, True, "no other prediction of this batch"),
        (lambda p: [], {}, True, "no other prediction of this batch"),
        (without_input, KNOWN, True, "without its inputs"),
        (without_seed, KNOWN, True, "without one"),
        (lambda p: [ours(p), p("p1", seed=None)], KNOWN, True, "without one"),
        (lambda p: [ours(p), p("p1", seed=0)], KNOWN, True, "without one"),
        (lambda p: [ours(p), p("p1", seed="x")], KNOWN, True, "without one"),
        (lambda p: [ours(p), p("p1", seed=float("inf"))], KNOWN, True, "without one"),
    ],
)
def test_anything_less_is_a_doubt(
    attempt: Attempts,
    listed: Predictions,
    items: Callable[[Predictions], list[Prediction]],
    claimed: dict[str, int | None],
    complete: bool,
    why: str,
) -> None:
    verdict = matching.match_orphans([attempt(1)], items(listed), claimed, complete=complete)
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())
    assert why in verdict.doubtful[1]


def test_a_seed_told_only_in_the_logs_is_another_seed(attempt: Attempts, listed: Predictions) -> None:
    item = replace(listed("p1"), input={"prompt": "a spaceship"}, seed=12345)
    verdict = matching.match_orphans([attempt(1)], [item, ours(listed)], KNOWN, complete=True)
    assert verdict.absent == {1}


# A service that echoes other seeds than were sent


@pytest.mark.parametrize(
    ("sent", "echoed", "proves"),
    [
        pytest.param(9, 9, True, id="as it was sent"),
        pytest.param(9, "9", True, id="in words"),
        pytest.param(9, None, True, id="not echoed"),
        pytest.param(9, 10, False, id="another one"),
        pytest.param(2**31 - 1, 65536, False, id="cut down"),
        pytest.param(9, "10", False, id="another one, in words"),
        pytest.param(None, 12345, True, id="drawn by the service"),
        pytest.param(0, 12345, True, id="left to the service"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_seeds_prove_nothing_where_one_of_ours_is_listed_with_another(
    attempt: Attempts, listed: Predictions, sent: int | None, echoed: Any, proves: bool, place: int
) -> None:
    items = [ours(listed), listed("stranger", seed=5)]
    items.insert(place, listed("p9", seed=echoed))
    verdict = matching.match_orphans([attempt(1)], items, {**KNOWN, "p9": sent}, complete=True)
    assert (verdict.absent == {1}) == proves
    assert proves or "other seeds than were sent" in verdict.doubtful[1]


def test_a_seed_told_only_in_the_logs_is_compared_too(attempt: Attempts, listed: Predictions) -> None:
    items = [replace(listed("p9"), input=None, seed=10), listed("stranger", seed=5)]
    verdict = matching.match_orphans([attempt(1)], items, {"p9": 9}, complete=True)
    assert "other seeds than were sent" in verdict.doubtful[1]


def test_where_all_that_is_listed_is_ours_its_seeds_do_not_matter(
    attempt: Attempts, listed: Predictions
) -> None:
    items = [listed("p9", seed=10)]
    assert matching.match_orphans([attempt(1)], items, {"p9": 9}, complete=True).absent == {1}


# An answer that said accepted


def test_what_an_answer_said_was_taken_is_never_absent(attempt: Attempts, listed: Predictions) -> None:
    lost = replace(attempt(1), acknowledged=True)
    verdict = matching.match_orphans([lost], [ours(listed)], KNOWN, complete=True)
    assert "said that it was taken" in verdict.doubtful[1]
    assert matching.match_orphans([lost], [listed("p1")], {}, complete=True).adopted == {1: listed("p1")}


# A list that leaves something out


def test_a_list_that_hides_another_prediction_of_ours_may_hide_this_one(
    attempt: Attempts, listed: Predictions
) -> None:
    lost = [attempt(1, seed=1), attempt(2, seed=2)]
    verdict = matching.match_orphans(lost, [ours(listed)], KNOWN, complete=True, unlisted={1: "hidden"})
    assert "hidden" in verdict.doubtful[1]
    assert verdict.absent == {2}


# Pictures, where the row fixes the seed

UPLOAD = "https://api.example.com/v1/files/7"
DIGEST = "cd" * 32


@pytest.mark.parametrize(
    ("sent", "echoed", "agrees"),
    [
        (f"sha256:{DIGEST}:99", f"sha256:{DIGEST}:99", True),
        (f"sha256:{DIGEST}:99", f"sha256:{DIGEST}:101", True),
        (f"sha256:{DIGEST}:99", f"https://copies.example.com/{DIGEST}.png", True),
        (f"sha256:{DIGEST}:99", f"sha256:{'ab' * 32}:99", False),
        (f"sha256:{DIGEST}:99", "https://copies.example.com/1.png", False),
        (f"sha256:{DIGEST}:99", None, False),
        (f"sent/{DIGEST}", f"https://b.example.com/sent/{DIGEST}?X-Amz-Signature=1", True),
        (f"sent/{DIGEST}", f"https://copies.example.com/{DIGEST}.png", True),
        (f"sent/{DIGEST}", f"https://b.example.com/sent/{'ab' * 32}?X-Amz-Signature=1", False),
        (f"sent/{DIGEST}", "https://copies.example.com/1.png", False),
        (f"sent/{DIGEST}", None, False),
        (UPLOAD, UPLOAD, True),
        (UPLOAD, "https://api.example.com/v1/files/8", False),
        (UPLOAD, "https://copies.example.com/1.png", False),
        (UPLOAD, None, False),
        ("https://example.com/1.png", "https://example.com/1.png", True),
        ("https://example.com/1.png", "https://copies.example.com/1.png", False),
    ],
)
def test_a_seed_fixed_by_the_row_needs_a_picture_that_agrees(
    attempt: Attempts, listed: Predictions, sent: str, echoed: str | None, agrees: bool
) -> None:
    lost, item = attempt(1, own=False), listed("p1")
    lost = replace(lost, sent={**lost.sent, "image": sent})
    item = replace(item, input={**item.input, "image": echoed})
    verdict = matching.match_orphans([lost], [item, ours(listed)], KNOWN, complete=True)
    assert (1 in verdict.adopted) == agrees
    assert (1 in verdict.doubtful) != agrees


def test_a_rehosted_picture_says_nothing_against_a_seed_that_we_drew(
    attempt: Attempts, listed: Predictions
) -> None:
    item = replace(listed("p1"), input={**listed("p1").input, "image": "https://copies.example.com/1"})
    assert matching.match_orphans([attempt(1)], [item], {}, complete=False).adopted == {1: item}


# Whose time is compared with whose

ASKED = 1_763_850_000.0
ZONE = 5 * 3600.0


def accepted(
    created: list[float | None], *, answers: float | None = 0.0, ours: float = 0.0
) -> list[Accepted]:
    """Return predictions asked for ten seconds apart, newest first, each *created* so many seconds off.

    *answers* and *ours*: seconds that the Date of the service's answers and our clock are off; None: no Date.
    """
    made = [
        Accepted(
            number=n,
            prediction_id=f"p{n}",
            created_at=None if off is None else ASKED + 10 * n + off,
            service_time=None if answers is None else ASKED + 10 * n + answers,
            intended_at=ASKED + 10 * n + ours,
        )
        for n, off in enumerate(created)
    ]
    return made[::-1]


RIGHT: list[float | None] = [0.5] * matching.ENOUGH


@pytest.mark.parametrize(
    ("near", "trusted"),
    [
        pytest.param(accepted(RIGHT), True, id="all clocks right"),
        pytest.param(accepted([ZONE] * 9, answers=ZONE), True, id="the service ahead"),
        pytest.param(accepted([-ZONE] * 9, answers=-ZONE), True, id="the service behind"),
        pytest.param(accepted(RIGHT, ours=ZONE), True, id="ours ahead"),
        pytest.param(accepted(RIGHT, ours=-86_400.0), True, id="ours behind"),
        pytest.param(accepted([60.0] * 9), True, id="creates that wait their turn"),
        pytest.param(accepted([-ZONE] * 9), False, id="local time without a zone, west"),
        pytest.param(accepted([ZONE] * 9), False, id="local time without a zone, east"),
        pytest.param(accepted(RIGHT, answers=-ZONE), False, id="answers by another host, behind"),
        pytest.param(accepted(RIGHT, answers=ZONE), False, id="answers by another host, ahead"),
        pytest.param(accepted([0.5, -ZONE] * 5), False, id="records of two hosts"),
        pytest.param(accepted([*RIGHT, -ZONE]), False, id="the last by another host"),
        pytest.param(accepted([-ZONE, *RIGHT]), False, id="the first by another host"),
        pytest.param(accepted([None] * 9), False, id="no times"),
        pytest.param(accepted([*RIGHT, None]), False, id="one without a time"),
        pytest.param(accepted(RIGHT[1:]), False, id="too few"),
        pytest.param([], False, id="none"),
        pytest.param(accepted(RIGHT, answers=None), True, id="answers without a date"),
        pytest.param(accepted(RIGHT, answers=None, ours=ZONE), False, id="no date, and ours ahead"),
        pytest.param(accepted([-ZONE] * 9, answers=None), False, id="no date, and a local time"),
    ],
)
def test_a_window_is_believed_only_where_all_clocks_tell_the_same_time(
    near: list[Accepted], trusted: bool
) -> None:
    start = matching.window_start([(lost_after(near), near)], None)
    assert (start is not None) == trusted
    if start is not None:
        made = [one.created_at for one in near if one.created_at is not None]
        assert start == min(made) - matching.MARGIN


def lost_after(near: list[Accepted], theirs: float | None = 0.0, ours: float = 0.0) -> Attempt:
    """Return an attempt ten seconds after those, by clocks that were put so many seconds ahead since.

    *theirs* None: the service's answers no longer tell the time.
    """
    last = near[0] if near else accepted([0.0])[0]
    told = None if theirs is None or last.service_time is None else last.service_time + 10 + theirs
    attempt = _attempt(99, 41, {}, own=True)
    return replace(attempt, intended_at=last.intended_at + 10 + ours, service_time=told)


@pytest.mark.parametrize(
    ("theirs", "ours", "trusted"),
    [
        pytest.param(0.0, 0.0, True, id="no clock was set"),
        pytest.param(-60.0, 0.0, True, id="theirs, by less than the window begins before"),
        pytest.param(-1200.0, 0.0, False, id="theirs, back"),
        pytest.param(-ZONE, 0.0, False, id="theirs, back by hours"),
        pytest.param(ZONE, 0.0, True, id="theirs, forward"),
        pytest.param(0.0, -ZONE, True, id="ours, back"),
        pytest.param(0.0, ZONE, True, id="ours, forward"),
        pytest.param(None, 0.0, False, id="theirs is no longer told"),
    ],
)
def test_a_window_is_believed_only_where_the_lost_one_is_later_by_the_same_clock(
    theirs: float | None, ours: float, trusted: bool
) -> None:
    near = accepted(RIGHT)
    assert (matching.window_start([(lost_after(near, theirs, ours), near)], None) is not None) == trusted


@pytest.mark.parametrize("ours", [0.0, ZONE])
@pytest.mark.parametrize(
    ("since", "trusted"), [(0.0, True), (60.0, True), (-600.0, False), (600.0, False), (-ZONE, False)]
)
def test_a_window_is_believed_only_where_no_clock_was_set_since_the_intent(
    ours: float, since: float, trusted: bool
) -> None:
    near = accepted(RIGHT, ours=ours)
    start = matching.window_start([(lost_after(near), near)], since - ours)
    assert (start is not None) == trusted


@pytest.mark.parametrize("back", [-60.0, -1200.0])
def test_where_answers_tell_no_time_ours_decides(back: float) -> None:
    near = accepted(RIGHT, answers=None)
    start = matching.window_start([(lost_after(near, ours=back), near)], None)
    assert (start is not None) == (back == -60.0)


def test_one_lost_row_whose_time_is_not_known_has_the_whole_list_read() -> None:
    near = accepted(RIGHT)
    assert matching.window_start([(lost_after(near), near), (lost_after([]), [])], None) is None


def test_a_window_for_several_lost_rows_begins_with_the_first() -> None:
    early, late = [
        (lost_after(near), near) for near in (accepted(RIGHT), accepted([3600.0] * 9, answers=3600.0))
    ]
    assert matching.window_start([late, early], None) == matching.window_start([early], None)


# What was made before the window, and is listed all the same

OLD = {"created_at": 100.0}
SINCE = 200.0


@pytest.mark.parametrize(
    ("item", "own", "expected"),
    [
        pytest.param({}, True, "adopted", id="a seed that we drew"),
        pytest.param({"prompt": "a cat"}, True, "doubtful", id="our seed with another prompt"),
        pytest.param({}, False, "doubtful", id="a seed that the row fixes"),
        pytest.param({"seed": 5}, True, "absent", id="another seed"),
        pytest.param({"seed": None}, True, "absent", id="no seed"),
        pytest.param(None, True, "absent", id="no input"),
    ],
)
def test_what_is_older_than_the_window_counts_by_its_seed_only(
    attempt: Attempts, listed: Predictions, item: dict[str, Any] | None, own: bool, expected: str
) -> None:
    old = listed("old", **OLD)
    old = replace(old, input=None if item is None else {**old.input, **item})
    verdict = matching.match_orphans(
        [attempt(1, own=own)], [old, ours(listed)], KNOWN, complete=True, since=SINCE
    )
    verdicts = ("adopted", "absent", "doubtful")
    assert [name for name in verdicts if 1 in getattr(verdict, name)] == [expected]


def test_what_is_older_than_the_window_is_no_second_one_that_fits_a_fixed_seed(
    attempt: Attempts, listed: Predictions
) -> None:
    sent = {"prompt": "a spaceship", "seed": 41, "guidance": 30.0}
    lost = replace(attempt(1, own=False), sent=sent)
    made = listed("p1", created_at=300.0)
    verdict = matching.match_orphans([lost], [made, listed("p0", **OLD)], {}, complete=True, since=SINCE)
    assert verdict.adopted == {1: made}


def test_for_a_model_without_seeds_all_that_was_sent_decides(attempt: Attempts, listed: Predictions) -> None:
    sent = {"prompt": "a spaceship", "guidance": 30.0}
    lost = replace(attempt(1, seed=None, own=False), sent=sent)
    item = replace(listed("p1"), input=sent)
    assert matching.match_orphans([lost], [item], {}, complete=True).adopted == {1: item}
    other = replace(item, input={**sent, "guidance": 2})
    verdict = matching.match_orphans([lost], [other, ours(listed)], KNOWN, complete=True)
    assert (verdict.adopted, verdict.absent) == ({}, frozenset())


@dataclass
class World:
    """Attempts whose answers are not known, and what a service lists of what it made."""

    lost: list[Attempt]
    competing: list[Attempt]
    made: dict[str, int]
    """Prediction id → number of the attempt it was made for; those of strangers are not there."""
    items: list[Prediction]
    claimed: dict[str, int | None]
    complete: bool

    def judge(self) -> matching.Matching:
        return matching.match_orphans(
            self.lost,
            self.items,
            self.claimed,
            complete=self.complete,
            competing=self.competing,
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    numbers = range(1, draw(st.integers(2, 8)))
    own_seeds = draw(st.permutations(range(100, 110)))
    attempts, items, made = [], [], {}
    for number in numbers:
        own = draw(st.booleans())
        seed = own_seeds[number] if own else draw(st.sampled_from([3, 4]))
        sent = {"seed": seed, "prompt": draw(st.sampled_from("ab")), "image": f"sha256:{number:064x}:9"}
        attempts.append(_attempt(number, seed, sent, own=own))
        if draw(st.booleans()):
            id_ = f"p{number}"
            made[id_] = number
            made_at = draw(st.sampled_from([None, 10.0 * number, 10.0 * number + 100]))
            echo = _echo(draw, {**sent, "image": f"https://x/{number:064x}"})
            items.append(Prediction(id_, "processing", created_at=made_at, input=echo))
    for n in range(draw(st.integers(0, 3))):
        seed = draw(st.sampled_from([3, 4, 50, 101, 102]))
        echo = {"seed": seed, "prompt": draw(st.sampled_from("ab")), "image": "https://x/1"}
        made_at = draw(st.sampled_from([None, 0.0, 35.0, 200.0]))
        items.append(Prediction(f"stranger{n}", "processing", created_at=made_at, input=_echo(draw, echo)))
    kinds = {a.number: draw(st.sampled_from(["lost", "lost", "rival", "known"])) for a in attempts}
    seeds = {a.number: a.seed for a in attempts}
    claimed = {id_: seeds[number] for id_, number in made.items() if kinds[number] == "known"}
    return World(
        lost=[a for a in attempts if kinds[a.number] == "lost"],
        competing=[a for a in attempts if kinds[a.number] == "rival"],
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


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_in_whatever_world_a_verdict_keeps_what_it_promises(world: World) -> None:
    verdict = world.judge()
    every_lost_submission_gets_one_verdict(world, verdict)
    what_is_adopted_is_unclaimed_and_of_no_other_attempt(world, verdict)
    what_was_made_and_is_listed_is_not_called_absent(world, verdict)
    absence_has_the_full_proof(world, verdict)
    a_seed_of_our_own_listed_in_full_is_found(world, verdict)


def every_lost_submission_gets_one_verdict(world: World, verdict: matching.Matching) -> None:
    groups = [set(verdict.adopted), set(verdict.absent), set(verdict.doubtful)]
    assert sorted(number for group in groups for number in group) == [a.number for a in world.lost]


def what_is_adopted_is_unclaimed_and_of_no_other_attempt(world: World, verdict: matching.Matching) -> None:
    ids = [item.id for item in verdict.adopted.values()]
    assert len(ids) == len(set(ids))
    assert not set(ids) & world.claimed.keys()
    for number, item in verdict.adopted.items():
        assert world.made.get(item.id, number) == number


def what_was_made_and_is_listed_is_not_called_absent(world: World, verdict: matching.Matching) -> None:
    listed = {world.made[item.id] for item in world.items if item.id in world.made}
    assert not verdict.absent & listed


def absence_has_the_full_proof(world: World, verdict: matching.Matching) -> None:
    unclaimed = [item for item in world.items if item.id not in world.claimed]
    for number in verdict.absent:
        (lost,) = [a for a in world.lost if a.number == number]
        assert world.complete
        assert world.claimed
        assert all(item.input is not None for item in unclaimed)
        seeds = [str(item.input.get("seed", lost.seed)) for item in unclaimed if item.input]
        assert str(lost.seed) not in seeds


def a_seed_of_our_own_listed_in_full_is_found(world: World, verdict: matching.Matching) -> None:
    taken = [str(item.input.get("seed")) for item in world.items if item.input]
    for item in world.items:
        for lost in world.lost:
            mine = world.made.get(item.id) == lost.number and lost.own_seed
            if mine and item.input and "seed" in item.input and taken.count(str(lost.seed)) == 1:
                assert verdict.adopted[lost.number] == item
