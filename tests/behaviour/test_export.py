"""Pictures leave the batch: whole, under names of the user's, and nothing of theirs is lost."""

from __future__ import annotations

import csv
import errno
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from batchfill.console.render_export import export_lines
from batchfill.domain.review import Decision, ReviewDecision
from batchfill.errors import ExportStopped, LedgerError, NotExported, UsageError
from batchfill.export import conflicts, copier
from batchfill.images.rights.mark import mark_content
from batchfill.images.rights.xmp import COMPOSITE, Told
from batchfill.storage import lock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]


@pytest.fixture
def final(tmp_path: Path) -> Path:
    """The folder to export to, which is not there yet."""
    return tmp_path / "final"


async def finished(provider: EmulatorServer, batch: Open, desk: Any) -> Batch:
    """Return a batch whose three rows are done, the second with two pictures."""
    rows = desk.rows(3, x_for="menu", num_outputs="1", megapixels="0.25")
    rows[1] |= {"num_outputs": "2", "x_for": "web/shop"}
    night = batch(provider, rows)
    assert (await night.run()).exit_code == 0
    return night


@pytest.fixture
async def provider(service: Serve) -> EmulatorServer:
    return await service()


@pytest.fixture
async def night(provider: EmulatorServer, batch: Open, desk: Any) -> Batch:
    return await finished(provider, batch, desk)


@pytest.fixture
async def painted(service: Serve, batch: Open, desk: Any) -> Batch:
    """The same with a provider that takes its time to paint, so that no two pictures are alike."""
    return await finished(await service(tiny=False), batch, desk)


PICTURES = {
    "r1.webp": "outputs/r1.webp",
    "r2@1.webp": "outputs/r2@1.webp",
    "r2@2.webp": "outputs/r2@2.webp",
    "r3.webp": "outputs/r3.webp",
}
"""The usual names of the night's pictures, and where they are."""


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below *folder*, hidden ones too, with its content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pictures(night: Batch) -> dict[str, bytes]:
    return {name: (night.folder / file).read_bytes() for name, file in PICTURES.items()}


def copied(content: bytes) -> bytes:
    """Return what a copy of an output with this *content* holds."""
    return mark_content(content, Told(COMPOSITE, "black-forest-labs/flux-fill-dev"))


def copies(night: Batch) -> dict[str, bytes]:
    return {name: copied(content) for name, content in pictures(night).items()}


