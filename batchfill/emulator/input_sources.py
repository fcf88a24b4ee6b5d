"""Where file inputs come from: data URLs, uploads, own outputs, loopback."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp

from batchfill.emulator.backend import RunFailed
from batchfill.emulator.files import LIFETIME
from batchfill.settings.addresses import is_loopback
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from batchfill.emulator.files import UploadedFiles
    from batchfill.emulator.journal import PredictionRecord


class Contents:
    """The contents of one folder; each is dropped when no unfinished prediction refers to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._uses: Counter[str] = Counter()

    def keep(self, url: str) -> str:
        """Put what a data URL holds on disk and return its SHA-256. Raises ValueError."""
        content = _decode_data_url(url)
        name = sha256(content).hexdigest()
        path = self.path(name)
        if not path.exists():
            # A kill may leave half a file, which must not pass for the content of that hash.
            part = path.with_suffix(".part")
            part.write_bytes(content)
            here().replace_file(part, path)
        return name

    def use(self, names: Iterable[str]) -> None:
        """Count contents that an unfinished prediction needs."""
        self._uses.update(names)

    def release(self, names: Iterable[str]) -> None:
        """Count down; a file that no prediction needs any more is deleted."""
        for name in names:
            self._uses[name] -= 1
            if self._uses[name] <= 0:
                del self._uses[name]
                self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Return the file of a content."""
        return self._folder / name


def _decode_data_url(url: str) -> bytes:
    head, comma, text = url.partition(",")
    if not comma:
        raise ValueError("a data URL without a comma")
    if not head.endswith(";base64"):
        return unquote_to_bytes(text)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a data URL that is not base64: {error}") from None


MAX_SIZE = 100 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60)


class Sources:
    """Reads file inputs. Nothing but this machine is ever asked."""

    def __init__(self, contents: Contents, files: UploadedFiles, now: Callable[[], float]) -> None:
        self._contents, self._files, self._now = contents, files, now
        self._client: aiohttp.ClientSession | None = None

    async def read(self, record: PredictionRecord, name: str) -> bytes:
        """Return what the input *name* of a prediction holds. Raises RunFailed."""
        if name in record.contents:
            return await asyncio.to_thread(self._contents.path(record.contents[name]).read_bytes)
        url = record.input.get(name)
        if not isinstance(url, str):
            raise RunFailed(f"TypeError: {name} is missing")
        upload = upload_id(url)
        if upload is not None:
            return await asyncio.to_thread(self._read_upload, url, upload)
        return await self._fetch_loopback(url)

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

    async def _fetch_loopback(self, url: str) -> bytes:
        if not is_loopback(urlsplit(url).hostname or ""):
            raise RunFailed(
                f"failed to download {url}: the local emulator reads data URLs, uploads and loopback "
                "addresses only"
            )
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        try:
            return await _download_input(self._client, url)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RunFailed(f"failed to download {url}: {error or type(error).__name__}") from error


async def _download_input(client: aiohttp.ClientSession, url: str) -> bytes:
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


def upload_id(url: str) -> str | None:
    """Return the id of the upload that *url* names; None when it names something else."""
    match = re.fullmatch(r"https?://[^/]+/v1/files/([\w-]+)", url)
    return match[1] if match else None
