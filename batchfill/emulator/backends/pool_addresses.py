"""Where the containers of a pool are: named one by one, or in a file that may change."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchfill.errors import UsageError
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PORTS = {"http": 80, "https": 443}


class PoolAddresses:
    """The addresses of `--at`, then those of `--at-file`: one a line; blank lines and `#` are skipped."""

    def __init__(self, named: Sequence[str], file: Path | None = None) -> None:
        """Read the file. Raises UsageError for what is no address, and where there is neither."""
        if not named and file is None:
            raise UsageError("--behind cog needs containers: name each with --at URL, or give --at-file FILE")
        try:
            self._named = [read_container_address(text) for text in named]
        except ValueError as error:
            raise UsageError(f"--at: {error}") from None
        self._file = file
        self._read = self._found = self._stamp()
        """How the file was when it was read last, and at the last look."""
        self.known = [*self._named, *self._read_file()]
        """The addresses as they were read last."""

    def read_again(self) -> tuple[list[str] | None, str]:
        """Return the addresses if the file has changed, else None, and what is wrong with the file.

        It is read when two looks have found it the same: at one that is being written, a look more is taken.
        A file that is gone, empty or wrong changes nothing: the pool stays as it was.
        """
        before, self._found = self._found, self._stamp()
        if self._found == self._read or self._found != before:
            return None, ""
        self._read = self._found
        try:
            addresses = [*self._named, *self._read_file()]
        except UsageError as error:
            return None, f"{error}; the pool stays as it was"
        if not addresses:
            return None, f"{self._file} names no container; the pool stays as it was"
        self.known, old = addresses, self.known
        return (addresses if addresses != old else None), ""

    def _read_file(self) -> list[str]:
        if self._file is None:
            return []
        try:
            with open_regular(self._file) as file:
                lines = file.read().decode("utf-8-sig").splitlines()
        except OSError as error:
            raise UsageError(f"{self._file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise UsageError(f"{self._file}: is not UTF-8 text: write one address a line") from None
        return [address for number, line in enumerate(lines, 1) if (address := self._read_line(number, line))]

    def _read_line(self, number: int, line: str) -> str:
        text = line.partition("#")[0].strip()
        if not text:
            return ""
        try:
            return read_container_address(text)
        except ValueError as error:
            raise UsageError(f"{self._file}:{number}: {error}") from None

    def _stamp(self) -> object:
        """Return what is another one when the file has changed; None where it is not there."""
        if self._file is None:
            return None
        try:
            facts = self._file.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino


def read_container_address(text: str) -> str:
    """Return the address of a container in its one spelling: `http://gpu1:5000`.

    Raises ValueError for a person.
    """
    address = text.strip()
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        raise ValueError(_no_address(text)) from None
    if parts.scheme not in _PORTS or not host or port == 0 or any(map(str.isspace, address)):
        raise ValueError(_no_address(text))
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{host}: the address of a container holds no user, password or query")
    place = f"[{host}]" if ":" in host else host
    if port not in (None, _PORTS[parts.scheme]):
        place += f":{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def _no_address(text: str) -> str:
    return f"{text!r} is no address: give one such as http://gpu1:5000"
