"""The calls, over answers made up and over a real wire."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.errors import (
    AnswerLost,
    BatchfillError,
    NotFound,
    NotOffered,
    NotSent,
    OutputRefused,
    RowRejected,
    ServiceRefused,
    Throttled,
    TransientError,
)
from batchfill.providers.downloads import OutputClient, OutputPolicy, SignatureWanted
from batchfill.providers.endpoints import origin_of
from batchfill.providers.pagination import UNREAD
from batchfill.providers.replicate.client import Service
from tests.support.models import DEV
from tests.support.wire import Peer, answer, reset
from tests.unit.providers.conftest import SECRET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    import respx

    from batchfill.providers.transport import Transport

    Listen = Callable[..., Awaitable[Peer]]
    Make = Callable[..., Service]

BASE = "https://service.test/v1"
PREDICTION = {
    "id": "abc",
    "status": "starting",
    "urls": {"get": "https://api.replicate.com/v1/predictions/abc"},
}


@pytest.fixture
def routed(router: respx.Router, service_over: Make) -> Service:
    return service_over(httpx.MockTransport(router.async_handler))


async def test_a_create_is_one_post_with_the_input_and_no_wish_to_wait(
    router: respx.Router, routed: Service
) -> None:
    route = router.post(f"{BASE}/models/{DEV}/predictions").respond(201, json=PREDICTION)
    prediction = await routed.create(DEV, {"prompt": "ein Schiff 🚀", "seed": 7})
    assert prediction.id == "abc"
    request = route.calls.last.request
    assert json.loads(request.content) == {"input": {"prompt": "ein Schiff 🚀", "seed": 7}}
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["content-length"] == str(len(request.content))
    assert "prefer" not in request.headers
    assert "cancel-after" not in request.headers
    assert routed.requests == 1


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1800, "1800s"), (5, "5s"), (86_400, "86400s"), (4, None), (86_401, None)]
)
async def test_cancel_after_is_sent_within_its_limits(
    router: respx.Router, routed: Service, seconds: float, expected: str | None
) -> None:
    route = router.post(f"{BASE}/models/{DEV}/predictions").respond(201, json=PREDICTION)
    await routed.create(DEV, {}, cancel_after=seconds)
    assert route.calls.last.request.headers.get("cancel-after") == expected


async def test_a_call_that_the_dialect_does_not_have_is_not_asked_for(
    router: respx.Router, service_over: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(REPLICATE_API, calls=frozenset(), token_origins=frozenset())
    monkeypatch.setattr(Service, "facts", bare)
    service = service_over(httpx.MockTransport(router.async_handler))
    assert await service.account() is None
    for question in (service.list(created_after=None), service.cancel("abc")):
        with pytest.raises(NotOffered):
            await question
    with pytest.raises(OutputRefused, match="the token stays away"):
        async with service.fetch_own(f"{BASE}/files/abc"):
            pass
    assert service.requests == 0
    assert {service.offers.list, service.offers.cancel, service.offers.files} == {False}


async def test_both_forms_of_a_create_carry_its_key(router: respx.Router, routed: Service) -> None:
    by_path = router.post(f"{BASE}/models/{DEV}/predictions").respond(404)
    by_body = router.post(f"{BASE}/predictions").respond(201, json=PREDICTION)
    await routed.create(DEV, {}, key="6f7c")
    keys = [route.calls.last.request.headers["idempotency-key"] for route in (by_path, by_body)]
    assert keys == ["6f7c", "6f7c"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status_code": 201, "json": {"status": "starting"}}, AnswerLost),
        ({"status_code": 201, "json": {"id": "../x", "status": "starting"}}, AnswerLost),
        ({"status_code": 201, "content": b'{"id": "ab'}, AnswerLost),
        ({"status_code": 204}, AnswerLost),
        ({"status_code": 409}, AnswerLost),
        ({"status_code": 502, "html": "<title>Bad Gateway</title>"}, AnswerLost),
        ({"status_code": 307, "headers": {"Location": "https://elsewhere.test/"}}, ServiceRefused),
        ({"status_code": 308, "headers": {"Location": "data:,x"}}, ServiceRefused),
        ({"status_code": 307, "headers": {"Location": "https://["}}, ServiceRefused),
        ({"status_code": 303, "headers": {"Location": "/v1/elsewhere"}}, AnswerLost),
        ({"status_code": 302, "headers": {"Location": "https://["}}, AnswerLost),
        ({"status_code": 405, "json": {"detail": "not here"}}, ServiceRefused),
        ({"status_code": 422, "json": {"detail": "bad"}}, RowRejected),
        ({"status_code": 429, "json": {"retry_after": 5}}, Throttled),
    ],
)
async def test_answers_to_a_create_are_classified(
    router: respx.Router, routed: Service, given: dict[str, Any], expected: type[Exception]
) -> None:
    router.post(f"{BASE}/models/{DEV}/predictions").respond(**given)
    with pytest.raises(expected):
        await routed.create(DEV, {})
    assert routed.requests == 1


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ({"status_code": 200, "html": "<html>welcome</html>"}, ServiceRefused),
        ({"status_code": 404, "html": "<html>no such page</html>"}, ServiceRefused),
        ({"status_code": 404, "json": {"detail": "not offered"}}, AnswerLost),
        ({"status_code": 502, "html": "<html>Bad Gateway</html>"}, AnswerLost),
    ],
)
async def test_a_page_in_the_place_of_a_prediction_proves_nothing_unless_reads_get_one_too(
    router: respx.Router, routed: Service, read: dict[str, Any], expected: type[Exception]
) -> None:
    router.post(f"{BASE}/models/{DEV}/predictions").respond(html="<html>welcome</html>")
    for path in ("account", "predictions/batchfill-probe"):
        router.get(f"{BASE}/{path}").respond(**read)
    with pytest.raises(expected, match="web page"):
        await routed.create(DEV, {})


async def test_a_page_is_a_lost_answer_while_a_prediction_that_was_made_here_can_be_read(
    router: respx.Router, routed: Service
) -> None:
    page = httpx.Response(200, html="<html>welcome</html>")
    made = httpx.Response(201, json={"id": "p1", "status": "starting"})
    router.post(f"{BASE}/models/{DEV}/predictions").mock(side_effect=[made, page])
    router.get(f"{BASE}/account").mock(return_value=page)
    router.get(f"{BASE}/predictions/p1").respond(json={"id": "p1", "status": "processing"})
    await routed.create(DEV, {})
    with pytest.raises(AnswerLost, match="web page"):
        await routed.create(DEV, {})


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ConnectError, NotSent),
        (httpx.ConnectTimeout, NotSent),
        (httpx.PoolTimeout, NotSent),
        (httpx.ProxyError, NotSent),
        (httpx.WriteError, NotSent),
        (httpx.WriteTimeout, NotSent),
        (httpx.ReadTimeout, AnswerLost),
        (httpx.ReadError, AnswerLost),
        (httpx.RemoteProtocolError, AnswerLost),
        (httpx.CloseError, AnswerLost),
        (httpx.LocalProtocolError, AnswerLost),
    ],
)
async def test_a_create_without_an_answer_was_either_not_sent_or_is_lost(
    router: respx.Router, routed: Service, failure: type[httpx.TransportError], expected: type[Exception]
) -> None:
    router.post(f"{BASE}/models/{DEV}/predictions").mock(side_effect=failure)
    with pytest.raises(expected):
        await routed.create(DEV, {})


async def test_inputs_that_are_no_json_reject_the_row_before_anything_is_sent(routed: Service) -> None:
    with pytest.raises(RowRejected):
        await routed.create(DEV, {"guidance": float("nan")})
    assert routed.requests == 0


@pytest.mark.parametrize(
    "named",
    ["https://api.replicate.com/v1/predictions/abc", "https://service.test/v2/predictions/abc"],
    ids=["another origin", "the base's own origin"],
)
async def test_get_and_cancel_go_to_the_base_whatever_urls_have_said(
    router: respx.Router, routed: Service, named: str
) -> None:
    told = {**PREDICTION, "urls": {"get": named, "cancel": f"{named}/cancel"}}
    router.post(f"{BASE}/models/{DEV}/predictions").respond(201, json=told)
    router.get(f"{BASE}/predictions/abc").respond(json=told)
    router.post(f"{BASE}/predictions/abc/cancel").respond(json=told)
    await routed.create(DEV, {})
    for _ in range(2):
        await routed.get("abc")
    await routed.cancel("abc")
    # The router knows no other address, and fails whoever asks for one.
    assert [str(call.request.url).removeprefix(BASE) for call in router.calls] == [
        f"/models/{DEV}/predictions",
        "/predictions/abc",
        "/predictions/abc",
        "/predictions/abc/cancel",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status_code": 404}, NotFound),
        ({"status_code": 401}, ServiceRefused),
        ({"status_code": 200, "html": "<html>"}, TransientError),
        ({"status_code": 503, "headers": {"Retry-After": "9"}}, TransientError),
    ],
)
async def test_answers_to_a_get_are_classified(
    router: respx.Router, routed: Service, given: dict[str, Any], expected: type[Exception]
) -> None:
    router.get(f"{BASE}/predictions/abc").respond(**given)
    with pytest.raises(expected):
        await routed.get("abc")


async def test_an_id_that_no_service_gave_is_not_asked_for(routed: Service) -> None:
    with pytest.raises(NotFound):
        await routed.get("../account")
    assert routed.requests == 0


async def test_a_throttled_read_pauses_the_reads(
    router: respx.Router, service_over: Make, loop_clock: Any
) -> None:
    service = service_over(httpx.MockTransport(router.async_handler))
    router.get(f"{BASE}/predictions/abc").mock(
        side_effect=[httpx.Response(429, json={"retry_after": 20}), httpx.Response(200, json=PREDICTION)]
    )
    with pytest.raises(Throttled):
        await service.get("abc")
    await service.get("abc")
    assert loop_clock.now == 1021


async def test_a_listing_is_followed_by_its_cursor_on_the_base_only(
    router: respx.Router, routed: Service
) -> None:
    pages = {
        None: {"results": [{"id": "a"}, {"id": "b"}], "next": "https://evil.test/v1/predictions?cursor=two"},
        "two": {"results": [{"id": "c"}], "next": None},
    }
    route = router.get(f"{BASE}/predictions").mock(
        side_effect=lambda request: httpx.Response(200, json=pages[request.url.params.get("cursor")])
    )
    listing = await routed.list(created_after=1_700_000_000)
    assert ([item.id for item in listing.items], listing.complete) == (["a", "b", "c"], True)
    assert route.calls[0].request.url.params["created_after"] == "2023-11-14T22:13:20.000Z"
    assert {call.request.url.host for call in route.calls} == {"service.test"}


@pytest.mark.parametrize(
    "following", ["https://service.test/v1/predictions?cursor=same", "https://service.test/v1/next", 7]
)
async def test_a_listing_that_cannot_be_followed_to_its_end_is_incomplete(
    router: respx.Router, routed: Service, following: object
) -> None:
    router.get(f"{BASE}/predictions").respond(json={"results": [{"id": "a"}], "next": following})
    listing = await routed.list(created_after=0)
    assert not listing.complete


async def test_a_listing_with_an_unreadable_item_is_incomplete(router: respx.Router, routed: Service) -> None:
    router.get(f"{BASE}/predictions").respond(json={"results": [{"id": "a"}, {"id": None}], "next": None})
    assert not (await routed.list(created_after=0)).complete


async def test_a_listing_tells_no_more_than_it_must_of_predictions_that_run_or_are_not_wanted(
    router: respx.Router, routed: Service
) -> None:
    made = {"created_at": "2025-01-01T00:00:09Z", "output": ["https://a.test/a.png"]}
    results = [
        {"id": "ended", "status": "Completed", **made},
        {"id": "running", "status": "processing", **made},
        {"id": "queued", "status": "queued", **made},
        {"id": "odd", "status": ["succeeded"], "completed_at": made["created_at"], **made},
        {"id": "other", "status": "succeeded", **made},
        {"id": ["ended"], "status": "succeeded", **made},
    ]
    router.get(f"{BASE}/predictions").respond(json={"results": results, "next": None})
    listing = await routed.list(created_after=0, wanted={"ended", "running", "queued", "odd"})
    assert [(item.id, item.status, bool(item.outputs)) for item in listing.items] == [
        ("ended", "succeeded", True),
        ("running", "processing", False),
        ("queued", "starting", False),
        ("odd", "succeeded", True),
        ("other", UNREAD, False),
    ]
    assert {item.created_at for item in listing.items} == {1_735_689_609.0}
    assert not listing.complete


async def test_a_listing_that_reaches_past_the_window_is_complete(
    router: respx.Router, routed: Service
) -> None:
    times = ["2025-01-01T00:00:09Z", "2025-01-01T00:00:05Z", "2024-01-01T00:00:00Z"]
    results = [{"id": f"p{n}", "created_at": time} for n, time in enumerate(times)]
    router.get(f"{BASE}/predictions").respond(json={"results": results, "next": "?cursor=more"})
    listing = await routed.list(created_after=1735689600)
    assert ([item.id for item in listing.items], listing.complete) == (["p0", "p1", "p2"], True)
    assert routed.requests == 1


@pytest.mark.parametrize(
    "given",
    [{"status_code": 404}, {"status_code": 405}, {"html": "<!doctype html>"}, {"json": {"success": True}}],
)
async def test_a_list_that_is_not_offered_is_asked_for_each_time(
    router: respx.Router, routed: Service, given: dict[str, Any]
) -> None:
    listed = httpx.Response(200, json={"results": [PREDICTION]})
    router.get(f"{BASE}/predictions").mock(side_effect=[httpx.Response(**{"status_code": 200, **given})] * 2)
    for _ in range(2):
        with pytest.raises(NotOffered):
            await routed.list(created_after=0)
    assert routed.offers.list is False
    router.get(f"{BASE}/predictions").mock(return_value=listed)
    assert len((await routed.list(created_after=0)).items) == 1
    assert routed.offers.list is True


async def test_a_files_call_that_is_not_offered_is_asked_for_once(
    router: respx.Router, routed: Service
) -> None:
    router.post(f"{BASE}/files").respond(404)
    for _ in range(3):
        with pytest.raises(NotOffered):
            await routed.upload(b"", name="a.png", mime="image/png")
    assert routed.requests == 1


async def test_a_failing_next_page_is_tried_again_and_does_not_count_as_not_offered(
    router: respx.Router, routed: Service
) -> None:
    first = httpx.Response(200, json={"results": [{"id": "a"}], "next": "?cursor=two"})
    router.get(f"{BASE}/predictions").mock(
        side_effect=[first, httpx.Response(404), first, httpx.Response(200, json={"ok": True})]
    )
    for _ in range(2):
        with pytest.raises(TransientError):
            await routed.list(created_after=0)
    assert routed.requests == 4


async def test_a_cancel_tells_how_the_prediction_stands_where_the_answer_says_it(
    router: respx.Router, routed: Service
) -> None:
    router.post(f"{BASE}/predictions/abc/cancel").mock(
        side_effect=[
            httpx.Response(200, json={**PREDICTION, "status": "canceled"}),
            httpx.Response(200, json={"ok": True}),
            httpx.Response(404),
            httpx.Response(405),
        ]
    )
    canceled = await routed.cancel("abc")
    assert canceled is not None
    assert canceled.status == "canceled"
    assert await routed.cancel("abc") is None
    with pytest.raises(NotFound):
        await routed.cancel("abc")
    for _ in range(2):
        with pytest.raises(NotOffered):
            await routed.cancel("abc")
    assert routed.requests == 4


async def test_an_upload_is_a_multipart_post_with_name_and_type(
    router: respx.Router, routed: Service
) -> None:
    route = router.post(f"{BASE}/files").respond(
        201, json={"urls": {"get": "https://service.test/v1/files/f"}}
    )
    upload = await routed.upload(b"\x89PNG", name='a"b.png', mime="image/png")
    assert upload.url == "https://service.test/v1/files/f"
    request = route.calls.last.request
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert (
        b'name="content"; filename="a%22b.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG' in request.content
    )


async def test_the_account_is_none_where_it_is_not_offered(router: respx.Router, routed: Service) -> None:
    router.get(f"{BASE}/account").mock(
        side_effect=[
            httpx.Response(200, json={"type": "user", "username": "ann"}),
            httpx.Response(200, html="<html>"),
        ]
    )
    assert await routed.account() == "user:ann"
    assert await routed.account() is None
    assert await routed.account() is None
    assert routed.requests == 2


async def test_a_model_without_a_page_has_no_schema_and_says_nothing_of_other_models(
    router: respx.Router, routed: Service
) -> None:
    found: dict[str, Any] = {
        "latest_version": {"openapi_schema": {"components": {"schemas": {"Input": {"properties": {}}}}}}
    }
    router.get(f"{BASE}/models/a/missing").respond(404)
    router.get(f"{BASE}/models/a/found").respond(json=found)
    assert await routed.input_schema("a/missing") is None
    assert await routed.input_schema("a/found") == {"properties": {}}


async def test_the_token_is_used_only_at_the_bases_own_origin(router: respx.Router, routed: Service) -> None:
    route = router.get("https://service.test/files/out.png").respond(content=b"png")
    async with routed.fetch_own("https://service.test/files/out.png") as download:
        assert [chunk async for chunk in download.chunks()] == [b"png"]
    assert route.calls.last.request.headers["authorization"] == f"Bearer {SECRET}"
    for url in (
        "https://other.test/out.png",
        "http://service.test/out.png",
        "https://service.test:8443/out.png",
        "https://service.test@evil.test/out.png",
        "data:image/png;base64,AAAA",
    ):
        with pytest.raises(OutputRefused):
            async with routed.fetch_own(url):
                pass
    assert routed.requests == 1


async def test_a_signed_fetch_follows_no_redirect(router: respx.Router, routed: Service) -> None:
    router.get("https://service.test/out.png").respond(302, headers={"Location": "https://service.test/b"})
    router.get("https://service.test/private.png").respond(403)
    with pytest.raises(OutputRefused):
        async with routed.fetch_own("https://service.test/out.png"):
            pass
    with pytest.raises(SignatureWanted):
        async with routed.fetch_own("https://service.test/private.png"):
            pass


async def test_the_services_clock_is_learned_from_its_answers(router: respx.Router, routed: Service) -> None:
    assert routed.clock_offset is None
    router.get(f"{BASE}/predictions/abc").respond(
        json=PREDICTION, headers={"Date": "Mon, 12 Jan 1970 13:47:40 GMT"}
    )
    await routed.get("abc")
    assert routed.clock_offset == 60.5


async def test_an_answer_that_does_not_end_is_cut_off(router: respx.Router, routed: Service) -> None:
    bomb = gzip.compress(b" " * (32 * 2**20))
    router.post(f"{BASE}/models/{DEV}/predictions").respond(
        201, content=bomb, headers={"Content-Encoding": "gzip"}
    )
    with pytest.raises(AnswerLost, match="16 MiB"):
        await routed.create(DEV, {})


# Over a real wire.


async def create_at(peer: Peer, transport: Transport, service_over: Make, **given: Any) -> Service:
    service = service_over(transport, base=f"{peer.url}/v1", **given)
    await service.create(DEV, {"prompt": "a spaceship"})
    return service


async def test_a_create_over_the_wire_is_a_post_with_its_length_and_our_name(
    transport: Transport, listen: Listen, service_over: Make
) -> None:
    async def accept(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer(json.dumps(PREDICTION).encode(), "201 Created"))

    peer = await listen(accept)
    await create_at(peer, transport, service_over)
    head = peer.heads[0].lower()
    assert head.startswith(f"post /v1/models/{DEV}/predictions http/1.1\r\n")
    assert "content-length: 34\r\n" in head
    assert f"authorization: bearer {SECRET.lower()}\r\n" in head
    assert "transfer-encoding" not in head


async def test_a_refusal_whose_words_break_off_is_still_a_refusal(
    transport: Transport, listen: Listen, service_over: Make
) -> None:
    async def refuse(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer(b"0123456789", "402 Payment Required")[:-5])

    peer = await listen(refuse)
    with pytest.raises(ServiceRefused) as caught:
        await create_at(peer, transport, service_over)
    assert caught.value.status == 402


async def test_the_token_shows_in_no_error_no_log_and_no_repr(
    transport: Transport, listen: Listen, service_over: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def drop(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        reset(writer)

    async def garble(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(b"no HTTP\r\n\r\n")

    async def echo(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await peer.request(reader)
        writer.write(answer(head.encode(), "401 Unauthorized"))

    async def echo_as_error(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await peer.request(reader)
        writer.write(answer(json.dumps({"id": "abc", "error": head}).encode()))

    for script in (drop, garble, echo):
        peer = await listen(script)
        with pytest.raises((AnswerLost, ServiceRefused)) as caught:
            await create_at(peer, transport, service_over)
        error: BaseException | None = caught.value
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert SECRET not in "".join(shown.format())
        while error is not None:
            assert SECRET not in f"{error} {error!r} {error.args!r}"
            error = error.__cause__ or error.__context__
    peer = await listen(echo_as_error)
    service = service_over(transport, base=f"{peer.url}/v1")
    prediction = await service.create(DEV, {})
    assert prediction.error is not None
    assert SECRET not in f"{prediction!r} {service!r} {vars(service)!r}"
    assert SECRET not in caplog.text


async def test_an_answer_that_breaks_off_behind_the_token_leaves_nothing_of_itself_in_the_error(
    transport: Transport, listen: Listen, service_over: Make
) -> None:
    async def break_off(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(f"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\nkey {SECRET}".encode())
        await writer.drain()
        writer.close()

    peer = await listen(break_off)
    with pytest.raises(AnswerLost) as caught:
        await create_at(peer, transport, service_over)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert SECRET not in "".join(shown.format())
    assert caught.value.kept == ""


@pytest.mark.parametrize("own", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "503 Busy", "302 Found", "200 OK"])
async def test_an_error_about_an_address_that_holds_the_token_does_not_show_it(
    transport: Transport, listen: Listen, service_over: Make, status: str, own: bool
) -> None:
    async def refuse(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        head = f"Location: ftp://{SECRET}.test/{SECRET}\r\nContent-Length: {'9' * 10}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode())
        await writer.drain()
        writer.close()

    peer = await listen(refuse)
    service = service_over(transport, base=f"{peer.url}/v1")
    here = httpx.URL(peer.url)
    policy = OutputPolicy(allow_private=True, allow_http=True, own=origin_of(here))
    outputs = OutputClient(transport, policy, redaction=service.redaction)
    fetch = service.fetch_own if own else outputs.fetch
    with pytest.raises(BatchfillError) as caught:
        async with fetch(f"{peer.url}/{SECRET}/a.webp"):
            pass
    assert SECRET.lower() not in f"{caught.value} {caught.value!r}".lower()
    assert caught.value.__cause__ is caught.value.__context__ is None
