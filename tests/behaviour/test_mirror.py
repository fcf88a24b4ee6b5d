"""A batch whose machine is lost goes on elsewhere, from the mirror of its ledger in a bucket."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.errors import ManifestError, TakenOver, UsageError
from batchfill.ledger.mirrored import log_frames, mirrored_commits
from batchfill.storage.mirror import bucket_mirror
from batchfill.storage.mirror.mirror_entries import MirrorEntry, pack_entry
from tests.support import ledgers
from tests.support.batches import counts, pictures
from tests.support.buckets import Failure
from tests.support.timings import set_timings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.buckets import BucketServer
    from tests.support.desk import Desk
    from tests.support.listeners import Ears

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

MIRROR = "s3://photos/night/"
SOON = ("--recover-wait", "0", "--answer-timeout", "5", "--rate", "100000")
KILLS = 4


@pytest.fixture
def no_wait(hurry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take over at once: nothing is about to be sent. Look soon whether a storage answers again."""
    monkeypatch.setattr(mirrored_commits, "AGAIN_EVERY", 0.05)

    async def at_once(seconds: float) -> None:
        """Wait for nothing."""

    monkeypatch.setattr("batchfill.session.lost_machine.take_over.outwait_lease", at_once)


@pytest.fixture
def elsewhere(batch: Open, tmp_path: Path, no_wait: None) -> Open:
    """Make the batch of the mirror, as it is taken over on another machine."""

    def make(at: Any, name: str = "elsewhere", **flags: Any) -> Batch:
        return batch(at, **{"mirror": MIRROR, "take_over": True, "out": tmp_path / name, **flags})

    return make


def predictions(folder: Path) -> set[str]:
    """Return the predictions that the ledger knows; an attempt that was never made has none."""
    found = ledgers.asked(folder / "ledger.sqlite")
    return {asked.prediction_id for asked in found if asked.prediction_id is not None}


async def one_more(provider: EmulatorServer) -> None:
    """Return once the provider has made one more prediction."""
    before = provider.billed
    await provider.until(lambda: provider.billed > before)


# Going on elsewhere


