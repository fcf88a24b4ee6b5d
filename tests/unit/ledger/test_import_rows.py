from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill import filenames
from batchfill.domain.rows import LocalFile, Outcome, RowState, Stamp
from batchfill.errors import LedgerFailed
from batchfill.ledger.import_rows import Duplicate, open_scratch
from batchfill.ledger.ledger import open_ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt, Row
    from batchfill.ledger.import_rows import Comparison
    from batchfill.ledger.ledger import Ledger


Ask = Any


@pytest.fixture
def finish(
    ledger: Ledger, accept: Callable[..., Awaitable[Attempt]], prediction: Callable[..., Prediction]
) -> Callable[[str], Awaitable[Attempt]]:
    """Bring the row with this id to done."""

    async def finish(id_: str) -> Attempt:
        attempt = await accept(id_)
        assert attempt.prediction_id is not None
        await ledger.record_succeeded(attempt, prediction(attempt.prediction_id))
        (output,) = await ledger.outputs_of(attempt.prediction_id)
        placed = replace(output, file=f"outputs/{id_}.webp", size=10, sha256="ab" * 32)
        await ledger.record_collected(attempt, [(placed, 64, 48)], None)
        return attempt

    return finish


async def duplicates(ledger: Ledger, *rows: Row) -> tuple[list[Duplicate], int]:
    """Return the duplicates among *rows*, and how many rows stay when they are left out."""
    async with ledger.open_import() as intake:
        await intake.add_rows([replace(row, position=n, line=n + 2) for n, row in enumerate(rows)])
        await intake.identify_rows()
        found = await intake.find_duplicates(10)
        await intake.drop_duplicates()
        comparison = await intake.compare_rows()
    return found, sum(group.rows for group in comparison.groups.values())


async def test_a_key_is_fingerprint_and_nth_equal_row(
    take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], ask: Ask
) -> None:
    equal = row(None, asks="a spaceship").fingerprint
    other = row(None, asks="a cat").fingerprint
    await take_in(*(row(None, asks=asks) for asks in ("a spaceship", "a cat", "a spaceship", "a spaceship")))
    assert ask("SELECT key FROM rows ORDER BY position") == [
        (filenames.key_of(equal, 1),),
        (filenames.key_of(other, 1),),
        (filenames.key_of(equal, 2),),
        (filenames.key_of(equal, 3),),
    ]


async def test_a_row_without_an_id_is_called_by_its_picture_and_key(
    take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], ask: Ask
) -> None:
    await take_in(row(None, asks="a", stem="hero"), row(None, asks="a", stem="hero"), row("mine"))
    ((first, key), (second, other), (given, _)) = ask("SELECT id, key FROM rows ORDER BY position")
    assert (first, second, given) == (f"hero-{key[:8]}", f"hero-{other[:8]}", "mine")
    assert first != second


async def test_everything_of_a_row_is_kept(
    ledger: Ledger, take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], tmp_path: Path
) -> None:
    inputs = {"image": "images/猫.png", "mask": "https://x.example/m.png", "prompt": "a\n猫", "guidance": 2.5}
    file = LocalFile(tmp_path / "猫.png", Stamp(10, 1_700_000_000_123_456_789, 17, 2**64 - 1), "cd" * 32)
    await take_in(row("a", inputs=inputs, files={"image": file}, outputs_asked=4, price=None))
    (due,) = await ledger.due_rows(10)
    assert (due.inputs, due.files, due.outputs_asked) == (inputs, {"image": file}, 4)
    assert (due.id, due.line, due.price, due.tries) == ("a", 2, None, 0)


async def test_an_id_used_twice_is_told_with_both_lines(ledger: Ledger, row: Callable[..., Row]) -> None:
    rows = [row("a", asks="1"), row("b", asks="2"), row("a", asks="3"), row("a", asks="4")]
    found, left = await duplicates(ledger, *rows)
    assert found == [Duplicate(4, "a", 2, "a"), Duplicate(5, "a", 2, "a")]
    assert left == 2


