"""Outputs in the forms in which services name them: what is one, what is none, and where it is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.providers.output_forms import (
    MOST_NAMED,
    find_outputs,
    is_picture,
    resolve_address,
    safety_remark,
)

A, B, SENT = "https://a.test/A.png", "https://a.test/B.png?X=%2F%2B", "https://in.test/photo.png"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(60))).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(200, 255))).decode()


def outputs_of(output: Any, **more: Any) -> tuple[str, ...]:
    return find_outputs({"id": "p1", "input": {"image": SENT, "seed": 7}, "output": output, **more})


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        # Addresses
        ([A, B], (A, B)),
        (f" {A}\n", (A,)),
        (f'"{A}"', (A,)),
        (f"{A}\n{B}", (A, B)),
        ("HTTPS://A.TEST/x", ("HTTPS://A.TEST/x",)),
        ([[A], [[B]]], (A, B)),
        ([A, A], (A, A)),
        ("/out/p1.webp", ("/out/p1.webp",)),
        # The picture itself
        ("data:image/png;base64,AAAA", ("data:image/png;base64,AAAA",)),
        ([PNG], (f"data:;base64,{PNG}",)),
        (JPEG, (f"data:;base64,{JPEG}",)),
        (f"{PNG[:40]}\n{PNG[40:]}", (f"data:;base64,{PNG[:40]}\n{PNG[40:]}",)),
        (f"base64,{PNG}", (f"data:;base64,{PNG}",)),
        (f"image/png;base64,{PNG}", (f"data:image/png;base64,{PNG}",)),
        (
            {"images": [{"b64_json": PNG}, {"b64_json": JPEG}]},
            (f"data:;base64,{PNG}", f"data:;base64,{JPEG}"),
        ),
        ({"image_base64": "/woAAAA="}, ("data:;base64,/woAAAA=",)),
        # Objects
        ({"url": A}, (A,)),
        ([{"url": A}, {"url": B}], (A, B)),
        ({"images": [{"url": A, "content_type": "image/png"}], "seed": 5}, (A,)),
        ({"imageUrl": A, "thumbnailUrl": B}, (A,)),
        ({"image": {"url": A}, "timings": {"inference": 1.5}}, (A,)),
        ({"first": A, "second": B}, (A, B)),
        ({"0": A, "1": B}, (A, B)),
        ({"url": A, "b64_json": PNG}, (A,)),
        ({"url": None, "b64_json": PNG}, (f"data:;base64,{PNG}",)),
        ({"data": {"images": ["/out/1.webp"]}}, ("/out/1.webp",)),
        # Around an address
        (f"![a ship]({A})", (A,)),
        (f'Here: ![x]({A} "a title") and ![y]({B})', (A, B)),
        (f"![x]({A})\n[download]({B})", (A,)),
        ("[x](https://a.test/a(1).png)", ("https://a.test/a(1).png",)),
        (f"![x](data:image/png;base64,{PNG})", (f"data:image/png;base64,{PNG}",)),
        (f"<{A}>", (A,)),
        (f"<p><img width=9 src='{A}'></p>", (A,)),
        (json.dumps({"images": [{"url": A}]}), (A,)),
        ({"choices": [{"message": {"content": f"![image]({A})"}}]}, (A,)),
        # None
        (None, ()),
        ([None, 3, "", {}, []], ()),
        ({"image": "nonsense"}, ()),
        ({"status": "ok", "request_id": "r1", "note": "see the docs/help"}, ()),
        ({"thumbnail": A, "preview_url": B}, ()),
        ({"urls": {"get": A, "cancel": B}, "status_url": A}, ()),
        # In the place of an output, and none: refused aloud
        ("nonsense", ("nonsense",)),
        (["ftp://a.test/0"], ("ftp://a.test/0",)),
        ("lone \ud800 surrogate", ("lone ? surrogate",)),
    ],
)
def test_an_output_is_found_in_whatever_form_it_is_named(output: Any, expected: tuple[str, ...]) -> None:
    assert outputs_of(output) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"image": SENT, "mask": "https://in.test/m.png", "final": A}, (A,)),
        ({"input_image": B, "images": [A]}, (A,)),
        ([SENT, A], (A,)),
        ({"image": SENT}, ()),
        # The documented form: the picture came back as it was.
        ([SENT], (SENT,)),
        (SENT, (SENT,)),
    ],
)
def test_what_was_sent_is_no_output_unless_it_is_all_that_there_is(
    output: Any, expected: tuple[str, ...]
) -> None:
    assert outputs_of(output) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"images": [{"url": A}]}, (A,)),
        ({"output_url": A}, (A,)),
        ({"data": [{"b64_json": PNG}]}, (f"data:;base64,{PNG}",)),
        ({"result": {"url": A}}, (A,)),
        ({"image": A, "url": A, "urls": {"web": A}, "webhook": B}, ()),
        ({"result": "success", "data": None}, ()),
    ],
)
def test_outputs_may_be_in_another_place_than_output(more: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert outputs_of(None, **more) == expected
    assert outputs_of([B], **more) == (B,)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=30)
        | st.sampled_from([A, PNG, "[[", "<"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(max_size=8) | st.sampled_from(["url", "images"]), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_whatever_stands_there_it_is_read_without_a_surprise(output: Any) -> None:
    found = outputs_of(output, data=output)
    assert all(isinstance(one, str) and one for one in found)
    for one in found:
        resolve_address(one, "https://gw.test/v1/predictions/p1").encode()


def test_a_great_many_outputs_and_deep_ones_are_bounded() -> None:
    assert len(outputs_of([A] * 5000)) == MOST_NAMED
    deep: Any = A
    for _ in range(500):
        deep = [deep]
    assert outputs_of(deep) == ()
    assert outputs_of("[" * 100_000) == ("[" * 100_000,)


AT = "https://gw.test/replicate/v1/predictions/p1"


@pytest.mark.parametrize(
    ("address", "at", "full"),
    [
        ("/out/a.webp", AT, "https://gw.test/out/a.webp"),
        ("/out/a%2Fb.webp?s=%2B/+", AT, "https://gw.test/out/a%2Fb.webp?s=%2B/+"),
        ("a.webp", AT, "https://gw.test/replicate/v1/predictions/a.webp"),
        ("../files/a", AT, "https://gw.test/replicate/v1/files/a"),
        ("//cdn.test/a", AT, "https://cdn.test/a"),
        ("/out/a.webp", "http://127.0.0.1:8000/v1/predictions/p1", "http://127.0.0.1:8000/out/a.webp"),
        ("cdn.test/out/a.png", AT, "https://cdn.test/out/a.png"),
        # Behind a proxy that ends TLS
        ("http://gw.test/a?x=%2F", AT, "https://gw.test/a?x=%2F"),
        ("http://GW.test:80/a", AT, "https://gw.test/a"),
        ("http://gw.test/a", "https://gw.test:8443/v1/predictions/p1", "https://gw.test:8443/a"),
        ("http://gw.test:8443/a", "https://gw.test:8443/v1/predictions/p1", "https://gw.test:8443/a"),
        ("http://[::1]/a", "https://[::1]:8443/v1/predictions/p1", "https://[::1]:8443/a"),
        # As they are
        ("http://gw.test.evil/a", AT, "http://gw.test.evil/a"),
        ("http://gw.test@evil/a", AT, "http://gw.test@evil/a"),
        ("http://gw.test:9000/a", AT, "http://gw.test:9000/a"),
        ("http://gw.test/a", "http://gw.test/v1/predictions/p1", "http://gw.test/a"),
        (A, AT, A),
        ("data:,/a", AT, "data:,/a"),
        ("ftp://a/b.png", AT, "ftp://a/b.png"),
        ("nonsense", AT, "nonsense"),
        ("see out/a.png", AT, "see out/a.png"),
    ],
)
def test_an_address_is_full_and_where_its_prediction_is(address: str, at: str, full: str) -> None:
    assert resolve_address(address, at) == full
    assert resolve_address(full, at) == full


@pytest.mark.parametrize(
    ("head", "picture"),
    [
        (b"\x89PNG\r\n\x1a\n", True),
        (b"\xff\xd8\xff\xe1", True),
        (b"RIFF\x00\x01\x00\x00WEBPVP8L", True),
        (b"GIF89a", True),
        (b"\0\0\0\x1cftypavif", True),
        (b"II*\0", True),
        (b"BM\x36\x00\x0c\x00\0\0\0\0", True),
        (b"\x1f\x8b\x08\0", False),
        (b"<html>", False),
        (b"RIFF....WAVE", False),
        (b"BMW is a car", False),
        (b"", False),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(head: bytes, picture: bool) -> None:
    assert is_picture(head) is picture


@pytest.mark.parametrize(
    ("prediction", "remark"),
    [
        ({"error": "NSFW content detected"}, "NSFW content detected"),
        (
            {"logs": "Using seed: 7\nimage 0 was flagged by the safety filter\ndone"},
            "image 0 was flagged by the safety filter",
        ),
        ({"message": "内容违规"}, "内容违规"),
        ({"logs": "Using seed: 7\n28/28 steps"}, None),
        ({"error": None, "logs": None}, None),
        ({"error": {"message": "nsfw"}, "logs": 7}, None),
    ],
)
def test_only_the_service_says_that_its_filter_left_a_picture_out(
    prediction: dict[str, Any], remark: str | None
) -> None:
    assert safety_remark(prediction) == remark
