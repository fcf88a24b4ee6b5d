from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.objects import ObjectFile
from batchfill.domain.reports import Cost, Doubt, Result, ReviewFile
from batchfill.domain.review import Decision, DecisionFile, ReviewDecision
from batchfill.domain.rows import LocalFile, NamedFile, Outcome, RowState, Stamp
from batchfill.errors import LedgerError
from batchfill.ledger.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.rows import Row
    from batchfill.ledger.ledger import Ledger

Import = Any


async def test_results_are_the_rows_of_the_manifest_in_its_order(
    ledger: Ledger,
    path: Path,
    take_in: Import,
    row: Callable[..., Row],
    accept: Any,
    prediction: Any,
) -> None:
    manifest = [row("b", extra={"x_for": "menu"}), row("gone"), row("a", price=None)]
    await take_in(*manifest)
    attempt = await accept("b", "p1")
    await ledger.record_succeeded(attempt, prediction("p1"))
    (output,) = await ledger.outputs_of("p1")
    placed = replace(output, file="outputs/b.webp", size=10, sha256="ab" * 32)
    await ledger.record_collected(attempt, [(placed, 64, 48)], "3 of 4 pictures")
    await take_in(manifest[2], manifest[0])
    pictures: dict[str, Any] = {
        "image": "images/hero.png",
        "mask": "masks/hero.png",
        "prompt": "a spaceship",
    }
    with open_reader(path) as reader:
        assert list(reader.results()) == [
            Result(
                **pictures,
                id="a",
                line=2,
                state=RowState.PENDING,
                outputs=(),
                seed=None,
                prediction_id=None,
                attempts=0,
                cost=0,
                error=None,
                flags=(),
                decision=None,
                chosen=None,
                finished_as=(),
                changed_inputs={},
                extra={},
            ),
            Result(
                **pictures,
                id="b",
                line=3,
                state=RowState.DONE,
                outputs=("outputs/b.webp",),
                seed=1,
                prediction_id="p1",
                attempts=1,
                cost=40_000,
                error="3 of 4 pictures",
                flags=(),
                decision=None,
                chosen=None,
                finished_as=(),
                changed_inputs={},
                extra={"x_for": "menu"},
            ),
        ]
        assert reader.extra_columns() == ["x_for"]
        (found,) = reader.collected_files()
        assert (found.id, found.line, found.price) == ("b", 3, 40_000)
        assert (found.file, found.size, found.sha256) == (placed.file, placed.size, placed.sha256)


async def test_a_row_costs_what_all_its_attempts_cost_that_were_made(
    ledger: Ledger, path: Path, take_in: Import, row: Any, accept: Any, prediction: Any
) -> None:
    await take_in(row("a"))
    for outcome in (Outcome.FAILED, Outcome.CANCELED):
        attempt = await accept("a")
        await ledger.record_failed(attempt, "x", "E", outcome=outcome, retry_at=1.0)
    last = await accept("a")
    await ledger.record_succeeded(last, prediction(last.prediction_id))
    with open_reader(path) as reader:
        (result,) = reader.results()
    assert (result.attempts, result.cost) == (3, 80_000)
    assert (result.seed, result.prediction_id) == (last.seed, last.prediction_id)


async def test_a_row_that_was_paid_at_an_unknown_price_has_an_unknown_cost(
    ledger: Ledger, path: Path, take_in: Import, row: Any, accept: Any, prediction: Any
) -> None:
    await take_in(row("a", price=None))
    attempt = await accept("a")
    await ledger.record_succeeded(attempt, prediction(attempt.prediction_id))
    with open_reader(path) as reader:
        (result,) = reader.results()
        assert result.cost is None
        assert reader.cost("EUR") == Cost(None, 0, 0, None, "EUR")


async def test_a_model_that_tells_its_seed_only_in_the_end_is_believed(
    ledger: Ledger, path: Path, take_in: Import, row: Any, prediction: Any
) -> None:
    await take_in(row("a"))
    (due,) = await ledger.due_rows(1)
    attempt = await ledger.record_intent(
        due, seed=None, choose_seed=None, origin="https://x", sent=lambda seed: {}, service_time=None
    )
    assert attempt is not None
    running = await ledger.record_accepted(attempt, prediction("p1", status="starting"))
    await ledger.record_succeeded(running, prediction("p1", seed=12345))
    with open_reader(path) as reader:
        (result,) = reader.results()
    assert result.seed == 12345


