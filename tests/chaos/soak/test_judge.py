"""The judge of a soak sees what it is there to see."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.judge import judge, leaks
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


@pytest.fixture
async def done_folder(service: Serve, batch: Open, desk: Any, tmp_path: Path) -> Path:
    """Return the folder of a batch of three rows that is done; the provider's is beside the desk's."""
    provider = await service()
    assert (await batch(provider, 3).run()).exit_code == 0
    return tmp_path


def judged(folder: Path) -> Any:
    return judge(folder, folder / "desk" / "night.batch", TOKEN)


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "desk" / "night.batch" / "ledger.sqlite")) as db:
        db.execute(statement)
        db.commit()


async def test_a_batch_that_kept_every_promise_is_found_good(done_folder: Path) -> None:
    verdict = judged(done_folder)
    assert (verdict.rows, verdict.done, verdict.billed, verdict.broken) == (3, 3, 3, ())


async def test_a_picture_that_is_gone_cut_or_replaced_is_a_lost_one(done_folder: Path) -> None:
    first, second, third = sorted((done_folder / "desk" / "night.batch" / "outputs").iterdir())
    content = second.read_bytes()
    first.unlink()
    second.write_bytes(content[:-8])
    third.write_bytes(content + b"\0")
    assert sorted(text.partition("(")[2] for text in judged(done_folder).lost) == [
        "row r1, done: None)",
        "row r2, done: None)",
        "row r3, done: None)",
    ]


async def test_a_prediction_that_no_row_knows_is_a_lost_one(done_folder: Path) -> None:
    change(done_folder, "UPDATE attempts SET seed = seed + 1, prediction_id = NULL WHERE number = 2")
    change(
        done_folder,
        "DELETE FROM outputs WHERE prediction_id NOT IN (SELECT coalesce(prediction_id, '') FROM attempts)",
    )
    (lost,) = judged(done_folder).lost
    assert lost.endswith("was paid for and is lost (no row)")


async def test_a_row_that_is_paid_for_again_is_paid_twice(
    done_folder: Path, service: Serve, batch: Open
) -> None:
    shutil.rmtree(done_folder / "desk" / "night.batch")
    await batch(await service(), 1).run()
    (twice,) = judged(done_folder).paid_twice
    assert twice.startswith("one row was paid for 2 times")


async def test_what_is_held_in_doubt_is_not_lost(service: Serve, batch: Open, tmp_path: Path) -> None:
    provider = await service(faults=Faults([Fault("create", "reset_after"), Fault("list", "missing")]))
    await batch(provider, 1, answer_timeout=1, recover_wait=0).run()
    verdict = judged(tmp_path)
    assert (verdict.billed, verdict.in_doubt, verdict.broken) == (1, 1, ())


async def test_counts_that_drifted_and_files_that_belong_to_nothing_are_unsound(done_folder: Path) -> None:
    change(done_folder, "UPDATE tally SET rows = rows + 1")
    (done_folder / "desk" / "night.batch" / "tmp" / "left.part").touch()
    drifted, left = judged(done_folder).unsound
    assert "done" in drifted
    assert left.endswith("left.part belongs to nothing")


@pytest.mark.parametrize(
    "form",
    ["Bearer r8_for_tests_only", "QmVhcmVyIHI4X2Zvcl90ZXN0c19vbmx5", "eyJyOF9mb3JfdGVzdHNfb25seSI6MX0="],
)
def test_a_token_is_found_as_it_is_and_in_base64(tmp_path: Path, form: str) -> None:
    (tmp_path / "run.log").write_text(f"{form}\n")
    assert list(leaks(tmp_path, TOKEN)) == [f"{tmp_path / 'run.log'} holds the token"]
    assert list(leaks(tmp_path, "r8_of_somebody_else")) == []