@pytest.mark.parametrize(
    ("first", "second"), [("Hero", "hERO"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")]
)
async def test_ids_that_a_file_system_would_mix_up_are_duplicates(
    ledger: Ledger, row: Callable[..., Row], first: str, second: str
) -> None:
    found, left = await duplicates(ledger, row(first, asks="1"), row(second, asks="2"))
    assert found == [Duplicate(3, second, 2, first)]
    assert left == 1


async def test_a_made_id_gives_way_to_an_earlier_one(
    take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], ask: Ask
) -> None:
    key = filenames.key_of(row(None, asks="1").fingerprint, 1)
    taken = filenames.made_id("hero", key).upper()
    await take_in(row(taken, asks="2"), row(None, asks="1"))
    assert ask("SELECT id FROM results") == [(taken,), (f"hero-{key[:16]}",)]


async def test_a_given_id_that_a_made_one_has_is_a_duplicate(ledger: Ledger, row: Callable[..., Row]) -> None:
    made = filenames.made_id("hero", filenames.key_of(row(None, asks="1").fingerprint, 1))
    found, _ = await duplicates(ledger, row(None, asks="1"), row(made.upper(), asks="2"))
    assert found == [Duplicate(3, made.upper(), 2, made)]


async def test_a_thousand_equal_rows_are_no_duplicates(ledger: Ledger, row: Callable[..., Row]) -> None:
    found, left = await duplicates(ledger, *(row(None, asks="same") for _ in range(1000)))
    assert (found, left) == ([], 1000)


async def test_equal_rows_with_ids_of_their_own_keep_them(
    take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], ask: Ask
) -> None:
    equal = row("a", asks="same").fingerprint
    await take_in(row("a", asks="same"), row("b", asks="same"), row(None, asks="same"))
    third = filenames.key_of(equal, 3)
    assert ask("SELECT id, key FROM rows ORDER BY position") == [
        ("a", filenames.key_of(equal, 1)),
        ("b", filenames.key_of(equal, 2)),
        (f"hero-{third[:8]}", third),
    ]


async def test_until_the_merge_an_import_leaves_the_ledger_and_its_lock_alone(
    ledger: Ledger, take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], ask: Ask, path: Path
) -> None:
    await take_in(row("a"))
    log = path.with_name(path.name + "-wal")
    before = log.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await duplicates(ledger, row("b", asks="1"), row("b", asks="2")) == (
            [Duplicate(3, "b", 2, "b")],
            1,
        )
    assert log.read_bytes() == before


async def test_an_import_that_is_not_merged_changes_nothing(
    ledger: Ledger, take_in: Callable[..., Awaitable[Any]], row: Callable[..., Row], ask: Ask
) -> None:
    await take_in(row("a"))
    before = ask("SELECT * FROM rows")
    await duplicates(ledger, row("b"), row("c"))
    assert ask("SELECT * FROM rows") == before
    assert ledger.counts[RowState.PENDING] == 1


async def test_an_import_that_is_merged_twice_changes_nothing_more(
    take_in: Callable[..., Awaitable[Comparison]], row: Callable[..., Row], clock: Any, ask: Ask
) -> None:
    rows = [row("a"), row("b"), row(None, asks="same"), row(None, asks="same")]
    await take_in(*rows)
    before = ask("SELECT * FROM rows ORDER BY key"), ask("SELECT * FROM tally")
    clock.time += 60
    await take_in(*rows)
    assert (ask("SELECT * FROM rows ORDER BY key"), ask("SELECT * FROM tally")) == before


async def test_a_row_that_moved_is_the_same_row(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
    ask: Ask,
) -> None:
    await take_in(row("a"), row("b"), row("c"))
    await finish("c")
    comparison = await take_in(row("c"), row("b"), row("a"))
    assert comparison.groups[RowState.DONE].rows == 1
    assert comparison.changed == 0
    assert ask("SELECT id, line, state FROM results") == [
        ("c", 2, "done"),
        ("b", 3, "pending"),
        ("a", 4, "pending"),
    ]


