from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.objects import ObjectFile
from batchfill.domain.rows import LocalFile, Stamp
from batchfill.manifest.fingerprint import make_fingerprint
from tests.support.models import DEV

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Input, Row, RowFile

CONTENT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
FILE = LocalFile(Path("/somewhere/hero.png"), Stamp(4, 1_700_000_000_000_000_000), CONTENT)
OBJECT = ObjectFile("s3://photos/hero.png", 4, "098f6bcd4621d373cade4e832627b4f6")
URLS: dict[str, Input] = {"image": "http://x/a.png", "mask": "http://x/m.png", "prompt": "a spaceship"}


@pytest.mark.parametrize(
    ("model", "inputs", "files", "digest"),
    [
        (DEV, {}, {}, "30903aed1c162cde60fa6c795fd2cc3c5080549852e2a7aa29173a67065bb133"),
        (DEV, URLS, {}, "dd64c84a53e0bb335829b37fb9c40e561c10584797c46250e8d1b82d1c527ee0"),
        (
            DEV,
            URLS | {"guidance": 3.5, "seed": 7, "num_outputs": 2},
            {},
            "f186bbf3a0905afb13bf1fe67fa2aa582452d538249e2d3ec0c9e9bbcc438bd1",
        ),
        (
            DEV,
            URLS | {"disable_safety_checker": True, "megapixels": "0.25"},
            {},
            "c674ce48d1ccf5c7e7ab5ffb6e4e0a3bcef4f448605f1fd5b84de45a270722b2",
        ),
        (
            DEV,
            URLS | {"prompt": 'two\nlines, "quotes" \\ 飞船 🚀'},
            {},
            "4620065b98cac888e81b3f617477ee11b3cffdf2f2b308f9d14817925a51feb5",
        ),
        (
            DEV,
            URLS | {"image": "images/hero.png"},
            {"image": FILE},
            "42bdb1d8cc51a8b710b4162101e8175bcf5b1a3382edb58c6933da33db19a4f9",
        ),
        (
            DEV,
            URLS | {"image": "s3://photos/hero.png"},
            {"image": OBJECT},
            "df0abf11c10cf54f61a44587bc95879cb36edbdc40d98236412431ffa3df055e",
        ),
        ("a/b", URLS, {}, "0e34ca7ac08fd6d92a57ff15a7d1b5d6d06af0b04874145a5d7ea3e2745401a0"),
    ],
)
def test_fingerprints_are_the_same_for_ever(
    model: str, inputs: dict[str, Input], files: dict[str, RowFile], digest: str
) -> None:
    # A change here makes an upgrade pay for every finished row of every batch once more.
    assert make_fingerprint(model, inputs, files) == digest


def test_a_fingerprint_is_the_sha256_of_canonical_json() -> None:
    canonical = f'{{"inputs":{{"image":{{"sha256":"{CONTENT}"}},"prompt":"飞船","seed":7}},"model":"{DEV}"}}'

    assert (
        make_fingerprint(DEV, {"seed": 7, "prompt": "飞船", "image": "x.png"}, {"image": FILE})
        == sha256(canonical.encode()).hexdigest()
    )


def test_an_object_counts_by_its_address_its_size_and_its_etag() -> None:
    asked = {"image": {"address": OBJECT.address, "etag": OBJECT.etag, "size": 4}, "seed": 7}
    canonical = json.dumps({"inputs": asked, "model": DEV}, separators=(",", ":"))

    assert (
        make_fingerprint(DEV, {"seed": 7, "image": "elsewhere"}, {"image": OBJECT})
        == sha256(canonical.encode()).hexdigest()
    )


TEXTS = st.text()
VALUES = TEXTS | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(TEXTS, st.dictionaries(TEXTS, VALUES), st.sets(TEXTS, max_size=3))
def test_a_fingerprint_is_that_of_sorted_compact_json_whatever_is_asked_for(
    model: str, inputs: dict[str, Input], files: set[str]
) -> None:
    asked = {**inputs, **{name: {"sha256": CONTENT} for name in files}}
    text = json.dumps(
        {"model": model, "inputs": asked}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )

    assert make_fingerprint(model, inputs, dict.fromkeys(files, FILE)) == sha256(text.encode()).hexdigest()


def test_a_local_file_counts_by_its_content_not_by_its_name(
    folder: Path, rows: Callable[..., list[Row]]
) -> None:
    (folder / "copy.png").write_bytes((folder / "images" / "hero.png").read_bytes())
    table = "image,mask,prompt\n{},http://x/m.png,p\n"

    (first,) = rows(table.format("images/hero.png"))
    (second,) = rows(table.format("copy.png"))
    (folder / "copy.png").write_bytes(b"changed")
    (third,) = rows(table.format("copy.png"))

    assert first.fingerprint == second.fingerprint != third.fingerprint


def test_column_order_ids_and_notes_do_not_count(rows: Callable[..., list[Row]]) -> None:
    (first,) = rows("image,mask,prompt\nhttp://x/a,http://x/m,p\n")
    (second,) = rows("x_n,prompt,id,mask,image\n1,p,hero,http://x/m,http://x/a\n")

    assert first.fingerprint == second.fingerprint


def test_a_default_counts_as_if_the_row_had_given_it_and_the_model_s_own_does_not(
    rows: Callable[..., list[Row]],
) -> None:
    row = "http://x/a,http://x/m,p"
    (given,) = rows(f"image,mask,prompt,guidance\n{row},30\n")
    (default,) = rows(f"image,mask,prompt\n{row}\n", defaults={"guidance": "30.0"})
    (silent,) = rows(f"image,mask,prompt\n{row}\n")

    assert given.fingerprint == default.fingerprint != silent.fingerprint
