"""A Python program and a notebook do what the command line does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import batchfill
from batchfill import Batch, fill
from batchfill.errors import UsageError
from batchfill.notebook.batch_view import PICTURES, summary_html
from batchfill.tools import SAMPLES
from tests.support.bounds import HANGS
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

ALARM = "<script>alert('night')</script>"


def test_only_public_names_are_listed() -> None:
    assert dir(batchfill) == ["Batch", "BatchfillError", "__version__", "fill"]
    assert all(getattr(batchfill, name) is not None for name in dir(batchfill))


async def test_fill_in_a_running_loop_says_await(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"await Batch.open\('night.csv', …\).run\(\) instead") as caught:
        fill("night.csv", notify="https://ntfy.test/secret")
    assert "secret" not in str(caught.value)


def made_batch(desk: Desk, provider: EmulatorServer, rows: Any, **flags: Any) -> Batch:
    flags = {"base_url": provider.base, "rate": 60_000, "price": "0.04", **flags}
    return Batch.create(desk.folder / "night", rows, environ={"BATCHFILL_TOKEN": TOKEN}, **flags)


@pytest.mark.usefixtures("hurry")
async def test_rows_of_a_program_are_a_batch_that_goes_on_under_the_name_of_its_manifest(
    desk: Desk, service: Callable[..., Awaitable[EmulatorServer]]
) -> None:
    import pandas as pd

    provider = await service()
    frame = pd.DataFrame(desk.rows(3)).assign(seed=[7, None, 9], x_client="acme")
    first = await made_batch(desk, provider, frame, limit=1).run()
    assert (first.exit_code, first.submitted_now) == (3, 1)

    environ = {"BATCHFILL_TOKEN": TOKEN}
    again = Batch.open(desk.folder / "night.jsonl", environ=environ, price="0.04")
    assert (await again.run()).submitted_now == 2
    assert again.folder == desk.folder / "night.batch"

    records = list(again.records())
    assert [(record["id"], record["cost"], record["x_client"]) for record in records] == [
        (f"r{n}", 0.04, "acme") for n in (1, 2, 3)
    ]
    results = again.to_dataframe()
    assert results.set_index("id").loc[["r1", "r3"], "seed"].to_list() == [7, 9]
    assert results["cost"].sum() == pytest.approx(0.12)
    # The same rows, written once more, change nothing and cost nothing.
    assert (await made_batch(desk, provider, frame).run()).submitted_now == 0


@pytest.mark.usefixtures("hurry")
async def test_a_notebook_shows_texts_escaped_pictures_and_no_token(
    desk: Desk, service: Callable[..., Awaitable[EmulatorServer]]
) -> None:
    provider = await service()
    rows = desk.rows(PICTURES + 2, prompt=ALARM)
    batch = made_batch(desk, provider, rows)
    assert "night.batch: no ledger here yet" in batch._repr_html_()
    summary = await batch.run()

    for html in (batch._repr_html_(), summary_html(summary)):
        assert html.count("data:image/webp;base64,") == PICTURES
        assert "<figcaption>r1" in html
        assert ALARM not in html
        assert "&lt;script&gt;" in html
        assert TOKEN not in html
    assert TOKEN not in repr(batch) + str(vars(type(batch)))

    # Without the copies that the run has kept they are made of the pictures, where those are there.
    for copy in (batch.folder / "thumbs").glob("*"):
        copy.unlink()
    next((batch.folder / "outputs").glob("r1.*")).unlink()
    html = batch._repr_html_()
    assert "<figcaption>r1<" not in html
    assert html.count("data:image/webp;base64,") == PICTURES


CELLS = (
    f"""
import pandas as pd, batchfill
folder = {str(next(path for path in SAMPLES if path.is_dir()))!r}
photograph = folder + "/photographs/cat.png"
rows = pd.DataFrame({{"id": ["one", "two"], "image": photograph, "mask": folder + "/masks/cat-nose.png",
                     "prompt": {ALARM!r}, "seed": [7, None]}})
batch = batchfill.Batch.create("night", rows, local=True, allow_outside=True)
""",
    """
try:
    batchfill.fill("night.jsonl", local=True)
except batchfill.BatchfillError as error:
    print(error)
""",
    "summary = await batch.run()",
    "summary",
    "batch",
    "print(batch.to_dataframe()[['id', 'state', 'cost']].to_csv(index=False))",
    "summary = await batch.cancel(); summary",
    "report = await batch.finish(); report",
)


def code_cell(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}


def test_a_notebook_runs_a_dataframe_and_shows_what_became_of_it(tmp_path: Path) -> None:
    import nbclient
    import nbformat

    book = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [code_cell(text) for text in CELLS]}
    )
    nbclient.NotebookClient(book, timeout=HANGS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    made, refused, ran, *shown = (cell.outputs for cell in book.cells)
    assert made == []
    assert "await Batch.open('night.jsonl', …).run() instead" in refused[0].text
    bar = ran[0].data["text/html"]
    assert "100 %: 2 of 2 rows done" in bar
    assert "$0.08 if it were real" in bar
    for (output,) in shown[:2]:
        html = output.data["text/html"]
        assert html.count('<img src="data:image/webp;base64,') == 2
        assert ALARM not in html
    assert shown[2][0].text.split() == ["id,state,cost", "one,done,0.04", "two,done,0.04"]
    bar, ended = shown[3]
    assert "100 %: 2 of 2 rows done" in bar.data["text/html"]
    assert ended.data["text/html"].count('<img src="data:image/webp;base64,') == 2
    bar, ended = shown[4]
    assert "2 of 2 rows looked at" in bar.data["text/html"]
    assert "finished just so before: 2 rows" in ended.data["text/html"]
