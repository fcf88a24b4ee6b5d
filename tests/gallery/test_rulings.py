"""What a page may say of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.gallery.rulings import read_rulings
from batchfill.values import Decision, Ruling
from tests.gallery.test_server import visiting

if TYPE_CHECKING:
    from tests.gallery.collection import Collection

WRONG: dict[str, Any] = {
    "a list": [{}, "x", None, []],
    "1 to 1000": [[{"prediction_id": "p"}] * 1001],
    "an object": [["p"]],
    "names none": [[{"decision": "approved"}]],
    "no colour": [[{"prediction_id": "p", "colour": "red"}]],
    "no chosen like True": [[{"prediction_id": "p", "chosen": True}]],
    "no seed like '7'": [[{"prediction_id": "p", "decision": "redo", "seed": "7"}]],
    "not 'maybe'": [[{"prediction_id": "p", "decision": "maybe"}]],
    "counted from 1": [[{"prediction_id": "p", "decision": "approved", "chosen": 0}]],
    "only a redo": [[{"prediction_id": "p", "decision": "approved", "prompt": "x"}]],
}


def now() -> float:
    return 5.0


def test_a_decision_is_made_now_and_holds_what_was_said() -> None:
    said = [
        {"prediction_id": "p1", "decision": "approved", "chosen": 2, "prompt": None},
        {"prediction_id": "p2", "decision": "redo", "prompt": "a boat", "seed": 7},
        {"prediction_id": "p3", "decision": None},
    ]
    assert read_rulings(said, now) == [
        Ruling(prediction_id="p1", decision=Decision.APPROVED, chosen=2, at=5.0),
        Ruling(prediction_id="p2", decision=Decision.REDO, prompt="a boat", seed=7, at=5.0),
        Ruling(prediction_id="p3", decision=None, at=5.0),
    ]


@pytest.mark.parametrize(("why", "said"), [(why, one) for why, all_ in WRONG.items() for one in all_])
def test_what_is_no_decision_is_refused_in_words(why: str, said: Any) -> None:
    with pytest.raises(ValueError, match=why):
        read_rulings(said, now)


@pytest.mark.usefixtures("quick")
async def test_the_server_takes_decisions_and_says_what_it_does_not_take(collection: Collection) -> None:
    collection.add("r1")
    answers = []
    good = '[{"prediction_id": "p-r1", "decision": "approved"}]'
    async with visiting(collection) as (here, visitor):
        for text in (
            good,
            "not JSON",
            "[" * 100_000,
            "[]",
            '[{"prediction_id": "p-other", "decision": null}]',
        ):
            async with visitor.post(f"{here}/decisions", data=text, headers={"Origin": here}) as response:
                answers.append(response.status)
        async with visitor.get(f"{here}/batch.json") as response:
            (row,) = (await response.json())["rows"]
    assert answers == [204, 400, 400, 400, 409]
    assert row["decision"] == "approved"
    assert [ruling.prediction_id for ruling in collection.rulings] == ["p-r1"]
