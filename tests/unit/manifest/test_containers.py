from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from PIL import Image

from batchfill.errors import UsageError
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.rows import Row

CSV = HEADER + f"a,{URLS},a boat\nb,{URLS},飞船\n"
JSON = '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p"}'


def zip_of(*names: str) -> bytes:
    held = io.BytesIO()
    with ZipFile(held, "w") as package:
        for name in names:
            package.writestr(name, b"x")
    return held.getvalue()


def png() -> bytes:
    held = io.BytesIO()
    Image.new("L", (2, 2)).save(held, "PNG")
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "text", "many"),
    [
        ("night.csv.gz", CSV, 2),
        ("night.CSV.GZ", CSV, 2),
        ("night.csv", CSV, 2),
        ("night.gz", CSV, 2),
        ("night.tsv.gz", CSV.replace(",", "\t"), 2),
        ("night.jsonl.gz", JSON, 1),
        ("night.json.gz", f"[{JSON}, {JSON}]", 2),
        ("night.yaml.gz", f"rows: [{JSON}]", 1),
    ],
)
def test_a_manifest_packed_with_gzip_is_read(
    rows: Callable[..., list[Row]], name: str, text: str, many: int
) -> None:
    assert len(rows(gzip.compress(text.encode()), name)) == many


def test_a_packed_file_of_rows_is_read_from_a_yaml(rows: Callable[..., list[Row]], folder: Path) -> None:
    (folder / "table.csv.gz").write_bytes(gzip.compress(CSV.encode()))

    assert len(rows("rows: table.csv.gz\n", "night.yaml")) == 2


@pytest.mark.parametrize("rows", [1, 20_000])
@pytest.mark.parametrize("cut", [4, 20, -9, -1])
def test_a_packed_file_that_is_cut_short_is_told_in_a_sentence(
    mistakes: Callable[..., list[str]], cut: int, rows: int
) -> None:
    text = HEADER + "".join(f"a{n},{URLS},é\n" for n in range(rows))
    try:
        found = mistakes(gzip.compress(text.encode())[:cut], "n.csv.gz")
    except UsageError as error:
        found = [str(error)]  # of a short file, damage shows when it is opened

    assert "n.csv.gz: cannot be read: packed with gzip, and cut short or damaged: copy it again" in found[-1]


def test_another_encoding_is_told_of_a_packed_file_too(mistakes: Callable[..., list[str]]) -> None:
    (found,) = mistakes(gzip.compress((HEADER + f"a,{URLS},飞船停在沙滩上\n").encode("gb18030")), "n.csv.gz")

    assert "n.csv.gz:2: not UTF-8 (looks like GB18030" in found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PAR1\x15\x04\x15", "is a Parquet file"),
        (b"ARROW1\0\0", "is an Arrow or Feather file"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "is an old Excel workbook (.xls), a protected one, or a document",
        ),
        (b"%PDF-1.7\n", "is a PDF document"),
        (bz2.compress(CSV.encode()), "is packed with bzip2: unpack it first"),
        (lzma.compress(CSV.encode()), "is packed with xz: unpack it first"),
        (zip_of("night.csv"), "is a zip archive: unpack it first"),
        (zip_of("word/document.xml"), "is a Word document"),
        (zip_of("mimetype", "content.xml"), "is an OpenDocument file (.ods): save it as .xlsx or CSV UTF-8"),
        (zip_of("xl/workbook.bin"), "is a binary workbook (.xlsb)"),
        (b"PK\x03\x04", "is a workbook or an archive, cut short or damaged"),
        (png(), "is a picture: a manifest is a table that names pictures"),
        (b"\n<!DOCTYPE html>\n<html><table>", "is a web page"),
        (b"<?xml version='1.0'?>", "is XML"),
    ],
)
@pytest.mark.parametrize("name", ["n.csv", "n.xlsx", "n"])
def test_what_is_no_manifest_is_said_by_its_name_in_one_sentence(
    mistakes: Callable[..., list[str]], content: bytes, words: str, name: str
) -> None:
    (found,) = mistakes(content, name)

    assert found.startswith(f"{name}: {words}")