async def test_a_row_gone_from_the_manifest_is_kept_but_never_due(
    ledger: Ledger, take_in: Callable[..., Awaitable[Comparison]], row: Callable[..., Row], ask: Ask
) -> None:
    await take_in(row("a"), row("b"))
    await take_in(row("b"))
    assert [due.id for due in await ledger.due_rows(10)] == ["b"]
    assert ask("SELECT id FROM results") == [("b",)]
    assert ledger.counts[RowState.PENDING] == 1
    assert ledger.gone == {RowState.PENDING: 1}


async def test_a_row_gone_while_it_waits_for_its_retry_is_not_waited_for(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    accept: Callable[..., Awaitable[Attempt]],
    clock: Any,
) -> None:
    await take_in(row("a"))
    attempt = await accept("a")
    retry_at = clock() + 60
    await ledger.record_failed(attempt, "failed", "E", outcome=Outcome.FAILED, retry_at=retry_at)
    assert await ledger.next_due_at(clock()) == retry_at
    await take_in(row("b"))
    assert await ledger.next_due_at(clock()) is None


async def test_what_runs_of_a_row_gone_is_still_followed(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    accept: Callable[..., Awaitable[Attempt]],
) -> None:
    await take_in(row("a"))
    attempt = await accept("a")
    await take_in(row("b"))
    (followed,) = await ledger.open_attempts(RowState.RUNNING)
    assert (followed.number, followed.prediction_id) == (attempt.number, attempt.prediction_id)
    assert ledger.gone == {RowState.RUNNING: 1}


async def test_a_row_that_returns_is_as_it_was(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
) -> None:
    await take_in(row("a"), row("b"))
    await finish("a")
    await take_in(row("b"))
    assert ledger.gone == {RowState.DONE: 1}
    comparison = await take_in(row("a"), row("b"))
    assert comparison.groups[RowState.DONE].rows == 1
    assert ledger.gone == {}
    assert ledger.counts[RowState.DONE] == 1
    assert [due.id for due in await ledger.due_rows(10)] == ["b"]


async def test_a_finished_row_that_was_changed_runs_again_and_is_told_with_its_price(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
) -> None:
    await take_in(row("a"), row("b"), row("c"))
    await finish("a")
    await finish("b")
    comparison = await take_in(row("a", asks="a cat"), row("b"), row("c", asks="a dog"), row("d"))
    assert (comparison.changed, comparison.price_changed) == (1, 40_000)
    pending = comparison.groups[RowState.PENDING]
    assert (pending.rows, pending.outputs, pending.price) == (3, 3, 120_000)
    assert {due.id for due in await ledger.due_rows(10)} == {"a", "c", "d"}


async def test_a_finished_row_without_an_id_that_was_changed_is_known_by_its_picture_and_mask(
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
    ask: Ask,
) -> None:
    await take_in(row(None, asks="a spaceship"))
    ((made,),) = ask("SELECT id FROM rows")
    await finish(made)
    comparison = await take_in(row(None, asks="a cat"))
    assert comparison.changed == 1


async def test_a_finished_row_beside_a_new_one_of_the_same_picture_is_not_changed(
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
) -> None:
    await take_in(row("a"))
    await finish("a")
    comparison = await take_in(row("a"), row("b"))
    assert (comparison.changed, comparison.price_changed) == (0, 0)


async def test_a_renamed_id_keeps_its_row_and_its_files_are_due_to_be_renamed(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
) -> None:
    await take_in(row("a", asks="a cat"), row("b", asks="a dog"))
    attempt = await finish("a")
    comparison = await take_in(row("cat", asks="a cat"), row("b", asks="a dog"))
    assert comparison.changed == 0
    assert [due.id for due in await ledger.due_rows(10)] == ["b"]
    (misnamed,) = await ledger.misnamed_attempts()
    assert (misnamed.number, misnamed.id) == (attempt.number, "cat")
    await ledger.record_renamed(misnamed)
    assert await ledger.misnamed_attempts() == []


async def test_paths_prices_and_carried_columns_of_a_known_row_follow_the_manifest(
    ledger: Ledger, take_in: Callable[..., Awaitable[Comparison]], row: Callable[..., Row], ask: Ask
) -> None:
    await take_in(row("a"))
    moved = {"image": "moved/hero.png", "mask": "moved/mask.png", "prompt": "a spaceship"}
    await take_in(row("a", inputs=moved, extra={"x_for": "menu"}, price=50_000))
    assert ask("SELECT image, mask, extra FROM results") == [
        ("moved/hero.png", "moved/mask.png", '{"x_for":"menu"}')
    ]
    (due,) = await ledger.due_rows(10)
    assert (due.inputs, due.price) == (moved, 50_000)
    assert ledger.cost.to_go == 50_000


