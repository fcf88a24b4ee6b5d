from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.journal import NAME, Bill, Charge, Journal, PredictionRecord, read_bill, read_records

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import Any

    from batchfill.emulator.emulator_server import EmulatorServer

    Connect = Callable[[EmulatorServer], Any]
    Start = Callable[..., Awaitable[EmulatorServer]]


def charge(row: str, status: str = "succeeded", *, started: bool = True) -> Charge:
    return Charge(f"{row}-{status}", "a/b", row, None, status, 0, started)


@pytest.mark.parametrize(
    ("status", "started", "paid"),
    [
        ("succeeded", True, True),
        ("canceled", True, True),
        ("canceled", False, False),
        ("failed", True, False),
        ("aborted", False, False),
        ("processing", True, True),
        ("starting", False, True),
    ],
)
def test_what_costs(status: str, started: bool, paid: bool) -> None:
    assert charge("r", status, started=started).paid is paid


def test_attempts_stand_by_their_row_in_order() -> None:
    charges = (charge("r1", "failed"), charge("r2"), charge("r1"))
    bill = Bill(charges)
    assert bill.by_row() == {"r1": (charges[0], charges[2]), "r2": (charges[1],)}
    assert (bill.billed, bill.paid) == (3, charges[1:])


def test_paid_twice_is_who_costs_twice() -> None:
    bill = Bill(
        (charge("r1", "failed"), charge("r1"), charge("r2"), charge("r3"), charge("r2", "processing"))
    )
    assert bill.paid_twice() == bill.made_twice() == {"r2": (charge("r2"), charge("r2", "processing"))}
    assert str(bill) == "the bill: rows 3, attempts 5, paid 4, paid twice 1 (0 after a cancel)"


def test_what_is_tried_again_after_a_cancel_is_paid_twice_and_made_once() -> None:
    bill = Bill(
        (charge("r1", "canceled"), charge("r1"), charge("r2", "canceled", started=False), charge("r2"))
    )
    assert (list(bill.paid_twice()), bill.made_twice()) == (["r1"], {})
    assert str(bill) == "the bill: rows 2, attempts 4, paid 3, paid twice 1 (1 after a cancel)"


async def test_a_bill_forgets_nothing_when_the_data_is_removed(
    start: Start, connect: Connect, inputs: Mapping[str, Any], tmp_path: Path
) -> None:
    provider = await start(tiny=True)
    made = await connect(provider).made({**inputs, "num_outputs": 2})
    before = provider.bill
    provider.expire(made["id"])
    assert provider.bill == before == read_bill(tmp_path / "provider")
    assert [(line.seed, line.outputs, line.paid) for line in before] == [(7, 2, True)]


async def test_a_prediction_taken_twice_shows_on_the_bill(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    failing = Fault("create", "fail", at=frozenset({1}))
    provider = await start(tiny=True, faults=Faults([failing]))
    client = connect(provider)
    for seed in (1, 2):
        await client.made({**inputs, "seed": seed})
    assert not Bill(tuple(provider.bill)).paid_twice()
    await client.made({**inputs, "seed": 3})
    (twice,) = Bill(tuple(provider.bill)).paid_twice().values()
    assert [line.seed for line in twice] == [2, 3]


def record(id_: str) -> PredictionRecord:
    return PredictionRecord(id=id_, model="a/b", input={"seed": 1}, contents={}, digest="", created_at=1.5)


def test_what_was_written_is_read_again_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for id_ in ("b", "a"):
        journal.add(record(id_))
    changed = journal.change(record("b"), status="succeeded", outputs=["out-0.webp"])
    assert read_records(tmp_path) == [changed, record("a")], "flushed, though not closed"
    journal.close()


def test_a_line_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(record("a"))
    journal.close()
    with (tmp_path / NAME).open("a") as file:
        file.write('{"id": "b", "mod')
    assert read_records(tmp_path) == [record("a")]
    journal = Journal(tmp_path)
    journal.add(record("c"))
    journal.close()
    assert read_records(tmp_path) == [record("a"), record("c")]


def test_an_empty_folder_has_no_predictions(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none") == []
