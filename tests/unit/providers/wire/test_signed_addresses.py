"""Addresses that a run has signed, in what a service says."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.providers.redaction import MARK, Redaction
from batchfill.providers.wire.signed_addresses import holds_signature, mark_signatures

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = "0f" * 32
SIGNATURE = "5ecre7" * 10
PLACES = {
    "Amazon S3": (
        f"https://photos.s3.eu-west-1.amazonaws.com/batchfill/sent/{DIGEST}?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential=AKIA%2F20261130%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Expires=86400"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={SIGNATURE}"
    ),
    "Google": f"https://storage.googleapis.com/photos/sent/{DIGEST}?X-Goog-Date=1&X-Goog-Signature={SIGNATURE}",
    "Azure": f"https://a.blob.core.windows.net/c/sent/{DIGEST}?sv=2023-11-03&sp=r&sig={SIGNATURE}%2B%3D",
    "own": f"http://127.0.0.1:9000/photos/batchfill/sent/{DIGEST}?AWSAccessKeyId=AKIA&Signature={SIGNATURE}",
}
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded in small letters": lambda text: quote(text, safe="").replace("%2F", "%2f"),
    "with slashes escaped": lambda text: text.replace("/", "\\/"),
    "as some programs escape JSON": lambda text: text.replace("&", "\\u0026").replace("?", "\\u003f"),
    "escaped as JSON inside JSON": lambda text: json.dumps(json.dumps(text.replace("&", "\\u0026")))[3:-3],
    "escaped as HTML": escape,
    "escaped as HTML twice": lambda text: escape(escape(text)),
    "by HTML's numbers": lambda text: text.replace("/", "&#47;").replace("?", "&#x3F;").replace("&", "&amp;"),
}
AROUND = [
    ("", ""),
    ('{"output": ["', '"]}'),
    ("cannot fetch ", " in time"),
    ("![a](", ")"),
    ("<img src='", "'>"),
    ("'", "', '"),
    ("https://gateway.test/proxy?of=", ""),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_signature_is_marked_wherever_its_address_is_and_however_it_is_written(
    place: str, way: str
) -> None:
    for before, behind in AROUND:
        text = f"{before}{WAYS[way](PLACES[place])}{behind}"
        marked = mark_signatures(text, MARK)
        assert holds_signature(text.encode())
        assert SIGNATURE not in marked
        assert "AKIA" not in marked
        assert marked.startswith(before)
        assert marked.endswith(f"{MARK}{behind}")
        assert mark_signatures(marked, MARK) == marked


@pytest.mark.parametrize(
    "address",
    [
        f"https://files.test/sent/{DIGEST}",
        f"https://files.test/sent/{DIGEST[1:]}?sig={SIGNATURE}",
        f"https://outputs.test/pbxt/{DIGEST}?X-Amz-Signature={SIGNATURE}",
        f"https://outputs.test/out-0.webp?X-Amz-Signature={SIGNATURE}",
        "what was sent/ to whom?",
    ],
)
def test_addresses_that_the_service_signs_stay_as_they_are(address: str) -> None:
    assert mark_signatures(address, MARK) == address
    assert not holds_signature(address.encode())


@given(st.text(), st.text())
def test_no_other_text_is_touched(before: str, behind: str) -> None:
    text = f"{before} {PLACES['own']} {behind}"

    assert mark_signatures(text, MARK) == f"{before} {PLACES['own'].partition('?')[0]}?{MARK} {behind}"


def test_a_body_keeps_no_signature_and_its_address_is_known_to_be_fetched() -> None:
    redaction, address = Redaction(), PLACES["Amazon S3"]
    body = json.dumps({"output": [address], "logs": f"see {address}", address: 1}).replace("&", "\\u0026")

    marked = json.loads(redaction.body(body.encode()))

    hidden = f"{address.partition('?')[0]}?{MARK}"
    assert marked == {"output": [hidden], "logs": f"see {hidden}", hidden: 1}
    assert redaction.given(hidden) == address
    assert Redaction().given(hidden) is None


def test_a_body_that_is_no_json_keeps_no_signature() -> None:
    body = b"\xff\x00cannot fetch " + PLACES["Azure"].encode() + b"\r\n\xfe"

    hidden = PLACES["Azure"].partition("?")[0].encode()
    assert Redaction().body(body) == b"\xff\x00cannot fetch " + hidden + b"?***\r\n\xfe"
