"""Answers are read defensively: the most is made of what is there, and nothing surprises the caller."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.predictions import Prediction
from batchfill.providers.endpoints import prediction_path
from batchfill.providers.manners import ENVELOPES
from batchfill.providers.pagination import reaches_past, read_page, window_query
from batchfill.providers.parsing import (
    prediction_of,
    read_account,
    read_input_schema,
    read_moment,
    read_upload,
)
from batchfill.providers.prediction_reader import read_created

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "status",
    "output",
    "error",
    "input",
    "logs",
    "metrics",
    "created_at",
    "started_at",
    "completed_at",
    "data_removed",
    "urls",
]

CREATED = {
    "id": "tv3jnp73n1rmc0crb54b3srz94",
    "model": "black-forest-labs/flux-fill-dev",
    "input": {"seed": 7, "prompt": "a spaceship"},
    "logs": "",
    "output": None,
    "data_removed": False,
    "error": None,
    "status": "starting",
    "created_at": "2025-07-30T03:03:25.864Z",
    "urls": {"get": "https://api.replicate.com/v1/predictions/tv3j"},
}


def read(**changes: Any) -> Prediction:
    return prediction_of({**CREATED, **changes})


def test_a_prediction_just_created_is_read_whole() -> None:
    assert read() == Prediction(
        id="tv3jnp73n1rmc0crb54b3srz94",
        status="starting",
        created_at=1753844605.864,
        input={"seed": 7, "prompt": "a spaceship"},
        seed=7,
    )


def test_an_id_alone_is_a_prediction_that_runs() -> None:
    prediction = prediction_of({"id": "abc"})
    assert (prediction.id, prediction.ended) == ("abc", False)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            ["https://a.test/0.webp", "https://a.test/1.webp"],
            ("https://a.test/0.webp", "https://a.test/1.webp"),
        ),
        ("https://a.test/0.png", ("https://a.test/0.png",)),
        (["data:image/png;base64,AAAA"], ("data:image/png;base64,AAAA",)),
        (
            {"images": [{"url": "https://a.test/0.png", "content_type": "image/png"}]},
            ("https://a.test/0.png",),
        ),
        ([None, 3, "", "ftp://a.test/0"], ("ftp://a.test/0",)),
        (None, ()),
        ("lone \ud800 surrogate", ("lone ? surrogate",)),
    ],
)
def test_outputs_come_in_many_shapes(output: object, expected: tuple[str, ...]) -> None:
    assert read(output=output).outputs == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, None),
        ("", None),
        ("CUDA out\nof memory", "CUDA out of memory"),
        ({"message": "flagged", "code": "E005"}, "flagged (code: E005)"),
        ({"detail": "no"}, "no"),
        ({"reason": "odd"}, "reason: odd"),
        (["one", {"msg": "two", "loc": ["input", "seed"]}], "one; seed: two"),
    ],
)
def test_errors_come_in_many_shapes(error: object, expected: str | None) -> None:
    assert read(error=error).error == expected


@pytest.mark.parametrize(
    "id_",
    [
        "",
        " ",
        "..",
        "a/../b",
        ".",
        "a\nb",
        "x" * 201,
        "\ud800",
        None,
        {},
        7,
    ],
)
def test_an_id_that_no_url_can_be_built_from_is_refused(id_: object) -> None:
    with pytest.raises(ValueError, match="id"):
        read(id=id_)


@pytest.mark.parametrize(
    ("id_", "path"),
    [
        ("a/b", "/predictions/a%2Fb"),
        ("a?b", "/predictions/a%3Fb"),
        ("a#b c", "/predictions/a%23b%20c"),
        ("a..b", "/predictions/a..b"),
        ("a%2fb", "/predictions/a%252fb"),
        ("a\\b", "/predictions/a%5Cb"),
    ],
)
def test_an_id_with_marks_is_quoted_in_its_address(id_: str, path: str) -> None:
    assert prediction_path(read(id=id_).id) == path


@pytest.mark.parametrize(
    ("seed", "logs", "expected"),
    [
        (42, "Using seed: 7", 42),
        (None, "…\nUsing seed: 56789\n", 56789),
        (0, "Using seed: 5", 5),
        (True, None, None),
        ("12", [], None),
        (2**63, "", None),
    ],
)
def test_the_seed_is_taken_from_the_input_else_from_the_logs(
    seed: object, logs: object, expected: int | None
) -> None:
    assert read(input={"seed": seed}, logs=logs).seed == expected


@pytest.mark.parametrize("given_", [{}, None, [], "gone"])
def test_an_input_that_was_removed_is_none(given_: object) -> None:
    assert read(input=given_).input is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-07-30T03:03:25.864Z", 1753844605.864),
        ("2023-11-27T13:35:45.99397566Z", 1701092145.99397566),
        ("2023-11-16T11:46:16.0649Z", 1700135176.0649),
        ("2023-11-16T12:46:16+01:00", 1700135176.0),
        ("2023-11-16T06:46:16.5-0500", 1700135176.5),
        ("2023-11-16 11:46:16", 1700135176.0),
        (1753844605.864, 1753844605.864),
        (1753844605864, 1753844605.864),
    ],
)
def test_moments_are_read_with_any_offset_and_fraction(text: object, expected: float) -> None:
    assert read_moment(text) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2023-13-01T00:00:00Z",
        7,
        True,
        10**40,
        float("nan"),
        None,
        "2023-01-01T00:00:00+99:00",
    ],
)
def test_what_is_no_moment_is_none(text: object) -> None:
    assert read_moment(text) is None


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_bytes_are_reading_gives_a_value_or_a_value_error(body: bytes) -> None:
    for reading in (read_page, read_upload, read_account, read_input_schema):
        try:
            reading(body)
        except ValueError:
            pass


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_the_other_keys_hold_an_id_is_enough(rest: dict[str, Any]) -> None:
    prediction = read_created(json.dumps({**rest, "id": "abc"}).encode(), {})
    assert prediction.id == "abc"
    for text in (prediction.status, prediction.error or "", *prediction.outputs):
        text.encode()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"x":' + b"9" * 5000 + b"}", b"\xff\xfe", b""])
def test_bytes_meant_to_hurt_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json words it in its own ways
        read_created(body, {})


def test_only_the_cursor_is_taken_from_the_next_address() -> None:
    page = read_page(b'{"results": [], "next": "https://evil.test/v1/predictions?x=1&cursor=cD0y"}')
    assert page is not None
    assert (page.more, page.cursor) == (True, "cD0y")


def test_a_page_with_an_item_that_cannot_be_read_says_so() -> None:
    page = read_page(b'{"results": [{"id": "a"}, {"status": "succeeded"}], "next": null}')
    assert page is not None
    assert ([item.id for item in page.items], page.readable, page.more) == (["a"], False, False)


def at(*times: float | None) -> list[Prediction]:
    return [Prediction(str(n), "succeeded", created_at=time) for n, time in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [((30, 20, 5), True), ((30, 20, 10), False), ((5, 20, 30), False), ((5,), False), ((30, None, 5), False)],
)
def test_only_a_listing_seen_to_run_from_new_to_old_proves_that_it_reached_past(
    times: tuple[float | None, ...], expected: bool
) -> None:
    assert reaches_past(at(*times), 10) is expected


def test_a_window_is_asked_for_in_iso_time() -> None:
    assert window_query(1753844605.8649, 1753844606) == {
        "created_after": "2025-07-30T03:03:25.864Z",
        "created_before": "2025-07-30T03:03:26.001Z",
    }


def test_an_upload_is_its_address_and_its_end() -> None:
    upload = read_upload(b'{"urls": {"get": "https://a.test/f"}, "expires_at": "2024-08-23T12:26:51.079Z"}')
    assert upload.url == "https://a.test/f"
    assert upload.expires_at == pytest.approx(1724416011.079)
    assert read_upload(b'{"urls": {"get": "https://a.test/f"}}').expires_at is None
    with pytest.raises(ValueError, match="address"):
        read_upload(b'{"urls": {"get": "file:///etc/passwd"}}')


def test_an_account_is_its_type_and_name() -> None:
    assert read_account(b'{"type": "organization", "username": "acme"}') == "organization:acme"
    assert read_account(b'{"hello": "world"}') is None


@pytest.mark.parametrize("key", ENVELOPES)
def test_account_upload_and_schema_are_found_in_an_envelope(key: str) -> None:
    schema: Any = {"components": {"schemas": {"Input": {"properties": {"seed": {}}}}}}
    inner = {
        "username": "ann",
        "urls": {"get": "https://a.test/f"},
        "latest_version": {"openapi_schema": schema},
    }
    body = json.dumps({"code": 200, key: inner}).encode()
    assert read_account(body) == "user:ann"
    assert read_upload(body).url == "https://a.test/f"
    assert read_input_schema(body) == {"properties": {"seed": {}}}


def test_the_input_schema_comes_with_its_references_resolved() -> None:
    schemas = {
        "Input": {
            "type": "object",
            "properties": {
                "format": {"allOf": [{"$ref": "#/components/schemas/format"}], "default": "webp"},
                "prompt": {"type": "string"},
            },
        },
        "format": {"type": "string", "enum": ["webp", "png"]},
    }
    body = {"latest_version": {"openapi_schema": {"components": {"schemas": schemas}}}}
    schema = read_input_schema(json.dumps(body).encode())
    assert schema is not None
    assert schema["properties"]["format"] == {"type": "string", "enum": ["webp", "png"], "default": "webp"}
    assert read_input_schema(b'{"latest_version": null}') is None
