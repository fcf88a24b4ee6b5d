"""What a page may say of pictures."""

from __future__ import annotations

from typing import Any

import pytest

from batchfill.domain.review import Decision, ReviewDecision
from batchfill.review.decisions import read_message

WRONG: dict[str, Any] = {
    "an object": [["p"], "p", None],
    "names none": [{"decision": "approved"}],
    "no colour": [{"prediction_id": "p", "colour": "red"}],
    "no chosen like True": [{"prediction_id": "p", "chosen": True}],
    "no seed like '7'": [{"prediction_id": "p", "decision": "redo", "seed": "7"}],
    "not 'maybe'": [{"prediction_id": "p", "decision": "maybe"}],
    "counted from 1": [{"prediction_id": "p", "decision": "approved", "chosen": 0}],
    "only a redo": [{"prediction_id": "p", "decision": "approved", "prompt": "x"}],
    "only a redo has a prompt, a seed and inputs": [{"prediction_id": "p", "inputs": {"a": "1"}}],
    "no inputs like 'a=1'": [{"prediction_id": "p", "decision": "redo", "inputs": "a=1"}],
    "steps: an input is a text, a number": [
        {"prediction_id": "p", "decision": "redo", "inputs": {"steps": value}} for value in ([30], {"is": 30})
    ],
    "half of one": [{"prediction_id": "p", "decision": "redo", "prompt": "a \ud83d boat"}],
}
CELLS = {"guidance": 2.5, "steps": "30", "go_fast": True, "style": "wet ink", "lora": None}
GOOD = {"prediction_id": "p", "decision": "approved"}
NO_LISTS: list[Any] = [{}, "x", None, [], [GOOD] * 1001]
NO_MESSAGES: dict[str, Any] = {
    "an object of page, first and decisions": [
        [GOOD],
        {},
        None,
        "x",
        {"page": "a", "first": 1},
        {"page": "a", "first": 1, "decisions": [GOOD], "more": 1},
    ],
    "page: ": [{"page": None, "first": 1, "decisions": [GOOD]}],
    "first: ": [{"page": "a", "first": n, "decisions": [GOOD]} for n in (0, -1, True, "1", 1.0, 2**53)],
    "a list of 1 to 1000": [{"page": "a", "first": 1, "decisions": decisions} for decisions in NO_LISTS],
}


def now() -> float:
    return 5.0


def message(*decisions: Any, page: str = "a", first: int = 1) -> dict[str, Any]:
    return {"page": page, "first": first, "decisions": list(decisions)}


def test_a_decision_is_made_now_and_holds_what_was_said() -> None:
    said = message(
        {"prediction_id": "p1", "decision": "approved", "chosen": 2, "prompt": None},
        {"prediction_id": "p2", "decision": "redo", "prompt": "a boat", "seed": 7},
        {"prediction_id": "p3", "decision": None},
        {"prediction_id": "p4", "decision": "redo", "inputs": CELLS},
        first=4,
    )
    read = read_message(said, now)
    assert read.rulings == (
        ReviewDecision(prediction_id="p1", decision=Decision.APPROVED, chosen=2, at=5.0),
        ReviewDecision(prediction_id="p2", decision=Decision.REDO, prompt="a boat", seed=7, at=5.0),
        ReviewDecision(prediction_id="p3", decision=None, at=5.0),
        ReviewDecision(
            prediction_id="p4",
            decision=Decision.REDO,
            inputs={"guidance": "2.5", "steps": "30", "go_fast": "true", "style": "wet ink", "lora": ""},
            at=5.0,
        ),
    )
    assert (read.page, read.first, read.last) == ("a", 4, 7)


@pytest.mark.parametrize(("why", "said"), [(why, one) for why, all_ in WRONG.items() for one in all_])
def test_what_is_no_decision_is_refused_in_words_and_the_others_are_not(why: str, said: Any) -> None:
    before, wrong, after = read_message(message(GOOD, said, GOOD), now).rulings
    assert isinstance(wrong, str)
    assert why in wrong
    assert before == after == ReviewDecision(prediction_id="p", decision=Decision.APPROVED, at=5.0)


@pytest.mark.parametrize(("why", "said"), [(why, one) for why, all_ in NO_MESSAGES.items() for one in all_])
def test_what_is_no_message_is_refused_in_words(why: str, said: Any) -> None:
    with pytest.raises(ValueError, match=why):
        read_message(said, now)
