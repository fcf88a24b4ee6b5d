"""Files in place are put below the address of --outputs, and what is here is a copy from then on.

The ledger has the name before the bucket does, and what is in a file decides whether it is put. What is there
under one name and wanted under another is read before that name is changed. So a run that dies at any moment
leaves nothing there that the next one does not put right.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from batchfill.domain.progress import Level
from batchfill.errors import NoAnswer, ObjectsRefused, StorageError, UsageError, first_few, in_words
from batchfill.storage.placed_files import names_below
from batchfill.storage.placed_outputs import AT_ONCE
from batchfill.storage.remote_files import PresenceTask, RemoteTask, is_there, put_file, remove_file
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.objects import RemoteCopy, RemoteFile
    from batchfill.domain.rows import StoredFile
    from batchfill.finishing.file_context import FileContext
    from batchfill.run.context import RunContext

Task = TypeVar("Task")
Answer = TypeVar("Answer")

LOOKED_AT = 500
"""Files here that the ledger is asked about at once."""


class RemoteOutputs:
    """The stage that puts files into the bucket."""

    def __init__(
        self,
        context: FileContext,
        *,
        finished: Callable[[], None] = lambda: None,
        refused: Callable[[str], None] = lambda words: None,
    ) -> None:
        """*finished* is called when there is nothing left that can be put now.

        *refused* is told why the bucket takes nothing more.
        """
        self._context = context
        self._placed = context.placed
        self._finished = finished
        self._say_refused = refused
        self._changed: set[RemoteFile] = set()
        """What was found to be another file, or none: moved in between, or the user's work."""
        self._refused = False
        self._looked = -1
        self.bell = Wakeup()
        """Rings when there may be something to put."""

    @property
    def idle(self) -> bool:
        """Whether nothing is being put, and nothing has come up since it was looked for."""
        return self._placed.root is None or self._looked == self.bell.version

    async def serve_files(self) -> None:
        """Put what is in place, until cancelled."""
        if self._placed.root is None:
            return
        await self._note_copies()
        while True:
            seen = self.bell.version
            while await self._put_some():
                pass
            await self._placed.remove_beyond()
            self._looked = seen
            self._finished()
            await self.bell.wait(seen)

    async def put_all(self) -> int:
        """Put what is in place, once; return as `end` does."""
        while self._placed.root is not None and await self._put_some():
            pass
        return await self.end()

    def give_room(self) -> None:
        """Have copies go as soon as no work needs them: what is to be fetched goes before them."""
        self._placed.keep_none()
        self.bell.notify()

    async def end(self) -> int:
        """Remove what is here of files that the bucket has, and say what is still to be put.

        Return how many files the next run can put.
        """
        if self._placed.root is None:
            return 0
        await self._placed.remove_copies()
        root, ledger, log = self._placed.root, self._context.ledger, self._context.log
        # What was moved in between is wanted elsewhere.
        changed = self._changed & await ledger.remote_due_among(one.file for one in self._changed)
        if changed:
            names = first_few(sorted(one.file for one in changed))
            log.notice(f"not put into {root}, for they are gone or changed: {names}", Level.WARNING)
        left = await ledger.count_remote_left() - len(changed)
        if left:
            files = "1 file is" if left == 1 else f"{left:,} files are"
            log.notice(f"{files} not in {root} yet: the next run puts what is left", Level.WARNING)
        return left

    async def _note_copies(self) -> None:
        """Find out what is here of files that were put: a run that died left it, or one before --outputs.

        The bucket is asked for each: a file that it has no more is put once more.
        """
        names = names_below(self._context.store.folder)
        try:
            while some := list(islice(names, LOOKED_AT)):
                for file, copy in (await self._context.ledger.remote_put_among(some)).items():
                    await self._note_copy(file, copy)
        except (NoAnswer, ObjectsRefused, OSError) as error:
            self._context.log.debug(f"copies stay for now: {in_words(error)}")

    async def _note_copy(self, file: str, copy: RemoteCopy) -> None:
        here = await self._context.store.find_file(file, copy.sha256)
        if here is None:
            return
        if await self._in_thread(is_there, PresenceTask(f"{self._placed.root}{file}", here.size, copy)):
            await self._placed.note_copy(file, here.sha256, here.size)
        else:
            await self._context.ledger.record_remote_gone(file)

    async def _put_some(self) -> bool:
        """Put some of what is due; False: there is nothing, or the bucket takes none of it for now."""
        due = await self._context.ledger.remote_due(AT_ONCE + len(self._changed))
        due = [one for one in due if one not in self._changed]
        if not due or self._refused:
            return False
        settled: list[RemoteFile] = []
        async with anyio.create_task_group() as tasks:
            for one in due:
                tasks.start_soon(self._put_until_taken, one, settled)
        return bool(settled)

    async def _put_until_taken(self, one: RemoteFile, settled: list[RemoteFile]) -> None:
        """Try for a while, and add *one* to *settled* unless it is to be tried again."""
        for wait in chain(self._context.timings.storage_retries, (None,)):
            try:
                if not await self._put(one):
                    self._changed.add(one)
            except FileNotFoundError:
                self._changed.add(one)
            except ObjectsRefused as error:
                self._refused = True
                # What runs is fetched all the same, into the batch folder.
                self._say_refused(str(error))
                return
            except (NoAnswer, StorageError, OSError) as error:
                self._context.log.debug(f"{one.file}: {in_words(error)}")
                if wait is None or self._refused:
                    return
                await anyio.sleep(wait)
                continue
            settled.append(one)
            return

    async def _put(self, one: RemoteFile) -> bool:
        """Have the bucket be as *one* says; False: what is here is another file."""
        ledger, address = self._context.ledger, f"{self._placed.root}{one.file}"
        await self._read_moved(one)
        if one.wanted is None:
            await ledger.record_remote_begun(one.file)
            await self._in_thread(self._as_owner(remove_file), address)
            await ledger.record_remote_removed(one.file)
            return True
        if not self._context.store.is_here(one.file):
            return await self._find_there(one, one.wanted)
        await ledger.record_remote_begun(one.file)
        task = RemoteTask(address, self._context.store.folder / one.file, one.wanted)
        put = await self._in_thread(self._as_owner(put_file), task)
        if put is None:
            return False
        await ledger.record_remote_put(one, put.etag)
        await self._placed.note_copy(one.file, one.wanted, put.size)
        return True

    async def _read_moved(self, one: RemoteFile) -> None:
        """Have here what is there under the name of *one* and is wanted elsewhere, or the other way round."""
        for move in await self._context.ledger.remote_moves(one.file):
            if not self._context.store.is_here(move.target):
                await self._placed.fetch(move.target, move.sha256, source=move.source)

    async def _find_there(self, one: RemoteFile, wanted: str) -> bool:
        """Whether the bucket has *one*, which is not here, though the ledger does not know that."""
        copy = await self._placed.fetch(one.file, wanted)
        if copy is None:
            return False
        await self._context.ledger.record_remote_put(one, None)
        await self._placed.note_copy(one.file, wanted, copy.size)
        return True

    def _as_owner(self, work: Callable[[Task], Answer]) -> Callable[[Task], Answer]:
        """Return *work* that raises NoAnswer once another machine may have taken the batch over."""

        def change(task: Task) -> Answer:
            # As late as can be: this machine may have slept since the commit.
            if not self._context.ledger.may_pay():
                raise NoAnswer("too late to be sure that no other run has the batch")
            return work(task)

        return change

    async def _in_thread(self, work: Callable[[Task], Answer], task: Task) -> Answer:
        return await to_thread.run_sync(work, task, limiter=self._placed.threads, abandon_on_cancel=True)


async def fetch_back(context: RunContext, lost: list[StoredFile]) -> list[StoredFile]:
    """Put files that are *lost* here back in their places from the bucket; return those that it has not.

    Raises UsageError where the bucket cannot be asked, or the disk takes no file: what is there need not be
    made again.
    """
    if (root := context.placed.root) is None:
        return lost
    left = []
    for placed in lost:
        try:
            if await context.placed.fetch(placed.file, placed.sha256) is None:
                left.append(placed)
        except (ObjectsRefused, NoAnswer, StorageError, OSError) as error:
            raise UsageError(f"{placed.file} cannot be fetched back: {in_words(error)}") from None
    if len(left) < len(lost):
        files = len(lost) - len(left)
        told = f"fetched back from {root}, free of charge: {files:,} {'file' if files == 1 else 'files'}"
        context.log.notice(told)
    return left
