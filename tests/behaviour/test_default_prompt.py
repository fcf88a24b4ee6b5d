"""Default prompts that name columns, and batches that were begun before they could."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.session.as_begun.default_prompt import FACT, WARNING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

PROMPT = "a {x_colour} sofa, {{new}}"
COLOURS = ("red", "blue")


def set_prompt(text: str) -> dict[str, Any]:
    return {"set": {"prompt": text}}


def coloured(desk: Any, **cells: str) -> list[dict[str, str]]:
    rows = [{**row, "x_colour": colour} for row, colour in zip(desk.rows(2), COLOURS, strict=True)]
    return [{**{name: text for name, text in row.items() if name != "prompt"}, **cells} for row in rows]


def prompts(provider: EmulatorServer) -> list[str]:
    return sorted(str(prediction.input["prompt"]) for prediction in provider.predictions())


async def begin_before(provider: EmulatorServer, batch: Open, desk: Any) -> Batch:
    """Run two rows with PROMPT as it stands, and leave a ledger as an older batchfill leaves it."""
    night = batch(provider, coloured(desk, prompt=PROMPT))
    assert (await night.run()).exit_code == 0
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        assert db.execute("DELETE FROM facts WHERE name = ?", (FACT,)).rowcount == 1
    # As it was: the prompt was a default.
    return batch(provider, coloured(desk), **set_prompt(PROMPT))


async def test_each_row_is_asked_for_with_its_own_columns_and_tells_that_prompt(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, coloured(desk), **set_prompt(PROMPT))

    # Braces that the default prompt writes twice are meant.
    assert not [words for words in (await night.check()).warnings if "placeholder" in words]
    assert (await night.run()).exit_code == 0
    assert (await batch(provider, **set_prompt(PROMPT)).run()).exit_code == 0

    assert prompts(provider) == ["a blue sofa, {new}", "a red sofa, {new}"]
    assert [found.prompt for found in night.results()] == ["a red sofa, {new}", "a blue sofa, {new}"]
    # Written into its row, a prompt is the same: nothing to pay.
    written = [{**row, "prompt": f"a {row['x_colour']} sofa, {{new}}"} for row in coloured(desk)]
    assert (await batch(provider, written).run()).exit_code == 0
    assert len(provider.predictions()) == 2


async def test_a_batch_begun_before_takes_its_default_prompt_as_it_stands_until_it_is_edited(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = await begin_before(provider, batch, desk)

    report = await night.check()
    assert (report.finished, report.outputs_to_go, report.warnings[0]) == (2, 0, WARNING)
    for _ in range(2):
        assert (await night.run()).exit_code == 0
    assert prompts(provider) == [PROMPT, PROMPT]

    edited = f"{PROMPT} "
    assert (await batch(provider, **set_prompt(edited)).check()).outputs_to_go == 2
    assert (await batch(provider, **set_prompt(edited)).run()).exit_code == 0
    assert prompts(provider)[:2] == ["a blue sofa, {new} ", "a red sofa, {new} "]
    # From then on no default prompt is taken as it stands, not even the first one.
    assert WARNING not in (await batch(provider, **set_prompt(PROMPT)).check()).warnings
    assert (await batch(provider, **set_prompt(PROMPT)).run()).exit_code == 0
    assert prompts(provider)[:2] == ["a blue sofa, {new}", "a blue sofa, {new} "]


@pytest.mark.parametrize("way", ["ledger lost", "record lost", "folder and manifest renamed"])
async def test_a_batch_begun_before_pays_nothing_twice_when_only_a_part_of_it_is_left(
    service: Serve, batch: Open, desk: Any, way: str
) -> None:
    provider = await service()
    night = await begin_before(provider, batch, desk)
    if way == "ledger lost":
        for path in night.folder.glob("ledger.sqlite*"):
            path.unlink()
        again = night
    elif way == "record lost":
        (night.folder / "paid.jsonl").unlink()
        again = night
    else:
        again = batch(provider, coloured(desk), name="renamed.csv", **set_prompt(PROMPT))
        (desk.folder / "night.csv").unlink()

    await again.run()

    assert prompts(provider) == [PROMPT, PROMPT]
    assert {found.state.value for found in again.results()} == {"done"}


async def test_a_new_batch_whose_ledger_is_lost_still_fills_its_columns_in(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, coloured(desk), **set_prompt(PROMPT))
    await night.run()
    for path in night.folder.glob("ledger.sqlite*"):
        path.unlink()

    assert (await night.run()).exit_code == 0

    assert prompts(provider) == ["a blue sofa, {new}", "a red sofa, {new}"]


async def test_nothing_is_paid_while_a_default_prompt_names_what_is_not_there(
    batchfill: Any, desk: Any
) -> None:
    desk.write(coloured(desk))
    ran = await batchfill("run", "night.csv", "--local", "--set", "prompt=a {x_color} sofa")
    assert ran.code == 2
    told = "night.csv:1: the default prompt names the column {x_color}, and there is none"
    assert f"{told}; did you mean x_colour?" in ran.err
