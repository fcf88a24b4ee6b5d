"""What an answer that is not a success means, call by call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.errors import (
    AnswerLost,
    BatchfillError,
    NotFound,
    NotOffered,
    RowRejected,
    ServiceRefused,
    Throttled,
    TransientError,
)
from batchfill.providers.error_text import LONGEST, words_of_body
from batchfill.providers.status_codes import Call, error_for, wait_of

OPTIONAL = (Call.LIST, Call.FILES, Call.ACCOUNT, Call.MODEL, Call.CANCEL)


def kinds(call: Call, *statuses: int) -> set[type[BatchfillError]]:
    return {type(error_for(call, status, {}, b"")) for status in statuses}


def test_a_create_that_was_refused_made_nothing_and_says_who_has_to_act() -> None:
    assert kinds(Call.CREATE, 401, 402, 403, 404, 405) == {ServiceRefused}
    assert kinds(Call.CREATE, 307, 308) == {ServiceRefused}


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 306, 399])
def test_a_redirect_that_may_lead_to_what_a_create_has_made_is_a_lost_answer(status: int) -> None:
    error = error_for(Call.CREATE, status, {"location": "/v1/predictions/p1"}, b"")
    assert isinstance(error, AnswerLost)
    assert error.acknowledged == (status in (302, 303))
    assert error.refused == (status != 303)
    assert "redirect" in str(error)
    assert kinds(Call.CREATE, 400, 413, 415, 422) == {RowRejected}
    assert kinds(Call.CREATE, 429) == {Throttled}


def test_every_other_answer_to_a_create_is_a_lost_one() -> None:
    told = {401, 402, 403, 404, 405, 400, 413, 415, 422, 429}
    assert kinds(Call.CREATE, *(s for s in range(400, 600) if s not in told)) == {AnswerLost}


def test_a_get_is_asked_again_unless_the_answer_is_final() -> None:
    assert kinds(Call.GET, 404, 410) == {NotFound}
    assert kinds(Call.GET, 401, 402, 403, 302) == {ServiceRefused}
    assert kinds(Call.GET, 429) == {Throttled}
    assert kinds(Call.GET, 400, 408, 425, 500, 502, 503, 504, 520) == {TransientError}


@pytest.mark.parametrize("call", OPTIONAL)
def test_calls_that_a_gateway_may_lack_are_told_from_failing_ones(call: Call) -> None:
    assert kinds(call, 405, 501, 302) == {NotOffered}
    assert kinds(call, 401, 403) == {ServiceRefused}
    assert kinds(call, 500, 502) == {TransientError}
    assert kinds(call, 429) == {Throttled}
    assert kinds(call, 404) == {NotFound if call is Call.CANCEL else NotOffered}


def test_a_file_that_is_too_large_is_rejected() -> None:
    assert kinds(Call.FILES, 400, 413, 415, 422) == {RowRejected}


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, b'{"detail":"Request was throttled. Your rate limit resets in ~30s."}', 30),
        ({}, b'{"detail":"Request was throttled.","status":429,"retry_after":5}', 5),
        ({}, b'{"detail":"Request was throttled. Expected available in 1 second."}', 1),
        ({"retry-after": "12"}, b'{"detail":"resets in ~3s","retry_after":5}', 12),
        ({"retry-after": "2"}, b'{"detail":"resets in ~30s","retry_after":"5"}', 30),
        ({}, b"Your rate limit resets in 2m", 120),
        (
            {"retry-after": "Mon, 23 Nov 2026 00:09:30 GMT", "date": "Mon, 23 Nov 2026 00:08:30 GMT"},
            b"",
            60,
        ),
        (
            {"retry-after": "Mon, 23 Nov 2026 00:07:30 GMT", "date": "Mon, 23 Nov 2026 00:08:30 GMT"},
            b"",
            0,
        ),
        ({"retry-after": "soon"}, b"<html>", None),
        ({"retry-after": "-5"}, b"{}", None),
        ({"ratelimit-reset": "7"}, b"{}", 7),
        ({"retry-after": "99999999"}, b"{}", 3600),
    ],
)
def test_the_longest_of_the_named_waits_counts(
    headers: dict[str, str], body: bytes, expected: float | None
) -> None:
    assert wait_of(headers, body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"title":"Unauthenticated","detail":"No valid token","status":401}', "No valid token"),
        (
            b'{"error":{"message":"quota is used up","type":"x","code":"no_quota"}}',
            "quota is used up (code: no_quota)",
        ),
        (b'{"error":"bad model"}', "bad model"),
        (b'{"message":"not here"}', "not here"),
        (b'{"title":"Oops"}', "Oops"),
        (
            b'{"title":"Input validation failed","detail":"- input.a: x","invalid_fields":'
            b'[{"type":"enum","field":"input.output_format","description":"must be webp, jpg or png"}]}',
            "output_format: must be webp, jpg or png",
        ),
        (
            b'{"detail":[{"loc":["body","input","seed"],"msg":"not an integer","type":"int"}]}',
            "seed: not an integer",
        ),
        (b"<html><head><title>502 Bad\nGateway</title></head><body>nginx</body></html>", "502 Bad Gateway"),
        (b"<html><style>p {}</style><p>Down &amp; out</p></html>", "Down & out"),
        (b"upstream connect error\x00\x1b[31m", "upstream connect error [31m"),
        (b"", ""),
        (b"[]", ""),
        (b"17", ""),
    ],
)
def test_the_words_of_a_body_are_found(body: bytes, expected: str) -> None:
    assert words_of_body(body) == expected


def test_words_are_short() -> None:
    for body in ("the key is wrong " * 50, f'{{"detail": "{"wrong" * 100}"}}', f"<title>{'x' * 400}</title>"):
        assert len(words_of_body(body.encode())) == LONGEST


@given(st.sampled_from(list(Call)), st.integers(300, 599), st.binary(max_size=200), st.text(max_size=20))
def test_every_refusal_is_an_error_of_ours(call: Call, status: int, body: bytes, header: str) -> None:
    error = error_for(call, status, {"retry-after": header, "date": header}, body)
    assert isinstance(error, BatchfillError)
    assert str(status) in str(error)
