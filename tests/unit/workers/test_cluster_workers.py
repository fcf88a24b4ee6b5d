"""What a cluster is given, and what becomes of a task that no worker answers."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from batchfill.errors import BadPicture, NoAnswer, ObjectsRefused
from batchfill.settings.timings import Timings
from batchfill.workers import cluster_workers
from batchfill.workers.cluster import ClusterLost, Members, WorkersKilled
from batchfill.workers.cluster_workers import ClusterWorkers
from batchfill.workers.pool import Threads
from batchfill.workers.sealed import Sealed, do_sealed
from batchfill.workers.software import is_software, software_here
from tests.support.bounds import HANGS
from tests.support.machines import Machines

if TYPE_CHECKING:
    from collections.abc import Callable

TIMINGS = Timings(cluster_look=0.001)
SILENCE, WAIT = TIMINGS.cluster_silence, 600.0


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass at once."""
    now = [1000.0]
    monkeypatch.setattr(cluster_workers, "current_time", lambda: now[0])

    def pass_(seconds: float) -> None:
        now[0] += seconds

    return pass_


def workers_of(machines: Machines, said: list[str] | None = None) -> ClusterWorkers:
    say = [].append if said is None else said.append
    return ClusterWorkers(machines, Threads(1), say, TIMINGS, wait=WAIT)  # type: ignore[arg-type]


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(HANGS):
        while not happened():  # noqa: ASYNC110 - of what is looked at, nothing tells
            await anyio.sleep(0.001)


async def looking(workers: ClusterWorkers) -> ClusterWorkers:
    await workers.look()
    return workers


async def test_a_cluster_is_given_two_tasks_for_each_that_it_does_at_once() -> None:
    machines, go_on = Machines(3), anyio.Event()
    machines.answers = lambda given: go_on
    workers = await looking(workers_of(machines))
    answers: list[int] = []

    async def ask(n: int) -> None:
        answers.append(await workers.do(abs, -n))

    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(ask, n)
        await until(lambda: machines.at_once == 6)
        # A worker that joins is given its own.
        machines.next = Members(4)
        await workers.look()
        await until(lambda: machines.at_once == 8)
        go_on.set()

    assert sorted(answers) == [*range(20)]
    assert machines.most == 8


@pytest.mark.parametrize("times", [1, 3])
async def test_what_a_lost_connection_takes_along_is_given_out_again(times: int) -> None:
    machines = Machines(1)

    def lose(given: int) -> None:
        if given <= times:
            raise ClusterLost

    machines.answers = lose
    workers = await looking(workers_of(machines))

    assert await workers.do(sum, (1, 2)) == 3
    assert machines.given == times + 1


async def test_a_task_without_an_answer_is_given_out_once_more_and_then_given_up(
    pass_time: Callable[[float], None],
) -> None:
    machines = Machines(1)
    machines.answers = lambda given: anyio.Event()
    workers = await looking(workers_of(machines))

    async def keep_silent() -> None:
        await until(lambda: machines.given == 1)
        pass_time(SILENCE)
        await until(lambda: machines.given == 2)
        pass_time(SILENCE)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_silent)
        with pytest.raises(BadPicture, match="no worker of the cluster answered within 10 min, 2 times"):
            await workers.do(sum, (1, 2))
    assert (machines.given, machines.at_once) == (2, 0)


async def test_a_task_that_is_answered_the_second_time_is_done(pass_time: Callable[[float], None]) -> None:
    machines = Machines(1)
    machines.answers = lambda given: anyio.Event() if given == 1 else None
    workers = await looking(workers_of(machines))
    async with anyio.create_task_group() as tasks:

        async def keep_silent() -> None:
            await until(lambda: machines.given == 1)
            pass_time(SILENCE)

        tasks.start_soon(keep_silent)
        assert await workers.do(sum, (1, 2)) == 3


