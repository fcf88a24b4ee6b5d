"""Manifests written to a folder and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import Row
from batchfill.errors import ManifestError, Mistake
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.validation import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.catalog.model import Model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest's folder, `work/night`, with two pictures and a mask in it."""
    folder = tmp_path / "work" / "night"
    (folder / "images").mkdir(parents=True)
    for name in ("hero.png", "street.png", "mask.png"):
        (folder / "images" / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def read(folder: Path, dev: Model) -> Callable[..., list[Row | Mistake]]:
    """Write *content* to *name*, open it and read it to the end; settings of its head are obeyed."""

    def read(content: str | bytes, name: str = "night.csv", **options: Any) -> list[Row | Mistake]:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            manifest = open_manifest(path, encoding=options.pop("encoding", None))
        except ManifestError as error:
            return list(error.mistakes)
        model = options.pop("model", dev)
        head: dict[str, Any] = {"defaults": manifest.defaults, "column": manifest.column}
        return list(read_rows(manifest, model, **(head | {"digest": digest_file} | options)))

    return read


@pytest.fixture
def rows(read: Callable[..., list[Row | Mistake]]) -> Callable[..., list[Row]]:
    """As read, for a manifest without mistakes."""

    def rows(content: str | bytes, name: str = "night.csv", **options: Any) -> list[Row]:
        found = read(content, name, **options)
        assert [str(item) for item in found if isinstance(item, Mistake)] == []
        return [item for item in found if isinstance(item, Row)]

    return rows


@pytest.fixture
def mistakes(read: Callable[..., list[Row | Mistake]]) -> Callable[..., list[str]]:
    """As read, only the mistakes, as a person sees them."""

    def mistakes(content: str | bytes, name: str = "night.csv", **options: Any) -> list[str]:
        return [str(item) for item in read(content, name, **options) if isinstance(item, Mistake)]

    return mistakes
