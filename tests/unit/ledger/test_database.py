from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill import systems
from batchfill.errors import LedgerError
from batchfill.ledger import database
from batchfill.ledger.ledger import open_ledger
from batchfill.ledger.reader import open_reader
from tests.support.capabilities import obeying_modes
from tests.support.modes import bound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from batchfill.ledger.ledger import Ledger

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:30 / /mnt/night\\040shift rw - {kind} server:/export rw
23 22 8:2 / /mnt/night\\040shift/local rw shared:2 master:1 - xfs /dev/sdb1 rw
"""


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def made(path: Path) -> Path:
    """A ledger that an earlier run left, with enough in it to fill some pages."""
    with closing(database.open_to_write(path)) as db:
        facts = [(f"fact {n}", "x" * 200) for n in range(200)]
        db.executemany("INSERT INTO facts VALUES (?, ?)", facts)
    return path


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {version}")


def make_newer(path: Path) -> None:
    database.open_to_write(path).close()
    set_version(path, 99)


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE photos (name TEXT)")


def make_text(path: Path) -> None:
    path.write_text("id,prompt\n" * 10)


def make_short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3")


def make_damaged(path: Path) -> None:
    with closing(database.open_to_write(path)) as db:
        db.executemany("INSERT INTO facts VALUES (?, ?)", [(str(n), "x" * 200) for n in range(200)])
    with path.open("r+b") as file:
        # Among what was written last, so that opening it alone shows nothing.
        file.seek(-6 * 4096, os.SEEK_END)
        file.write(b"\xa5" * 4 * 4096)


def make_cut_off(path: Path) -> None:
    make_damaged(path)
    os.truncate(path, path.stat().st_size // 2)


REFUSED = [
    (make_newer, "was written by a newer batchfill (version 99): update it"),
    (make_foreign, "is another program's database; move it away"),
    (make_text, "is not a ledger; move it away"),
    (make_short, "is not a ledger; move it away"),
    (make_damaged, "is damaged"),
    (make_cut_off, "is damaged"),
]


def test_a_new_ledger_says_whose_it_is_and_of_which_version(path: Path) -> None:
    with closing(database.open_to_write(path)) as db:
        assert db.execute("PRAGMA application_id").fetchone()[0] == database.APPLICATION_ID
        assert db.execute("PRAGMA user_version").fetchone()[0] == database.list_migrations()[-1][0]


def test_the_writer_flushes_every_commit_to_disk(path: Path) -> None:
    with closing(database.open_to_write(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_a_file_that_cannot_be_used_is_refused_and_left_as_it_is(
    path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(path)
    before = bytes_of(path.parent)
    with pytest.raises(LedgerError) as caught:
        database.open_to_write(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert bytes_of(path.parent) == before


@pytest.mark.parametrize(("make", "message"), REFUSED[:4])
def test_a_reader_refuses_what_is_no_ledger_of_ours(
    path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(path)
    before = bytes_of(path.parent)
    with pytest.raises(LedgerError) as caught:
        database.open_to_read(path)
    assert message in str(caught.value)
    assert bytes_of(path.parent) == before


def test_damage_is_looked_for_where_opening_alone_would_not_meet_it(path: Path) -> None:
    make_damaged(path)
    database.open_to_read(path).close()
    with pytest.raises(LedgerError, match=r"is damaged \(.*\); nothing was changed\. Restore a copy"):
        database.open_to_write(path)


def test_a_reader_that_meets_damage_says_so(path: Path) -> None:
    make_damaged(path)
    with pytest.raises(LedgerError, match=r"cannot be read|damaged"), open_reader(path) as reader:
        reader.metadata()


async def test_a_ledger_that_is_refused_is_refused_by_its_writer_in_the_same_words(path: Path) -> None:
    make_foreign(path)
    with pytest.raises(LedgerError, match="another program's database"):
        async with open_ledger(path, lambda: 0.0):
            pass


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()
    database.open_to_write(path).close()
    database.open_to_read(path).close()


def test_without_a_ledger_the_reader_says_to_run_first(path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger here yet; run the batch first"):
        database.open_to_read(path)
    assert not path.exists()


def test_a_ledger_held_by_another_program_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.0)
    with closing(sqlite3.connect(made, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="held by another program"):
            database.open_to_write(made)


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the mount table say that /mnt/night shift is of a kind."""
    monkeypatch.setattr(sys, "platform", "linux")

    def mounts(kind: str) -> None:
        def read_text(path: Path, *encoding: str) -> str:
            assert path == Path("/proc/self/mountinfo")
            return MOUNTS.format(kind=kind)

        monkeypatch.setattr(Path, "read_text", read_text)

    return mounts


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "ceph"])
def test_a_network_file_system_is_refused(mounts: Callable[[str], None], kind: str) -> None:
    mounts(kind)
    with pytest.raises(LedgerError, match=rf"network file system \({kind}\).*give a folder .* with --out"):
        database.refuse_network(Path("/mnt/night shift/jobs/night.batch/ledger.sqlite"))


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "tmpfs", "overlay", "fuse.mergerfs", "fuseblk"])
def test_a_local_file_system_is_not(mounts: Callable[[str], None], kind: str) -> None:
    mounts(kind)
    database.refuse_network(Path("/mnt/night shift/jobs/night.batch/ledger.sqlite"))