async def test_time_without_workers_is_no_silence_of_a_task(pass_time: Callable[[float], None]) -> None:
    machines, answer = Machines(1), anyio.Event()
    machines.answers = lambda given: answer
    workers = await looking(workers_of(machines))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workers.do, len, "four")
        await until(lambda: machines.given == 1)
        machines.next = Members(0)
        await workers.look()
        for _ in range(3):
            pass_time(WAIT * 0.3)
            # Time for those that wait to look at the clock.
            await anyio.sleep(10 * TIMINGS.cluster_look)
        machines.next = Members(1)
        await workers.look()
        await anyio.sleep(10 * TIMINGS.cluster_look)
        assert machines.given == 1
        answer.set()


async def test_without_workers_for_long_the_work_is_done_here(pass_time: Callable[[float], None]) -> None:
    machines = Machines(1)
    machines.answers = lambda given: anyio.Event()
    workers = await looking(workers_of(machines))
    answers: list[int] = []

    async def ask() -> None:
        answers.append(await workers.do(sum, (1, 2)))

    async with anyio.create_task_group() as tasks:
        # Two of them are given out, and one has yet to wait.
        for _ in range(3):
            tasks.start_soon(ask)
        await until(lambda: machines.given == 2)
        machines.next = Members(away="it does not answer")
        await workers.look()
        pass_time(WAIT)
    assert answers == [3, 3, 3]
    assert machines.at_once == 0
    # What comes then is not kept waiting either.
    assert await workers.do(sum, (1, 2)) == 3


async def test_a_cluster_that_is_lost_is_told_once_and_after_a_while(
    pass_time: Callable[[float], None],
) -> None:
    machines, said = Machines(0), list[str]()
    workers = workers_of(machines, said)
    await workers.look()
    assert (workers.lack, said) == (None, [])

    pass_time(TIMINGS.cluster_patience)
    for away in (None, "it does not answer"):
        machines.next = Members(away=away)
        await workers.look()
    lacks = [workers.lack]
    machines.next = Members(2)
    await workers.look()
    await workers.look()

    told = [
        "the cluster at tls://cluster.test:8786 has no worker that can be used: "
        "nothing more is submitted until a worker is there",
        "the cluster at tls://cluster.test:8786 works again",
    ]
    assert said == told
    assert [*lacks, workers.lack] == [
        "the scheduler of the cluster at tls://cluster.test:8786 cannot be used, it does not answer",
        None,
    ]


async def test_a_worker_that_is_gone_for_a_moment_is_not_told() -> None:
    machines, said = Machines(1), list[str]()
    workers = await looking(workers_of(machines, said))
    for threads in (0, 1, 0, 1):
        machines.next = Members(threads)
        await workers.look()
    assert (workers.lack, said) == (None, [])


async def test_workers_that_get_no_task_are_told_when_they_come() -> None:
    machines, said = Machines(1), list[str]()
    workers = await looking(workers_of(machines, said))
    for unfit in (("tls://w1 has Pillow 1",), ("tls://w1 has Pillow 1", "tls://w2 has Pillow 1")):
        machines.next = Members(1, unfit)
        await workers.look()
        await workers.look()
    assert said == [
        "a worker of the cluster gets no task: tls://w1 has Pillow 1",
        "a worker of the cluster gets no task: tls://w2 has Pillow 1",
    ]


