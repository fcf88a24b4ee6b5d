"""Whatever the bytes are: answers, manifests and pictures are read, or refused in the one way agreed upon.

BATCHFILL_FUZZ=20000 draws so many examples a test, from another place each time.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchfill.console.format import safe_text
from batchfill.domain.token import Token
from batchfill.errors import BadPicture, BatchfillError, ManifestError, Mistake, UsageError
from batchfill.images.codec import open as open_module
from batchfill.images.codec.decode import decode_whole, read_header
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.validation import read_rows
from batchfill.providers.error_text import LONGEST, one_line
from batchfill.providers.pagination import read_page
from batchfill.providers.parsing import LATEST
from batchfill.providers.prediction_reader import read_created
from batchfill.providers.redaction import Redaction
from batchfill.providers.status_codes import LONGEST_WAIT, Call, error_for, read_http_date
from tests.support.models import DEV, known_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Row

LONG = os.environ.get("BATCHFILL_FUZZ")
fuzzed = settings(
    max_examples=int(LONG or 100),
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

SECRET = "r8_Secret0123456789"

# What a service may say

texts = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
            "2026-11-23T00:00:00+99:99",
            "../x",
            "succeeded",
            "https://x/y?cursor=z",
            "data:,",
            "\x1b[2J\x07",
            "\u202eevil",
            "\ud800",
            "Using seed: 99999999999999999999",
            SECRET,
        ]
    ),
    st.text(max_size=3).map(lambda text: text * 3000),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**63, 10**400, 1e308, float("inf"), float("nan")]),
    st.floats(),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
KEYS = (  # noqa: SIM905 - a line of words
    "id status created_at started_at completed_at output error data_removed input metrics logs urls model "
    "detail title message code msg invalid_fields field description loc retry_after results next previous"
).split()
answers = st.dictionaries(st.sampled_from(KEYS), values, max_size=12).flatmap(
    lambda value: st.sampled_from([value, {"id": "p1", **value}, {"results": [value, value], **value}])
)


def _spoilt(content: bytes, changes: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Return *content* with pieces replaced: where, how many bytes, by what."""
    for place, length, piece in changes:
        at = place % (len(content) + 1)
        content = content[:at] + piece + content[at + length :]
    return content


