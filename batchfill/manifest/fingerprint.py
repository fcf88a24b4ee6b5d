"""What a row asks for, as 64 hex digits: the same today and after every upgrade."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.values import Input, LocalFile

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def fingerprint(model: str, inputs: Mapping[str, Input], files: Mapping[str, LocalFile]) -> str:
    """Return the SHA-256 of the canonical JSON of *model* and *inputs*, local *files* by their content.

    Whatever is not in *inputs* (the model's own defaults, a chosen seed, prepared bytes) is no part of it.
    Raises UnicodeEncodeError when a text holds half a surrogate pair.
    """
    asked: dict[str, Input | dict[str, str]] = {**inputs}
    for name, file in files.items():
        asked[name] = {"sha256": file.sha256}
    return sha256(_encode({"inputs": asked, "model": model}).encode()).hexdigest()
