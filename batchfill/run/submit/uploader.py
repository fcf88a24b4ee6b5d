"""Files given to the provider, until it turns out that it takes none: then they go inside the requests."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.progress import Level
from batchfill.errors import (
    NoAnswer,
    NotOffered,
    RowRejected,
    ServiceRefused,
    Throttled,
    TooLarge,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from batchfill.clock import Clock
    from batchfill.images.prepare.input_file import InputFile
    from batchfill.ledger.ledger import Ledger
    from batchfill.providers.provider_protocol import Provider
    from batchfill.storage.run_log import RunLog

LEAST_INLINE = 64_000
"""Characters of a data URL below which nothing is made smaller, whatever the service takes."""

UPLOAD_SPARE = 2 * 3600.0
"""Seconds that an upload must still have left to be used again."""

REFUSALS = 2
"""Failures of one file's upload, with a pause between them, until it goes inline."""

NO_CREDIT = 402


class Uploader:
    """Uploads files, each content once, and knows how much may go inline instead."""

    def __init__(self, service: Provider, ledger: Ledger, *, base: str, log: RunLog, clock: Clock) -> None:
        """*base*: the address that uploads are given to; another one knows nothing of them."""
        self._service = service
        self._ledger = ledger
        self._base = base
        self._log = log
        self._clock = clock
        self._uploading: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._failed: Counter[str] = Counter()
        self.offered = True
        """Whether the provider takes files, as far as this run has learned."""
        self.fails_for_now = False
        """Whether it takes none because the call failed, which may pass."""
        facts = service.facts
        self.small, self.largest = facts.small_inline, facts.largest_inline
        """Characters of a data URL that go inline where files are taken, and where they are not."""

    async def upload(self, file: InputFile, digest: str) -> str:
        """Return the address of *file*'s content.

        Raises NotOffered where it is to go inline, TransientError where it is to be tried again, and
        ServiceRefused where the account has no credit.
        """
        service, ledger, base = self._service, self._ledger, self._base
        async with self._one_at_a_time(digest):
            now = self._clock.now() + (service.clock_offset or 0.0)
            known = await ledger.upload_of(digest, base, good_until=now + UPLOAD_SPARE)
            if known is not None and service.redaction.given(known) is not None:
                return known
            try:
                upload = await service.upload(file.content, name=file.name, mime=file.mime)
            except (NotOffered, RowRejected, ServiceRefused, TransientError) as error:
                raise self._refusal(error, file, digest) from error
            self.offered, self.fails_for_now = True, False
            expires = now + service.facts.uploads_kept if upload.expires_at is None else upload.expires_at
            await ledger.record_upload(digest, base, upload.url, expires)
            return upload.url

    def shrink(self, data_urls: Iterable[str]) -> bool:
        """Allow less inline from now on: a request with *data_urls* was too large. False: it cannot."""
        longest = max(map(len, data_urls), default=0)
        if longest <= LEAST_INLINE:
            return False
        self.largest = min(self.largest, max(LEAST_INLINE, longest * 3 // 4))
        self.small = min(self.small, self.largest)
        return True

    def _refusal(self, error: Exception, file: InputFile, digest: str) -> Exception:
        """Return what *error* of the files call means for the row that needs *file*.

        The call is optional: whatever but a lack of credit speaks against it alone. The create tells whether
        the token is good.
        """
        passes = isinstance(error, TransientError)
        if isinstance(error, NoAnswer | Throttled) or (
            isinstance(error, ServiceRefused) and error.status == NO_CREDIT
        ):
            return error
        self._failed[digest] += 1
        if passes and (self._failed[digest] < REFUSALS or self.fails_for_now):
            return error
        if isinstance(error, TooLarge):
            self.largest = min(self.largest, len(file.content))
        self._go_inline(error, passes=passes)
        return NotOffered(str(error))

    def _go_inline(self, error: Exception, *, passes: bool) -> None:
        if self.offered and not isinstance(error, NotOffered):
            told = f"{error}: pictures go inside the requests from now on, smaller where they must be"
            self._log.notice(told, Level.WARNING)
        self.offered, self.fails_for_now = False, passes

    @asynccontextmanager
    async def _one_at_a_time(self, digest: str) -> AsyncIterator[None]:
        """Let one row at a time look for, or make, the upload of a content."""
        lock = self._uploading[digest]
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._uploading.pop(digest, None)
