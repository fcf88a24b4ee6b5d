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
from batchfill.errors import NoAnswer, ObjectsRefused, first_few, in_words
from batchfill.storage.remote_files import PutTask, put_file
from batchfill.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.objects import RemoteFile
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
        self._left: set[RemoteFile] = set()
        """What is left for the next run."""
        self._changed: set[RemoteFile] = set()
        """What of it was found to be another file, or none: moved in between, or the user's work."""
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
            while due := await self._take_due():
                await self._put_all(due)
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

    async def _take_due(self) -> list[RemoteFile]:
        if self._refused:
            return []
        due = await self._context.ledger.remote_due(AT_ONCE + len(self._left))
        return [one for one in due if one not in self._left]

    async def _put_all(self, due: list[RemoteFile]) -> None:
        await self._context.ledger.record_remote_begun(one.file for one in due)
        async with anyio.create_task_group() as tasks:
            for one in due:
                tasks.start_soon(self._put_until_taken, one)

    async def _put_until_taken(self, one: RemoteFile) -> None:
        """Try again while the bucket does not answer; in the end leave the file for another start."""
        for wait in chain(self._context.timings.storage_retries, (None,)):
            try:
                if await self._put(one):
                    return
                self._changed.add(one)
                break
            except FileNotFoundError:
                self._changed.add(one)
                break
            except ObjectsRefused as error:
                self._refused = True
                # What runs is fetched all the same, into the batch folder.
                self._context.stopping.stop_submitting(str(error))
                break
            except (NoAnswer, OSError) as error:
                self._context.log.debug(f"{one.file}: {in_words(error)}")
                if wait is None or self._refused:
                    break
                await anyio.sleep(wait)
        self._left.add(one)

    async def _put(self, one: RemoteFile) -> bool:
        task = PutTask(f"{self._root}{one.file}", self._context.store.folder / one.file, one.wanted)
        done = await to_thread.run_sync(put_file, task, limiter=self._threads, abandon_on_cancel=True)
        if done:
            await self._context.ledger.record_remote_done(one)
        return done
