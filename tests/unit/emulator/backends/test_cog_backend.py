"""Predictions are made by containers, whatever becomes of these."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator.emulator_model import TINY
from tests.support.cogs import DISK_FULL, PICTURE, FakeCog, schema
from tests.unit.emulator.backends.conftest import MODEL, Front

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Start = Callable[..., Awaitable[Front]]
    Cogs = Callable[..., Awaitable[FakeCog]]

BOTH = pytest.mark.parametrize("coglet", [False, True], ids=["cog 0.16", "coglet 0.23"])


@BOTH
async def test_a_prediction_is_made_by_a_container(front: Start, cogs: Cogs, coglet: bool) -> None:
    cog = await cogs(coglet=coglet)
    served = await front(cog)
    ended = await served.filled(seed=7)
    assert (ended.status, ended.outputs, ended.logs) == ("succeeded", ["out-0.webp"], "made\n")
    assert cog.inputs == [{"image": PICTURE, "mask": PICTURE, "prompt": "a vase", "seed": 7}]
    told = (await served.http.get(f"{served.server.base}/predictions/{ended.id}")).json()
    assert (await served.http.get(told["output"][0])).content == TINY


@BOTH
async def test_a_container_gets_no_second_run_while_it_runs_one(
    front: Start, cogs: Cogs, coglet: bool
) -> None:
    cog = await cogs(coglet=coglet)
    served = await front(cog)
    ids = [await served.created(f"{n}") for n in range(6)]
    ended = [await served.ended(id_) for id_ in ids]
    assert [record.status for record in ended] == ["succeeded"] * 6
    assert (sorted(cog.begun), cog.most_at_once) == (sorted(ids), 1)


async def test_runs_are_spread_over_the_containers(front: Start, cogs: Cogs) -> None:
    both = [await cogs(coglet=coglet) for coglet in (False, True)]
    served = await front(*both)
    for cog in both:
        cog.gate.clear()
    ids = [await served.created(f"{n}") for n in range(4)]
    for cog in both:
        await cog.until(lambda cog: len(cog.begun) == 1)
    assert (await served.pool())["busy"] == 2
    for cog in both:
        cog.gate.set()
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}
    assert sorted(both[0].begun + both[1].begun) == sorted(ids)


async def test_a_container_that_takes_several_runs_at_once_gets_them(front: Start, cogs: Cogs) -> None:
    cog = await cogs(coglet=True, slots=3)
    cog.gate.clear()
    served = await front(cog)
    ids = [await served.created(f"{n}") for n in range(6)]
    await cog.until(lambda cog: len(cog.begun) == 3)
    cog.gate.set()
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}
    assert len(cog.begun) == 6


@pytest.mark.parametrize(
    "words", ["ValueError: a picture that it does not like", "Input validation error: no such file"]
)
@BOTH
async def test_the_models_own_failure_fails_the_row_in_its_words_at_once(
    front: Start, cogs: Cogs, coglet: bool, words: str
) -> None:
    cog = await cogs(coglet=coglet)
    cog.fate = lambda inputs: words
    ended = await (await front(cog)).filled()
    assert (ended.status, ended.error, len(cog.begun)) == ("failed", words, 1)


@BOTH
async def test_a_run_that_dies_with_its_container_is_made_on_another(
    front: Start, cogs: Cogs, coglet: bool
) -> None:
    doomed, other = await cogs(coglet=coglet), await cogs(coglet=coglet)
    served = await front(doomed, other)
    doomed.gate.clear()
    other.gate.clear()
    ids = [await served.created(f"{n}") for n in range(2)]
    await doomed.until(lambda cog: bool(cog.begun))
    await doomed.kill()
    other.gate.set()
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}
    assert (len(doomed.begun), sorted(other.begun)) == (1, sorted(ids))


@BOTH
async def test_a_crash_of_the_models_process_is_the_containers_not_the_rows(
    front: Start, cogs: Cogs, coglet: bool
) -> None:
    doomed, other = await cogs(coglet=coglet), await cogs(coglet=coglet)
    doomed.fate = lambda inputs: "crash"
    served = await front(doomed, other)
    assert {(await served.filled(f"{n}")).status for n in range(3)} == {"succeeded"}
    assert len(doomed.begun) == 1
    assert any(doomed.at in line and "restart it" in line for line in served.said)


async def test_a_row_waits_for_another_container_than_the_one_that_failed_it(
    front: Start, cogs: Cogs
) -> None:
    bad, other = await cogs(), await cogs()
    bad.fate = lambda inputs: "CUDA out of memory"
    served = await front(other)
    other.gate.clear()
    first = await served.created("first")
    await other.until(lambda cog: bool(cog.begun))
    served.backend.pool.change([other.at, bad.at])
    second = await served.created("second")
    await bad.until(lambda cog: bool(cog.begun))
    looks = bad.looks
    await bad.until(lambda cog: cog.looks > looks + 3)
    other.gate.set()
    assert {(await served.ended(id_)).status for id_ in (first, second)} == {"succeeded"}
    assert len(bad.begun) == 1


async def test_a_row_that_kills_every_container_fails_after_five_runs(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    cog.fate = lambda inputs: "RuntimeError: CUDA out of memory" if inputs["prompt"] == "huge" else ""
    served = await front(cog)
    ended = await served.filled("huge")
    assert (ended.status, len(cog.begun)) == ("failed", 5)
    assert ended.error == "5 runs broke off, the last one so: RuntimeError: CUDA out of memory"
    assert (await served.filled("small")).status == "succeeded"


async def test_a_container_with_a_full_disk_rests_and_costs_no_row(front: Start, cogs: Cogs) -> None:
    full, other = await cogs(coglet=True), await cogs()
    full.fate = lambda inputs: DISK_FULL
    served = await front(full, other)
    assert {(await served.filled(f"{n}")).status for n in range(5)} == {"succeeded"}
    assert any(f"{full.at} its disk is full" in line for line in served.said)


async def test_a_container_works_again_once_its_trouble_is_over(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    troubles = [DISK_FULL]
    cog.fate = lambda inputs: troubles.pop() if troubles else ""
    served = await front(cog)
    assert (await served.filled()).status == "succeeded"
    assert len(cog.begun) == 2


@BOTH
async def test_a_busy_container_never_fails_a_row(front: Start, cogs: Cogs, coglet: bool) -> None:
    cog = await cogs(coglet=coglet)
    served = await front(cog)
    await served.filled()
    cog.gate.clear()
    # Another client has the container.
    stranger = asyncio.ensure_future(
        served.http.put(f"{cog.at}/predictions/stranger", json={"input": {"prompt": "mine"}})
    )
    await cog.until(lambda cog: "stranger" in cog.begun)
    id_ = await served.created()
    cog.gate.set()
    assert (await served.ended(id_)).status == "succeeded"
    await stranger


@BOTH
async def test_a_container_that_refuses_more_runs_than_there_are_tries_fails_no_row(
    front: Start, cogs: Cogs, coglet: bool
) -> None:
    cog = await cogs(coglet=coglet)
    cog.refusals = 12
    ended = await (await front(cog)).filled()
    assert (ended.status, len(cog.begun)) == ("succeeded", 1)


@BOTH
async def test_a_canceled_prediction_stops_in_the_container_and_frees_it(
    front: Start, cogs: Cogs, coglet: bool
) -> None:
    cog = await cogs(coglet=coglet)
    cog.gate.clear()
    served = await front(cog)
    id_ = await served.created()
    await cog.until(lambda cog: id_ in cog.begun)
    await served.http.post(f"{served.server.base}/predictions/{id_}/cancel")
    assert (await served.ended(id_)).status == "canceled"
    next_one = await served.created("next")
    await cog.until(lambda cog: next_one in cog.begun)
    cog.gate.set()
    assert (await served.ended(next_one)).status == "succeeded"


async def test_a_prediction_that_waits_is_canceled_without_a_run(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    cog.gate.clear()
    served = await front(cog)
    first, second = await served.created(), await served.created()
    await cog.until(lambda cog: first in cog.begun)
    await served.http.post(f"{served.server.base}/predictions/{second}/cancel")
    cog.gate.set()
    assert (await served.ended(first)).status == "succeeded"
    assert ((await served.ended(second)).status, cog.begun) == ("canceled", [first])


async def test_what_an_earlier_front_left_is_made_by_the_next_one(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    cog.gate.clear()
    before = await front(cog)
    ids = [await before.created(f"{n}") for n in range(3)]
    await cog.until(lambda cog: bool(cog.begun))
    await before.server.stop()
    cog.gate.set()
    after = await front(cog)
    assert {(await after.ended(id_)).status for id_ in ids} == {"succeeded"}
    assert cog.begun == [ids[0], *ids]


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "an input that is none": ({"guidance": 30}, "guidance is no input of the containers' model"),
    "a wrong type": ({"seed": "x"}, "Expected: integer, given: string"),
    "out of its limits": ({"steps": 99}, "Must be less than or equal to 50"),
    "a missing one": ({"mask": None}, "mask is required"),
}


@pytest.mark.parametrize("case", INVALID)
async def test_inputs_are_checked_by_the_containers_own_schema(front: Start, cogs: Cogs, case: str) -> None:
    cog = await cogs()
    more, words = INVALID[case]
    answer = await (await front(cog)).create(**more)
    assert (answer.status_code, cog.begun) == (422, [])
    assert words in answer.json()["detail"]


async def test_files_at_the_front_reach_the_container_as_data_and_others_by_address(
    front: Start, cogs: Cogs
) -> None:
    cog = await cogs()
    served = await front(cog)
    files = {"content": ("mask.webp", TINY, "image/webp")}
    uploaded = (await served.http.post(f"{served.server.base}/files", files=files)).json()["urls"]["get"]
    ended = await served.filled(mask=uploaded, image="https://pictures.example/a.png")
    assert ended.status == "succeeded"
    assert cog.inputs[0]["mask"] == "data:image/webp;base64," + base64.b64encode(TINY).decode()
    assert cog.inputs[0]["image"] == "https://pictures.example/a.png"


async def test_a_prompt_that_is_an_address_of_this_machine_stays_a_prompt(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    served = await front(cog)
    prompt = f"{cog.at}/health-check"
    assert (await served.filled(prompt)).status == "succeeded"
    assert cog.inputs[0]["prompt"] == prompt


async def test_the_model_has_whatever_name_is_asked_for_and_the_containers_schema(
    front: Start, cogs: Cogs
) -> None:
    cog = await cogs()
    cog.document = schema("style")
    served = await front(cog)
    model = (await served.http.get(f"{served.server.base}/models/{MODEL}")).json()
    fields = model["latest_version"]["openapi_schema"]["components"]["schemas"]["Input"]["properties"]
    assert list(fields) == ["image", "mask", "prompt", "seed", "steps", "style"]
    for version in (model["latest_version"]["id"], MODEL, f"{MODEL}:{model['latest_version']['id']}"):
        body = {"version": version, "input": {"image": PICTURE, "mask": PICTURE, "prompt": "x"}}
        assert (await served.http.post(f"{served.server.base}/predictions", json=body)).status_code == 201


async def test_a_model_that_returns_something_else_than_pictures_fails_the_row(
    front: Start, cogs: Cogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.cogs.PICTURE", "https://bucket.example/out.png")
    ended = await (await front(await cogs())).filled()
    assert ended.status == "failed"
    assert ended.error == "the model returned 'https://bucket.example/out.png' instead of a picture"
