"""What a pool says of its containers, and who gets a slot."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.cogs import QUICK_POOL, FakeCog, schema
from tests.support.ports import find_free_port
from tests.unit.emulator.backends.conftest import MODEL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.unit.emulator.backends.conftest import Front

    Start = Callable[..., Awaitable[Front]]
    Cogs = Callable[..., Awaitable[FakeCog]]

BOTH = pytest.mark.parametrize("coglet", [False, True], ids=["cog 0.16", "coglet 0.23"])


async def test_a_pool_of_none_makes_nothing_and_says_why(front: Start) -> None:
    at = f"http://127.0.0.1:{find_free_port()}"
    served = await front(at)
    answer = await served.create_once()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert f"no container is ready, so nothing is created: {at} cannot be reached" in answer.json()["detail"]
    assert served.server.predictions() == []
    await served.heard("no container is ready", "0 predictions wait")


async def test_what_containers_say_is_told_at_the_front_and_never_to_a_client(
    front: Start, cogs: Cogs
) -> None:
    cog = await cogs()
    cog.fate = lambda inputs: "[Errno 122] Disk quota exceeded: out of credits, retry in 2 hours"
    served = await front(cog, timings=replace(QUICK_POOL, rest=600.0))
    await served.created()
    await served.heard("its disk is full", "out of credits")
    served.said.clear()
    told = (await served.create_once()).json()
    # A run would end as at a service whose credit is used up, or wait for as long as that says.
    assert told["detail"] == f"no container is ready, so nothing is created: {cog.at} has trouble of its own"
    assert (told["code"], told["retry_after"]) == ("no_capacity", 5)
    await served.heard("no container is ready", "out of credits")


async def test_a_line_about_a_large_pool_names_some_of_it(front: Start) -> None:
    served = await front(*(f"http://127.0.0.1:{find_free_port()}" for _ in range(8)))
    line = await served.heard("no container is ready")
    assert line.count("http://") == 5
    assert "; and 3 more; 0 predictions wait" in line


async def test_the_model_is_told_while_its_containers_are_away(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    served = await front(cog)
    model = f"{served.server.base}/models/{MODEL}"
    while (await served.http.get(model)).status_code == 429:
        pass
    await cog.kill()
    await served.heard("no container is ready")
    assert (await served.http.get(model)).status_code == 200


async def test_a_create_is_held_until_a_container_is_ready(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    cog.status = "STARTING"
    served = await front(cog)
    await served.heard(f"{cog.at} its model is loading")
    cog.status = "READY"
    assert (await served.filled()).status == "succeeded"


async def test_what_waits_is_made_when_a_container_comes_back(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    cog.gate.clear()
    served = await front(cog)
    ids = [await served.created(f"{n}") for n in range(3)]
    await cog.until(lambda cog: bool(cog.begun))
    await cog.kill()
    await served.heard("no container is ready", "predictions wait")
    cog.gate.set()
    await cog.start()
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}
    assert len(cog.begun) == 4, "the run that broke off, and one for each"


async def test_a_container_that_never_comes_back_costs_only_its_share(front: Start, cogs: Cogs) -> None:
    lost, other = await cogs(), await cogs()
    served = await front(lost, other)
    lost.gate.clear()
    ids = [await served.created(f"{n}") for n in range(5)]
    await lost.until(lambda cog: bool(cog.begun))
    await lost.kill()
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}
    await served.heard(f"{lost.at} cannot be reached")
    told = await served.pool()
    assert [one["state"] for one in told["containers"]] == ["away", "ready"]
    assert (told["ready"], told["made"], told["runs_begun"]) == (1, 5, 6)


PAGE = "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head></html>"


async def test_a_web_page_is_no_container(front: Start, cogs: Cogs) -> None:
    page, cog = await cogs(), await cogs()
    page.page = PAGE
    served = await front(page, cog)
    assert (await served.filled()).status == "succeeded"
    line = await served.heard("no Cog container")
    assert line == f"{page.at} is no Cog container: 200 with a web page (Welcome to nginx!)"
    assert page.begun == []


async def test_a_container_that_turns_into_a_web_page_costs_no_row(front: Start, cogs: Cogs) -> None:
    page, cog = await cogs(), await cogs()
    served = await front(page, cog)
    await served.heard(f"{page.at} is ready")
    page.page = PAGE
    assert {(await served.filled(f"{n}")).status for n in range(3)} == {"succeeded"}


async def test_a_container_of_another_model_is_left_out(front: Start, cogs: Cogs) -> None:
    cog, other = await cogs(), await cogs()
    other.document = schema("style")
    served = await front(cog)
    await served.heard("is ready")
    served.backend.pool.change([cog.at, other.at])
    line = await served.heard("another model")
    assert line.startswith(f"{other.at} runs another model than {cog.at}: they differ in style;")
    assert {(await served.filled(f"{n}")).status for n in range(3)} == {"succeeded"}
    assert other.begun == []


async def test_another_model_never_takes_over_from_containers_that_are_down(front: Start, cogs: Cogs) -> None:
    cog, other = await cogs(), await cogs()
    other.document = schema("style")
    served = await front(cog)
    await served.heard(f"{cog.at} is ready")
    served.backend.pool.change([cog.at, other.at])
    await served.heard("another model")
    served.said.clear()
    await cog.kill()
    await served.heard("no container is ready", f"{other.at} runs another model")
    looks = other.looks
    await other.until(lambda other: other.looks > looks + 3)
    assert (await served.create_once()).status_code == 429
    await cog.start()
    assert (await served.filled()).status == "succeeded"
    assert other.begun == []


async def test_a_pool_is_moved_to_a_new_model_container_by_container(front: Start, cogs: Cogs) -> None:
    both = [await cogs(), await cogs()]
    served = await front(*both)
    for cog in both:
        await served.heard(f"{cog.at} is ready")
    for cog in both:
        await cog.kill()
        cog.document = schema("style")
        await cog.start()
    while (await served.create(style="oil")).status_code != 201:
        pass
    while (await served.pool())["ready"] < 2:
        pass


async def test_another_model_may_follow_when_those_of_the_old_one_left_the_pool(
    front: Start, cogs: Cogs
) -> None:
    cog, other = await cogs(), await cogs()
    other.document = schema("style")
    served = await front(cog)
    await served.heard(f"{cog.at} is ready")
    served.backend.pool.change([other.at])
    await served.heard(f"{other.at} is ready")
    assert (await served.filled(style="oil")).status == "succeeded"
    assert len(other.begun) == 1


@BOTH
async def test_a_container_that_hangs_costs_its_runs_and_works_again_when_it_wakes(
    front: Start, cogs: Cogs, coglet: bool
) -> None:
    hung, other = await cogs(coglet=coglet), await cogs(coglet=coglet)
    served = await front(hung, other, timings=replace(QUICK_POOL, look_timeout=0.5))
    hung.gate.clear()
    ids = [await served.created(f"{n}") for n in range(4)]
    await hung.until(lambda cog: bool(cog.begun))
    hung.awake.clear()
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}
    await served.heard(f"{hung.at} cannot be reached (no answer in time)")
    served.said.clear()
    hung.gate.set()
    hung.awake.set()
    await served.heard(f"{hung.at} is ready")


async def test_what_runs_behind_a_proxy_that_has_only_pages_left_is_made_elsewhere(
    front: Start, cogs: Cogs
) -> None:
    page, other = await cogs(), await cogs()
    served = await front(page, other)
    page.gate.clear()
    ids = [await served.created(f"{n}") for n in range(2)]
    await page.until(lambda cog: bool(cog.begun))
    page.page = PAGE
    assert {(await served.ended(id_)).status for id_ in ids} == {"succeeded"}


async def test_a_container_that_is_busy_for_long_with_no_run_of_ours_is_told(
    front: Start, cogs: Cogs
) -> None:
    cog = await cogs()
    served = await front(cog)
    await served.heard("is ready")
    cog.gate.clear()
    stranger = asyncio.ensure_future(
        served.http.put(f"{cog.at}/predictions/stranger", json={"input": {"prompt": "mine"}})
    )
    line = await served.heard("none of this server's")
    assert (
        line
        == f"{cog.at} has a run that is none of this server's: restart it, unless another program uses it"
    )
    served.said.clear()
    cog.gate.set()
    await served.heard(f"{cog.at} is ready")
    await stranger


async def test_no_picture_follows_a_container_that_sends_elsewhere(front: Start, cogs: Cogs) -> None:
    away, other = await cogs(), await cogs()
    away.elsewhere = other.at
    served = await front(away)
    await served.heard(f"{away.at} is no Cog container: 307")
    assert ((await served.create_once()).status_code, other.looks) == (429, 0)


async def test_seconds_a_picture_are_those_of_each_run_where_several_share_a_container(
    front: Start, cogs: Cogs
) -> None:
    cog = await cogs(coglet=True, slots=2)
    cog.gate.clear()
    served = await front(cog)
    ids = [await served.created("first")]
    await cog.until(lambda cog: len(cog.begun) == 1)
    await asyncio.sleep(0.3)  # time is what is counted
    ids.append(await served.created("second"))
    await cog.until(lambda cog: len(cog.begun) == 2)
    cog.gate.set()
    for id_ in ids:
        await served.ended(id_)
    assert 2 * (await served.pool())["seconds_a_picture"] >= 0.3


@pytest.mark.parametrize("word", ["SETUP_FAILED", "DEFUNCT", "UNHEALTHY"])
async def test_a_container_that_has_ended_is_told_to_be_restarted(
    front: Start, cogs: Cogs, word: str
) -> None:
    cog = await cogs()
    cog.status = word
    assert (await (await front(cog)).heard(cog.at, "restart it")).endswith("restart it")


async def test_each_sender_has_its_turn(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    cog.gate.clear()
    served = await front(cog)
    many = [await served.created(f"many {n}", sender="many") for n in range(6)]
    await cog.until(lambda cog: bool(cog.begun))
    few = [await served.created(f"few {n}", sender="few") for n in range(3)]
    cog.gate.set()
    for id_ in (*many, *few):
        await served.ended(id_)
    senders = ["few" if id_ in few else "many" for id_ in cog.begun]
    assert senders == ["many", "few", "many", "few", "many", "few", "many", "many", "many"] or senders == [
        "many", "many", "few", "many", "few", "many", "few", "many", "many",
    ]  # fmt: skip


async def test_containers_come_and_go_with_the_file(front: Start, cogs: Cogs, tmp_path: Path) -> None:
    one, two = await cogs(), await cogs()
    file = tmp_path / "pool.txt"
    file.write_text(f"# ours\n{one.at}\n")
    one.gate.clear()
    served = await front(file=file)
    running = await served.created("running")
    await one.until(lambda cog: bool(cog.begun))
    file.write_text(f"{two.at}/  # new\n")
    await served.heard(f"- {one.at}")
    assert (await served.filled("next")).status == "succeeded"
    assert len(two.begun) == 1
    one.gate.set()
    assert (await served.ended(running)).status == "succeeded", "what runs on it may end"
    told = await served.pool()
    assert ([container["at"] for container in told["containers"]], told["made"]) == ([two.at], 2)


@pytest.mark.parametrize("text", ["", "# nothing\n\n", "gpu1:5000\n", None])
async def test_a_file_that_names_no_pool_changes_nothing(
    front: Start, cogs: Cogs, tmp_path: Path, text: str | None
) -> None:
    cog = await cogs()
    file = tmp_path / "pool.txt"
    file.write_text(cog.at)
    served = await front(file=file)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    await served.heard("the pool stays as it was")
    assert (await served.filled()).status == "succeeded"


async def test_the_pool_is_told_as_json_and_in_a_line(front: Start, cogs: Cogs) -> None:
    cog = await cogs()
    served = await front(cog)
    await served.filled()
    told = await served.pool()
    (container,) = told["containers"]
    assert (container["at"], container["state"], container["slots"], container["made"]) == (
        cog.at, "ready", 1, 1,
    )  # fmt: skip
    assert (told["queue"], told["busy"], told["runs_begun"]) == (0, 0, 1)
    line = served.backend.pool.report_line()
    assert line.startswith("containers: 1 of 1 ready, 0 busy; ")
    assert line.endswith(" s a picture; 1 made, 0 waiting")
