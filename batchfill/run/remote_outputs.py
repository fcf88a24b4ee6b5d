"""Files in place are put below the address of --outputs, and what is here is a copy from then on.

What a worker left in the bucket is copied there to its place. The ledger has the name before the bucket does,
and what is in a file decides whether it is put. What is there under one name and wanted under another is read
before that name is changed. So a run that dies at any moment leaves nothing there that the next one does not
put right.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from batchfill.domain.objects import RemoteCopy
from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState
from batchfill.errors import (
    BadPicture,
    NoAnswer,
    ObjectGone,
    ObjectsRefused,
    StorageError,
    UsageError,
    first_few,
    in_words,
)
from batchfill.storage.made_files import MADE, CopyOrder, copy_made, find_made, list_made
from batchfill.storage.placed_files import names_below
from batchfill.storage.placed_outputs import AT_ONCE
from batchfill.storage.remote_files import PresenceTask, RemoteTask, is_there, put_file, remove_file
from batchfill.storage.remote_store import tag_of
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from batchfill.domain.objects import ObjectFile, RemoteFile, RemoteMove
    from batchfill.domain.rows import StoredFile
    from batchfill.finishing.file_context import FileContext
    from batchfill.run.context import RunContext

Task = TypeVar("Task")
Answer = TypeVar("Answer")

CLEANING = 10.0
"""Seconds in which a run that ends removes what is left over; the next one goes on with that."""

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
        with anyio.move_on_after(CLEANING):
            await self._remove_left()
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

    async def _remove_left(self) -> None:
        """Remove what workers left and no file is due of: tasks may be done twice, and runs die."""
        root, ledger = self._placed.root, self._context.ledger
        # What is being collected may have been left already, and the ledger does not know it yet.
        if root is None or ledger.in_state(RowState.COLLECTING):
            return
        try:
            left = await self._in_thread(list_made, root)
            wanted = await ledger.remote_wanted_among(content for content, _ in left)
            for content, address in left:
                if content not in wanted:
                    await self._in_thread(self._as_owner(remove_file), address)
        except (NoAnswer, ObjectsRefused) as error:
            self._context.log.debug(f"left below {root}{MADE}: {in_words(error)}")

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
        moves = await self._context.ledger.remote_moves(one.file)
        await self._read_moved(move for move in moves if move.source == one.file)
        if one.wanted is None:
            return await self._remove(one)
        if not self._context.store.is_here(one.file) and await self._copy_made(one, one.wanted):
            return True
        await self._read_moved(move for move in moves if move.target == one.file)
        if not self._context.store.is_here(one.file):
            return await self._find_there(one, one.wanted)
        return await self._put_here(one, one.wanted)

    async def _remove(self, one: RemoteFile) -> bool:
        ledger, address = self._context.ledger, f"{self._placed.root}{one.file}"
        await ledger.record_remote_begun(one.file)
        await self._in_thread(self._as_owner(remove_file), address)
        await ledger.record_remote_removed(one.file)
        return True

    async def _put_here(self, one: RemoteFile, wanted: str) -> bool:
        """Put what is here of *one*; False: it is another file."""
        ledger, address = self._context.ledger, f"{self._placed.root}{one.file}"
        await ledger.record_remote_begun(one.file)
        task = RemoteTask(address, self._context.store.folder / one.file, wanted)
        put = await self._in_thread(self._as_owner(put_file), task)
        if put is None:
            return False
        await ledger.record_remote_put(one, put.etag)
        await self._placed.note_copy(one.file, wanted, put.size)
        return True

    async def _read_moved(self, moves: Iterable[RemoteMove]) -> None:
        """Have here what is there under one name and is wanted under another."""
        for move in moves:
            if not self._context.store.is_here(move.target):
                source = f"{self._placed.root}{move.source}"
                await self._placed.fetch_from(source, move.target, move.sha256)

    async def _copy_made(self, one: RemoteFile, wanted: str) -> bool:
        """Have the bucket copy *one* to its place, where a worker has left it there.

        False: none has, or the copy is none; then the file itself is brought here, to be put.
        """
        root, ledger = self._placed.root, self._context.ledger
        assert root is not None
        if (made := await self._in_thread(partial(find_made, root), wanted)) is None:
            return False
        await ledger.record_remote_begun(one.file)
        if (copy := await self._copy(CopyOrder(made, f"{root}{one.file}"), wanted)) is None:
            if await self._placed.fetch_from(made.address, one.file, wanted) is None:
                # A file of the same content has taken it: there is another one for this.
                raise NoAnswer(f"{made.address} waits no more")
            return False
        await ledger.record_remote_put(one, tag_of(copy))
        with suppress(NoAnswer, ObjectsRefused):  # what is left is removed when the run ends
            await self._in_thread(self._as_owner(remove_file), made.address)
        return True

    async def _copy(self, order: CopyOrder, wanted: str) -> ObjectFile | None:
        """Return the copy that the bucket makes; None where it makes none, or its content is another."""
        try:
            copy = await self._in_thread(self._as_owner(copy_made), order)
            if copy is None or (tag_of(copy) is not None and copy.etag == order.made.etag):
                return copy
            # Some storages give no tags, or no two objects the same. No byte of it has to come here.
            task = PresenceTask(order.address, copy.size, RemoteCopy(wanted, None))
            return copy if await (self._context.cluster or self._context.pixels).do(is_there, task) else None
        except (NoAnswer, ObjectsRefused, ObjectGone, BadPicture) as error:
            self._context.log.debug(f"{order.address}: {in_words(error)}")
            return None

    async def _find_there(self, one: RemoteFile, wanted: str) -> bool:
        """Whether the bucket has *one*, which is not here, though the ledger does not know that."""
        copy = await self._placed.fetch_from(f"{self._placed.root}{one.file}", one.file, wanted)
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