async def test_a_batch_goes_on_in_another_folder_and_pays_for_nothing_twice(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    night = batch(provider, 6, mirror=MIRROR, limit=4)
    await night.run()
    lost = night.folder.rename(night.folder.with_name("lost"))

    # The ledger tells the base, as it does at home.
    there = elsewhere(None)
    summary = await there.run()

    assert (summary.exit_code, summary.submitted_now, provider.billed) == (0, 2, 6)
    assert predictions(lost) < predictions(there.folder)
    assert counts(there) == {"done": 6}


async def test_the_record_of_payments_is_made_again_with_the_ledger(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    night = batch(provider, 3, mirror=MIRROR)
    await night.run()

    there = elsewhere(provider)
    await there.run()

    record = (there.folder / "paid.jsonl").read_text("ascii")
    assert all(charge.prediction_id in record for charge in provider.bill)
    assert record.count('"intent"') == 3


async def test_a_run_killed_again_and_again_is_taken_over_each_time_on_another_machine(
    service: Serve, batchfill: Any, desk: Desk, buckets: BucketServer
) -> None:
    # More than the runs pay for until they are killed.
    rows = 6 * KILLS
    seed = secrets.randbits(32)
    print(f"random.Random({seed})")
    chance = random.Random(seed)
    provider = await service(latency=0.5)
    night = desk.write(desk.rows(rows))
    batchfill.environ |= buckets.environment
    command = (
        "run",
        night.name,
        "--base-url",
        provider.base,
        "--mirror",
        MIRROR,
        *SOON,
        "--concurrency",
        "2",
    )
    for number in range(KILLS):
        flags = ("--out", f"machine{number}", *(("--take-over",) if number else ()))
        running = await batchfill.start(*command, *flags)
        await running.meanwhile(one_more(provider))
        await asyncio.sleep(chance.uniform(0, 0.1))
        running.signal(signal.SIGKILL)
        await running.ended()
    assert provider.billed < rows, "the kills came after the work"

    ran = await batchfill(*command, "--out", "last", "--take-over", "--concurrency", "64")

    assert ran.code == 0, ran.err
    assert provider.billed == rows
    assert predictions(desk.folder / "last") == {charge.prediction_id for charge in provider.bill}
    assert ledgers.faults(desk.folder / "last" / "ledger.sqlite") == []


async def test_a_run_that_slept_while_it_was_taken_over_creates_nothing_and_ends_by_itself(
    service: Serve, batchfill: Any, desk: Desk, buckets: BucketServer
) -> None:
    rows = 40
    provider = await service(latency=0.1)
    night = desk.write(desk.rows(rows))
    batchfill.environ |= buckets.environment
    command = (
        "run",
        night.name,
        "--base-url",
        provider.base,
        "--mirror",
        MIRROR,
        *SOON,
        "--concurrency",
        "2",
    )
    old = await batchfill.start(*command)
    await old.meanwhile(provider.until(lambda: provider.billed > 3))
    old.signal(signal.SIGSTOP)

    new = await batchfill(*command, "--out", "new", "--take-over", "--limit", "2")
    creates = provider.requests["create"]
    old.signal(signal.SIGCONT)
    ended = await old.ended()

    assert (new.code, ended.code) == (3, 3)
    assert "another run has taken the batch over" in ended.err
    assert provider.requests["create"] == creates
    last = await batchfill(*command, "--out", "new")
    assert (last.code, provider.billed) == (0, rows), last.err


async def test_a_create_whose_turn_comes_late_is_held_back(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = await service()
    late = [False]

    def may_pay(mirror: bucket_mirror.BucketMirror) -> bool:
        return late.pop() if late else True

    monkeypatch.setattr(bucket_mirror.BucketMirror, "may_pay", may_pay)

    night = batch(provider, 2, mirror=MIRROR)
    summary = await night.run()

    assert (summary.exit_code, provider.billed, late) == (0, 2, [])
    assert len(ledgers.asked(night.folder / "ledger.sqlite")) == 3


# What the storage does


async def test_a_storage_that_overwrites_what_is_to_be_created_is_refused_before_any_payment(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None
) -> None:
    provider = await service()
    buckets.obeys_conditions = False
    night = batch(provider, 1, mirror=MIRROR)

    with pytest.raises(UsageError, match="the storage overwrites objects"):
        await night.run()

    assert (provider.billed, buckets.objects) == (0, {})
    assert (await batch(provider).run()).exit_code == 0


async def test_while_the_mirror_does_not_answer_nothing_is_created_and_what_runs_is_fetched(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open, ears: Ears
) -> None:
    provider = await service(latency=0.1)
    night = batch(provider, 6, mirror=MIRROR, concurrency=2)
    away, creates = [True], [0]

    def fail(kind: str, place: str) -> Failure | None:
        if kind != "put" or provider.billed < 2 or not away[0]:
            return None
        creates[0] = creates[0] or provider.requests["create"]
        # Once all that was made before is in its place, the storage answers again.
        if len(pictures(night)) >= creates[0]:
            away[0] = False
        return Failure(503)

    buckets.fail = fail
    summary = await night.run(watch=ears)

    assert (summary.exit_code, provider.billed) == (0, 6)
    assert any("Nothing more is submitted until the mirror answers" in said for said in ears.texts)
    assert "the mirror has everything again" in ears.texts
    there = elsewhere(provider)
    assert (await there.run()).submitted_now == 0
    assert predictions(there.folder) == predictions(night.folder)


async def test_a_start_whose_mirror_does_not_answer_fetches_what_runs_and_submits_nothing(
    service: Serve, batch: Open, batchfill: Any, buckets: BucketServer, elsewhere: Open, ears: Ears
) -> None:
    provider = await service(latency=0.5)
    night = batch(provider, 6, mirror=MIRROR, concurrency=2)
    batchfill.environ |= buckets.environment
    command = ("run", night.manifest, "--base-url", provider.base, "--mirror", MIRROR, "--concurrency", "2")
    running = await batchfill.start(*command)
    await running.meanwhile(provider.until(lambda: provider.billed > 1))
    running.signal(signal.SIGKILL)
    await running.ended()
    billed = provider.billed
    buckets.fail = lambda kind, place: Failure(503)

    summary = await batch(provider, recover_wait=0).run(watch=ears)

    assert (summary.exit_code, provider.billed) == (3, billed)
    assert counts(night) == {"done": billed, "pending": 6 - billed}
    assert any("Nothing is submitted: what runs is fetched" in said for said in ears.texts)
    buckets.fail = lambda kind, place: None
    assert (await batch(provider).run()).exit_code == 0
    assert (await elsewhere(provider).run()).submitted_now == 0


async def test_a_mirror_that_does_not_answer_when_it_is_named_first_is_refused(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None
) -> None:
    provider = await service()
    buckets.fail = lambda kind, place: Failure(503)

    with pytest.raises(UsageError, match="the storage answers 503"):
        await batch(provider, 1, mirror=MIRROR).run()
    assert provider.billed == 0


async def test_a_mirror_that_stays_away_ends_the_run_once_what_runs_is_fetched(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timings(monkeypatch, disk_patience=0.2)
    provider = await service()
    buckets.fail = lambda kind, place: Failure(503) if kind == "put" and provider.billed else None
    night = batch(provider, 9, mirror=MIRROR, concurrency=1)

    summary = await night.run()

    assert summary.exit_code == 3
    assert "cannot be written" in (summary.stopped_because or "")
    assert counts(night) == {"done": provider.billed, "pending": 9 - provider.billed}
    buckets.fail = lambda kind, place: None
    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 9


async def test_an_entry_whose_answer_was_lost_counts_as_put(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    lost: set[str] = set()

    def told(place: str) -> None:
        number = place.rpartition("/")[2]
        if number.isdigit() and int(number) % 5 == 0 and place not in lost:
            lost.add(place)
            raise Failure(500)

    buckets.told = told
    night = batch(provider, 4, mirror=MIRROR)

    assert (await night.run()).exit_code == 0
    assert lost
    there = elsewhere(provider)
    assert (await there.run()).submitted_now == 0
    assert predictions(there.folder) == predictions(night.folder)


async def test_a_long_night_is_taken_over_from_a_copy_and_what_is_behind_it_and_leaves_few_objects(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_mirror, "MOST_ENTRIES", 5)
    provider = await service()
    night = batch(provider, 20, mirror=MIRROR, concurrency=2)
    await night.run()
    put = buckets.asked["put"]

    there = elsewhere(provider)

    assert (await there.run()).submitted_now == 0
    assert predictions(there.folder) == predictions(night.folder)
    assert len(buckets.objects) < put / 2
    # The two last entries of the first generation, and what the second one has.
    assert [name for name in buckets.objects if "/000001/" in name and name.endswith(".ledger")] == []


async def test_more_pages_than_an_entry_takes_are_mirrored_as_a_copy(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_frames, "LARGEST", 4 * 4096)
    provider = await service()
    night = batch(provider, 5, mirror=MIRROR)
    await night.run()

    there = elsewhere(provider)

    assert (await there.run()).submitted_now == 0
    assert predictions(there.folder) == predictions(night.folder)


async def test_no_commit_of_a_batch_without_a_mirror_asks_a_bucket(
    service: Serve, batch: Open, buckets: BucketServer, hurry: None
) -> None:
    assert (await batch(await service(), 2).run()).exit_code == 0
    assert not buckets.asked


# Which start may go on


GOOD = "id,image,mask,prompt\nr1,images/a.png,masks/a.png,a\nr2,images/a.png,masks/a.png,b\n"
MISTAKES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "no such file": (None, {}),
    "no column image": (GOOD.replace("image,", "picture_,"), {}),
    "no rows": (GOOD.partition("\n")[0], {}),
    "there is no folder pictures": (GOOD.replace("images/", "pictures/"), {}),
    "no such file images/b.png": (GOOD.replace("images/a.png", "images/b.png", 1), {}),
    "is text, not a picture": (GOOD.replace("images/a.png", "images/a.txt", 1), {}),
    "id r1 is used already": (GOOD.replace("r2", "r1"), {}),
    "was begun with model": (GOOD, {"model": "me/mine", "price": "0.01"}),
    "was begun with base": (GOOD, {"base_url": "http://127.0.0.1:9/v1"}),
    "--max-cost needs to know": (GOOD, {"max_cost": "1"}),
    "--concurrency must": (GOOD, {"concurrency": "0"}),
    "no token": (GOOD, {"environ": {}}),
}
"""The manifest and the flags of a start that is refused, by what is said then."""


async def test_a_start_with_a_mistake_shuts_no_other_run_out(
    service: Serve, batch: Open, desk: Desk, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    night = batch(provider, desk.rows(2), mirror=MIRROR, limit=1)
    await night.run()
    before, there = dict(buckets.objects), elsewhere(None)
    (desk.folder / "images" / "a.txt").write_text("words")

    for said, (manifest, flags) in MISTAKES.items():
        night.manifest.unlink(missing_ok=True)
        if manifest is not None:
            night.manifest.write_text(manifest)
        mistaken = Batch.open(night.manifest, **{"environ": there.environ, **there.flags, **flags})
        with pytest.raises(UsageError, match=said):
            await mistaken.run()

    assert buckets.objects == before
    assert [path.name for path in there.folder.iterdir()] == ["lock"]
    night.manifest.write_text(GOOD)
    assert (await batch(provider).run()).exit_code == 0


async def test_a_start_goes_on_with_the_mirror_that_its_ledger_remembers(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    await batch(provider, 3, mirror=MIRROR, limit=1).run()
    await batch(provider).run()

    there = elsewhere(provider)

    assert (await there.run()).submitted_now == 0
    assert provider.billed == 3


@pytest.mark.parametrize("address", ["s3://photos/other/", "gs://photos/night/"])
async def test_another_mirror_than_the_remembered_one_is_refused(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None, address: str
) -> None:
    provider = await service()
    await batch(provider, 1, mirror=MIRROR).run()

    with pytest.raises(UsageError, match=rf"is mirrored at {MIRROR}, and this command says {address}"):
        await batch(provider, mirror=address).run()


async def test_a_mirror_that_was_ended_cannot_be_taken_over(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    await batch(provider, 3, mirror=MIRROR, limit=1).run()
    await batch(provider, mirror="none").run()

    with pytest.raises(UsageError, match=r"is mirrored at .* no more since"):
        await elsewhere(provider).run()
    assert provider.billed == 3


async def test_a_folder_without_the_ledger_needs_take_over_to_go_on(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    await batch(provider, 2, mirror=MIRROR).run()

    with pytest.raises(UsageError, match=r"is the mirror of a batch: .* add --take-over"):
        await elsewhere(provider, take_over=False).run()
    assert provider.billed == 2


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, "s3://photos/night/ is empty, so there is nothing to take over"),
        ({"mirror": None}, "--take-over needs --mirror URL"),
        ({"mirror": "none"}, "--take-over needs --mirror URL"),
        ({"mirror": "s3://photos"}, "--mirror must name a prefix of its own in the bucket"),
        ({"mirror": "night"}, "--mirror must be a prefix in a bucket"),
        ({"mirror": "s3://nowhere/night/"}, "there is no such bucket"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_taken_over_is_refused_in_words(
    service: Serve,
    batch: Open,
    buckets: BucketServer,
    elsewhere: Open,
    flags: dict[str, Any],
    told: str,
) -> None:
    provider = await service()
    batch(provider, 1)

    with pytest.raises(UsageError, match=told):
        await elsewhere(provider, **flags).run()
    assert provider.billed == 0


async def test_a_prefix_with_other_objects_is_refused(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None
) -> None:
    buckets.put("night/cat.png", b"a picture")

    with pytest.raises(UsageError, match=r"night/cat\.png is no part of a mirror"):
        await batch(await service(), 1, mirror=MIRROR).run()


async def test_the_lost_machine_comes_back_and_is_told_who_has_the_batch_now(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    night = batch(provider, 5, mirror=MIRROR, limit=2)
    await night.run()
    await elsewhere(provider, limit=1).run()

    with pytest.raises(UsageError, match=r"another run has taken the batch over .* add --take-over to go on"):
        await batch(provider).run()
    back = batch(provider, take_over=True)
    summary = await back.run()

    assert (summary.exit_code, provider.billed) == (0, 5)
    assert (back.folder / "ledger.other.sqlite").exists()
    assert len(predictions(back.folder)) == 5


async def test_a_folder_restored_from_a_copy_is_not_gone_on_with(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None, tmp_path: Path
) -> None:
    provider = await service()
    night = batch(provider, 4, mirror=MIRROR, limit=1)
    await night.run()
    shutil.copytree(night.folder, tmp_path / "copy")
    await batch(provider, limit=1).run()
    shutil.rmtree(night.folder)
    (tmp_path / "copy").rename(night.folder)

    with pytest.raises(UsageError, match="knows more than the ledger here"):
        await batch(provider).run()
    assert provider.billed == 2


async def test_a_take_over_is_given_again_without_harm(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    await batch(provider, 4, mirror=MIRROR, limit=1).run()
    await elsewhere(provider, limit=1).run()

    summary = await elsewhere(provider).run()

    assert (summary.exit_code, provider.billed) == (0, 4)


async def test_a_start_that_dies_once_it_has_closed_the_mirror_is_gone_on_with(
    service: Serve, batch: Open, buckets: BucketServer, no_wait: None
) -> None:
    provider = await service()
    await batch(provider, 2, mirror=MIRROR, limit=1).run()
    buckets.fail = lambda kind, place: Failure(503) if kind == "put" and "/000002/" in place else None
    assert (await batch(provider).run()).exit_code == 3
    buckets.fail = lambda kind, place: None

    assert (await batch(provider).run()).exit_code == 0
    assert provider.billed == 2


async def test_a_run_that_was_taken_over_says_so_although_its_rows_are_done(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    night = batch(provider, 1, mirror=MIRROR)
    other = elsewhere(provider)
    taken: list[object] = []

    def fail(kind: str, place: str) -> Failure | None:
        # Where the last commits of the run go to another one has put the end of the generation.
        if kind == "put" and provider.billed and "/000001/" in place and not taken:
            taken.append(place)
            buckets.objects[place] = pack_entry(MirrorEntry(run="ff", host="other", at=0, closes=True))
        return None

    buckets.fail = fail
    with pytest.raises(TakenOver, match=r"another run has taken the batch over at .* other"):
        await night.run()

    assert (await other.run()).exit_code == 0
    assert provider.billed == 1


def test_a_manifest_names_no_mirror(desk: Desk, batch: Open) -> None:
    night = batch("https://provider.test/v1", 1, head={"mirror": MIRROR})

    with pytest.raises(ManifestError, match="mirror cannot be set in a manifest"):
        asyncio.run(night.check())


async def test_canceling_is_mirrored_too(
    service: Serve, batch: Open, buckets: BucketServer, elsewhere: Open
) -> None:
    provider = await service()
    night = batch(provider, 2, mirror=MIRROR, limit=1)
    await night.run()
    await night.cancel()

    assert (await elsewhere(provider).run()).exit_code == 0
    assert provider.billed == 2


async def test_a_batch_with_outputs_in_a_bucket_is_told_which_pictures_are_in_neither_place(
    service: Serve,
    batch: Open,
    buckets: BucketServer,
    elsewhere: Open,
    ears: Ears,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_timings(monkeypatch, storage_retries=(0.01,))
    provider, root = await service(), "s3://photos/pictures/"
    buckets.fail = lambda kind, place: Failure(503) if kind == "put" and place.endswith("r1.webp") else None
    await batch(provider, 3, mirror=MIRROR, outputs=root, limit=2).run()
    buckets.fail = lambda kind, place: None

    there = elsewhere(provider)
    summary = await there.run(watch=ears)

    assert (summary.exit_code, provider.billed, counts(there)) == (0, 3, {"done": 3})
    told = "1 picture of finished rows is not in elsewhere: copy what is on the lost machine's disk"
    assert any(told in said for said in ears.texts)
