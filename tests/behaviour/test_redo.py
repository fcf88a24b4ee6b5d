"""What was marked in the morning goes back into the night: with new seeds, or as it was edited."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from batchfill.console.render_plan import plan_lines
from batchfill.domain.review import Decision, ReviewDecision
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import UsageError
from batchfill.ledger.ledger import Ledger
from batchfill.ledger.location import LEDGER
from batchfill.review.document import row_object
from tests.support.batches import PRICED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Find = Callable[..., Result]
    Decide = Callable[..., Awaitable[None]]


@pytest.fixture
def decide(result: Find) -> Decide:
    """Decide about the picture of one row."""

    async def decide(night: Batch, id_: str, decision: Decision, **changes: Any) -> None:
        prediction_id = result(night, id_).prediction_id
        assert prediction_id is not None
        await night.decide(
            [ReviewDecision(prediction_id=prediction_id, decision=decision, at=1.0, **changes)]
        )

    return decide


def rows(night: Batch) -> dict[str, Result]:
    return {row.id: row for row in night.results()}


class Earlier(NamedTuple):
    """What an attempt has left that does not count any more."""

    id: str
    prediction_id: str
    prompt: str
    seed: int
    decision: str | None
    file: str
    flags: str


EARLIER = """
SELECT r.id, a.prediction_id, coalesce(a.prompt, r.prompt), a.seed, a.decision, o.file, o.flags
FROM attempts AS a JOIN rows AS r USING (key) JOIN outputs AS o USING (prediction_id)
WHERE a.number <> r.attempt AND o.file IS NOT NULL ORDER BY a.number, o.n
"""


def earlier(night: Batch) -> list[Earlier]:
    """Return what attempts before those that count have left, a line a picture."""
    with closing(sqlite3.connect(night.folder / LEDGER)) as db:
        return [Earlier(*found) for found in db.execute(EARLIER)]


def flag(night: Batch, id_: str, words: str) -> None:
    """Let the pictures of a row be flagged."""
    with closing(sqlite3.connect(night.folder / LEDGER)) as db, db:
        (found,) = db.execute("SELECT prediction_id FROM results WHERE id = ?", (id_,)).fetchone()
        db.execute("UPDATE outputs SET flags = ? WHERE prediction_id = ?", (words, found))


async def test_what_was_rejected_is_made_with_a_new_seed_and_the_old_picture_is_kept(
    service: Serve, batch: Open, decide: Decide, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, 3, head=PRICED)
    await night.run()
    await decide(night, "r1", Decision.APPROVED)
    await decide(night, "r2", Decision.REJECTED)
    before = rows(night)
    summary = await batch(provider, retry="rejected").run(confirm=plans.accept)
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 1, 4)
    after = rows(night)
    assert after["r1"] == before["r1"]
    assert after["r2"].seed != before["r2"].seed
    assert (after["r2"].decision, after["r2"].outputs) == (None, ("outputs/r2.webp",))
    (old,) = earlier(night)
    assert (old.id, old.prediction_id, old.seed) == ("r2", before["r2"].prediction_id, before["r2"].seed)
    assert (old.prompt, old.decision) == ("picture 2", Decision.REJECTED)
    assert old.file == f"outputs/earlier/{old.prediction_id}-1.webp"
    assert all((night.folder / file).is_file() for file in (old.file, *after["r2"].outputs))


async def test_the_plan_says_what_is_made_anew_and_what_it_costs(
    service: Serve, batch: Open, decide: Decide, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, 3, head=PRICED)
    await night.run()
    await decide(night, "r1", Decision.REDO, prompt="a ship")
    await decide(night, "r2", Decision.REJECTED)
    with pytest.raises(UsageError, match="nothing was started"):
        await batch(provider, retry="rejected,redo").run(confirm=plans.decline)
    lines = plan_lines(plans[0])
    assert lines[1:4] == [
        "2 to run (2 pictures), 1 done already",
        "made again: 2 finished rows, with new seeds even where the manifest fixes one; "
        "what is there is kept",
        "with an edited prompt: 1 row; the manifest stays as it is",
    ]
    assert lines[4].startswith("about $0.08, after $0.12 so far")
    assert (await batch(provider).run()).submitted_now == 0


async def test_a_redo_is_made_of_its_prompt_and_seed_and_the_manifest_stays(
    service: Serve, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    manifest = night.manifest.read_bytes()
    await decide(night, "r2", Decision.REDO, prompt="a blue door", seed=77)
    assert (await batch(provider, retry="redo").run()).exit_code == 0
    sent = provider.predictions()[-1].input
    assert (sent["prompt"], sent["seed"]) == ("a blue door", 77)
    made = rows(night)
    assert (made["r2"].prompt, made["r2"].seed) == ("a blue door", 77)
    assert made["r1"].prompt == "picture 1"
    assert [old.prompt for old in earlier(night)] == ["picture 2"]
    assert night.manifest.read_bytes() == manifest
    again = await batch(provider, 2).run()
    assert (again.exit_code, again.submitted_now, rows(night)) == (0, 0, made)


async def test_a_fixed_seed_gives_way_to_another(
    service: Serve, batch: Open, desk: Any, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, seed="41"))
    await night.run()
    await decide(night, "r1", Decision.REJECTED)
    await batch(provider, retry="rejected").run()
    seeds = [record.input["seed"] for record in provider.predictions()]
    assert seeds[0] == 41 != seeds[1]
    assert rows(night)["r1"].seed == seeds[1]


async def test_a_redo_of_a_redo_keeps_its_prompt_and_takes_another_seed(
    service: Serve, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    await decide(night, "r1", Decision.REDO, prompt="a blue door", seed=77)
    await batch(provider, retry="redo").run()
    await decide(night, "r1", Decision.REDO)
    await batch(provider, retry="redo").run()
    sent = [record.input for record in provider.predictions()]
    assert [one["prompt"] for one in sent] == ["picture 1", "a blue door", "a blue door"]
    assert len({one["seed"] for one in sent}) == 3
    assert [old.prompt for old in earlier(night)] == ["picture 1", "a blue door"]


async def test_consent_is_for_what_is_marked_now_and_once(
    service: Serve, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    await decide(night, "r1", Decision.REJECTED)
    for expected in (1, 0):
        assert (await batch(provider, retry="rejected").run()).submitted_now == expected
    await decide(night, "r1", Decision.REJECTED)
    assert (await batch(provider).run()).submitted_now == 0


async def test_a_killed_run_goes_on_with_the_redo_it_was_asked_for(
    service: Serve, batch: Open, decide: Decide, crash: Callable[..., type[BaseException]]
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    await decide(night, "r1", Decision.REDO, prompt="a blue door", seed=77)
    with pytest.raises(crash(Ledger, "retry_selected", after=True)):
        await batch(provider, retry="redo").run()
    assert rows(night)["r1"].prompt == "picture 1"  # of the picture that is there
    assert (await batch(provider).run()).exit_code == 0
    assert (rows(night)["r1"].prompt, rows(night)["r1"].seed) == ("a blue door", 77)


async def test_a_redo_that_fails_is_tried_again_as_it_was_edited(
    service: Serve, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    await decide(night, "r1", Decision.REDO, prompt="a blue door", seed=77)
    error = "Prediction interrupted; please retry (code: PA)"
    flaky = Faults([Fault("create", "fail", times=1, options={"error": error})])
    provider = await service.again(provider, faults=flaky)  # type: ignore[attr-defined]
    assert (await batch(provider, retry="redo").run()).exit_code == 0
    sent = [record.input for record in provider.predictions()][1:]
    assert [(one["prompt"], one["seed"]) for one in sent] == [("a blue door", 77)] * 2


async def test_what_was_flagged_is_made_anew_unless_somebody_approved_it(
    service: Serve, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 4)
    await night.run()
    for id_, words in (("r1", "blank drift"), ("r2", "drift"), ("r3", "blank"), ("r4", "seam")):
        flag(night, id_, words)
    await decide(night, "r3", Decision.APPROVED)
    before = rows(night)
    assert (await batch(provider, retry="flagged:blank").run()).submitted_now == 1
    assert {id_ for id_, row in rows(night).items() if row.seed != before[id_].seed} == {"r1"}
    assert [old.flags for old in earlier(night)] == ["blank drift"]
    assert (await batch(provider, retry="flagged:drift,flagged:seam").run()).submitted_now == 2


async def test_a_failed_row_that_is_to_be_redone_takes_the_prompt(
    service: Serve, batch: Open, decide: Decide
) -> None:
    nsfw = Faults([Fault("create", "fail", times=1, options={"error": "NSFW content"})])
    provider = await service(faults=nsfw)
    night = batch(provider, 1, attempts=1)
    assert (await night.run()).exit_code == 1
    await decide(night, "r1", Decision.REDO, prompt="a decent door")
    assert (await batch(provider, retry="redo").run()).exit_code == 0
    assert provider.predictions()[-1].input["prompt"] == "a decent door"
    assert rows(night)["r1"].prompt == "a decent door"


async def test_rows_that_are_named_run_alone_and_the_others_wait(
    service: Serve, batch: Open, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, 4, head=PRICED, id=["r3", "R2"])
    summary = await night.run(confirm=plans.accept)
    assert (summary.exit_code, summary.stopped_because) == (3, "only the rows named by --id were to run")
    assert {id_ for id_, row in rows(night).items() if row.state == "done"} == {"r2", "r3"}
    assert (plans[0].to_go, plans[0].price_to_go) == (2, 80_000)
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 4


async def test_a_finished_row_that_is_named_is_made_anew(service: Serve, batch: Open, plans: Any) -> None:
    provider = await service()
    night = batch(provider, 3, head=PRICED)
    await night.run()
    before = rows(night)
    summary = await batch(provider, id="r2").run(confirm=plans.accept)
    assert (summary.exit_code, summary.submitted_now) == (0, 1)
    assert {id_ for id_, row in rows(night).items() if row.seed != before[id_].seed} == {"r2"}
    assert (plans[0].to_go, plans[0].again, plans[0].finished) == (1, 1, 2)
    assert plans[0].price_to_go == 40_000


async def test_beside_retry_a_name_narrows_what_is_meant(service: Serve, batch: Open, decide: Decide) -> None:
    provider = await service()
    night = batch(provider, 3)
    await night.run()
    for id_ in ("r1", "r2"):
        await decide(night, id_, Decision.REJECTED)
    before = rows(night)
    assert (await batch(provider, retry="rejected", id=["r2", "r3"]).run()).submitted_now == 1
    assert {id_ for id_, row in rows(night).items() if row.seed != before[id_].seed} == {"r2"}


@pytest.mark.parametrize("begun", [False, True])
async def test_an_unknown_id_is_named_and_nothing_is_done(
    service: Serve, batch: Open, plans: Any, begun: bool
) -> None:
    provider = await service()
    night = batch(provider, 2)
    if begun:
        await night.run()
    with pytest.raises(UsageError, match=r"--id: night\.csv has no row 'r7', 'x'; `batchfill results`"):
        await batch(provider, id=["r7", "r1", "x"]).run(confirm=plans.accept)
    assert plans == []
    assert provider.billed == (2 if begun else 0)


async def test_a_new_line_of_the_manifest_can_be_named(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 2).run()
    night = batch(provider, 4, id=["r4"])
    assert (await night.run()).submitted_now == 1
    assert {id_: row.state.value for id_, row in rows(night).items()} == {
        "r1": "done",
        "r2": "done",
        "r3": "pending",
        "r4": "done",
    }


async def test_the_command_takes_marks_and_names(
    service: Serve, batchfill: Any, desk: Any, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 3)
    await night.run()
    await decide(night, "r1", Decision.REJECTED)
    at = ("--base-url", provider.base)
    ran = await batchfill("run", "night.csv", *at, "--retry", "rejected,redo")
    assert (ran.code, provider.billed) == (0, 4), ran.err
    assert "made again: 1 finished row" in ran.err
    ran = await batchfill("run", "night.csv", *at, "--id", "r2", "--id", "r3")
    assert (ran.code, provider.billed) == (0, 6), ran.err
    ran = await batchfill("run", "night.csv", *at, "--id", "hero")
    assert (ran.code, ran.err) == (
        2,
        "batchfill: --id: night.csv has no row 'hero'; `batchfill results` lists the ids\n",
    )


async def test_a_finished_file_tells_the_prompt_it_was_made_of(
    service: Serve, batch: Open, desk: Any, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, finish="exact"))
    await night.run()
    await decide(night, "r1", Decision.REDO, prompt="a blue door")
    await batch(provider, retry="redo").run()
    (made,) = rows(night)["r1"].outputs
    content = (night.folder / made).read_bytes()
    assert b"a blue door" in content
    assert b"picture 1" not in content


# Other inputs


async def test_a_redo_changes_any_input_of_the_model_and_the_manifest_stays(
    service: Serve, batch: Open, desk: Any, decide: Decide, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(2, guidance="30", num_inference_steps="20"))
    await night.run()
    manifest = night.manifest.read_bytes()
    await decide(night, "r2", Decision.REDO, inputs={"guidance": "40.0", "num_inference_steps": ""})
    assert (await batch(provider, retry="redo").run(confirm=plans.accept)).exit_code == 0
    assert "with other inputs: 1 row; the manifest stays as it is" in plan_lines(plans[0])
    sent = provider.predictions()[-1].input
    assert (sent["guidance"], "num_inference_steps" in sent, sent["prompt"]) == (40, False, "picture 2")
    made = rows(night)
    assert made["r1"].changed_inputs == {}
    assert made["r2"].changed_inputs == {"guidance": 40, "num_inference_steps": None}
    assert night.manifest.read_bytes() == manifest
    again = await batch(provider).run()
    assert (again.exit_code, again.submitted_now, rows(night)) == (0, 0, made)


async def test_the_review_shows_what_its_picture_was_made_of_and_what_a_redo_asks_for(
    service: Serve, batch: Open, desk: Any, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, guidance="30"))
    await night.run()
    with night._open_source() as (source, _):
        await decide(night, "r1", Decision.REDO, inputs={"guidance": "40"})
        (shown,) = map(row_object, source.review_rows())
        assert (shown["inputs"]["guidance"], shown["redo"]) == (30, {"inputs": {"guidance": "40"}})
        await batch(provider, retry="redo").run()
        (shown,) = map(row_object, source.review_rows())
        assert (shown["inputs"]["guidance"], shown["changed_inputs"]) == (40, {"guidance": 40})
        assert "redo" not in shown
        assert source.words_at(0, 1)["r1"].inputs["guidance"] == 40


async def test_a_redo_of_a_redo_keeps_its_inputs_until_others_are_named(
    service: Serve, batch: Open, desk: Any, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, guidance="30"))
    await night.run()
    changes: list[dict[str, Any]] = [
        {"inputs": {"guidance": "40"}},
        {"prompt": "a blue door"},
        {"inputs": {"num_inference_steps": "9"}},
        {"inputs": {}},
    ]
    for one in changes:
        await decide(night, "r1", Decision.REDO, **one)
        await batch(provider, retry="redo").run()
    sent = [record.input for record in provider.predictions()]
    assert [one["guidance"] for one in sent] == [30, 40, 40, 30, 30]
    assert [one.get("num_inference_steps") for one in sent] == [None, None, None, 9, None]


async def test_a_killed_run_goes_on_with_the_inputs_of_its_redo(
    service: Serve, batch: Open, decide: Decide, crash: Callable[..., type[BaseException]]
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    await decide(night, "r1", Decision.REDO, inputs={"guidance": "40"})
    with pytest.raises(crash(Ledger, "retry_selected", after=True)):
        await batch(provider, retry="redo").run()
    assert rows(night)["r1"].changed_inputs == {}  # of the picture that is there
    assert (await batch(provider).run()).exit_code == 0
    assert (provider.predictions()[-1].input["guidance"], rows(night)["r1"].changed_inputs) == (
        40,
        {"guidance": 40},
    )


async def test_a_redo_that_fails_is_tried_again_with_its_inputs(
    service: Serve, batch: Open, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    await decide(night, "r1", Decision.REDO, inputs={"guidance": "40"})
    error = "Prediction interrupted; please retry (code: PA)"
    flaky = Faults([Fault("create", "fail", times=1, options={"error": error})])
    provider = await service.again(provider, faults=flaky)  # type: ignore[attr-defined]
    assert (await batch(provider, retry="redo").run()).exit_code == 0
    assert [record.input["guidance"] for record in provider.predictions()[1:]] == [40, 40]


async def test_a_finished_file_is_made_as_the_inputs_of_its_redo_say(
    service: Serve, batch: Open, desk: Any, decide: Decide
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, finish="exact", output_format="webp"))
    await night.run()
    assert rows(night)["r1"].outputs == ("outputs/r1.webp",)
    await decide(night, "r1", Decision.REDO, inputs={"output_format": "jpg"})
    await batch(provider, retry="redo").run()
    assert rows(night)["r1"].outputs == ("outputs/r1.jpg",)
    report = await batch(provider).finish()
    assert (report.finished, report.unchanged) == (0, 1)


UNFIT = {
    "guidance must be between 0 and 100, not 1000": {"guidance": "1000"},
    "output_format must be webp, jpg or png, not 'jepg'": {"output_format": "jepg"},
    "unknown input guidence; did you mean guidance?": {"guidence": "40"},
    "unknown input guidances": {"guidances": ""},
    "a redo cannot change prompt: its prompt is told apart": {"prompt": "a boat"},
    "a redo cannot change seed: its seed is told apart": {"seed": "7"},
    "a redo cannot change mask: it keeps the files of its row; change the manifest": {"mask": "b.png"},
    "a redo cannot change image: it keeps the files": {"image": ""},
    "a redo cannot change num_outputs: it makes as many pictures as its row": {"num_outputs": "4"},
    "a redo cannot change mask_grow: it is prepared and finished as its row": {"mask_grow": "8"},
}


@pytest.mark.parametrize("why", UNFIT)
async def test_inputs_that_do_not_fit_are_refused_when_they_are_decided(
    service: Serve, batch: Open, decide: Decide, why: str
) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    with pytest.raises(UsageError) as refused:
        await decide(night, "r1", Decision.REDO, inputs=UNFIT[why])
    assert why in str(refused.value)
    assert rows(night)["r1"].decision is None


async def test_inputs_of_a_model_that_only_the_run_knows_are_refused_before_it_pays(
    service: Serve, batch: Open, desk: Any, decide: Decide, plans: Any
) -> None:
    provider = await service()
    texts = {"prompt": {"type": "string"}, "guidance": {"type": "number", "maximum": 500}}
    files = {name: {"type": "string", "format": "uri"} for name in ("image", "mask")}
    described = {"model_schema": desk.folder / "schema.json"}
    described["model_schema"].write_text(
        json.dumps({"required": ["image"], "properties": {**texts, **files}})
    )
    night = batch(provider, 2, **described)
    await night.run()
    await decide(night, "r1", Decision.REDO, inputs={"guidance": "1000"})
    await decide(night, "r2", Decision.REDO, inputs={"guidance": "40"})
    with pytest.raises(UsageError) as refused:
        await batch(provider, **described, retry="redo").run(confirm=plans.accept)
    assert str(refused.value) == (
        "the redo of r1: guidance must be at most 500, not 1000\n"
        "nothing was started: ask for it again with `batchfill review night.csv`"
    )
    assert (plans, provider.billed) == ([], 2)
    await decide(night, "r1", Decision.APPROVED)
    assert (await batch(provider, **described, retry="redo").run()).submitted_now == 1
