"""Quotes behind a space in a CSV, and batches that were begun when they were text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from batchfill.session.literal_quotes import FACT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


def write_spaced(desk: Any, count: int) -> None:
    """Write a CSV as people type it, with a space behind each comma."""
    rows = [
        f'{row["id"]}, {row["image"]}, {row["mask"]}, "cat {n}"' for n, row in enumerate(desk.rows(count), 1)
    ]
    (desk.folder / "night.csv").write_text("\n".join(["id, image, mask, prompt", *rows, ""]), "utf-8")


def prompts(provider: EmulatorServer) -> set[str]:
    return {str(prediction.input["prompt"]) for prediction in provider.predictions()}


async def test_quotes_behind_a_space_are_read_alike_at_every_start(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, 1)
    write_spaced(desk, 2)
    for _ in range(2):
        assert (await night.run()).exit_code == 0
    assert prompts(provider) == {"cat 1", "cat 2"}
    assert provider.billed == 2


async def test_a_batch_begun_when_they_were_text_pays_for_no_row_once_more(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    rows = [{**row, "prompt": f' "cat {n}"'} for n, row in enumerate(desk.rows(2), 1)]
    night = batch(provider, rows)
    assert (await night.run()).exit_code == 0
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        # As an older batchfill left it.
        assert db.execute("DELETE FROM facts WHERE name = ?", (FACT,)).rowcount == 1
    write_spaced(desk, 3)

    assert (await night.check()).outputs_to_go == 1
    for _ in range(2):
        assert (await night.run()).exit_code == 0
    assert prompts(provider) == {' "cat 1"', ' "cat 2"', ' "cat 3"'}
    assert provider.billed == 3
