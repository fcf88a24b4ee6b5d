"""The manifest is edited between two runs: what was paid for stays, what is new runs, nothing runs twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batchfill.console.render_plan import plan_lines
from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.providers import prompts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

REFUSED = Fault("get", "status", options={"status": 401})
"""Ends a run with its rows running at the service."""


def files(night: Batch) -> list[str]:
    found = (night.folder / "outputs").rglob("*")
    return sorted(path.relative_to(night.folder).as_posix() for path in found if path.is_file())


def stands(night: Batch) -> bool:
    """Whether every output that results name is a file, and no two rows name the same."""
    named = [file for result in night.results() for file in result.outputs]
    return len(named) == len(set(named)) and all((night.folder / file).is_file() for file in named)


async def run_and_leave_running(provider: EmulatorServer, night: Batch) -> None:
    """Run *night* until all its rows run at the service."""
    provider.faults.add(REFUSED)
    await night.run()
    provider.faults.clear()


# Rows


async def test_only_an_added_row_runs(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    await batch(provider, 3).run()
    summary = await batch(provider, 5).run()
    assert (summary.exit_code, summary.submitted_now, summary.counts[RowState.DONE]) == (0, 2, 5)
    assert sorted(prompts(provider)) == [f"picture {n}" for n in range(1, 6)]


async def test_rows_in_another_order_run_nothing_and_results_follow_the_new_order(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = desk.rows(5)
    night = batch(provider, rows)
    await night.run()
    before = {result.id: result.prediction_id for result in night.results()}
    rows.reverse()
    summary = await batch(provider, rows).run()
    assert (summary.exit_code, summary.submitted_now) == (0, 0)
    assert [result.id for result in night.results()] == ["r5", "r4", "r3", "r2", "r1"]
    assert {result.id: result.prediction_id for result in night.results()} == before


async def test_a_changed_prompt_runs_again_and_the_old_picture_moves_aside(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result], plans: Any
) -> None:
    provider = await service(tiny=False)
    rows = desk.rows(2, megapixels="0.25")
    night = batch(provider, rows)
    await night.run()
    old = (night.folder / "outputs/r1.webp").read_bytes()
    paid = result(night).prediction_id
    rows[0]["prompt"] = "something else"
    summary = await batch(provider, rows).run(confirm=plans.accept)
    assert (summary.exit_code, summary.submitted_now, plans[0].changed) == (0, 1, 1)
    assert files(night) == [f"outputs/earlier/{paid}-1.webp", "outputs/r1.webp", "outputs/r2.webp"]
    assert (night.folder / f"outputs/earlier/{paid}-1.webp").read_bytes() == old
    assert stands(night)


async def test_the_plan_says_what_changed_rows_cost(
    service: Serve, batch: Open, desk: Any, plans: Any
) -> None:
    provider = await service()
    rows = desk.rows(3)
    await batch(provider, rows, head={"price": "0.04"}).run()
    rows[0]["prompt"] = rows[1]["prompt"] = "something else"
    await batch(provider, rows, head={"price": "0.04"}).run(confirm=plans.accept)
    assert (plans[0].to_go, plans[0].changed, plans[0].price_changed) == (2, 2, 80_000)
    assert any("$0.08" in line for line in plan_lines(plans[0]))


async def test_a_prompt_that_changes_while_the_old_one_runs_gets_both_collected(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result]
) -> None:
    provider = await service()
    rows = desk.rows(1)
    night = batch(provider, rows)
    await run_and_leave_running(provider, night)
    old = provider.predictions()[0].id
    rows[0]["prompt"] = "something else"
    summary = await batch(provider, rows).run()
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 1, 2)
    assert files(night) == [f"outputs/earlier/{old}-1.webp", "outputs/r1.webp"]
    assert result(night).outputs == ("outputs/r1.webp",)
    assert result(night).prediction_id != old


async def test_an_old_prompt_that_ends_after_the_new_one_does_not_take_its_place(
    service: Serve, batch: Open, desk: Any, result: Callable[..., Result]
) -> None:
    provider = await service(faults=Faults([Fault("create", "stuck", times=1)]))
    rows = desk.rows(1)
    night = batch(provider, rows)
    await run_and_leave_running(provider, night)
    (old,) = provider.predictions()
    rows[0]["prompt"] = "something else"
    run = asyncio.create_task(batch(provider, rows).run())
    await provider.until(lambda: provider.requests["output"] >= 1)
    # As if it had only been slow.
    provider._context.predictions._end_prediction(
        old.id, "succeeded", outputs=provider._outputs.write(old.id, (b"",), "webp")
    )
    assert (await run).exit_code == 0
    assert files(night) == [f"outputs/earlier/{old.id}-1.webp", "outputs/r1.webp"]
    assert result(night).outputs == ("outputs/r1.webp",)


async def test_a_row_that_is_removed_before_its_turn_is_never_submitted(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    first, second, third = desk.rows(3)
    await batch(provider, [first, second, third], limit=1).run()
    summary = await batch(provider, [first, third]).run()
    assert (summary.exit_code, summary.counts[RowState.DONE], summary.gone) == (0, 2, {"pending": 1})
    assert prompts(provider) == ["picture 1", "picture 3"]


async def test_a_row_that_is_removed_while_it_runs_is_collected_all_the_same(
    service: Serve, batch: Open, desk: Any, states: States
) -> None:
    provider = await service()
    rows = desk.rows(2)
    night = batch(provider, rows)
    await run_and_leave_running(provider, night)
    summary = await batch(provider, rows[:1]).run()
    assert (summary.exit_code, summary.gone) == (0, {"done": 1})
    assert states(night) == {"r1": "done"}
    assert files(night) == ["outputs/r1.webp", "outputs/r2.webp"]
    assert provider.billed == 2


async def test_a_row_that_comes_back_is_not_paid_for_again(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    rows = desk.rows(2)
    night = batch(provider, rows)
    await night.run()
    await batch(provider, rows[:1]).run()
    summary = await batch(provider, rows).run()
    assert (summary.exit_code, summary.submitted_now, summary.counts[RowState.DONE]) == (0, 0, 2)
    assert stands(night)


async def test_a_new_id_renames_the_files(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    rows = desk.rows(1, num_outputs="2")
    night = batch(provider, rows)
    await night.run()
    rows[0]["id"] = "hero"
    summary = await batch(provider, rows).run()
    assert (summary.exit_code, summary.submitted_now) == (0, 0)
    assert files(night) == ["outputs/hero@1.webp", "outputs/hero@2.webp"]
    assert stands(night)


async def test_ids_that_are_swapped_swap_their_files(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service(tiny=False)
    rows = desk.rows(2, megapixels="0.25")
    night = batch(provider, rows)
    await night.run()
    first, second = ((night.folder / f"outputs/r{n}.webp").read_bytes() for n in (1, 2))
    assert first != second
    rows[0]["id"], rows[1]["id"] = "r2", "r1"
    assert (await batch(provider, rows).run()).submitted_now == 0
    assert (night.folder / "outputs/r2.webp").read_bytes() == first
    assert (night.folder / "outputs/r1.webp").read_bytes() == second
    assert files(night) == ["outputs/r1.webp", "outputs/r2.webp"]
    assert stands(night)


async def test_a_row_that_takes_the_id_of_another_leaves_the_others_file_alone(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service(tiny=False)
    rows = desk.rows(2, megapixels="0.25")
    night = batch(provider, rows)
    await night.run()
    second = (night.folder / "outputs/r2.webp").read_bytes()
    # r1 goes, r2 is called r1 now.
    summary = await batch(provider, [{**rows[1], "id": "r1"}]).run()
    assert (summary.exit_code, summary.submitted_now) == (0, 0)
    assert (night.folder / "outputs/r1.webp").read_bytes() == second
    assert len(files(night)) == 2
    assert stands(night)


async def test_an_id_that_changes_while_its_row_runs_names_the_file(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = desk.rows(1)
    night = batch(provider, rows)
    await run_and_leave_running(provider, night)
    rows[0]["id"] = "hero"
    assert (await batch(provider, rows).run()).exit_code == 0
    assert (files(night), provider.billed) == (["outputs/hero.webp"], 1)


async def test_a_picture_that_was_edited_runs_again(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    desk.picture("a.png", shade=10)
    assert (await batch(provider).run()).submitted_now == 1
    assert len(files(night)) == 2
    assert stands(night)


async def test_a_picture_that_was_only_touched_runs_nothing(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    await batch(provider, 1).run()
    for path in (desk.folder / "images/a.png", desk.folder / "masks/a.png"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    assert (await batch(provider).run()).submitted_now == 0


async def test_a_file_of_the_users_own_is_not_overwritten(service: Serve, batch: Open) -> None:
    provider = await service()
    # It may be the picture of a ledger that is lost.
    night = batch(provider, 1, accept_loss=1)
    (night.folder / "outputs").mkdir(parents=True)
    (night.folder / "outputs/r1.webp").write_bytes(b"precious")
    assert (await night.run()).exit_code == 0
    kept = [path for path in files(night) if (night.folder / path).read_bytes() == b"precious"]
    assert len(kept) == 1
    assert kept[0].startswith("outputs/earlier/")


async def test_an_equal_row_that_is_added_is_paid_for_once(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    rows = desk.rows(1)
    await batch(provider, rows).run()
    summary = await batch(provider, [*rows, {**rows[0], "id": "again"}]).run()
    assert (summary.submitted_now, summary.counts[RowState.DONE]) == (1, 2)
