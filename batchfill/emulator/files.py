"""Uploaded files: kept in a folder, forgotten after a day."""

from __future__ import annotations

import base64
import json
import uuid
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any

from batchfill.emulator.responses import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LIFETIME = 24 * 3600.0
MAX_SIZE = 100 * 1024 * 1024


class UploadedFiles:
    """The uploads of one folder, known to a provider that is started on it again."""

    def __init__(self, folder: Path, new_id: Callable[[], str]) -> None:
        self._folder, self._new_id = folder, new_id
        folder.mkdir(parents=True, exist_ok=True)
        facts = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
        self._facts: dict[str, dict[str, Any]] = {
            fact["id"]: fact for fact in sorted(facts, key=lambda fact: fact["created"])
        }

    def add(self, content: bytes, *, name: str, mime: str, metadata: Mapping[str, Any], now: float) -> str:
        """Keep an upload and return its id."""
        unique = uuid.uuid5(uuid.NAMESPACE_OID, self._new_id())
        id_ = base64.urlsafe_b64encode(str(unique).encode()).decode().rstrip("=")
        sums = {"sha256": sha256(content).hexdigest(), "md5": md5(content, usedforsecurity=False).hexdigest()}
        fact = {"id": id_, "name": name, "content_type": mime, "size": len(content), "checksums": sums}
        self.path(id_).write_bytes(content)
        self._facts[id_] = {**fact, "metadata": dict(metadata), "created": now}
        # The description comes last: a kill leaves no description of half a file.
        self._description_path(id_).write_text(json.dumps(self._facts[id_]), encoding="utf-8")
        return id_

    def answer(self, id_: str, base: str, now: float) -> dict[str, Any] | None:
        """Return the service's record of a file as JSON; None when it is unknown or too old."""
        fact = self._facts.get(id_)
        if fact is None or fact["created"] + LIFETIME <= now:
            return None
        times = {
            "created_at": format_time(fact["created"]),
            "expires_at": format_time(fact["created"] + LIFETIME),
        }
        shown = {name: value for name, value in fact.items() if name != "created"}
        return {**shown, "etag": fact["checksums"]["md5"], **times, "urls": {"get": f"{base}/files/{id_}"}}

    def newest_first(self) -> list[str]:
        """Return the ids."""
        return list(reversed(self._facts))

    def sha256(self, id_: str) -> str | None:
        """Return the content's hash; None for an unknown file."""
        fact = self._facts.get(id_)
        return fact["checksums"]["sha256"] if fact else None

    def path(self, id_: str) -> Path:
        """Return where a file's content lies."""
        return self._folder / f"{id_}.content"

    def delete(self, id_: str) -> bool:
        """Delete a file; False when it is unknown."""
        if self._facts.pop(id_, None) is None:
            return False
        self._description_path(id_).unlink(missing_ok=True)
        self.path(id_).unlink(missing_ok=True)
        return True

    def _description_path(self, id_: str) -> Path:
        return self._folder / f"{id_}.json"