@pytest.mark.parametrize("folder", ["/mnt/night shift/local/night.batch", "/mnt/other", "/"])
def test_the_deepest_mount_counts(mounts: Callable[[str], None], folder: str) -> None:
    mounts("nfs4")
    database.refuse_network(Path(folder) / "ledger.sqlite")


def test_nothing_is_made_on_a_network_file_system(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "_here", SimpleNamespace(file_system=lambda folder: "nfs4"))
    with pytest.raises(LedgerError, match="network file system"):
        database.open_to_write(path)
    assert not path.exists()


def test_a_reader_cannot_write(made: Path) -> None:
    with (
        closing(database.open_to_read(made)) as db,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        db.execute("DELETE FROM facts")


async def test_others_can_read_while_a_run_writes(
    ledger: Ledger, path: Path, take_in: Callable[..., Awaitable[Any]], row: Callable[..., Any]
) -> None:
    await take_in(row("hero"))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as person, open_reader(path) as reader:
        assert person.execute("SELECT id, state FROM results").fetchall() == [("hero", "pending")]
        await take_in(row("hero"), row("cat"))
        assert person.execute("SELECT count(*) FROM results").fetchone() == (2,)
        assert sum(reader.counts().values()) == 2


async def test_who_reads_for_long_sees_one_state_and_stops_no_writer(
    ledger: Ledger, path: Path, take_in: Callable[..., Awaitable[Any]], row: Callable[..., Any]
) -> None:
    await take_in(row("hero"), row("cat"))
    with open_reader(path) as reader:
        results = reader.results()
        assert next(results).id == "hero"
        await take_in(row("dog"))
        assert [result.id for result in results] == ["cat"]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """A folder that a test may close; it is opened again in the end."""
    folder = tmp_path / "archive"
    folder.mkdir()
    yield folder
    folder.chmod(0o700)


def facts_where_nothing_may_be_written(path: Path) -> dict[str, str]:
    def read() -> dict[str, str]:
        assert not os.access(path.parent, os.W_OK)
        with open_reader(path) as reader:
            return dict(reader.metadata())

    return obeying_modes(read)


@bound
def test_a_folder_that_cannot_be_written_is_readable(archive: Path) -> None:
    path = archive / "ledger.sqlite"
    with closing(database.open_to_write(path)) as db:
        db.execute("INSERT INTO facts VALUES ('manifest', 'night.csv')")
    path.chmod(0o444)
    archive.chmod(0o555)
    before = bytes_of(archive)
    assert facts_where_nothing_may_be_written(path) == {"manifest": "night.csv"}
    assert bytes_of(archive) == before


def test_a_folder_may_have_a_name_that_means_something_in_an_address(tmp_path: Path) -> None:
    folder = tmp_path / "café 100%41 #1&mode=rw"
    folder.mkdir()
    database.open_to_write(folder / "ledger.sqlite").close()
    database.open_to_read(folder / "ledger.sqlite").close()
    assert (folder / "ledger.sqlite").stat().st_size


NEXT = database.list_migrations()[-1][0] + 1
STEP = "CREATE TABLE pages (n INTEGER); INSERT INTO pages VALUES (1);"


def test_an_older_ledger_is_migrated_and_keeps_what_it_holds(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = database.list_migrations()
    monkeypatch.setattr(
        database, "list_migrations", lambda: (*steps, (NEXT, STEP), (NEXT + 1, "DELETE FROM pages;"))
    )
    for _ in range(2):
        with closing(database.open_to_write(made)) as db:
            assert db.execute("PRAGMA user_version").fetchone()[0] == NEXT + 1
            assert db.execute("SELECT count(*) FROM facts").fetchone()[0] == 200
            assert db.execute("SELECT count(*) FROM pages").fetchone()[0] == 0


def test_an_older_ledger_can_be_read_at_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.list_migrations()
    monkeypatch.setattr(database, "list_migrations", lambda: (*steps, (NEXT, STEP)))
    with open_reader(made) as reader:
        assert len(reader.metadata()) == 200
    with closing(database.open_to_read(made)) as db:
        assert db.execute("SELECT n FROM pages").fetchone()[0] == 1


def test_a_migration_that_fails_changes_nothing(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = database.list_migrations()
    broken = f"{STEP} INSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(database, "list_migrations", lambda: (*steps, (NEXT, broken)))
    with pytest.raises(LedgerError, match="nowhere"):
        database.open_to_write(made)
    with closing(sqlite3.connect(made)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == NEXT - 1
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'pages'").fetchone()[0] == 0


KILLED = """
import os, sys
from pathlib import Path
from batchfill.ledger import database as storage
from batchfill.ledger.reader import open_reader
db = storage.open_to_write(Path(sys.argv[1]))
db.execute("INSERT INTO facts VALUES ('manifest', 'night.csv')")
db.execute("BEGIN")
db.execute("INSERT INTO facts VALUES ('model', 'x/y')")
os._exit(0)
"""


def test_a_log_whose_ledger_is_missing_is_not_played_into_a_new_one(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=True, timeout=60)
    path.unlink()
    before = bytes_of(path.parent)
    with pytest.raises(LedgerError, match=r"is missing, and its log ledger\.sqlite-wal is there"):
        database.open_to_write(path)
    assert bytes_of(path.parent) == before


def test_a_ledger_that_a_killed_run_left_is_opened_with_all_it_committed(path: Path) -> None:
    """The log of the killed run is still beside the ledger."""
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=True, timeout=60)
    assert path.with_name("ledger.sqlite-wal").stat().st_size
    with open_reader(path) as reader:
        assert reader.metadata() == {"manifest": "night.csv"}
    with closing(database.open_to_write(path)) as db:
        assert db.execute("SELECT count(*) FROM facts").fetchone()[0] == 1


@bound
def test_an_archive_is_readable_when_somebody_looked_into_it_before(archive: Path) -> None:
    """SQLite leaves two small files beside a ledger that was only read."""
    path = archive / "ledger.sqlite"
    with closing(database.open_to_write(path)) as db:
        db.execute("INSERT INTO facts VALUES ('manifest', 'night.csv')")
    with open_reader(path) as reader:
        assert reader.metadata() == {"manifest": "night.csv"}
    archive.chmod(0o555)
    assert facts_where_nothing_may_be_written(path) == {"manifest": "night.csv"}


def test_the_log_of_a_large_import_does_not_stay(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOG_KEPT", 65_536)
    with closing(database.open_to_write(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO facts VALUES (?, ?)", ((f"fact {n}", "x" * 3000) for n in range(2000)))
        db.execute("COMMIT")
        log = path.with_name(f"{path.name}-wal")
        assert log.stat().st_size > 6_000_000
        db.execute("INSERT INTO facts VALUES ('a', 'b')")
        assert log.stat().st_size <= 65_536


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("database is locked", "close it and try again"),
        ("database or disk is full", "the disk is full; make room, or give a folder elsewhere with --out"),
        (
            "attempt to write a readonly database",
            "check the folder's permissions, or give another with --out",
        ),
    ],
)
def test_what_keeps_a_ledger_from_being_opened_is_told_with_a_way_out(text: str, way_out: str) -> None:
    assert way_out in database.in_words(sqlite3.OperationalError(text))