async def test_reasons_come_most_frequent_first_and_only_from_rows_of_the_manifest(
    ledger: Ledger, path: Path, take_in: Import, row: Any
) -> None:
    await take_in(*(row(name) for name in "abcdef"))
    for due in await ledger.due_rows(10):
        reason = "cannot be read" if due.id in "bcde" else "too large"
        await ledger.record_unusable(due, reason)
    await take_in(*(row(name) for name in "abcf"))
    with open_reader(path) as reader:
        assert list(reader.reasons().items()) == [("cannot be read", 2), ("too large", 2)]
    await take_in(*(row(name) for name in "abcd"))
    with open_reader(path) as reader:
        assert list(reader.reasons().items()) == [("cannot be read", 3), ("too large", 1)]


async def test_a_doubt_is_told_with_its_price_and_reason_even_when_its_row_is_gone(
    ledger: Ledger, path: Path, take_in: Import, row: Any, intend: Any, clock: Any
) -> None:
    await take_in(row("a"), row("b"))
    begun = clock()
    await ledger.record_in_doubt(await intend("a"), "no list")
    clock.time += 1
    await ledger.record_in_doubt(await intend("b"), "no list")
    await take_in(row("b"))
    with open_reader(path) as reader:
        assert reader.doubts() == (
            Doubt("a", None, begun, 40_000, "no list", seed=1),
            Doubt("b", 2, begun + 1, 40_000, "no list", seed=2),
        )


async def test_a_reader_says_what_the_writer_counts(
    ledger: Ledger, path: Path, take_in: Import, row: Any, accept: Any
) -> None:
    await take_in(row("a"), row("b"), row("c"))
    await accept("a")
    await take_in(row("b"))
    await ledger.set_metadata(manifest="night.csv", max_cost="100000")
    with open_reader(path) as reader:
        assert reader.counts() == ledger.counts
        assert reader.counts(gone=True) == ledger.gone == {RowState.RUNNING: 1, RowState.PENDING: 1}
        assert reader.cost("USD") == ledger.cost
        assert reader.metadata()["manifest"] == "night.csv"


def test_a_reader_of_a_file_that_is_damaged_says_where(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(4096))
    with pytest.raises(LedgerError, match=str(path.name)), open_reader(path) as reader:
        reader.metadata()


async def test_files_and_objects_are_told_as_rows_of_the_manifest_name_them(
    path: Path, take_in: Import, row: Callable[..., Row], tmp_path: Path
) -> None:
    stamps = Stamp(1, 10**18, 10**18 + 1, 7), Stamp(2, 10**18)
    picture, mask = (LocalFile(tmp_path / name, s, "ab" * 32) for name, s in zip("pm", stamps, strict=True))
    named = {"image": "../p", "mask": "m", "prompt": "a boat"}
    stored = ObjectFile("s3://photos/a.png", 7, "tag")
    gone = row("gone", files={"image": mask})
    await take_in(row("a", inputs=named, files={"image": picture, "mask": mask}), row("b"), gone)
    elsewhere = row("c", inputs={"image": stored.address}, files={"image": stored})
    await take_in(row("a", inputs=named, files={"image": picture, "mask": mask}), row("b"), elsewhere)
    with open_reader(path) as reader:
        assert list(reader.named_files()) == [
            NamedFile("../p", str(tmp_path / "p"), stamps[0]),
            NamedFile("m", str(tmp_path / "m"), stamps[1]),
            stored,
        ]


async def test_results_are_those_of_the_view_that_people_may_ask(
    ledger: Ledger, path: Path, take_in: Import, row: Any, accept: Any, intend: Any, prediction: Any, ask: Any
) -> None:
    """Rows never tried, tried once or several times, at prices known and not, with several files."""
    prices = {"never": 1, "failed": 2, "rejected": 3, "several": 4, "unknown": None, "files": 5, "refused": 6}
    manifest = [row(id_, price=price) for id_, price in prices.items()]
    await take_in(*manifest, row("mixed", price=None))
    for id_ in ("failed", "several", "several", "unknown", "mixed"):
        failed = Outcome.FAILED if id_ == "failed" else Outcome.CANCELED
        await ledger.record_failed(await accept(id_), "x", "E", outcome=failed, retry_at=1.0)
    await take_in(*manifest, row("mixed", price=6))
    await ledger.record_rejected(await intend("rejected"), "=no")
    await ledger.record_refused(await intend("refused"), "too many", due_at=1.0)
    for id_ in ("several", "files", "mixed"):
        attempt = await accept(id_)
        urls = ("https://x/1.webp", "https://x/2.webp", "https://x/3.webp")
        await ledger.record_succeeded(attempt, prediction(attempt.prediction_id, outputs=urls))
        files = [
            replace(output, file=f"{id_}@{output.n}.webp")
            for output in (await ledger.outputs_of(attempt.prediction_id))[:2]
        ]
        await ledger.record_collected(attempt, [(file, 64, 48) for file in files], None)
    with open_reader(path) as reader:
        found = {result.id: result for result in reader.results()}
    viewed = ask("SELECT id, outputs, seed, prediction_id, attempts, cost, error FROM results")
    assert [
        (r.id, ";".join(r.outputs) or None, r.seed, r.prediction_id, r.attempts, r.cost, r.error)
        for r in found.values()
    ] == [(*seen[:5], None if seen[5] is None else round(seen[5] * 1_000_000), seen[6]) for seen in viewed]
    assert {id_: (result.attempts, result.cost) for id_, result in found.items()} == {
        "never": (0, 0),
        "failed": (1, 0),
        "rejected": (1, 0),
        "several": (3, 12),
        "unknown": (1, None),
        "files": (1, 5),
        "refused": (0, 0),
        "mixed": (2, None),
    }