def listed(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def refused(night: Batch, target: Path, **options: Any) -> tuple[str, ...]:
    """Return why *night* is not exported, having seen that nothing was changed."""
    before = tree(target) if target.is_dir() else None
    with pytest.raises(NotExported) as caught:
        night.export(target, **options)
    assert (tree(target) if target.is_dir() else None) == before
    return caught.value.troubles


async def test_pictures_are_copied_with_a_table_of_where_they_are(painted: Batch, final: Path) -> None:
    exported = painted.export(final)
    assert (exported.rows, exported.copied, exported.linked, exported.there) == (3, 4, 0, 0)
    found = tree(final)
    table = found.pop("results.csv")
    assert found == copies(painted)
    assert len(set(found.values())) == len(found)
    assert exported.size == sum(map(len, found.values()))
    assert table.startswith(b"\xef\xbb\xbfid,line,state,")
    rows = listed(final / "results.csv")
    assert [row["outputs"] for row in rows] == ["r1.webp", "r2@1.webp;r2@2.webp", "r3.webp"]
    assert [row["x_for"] for row in rows] == ["menu", "web/shop", "menu"]
    assert [row["seed"] for row in rows] == [str(result.seed) for result in painted.results()]


async def test_a_table_may_be_jsonl(night: Batch, final: Path) -> None:
    night.export(final, kind="jsonl", name="{x_for}/{id}-{n}")
    values = [json.loads(line) for line in (final / "results.jsonl").read_text("utf-8").splitlines()]
    assert [value["outputs"] for value in values] == [
        ["menu/r1-1.webp"],
        ["web-shop/r2-1.webp", "web-shop/r2-2.webp"],
        ["menu/r3-1.webp"],
    ]
    assert {name for value in values for name in value["outputs"]} == tree(final).keys() - {"results.jsonl"}
    again = night.export(final, kind="jsonl", name="{x_for}/{id}-{n}")
    assert (again.copied, again.there) == (0, 4)


async def test_only_rows_that_are_done_are_exported(service: Serve, batch: Open, final: Path) -> None:
    stopped = batch(await service(), 3, limit=1)
    await stopped.run()
    assert stopped.export(final).rows == 1
    assert [row["id"] for row in listed(final / "results.csv")] == ["r1"]


async def test_there_is_nothing_to_export_before_a_row_is_done(
    service: Serve, batch: Open, final: Path, plans: Any
) -> None:
    declined = batch(await service(), 1)
    with pytest.raises(LedgerError):
        declined.export(final)
    with pytest.raises(UsageError, match="nothing was started"):
        await declined.run(confirm=plans.decline)
    with pytest.raises(UsageError, match="nothing to export: no row is done yet"):
        declined.export(final)
    assert not final.exists()


# Which rows


async def decide(night: Batch, id_: str, decision: Decision | None, chosen: int | None = None) -> None:
    (prediction,) = (result.prediction_id for result in night.results() if result.id == id_)
    assert prediction is not None
    await night.decide(
        [ReviewDecision(prediction_id=prediction, decision=decision, chosen=chosen, at=time.time())]
    )


async def test_once_anything_is_decided_only_approved_rows_are_exported_unless_all_are_asked_for(
    night: Batch, final: Path
) -> None:
    await decide(night, "r1", Decision.APPROVED)
    await decide(night, "r3", Decision.REJECTED)
    exported = night.export(final)
    assert (exported.which, exported.rows, exported.copied) == ("approved", 1, 1)
    (row,) = listed(final / "results.csv")
    assert (row["id"], row["decision"], row["outputs"]) == ("r1", "approved", "r1.webp")
    every = night.export(final, which="all")
    assert (every.which, every.rows, every.copied, every.there) == ("all", 3, 3, 1)


async def test_of_an_approved_row_only_the_chosen_picture_is_exported(painted: Batch, final: Path) -> None:
    await decide(painted, "r2", Decision.APPROVED, chosen=2)
    painted.export(final, which="approved")
    assert (final / "r2.webp").read_bytes() == copies(painted)["r2@2.webp"]
    assert tree(final).keys() == {"r2.webp", "results.csv"}
    (row,) = listed(final / "results.csv")
    assert (row["chosen"], row["outputs"]) == ("2", "r2.webp")
    await decide(painted, "r2", Decision.APPROVED, chosen=1)
    assert refused(painted, final) == (f"r2.webp is another file in {final}: --force replaces it",)
    painted.export(final, name="{id}@{n}", force=True)
    assert (final / "r2@1.webp").exists()


async def test_of_an_approved_row_without_a_choice_all_pictures_are_exported(
    night: Batch, final: Path
) -> None:
    await decide(night, "r2", Decision.APPROVED)
    assert night.export(final).copied == 2
    assert tree(final).keys() == {"r2@1.webp", "r2@2.webp", "results.csv"}


async def test_a_choice_that_is_gone_is_told(
    night: Batch, provider: EmulatorServer, batch: Open, final: Path
) -> None:
    await decide(night, "r2", Decision.APPROVED, chosen=1)
    (night.folder / "outputs/r2@1.webp").unlink()
    for record in provider.predictions():
        provider.expire(record.id)
    await batch(provider, retry="missing").run()
    assert refused(night, final) == (
        "r2 (line 3): its chosen picture 1 is not among its 1: choose another with `batchfill review`",
    )


async def test_where_nothing_was_approved_that_is_said(night: Batch, final: Path) -> None:
    with pytest.raises(UsageError, match="no finished row was approved"):
        night.export(final, which="approved")
    await decide(night, "r1", Decision.REDO)
    with pytest.raises(UsageError, match="no finished row was approved"):
        night.export(final)
    await decide(night, "r1", None)
    assert night.export(final).rows == 3


# Links


async def test_links_are_the_files_themselves(night: Batch, final: Path) -> None:
    exported = night.export(final, link=True)
    assert (exported.copied, exported.linked, exported.size) == (0, 4, 0)
    for name, file in PICTURES.items():
        assert (final / name).samefile(night.folder / file)
    again = night.export(final, link=True, force=True)
    assert (again.linked, again.there) == (0, 4)
    assert tree(final).keys() == {*PICTURES, "results.csv"}


async def test_where_no_link_can_reach_pictures_are_copied_and_that_is_said_once(
    night: Batch, batchfill: Any, other_disk: Path
) -> None:
    ran = await batchfill("export", "night.csv", other_disk, "--link")
    assert ran.code == 0
    assert ran.err.splitlines()[0].startswith("4 pictures of 3 finished rows: 4 copied (")
    assert ran.err.splitlines()[1:] == [
        f"copied, since hard links are not possible there: {os.strerror(errno.EXDEV)}",
        f"table: {other_disk}/results.csv",
    ]
    assert {name: content for name, content in tree(other_disk).items() if name in PICTURES} == copies(night)


async def test_names_may_hold_the_rows_number_and_a_counter_over_the_export(
    night: Batch, final: Path
) -> None:
    def names(target: Path, name: str) -> list[str]:
        night.export(target, name=name)
        found = [row["outputs"] for row in listed(target / "results.csv")]
        assert set(";".join(found).split(";")) == {path.name for path in target.glob("*.webp")}
        return found

    assert names(final / "rows", "{row:4}") == ["0001.webp", "0002@1.webp;0002@2.webp", "0003.webp"]
    assert names(final / "counted", "{count:2}") == ["01.webp", "02.webp;03.webp", "04.webp"]
    await decide(night, "r2", Decision.APPROVED, chosen=2)
    await decide(night, "r3", Decision.APPROVED)
    assert names(final / "approved rows", "{row:4}") == ["0002.webp", "0003.webp"]
    assert names(final / "approved", "{count:2}") == ["01.webp", "02.webp"]


# What is in the way


async def test_everything_that_is_wrong_is_told_before_the_first_copy(night: Batch, final: Path) -> None:
    (night.folder / "outputs/r1.webp").unlink()
    damaged = night.folder / "outputs/r2@1.webp"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    final.mkdir()
    (final / "r3.webp").write_bytes(b"mine")
    (final / "r2@2.webp").mkdir()
    assert refused(night, final) == (
        "r1 (line 2): outputs/r1.webp is missing: `run --retry missing` fetches it again, "
        "if the service has it",
        "r2 (line 3): outputs/r2@1.webp is damaged: `run --retry missing` fetches it again, "
        "if the service has it",
        f"r2@2.webp is a folder in {final}",
        f"r3.webp is another file in {final}: --force replaces it",
    )


async def test_names_that_collide_are_told_with_what_else_is_wrong(night: Batch, final: Path) -> None:
    (night.folder / "outputs/r1.webp").unlink()
    assert refused(night, final, name="{x_for}") == (
        "--name gives 1 picture a name of other pictures: menu.webp (lines 2, 4): "
        "tell them apart, as with {id} or {row}",
        "r1 (line 2): outputs/r1.webp is missing: `run --retry missing` fetches it again, "
        "if the service has it",
    )
    assert refused(night, final, name="{prompt:40}-{sede}") == (
        "--name: there is no {sede}; did you mean {seed}?",
    )


async def test_of_many_troubles_the_first_twenty_are_told_and_how_many_more(
    service: Serve, batch: Open, final: Path
) -> None:
    many = batch(await service(), 25)
    await many.run()
    for number in range(24):
        (many.folder / f"outputs/r{number + 1}.webp").unlink()
    with pytest.raises(NotExported) as caught:
        many.export(final)
    assert (len(caught.value.troubles), caught.value.more) == (20, 4)
    assert str(caught.value).splitlines()[20:] == ["… and 4 more", "nothing was exported"]
    assert not final.exists()


async def test_no_original_is_replaced_and_pictures_among_originals_are_said(
    service: Serve, batch: Open, desk: Any
) -> None:
    row = desk.rows(1)[0]
    image = (desk.folder / row["image"]).with_name("hero.webp")
    with Image.open(desk.folder / row["image"]) as picture:
        picture.save(image)
    night = batch(await service(), [{**row, "image": "images/hero.webp"}], head={"finish": "raw"})
    assert (await night.run()).exit_code == 0
    before = image.read_bytes()
    for force in (False, True):
        said = refused(night, image.parent, name=image.stem, force=force)
        assert said == (
            f"{image.name} is an original of this batch, in {image.parent}: export to another folder",
        )
    assert image.read_bytes() == before
    exported = night.export(image.parent, name="final-{id}")
    assert exported.originals >= 1
    assert any("of the batch: pictures from before and after" in line for line in export_lines(exported))


async def test_an_export_while_a_run_goes_on_says_that_more_will_come(
    night: Batch, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any("a run works" in line for line in export_lines(night.export(final)))
    with lock.hold_lock(night.folder):
        assert any("a run works on the batch" in line for line in export_lines(night.export(final)))


async def test_force_replaces_other_files_but_no_folder(night: Batch, final: Path) -> None:
    final.mkdir()
    for name in ("r1.webp", "results.csv", "notes.txt"):
        (final / name).write_bytes(b"mine")
    exported = night.export(final, force=True)
    assert (exported.copied, exported.there) == (4, 0)
    found = tree(final)
    assert {name: found[name] for name in PICTURES} == copies(night)
    assert found["notes.txt"] == b"mine"
    for name in ("r1.webp", "results.csv"):
        (final / name).unlink()
        (final / name).mkdir()
    assert refused(night, final, force=True) == (
        f"r1.webp is a folder in {final}",
        f"{final / 'results.csv'} is a folder: move it away",
    )


async def test_a_picture_that_was_edited_is_exported_only_when_that_is_meant(
    night: Batch, final: Path
) -> None:
    edited = night.folder / "outputs/r3.webp"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(edited)
    assert refused(night, final) == (
        "r3 (line 4): outputs/r3.webp is changed since it was fetched: --changed exports it as it is now",
    )
    exported = night.export(final, changed=True)
    assert (exported.copied, exported.changed) == (4, 1)
    assert (final / "r3.webp").read_bytes() == copied(edited.read_bytes())
    again = night.export(final, changed=True)
    assert (again.copied, again.there, again.changed) == (0, 4, 1)


async def test_nothing_is_exported_into_the_batch_itself(night: Batch) -> None:
    said = "that is in the batch's own folder: give another"
    assert refused(night, night.folder / "outputs")[0] == f"r1.webp: {said}"
    name = f"{night.folder.name}/{{id}}"
    assert refused(night, night.folder.parent, name=name)[0] == f"{night.folder.name}/r1.webp: {said}"


async def test_a_file_where_a_folder_is_needed_is_told(night: Batch, final: Path) -> None:
    final.mkdir()
    (final / "menu").write_bytes(b"mine")
    assert refused(night, final, name="{x_for}/{id}") == (
        f"menu/r1.webp: {final / 'menu'} is a file, and a folder is needed",
        f"menu/r3.webp: {final / 'menu'} is a file, and a folder is needed",
    )


async def test_room_is_looked_for_first_unless_links_need_none(
    night: Batch, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conflicts, "free_bytes", lambda _: 10)
    (lack,) = refused(night, final)
    assert lack.endswith(f"are free on the disk of {final}: make room, or try --link")
    assert night.export(final, link=True).linked == 4


# The table


async def test_a_table_that_is_not_of_this_export_is_left_alone(night: Batch, final: Path) -> None:
    final.mkdir()
    table = final / "results.csv"
    table.write_text("id,rating\nr1,5\n", "utf-8")
    assert refused(night, final) == (
        f"{table} is there and is no table of this batch: move it away, or --force replaces it",
    )
    night.export(final, kind="jsonl")
    assert table.read_text("utf-8") == "id,rating\nr1,5\n"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_the_table_of_an_earlier_export_is_replaced_unless_it_lists_what_the_new_one_does_not(
    night: Batch, final: Path, desk: Any, batch: Open, kind: str
) -> None:
    night.export(final, kind=kind)
    table = final / f"results.{kind}"
    first, *others = table.read_text("utf-8").splitlines(keepends=True)
    whole = table.read_bytes()
    table.write_text(first + "".join(others[:1]), "utf-8")
    night.export(final, kind=kind)
    assert table.read_bytes() == whole
    table.write_bytes(whole.replace(b"r3.webp", b"r4.webp"))
    assert refused(night, final, kind=kind) == (
        f"{table} lists r4.webp, not exported now: move them away, or --force replaces results.{kind}",
    )
    night.export(final, kind=kind, force=True)
    assert table.read_bytes() == whole


@pytest.mark.parametrize("added", [("finished_as", "changed_inputs"), ("changed_inputs",)])
async def test_a_table_of_an_earlier_version_is_replaced(
    night: Batch, final: Path, added: tuple[str, ...]
) -> None:
    night.export(final)
    table = final / "results.csv"
    whole = table.read_bytes()
    lines = list(csv.reader(table.read_text("utf-8-sig").splitlines()))
    kept = [place for place, name in enumerate(lines[0]) if name not in added]
    with table.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([cells[place] for place in kept] for cells in lines)
    night.export(final)
    assert table.read_bytes() == whole


@pytest.mark.parametrize("content", [b"[]\n", b"{}\n", b"1\n", b"\xff\xfe", b'{"id": "r1"}\n', b"{"])
async def test_whatever_stands_in_the_place_of_the_table_is_told_as_no_table(
    night: Batch, final: Path, content: bytes
) -> None:
    final.mkdir()
    (final / "results.jsonl").write_bytes(content)
    (trouble,) = refused(night, final, kind="jsonl")
    assert "is no table of this batch" in trouble


# Breaking off


KILLED = """
import hashlib, itertools, os, signal, sys
from pathlib import Path
from tests.support.forks import import_all
import_all()
from batchfill.cli.app import main
from batchfill.export import copier as delivery

def moment():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

def between(effect):
    def watched(*arguments):
        moment()
        answer = effect(*arguments)
        moment()
        return answer
    return watched

class Digest:
    def __init__(self):
        self.real = hashlib.sha256()
        self.hexdigest = self.real.hexdigest
    def update(self, chunk):
        moment()
        self.real.update(chunk)

delivery.sha256, delivery.CHUNK = Digest, 300
os.fsync, Path.replace = between(os.fsync), between(Path.replace)
for runs in itertools.count(1):
    left = runs
    fork = os.fork()
    if fork == 0:
        sys.argv[1:] = ["export", "night.csv", f"{sys.argv[1]}-{runs}"]
        main()
    code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
    if code != -signal.SIGKILL:
        print(runs)
        sys.exit(code)
"""
"""What exports again and again, each time to a folder of its own, and dies one moment later each time.

A moment lies between two pieces, or before or after an effect. The last run lives; their number is printed.
"""


async def test_killed_at_any_moment_an_export_leaves_only_whole_files_and_can_be_run_again(
    service: Serve, batch: Open, batchfill: Any, final: Path
) -> None:
    night = batch(await service(), 2)
    await night.run()
    night.export(final)
    whole = tree(final)
    ran = await batchfill.python("-c", KILLED, str(final))
    assert ran.code == 0, ran.err
    runs, interrupted = int(ran.out.split()[-1]), 0
    for n in range(1, runs + 1):
        again = final.with_name(f"final-{n}")
        found = tree(again)
        interrupted += any(name.startswith(".batchfill-") for name in found)
        assert {name: content for name, content in found.items() if name in whole}.items() <= whole.items()
        exported = night.export(again)
        assert (tree(again), exported.copied + exported.there) == (whole, 2)
    # Three files, each flushed and named; the pieces of two; the folder.
    assert runs > 3 * 4 + 2 + 2
    assert interrupted >= 3 * 3


async def test_a_disk_that_is_full_ends_the_export_which_goes_on_when_there_is_room(
    night: Batch, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ExportStopped) as caught:
            night.export(final)
    assert str(caught.value).startswith(f"{final}: {os.strerror(errno.ENOSPC)}. What was exported is whole:")
    assert tree(final).keys() == {"r1.webp", "r2@1.webp"}
    exported = night.export(final)
    assert (exported.copied, exported.there) == (2, 2)


async def test_what_appears_or_changes_meanwhile_ends_the_export(
    night: Batch, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = copier.Copier.put_file

    def meddling(self: Any, source: Path, *rest: Any, own: bool) -> None:
        (final / "r2@1.webp").write_bytes(b"mine")
        put(self, source, *rest, own=own)

    final.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(copier.Copier, "put_file", meddling)
        with pytest.raises(ExportStopped, match="appeared during the export"):
            night.export(final)
    assert (final / "r2@1.webp").read_bytes() == b"mine"
    (final / "r2@1.webp").unlink()

    def editing(self: Any, source: Path, *rest: Any, own: bool) -> None:
        source.write_bytes(source.read_bytes() + b"more")
        put(self, source, *rest, own=own)

    with monkeypatch.context() as patched:
        patched.setattr(copier.Copier, "put_file", editing)
        with pytest.raises(ExportStopped, match="was changed while"):
            night.export(final)
    assert tree(final).keys() == {"r1.webp"}


# The command


async def test_the_command_tells_what_it_did_and_the_second_time_that_it_was_done(
    night: Batch, batchfill: Any, final: Path
) -> None:
    ran = await batchfill("export", "night.csv", final, "--all", "--name", "{id}_{seed}")
    size = sum(map(len, copies(night).values())) / 1e6
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        f"4 pictures of 3 finished rows: 4 copied ({size:.1f} MB)",
        f"table: {final}/results.csv",
    ]
    again = await batchfill("export", "night.csv", final, "--all", "--name", "{id}_{seed}")
    assert again.err.splitlines()[0] == "4 pictures of 3 finished rows: 4 there already"


async def test_a_terminal_shows_how_far_the_export_is(
    night: Batch, batchfill: Any, terminal: Any, final: Path
) -> None:
    running = await batchfill.start("export", "night.csv", final, **terminal.options())
    await terminal.shows("100%")
    await terminal.shows(f"table: {final}"[:60])
    assert (await running.ended()).code == 0


async def test_how_far_it_is_is_told_with_every_picture(night: Batch, final: Path) -> None:
    told: list[tuple[int, int]] = []
    night.export(final, watch=lambda done, of: told.append((done, of)))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


async def test_the_command_ends_with_2_when_something_is_in_the_way(
    night: Batch, batchfill: Any, final: Path
) -> None:
    ran = await batchfill("export", "night.csv", final, "--name", "{promt}", "--link")
    assert (ran.code, ran.err) == (
        2,
        "--name: there is no {promt}; did you mean {prompt}?\nnothing was exported\n",
    )
    assert not final.exists()
