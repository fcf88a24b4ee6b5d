"""Where the contents of file inputs come from: data URLs, uploads, own outputs, loopback."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from batchfill.local.files import LIFETIME
from batchfill.local.model import RunFailed
from batchfill.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.local.contents import Contents
    from batchfill.local.files import Files
    from batchfill.local.record import Record

MAX_SIZE = 100 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60)


class Sources:
    """Reads file inputs. Nothing but this machine is ever asked."""

    def __init__(self, contents: Contents, files: Files, now: Callable[[], float]) -> None:
        self._contents, self._files, self._now = contents, files, now
        self._client: aiohttp.ClientSession | None = None

    async def read(self, record: Record, name: str) -> bytes:
        """Return what the input *name* of a prediction holds. Raises RunFailed."""
        if name in record.contents:
            return await asyncio.to_thread(self._contents.path(record.contents[name]).read_bytes)
        url = record.input.get(name)
        if not isinstance(url, str):
            raise RunFailed(f"TypeError: {name} is missing")
        upload = uploaded(url)
        if upload is not None:
            return await asyncio.to_thread(self._read_upload, url, upload)
        return await self._fetch(url)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def _read_upload(self, url: str, id_: str) -> bytes:
        if self._files.answer(id_, "", self._now()) is None:
            hours = LIFETIME // 3600
            raise RunFailed(
                f"failed to download {url}: 404, no such file (files are kept for {hours:.0f} hours)"
            )
        return self._files.path(id_).read_bytes()

    async def _fetch(self, url: str) -> bytes:
        if not is_loopback(urlsplit(url).hostname or ""):
            raise RunFailed(
                f"failed to download {url}: the embedded provider reads data URLs, uploads and loopback "
                "addresses only"
            )
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        try:
            return await _download(self._client, url)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RunFailed(f"failed to download {url}: {error or type(error).__name__}") from error


async def _download(client: aiohttp.ClientSession, url: str) -> bytes:
    # A redirect could lead off this machine.
    async with client.get(url, allow_redirects=False) as answer:
        if answer.status != 200:
            raise RunFailed(f"failed to download {url}: the server answered {answer.status}")
        content = await answer.content.read(MAX_SIZE + 1)
        while len(content) <= MAX_SIZE and (more := await answer.content.read(MAX_SIZE)):
            content += more
        if len(content) > MAX_SIZE:
            raise RunFailed(f"failed to download {url}: larger than {MAX_SIZE:,} bytes")
        return content


def uploaded(url: str) -> str | None:
    """Return the id of the upload that *url* names; None when it names something else."""
    match = re.fullmatch(r"https?://[^/]+/v1/files/([\w-]+)", url)
    return match[1] if match else None