async def test_an_exhibit_is_a_row_with_its_files_its_pictures_and_those_before_them(
    ledger: Ledger,
    path: Path,
    take_in: Import,
    row: Any,
    accept: Any,
    prediction: Any,
    retry: Any,
    clock: Any,
    tmp_path: Path,
) -> None:
    picture = LocalFile(tmp_path / "p.png", Stamp(9, 10**18), "cd" * 32)
    await take_in(row("a", files={"image": picture}, outputs_asked=2), row("b"))
    made = {}
    for id_ in ("p1", "p2"):
        attempt = await accept("a", id_)
        clock.time += 60
        urls = tuple(f"https://files.example.com/{id_}/{n}.webp" for n in (1, 2))
        await ledger.record_succeeded(attempt, prediction(id_, outputs=urls))
        outputs = await ledger.outputs_of(id_)
        made[id_] = [
            replace(o, file=f"outputs/{id_}-{o.n}.webp", size=10, sha256="ab" * 32, flags=("blank",))
            for o in outputs
        ]
        await ledger.record_collected(attempt, [(o, 64, 48) for o in made[id_]], None)
        await retry(RowState.DONE)
    with open_reader(path) as reader:
        first, second = reader.review_rows(reader.numbers_at(0, reader.places()))
        history = list(reader.history())
    assert (first.result.id, second.result.id) == ("a", "b")
    assert first.files == {"image": ReviewFile(str(picture.path), picture.sha256)}
    assert [output.file for output in first.outputs] == ["outputs/p2-1.webp", "outputs/p2-2.webp"]
    assert [output.file for output in first.earlier] == ["outputs/p1-1.webp", "outputs/p1-2.webp"]
    assert {output.flags for output in first.outputs} == {("blank",)}
    assert (first.run_time, second.outputs, second.earlier, second.ended_at) == (10.5, (), (), None)
    assert [(one.outcome, one.price, one.run_time) for one in history] == [
        (Outcome.SUCCEEDED, 40_000, 10.5)
    ] * 2


async def test_a_row_is_searched_by_its_own_inputs_and_columns_but_by_no_address(
    ledger: Ledger, path: Path, take_in: Import, row: Any
) -> None:
    inputs = {"prompt": "a boat", "image": "a.png", "guidance": 30, "style": "https://x.test/s?key=secret"}
    await take_in(row("a", inputs=inputs, extra={"x_client": "acme"}))
    with open_reader(path) as reader:
        (told,) = reader.words_at(0, 1).values()
        (shown,) = reader.review_rows(reader.numbers_at(0, 1))
    assert (told.seed, told.inputs, told.extra) == (None, {"guidance": 30}, {"x_client": "acme"})
    assert (shown.inputs, shown.result.extra) == (told.inputs, told.extra)


async def test_the_version_is_another_one_after_a_change(
    ledger: Ledger, path: Path, take_in: Import, row: Any
) -> None:
    await take_in(row("a"))
    with open_reader(path) as reader:
        before = reader.data_version()
        assert reader.data_version() == before
        await take_in(row("a"), row("b"))
        assert reader.data_version() != before


async def test_what_the_ledger_records_of_a_row_is_a_move(
    ledger: Ledger, path: Path, clock: Any, take_in: Import, row: Any, accept: Any, prediction: Any
) -> None:
    await take_in(row("a"), row("b"))
    with open_reader(path) as reader:

        def moved() -> set[str]:
            numbers = [number for _, number in reader.moved(clock.time, now=clock.time, most=9)]
            clock.time += 10
            return {shown.result.id for shown in reader.review_rows(numbers)}

        moved()
        attempt = await accept("b", "p1")
        assert moved() == {"b"}
        assert moved() == set()
        await ledger.record_succeeded(attempt, prediction("p1"))
        assert moved() == {"b"}
        made = ReviewDecision(prediction_id="p1", decision=Decision.APPROVED, at=clock.time)
        await ledger.record_decisions([DecisionFile("1", (made,))], there=frozenset())
        assert moved() == {"b"}
        await ledger.record_rejected(await accept("a", "p2"), "no")
        assert moved() == {"a"}
