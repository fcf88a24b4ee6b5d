"""Tables that people open in a spreadsheet: no cell is a formula, and what was written can be read again."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.tools import pair_folders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

FORMULAS = ["=1+1", "+a+b", "-2+3", "@SUM(A1)", "'=1", "''+x", "＝1", "-5", "'tis a cat", "a = b"]


def rows(desk: Any) -> list[dict[str, str]]:
    return [
        {**row, "prompt": prompt, "seed": str(n), "x_note": prompt}
        for n, (row, prompt) in enumerate(zip(desk.rows(len(FORMULAS)), FORMULAS, strict=True), 1)
    ]


async def test_a_table_of_results_that_becomes_a_manifest_asks_for_the_same_pictures(
    service: Serve, batch: Open, desk: Any, plans: Any
) -> None:
    provider = await service()
    night = batch(provider, rows(desk), head={"extra_columns": "keep"})
    await night.run()
    night.export(desk.folder / "final")
    for table in (night.folder / "results.csv", desk.folder / "final" / "results.csv"):
        shutil.copy(table, desk.folder / "night.csv")
        await batch(provider).run(confirm=plans.accept)
        assert (plans[-1].to_go, plans[-1].finished) == (0, len(FORMULAS))
        assert [result.prompt for result in night.results()] == FORMULAS
    assert provider.billed == len(FORMULAS)


async def test_a_table_beside_exported_pictures_is_known_again_whatever_their_names(
    service: Serve, batch: Open, desk: Any
) -> None:
    night = batch(await service(), rows(desk))
    await night.run()
    for _ in range(2):
        exported = night.export(desk.folder / "final", name="+{id}")
    assert exported.there == len(FORMULAS)
    with (desk.folder / "final" / "results.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert {row["outputs"][:2] for row in csv.DictReader(stream)} == {"'+"}


async def test_a_lone_manifest_keeps_its_quotes(service: Serve, batch: Open, desk: Any) -> None:
    # Only tables of results have quotes of ours.
    provider = await service()
    await batch(provider, [{**row, "prompt": "'=' on a wall"} for row in desk.rows(1)]).run()
    assert [made.input["prompt"] for made in provider.predictions()] == ["'=' on a wall"]


async def test_the_command_says_once_that_cells_were_quoted_and_gives_programs_all_as_it_is(
    service: Serve, batch: Open, desk: Any, batchfill: Any
) -> None:
    await batch(await service(), rows(desk)).run()
    quoted, raw = await batchfill("results", "night.csv"), await batchfill("results", "night.csv", "--raw")
    lines = await batchfill("results", "night.csv", "--format", "jsonl")
    assert "'=1+1" in quoted.out
    assert quoted.err.count("--raw") == quoted.err.count("\n") == 1
    assert [row["prompt"] for row in csv.DictReader(raw.out.splitlines())] == FORMULAS
    assert (raw.err, lines.err, lines.out.count('"\'=1+1"')) == ("", "", 0)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_on_a_terminal_results_cannot_command_it_and_in_a_pipe_they_are_bytes(
    service: Serve, batch: Open, desk: Any, batchfill: Any, terminal: Any, kind: str
) -> None:
    noted = [{**row, "x_note": "猫"} for row in desk.rows(1)]
    noted[0].pop("prompt")
    # In YAML, since a CSV that holds such characters is refused.
    head = {"defaults": '{prompt: "a \\x1b[31mcat\\u009b0m \\u202egnp"}'}
    await batch(await service(), noted, head=head).run()
    piped = await batchfill("results", "night.yaml", "--format", kind)
    assert kind == "jsonl" or "\x1b[31mcat\x9b0m \u202egnp" in piped.out
    running = await batchfill.start("results", "night.yaml", "--format", kind, **terminal.options())
    await running.ended()
    await terminal.shows("猫")
    shown = terminal.text()
    assert not set(shown) & set("\x1b\x9b\u202e\x7f")
    assert kind == "jsonl" or "a \\x1b[31mcat\\x9b0m \\u202egnp" in shown


def test_pairs_name_files_so_that_no_cell_is_a_formula(tmp_path: Any) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in ("=a.png", "-b.png", "@c.png", "d.png"):
            (tmp_path / folder / name).write_bytes(b"")
    table = tmp_path / "images" / "night.csv"
    pair_folders(tmp_path / "images", tmp_path / "masks", table)
    with table.open(encoding="utf-8-sig", newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert {row["image"] for row in cells} == {"./=a.png", "./-b.png", "./@c.png", "d.png"}
    assert all((table.parent / row["image"]).is_file() for row in cells)
    assert not any(cell[:1] in ("=", "+", "-", "@") for row in cells for cell in row.values() if cell)