async def test_an_edit_of_a_row_in_flight_changes_nothing_of_what_was_asked(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    accept: Callable[..., Awaitable[Attempt]],
) -> None:
    await take_in(row("a"))
    await accept("a")
    comparison = await take_in(row("a", asks="a cat"))
    assert comparison.changed == 1
    assert ledger.gone == {RowState.RUNNING: 1}
    assert ledger.counts[RowState.PENDING] == 1
    assert ledger.cost.reserved == 40_000


async def test_a_price_that_is_not_known_makes_the_sums_unknown(
    ledger: Ledger, take_in: Callable[..., Awaitable[Comparison]], row: Callable[..., Row]
) -> None:
    comparison = await take_in(row("a"), row("b", price=None))
    assert comparison.groups[RowState.PENDING].price is None
    assert comparison.price_changed is None
    assert ledger.cost.to_go is None
    await take_in(row("a"))
    assert ledger.cost.to_go == 40_000


# Again


async def test_what_stands_is_what_the_same_import_would_mean(
    ledger: Ledger,
    take_in: Callable[..., Awaitable[Comparison]],
    row: Callable[..., Row],
    finish: Callable[[str], Awaitable[Attempt]],
    accept: Callable[..., Awaitable[Attempt]],
) -> None:
    rows = [row(id_, price=40_000 * n, outputs_asked=n) for n, id_ in enumerate("abcde", 1)]
    await take_in(*rows, row("gone", price=7))
    await finish("a")
    await accept("b")
    await ledger.record_failed(await accept("c"), "failed", "no", outcome=Outcome.FAILED, retry_at=None)
    await finish("gone")
    again = await take_in(*rows)
    assert again == await take_in(*rows)
    assert await ledger.summarize(RowState) == again
    assert {state for state, group in again.groups.items() if group.rows} == {
        RowState.DONE,
        RowState.RUNNING,
        RowState.FAILED,
        RowState.PENDING,
    }


async def test_what_stands_has_no_price_where_an_import_would_have_none(
    ledger: Ledger, take_in: Callable[..., Awaitable[Comparison]], row: Callable[..., Row]
) -> None:
    rows = [row("a"), row("b", price=None)]
    await take_in(*rows)
    assert await ledger.summarize(RowState) == await take_in(*rows)


async def test_a_row_asks_for_as_many_pictures_as_its_model_says_now(
    ledger: Ledger, take_in: Callable[..., Awaitable[Comparison]], row: Callable[..., Row]
) -> None:
    await take_in(row("a", outputs_asked=2))
    await take_in(row("a", outputs_asked=1))
    (due,) = await ledger.due_rows(10)
    assert due.outputs_asked == 1


async def test_what_rows_rest_on_is_remembered_with_them_and_forgotten_with_them(
    ledger: Ledger, row: Callable[..., Row], clock: Any, ask: Ask
) -> None:
    for basis in ("ab" * 32, "cd" * 32, None):
        async with ledger.open_import() as intake:
            await intake.add_rows([row("a")])
            await intake.identify_rows()
            await intake.merge_rows(clock(), basis=basis)
        await ledger.load()
        assert ledger.metadata.get("basis") == basis