def refuse(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            ObjectsRefused("s3://b/ is closed"),
            ObjectsRefused,
            "on a worker of the cluster: s3://b/ is closed",
        ),
        (NoAnswer("s3://b/ is silent"), NoAnswer, "on a worker of the cluster: s3://b/ is silent"),
        (BadPicture("a.png is text"), BadPicture, "a.png is text"),
        (MemoryError(), BadPicture, "too much for this machine: there is not enough memory"),
        (OSError(28, "No space left"), OSError, "[Errno 28] No space left"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_work_raises_is_raised_here(error: Exception, kind: type[Exception], words: str) -> None:
    workers = await looking(workers_of(Machines(1)))
    with pytest.raises(kind) as caught:
        await workers.do(refuse, error)
    assert str(caught.value) == words


async def test_a_task_that_ends_its_workers_is_an_error_of_its_picture() -> None:
    machines = Machines(1)

    def kill(given: int) -> None:
        raise WorkersKilled

    machines.answers = kill
    workers = await looking(workers_of(machines))
    with pytest.raises(BadPicture, match="too much for the cluster"):
        await workers.do(sum, (1, 2))
    assert machines.given == 1


async def test_a_task_that_is_cancelled_gives_its_turn_back() -> None:
    machines = Machines(1)
    machines.answers = lambda given: anyio.Event()
    workers = await looking(workers_of(machines))
    with anyio.move_on_after(0.02):
        await workers.do(sum, (1, 2))
    assert machines.at_once == 0
    machines.answers = lambda given: None
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(workers.do, len, "four")


async def test_work_that_is_offered_is_done_or_its_error_told() -> None:
    workers = await looking(workers_of(Machines(1)))

    assert await workers.offer(abs, -3, within=HANGS) == 3
    found = await workers.offer(refuse, NoAnswer("gone"), within=HANGS)
    assert isinstance(found, NoAnswer)
    assert str(found) == "gone"


async def test_work_is_offered_though_every_worker_has_as_much_as_it_takes() -> None:
    machines, go_on = Machines(1), anyio.Event()
    machines.answers = lambda given: go_on if given < 3 else None
    workers = await looking(workers_of(machines))

    async with anyio.create_task_group() as tasks:
        for n in range(5):
            tasks.start_soon(workers.do, abs, n)
        await until(lambda: machines.at_once == 2)
        assert await workers.offer(abs, -7, within=HANGS) == 7
        go_on.set()


def lose(given: int) -> None:
    raise ClusterLost


def end(given: int) -> None:
    raise WorkersKilled


@pytest.mark.parametrize(
    "answers", [lose, end, lambda given: anyio.Event()], ids=["lost", "killed", "silent"]
)
async def test_work_that_no_worker_answers_is_offered_once(answers: Callable[[int], Any]) -> None:
    machines = Machines(1)
    machines.answers = answers
    workers = await looking(workers_of(machines))

    assert isinstance(await workers.offer(abs, -1, within=0.01), NoAnswer)
    assert (machines.given, machines.at_once) == (1, 0)


async def test_work_is_not_offered_for_longer_than_there_is_a_worker() -> None:
    machines = Machines(1)
    machines.answers = lambda given: anyio.Event()
    workers = await looking(workers_of(machines))

    async with anyio.create_task_group() as tasks:
        found: list[object] = []

        async def offer() -> None:
            found.append(await workers.offer(abs, -1, within=10 * HANGS))

        tasks.start_soon(offer)
        await until(lambda: machines.at_once == 1)
        machines.next = Members(0)
        await workers.look()

    assert [type(one) for one in found] == [NoAnswer]


def test_a_sealed_task_shows_nothing() -> None:
    secret = "https://bucket.test/a?X-Amz-Signature=0123456789abcdef"
    sealed = Sealed((len, secret))
    for shown in (repr(sealed), str(sealed), f"{sealed}", repr([sealed]), repr(do_sealed(sealed))):
        assert shown.strip("[]").startswith("Sealed(")
        assert "Amz" not in shown
    assert pickle.loads(pickle.dumps(do_sealed(sealed))).unseal() == (True, len(secret))


def test_work_of_a_module_that_a_worker_lacks_is_an_answer_and_no_end() -> None:
    done, error = do_sealed(Sealed((_Missing(), None))).unseal()
    assert not done
    assert isinstance(error, ImportError)


class _Missing:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('nowhere')",)


def test_software_is_told_with_the_versions_that_decide_what_is_made() -> None:
    words = software_here().split()
    assert words[::2] == ["batchfill", "Pillow", "numpy"]
    assert is_software(software_here())
    assert not is_software("GPU")
