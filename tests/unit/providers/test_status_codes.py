"""What an answer that is not a success means, call by call."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.errors import (
    AnswerLost,
    BatchfillError,
    Held,
    NotFound,
    NotOffered,
    RowRejected,
    ServiceRefused,
    Throttled,
    TransientError,
    Unavailable,
)
from batchfill.providers.error_text import LONGEST, words_of_body
from batchfill.providers.status_codes import LONGEST_WAIT, Call, error_for, error_in_words, rate_of, wait_of

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
    ("said", "a_minute"),
    [
        (
            "Your rate limit for creating predictions is reduced to 6 requests per minute with a burst of 1 "
            "requests while you have less than $5.0 in credit. Your rate limit resets in ~9s.",
            6,
        ),
        ("Rate limit exceeded: 10 requests/second", 600),
        ("limit of 5 per second", 300),
        ("Limit: 60 RPM, current: 61", 60),
        ("at most 1200 predictions an hour", 20),
        ("rate limit 100 / min", 100),
        ("每分钟 请求过多: 20 次/分钟", 20),
        ("the lower of 6 requests per minute and 3 requests each minute", 3),
        ("Request was throttled. Expected available in 30 seconds.", None),
        ("0 requests per minute are left", None),
        ("$0.04 per second", None),
        ("1,000 tokens per minute", None),
        ("", None),
    ],
)
def test_the_limit_that_a_refusal_names_is_read(said: str, a_minute: float | None) -> None:
    assert rate_of(json.dumps({"detail": said}).encode()) == a_minute
    error = error_for(Call.CREATE, 429, {}, json.dumps({"error": {"message": said}}).encode())
    assert isinstance(error, Throttled)
    assert error.per_minute == a_minute


NOW = 1_796_000_000.0


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"ratelimit-reset": "1796000005", "ratelimit-remaining": "0"}, "", 5),
        ({"x-ratelimit-reset": "1796000005000"}, "", 5),
        ({"x-ratelimit-reset": "2026-11-30T00:53:25Z"}, "", 5),
        ({"x-ratelimit-reset-requests": "1m30s"}, "", 90),
        ({"x-ratelimit-reset-requests": "6m0s"}, "", 360),
        ({"x-ratelimit-reset-requests": "20ms"}, "", 0.02),
        ({"ratelimit-reset": "1796000900", "ratelimit-remaining": "7"}, "", None),
        ({"ratelimit-reset": "1795999000"}, "", 0),
        ({"ratelimit-reset": "1796090000"}, "", 3600),
        ({"retry-after": "1796000012"}, "", 12),
        ({"retry-after-ms": "1500"}, "", 1.5),
        ({"x-ms-retry-after-ms": "2500", "retry-after": "2"}, "", 2.5),
        ({"retry-after": "12", "ratelimit-reset": "1796000900"}, "", 12),
        ({"retry-after": "12.5"}, "", 12.5),
        ({}, '{"error":{"retry_after":12}}', 12),
        ({}, '{"error":{"retryAfterMs":12000}}', 12),
        ({}, '{"error":{"details":[{"@type":"RetryInfo","retryDelay":"12s"}]}}', 12),
        ({}, '{"data":{"reset_at":1796000012}}', 12),
        ({}, '{"error":{"message":"Please try again in 12s."}}', 12),
        ({}, '{"error":{"message":"Please try again in 1m30s."}}', 90),
        ({}, '{"message":"Too many requests, retry after 12 seconds"}', 12),
        ({}, '{"message":"Try again in 2 minutes"}', 120),
        ({}, '{"message":"please wait 12 seconds before"}', 12),
        ({}, '{"message":"请在12秒后重试"}', 12),
        ({}, '{"message":"请在 2 分钟后重试"}', 120),
        ({}, '{"message":"\\u8bf7\\u572812\\u79d2\\u540e\\u91cd\\u8bd5"}', 12),
        ({}, '{"message":"12秒后再试"}', 12),
        ({}, '{"message":"请等待30秒"}', 30),
        ({}, '{"message":"try again later"}', None),
        ({}, '{"message":"60 requests per 60s are allowed"}', None),
        ({}, '{"retry_after":true}', None),
        ({}, '{"retry_after":null}', None),
    ],
)
def test_a_wait_may_be_a_time_a_number_of_any_unit_or_words(
    headers: dict[str, str], body: str, expected: float | None
) -> None:
    assert wait_of(headers, body.encode(), lambda: NOW) == expected


def test_a_point_in_time_is_read_by_the_services_clock() -> None:
    headers = {"ratelimit-reset": "1796000005", "date": formatdate(NOW, usegmt=True)}
    assert wait_of(headers, b"", lambda: NOW - 7200) == 5


@given(
    st.dictionaries(st.sampled_from(["retry-after", "date", "ratelimit-reset", "retry-after-ms"]), st.text()),
    st.binary(max_size=300) | st.text(alphabet="0123456789 .smh后再在retyagin", max_size=300).map(str.encode),
)
def test_a_wait_is_never_longer_than_an_hour_whatever_is_sent(headers: dict[str, str], body: bytes) -> None:
    wait = wait_of(headers, body)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


QUOTA, NO_CHANNEL, BUSY = ServiceRefused, Unavailable, Throttled


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # Quota: whatever the status.
        (403, '{"error":{"message":"用户额度不足","code":"insufficient_user_quota"}}', QUOTA),
        (401, '{"error":{"message":"该令牌额度已用尽 TokenStatusExhausted[sk-a***b]"}}', QUOTA),
        (403, '{"error":{"message":"User\'s credit limit is insufficient, remaining: $0"}}', QUOTA),
        (403, '{"error":{"message":"x","code":"pre_consume_token_quota_failed"}}', QUOTA),
        (429, '{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}', QUOTA),
        (500, '{"error":"{\\"code\\":\\"insufficient_quota\\"}"}', QUOTA),
        (400, '{"code":"Arrearage","message":"Access denied"}', QUOTA),
        (200, '{"code":402,"msg":"余额不足"}', QUOTA),
        (422, '{"detail":"insufficient credits"}', QUOTA),
        (503, "Insufficient balance", QUOTA),
        # No channel.
        (
            503,
            '{"error":{"message":"No available channel for model m under group default (distributor)"}}',
            NO_CHANNEL,
        ),
        (503, '{"error":{"message":"分组 default 下模型 m 无可用渠道（distributor）"}}', NO_CHANNEL),
        (503, '{"error":{"code":"model_not_found"}}', NO_CHANNEL),
        (503, "no available server\n", NO_CHANNEL),
        (404, '{"error":{"code":"model_not_found","message":"no such model"}}', ServiceRefused),
        (
            503,
            '{"error":{"message":"分组 d 下模型 m 的可用渠道不存在（retry）","code":"get_channel_failed"}}',
            AnswerLost,
        ),
        # Busy.
        (409, '{"error":"At capacity - all prediction slots busy","status":"failed"}', BUSY),
        (409, '{"detail":"Already running a prediction"}', BUSY),
        (500, '{"error":{"message":"upstream error: rate limit exceeded"}}', BUSY),
        (403, '{"message":"API rate limit exceeded"}', BUSY),
        (200, '{"code":429,"message":"请求过于频繁"}', BUSY),
        (429, '{"message":"当前分组上游负载已饱和，请稍后再试","code":"do_response_failed"}', BUSY),
        (429, '{"message":"Quota exceeded for metric m: 60 requests per minute"}', BUSY),
        # Own model servers are away.
        (429, '{"code":"no_capacity","detail":"no container is ready: gpu1 has no quota"}', Held),
        # Not proven: what may have been made is not sent again.
        (503, '{"error":"rate limit exceeded while polling the prediction"}', AnswerLost),
        (500, '{"error":"at capacity: upload of the output failed"}', AnswerLost),
        (409, '{"id":"p1","error":"At capacity - all prediction slots busy"}', AnswerLost),
        (503, '{"message":"当前分组上游负载已饱和","code":"do_response_failed"}', AnswerLost),
        (503, "<html><title>At capacity</title></html>", AnswerLost),
        (503, "<!doctype html><p>rate limit exceeded</p>", AnswerLost),
        (500, '{"error":"internal error"}', AnswerLost),
        (409, '{"error":"conflict"}', AnswerLost),
        (500, "", AnswerLost),
        # What a row asks for is its own.
        (422, '{"detail":"guidance: rate limit"}', RowRejected),
        (400, '{"detail":"prompt is empty"}', RowRejected),
    ],
)
def test_known_words_say_what_became_of_a_create(status: int, body: str, kind: type[BatchfillError]) -> None:
    error = _meant(status, body)
    assert type(error) is kind
    if kind is QUOTA and status != 404:
        assert isinstance(error, ServiceRefused)
        assert error.final


def _meant(status: int, body: str, sent: tuple[str, ...] = ()) -> BatchfillError | None:
    if status == 200:
        return error_in_words(status, {}, body.encode(), sent)
    return error_for(Call.CREATE, status, {}, body.encode(), sent)


@pytest.mark.parametrize("words", ["at capacity", "Insufficient Credits", "余额不足", "no available channel"])
def test_words_that_the_request_brought_along_prove_nothing(words: str) -> None:
    body = json.dumps({"error": f"failed at 'a sign that says {words}'"})
    assert isinstance(_meant(500, body, (f"A sign that says {words}",)), AnswerLost)
    assert not isinstance(_meant(500, body), AnswerLost)


@pytest.mark.parametrize("status", [401, 403])
def test_a_web_page_never_sends_a_person_to_the_token(status: int) -> None:
    page = b"<html><head><title>403 Forbidden</title></head><body>Request blocked by WAF</body></html>"
    for call in (Call.CREATE, Call.GET, Call.FILES):
        said = str(error_for(call, status, {}, page))
        assert "with a web page: 403 Forbidden" in said
        assert "token" not in said


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


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"detail": "no file at https://cdn.example/a.png?Signature=abc&Expires=1"}',
            "no file at https://cdn.example/a.png?…",
        ),
        (b"see /out/p1.webp?sig=abc for more", "see /out/p1.webp?… for more"),
        (b'{"detail": "really? yes"}', "really? yes"),
        (bytes(range(128, 256)), ""),
    ],
)
def test_words_are_shown_without_signatures_and_what_is_no_text_not_at_all(
    body: bytes, expected: str
) -> None:
    assert words_of_body(body) == expected


def test_words_are_short() -> None:
    for body in ("the key is wrong " * 50, f'{{"detail": "{"wrong" * 100}"}}', f"<title>{'x' * 400}</title>"):
        assert len(words_of_body(body.encode())) == LONGEST


@given(st.sampled_from(list(Call)), st.integers(300, 599), st.binary(max_size=200), st.text(max_size=20))
def test_every_refusal_is_an_error_of_ours(call: Call, status: int, body: bytes, header: str) -> None:
    error = error_for(call, status, {"retry-after": header, "date": header}, body)
    assert isinstance(error, BatchfillError)
    assert str(status) in str(error)
