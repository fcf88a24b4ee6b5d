"""Contents of data URLs, kept on disk by their hash while a prediction needs them."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Contents:
    """The contents of one folder; each is dropped when no unfinished prediction refers to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._uses: Counter[str] = Counter()

    def keep(self, url: str) -> str:
        """Put what a data URL holds on disk and return its SHA-256. Raises ValueError."""
        content = _decode(url)
        name = sha256(content).hexdigest()
        path = self.path(name)
        if not path.exists():
            # A kill may leave half a file, which must not pass for the content of that hash.
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)
        return name

    def use(self, names: Iterable[str]) -> None:
        """Count contents that an unfinished prediction needs."""
        self._uses.update(names)

    def release(self, names: Iterable[str]) -> None:
        """Count down; what nobody needs any more is deleted."""
        for name in names:
            self._uses[name] -= 1
            if self._uses[name] <= 0:
                del self._uses[name]
                self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Return the file of a content."""
        return self._folder / name


def _decode(url: str) -> bytes:
    head, comma, text = url.partition(",")
    if not comma:
        raise ValueError("a data URL without a comma")
    if not head.endswith(";base64"):
        return unquote_to_bytes(text)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a data URL that is not base64: {error}") from None
