"""The ledger's file: recognised, created, migrated, and refused where it could be harmed."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from batchfill.errors import LedgerError
from batchfill.ledger import damage
from batchfill.systems import NETWORK_DRIVE, here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION_ID = 0x62666C6C
"""`bfll`: says whose file it is."""

MARKS = ("application_id", "user_version")
LOCK_TIMEOUT = 5.0
"""Seconds to wait for another program that holds the ledger."""

RUN_LOCK_TIMEOUT = 30.0
"""The same while a batch runs, when the answer to a submission may be waiting to be recorded."""

LOG_KEPT = 16 * 1024 * 1024
"""Bytes of the log that stay when it is begun again; a large import makes it as large as the ledger."""

NETWORK_SYSTEMS = re.compile(
    r"^(nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|ceph|lustre|gfs2?|glusterfs|9p|davfs|fuse\.(sshfs|glusterfs|s3fs|rclone"
    rf"|gcsfuse|davfs2?|smbnetfs|ceph.*)|{NETWORK_DRIVE})$"
)


@cache
def list_migrations() -> tuple[tuple[int, str], ...]:
    """Return every schema step as (version, script), in order."""
    steps = [p for p in files(__package__).joinpath("schema").iterdir() if p.name.endswith(".sql")]
    return tuple(sorted((int(step.name.removesuffix(".sql")), step.read_text("utf-8")) for step in steps))


def open_to_write(path: Path, *, checked: bool = True) -> sqlite3.Connection:
    """Open the ledger's one writing connection, made or migrated as needed.

    Raises LedgerError, with nothing changed, for a newer, foreign, damaged or remote file; not *checked*:
    damage is found only where it is met.
    """
    refuse_network(path)
    if is_there(path):
        with closing(open_to_read(path, alone=True)) as db:
            if checked:
                _refuse_damage(db, path)
    elif _has_log(path):
        # SQLite would play it into the new ledger.
        raise LedgerError(
            f"{path}: is missing, and its log {_log_path(path).name} is there: restore the ledger, "
            "or move its log away"
        )
    try:
        if not is_there(path):
            _create_ledger(path)
        flush_name(path)
        return _open_ledger(path)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"{path}: {in_words(error)}") from error


def is_there(path: Path) -> bool:
    """Whether something stands at *path*; an empty file is nothing. Raises LedgerError when unknown."""
    return _size(path) > 0


def open_to_read(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Open a connection that can only read. Raises LedgerError when *path* is not a ledger of ours.

    *alone*: no other program writes it meanwhile, so that reading need not leave SQLite's side files behind.
    """
    if not is_there(path):
        raise LedgerError(f"{path}: no ledger here yet; run the batch first")
    _refuse_foreign(path)
    try:
        db = _connect_to(_open_address(path, alone=alone))
        with _closed_on_error(db):
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA query_only = ON")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            _refuse_marks(path, *_read_marks(db))
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: {in_words(error)}") from error
    return db


def is_older(db: sqlite3.Connection) -> bool:
    """Whether an older batchfill wrote the ledger, so that parts of it are not there yet."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version < list_migrations()[-1][0]


def refuse_network(path: Path) -> None:
    """Raise LedgerError when *path* lies on a network file system, where locks cannot be trusted."""
    kind = here().file_system(path.parent)
    if NETWORK_SYSTEMS.match(kind):
        raise LedgerError(
            f"{path.parent} is on a network file system ({kind}), where a ledger can be damaged: "
            "give a folder on a local disk with --out"
        )


def _create_ledger(path: Path) -> None:
    """Make a ledger under another name first: one that is half made would be taken for a foreign file."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with closing(_connect_to(_path_uri(unfinished))) as db:
        _migrate_schema(db)
    here().replace_file(unfinished, path)


def flush_name(path: Path) -> None:
    # A ledger that has lost its name in a power failure has forgotten all, whatever its commits flushed; and
    # the program that gave it the name may have died at once.
    here().flush_folder(path.parent)


def _open_ledger(path: Path) -> sqlite3.Connection:
    db = _connect_to(_path_uri(path))
    with _closed_on_error(db):
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        # FULL: an intent survives a power cut, which NORMAL does not promise in WAL mode.
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
        _migrate_schema(db)
        # Whether another program writes it is found out now, when nothing is lost by giving up.
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")
        db.execute(f"PRAGMA busy_timeout = {RUN_LOCK_TIMEOUT * 1000:.0f}")
    return db


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise


