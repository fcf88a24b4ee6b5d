"""The main job: a manifest goes in, and every row comes out accounted for."""

from __future__ import annotations

import csv
import io
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.console.summary import summary_lines
from batchfill.domain.rows import RowState
from batchfill.errors import ManifestError, ServiceRefused, UsageError
from tests.support.listeners import Ears
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]


async def test_every_row_is_done_and_billed_once(service: Serve, batch: Open, states: States) -> None:
    provider = await service()
    night = batch(provider, 30)
    summary = await night.run()
    assert (summary.exit_code, summary.submitted_now, summary.finished_now) == (0, 30, 30)
    assert set(states(night).values()) == {"done"}
    assert provider.billed == 30
    assert len({charge.digest for charge in provider.bill}) == 30


async def test_rows_of_addresses_are_sent_as_they_are(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    address = {"image": "https://pictures.test/1.png", "mask": "https://pictures.test/m.png"}
    assert (await batch(provider, [{**address, "prompt": "a boat"}]).run()).exit_code == 0
    (record,) = provider.predictions()
    assert {name: record.input[name] for name in address} == address


async def test_a_second_run_submits_nothing(service: Serve, batch: Open, plans: Any) -> None:
    provider = await service()
    await batch(provider, 8).run()
    before = provider.requests["create"]
    again = await batch(provider).run(confirm=plans.accept)
    assert (again.exit_code, again.submitted_now, provider.requests["create"]) == (0, 0, before)
    assert (plans[0].to_go, plans[0].finished) == (0, 8)
    assert "nothing was submitted" in summary_lines(again, command="batchfill run night.csv")


async def test_a_second_run_leaves_every_file_as_it_is(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service(tiny=False)
    night = batch(provider, desk.rows(2, megapixels="0.25"))
    await night.run()
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in _pictures(night)}
    await batch(provider).run()
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in _pictures(night)} == before


