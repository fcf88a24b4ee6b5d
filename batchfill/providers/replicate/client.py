"""The calls of the prediction API, each with the errors that its caller has to tell apart."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx

from batchfill.domain.provider_facts import REPLICATE_API, TokenOrigin
from batchfill.domain.token import NO_EXTRAS
from batchfill.errors import (
    AnswerLost,
    NoAnswer,
    NotOffered,
    NotSent,
    OutputRefused,
    RowRejected,
    ServiceRefused,
    Throttled,
    TooLarge,
    TransientError,
)
from batchfill.providers.downloads import begin, open_download, parse_url, shown_url
from batchfill.providers.endpoints import ACCOUNT, FILES, PREDICTIONS, model_path, origin_of, prediction_path
from batchfill.providers.error_text import is_html, kept_text, one_line, words_of_body
from batchfill.providers.learned_offers import OPTIONAL, LearnedOffers
from batchfill.providers.model_server import find_container
from batchfill.providers.pagination import Listing, reaches_past, read_page, size_of, window_query
from batchfill.providers.parsing import read_account, read_input_schema, read_upload
from batchfill.providers.prediction_reader import prediction_at, read_asked, read_created
from batchfill.providers.replicate.create_call import CreateCall, create_headers, unread_answer
from batchfill.providers.requests import LONGEST_ANSWER, LONGEST_PAGE, AnswerBroken, AuthorizedClient
from batchfill.providers.status_codes import SEE_OTHER, Call, error_for, error_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence

    from batchfill.domain.offers import ProviderOffers
    from batchfill.domain.predictions import Prediction, Upload
    from batchfill.domain.token import ExtraSecrets, Token
    from batchfill.errors import BatchfillError
    from batchfill.providers.downloads import Download
    from batchfill.providers.pagination import Page
    from batchfill.providers.rate_limiter import RateLimiter
    from batchfill.providers.redaction import Redaction
    from batchfill.providers.requests import HttpResponse

_Read = TypeVar("_Read")

PROBE = "batchfill-probe"
"""The id of no prediction: an API has other words for it than its front page."""
TOO_LARGE = 413
LONGEST_TITLE = 80
"""Characters of a web page that are shown."""

PAGES = 200
"""Pages of a listing that are read at most."""

MOST_LISTED = 100_000_000
"""Bytes of memory that the predictions of a listing may take: tens of thousands of them."""

_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.WriteError,
    httpx.WriteTimeout,
)


class Service:
    """One account at one provider. The token goes to the base's own origin, and nowhere else."""

    facts = REPLICATE_API

    def __init__(
        self,
        base: str,
        token: Token,
        *,
        extras: ExtraSecrets = NO_EXTRAS,
        transport: httpx.AsyncBaseTransport,
        reads: RateLimiter,
        answer_timeout: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*transport*: a Transport, whose errors say what can have been sent.

        *extras*: what the base gets in addition to the token. *answer_timeout*: seconds of silence after
        which an answer counts as lost. *clock*: ours, in seconds since the epoch.
        """
        self._line = AuthorizedClient(
            base, token, extras=extras, transport=transport, answer_timeout=answer_timeout, clock=clock
        )
        self._creates = CreateCall(self._line)
        self._reads = reads
        self._learned = LearnedOffers(self.facts.calls)
        self._last_id: str | None = None

    @property
    def base(self) -> str:
        """The base URL, without a trailing slash."""
        return self._line.base

    @property
    def redaction(self) -> Redaction:
        """What marks the token in answers, and knows the addresses that held it."""
        return self._line.redaction

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._line.requests

    @property
    def clock_offset(self) -> float | None:
        """Seconds that the service's clock is ahead of ours, None before the first answer."""
        return self._line.clock_offset

    @property
    def offers(self) -> ProviderOffers:
        """What its answers have shown of the calls that it offers, and of its manners."""
        return self._learned.as_known(dated=self.clock_offset is not None)

    def prediction_address(self, prediction_id: str) -> str:
        """Return where a prediction is, without the base's query: relative addresses in it begin there."""
        return f"{self.base.partition('?')[0].rstrip('/')}{PREDICTIONS}/{quote(prediction_id, safe='')}"

    async def create(
        self,
        model: str,
        inputs: Mapping[str, object],
        *,
        cancel_after: float | None = None,
        key: str | None = None,
    ) -> Prediction:
        """Ask once for a prediction of *model* (OWNER/NAME or OWNER/NAME:VERSION); this is what costs money.

        *cancel_after*: seconds after which the service is to stop it, sent within 5 s and 24 h. *key*: the
        create's own, by which a provider that honours it answers the same create with the same prediction.
        Raises NotSent, Throttled, Unavailable, RowRejected, ServiceRefused; AnswerLost: it may be accepted.
        """
        try:
            answer = await self._creates.send(model, inputs, create_headers(key, cancel_after))
        except _UNSENT as error:
            raise NotSent(one_line(f"the create call was not sent: {error}")) from error
        except AnswerBroken as error:
            text = f"the create call was accepted, and its answer cannot be read: {error}"
            raise AnswerLost(one_line(text), acknowledged=True) from error
        except httpx.RequestError as error:
            raise AnswerLost(one_line(f"the create call has no answer: {error}")) from error
        sent = [value for value in inputs.values() if isinstance(value, str)]
        if answer.status in SEE_OTHER and (made := prediction_at(answer.headers)) is not None:
            return made
        if not answer.succeeded:
            raise self._error_for(Call.CREATE, answer, sent)
        try:
            prediction = read_created(answer.body, answer.headers)
        except ValueError as error:
            raise await self._without_prediction(answer, error, sent) from error
        self._learned.note_answer(Call.CREATE, answer)
        self._last_id = prediction.id or self._last_id
        return prediction

    async def _without_prediction(
        self, answer: HttpResponse, why: ValueError, sent: Sequence[str]
    ) -> BatchfillError:
        """Return what a success that holds no prediction means: money may have left all the same."""
        refused = None if answer.broken else error_in_words(answer.status, answer.headers, answer.body, sent)
        if refused is not None:
            return refused
        text = f"the service answered {answer.status} to the create call"
        if not is_html(answer.body):
            return unread_answer(f"{text}, but {why}", answer)
        if await self._answers_with_pages():
            return ServiceRefused(f"{text} with a web page: is the base URL right?", status=answer.status)
        return unread_answer(f"{text}, but with a web page", answer)

    async def _answers_with_pages(self) -> bool:
        """Whether free questions get web pages: then there is no service that can have made anything.

        One page may be a moment's, or be that of a path without an API: a prediction is asked for too.
        """
        for path in (ACCOUNT, prediction_path(self._last_id or PROBE)):
            await self._reads.acquire()
            try:
                answer = await self._line.send_request("GET", path)
            except httpx.RequestError:
                return False
            if answer.status >= 500 or not is_html(answer.body):
                return False
        return True

    async def answers(self, prediction_id: str | None) -> bool:
        """Whether the service answers a free question, about that prediction where there is one.

        Every answer but a 5xx counts: with those a gateway says that the service behind it is down.
        """
        await self._reads.acquire()
        path = ACCOUNT if prediction_id is None else prediction_path(prediction_id)
        try:
            answer = await self._line.send_request("GET", path)
        except httpx.RequestError:
            return False
        return answer.status < 500

    async def front_page(self) -> str | None:
        """Return what the web page says that the base answers every question with; None where it has an API.

        Asks only where the account call was answered with a page: most bases need no further question.
        """
        if not self._learned.got_page(Call.ACCOUNT):
            return None
        await self._reads.acquire()
        try:
            answer = await self._line.send_request("GET", prediction_path(PROBE))
        except httpx.RequestError:
            return None
        page = answer.succeeded and is_html(answer.body)
        return words_of_body(answer.body)[:LONGEST_TITLE] if page else None

    async def container_at(self) -> str | None:
        """Return the address of the Cog container that the base is; asks only where there are no accounts."""
        return await find_container(self._line, self._reads) if self.offers.account is False else None

    async def get(self, prediction_id: str, *, outputs: int = 1) -> Prediction:
        """Return the prediction as it is; *outputs* inside its answer have room.

        Raises Throttled, TransientError, NotFound, ServiceRefused.
        """
        path, longest = prediction_path(prediction_id), LONGEST_ANSWER * max(1, outputs)
        answer = await self._read_free(Call.GET, "GET", path, longest=longest)
        return self._parse_answer(Call.GET, answer, lambda answer: read_asked(answer.body, prediction_id))

    async def list(
        self,
        *,
        created_after: float | None,
        created_before: float | None = None,
        pages: int = PAGES,
        wanted: Container[str] | None = None,
    ) -> Listing:
        """Return the account's predictions made in a window of time, in seconds by the service's clock.

        It is asked for each time, though it was missing before: that may have been a moment's.
        Both ends are within it, None leaves it open, and at most so many *pages* are read; *wanted*: see
        read_page. Raises NotOffered, TransientError, ServiceRefused.
        """
        asked = window_query(created_after, created_before)
        items: list[Prediction] = []
        cursors: list[str] = []
        readable = True
        for _ in range(pages):
            page = await self._read_page(asked, cursors, wanted)
            items.extend(page.items)
            readable = readable and page.readable
            if not page.more or reaches_past(items, created_after):
                return Listing(tuple(items), complete=readable)
            if page.cursor is None or page.cursor in cursors or size_of(items) > MOST_LISTED:
                break
            cursors.append(page.cursor)
        return Listing(tuple(items), complete=False)

    async def cancel(self, prediction_id: str) -> Prediction | None:
        """Ask for the prediction to be stopped; None when the answer does not say how it stands.

        Raises NotOffered, NotFound, Throttled, TransientError, ServiceRefused.
        """
        answer = await self._read_free(Call.CANCEL, "POST", f"{prediction_path(prediction_id)}/cancel")
        try:
            prediction = read_asked(answer.body, prediction_id)
        except ValueError:
            return None
        return prediction if prediction.id == prediction_id else None

    async def upload(self, content: bytes, *, name: str, mime: str) -> Upload:
        """Give a file to the provider.

        Raises NotOffered, Throttled, TransientError, RowRejected, ServiceRefused.
        """
        answer = await self._read_free(Call.FILES, "POST", FILES, files={"content": (name, content, mime)})
        return self._parse_answer(Call.FILES, answer, lambda answer: read_upload(answer.body))

    async def account(self) -> str | None:
        """Return `type:username`, None where it is not offered.

        Raises Throttled, TransientError, ServiceRefused.
        """
        try:
            answer = await self._read_free(Call.ACCOUNT, "GET", ACCOUNT)
        except NotOffered:
            return None
        return self._parse_answer(Call.ACCOUNT, answer, lambda answer: read_account(answer.body))

    async def input_schema(self, model: str) -> Mapping[str, Any] | None:
        """Return the OpenAPI Input schema of *model* (OWNER/NAME), None where it is not offered.

        Raises Throttled, TransientError, ServiceRefused.
        """
        try:
            answer = await self._read_free(Call.MODEL, "GET", model_path(model))
        except NotOffered:
            return None
        return self._parse_answer(Call.MODEL, answer, lambda answer: read_input_schema(answer.body))

    @asynccontextmanager
    async def fetch_own(self, url: str) -> AsyncIterator[Download]:
        """Open the output at *url* with the token, only where its origin is the base's own; no redirects.

        Raises OutputRefused, NotFound, TransientError, and SignatureWanted when the token is not enough.
        """
        begun = begin(self._open_own(self.redaction.given(url) or url))
        response, download = await self.redaction.in_errors(begun)
        try:
            yield download
        finally:
            await response.aclose()

    async def _open_own(self, url: str) -> httpx.Response:
        place = parse_url(url)
        known = {TokenOrigin.BASE: origin_of(httpx.URL(self.base))}
        if origin_of(place) not in {known[one] for one in self.facts.token_origins}:
            raise OutputRefused(
                f"{shown_url(url)} is not at the base's own address: the token stays away from it"
            )
        await self._reads.acquire()
        response = await open_download(self._line.open_url(str(place)), place)
        if response.is_redirect:
            await response.aclose()
            raise OutputRefused(f"{shown_url(url)} redirects, and the token follows no redirect")
        return response

    async def _read_page(
        self, asked: Mapping[str, str], cursors: Sequence[str], wanted: Container[str] | None
    ) -> Page:
        """Ask for the page behind the last of *cursors*, the first page when there are none."""
        call = Call.PAGE if cursors else Call.LIST
        params = {**asked, "cursor": cursors[-1]} if cursors else dict(asked)
        answer = await self._read_free(call, "GET", PREDICTIONS, params=params, longest=LONGEST_PAGE)
        page = self._parse_answer(call, answer, lambda answer: read_page(answer.body, wanted))
        if page is None and not cursors:
            raise self._refuse_without(call, "something else than predictions")
        if page is None:
            raise TransientError(f"the {call} holds no predictions")
        return page

    async def _read_free(self, call: Call, method: str, path: str, **given: Any) -> HttpResponse:
        """Ask at the reading pace for what costs nothing. Raises what the answer means."""
        self._learned.refuse_missing(call)
        await self._reads.acquire()
        try:
            answer = await self._line.send_request(method, path, **given)
        except httpx.RequestError as error:
            raise NoAnswer(one_line(f"the {call} call has no answer: {error}")) from error
        if not answer.succeeded:
            raise self._error_for(call, answer)
        if call in OPTIONAL and is_html(answer.body):
            # Some gateways answer every path they do not know with their front page.
            self._learned.note_page(call)
            raise self._refuse_without(call, "a web page")
        self._reads.accepted()
        self._learned.note_answer(call, answer)
        return answer

    def _error_for(self, call: Call, answer: HttpResponse, sent: Sequence[str] = ()) -> BatchfillError:
        whole = answer.broken is None
        error = error_for(call, answer.status, answer.headers, answer.shown, sent, whole=whole)
        if isinstance(error, AnswerLost):
            error.kept = kept_text(answer.shown)
        if answer.status == TOO_LARGE and isinstance(error, RowRejected):
            error = TooLarge(str(error))
        if isinstance(error, NotOffered):
            self._learned.note_missing(call, error)
        if isinstance(error, Throttled) and call is not Call.CREATE:
            self._reads.throttled(error.wait)
        return error

    def _parse_answer(self, call: Call, answer: HttpResponse, read: Callable[[HttpResponse], _Read]) -> _Read:
        """Return what *read* makes of a success. Raises TransientError when it can make nothing of it.

        NoAnswer, a kind of it, where the answer broke off.
        """
        try:
            return read(answer)
        except ValueError as error:
            if answer.broken:
                kind = TransientError if answer.too_long else NoAnswer
                raise kind(one_line(f"the {call} call has no whole answer: {answer.broken}")) from error
            raise TransientError(
                f"the service answered {answer.status} to the {call} call, but {error}"
            ) from error

    def _refuse_without(self, call: Call, answered: str) -> NotOffered:
        error = NotOffered(f"the service answered {answered} to the {call} call")
        return self._learned.note_missing(call, error)
