"""Files in place are put below the address of --outputs, and what is renamed here is renamed there.

The ledger has the name before the bucket does, and what is in a file decides whether it is put. So a run that
dies at any moment leaves nothing there that the next one does not put right.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from batchfill.domain.progress import Level
from batchfill.errors import NoAnswer, ObjectsRefused, StorageError, UsageError, first_few, in_words
from batchfill.storage.remote_files import RemoteTask, fetch_file, put_file
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.objects import RemoteFile
    from batchfill.domain.rows import StoredFile
    from batchfill.run.context import RunContext

AT_ONCE = 8
"""Files that are put at the same time; each is in memory while it is."""


class RemoteOutputs:
    """The stage that puts files into the bucket."""

    def __init__(self, context: RunContext, *, finished: Callable[[], None]) -> None:
        """*finished* is called when there is nothing left that can be put now."""
        self._context = context
        self._root = context.settings.outputs
        self._finished = finished
        self._changed: set[RemoteFile] = set()
        """What was found to be another file, or none: moved in between, or the user's work."""
        self._refused = False
        self._looked = -1
        self._threads = CapacityLimiter(AT_ONCE)
        self.bell = Wakeup()
        """Rings when there may be something to put."""

    @property
    def idle(self) -> bool:
        """Whether nothing is being put, and nothing has come up since it was looked for."""
        return self._root is None or self._looked == self.bell.version

    async def serve_files(self) -> None:
        """Put what is in place, until cancelled."""
        while self._root is not None:
            seen = self.bell.version
            while await self._put_some():
                pass
            self._looked = seen
            self._finished()
            await self.bell.wait(seen)

    async def tell_left(self) -> int:
        """Say what is still to be put, and return how many files the next run can put."""
        if self._root is None:
            return 0
        ledger, log = self._context.ledger, self._context.log
        # What was moved in between is wanted elsewhere.
        changed = self._changed & await ledger.remote_due_among(one.file for one in self._changed)
        if changed:
            names = first_few(sorted(one.file for one in changed))
            log.notice(f"not put into {self._root}, for they are gone or changed: {names}", Level.WARNING)
        left = await ledger.count_remote_left() - len(changed)
        if left:
            files = "1 file is" if left == 1 else f"{left:,} files are"
            log.notice(f"{files} not in {self._root} as here: the next run puts what is left", Level.WARNING)
        return left

    async def _put_some(self) -> bool:
        """Put some of what is due; False: there is nothing, or the bucket takes none of it for now."""
        due = await self._context.ledger.remote_due(AT_ONCE + len(self._changed))
        due = [one for one in due if one not in self._changed]
        if not due or self._refused:
            return False
        await self._context.ledger.record_remote_begun(one.file for one in due)
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
                self._context.stopping.stop_submitting(str(error))
                return
            except (NoAnswer, OSError) as error:
                self._context.log.debug(f"{one.file}: {in_words(error)}")
                if wait is None or self._refused:
                    return
                await anyio.sleep(wait)
                continue
            settled.append(one)
            return

    async def _put(self, one: RemoteFile) -> bool:
        task = RemoteTask(f"{self._root}{one.file}", self._context.store.folder / one.file, one.wanted)
        done = await to_thread.run_sync(put_file, task, limiter=self._threads, abandon_on_cancel=True)
        if done:
            await self._context.ledger.record_remote_done(one)
        return done


async def fetch_back(context: RunContext, lost: list[StoredFile]) -> list[StoredFile]:
    """Put files that are *lost* here back in their places from the bucket; return those that it has not.

    Raises UsageError where the bucket cannot be asked, or the disk takes no file: what is there need not be
    made again.
    """
    root, store = context.settings.outputs, context.store
    if root is None:
        return lost
    left = []
    for placed in lost:
        task = RemoteTask(f"{root}{placed.file}", store.spare_path(), placed.sha256)
        try:
            copy = await to_thread.run_sync(fetch_file, task)
            if copy is None:
                left.append(placed)
            else:
                await store.commit(copy, placed.file)
        except (ObjectsRefused, NoAnswer, StorageError, OSError) as error:
            raise UsageError(f"{placed.file} cannot be fetched back: {in_words(error)}") from None
    if len(left) < len(lost):
        files = len(lost) - len(left)
        told = f"fetched back from {root}, free of charge: {files:,} {'file' if files == 1 else 'files'}"
        context.log.notice(told)
    return left
