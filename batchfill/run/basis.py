"""What the rows in the ledger rest on: while all of it is the same, the manifest need not be read again."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from batchfill import __version__
from batchfill.ledger.reader import open_reader
from batchfill.manifest.files import Places, digest_file
from batchfill.manifest.reach import reach_of

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.catalog import Model
    from batchfill.manifest import Manifest
    from batchfill.settings import Settings

NEIGHBOURS = 4096
"""Files that are looked at only once, where rows that name them stand together."""


def basis_of(manifest: Manifest, model: Model, settings: Settings) -> str | None:
    """Return 64 hex digits of all that reading *manifest* depends on, except the local files that rows name.

    None when it cannot be told, because a file cannot be read.
    """
    try:
        files = [_facts(path) for path in dict.fromkeys((manifest.path, manifest.rows))]
    except OSError:
        return None
    rests_on = {
        "program": [__version__, *sys.version_info[:3]],
        "files": files,
        "kinds": [manifest.kind, manifest.rows_kind, manifest.encoding],
        "model": repr(model),
        "defaults": dict(settings.defaults),
        "column": dict(settings.column),
        "extra_columns": settings.extra_columns,
        "price": settings.price,
        "reach": None if settings.allow_outside else [str(part) for part in reach_of(manifest.path.parent)],
    }
    return sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()


def files_stand(ledger: Path, folder: Path) -> bool:
    """Whether each local file that rows in *ledger* name from *folder* is the one that was read."""
    stands = lru_cache(maxsize=NEIGHBOURS)(Places(folder).hold)
    with open_reader(ledger) as reader:
        return all(map(stands, reader.local_files()))


def _facts(path: Path) -> list[str | int]:
    file = digest_file(path)
    return [file.stamp.size, file.stamp.mtime_ns, file.sha256]
