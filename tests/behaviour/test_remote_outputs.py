"""Files in place are in the bucket of --outputs and nowhere else, whatever dies in the middle of puts."""

from __future__ import annotations

import signal
import sqlite3
import threading
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill.batch import Batch
from batchfill.emulator.faults.rules import Fault
from batchfill.errors import UsageError
from batchfill.ledger.base import LedgerBase
from batchfill.storage.remote_files import OWNERS
from batchfill.storage.remote_store import RemoteStore
from tests.support.batches import counts
from tests.support.bounds import HANGS
from tests.support.buckets import KEY, SECRET, Failure
from tests.support.ledgers import in_ledger
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.desk import Desk
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

ROOT = "s3://photos/night"
THERE = "photos/night/"
QUICK = ("--recover-wait", "0", "--rate", "100000")


def put(buckets: BucketServer) -> dict[str, str]:
    """Return the digest of each picture below --outputs by its name there."""
    return {key.removeprefix(THERE): sha256(buckets.objects[key]).hexdigest() for key in keys(buckets)}


def keys(buckets: BucketServer) -> list[str]:
    """Return where the pictures below --outputs are."""
    return sorted(key for key in buckets.objects if key.startswith(f"{THERE}outputs/"))


def here(night: Batch) -> dict[str, str]:
    """Return the digest of each file that is in place, by its name in the batch folder."""
    return {
        path.relative_to(night.folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in (night.folder / "outputs").rglob("*")
        if path.is_file()
    }


def known(night: Batch) -> dict[str, str]:
    """Return what the ledger says is there."""
    return dict(in_ledger(night, "SELECT file, put FROM remote_files WHERE put IS NOT NULL"))


def made(night: Batch) -> dict[str, str]:
    """Return the digest of each file that the ledger has a place for, by its name."""
    asked = "SELECT file, sha256 FROM outputs WHERE file IS NOT NULL"
    return dict(in_ledger(night, f"{asked} UNION SELECT raw, raw_sha256 FROM outputs WHERE raw IS NOT NULL"))


def is_there_alone(night: Batch, buckets: BucketServer) -> bool:
    """Whether every file is in the bucket as the ledger has it, and no file is here."""
    assert put(buckets) == made(night) == known(night)
    assert here(night) == {}
    return True


async def test_every_file_in_place_is_put_under_its_own_name(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer
) -> None:
    rows = desk.exact_rows(3, (64, 48), (16, 12, 40, 30), megapixels="0.25")
    night = batch(await service(tiny=False), rows, outputs=ROOT)

    summary = await night.run()

    assert summary.exit_code == 0
    assert len(put(buckets)) == 6
    assert is_there_alone(night, buckets)
    assert buckets.mimes[f"{THERE}outputs/r1.png"] == "image/png"


@pytest.mark.parametrize(
    "names",
    [
        {"r1": "r2", "r2": "r1"},
        {"r1": "r2", "r2": "r3", "r3": "r1"},
        {"r1": "r2", "r2": "r3", "r3": "r4", "r4": "r5"},
        {"r1": "x", "r4": "r1"},
    ],
    ids=["two swapped", "three in a circle", "a chain", "one takes another's name"],
)
async def test_what_is_renamed_is_so_in_the_bucket_though_it_is_nowhere_else(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, names: dict[str, str]
) -> None:
    provider, rows = await service(tiny=False), desk.rows(4)
    night = batch(provider, rows, outputs=ROOT)
    await night.run()
    before = {result.prompt: put(buckets)[result.outputs[0]] for result in night.results()}

    summary = await batch(provider, [row | {"id": names.get(row["id"], row["id"])} for row in rows]).run()

    assert (summary.exit_code, len(provider.predictions()), len(set(before.values()))) == (0, 4, 4)
    assert {result.prompt: put(buckets)[result.outputs[0]] for result in night.results()} == before
    assert is_there_alone(night, buckets)


async def test_what_another_file_replaces_is_kept_in_the_bucket_though_it_is_nowhere_else(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer
) -> None:
    provider, rows = await service(tiny=False), desk.rows(2)
    night = batch(provider, rows, outputs=ROOT)
    await night.run()
    before = put(buckets)
    rows[1]["prompt"] = "another"

    await batch(provider, rows).run(confirm=lambda plan: True)

    now = put(buckets)
    earlier = [now[file] for file in now if file.startswith("outputs/earlier/")]
    assert earlier == [digest for file, digest in before.items() if file.startswith("outputs/r2.")]
    assert len(set(now.values())) == 3
    assert is_there_alone(night, buckets)


async def test_what_is_replaced_is_not_overwritten_while_it_cannot_be_read(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, storage_retries=(0.01,))
    provider, rows = await service(tiny=False), desk.rows(1)
    night = batch(provider, rows, outputs=ROOT)
    await night.run()
    before = put(buckets)
    rows[0]["prompt"] = "another"
    night = batch(provider, rows)
    buckets.fail = lambda kind, place: Failure(503) if kind == "get" else None

    first = await night.run(confirm=lambda plan: True)
    there = put(buckets)
    buckets.fail = lambda kind, place: None
    again = await night.run()

    assert (first.exit_code, there, again.exit_code) == (3, before, 0)
    assert set(before.values()) < set(put(buckets).values())
    assert is_there_alone(night, buckets)


async def test_a_batch_begun_without_a_bucket_is_put_there_once_one_is_named(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    night = batch(provider, 3)
    await night.run()
    assert buckets.asked == {}

    again = await batch(provider, 3, outputs=f"{ROOT}/").run()

    assert (again.submitted_now, again.exit_code) == (0, 0)
    assert is_there_alone(night, buckets)


async def test_another_bucket_at_a_later_start_is_refused(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    await batch(provider, 1, outputs=ROOT).run()

    with pytest.raises(UsageError) as caught:
        await batch(provider, outputs="s3://photos/day/").run()

    assert str(caught.value) == (
        "night.batch puts its files into s3://photos/night/, and this command says s3://photos/day/: "
        "leave --outputs out to go on"
    )


async def test_a_bucket_that_does_not_list_what_was_put_is_no_batchs_own(
    service: Serve, batch: Open, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, question_retries=())
    real = RemoteStore.list_objects

    def lag(store: RemoteStore, prefix: str, **how: Any) -> Any:
        return iter(()) if prefix.endswith(OWNERS) else real(store, prefix, **how)

    monkeypatch.setattr(RemoteStore, "list_objects", lag)
    provider = await service()
    with pytest.raises(UsageError, match="is not listed after it was written"):
        await batch(provider, 1, outputs=ROOT).run()
    assert provider.predictions() == []


@pytest.mark.parametrize("obeys", [True, False], ids=["create-only", "overwrites"])
async def test_of_two_batches_that_begin_at_once_at_most_one_has_the_bucket(
    service: Serve, batch: Open, buckets: BucketServer, obeys: bool
) -> None:
    buckets.obeys_conditions = obeys
    provider = await service()
    nights = [batch(provider, 2, outputs=ROOT, name=f"{name}.csv") for name in ("one", "other")]
    # Both have found the bucket empty, before the first of them puts its name there.
    both = threading.Barrier(2)

    def meet(kind: str, place: str) -> None:
        if kind == "put" and OWNERS in place:
            both.wait(HANGS)

    buckets.fail = meet
    told: list[str] = []

    async def run(night: Batch) -> None:
        try:
            await night.run()
        except UsageError as error:
            told.append(str(error))

    async with anyio.create_task_group() as tasks:
        for night in nights:
            tasks.start_soon(run, night)

    owners = [night for night in nights if counts(night) == {"done": 2}]
    assert len(owners) + len(told) == 2
    assert len(provider.predictions()) == 2 * len(owners) <= 2
    assert all("another batch has s3://photos/night/, or begins there now" in text for text in told)
    assert all(is_there_alone(night, buckets) for night in owners)
    # Those that were refused have left nothing that keeps a later one from it.
    buckets.fail = lambda kind, place: None
    if not owners:
        assert (await nights[0].run()).exit_code == 0
        assert is_there_alone(nights[0], buckets)


@pytest.mark.parametrize("pictures", ["there", "removed"])
async def test_the_bucket_of_another_batch_is_refused_before_anything_is_paid_for(
    service: Serve, batch: Open, buckets: BucketServer, pictures: str
) -> None:
    provider = await service()
    await batch(provider, 1, outputs=ROOT).run()
    if pictures == "removed":
        for key in keys(buckets):
            del buckets.objects[key]

    with pytest.raises(UsageError, match=r"--outputs: .*: give an address of its own"):
        await batch(provider, 1, outputs=ROOT, name="other.csv").run()
    assert len(provider.predictions()) == 1

    for key in [key for key in buckets.objects if key.startswith(THERE)]:
        del buckets.objects[key]
    assert (await batch(provider, outputs=ROOT).run()).exit_code == 0


async def test_no_manifest_says_where_files_are_put(batch: Open) -> None:
    with pytest.raises(UsageError, match="outputs cannot be set in a manifest"):
        await batch("https://provider.test/v1", 1, head={"outputs": ROOT}).run()


async def test_a_rehearsal_puts_nothing(batch: Open, buckets: BucketServer) -> None:
    await batch(None, 1, local=True, outputs=ROOT).run()

    assert buckets.asked == {}


@pytest.mark.parametrize("kind", ["put", "head", "delete"])
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(403, "AccessDenied"), "the credentials in the environment have no right to that"),
        (Failure(503, "SlowDown"), "the storage answers 503 SlowDown"),
    ],
    ids=str,
)
async def test_a_bucket_that_takes_nothing_is_told_before_anything_is_paid_for(
    service: Serve,
    batch: Open,
    buckets: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    failure: Failure,
    words: str,
) -> None:
    set_timings(monkeypatch, question_retries=())
    provider = await service()
    buckets.fail = lambda asked, place: failure if asked == kind else None

    with pytest.raises(
        UsageError, match=r"--outputs: s3://photos/night/batchfill-probe-[0-9a-f]{8} cannot"
    ) as caught:
        await batch(provider, 1, outputs=ROOT).run()

    assert words in str(caught.value) or kind == "head"
    assert provider.predictions() == []


