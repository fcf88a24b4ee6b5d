"""Uploads that an error of the service is about are forgotten: the next attempt makes new ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from batchfill.run.tools import Tools
    from batchfill.values import Attempt

LEAST = 8
"""Characters of a part of an address that is taken for the id or the name of a file."""

_FILE = re.compile(r"\b(files?|images?|pictures?|masks?|uploads?|inputs?|urls?)\b", re.IGNORECASE)
_AWAY = re.compile(
    r"\b(40[134]|410|not found|not exist|gone|expired?|no longer|missing|deleted|removed|unavailable|no such"
    r"|(failed|unable|could ?n[o']t|cannot|can't|error)\b.{0,20}\b"
    r"(download|fetch|load|open|read|access|retriev)(ed|ing|e)?)\b",
    re.IGNORECASE,
)
"""Words for a file that is not there. To upload one more for nothing costs nothing."""


async def forget_named(tools: Tools, attempt: Attempt, error: str) -> None:
    """Forget those uploads of *attempt* that *error*, the service's reason why it failed, is about."""
    if urls := addresses_named(attempt.sent, error):
        await tools.ledger.forget_uploads(attempt.origin, urls)


def addresses_named(sent: Mapping[str, Any], error: str) -> list[str]:
    """Return the addresses among the inputs *sent* that *error* is about.

    Those that it names, by address or by id; all of them where it speaks of a file that is not there, and
    names none.
    """
    addresses = [given for given in sent.values() if isinstance(given, str) and _is_address(given)]
    named = [address for address in addresses if any(part in error for part in _parts(address))]
    if named or not (_FILE.search(error) and _AWAY.search(error)):
        return named
    return addresses


def _is_address(given: str) -> bool:
    return given.startswith(("https://", "http://"))


def _parts(address: str) -> list[str]:
    """Return what stands for a file's address in an error: a part of its path that can be no common word."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return []
    parts = {part for side in (path, unquote(path)) for part in side.split("/")}
    return [part for part in parts if len(part) >= LEAST and re.search(r"[\d_.=-]", part)]
