"""Pictures that are deleted, damaged or worked on after the night, and `--retry missing`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.console.render_plan import plan_lines
from batchfill.console.summary import summary_lines
from tests.support import ledgers
from tests.support.batches import counts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.domain.reports import Result
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]
    Find = Callable[..., Result]


def outputs(night: Batch) -> dict[str, bytes]:
    """Every file below `outputs/`, with its content."""
    folder = night.folder / "outputs"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def recounted(night: Batch) -> dict[str, int]:
    """Count the ledger's rows by state, one by one."""
    return ledgers.states(night.folder / "ledger.sqlite")


def expire(provider: EmulatorServer) -> None:
    for record in provider.predictions():
        provider.expire(record.id)


async def test_a_deleted_picture_is_fetched_again_and_not_paid_again(
    service: Serve, batch: Open, states: States, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, 3)
    await night.run()
    before = outputs(night)
    (night.folder / "outputs/r2.webp").unlink()
    fetched = provider.requests["output"]
    summary = await batch(provider, retry="missing").run(confirm=plans.accept)
    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 0, 3)
    assert (plans[0].to_go, plans[0].missing, plans[0].finished) == (0, 1, 2)
    assert provider.requests["output"] == fetched + 1
    assert outputs(night) == before
    assert counts(night) == recounted(night) == {"done": 3}


def keep(path: Path) -> None:
    """Leave a picture as it is."""


def work_on(path: Path) -> None:
    with Image.open(path) as image:
        changed = image.convert("RGB")
    changed.putpixel((0, 0), (1, 2, 3))
    changed.save(path)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (keep, (0, 0)),
        (work_on, (0, 0)),
        (Path.unlink, (1, 1)),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), (1, 1)),
        (lambda path: path.write_bytes(b""), (1, 1)),
    ],
    ids=["whole", "worked on", "missing", "cut short", "empty"],
)
async def test_a_script_sees_by_the_exit_code_that_a_picture_is_lost(
    service: Serve, batch: Open, batchfill: Any, harm: Callable[[Path], Any], found: tuple[int, int]
) -> None:
    night = batch(await service(), 2)
    await night.run()
    harm(night.folder / "outputs/r1.webp")
    checked = await batchfill("check", "night.csv", "--outputs", "--json")
    assert (checked.code, json.loads(checked.out)["lost"]) == found
    night.manifest.write_text(night.manifest.read_text("utf-8") + "r3,,,\n", "utf-8")
    assert (await batchfill("check", "night.csv", "--outputs")).code == 2


async def test_a_run_fetches_nothing_again_unasked(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    (night.folder / "outputs/r1.webp").unlink()
    assert (await batch(provider).run()).exit_code == 0
    assert outputs(night) == {}


async def test_what_the_service_has_removed_expires_and_costs_nothing_until_asked(
    service: Serve, batch: Open, states: States, result: Find, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, 3, head={"price": "0.04"})
    await night.run()
    expire(provider)
    (night.folder / "outputs/r2.webp").unlink()
    summary = await batch(provider, retry="missing").run(confirm=plans.accept)
    assert (summary.exit_code, provider.billed) == (1, 3)
    assert states(night) == {"r1": "done", "r2": "expired", "r3": "done"}
    assert counts(night) == recounted(night) == {"done": 2, "expired": 1}
    assert (result(night, "r2").error, result(night, "r2").outputs) == (
        "its files were fetched and are gone from outputs/, and the service has removed them",
        (),
    )
    assert [line for line in plan_lines(plans[0]) if "$0.04" in line] == [
        "what it has removed becomes expired; to make it all again with --retry expired costs about $0.04"
    ]
    said = summary_lines(summary, command="batchfill run night.csv")
    assert (
        "to make expired rows again, and pay for them again: batchfill run night.csv --retry expired" in said
    )
    again = await batch(provider, retry="expired").run(confirm=plans.accept)
    assert (again.exit_code, plans[1].price_to_go, provider.billed) == (0, 40_000, 4)
    assert "r2.webp" in outputs(night)


async def test_the_picture_that_is_left_of_two_stays_and_the_row_says_so(
    service: Serve, batch: Open, desk: Any, result: Find
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, num_outputs="2"))
    await night.run()
    expire(provider)
    (night.folder / "outputs/r1@1.webp").unlink()
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    found = result(night)
    assert (found.state, found.outputs) == ("done", ("outputs/r1@2.webp",))
    assert found.error == "1 of 2 pictures: the service has removed the others"
    report = await night.check(outputs=True)
    assert report.notes == ("every one of 1 files is in place and as it was fetched",)