async def test_what_was_paid_for_is_fetched_though_the_bucket_takes_nothing_any_more(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    provider.faults.add(Fault("get", "status", options={"status": 401}))
    night = batch(provider, 2, outputs=ROOT)
    await night.run()
    provider.faults.clear()
    buckets.fail = lambda kind, place: Failure(403, "ExpiredToken")

    refused = await night.run()
    buckets.fail = lambda kind, place: None
    again = await night.run()

    assert (refused.exit_code, again.exit_code, len(provider.predictions())) == (3, 0, 2)
    assert "the credentials in the environment have expired" in (refused.stopped_because or "")
    assert is_there_alone(night, buckets)


async def test_a_cancel_does_not_wait_for_the_bucket(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    night = batch(provider, 1, outputs=ROOT)
    await night.run()
    buckets.fail = lambda kind, place: Failure(403, "AccessDenied")

    assert (await night.cancel()).exit_code == 0


async def test_a_bucket_that_does_not_answer_is_given_its_files_by_the_next_run(
    service: Serve, batch: Open, buckets: BucketServer, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, storage_retries=(0.01, 0.01))
    buckets.fail = lambda kind, place: Failure(503) if kind == "put" and "/outputs/r" in place else None
    night = batch(await service(), 2, outputs=ROOT)

    first = await night.run(watch=ears)
    states, kept = counts(night), here(night)
    told = (await night.check(outputs=True)).notes[-1]
    buckets.fail = lambda kind, place: None
    again = await night.run()

    assert (first.exit_code, states, again.exit_code) == (3, {"done": 2}, 0)
    assert kept == made(night)
    assert "2 files are not in s3://photos/night/ yet: the next run puts what is left" in ears.texts
    assert told == "2 files are in the batch folder still: the next run puts them into s3://photos/night/"
    assert is_there_alone(night, buckets)


async def test_a_bucket_that_was_silent_for_a_while_is_given_in_the_same_run_what_it_missed(
    service: Serve, batch: Open, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, storage_retries=(0.01,))

    def fail(kind: str, place: str) -> Failure | None:
        later = any("/r4." in key for key in buckets.objects)
        return Failure(503) if kind == "put" and "/r1." in place and not later else None

    buckets.fail = fail
    night = batch(await service(), 4, outputs=ROOT, concurrency=1)

    assert (await night.run()).exit_code == 0
    assert is_there_alone(night, buckets)


async def test_lost_rights_end_submitting_and_every_picture_is_kept_here(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    buckets.fail = lambda kind, place: Failure(403) if kind == "put" and "/outputs/" in place else None
    night = batch(provider, 6, outputs=ROOT, concurrency=1)

    summary = await night.run()

    paid = len(provider.predictions())
    assert summary.exit_code == 3
    assert paid < 6
    assert counts(night) == {"done": paid, "pending": 6 - paid}
    assert here(night) == made(night)
    assert "cannot be written" in (summary.stopped_because or "")


@pytest.mark.parametrize("work", [None, b"my own work"], ids=["removed", "changed"])
async def test_what_the_user_did_to_a_file_is_not_put(
    service: Serve, batch: Open, buckets: BucketServer, work: bytes | None
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    (mine,) = (night.folder / "outputs").glob("r1.*")
    mine.unlink() if work is None else mine.write_bytes(work)

    summary = await batch(provider, outputs=ROOT).run()

    assert summary.exit_code == 0
    assert [name.partition(".")[0] for name in put(buckets)] == ["outputs/r2"]


async def test_files_are_compared_with_the_ledger_without_reading_one(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    night = batch(await service(), 3, outputs=ROOT)
    await night.run()
    buckets.asked.clear()

    told = (await night.check(outputs=True)).notes

    assert told[-1] == "every one of 3 files is in place in s3://photos/night/ and as it was fetched"
    assert buckets.asked == {"list": 1}


async def test_check_tells_missing_damaged_changed_and_extra_objects_apart(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer
) -> None:
    night = batch(await service(), 4, outputs=ROOT)
    await night.run()
    r1, r2, r3, _ = keys(buckets)
    del buckets.objects[r1]
    buckets.objects[r2] = bytes(len(buckets.objects[r2]))
    buckets.objects[r3] = (desk.folder / "images" / "a.png").read_bytes()
    buckets.put("night/outputs/mine.txt", b"a note")

    told = (await night.check(outputs=True)).notes

    assert [line.partition(".")[0] for line in told[-6:]] == [
        "missing: outputs/r1",
        "damaged: outputs/r2",
        "changed: outputs/r3",
        "extra: outputs/mine",
        "`run --retry missing` fetches missing and damaged files again, if s3://photos/night/ or the service "
        "has them",
        "changed pictures are taken for your own work and left alone: remove one to miss it",
    ]


async def test_an_object_that_was_put_once_more_with_another_tag_is_as_it_was(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    night = batch(await service(), 1, outputs=ROOT)
    await night.run()
    with closing(sqlite3.connect(night.folder / "ledger.sqlite")) as db, db:
        db.execute("UPDATE remote_files SET etag = 'of a put in parts'")

    assert (await night.check(outputs=True)).notes[-1].startswith("every one of 1 files is in place")
    assert buckets.asked["get"] == 1


@pytest.mark.parametrize("damage", [None, b"half a pict"], ids=["removed", "damaged"])
async def test_a_file_that_the_bucket_has_lost_is_fetched_from_the_service_and_not_paid_for(
    service: Serve, batch: Open, buckets: BucketServer, damage: bytes | None
) -> None:
    provider = await service()
    night = batch(provider, 2, outputs=ROOT)
    await night.run()
    lost = next(key for key in buckets.objects if "/r1." in key)
    del buckets.objects[lost]
    if damage is not None:
        buckets.objects[lost] = damage

    summary = await batch(provider, retry="missing").run()

    assert (summary.exit_code, counts(night), len(provider.predictions())) == (0, {"done": 2}, 2)
    assert is_there_alone(night, buckets)


async def test_a_bucket_that_cannot_be_asked_for_lost_files_keeps_them_from_being_made_again(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    night = batch(provider, 1, outputs=ROOT)
    await night.run()
    buckets.fail = lambda kind, place: Failure(403) if kind == "head" and "/outputs/" in place else None

    with pytest.raises(UsageError, match=r"outputs/r1\.\w+ cannot be asked for: "):
        await batch(provider, retry="missing").run()


@pytest.mark.parametrize("away", [False, True], ids=["the bucket has it", "the bucket has lost it"])
async def test_what_a_run_that_died_left_here_goes_once_the_bucket_says_that_it_has_it(
    service: Serve, batch: Open, buckets: BucketServer, away: bool
) -> None:
    provider = await service()
    night = batch(provider, 2, outputs=ROOT)
    await night.run()
    left = next(key for key in buckets.objects if "/r1." in key)
    (night.folder / left.removeprefix(THERE)).write_bytes(buckets.objects[left])
    if away:
        del buckets.objects[left]

    await night.run()

    assert is_there_alone(night, buckets)


async def test_a_ledger_that_is_lost_is_made_again_of_what_the_bucket_has(
    service: Serve, batch: Open, buckets: BucketServer, ears: Ears
) -> None:
    provider = await service()
    night = batch(provider, 2, outputs=ROOT)
    await night.run()
    for path in night.folder.glob("ledger.sqlite*"):
        path.unlink()
    provider.faults.add(Fault("get", "status", options={"status": 404}))

    summary = await night.run(watch=ears)

    assert (summary.exit_code, len(provider.predictions())) == (0, 2)
    assert "found again, and not paid for twice: 2 rows that the ledger did not know" in ears.texts
    assert is_there_alone(night, buckets)


async def test_a_run_whose_batch_another_machine_may_have_changes_nothing_in_the_bucket(
    service: Serve, batch: Open, buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, storage_retries=(0.01,))
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    night = batch(provider, outputs=ROOT)

    with monkeypatch.context() as patched:
        patched.setattr(LedgerBase, "may_pay", lambda self: False)
        first = await night.run()
    there = put(buckets)
    again = await night.run()

    assert (first.exit_code, there, again.exit_code) == (3, {}, 0)
    assert is_there_alone(night, buckets)


async def test_an_address_that_has_the_pictures_of_another_batch_is_refused(
    service: Serve, batch: Open, buckets: BucketServer
) -> None:
    provider = await service()
    buckets.put("night/outputs/r1.webp", b"of another batch")

    with pytest.raises(UsageError) as caught:
        await batch(provider, 1, outputs=ROOT).run()

    assert str(caught.value) == (
        "--outputs: s3://photos/night/ holds outputs/r1.webp, which is none of this batch: "
        "give an address of its own"
    )
    assert provider.predictions() == []


async def test_no_secret_of_the_storage_is_in_any_file_or_message(
    service: Serve, batch: Open, buckets: BucketServer, ears: Ears
) -> None:
    buckets.fail = lambda kind, place: Failure(403, "AccessDenied") if "/outputs/r2" in place else None
    night = batch(await service(), 2, outputs=ROOT)

    summary = await night.run(watch=ears)

    written = b"".join(path.read_bytes() for path in night.folder.rglob("*") if path.is_file())
    told = " ".join([*ears.texts, str(summary)])
    for secret in (KEY, SECRET, "X-Amz"):
        assert secret.encode() not in written
        assert secret not in told


@pytest.mark.parametrize("taken", [True, False], ids=["the put was taken", "the put was not taken"])
async def test_a_run_that_is_killed_in_the_middle_of_puts_is_put_right_by_the_next(
    service: Serve, desk: Desk, buckets: BucketServer, batchfill: Any, taken: bool
) -> None:
    provider, rows = await service(), 6
    night = desk.write(desk.rows(rows))
    batchfill.environ |= buckets.environment
    command = ("run", night.name, "--base-url", provider.base, "--outputs", ROOT, *QUICK)
    killed: list[str] = []
    running: list[Any] = []
    one_at_a_time = threading.Lock()

    def kill(kind: str, place: str) -> Failure | None:
        with one_at_a_time:
            # Several puts of one run are on their way together.
            if kind != "put" or "/outputs/" not in place or len(killed) == len(running) or place in killed:
                return None
            killed.append(place)
        running[-1].signal(signal.SIGKILL)
        return None if taken else Failure(500)

    buckets.fail = kill
    for _ in range(3):
        running.append(await batchfill.start(*command))
        assert (await running[-1].ended()).code == -signal.SIGKILL
    # What was on its way under another name is known still.
    desk.write([row | {"id": f"new-{row['id']}"} for row in desk.rows(rows)])

    ran = await batchfill(*command)

    assert (ran.code, provider.billed) == (0, rows), ran.err
    assert is_there_alone(Batch.open(night), buckets)
    assert len(put(buckets)) == rows
