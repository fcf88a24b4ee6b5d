"""A manifest that is as it was is not read again; whatever its rows depend on is noticed when it changes."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import ManifestError, UsageError
from batchfill.ledger.import_rows import RowImport
from batchfill.session import ingest
from batchfill.session.session import Session
from tests.support.providers import prompts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    States = Callable[[Batch], dict[str, str]]

NOT_READ = "not read again"
LONG_AGO = 1_700_000_000 * 10**9
HOUR = 3600


def spared(night: Batch) -> int:
    """Return how many runs did without reading the manifest."""
    return (night.folder / "run.log").read_text("utf-8").count(NOT_READ)


def rewrite(path: Path, old: str, new: str) -> None:
    """Change what is in a file and leave its size and its times as they are."""
    assert len(old) == len(new)
    facts = path.stat()
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)


def forget(night: Batch) -> None:
    """Make the next run read the manifest."""
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        assert db.execute("DELETE FROM facts WHERE name = 'basis'").rowcount == 1


@pytest.fixture
def settled(desk: Any, later: Callable[[float], None]) -> Callable[[], None]:
    """Make every picture one that was not changed for long, so that its stamp can be trusted."""

    def settle() -> None:
        for path in desk.folder.rglob("*.png"):
            os.utime(path, ns=(LONG_AGO, LONG_AGO))
        later(60)

    return settle


@pytest.fixture
def settled_rows(desk: Any, settled: Callable[[], None]) -> Callable[..., list[dict[str, str]]]:
    """Return rows of a picture whose stamp can be trusted; see Desk.rows."""

    def settled_rows(count: int, **cells: str) -> list[dict[str, str]]:
        made: list[dict[str, str]] = desk.rows(count, **cells)
        settled()
        return made

    return settled_rows


async def test_a_manifest_that_is_as_it_was_is_not_read_again_and_all_goes_on(
    service: Serve, batch: Open, settled_rows: Any
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(5), limit=2)
    await night.run()
    summary = await batch(provider).run()
    assert (spared(night), summary.exit_code, summary.submitted_now) == (1, 0, 3)
    assert (await batch(provider).run()).submitted_now == 0
    assert spared(night) == 2
    assert sorted(prompts(provider)) == [f"picture {n}" for n in range(1, 6)]


@pytest.mark.parametrize("retry", [None, "failed", "failed,expired,in-doubt,done"])
@pytest.mark.parametrize("head", [None, {"price": "0.04"}])
async def test_the_plan_is_the_one_that_reading_gives(
    service: Serve, batch: Open, settled_rows: Any, plans: Any, retry: str | None, head: Any
) -> None:
    provider = await service(faults=Faults([Fault("create", "fail", times=1)]))
    made = [row | {"num_outputs": str(n % 3 + 1)} for n, row in enumerate(settled_rows(7))]
    night = batch(provider, made, head=head, attempts=1, limit=4)
    await night.run()
    assert {RowState.FAILED, RowState.DONE, RowState.PENDING} <= {
        state for state, number in night.status().counts.items() if number
    }
    for read_again in (False, True):
        if read_again:
            forget(night)
        with pytest.raises(UsageError):
            await batch(provider, retry=retry).run(confirm=plans.decline)
    assert spared(night) == 1
    assert plans[0] == plans[1]
    assert plans[0].rows == 7


@pytest.mark.parametrize("head", [None, {"price": "0.04"}])
async def test_other_rows_in_a_file_of_the_same_size_and_time_are_noticed(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, head: Any
) -> None:
    provider = await service()
    await batch(provider, settled_rows(2), head=head).run()
    rewrite(desk.folder / "night.csv", "picture 2", "picture 9")
    assert (await batch(provider).run()).submitted_now == 1
    assert prompts(provider)[-1] == "picture 9"


async def test_another_head_of_the_same_size_and_time_is_noticed(
    service: Serve, batch: Open, desk: Any, settled_rows: Any
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(2), head={"defaults": "{guidance: 20}"})
    await night.run()
    rewrite(desk.folder / "night.yaml", "20", "30")
    assert (await batch(provider).run()).submitted_now == 2
    assert spared(night) == 0


async def test_a_picture_that_was_edited_is_noticed(
    service: Serve, batch: Open, desk: Any, settled_rows: Any
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(2))
    await night.run()
    await batch(provider).run()
    assert spared(night) == 1
    desk.picture("a.png", shade=10)
    assert (await batch(provider).run()).submitted_now == 2
    assert spared(night) == 1


async def test_a_mask_of_the_defaults_that_was_edited_is_noticed(
    service: Serve, batch: Open, desk: Any, settled_rows: Any
) -> None:
    provider = await service()
    made = [{name: cell for name, cell in row.items() if name != "mask"} for row in settled_rows(2)]
    night = batch(provider, made, set={"mask": "masks/a.png"})
    await night.run()
    await batch(provider, set={"mask": "masks/a.png"}).run()
    assert spared(night) == 1
    desk.picture("a.png", size=(80, 80))
    await batch(provider, set={"mask": "masks/a.png"}).run()
    assert (spared(night), provider.billed) == (1, 4)


async def test_a_link_that_leads_to_another_picture_of_the_same_size_and_time_is_noticed(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, settled: Any
) -> None:
    provider = await service()
    made = settled_rows(1)
    for name, shade in (("b.png", b"\x01"), ("c.png", b"\x02")):
        desk.picture(name)
        with (desk.folder / "images" / name).open("ab") as picture:
            picture.write(shade)
    settled()
    link = desk.folder / "images/link.png"
    link.symlink_to("b.png")
    night = batch(provider, [made[0] | {"image": "images/link.png"}])
    await night.run()
    await batch(provider).run()
    assert spared(night) == 1
    link.unlink()
    link.symlink_to("c.png")
    assert (await batch(provider).run()).submitted_now == 1


def in_place(path: Path) -> None:
    """Let the file that was there have another content."""
    path.write_bytes(path.read_bytes() + b"\x00")


def by_another(path: Path) -> None:
    """Let another file have the place."""
    other = path.with_name("other.png")
    other.write_bytes(path.read_bytes() + b"\x01")
    other.replace(path)


@pytest.mark.parametrize("swap", [in_place, by_another])
async def test_another_picture_of_the_same_size_and_time_is_noticed(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, settled: Any, swap: Callable[[Path], None]
) -> None:
    provider = await service()
    made = settled_rows(1)
    path = desk.folder / "images/a.png"
    path.write_bytes(path.read_bytes() + b"\x02")
    settled()
    night = batch(provider, made)
    await night.run()
    await batch(provider).run()
    assert spared(night) == 1
    os.truncate(path, path.stat().st_size - 1)
    swap(path)
    settled()
    assert (await batch(provider).run()).submitted_now == 1
    assert spared(night) == 1


def link(path: Path) -> None:
    """Give the file a second name."""
    path.with_name("link.png").hardlink_to(path)


def restore(path: Path) -> None:
    """Put a copy in the place of the file, as a backup does."""
    copy = path.with_name("copy.png")
    shutil.copy2(path, copy)
    copy.replace(path)


def move(path: Path) -> None:
    """Take the file away and back."""
    path.rename(path.with_name("away.png")).rename(path)


@pytest.mark.parametrize("touch", [link, restore, move])
async def test_a_picture_that_is_another_file_with_the_same_content_costs_a_read_and_nothing_else(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, later: Any, touch: Callable[[Path], None]
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(1))
    await night.run()
    touch(desk.folder / "images/a.png")
    later(60)
    summaries = [await batch(provider).run() for _ in range(2)]
    assert [summary.submitted_now for summary in summaries] == [0, 0]
    assert spared(night) > 0


async def test_rows_whose_pictures_were_known_by_less_are_read_again_and_not_paid_again(
    service: Serve, batch: Open, settled_rows: Any
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(2))
    await night.run()
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        for key, files in db.execute("SELECT key, files FROM rows").fetchall():
            known = {name: file[:4] for name, file in json.loads(files).items()}
            db.execute("UPDATE rows SET files = ? WHERE key = ?", (json.dumps(known), key))
        db.execute("DELETE FROM digests")
    assert (await batch(provider).run()).submitted_now == 0
    assert spared(night) == 0
    assert (await batch(provider).run()).submitted_now == 0
    assert (spared(night), provider.billed) == (1, 2)


async def test_a_picture_that_was_changed_just_now_is_not_trusted(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, later: Any
) -> None:
    """It could change once more without a new stamp to show it."""
    provider = await service()
    night = batch(provider, settled_rows(1))
    # A time that has not passed yet is one that any later change may have too.
    soon = time.time() + HOUR
    os.utime(desk.folder / "images/a.png", (soon, soon))
    for passes, trusted in ((0, 0), (0, 0), (2 * HOUR, 0), (0, 1)):
        later(passes)
        assert (await batch(provider).run()).exit_code == 0
        assert spared(night) == trusted
    assert provider.billed == 1


async def test_a_picture_that_is_gone_is_told_as_ever(
    service: Serve, batch: Open, desk: Any, settled_rows: Any
) -> None:
    provider = await service()
    await batch(provider, settled_rows(1)).run()
    (desk.folder / "images/a.png").unlink()
    with pytest.raises(ManifestError, match=r"no such file images/a\.png"):
        await batch(provider).run()


async def test_another_default_runs_the_rows_that_it_changes(
    service: Serve, batch: Open, settled_rows: Any
) -> None:
    provider = await service()
    made = [row | {"guidance": "" if n else "50"} for n, row in enumerate(settled_rows(3))]
    await batch(provider, made, set={"guidance": "20"}).run()
    assert (await batch(provider, set={"guidance": "30"}).run()).submitted_now == 2


async def test_another_column_runs_what_it_holds(service: Serve, batch: Open, settled_rows: Any) -> None:
    provider = await service()
    made = [
        {name: cell for name, cell in row.items() if name != "prompt"} | {"x_a": "one", "x_b": "two"}
        for row in settled_rows(1)
    ]
    await batch(provider, made, column={"prompt": "x_a"}).run()
    await batch(provider, column={"prompt": "x_b"}).run()
    assert prompts(provider) == ["one", "two"]


async def test_another_price_is_the_one_that_is_planned_with(
    service: Serve, batch: Open, settled_rows: Any, plans: Any
) -> None:
    provider = await service()
    made = settled_rows(3)
    await batch(provider, made, head={"price": "0.04"}, limit=1).run()
    await batch(provider, made, head={"price": "0.09"}).run(confirm=plans.accept)
    assert plans[0].price_to_go == 180_000


async def test_another_schema_of_the_model_judges_the_rows(
    service: Serve, batch: Open, desk: Any, settled_rows: Any
) -> None:
    provider = await service()
    schema = desk.folder / "schema.json"

    def write(most: int) -> None:
        texts = {name: {"type": "string"} for name in ("prompt",)}
        files = {name: {"type": "string", "format": "uri"} for name in ("image", "mask")}
        guidance = {"guidance": {"type": "number", "maximum": most}}
        schema.write_text(json.dumps({"required": ["image"], "properties": {**texts, **files, **guidance}}))

    write(100)
    night = batch(provider, settled_rows(2, guidance="50"), limit=1, model_schema=schema)
    await night.run()
    write(10)
    with pytest.raises(ManifestError, match="guidance must be at most 10, not 50"):
        await batch(provider, model_schema=schema).run()


async def test_rows_that_were_left_out_come_in_once_their_mistake_is_gone(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, settled: Any, states: States
) -> None:
    provider = await service()
    made = settled_rows(2)
    made[1]["image"] = "images/later.png"
    night = batch(provider, made, skip_bad=True)
    await night.run()
    assert states(night) == {"r1": "done"}
    desk.picture("later.png")
    settled()
    assert (await batch(provider, skip_bad=True).run()).submitted_now == 1
    assert states(night) == {"r1": "done", "r2": "done"}


async def test_a_manifest_that_comes_back_after_another_one_is_read(
    service: Serve, batch: Open, desk: Any, settled_rows: Any, states: States
) -> None:
    """The other one has a mistake, so that nothing but its rows is remembered of it."""
    provider = await service()
    table = desk.folder / "night.csv"
    night = batch(provider, settled_rows(3), limit=1)
    await night.run()
    kept, facts = table.read_bytes(), table.stat()
    await batch(provider, [*desk.rows(1), {"id": "bad", "image": "nope.png"}], skip_bad=True, limit=1).run()
    assert states(night) == {"r1": "done"}
    table.write_bytes(kept)
    os.utime(table, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    await batch(provider).run()
    assert states(night) == {"r1": "done", "r2": "done", "r3": "done"}
    assert sorted(prompts(provider)) == ["picture 1", "picture 2", "picture 3"]


@pytest.mark.parametrize("put_back", [False, True])
async def test_a_manifest_that_is_edited_while_a_run_begins_is_read_again(
    service: Serve,
    batch: Open,
    desk: Any,
    settled_rows: Any,
    monkeypatch: pytest.MonkeyPatch,
    states: States,
    put_back: bool,
) -> None:
    provider = await service()
    table = desk.folder / "night.csv"
    made = settled_rows(2)
    night = batch(provider, made)
    kept, facts = table.read_bytes(), table.stat()
    real = ingest.ingest_rows

    async def edit_and_read(*args: Any, **options: Any) -> Any:
        desk.write([made[0], made[1] | {"prompt": "late"}])
        return await real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr("batchfill.session.session.ingest_rows", edit_and_read)
        await night.run()
    if put_back:
        table.write_bytes(kept)
        os.utime(table, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    await batch(provider).run()
    assert (spared(night), len(states(night))) == (0, 2)
    assert sorted(prompts(provider)) == ["late", "picture 1", *(["picture 2"] if put_back else [])]


@pytest.mark.parametrize(
    ("method", "after"), [("merge_rows", False), ("merge_rows", True), ("end_import", True)]
)
async def test_an_import_that_dies_leaves_nothing_out_and_runs_nothing_twice(
    service: Serve, batch: Open, settled_rows: Any, crash: Any, method: str, after: bool
) -> None:
    provider = await service()
    with pytest.raises(crash(RowImport, method, after=after)):
        await batch(provider, settled_rows(3)).run()
    assert (await batch(provider).run()).exit_code == 0
    assert sorted(prompts(provider)) == ["picture 1", "picture 2", "picture 3"]


async def test_a_run_that_dies_right_after_its_import_is_carried_on_without_reading(
    service: Serve, batch: Open, settled_rows: Any, crash: Any
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(3))
    with pytest.raises(crash(Session, "_record_start")):
        await night.run()
    assert (await batch(provider).run()).exit_code == 0
    assert (spared(night), provider.billed) == (1, 3)


async def test_rows_read_by_another_version_are_read_again(
    service: Serve, batch: Open, settled_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    night = batch(provider, settled_rows(1))
    await night.run()
    monkeypatch.setattr("batchfill.session.ingest.__version__", "0.0.9")
    await batch(provider).run()
    assert spared(night) == 0
    await batch(provider).run()
    assert spared(night) == 1


async def test_a_manifest_that_moved_with_its_batch_is_read_again(
    service: Serve, batch: Open, desk: Any, settled_rows: Any
) -> None:
    """Its pictures did not come along: what it names now lies elsewhere."""
    provider = await service()
    night = batch(provider, settled_rows(1))
    await night.run()
    other = desk.folder / "other"
    other.mkdir()
    (desk.folder / "night.csv").rename(other / "night.csv")
    night.folder.rename(other / "night.batch")
    moved = type(night)(other / "night.csv", night.flags, night.environ)
    with pytest.raises(ManifestError, match=r"no such file images/a\.png"):
        await moved.run()