changes = st.lists(
    st.tuples(st.integers(0, 2**20), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=6
)
whole_bodies = answers.map(lambda value: json.dumps(value, ensure_ascii=True).encode())
bodies = st.one_of(
    whole_bodies,
    st.builds(_spoilt, whole_bodies, changes),
    st.binary(),
    st.sampled_from([b"<title>", b"<script", b"&#", b'{"a":', b"[", b"\xff", b"</title"]).map(
        lambda b: b * 500
    ),
)


def _refused(read: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return read(body)
    except ValueError:
        return None


def _check_prediction(found: Prediction) -> None:
    assert 1 <= len(found.id) <= 200
    assert found.id.isprintable()
    assert not set(found.id) & set("/\\?#%")
    assert len(found.status) <= 40
    assert found.status.isprintable()
    assert len(found.error or "") <= 1000
    assert (found.error or "").isprintable()
    assert len(found.outputs) <= 1000
    assert found.seed is None or 0 <= found.seed < 2**63
    assert found.predict_time is None or 0 <= found.predict_time < float("inf")
    for moment in (found.created_at, found.started_at, found.completed_at):
        assert moment is None or 0 < moment < LATEST
    for value in (found.input or {}).values():
        assert value is None or isinstance(value, str | int | float)


@fuzzed
@given(body=bodies)
def test_an_answer_is_predictions_within_bounds_or_none(body: bytes) -> None:
    if (found := _refused(lambda body: read_created(body, {}), body)) is not None:
        _check_prediction(found)
    page = _refused(read_page, body)
    for item in page.items if page else ():
        _check_prediction(item)
    cursor = page.cursor if page else None
    assert cursor is None or (cursor.isprintable() and len(cursor) <= 10_000)


@fuzzed
@given(
    call=st.sampled_from(list(Call)),
    status=st.sampled_from([100, 302, 400, 401, 402, 404, 409, 410, 413, 422, 429, 500, 503, 599]),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "ratelimit-reset", "date"]), texts | st.text("0123456789.-eE")
    ),
    body=bodies,
    text=texts,
)
def test_what_is_said_is_a_short_harmless_line_and_a_bounded_wait(
    call: Call, status: int, headers: dict[str, str], body: bytes, text: str
) -> None:
    error = error_for(call, status, headers, Redaction(Token(SECRET)).body(body))
    assert isinstance(error, BatchfillError)
    assert str(error).isprintable()
    assert len(str(error)) <= LONGEST + 200
    assert SECRET not in str(error)
    wait = getattr(error, "wait", None)
    assert wait is None or 0 <= wait <= LONGEST_WAIT
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= LONGEST
    shown = safe_text(text)
    assert len(shown) <= 500
    assert not any(c < " " or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e" for c in shown)


@fuzzed
@given(text=st.one_of(texts, st.text("0123456789 :,+-GMTZonSunFriDecJan", max_size=40)))
def test_a_date_header_is_a_time_or_nothing(text: str) -> None:
    found = read_http_date(text)
    assert found is None or 0 < found < LATEST


# What a manifest may hold

PACKED = gzip.compress(b"image,mask,prompt\na.png,b.png,x\n", mtime=0)
MANIFESTS = {
    "night.csv": [
        b"id,image,mask,prompt\nr1,a.png,b.png,a boat\n",
        b'sep=;\r\nimage;mask;prompt\r\n"a.png";"b.png";"a ""big"" boat"\r\n',
        b"\xef\xbb\xbfimage\tmask\tprompt\tseed\na.png\tb.png\tx\t7\n",
    ],
    "night.jsonl": [
        b'{"image": "a.png", "mask": "b.png", "prompt": "a boat", "guidance": 1e999}\n' * 2,
        b'{"image": "https://x/a.png", "mask": "\\ud800", "prompt": [[]], "seed": null}\n',
    ],
    "night.yaml": [
        b"model: black-forest-labs/flux-fill-dev\ndefaults: {guidance: 30}\nrows:\n"
        b"  - {id: hero, image: a.png, mask: b.png, prompt: a boat}\n",
        b"a: &a [x]\nb: *a\nrows:\n- !!python/object/apply:os.system [x]\n- image: a.png\n  mask: |\n    b\n",
        b"rows: ../night.csv\nencoding: utf-16\ncolumn: {image: photo}\n",
    ],
    "night": [b"image,mask,prompt\na.png,b.png,x\n", b"{}\n", b"# rows\nrows: []\n", b"PK\x03\x04", PACKED],
}
MARKS = rb'" , ; { } [ ] &a *a !!x # ... ? %YAML ../ ~/ file:/// C:\ \\host\x /proc/self/environ rows: x_ id'
RAW = [
    b"\n",
    b"\r",
    b"\t",
    b": ",
    b"- ",
    b"|\n",
    b"---\n",
    b"\0",
    b"\x1b",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"{" * 300,
]
tokens = st.sampled_from([*MARKS.split(), *RAW])
pieces = st.lists(
    st.tuples(st.integers(0, 2**20), st.integers(0, 12), tokens | st.binary(max_size=6)), max_size=8
)
manifests = st.sampled_from(sorted(MANIFESTS)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.builds(_spoilt, st.sampled_from(MANIFESTS[name]), pieces) | st.binary(max_size=200)
    )
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest's folder with a picture and a mask of a kind in it."""
    work = tmp_path_factory.mktemp("strangers") / "work" / "night"
    work.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (work / name).write_bytes(name.encode())
    return work


@fuzzed
@given(manifest=manifests, encoding=st.sampled_from([None, None, None, "gb18030", "utf-16", "cp1252"]))
def test_a_manifest_is_rows_and_mistakes_and_nothing_else(
    work: Path, manifest: tuple[str, bytes], encoding: str | None
) -> None:
    name, content = manifest
    path = work / name
    path.write_bytes(content)
    model = known_model(DEV)
    try:
        opened = open_manifest(path, encoding=encoding)
        head: dict[str, Any] = {"defaults": opened.defaults, "column": opened.column}
        items = list(read_rows(opened, model, digest=digest_file, **head))
    except ManifestError as error:
        items = list(error.mistakes)
    except UsageError as error:
        # The file is there; what it holds is not, where its packing is damaged.
        if "packed with" not in str(error):
            raise
        return
    assert items
    for item in items:
        if isinstance(item, Mistake):
            assert item.message.isprintable()
            assert len(item.message) <= 501
        else:
            _check_row(item, work)


def _check_row(row: Row, folder: Path) -> None:
    row.fingerprint.encode()
    for file in row.local_files.values():
        assert file.path.is_relative_to(folder.parent)


# What a picture may be


def _picture(kind: str, **options: Any) -> bytes:
    image = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


_FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (24, 16), "red")]}
PICTURES = [
    *(_picture(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")),
    *(_picture(kind, **_FRAMES) for kind in ("PNG", "WEBP", "GIF", "TIFF", "MPO")),
    _picture("TIFF", compression="tiff_lzw"),
    _picture("TIFF", compression="tiff_adobe_deflate"),
    _picture("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
    _picture("WEBP", lossless=True),
]
MOST = 1_000_000


@pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\..*")
@fuzzed
@given(picture=st.builds(_spoilt, st.sampled_from(PICTURES), changes))
def test_a_picture_is_one_within_bounds_or_a_bad_one(work: Path, picture: bytes) -> None:
    path = work / "picture"
    path.write_bytes(picture)
    with pytest.MonkeyPatch.context() as patch:
        # A bound that the damage can reach without filling this machine's memory.
        patch.setattr(open_module, "MAX_PIXELS", MOST)
        patch.setattr(Image, "MAX_IMAGE_PIXELS", MOST)
        for read in (read_header, decode_whole):
            try:
                found = read(path)
            except BadPicture:
                continue
            assert 0 < found.width * found.height <= MOST
