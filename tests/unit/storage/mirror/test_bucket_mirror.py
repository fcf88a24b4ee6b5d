from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from batchfill.errors import NoAnswer, TakenOver, UsageError
from batchfill.storage.mirror import bucket_mirror, mirror_bucket
from batchfill.storage.mirror.bucket_mirror import BucketMirror, _Moment
from batchfill.storage.mirror.mirror_bucket import MirrorBucket
from batchfill.storage.mirror.mirror_entries import EntryPlace, MirrorEntry, pack_entry
from batchfill.storage.mirror.mirror_history import (
    MirrorHistory,
    close_generation,
    prove_create_only,
    read_history,
    rebuild_ledger,
)
from tests.support.buckets import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.buckets import BucketServer

ADDRESS = "s3://photos/night/"
FRAMES = b"\0\0\2\0\0\0\0\1" + b"\0\0\0\1" + b"p" * 512
"""One page of a ledger of one page."""


@pytest.fixture
def bucket(buckets: BucketServer, monkeypatch: pytest.MonkeyPatch) -> MirrorBucket:
    monkeypatch.setattr(mirror_bucket, "_RETRIES", {"max_retries": 0})
    return MirrorBucket(ADDRESS)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "some.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")
    return path


@pytest.fixture
def mirror(bucket: MirrorBucket, ledger: Path) -> BucketMirror:
    begun = BucketMirror(bucket, "aa", 1, lease=10.0)
    begun.put_copy(ledger, 0)
    return begun


def end_of(bucket: MirrorBucket) -> MirrorHistory:
    history = read_history(bucket)
    assert history is not None
    return history


def rebuilt(bucket: MirrorBucket) -> bytes:
    file = io.BytesIO()
    rebuild_ledger(bucket, end_of(bucket), file)
    return file.getvalue()


def test_a_copy_and_the_pages_behind_it_make_the_ledger(
    bucket: MirrorBucket, mirror: BucketMirror, ledger: Path
) -> None:
    assert rebuilt(bucket) == ledger.read_bytes()

    mirror.put_commits(FRAMES, 1)

    assert rebuilt(bucket) == b"p" * 512
    assert (end_of(bucket).place, end_of(bucket).entry.commits) == (EntryPlace(1, 2), 1)


@pytest.mark.parametrize("meanwhile", [0, 1, 3])
def test_closing_ends_the_run_at_its_next_commit_however_far_it_came(
    bucket: MirrorBucket, mirror: BucketMirror, meanwhile: int
) -> None:
    history = end_of(bucket)
    for commits in range(meanwhile):
        mirror.put_commits(FRAMES, commits + 1)

    closed = close_generation(bucket, history, "bb")

    assert (closed.place.number, closed.entry.commits) == (1 + meanwhile, meanwhile)
    with pytest.raises(TakenOver, match="another run has taken the batch over"):
        mirror.put_commits(FRAMES, meanwhile + 1)
    assert not end_of(bucket).entry.closes
    assert end_of(bucket).closing == closed.closing


def test_of_two_that_close_a_generation_one_is_told_of_the_other(
    bucket: MirrorBucket, mirror: BucketMirror
) -> None:
    history = end_of(bucket)

    ours, theirs = close_generation(bucket, history, "bb"), close_generation(bucket, history, "cc")

    assert ours.closing is not None
    assert ours.closing.run == "bb"
    assert theirs.closing == ours.closing


def test_of_two_runs_that_begin_a_generation_one_goes_on(
    bucket: MirrorBucket, mirror: BucketMirror, ledger: Path
) -> None:
    BucketMirror(bucket, "bb", 2, lease=10.0).put_copy(ledger, 0)

    won = ledger.read_bytes()
    ledger.write_bytes(b"the other's")

    with pytest.raises(TakenOver):
        BucketMirror(bucket, "cc", 2, lease=10.0).put_copy(ledger, 0)
    assert rebuilt(bucket) == won


def test_what_had_no_answer_is_put_again_before_anything_else(
    bucket: MirrorBucket, mirror: BucketMirror, buckets: BucketServer
) -> None:
    buckets.fail = lambda kind, place: Failure(503)
    with pytest.raises(NoAnswer):
        mirror.put_commits(FRAMES, 1)
    buckets.fail = lambda kind, place: None

    mirror.put_commits(FRAMES, 2)

    assert (end_of(bucket).place.number, end_of(bucket).entry.commits) == (3, 2)


def test_an_entry_that_came_although_its_answer_was_lost_is_this_runs_own(
    bucket: MirrorBucket, mirror: BucketMirror, buckets: BucketServer
) -> None:
    def told(place: str) -> None:
        raise Failure(500)

    buckets.told = told
    with pytest.raises(NoAnswer):
        mirror.put_commits(FRAMES, 1)
    buckets.told = lambda place: None

    mirror.put_again()

    assert (end_of(bucket).place.number, end_of(bucket).entry.commits) == (2, 1)