async def test_nothing_is_paid_when_the_plan_is_turned_down(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service()
    night = batch(provider, 3)
    with pytest.raises(UsageError, match="nothing was started, and nothing was paid"):
        await night.run(confirm=lambda plan: False)
    assert provider.creates_seen == 0
    assert (await batch(provider).run()).exit_code == 0


async def test_the_plan_tells_rows_pictures_and_price_before_anything_is_submitted(
    service: Serve, batch: Open, desk: Any, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(3, num_outputs="2"), head={"price": "0.04"})
    with pytest.raises(UsageError):
        await night.run(confirm=plans.decline)
    (plan,) = plans
    assert (plan.rows, plan.to_go, plan.outputs_to_go, plan.price_to_go) == (3, 3, 6, 240_000)
    assert provider.creates_seen == 0


async def test_results_come_in_the_manifests_order(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    rows = desk.rows(12)
    rows.reverse()
    night = batch(provider, rows)
    await night.run()
    assert [result.id for result in night.results()] == [row["id"] for row in rows]
    assert [result.line for result in night.results()] == list(range(2, 14))


async def test_a_result_names_files_seed_prediction_attempts_and_cost(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, num_outputs="2"), head={"price": "0.04"})
    await night.run()
    (result,) = night.results()
    (record,) = provider.predictions()
    assert result.outputs == ("outputs/r1@1.webp", "outputs/r1@2.webp")
    assert (result.prediction_id, result.seed) == (record.id, record.input["seed"])
    assert (result.attempts, result.cost, result.error) == (1, 80_000, None)


async def test_results_are_kept_beside_the_outputs_for_excel(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    night = batch(provider, desk.rows(2, x_shelf="Küche"))
    await night.run()
    text = (night.folder / "results.csv").read_bytes().decode("utf-8")
    assert text.startswith("\ufeffid,line,state,")
    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [(line["id"], line["state"], line["x_shelf"]) for line in lines] == [
        ("r1", "done", "Küche"),
        ("r2", "done", "Küche"),
    ]


async def test_results_as_jsonl_hold_lists_and_numbers(service: Serve, batch: Open) -> None:
    night = batch(await service(), 1, head={"price": "0.04"})
    await night.run()
    stream = io.StringIO()
    night.write_results(stream, kind="jsonl")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["outputs"], line["cost"], line["error"]) == (["outputs/r1.webp"], 0.04, None)


@pytest.mark.parametrize(
    ("asked", "suffix", "kind"), [("png", ".png", "PNG"), ("jpg", ".jpg", "JPEG"), ("webp", ".webp", "WEBP")]
)
async def test_files_are_whole_pictures_of_the_format_asked_for(
    service: Serve, batch: Open, desk: Any, asked: str, suffix: str, kind: str
) -> None:
    provider = await service(tiny=False)
    night = batch(provider, desk.rows(1, output_format=asked, megapixels="0.25"))
    await night.run()
    (path,) = _pictures(night)
    assert path.name == f"r1{suffix}"
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == kind
        assert min(picture.size) > 300


async def test_a_files_name_follows_what_it_is_not_what_was_asked_for(
    service: Serve, batch: Open, desk: Any
) -> None:
    night = batch(await service(tiny=True), desk.rows(1, output_format="png"))
    await night.run()
    assert [path.name for path in _pictures(night)] == ["r1.webp"]


async def test_the_bytes_in_the_folder_are_the_bytes_that_the_service_made(
    service: Serve, batch: Open, desk: Any, tmp_path: Any
) -> None:
    provider = await service(tiny=False)
    night = batch(provider, desk.rows(3, megapixels="0.25"))
    await night.run()
    made = {sha256(path.read_bytes()).digest() for path in (tmp_path / "provider/outputs").rglob("out-*")}
    assert {sha256(path.read_bytes()).digest() for path in _pictures(night)} == made
    assert len(made) == 3


async def test_nothing_half_written_stays(service: Serve, batch: Open) -> None:
    night = batch(await service(), 4)
    await night.run()
    assert list((night.folder / "tmp").iterdir()) == []
    assert not (night.folder / "suspect").exists()


async def test_every_row_without_a_seed_gets_one_of_its_own(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    rows = [*desk.rows(10), *({**row, "id": f"s{row['id']}", "seed": "0"} for row in desk.rows(5))]
    await batch(provider, rows).run()
    seeds = [charge.seed for charge in provider.bill]
    assert len(set(seeds)) == 15
    assert all(seed is not None and 1 <= seed < 2**31 for seed in seeds)


async def test_equal_rows_are_different_rows(service: Serve, batch: Open, desk: Any) -> None:
    provider = await service()
    row = {name: value for name, value in desk.rows(1)[0].items() if name != "id"}
    night = batch(provider, [row, row, row])
    assert (await night.run()).exit_code == 0
    assert provider.billed == 3
    assert len({result.id for result in night.results()}) == 3
    assert (await batch(provider).run()).submitted_now == 0


async def test_status_tells_where_it_stands_after_the_end(service: Serve, batch: Open) -> None:
    night = batch(await service(), 3, head={"price": "0.04"})
    await night.run()
    status = night.status()
    assert not status.running
    assert (status.counts[RowState.DONE], sum(status.counts.values())) == (3, 3)
    assert (status.cost.spent, status.cost.reserved, status.cost.to_go) == (120_000, 0, 0)
    assert status.stopped_because is None


async def test_who_watches_is_told_the_end(service: Serve, batch: Open) -> None:
    watcher = Ears()
    await batch(await service(), 5).run(watch=watcher)
    assert watcher.last is not None
    assert (watcher.last.counts[RowState.DONE], watcher.last.total, watcher.last.finished_now) == (5, 5, 5)


async def test_mistakes_stop_a_run_before_anything_is_asked_or_paid(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = [*desk.rows(1), {**desk.rows(1)[0], "id": "bad", "guidance": "1000"}]
    with pytest.raises(ManifestError, match=r"night.csv:3: guidance must be between 0 and 100, not 1000"):
        await batch(provider, rows).run()
    assert provider.creates_seen == 0


async def test_a_token_that_the_service_does_not_know_is_refused_at_once(service: Serve, batch: Open) -> None:
    provider = await service()
    with pytest.raises(ServiceRefused, match="check the token") as caught:
        await batch(provider, 3, token="r8_another").run()
    assert (caught.value.status, provider.creates_seen) == (401, 0)
    assert "r8_another" not in str(caught.value)


async def test_nobody_at_the_address_is_a_sentence(batch: Open) -> None:
    with pytest.raises(UsageError, match=r"http://127.0.0.1:9/v1 does not answer"):
        await batch("http://127.0.0.1:9/v1", 1).run()


async def test_the_token_is_in_no_file_of_the_batch(service: Serve, batch: Open) -> None:
    night = batch(await service(), 2)
    await night.run()
    files = [path for path in night.folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


async def test_a_rehearsal_needs_no_token_and_has_a_folder_of_its_own(batch: Open) -> None:
    night = batch(None, 2, token="", local=True)
    assert (await night.run()).exit_code == 0
    assert night.folder.name == "night.local.batch"
    assert len(_pictures(night)) == 2


def _pictures(night: Batch) -> list[Any]:
    return sorted(path for path in (night.folder / "outputs").rglob("*") if path.is_file())
