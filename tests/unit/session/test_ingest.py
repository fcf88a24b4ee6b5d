from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.manifest.manifest import Manifest
from batchfill.session.ingest import manifest_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.catalog.model import Model
    from batchfill.settings.settings import Settings


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A YAML manifest whose rows are in a CSV."""
    head, rows = tmp_path / "night.yaml", tmp_path / "night.csv"
    head.write_text("rows: night.csv\n")
    rows.write_text("image,mask,prompt\n")
    return Manifest(head, "yaml", rows=rows, rows_kind="csv")


def test_what_is_the_same_has_the_same_basis(
    manifest: Manifest, dev: Model, settings: Callable[..., Settings]
) -> None:
    again = replace(dev, fields=dict(dev.fields))
    basis = manifest_digest(manifest, dev, settings())
    assert basis == manifest_digest(
        manifest, again, settings(concurrency=7, retry=frozenset({"failed"}), limit=3)
    )
    assert basis is not None
    assert len(basis) == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"defaults": {"guidance": "30"}},
        {"column": {"image": "photo"}},
        {"extra_columns": True},
        {"literal_prompt": True},
        {"allow_outside": True},
        {"price": 40_000},
    ],
)
def test_every_setting_that_shapes_rows_counts(
    manifest: Manifest, dev: Model, settings: Callable[..., Settings], changed: dict[str, Any]
) -> None:
    assert manifest_digest(manifest, dev, settings(**changed)) != manifest_digest(manifest, dev, settings())


def test_everything_that_is_known_of_the_model_counts(
    manifest: Manifest, dev: Model, settings: Callable[..., Settings]
) -> None:
    guidance = replace(dev.fields["guidance"], maximum=10)
    others = [
        replace(dev, name="a/b"),
        replace(dev, price=1),
        replace(dev, checked=False),
        replace(dev, fields={**dev.fields, "guidance": guidance}),
    ]
    bases = {manifest_digest(manifest, one, settings()) for one in (dev, *others)}
    assert len(bases) == 1 + len(others)


@pytest.mark.parametrize("part", ["path", "rows"])
def test_content_and_time_of_both_files_count(
    manifest: Manifest, dev: Model, settings: Callable[..., Settings], part: str
) -> None:
    file: Path = getattr(manifest, part)
    bases = [manifest_digest(manifest, dev, settings())]
    facts = file.stat()
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    bases.append(manifest_digest(manifest, dev, settings()))
    file.write_bytes(file.read_bytes().replace(b"s", b"S"))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    bases.append(manifest_digest(manifest, dev, settings()))
    assert len(set(bases)) == 3


@pytest.mark.parametrize("changed", [{"encoding": "gb18030"}, {"rows_kind": "jsonl"}, {"kind": "csv"}])
def test_how_the_files_are_read_counts(
    manifest: Manifest, dev: Model, settings: Callable[..., Settings], changed: dict[str, Any]
) -> None:
    assert manifest_digest(replace(manifest, **changed), dev, settings()) != manifest_digest(
        manifest, dev, settings()
    )


def test_which_files_rows_may_name_counts(
    manifest: Manifest,
    dev: Model,
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As what is the user's home does, whose files a manifest below it may not name."""
    before = manifest_digest(manifest, dev, settings())
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert manifest_digest(manifest, dev, settings()) != before


def test_the_program_counts(
    manifest: Manifest,
    dev: Model,
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = manifest_digest(manifest, dev, settings())
    monkeypatch.setattr("batchfill.session.ingest.__version__", "0.0.9")
    assert manifest_digest(manifest, dev, settings()) != before


def test_what_cannot_be_read_has_no_basis(
    manifest: Manifest, dev: Model, settings: Callable[..., Settings]
) -> None:
    manifest.rows.unlink()
    assert manifest_digest(manifest, dev, settings()) is None