def _migrate_schema(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for number, script in list_migrations():
        if number > version:
            stamp = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
            db.executescript(f"BEGIN IMMEDIATE; {script} {stamp} COMMIT;")


def _connect_to(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=LOCK_TIMEOUT, check_same_thread=False
    )
    with _closed_on_error(db):
        _read_schema(db)
    return db


def _read_schema(db: sqlite3.Connection) -> None:
    """Have SQLite read what the database is made of, which it puts off until a statement asks for it."""
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except UnicodeDecodeError as error:
        # It names what it cannot read in the bytes of the file, and Python takes them for text.
        raise sqlite3.DatabaseError(error.object.decode("utf-8", "replace")) from error


def _path_uri(path: Path) -> str:
    return f"file:{quote(str(path.resolve()))}"


def _open_address(path: Path, *, alone: bool) -> str:
    address = f"{_path_uri(path)}?mode=ro"
    # A ledger in a folder that cannot be written (an archive) opens only as immutable; safe without a log.
    archived = not _log_path(path).exists() and not os.access(path.parent, os.W_OK)
    immutable = archived or (alone and not _has_log(path))
    return f"{address}&immutable=1" if immutable else address


def _log_path(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _has_log(path: Path) -> bool:
    """Whether the file alone may not be all of the ledger: a run writes it, or was killed."""
    return _size(_log_path(path)) > 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        # To take it for missing would be to begin a second ledger, and to pay for everything again.
        raise LedgerError(f"{path}: {in_words(error)}") from error


def _refuse_foreign(path: Path) -> None:
    # Through SQLite, as immutable to make no files next to it. Never with open(): closing a file takes
    # away the locks that this process has on it, and the next reader to end removes the log under us.
    try:
        with closing(_connect_to(f"{_path_uri(path)}?mode=ro&immutable=1")) as db:
            marks = _read_marks(db)
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            text = "is not a ledger; move it away, or give another folder with --out"
        elif _has_log(path):
            # A full disk may have ended the playing in of the log half way: the file is whole with it only.
            return
        else:
            text = in_words(error)
        raise LedgerError(f"{path}: {text}") from error
    if not _has_log(path):
        _refuse_marks(path, *marks)


def _read_marks(db: sqlite3.Connection) -> list[int]:
    return [db.execute(f"PRAGMA {mark}").fetchone()[0] for mark in MARKS]


def _refuse_marks(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        raise LedgerError(
            f"{path}: is another program's database; move it away, or give another folder with --out"
        )
    if version > list_migrations()[-1][0]:
        raise LedgerError(f"{path}: was written by a newer batchfill (version {version}): update it")


def _refuse_damage(db: sqlite3.Connection, path: Path) -> None:
    try:
        found = damage.find(db, list_migrations()) or damage.find_in_log(_log_path(path))
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found:
        raise LedgerError(
            f"{path}: is damaged ({' '.join(found.split())}); nothing was changed. "
            f"Restore a copy of the folder, or save what it holds with: sqlite3 {path.name} .recover"
        )


def in_words(error: sqlite3.Error | OSError) -> str:
    """Return what *error*, met at a ledger, means to a person, to stand behind the ledger's name."""
    if isinstance(error, PermissionError):
        return f"cannot be opened ({error.strerror}); check the folder's permissions, or ask its owner"
    if isinstance(error, OSError):
        return f"cannot be used ({error.strerror}); see to that, or give another folder with --out"
    text = str(error)
    if "locked" in text:
        return "is held by another program; close it and try again"
    # SQLite's own word for damage is of this very class; what else it trips over names its surprise.
    if type(error) is sqlite3.DatabaseError or any(sign in text for sign in damage.SIGNS):
        return f"is damaged ({' '.join(text.split())}); restore a copy of the folder"
    if "readonly" in text or "unable to open" in text:
        return f"cannot be written ({text}); check the folder's permissions, or give another with --out"
    if "full" in text:
        return "cannot be written: the disk is full; make room, or give a folder elsewhere with --out"
    return f"cannot be used ({text})"