IMPORT = """
import resource, sys
import anyio
from pathlib import Path
from batchfill.ledger.ledger import open_ledger
from batchfill.domain.rows import Row, RowState

def chunk(start, n):
    return [
        Row(
            position=i, line=i + 2, id=None if i % 2 else f"row-{i}", stem="hero",
            inputs={"image": f"images/{i}.png", "mask": "mask.png", "prompt": "a spaceship " * 20},
            files={}, extra={"x_for": "menu"}, fingerprint=f"{i // 3:064x}", outputs_asked=1, price=40_000,
        )
        for i in range(start, start + n)
    ]

async def main(path, rows):
    async with open_ledger(path, lambda: 0.0) as ledger, ledger.open_import() as intake:
        for start in range(0, rows, 500):
            await intake.add_rows(chunk(start, 500))
        await intake.identify_rows()
        assert await intake.find_duplicates(1000) == []
        await intake.drop_duplicates()
        comparison = await intake.compare_rows()
        assert comparison.groups[RowState.PENDING].rows == rows
        await intake.merge_rows(0.0)
        assert len(await ledger.due_rows(10)) == 10

anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is counted in other units")
def test_memory_does_not_grow_with_the_manifest(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        run = [sys.executable, "-c", IMPORT, str(tmp_path / f"{rows}.sqlite"), str(rows)]
        return int(subprocess.run(run, capture_output=True, text=True, check=True, timeout=120).stdout)

    few, many = peak(2_000), peak(20_000)
    # 20,000 of these rows are 12 MB on disk; what is allowed is SQLite's page caches filling up.
    assert many - few < 8_000, f"{few} kB for 2,000 rows, {many} kB for 20,000"


SIDE_FILES = ("-wal", "-shm")
"""SQLite's own, next to every ledger that was looked into."""


async def tried(path: Path, rows: Sequence[Row]) -> tuple[Comparison, int]:
    """Return what an import would mean, and how many duplicates it has."""
    async with open_scratch(path) as intake:
        await intake.add_rows([replace(row, position=n, line=n + 2) for n, row in enumerate(rows)])
        await intake.identify_rows()
        found = await intake.find_duplicates(10)
        await intake.drop_duplicates()
        return await intake.compare_rows(), len(found)


async def test_without_a_ledger_nothing_is_made(path: Path, row: Callable[..., Row]) -> None:
    comparison, doubles = await tried(path, [row("a"), row("b"), row("A", asks="other")])
    assert comparison.groups[RowState.PENDING].rows == 2
    assert comparison.groups[RowState.PENDING].price == 80_000
    assert doubles == 1
    assert list(path.parent.iterdir()) == []


async def test_beside_a_ledger_the_answer_is_a_runs_and_nothing_changes(
    ledger: Ledger, path: Path, row: Callable[..., Row], take_in: Any, accept: Any, ask: Any
) -> None:
    await take_in(row("a"), row("b"), row("c"))
    await accept("a")
    before = ask("SELECT * FROM rows"), ask("SELECT * FROM tally"), ask("SELECT * FROM facts")
    rows = [row("a", asks="other"), row("b"), row("d")]
    comparison, _ = await tried(path, rows)
    assert (ask("SELECT * FROM rows"), ask("SELECT * FROM tally"), ask("SELECT * FROM facts")) == before
    assert comparison.groups[RowState.PENDING].rows == 3
    assert comparison.changed == 1
    assert comparison == await take_in(*rows)


async def test_an_import_that_is_only_tried_cannot_be_merged(
    ledger: Ledger, path: Path, row: Callable[..., Row], take_in: Any, ask: Any
) -> None:
    await take_in(row("a"))
    async with open_scratch(path) as intake:
        await intake.add_rows([row("b")])
        await intake.identify_rows()
        with pytest.raises(LedgerFailed, match="readonly"):
            await intake.merge_rows(0.0)
    assert ask("SELECT id FROM results") == [("a",)]


async def test_a_ledger_that_nobody_writes_stays_as_it_is_byte_by_byte(
    tmp_path: Path, row: Callable[..., Row], clock: Any
) -> None:
    path = tmp_path / "idle.sqlite"
    async with open_ledger(path, clock) as ledger, ledger.open_import() as intake:
        await intake.add_rows([row("a")])
        await intake.identify_rows()
        await intake.merge_rows(0.0)
    before = path.read_bytes()
    comparison, _ = await tried(path, [row("a"), row("b")])
    assert comparison.groups[RowState.PENDING].rows == 2
    assert path.read_bytes() == before
    left = {one.name.removeprefix(path.name): one.stat().st_size for one in tmp_path.iterdir()}
    assert left.keys() <= {"", *SIDE_FILES}
    assert left.get("-wal", 0) == 0
