from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
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


def tar_of(name: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        about = tarfile.TarInfo(name)
        about.size = len(CSV.encode())
        archive.addfile(about, io.BytesIO(CSV.encode()))
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
        (zip_of("night.csv"), "is a zip archive (night.csv): unpack it first"),
        (zip_of("a/", "a/1.csv", "b.csv"), "is a zip archive (a/1.csv, b.csv): unpack it first"),
        (zip_of(), "is an empty zip archive"),
        (tar_of("night.csv"), "is a tar archive: unpack it first"),
        (gzip.compress(tar_of("night.csv")), "is a tar archive: unpack it first"),
        (gzip.compress(gzip.compress(CSV.encode())), "is packed with gzip twice: unpack it once"),
        (
            gzip.compress(zip_of("xl/workbook.xml")),
            "is a workbook or a zip archive packed with gzip: unpack it once",
        ),
        (gzip.compress(b"%PDF-1.7\n"), "is a PDF document"),
        (pickle.dumps([CSV], protocol=4), "is a Python pickle"),
        (zip_of("word/document.xml"), "is a Word document"),
        (zip_of("mimetype", "content.xml"), "is an OpenDocument file (.ods): save it as .xlsx or CSV UTF-8"),
        (zip_of("xl/workbook.bin"), "is a binary workbook (.xlsb)"),
        (b"PK\x03\x04", "is a workbook or an archive, cut short or damaged"),
        (png(), "is a picture: a manifest is a table that names pictures"),
        (b"\n<!DOCTYPE html>\n<html><table>", "is a web page"),
        (b"<?xml version='1.0'?>", "is XML"),
        (b"<!-- exported --><html><table>", "is a web page"),
        (b"<meta charset='utf-8'><table>", "is a web page"),
        (b"\xef\xbb\xbf<style>td {}</style><table>", "is a web page"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related\n", "is a saved web page"),
        (b"ID;PWXL;N;E\nP;PGeneral\n", "is an SYLK table (.slk)"),
    ],
    # Packed bytes hold the time, and every process of the tests must find the same names.
    ids=lambda value: value if isinstance(value, str) else "bytes",
)
@pytest.mark.parametrize("name", ["n.csv", "n.xlsx", "n"])
def test_what_is_no_manifest_is_said_by_its_name_in_one_sentence(
    mistakes: Callable[..., list[str]], content: bytes, words: str, name: str
) -> None:
    (found,) = mistakes(content, name)

    assert found.startswith(f"{name}: {words}")


@pytest.mark.parametrize(
    "table",
    [
        "| image | mask | prompt |\n|---|---|---|\n| a.png | b.png | x |\n",
        "image | mask | prompt\n--- | :-: | ---\na.png | b.png | x\n",
        "# Night, first part\n\n| image | mask |\n|:--|--:|\n| a.png | b.png |\n".replace(",", ""),
        " image | mask\n-------+------\n a | b\n(1 row)\n",
        "+----+----+\n| image | mask |\n+----+----+\n",
        "| image | mask |\n|-------+------|\n| a | b |\n",
        "┌────┬────┐\n│ image │ mask │\n├────┼────┤\n",
        "image | mask\n══════╪══════\na | b\n",
    ],
)
@pytest.mark.parametrize("name", ["n.csv", "n.md", "n"])
def test_a_table_drawn_with_lines_is_told_in_one_sentence(
    mistakes: Callable[..., list[str]], table: str, name: str
) -> None:
    assert mistakes(table, name) == [
        f'{name}: is a table drawn with lines, as in Markdown: save its rows as "CSV UTF-8" or JSONL'
    ]


@pytest.mark.parametrize(
    "table",
    [
        "image|mask|prompt\nhttp://x/a|http://x/m|--\n",
        f'image,mask,prompt\n{URLS},"| a | b |\n|---|---|"\n',
        f"image\tmask\tprompt\n{URLS}\t|--|\n".replace(",", "\t"),
        "ID;Prompt;Image;Mask\n1;x;http://x/a;http://x/m\n",
        "---\nrows:\n- {image: http://x/a, mask: http://x/m, prompt: '|--|'}\n",
    ],
)
def test_a_table_whose_cells_hold_such_lines_is_read(rows: Callable[..., list[Row]], table: str) -> None:
    assert len(rows(table, "n")) == 1


def test_a_table_of_tabs_may_be_called_csv(rows: Callable[..., list[Row]]) -> None:
    assert rows(CSV.replace(",", "\t"), "n.csv") == rows(CSV, "n.csv")
