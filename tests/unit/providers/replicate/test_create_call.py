"""Which form of create a gateway takes, found out without a second payment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.domain.token import Token
from batchfill.errors import AnswerLost, RowRejected, ServiceRefused, Throttled
from batchfill.providers.rate_limiter import RateLimiter
from batchfill.providers.replicate.client import Service
from batchfill.settings.addresses import REPLICATE

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "https://gw.test/v1"
MODEL = "owner/name"
PATH = "/v1/models/owner/name/predictions"
MADE = httpx.Response(201, json={"id": "abc", "status": "starting"})
NO_PATH = httpx.Response(404, json={"error": {"message": "Invalid URL (POST /models)"}})
PAGE = httpx.Response(404, html="<html><title>404 Not Found</title></html>")


class Gateway(httpx.AsyncBaseTransport):
    """Answers by method and path, and notes what came."""

    def __init__(self, answers: Mapping[str, httpx.Response]) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url.path}"
        self.asked.append(asked)
        self.bodies.append(json.loads(await request.aread() or b"null"))
        given = self._answers.get(asked, NO_PATH)
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)


def service_at(gateway: Gateway, base: str = BASE) -> Service:
    return Service(base, Token("r8_for_tests"), transport=gateway, reads=RateLimiter(60_000))


async def test_a_model_with_a_version_is_asked_for_by_its_version() -> None:
    gateway = Gateway({"POST /v1/predictions": MADE})
    made = await service_at(gateway).create("owner/name:0123abcd", {"prompt": "x"})
    assert made.id == "abc"
    assert gateway.asked == ["POST /v1/predictions"]
    assert gateway.bodies == [{"input": {"prompt": "x"}, "version": "0123abcd"}]


async def test_a_path_that_does_not_exist_is_tried_once_and_the_other_form_remembered() -> None:
    gateway = Gateway({"POST /v1/predictions": MADE})
    service = service_at(gateway)
    for _ in range(3):
        assert (await service.create(MODEL, {"prompt": "x"})).id == "abc"
    assert gateway.asked == [f"POST {PATH}", *["POST /v1/predictions"] * 3]
    assert gateway.bodies[-1] == {"input": {"prompt": "x"}, "model": MODEL}


@pytest.mark.parametrize(
    "other",
    [
        NO_PATH,
        PAGE,
        httpx.Response(405, json={"detail": "Method Not Allowed"}),
        httpx.Response(501),
        httpx.Response(301, headers={"Location": "/"}),
        httpx.Response(422, json={"title": "Input validation failed", "detail": "- version is required\n"}),
        httpx.Response(400, json={"error": {"message": "unknown model owner/name"}}),
    ],
)
async def test_where_neither_form_is_taken_the_first_refusal_counts(other: httpx.Response) -> None:
    gateway = Gateway({"POST /v1/predictions": other})
    with pytest.raises(
        ServiceRefused, match=r"404 to the create call: Invalid URL.*is the model's name right"
    ):
        await service_at(gateway).create(MODEL, {})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (httpx.Response(200, html="<!doctype html><title>New API</title>"), AnswerLost),
        (httpx.Response(422, json={"detail": "the prompt is too long"}), RowRejected),
        (httpx.Response(413), RowRejected),
        (httpx.Response(429, json={"retry_after": 5}), Throttled),
        (httpx.Response(402, json={"detail": "no credit"}), ServiceRefused),
        (httpx.Response(502, html="<title>Bad Gateway</title>"), AnswerLost),
        (httpx.Response(201, json={"status": "starting"}), AnswerLost),
    ],
)
async def test_what_the_other_form_is_answered_is_the_creates_answer(
    other: httpx.Response, expected: type[Exception]
) -> None:
    gateway = Gateway({"POST /v1/predictions": other})
    service = service_at(gateway)
    for _ in range(2):
        with pytest.raises(expected):
            await service.create(MODEL, {})
    again = [f"POST {PATH}"] if other.status_code >= 500 else []
    sent = [asked for asked in gateway.asked if asked.startswith("POST")]
    assert sent == [f"POST {PATH}", "POST /v1/predictions", *again, "POST /v1/predictions"]


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 429, 500, 503])
async def test_only_a_404_is_followed_by_the_other_form(status: int) -> None:
    gateway = Gateway({f"POST {PATH}": httpx.Response(status, json={}), "POST /v1/predictions": MADE})
    with pytest.raises(Exception, match=str(status)):
        await service_at(gateway).create(MODEL, {})
    assert gateway.asked == [f"POST {PATH}"]


async def test_a_404_after_a_success_is_about_the_model_and_not_about_the_path() -> None:
    answers = {f"POST {PATH}": MADE, "POST /v1/predictions": MADE}
    gateway = Gateway(answers)
    service = service_at(gateway)
    await service.create(MODEL, {})
    answers[f"POST {PATH}"] = NO_PATH
    with pytest.raises(ServiceRefused):
        await service.create(MODEL, {})
    assert "POST /v1/predictions" not in gateway.asked


@pytest.mark.parametrize(("answered", "tried"), [(PAGE, True), (MADE, False), (NO_PATH, False)])
async def test_a_page_counts_as_a_missing_path_only_where_a_free_question_gets_one_too(
    answered: httpx.Response, tried: bool
) -> None:
    gateway = Gateway(
        {f"POST {PATH}": PAGE, "GET /v1/models/owner/name": answered, "POST /v1/predictions": MADE}
    )
    if tried:
        assert (await service_at(gateway).create(MODEL, {})).id == "abc"
    else:
        with pytest.raises(ServiceRefused):
            await service_at(gateway).create(MODEL, {})
    assert ("POST /v1/predictions" in gateway.asked) is tried


async def test_replicate_itself_has_both_paths_and_is_asked_once() -> None:
    gateway = Gateway({})
    with pytest.raises(ServiceRefused):
        await service_at(gateway, REPLICATE).create(MODEL, {})
    assert gateway.asked == [f"POST {PATH}"]