def test_a_run_may_pay_for_so_long_as_its_last_entry_was_begun_within_the_lease(
    mirror: BucketMirror, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, steady = [1000.0], [50.0]
    monkeypatch.setattr(_Moment, "now", lambda: _Moment(wall[0], steady[0]))
    may = []

    mirror.put_commits(FRAMES, 1)
    # Seconds by both clocks: on time, late, asleep, a clock that was put back.
    for passed, counted in ((9, 9), (11, 11), (11, 0), (-1, 9)):
        wall[0], steady[0] = 1000.0 + passed, 50.0 + counted
        may.append(mirror.may_pay())

    assert may == [True, False, False, False]


def test_an_entry_that_may_have_come_long_ago_gives_no_new_lease(
    mirror: BucketMirror, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [50.0]
    monkeypatch.setattr(_Moment, "now", lambda: _Moment(1000.0, clock[0]))

    def told(place: str) -> None:
        raise Failure(500)

    buckets.told = told
    with pytest.raises(NoAnswer):
        mirror.put_commits(FRAMES, 1)
    buckets.told = lambda place: None
    clock[0] += 60  # the machine slept, and another run may have taken the batch over

    mirror.put_again()

    assert not mirror.may_pay()


def test_a_run_that_slept_puts_neither_its_last_entry_nor_its_next_one_once_all_is_cleared(
    bucket: MirrorBucket, mirror: BucketMirror, buckets: BucketServer, ledger: Path
) -> None:
    for commits in range(1, 6):
        mirror.put_commits(FRAMES, commits)
    close_generation(bucket, end_of(bucket), "bb")
    new = BucketMirror(bucket, "bb", 2, lease=10.0)
    new.put_copy(ledger, 0)
    new.remove_old()

    assert [name for name in bucket.list_names() if name.startswith("000001/")] == [
        "000001/0000000006",
        "000001/0000000007",
    ]
    with pytest.raises(TakenOver):
        mirror.put_commits(FRAMES, 6)


def test_pages_that_were_put_while_a_copy_was_made_are_put_over_it(
    bucket: MirrorBucket, mirror: BucketMirror, ledger: Path
) -> None:
    behind = mirror.last
    mirror.put_commits(FRAMES, 1)
    kept = mirror.keep_copy(ledger, behind=behind)
    mirror.use_copy(kept)
    mirror.put_commits(b"", 1)
    mirror.remove_old()

    assert rebuilt(bucket) == b"p" * 512


@pytest.mark.parametrize(("most", "bytes_", "due"), [(3, 10**9, True), (99, 10, True), (99, 10**9, False)])
def test_a_copy_is_due_after_so_many_entries_or_bytes(
    mirror: BucketMirror, monkeypatch: pytest.MonkeyPatch, most: int, bytes_: int, due: bool
) -> None:
    monkeypatch.setattr(bucket_mirror, "MOST_ENTRIES", most)
    monkeypatch.setattr(bucket_mirror, "LEAST_BYTES", bytes_)
    mirror._copied = 0
    for commits in range(4):
        mirror.put_commits(FRAMES, commits)

    assert mirror.copy_due is due


def test_a_storage_that_makes_objects_only_where_there_are_none_passes(
    bucket: MirrorBucket, buckets: BucketServer
) -> None:
    prove_create_only(bucket)

    assert buckets.objects == {}


@pytest.mark.parametrize("lost", [1, 2])
def test_a_storage_that_loses_an_answer_to_its_trial_passes(buckets: BucketServer, lost: int) -> None:
    puts: list[str] = []

    def told(place: str) -> None:
        puts.append(place)
        if len(puts) == lost:
            raise Failure(500)

    buckets.told = told

    prove_create_only(MirrorBucket(ADDRESS))


def test_a_storage_that_overwrites_is_refused(bucket: MirrorBucket, buckets: BucketServer) -> None:
    buckets.obeys_conditions = False

    with pytest.raises(UsageError, match="If-None-Match"):
        prove_create_only(bucket)


@pytest.mark.parametrize("gone", ["000001/0000000001-aa.ledger", "000001/0000000001"])
def test_a_mirror_of_which_a_part_is_gone_or_another_is_said(
    bucket: MirrorBucket, mirror: BucketMirror, buckets: BucketServer, gone: str
) -> None:
    mirror.put_commits(FRAMES, 1)
    buckets.objects[f"photos/night/{gone}"] = b"something else"

    if gone.endswith(".ledger"):
        with pytest.raises(UsageError, match="the mirror is not whole"):
            rebuilt(bucket)
    else:
        assert rebuilt(bucket) == b"p" * 512


def test_an_end_of_another_kind_is_told_by_its_own_words() -> None:
    for_good = pack_entry(MirrorEntry(run="aa", host="h", at=0, closes=True, for_good=True))

    assert "no more since 1970-01-01" in bucket_mirror.tell_owner(for_good, ADDRESS)
    assert "another program" in bucket_mirror.tell_owner(b"?", ADDRESS)