async def test_both_of_two_are_in_place_again_while_the_service_has_them(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(1, num_outputs="2"))
    await night.run()
    before = outputs(night)
    (night.folder / "outputs/r1@1.webp").unlink()
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert outputs(night) == before


async def test_a_damaged_picture_is_set_aside_and_fetched_again(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    (content,) = outputs(night).values()
    (night.folder / "outputs/r1.webp").write_bytes(content[:-4])
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    found = outputs(night)
    assert found.pop("r1.webp") == content
    assert list(found.values()) == [content[:-4]]
    assert next(iter(found)).startswith("earlier/r1-")


async def test_a_picture_that_somebody_worked_on_is_left_alone(
    service: Serve, batch: Open, states: States
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    expire(provider)
    Image.new("RGB", (8, 8), "red").save(night.folder / "outputs/r1.webp")
    work = outputs(night)
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert outputs(night) == work
    assert set(states(night).values()) == {"done"}


async def test_a_row_that_was_renamed_gets_its_picture_back_under_its_new_name(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = desk.rows(2)
    night = batch(provider, rows)
    await night.run()
    rows[0]["id"] = "hero"
    await batch(provider, rows).run()
    before = outputs(night)
    assert set(before) == {"hero.webp", "r2.webp"}
    (night.folder / "outputs/hero.webp").unlink()
    assert (await batch(provider, retry="missing").run()).exit_code == 0
    assert outputs(night) == before


async def test_a_row_that_leaves_the_manifest_is_not_fetched_again(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    (night.folder / "outputs/r2.webp").unlink()
    assert (await batch(provider, desk.rows(1), retry="missing").run()).exit_code == 0
    assert set(outputs(night)) == {"r1.webp"}
    assert recounted(night) == {"done": 2}


async def test_check_tells_missing_damaged_changed_and_extra_apart(service: Serve, batch: Open) -> None:
    night = batch(await service(), 4)
    await night.run()
    folder = night.folder / "outputs"
    (folder / "r1.webp").unlink()
    (folder / "r2.webp").write_bytes(b"RIFF")
    Image.new("RGB", (8, 8)).save(folder / "r3.webp")
    (folder / "mine.psd").write_bytes(b"layers")
    report = await night.check(outputs=True)
    assert report.notes == (
        "missing: outputs/r1.webp (row r1, line 2)",
        "damaged: outputs/r2.webp (row r2, line 3)",
        "changed: outputs/r3.webp (row r3, line 4)",
        "extra: outputs/mine.psd",
        "`run --retry missing` fetches missing and damaged files again, if the service has them",
        "changed pictures are taken for your own work and left alone: remove one to miss it",
    )


@pytest.mark.parametrize("asked", ["missing", "failed,missing", "Missing, expired"])
async def test_missing_stands_beside_states(service: Serve, batch: Open, asked: str) -> None:
    provider = await service()
    night = batch(provider, 1)
    await night.run()
    (night.folder / "outputs/r1.webp").unlink()
    assert (await batch(provider, retry=asked).run()).exit_code == 0
    assert set(outputs(night)) == {"r1.webp"}


async def test_the_command_says_what_it_fetches_again_before_it_does(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    provider = await service()
    desk.write(desk.rows(2))
    flags = ("run", "night.csv", "--base-url", provider.base)
    assert (await batchfill(*flags)).code == 0
    lost: Path = desk.folder / "night.batch/outputs/r1.webp"
    lost.unlink()
    ran = await batchfill(*flags, "--retry", "missing")
    assert ran.code == 0, ran.err
    assert "1 done and without their files, 1 done already" in ran.err
    assert "fetched again free of charge, while the service has them: 1 row" in ran.err
    assert lost.exists()
