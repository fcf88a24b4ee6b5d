from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.rows import Row
from batchfill.errors import UsageError
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.standard_input import spool_input
from batchfill.manifest.validation import read_rows
from batchfill.settings.resolve import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchfill.catalog.model import Model
    from batchfill.errors import Mistake

STANDARD_INPUT = Path("-")


@pytest.fixture
def piped(
    folder: Path, dev: Model, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bytes], list[Row | Mistake]]]:
    """Read a manifest that comes by standard input, in a folder with pictures."""

    def read(content: bytes) -> list[Row | Mistake]:
        spool_input.cache_clear()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        # A command reads its manifest more than once.
        open_manifest(STANDARD_INPUT)
        manifest = open_manifest(STANDARD_INPUT)
        return list(
            read_rows(manifest, dev, defaults=manifest.defaults, column=manifest.column, digest=digest_file)
        )

    monkeypatch.chdir(folder)
    yield read
    spool_input.cache_clear()


TABLE = b"image,mask,prompt\nimages/hero.png,http://x/m,p\n"


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        gzip.compress(TABLE, mtime=0),
        b'{"image": "images/hero.png", "mask": "http://x/m", "prompt": "p"}',
        b'[{"image": "images/hero.png", "mask": "http://x/m", "prompt": "p"}]',
        b"rows:\n  - {image: images/hero.png, mask: http://x/m, prompt: p}\n",
    ],
)
def test_a_manifest_by_standard_input_names_files_of_the_current_folder(
    piped: Callable[[bytes], list[Row | Mistake]], folder: Path, content: bytes
) -> None:
    (row,) = piped(content)

    assert isinstance(row, Row)
    assert row.local_files["image"].path == folder / "images" / "hero.png"


def test_a_mistake_names_standard_input_and_the_line(piped: Callable[[bytes], list[Row | Mistake]]) -> None:
    assert [str(item) for item in piped(TABLE + b",http://x/m,p\n")[1:]] == [
        "standard input:3: image is empty: fill it in, or give one to all with `--set image=…`"
    ]


def test_standard_input_needs_a_batch_folder_that_is_named() -> None:
    with pytest.raises(UsageError, match="give the batch folder with --out DIR"):
        folder_of(STANDARD_INPUT, {})
    assert folder_of(STANDARD_INPUT, {"out": "night"}) == Path("night")


def test_standard_input_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spool_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(UsageError, match="standard input cannot be read"):
        open_manifest(STANDARD_INPUT)
