"""The one request that pays, in the form that a gateway takes it: by the model's path, or by the body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

from batchfill.errors import AnswerLost, RowRejected
from batchfill.providers.endpoints import PREDICTIONS, create_path, model_path
from batchfill.providers.error_text import is_html, kept_text, one_line, words_of_body
from batchfill.providers.manners import NAMES_NO_MODEL, NO_SUCH_PATH
from batchfill.providers.parsing import LONGEST_ERROR
from batchfill.providers.transport import PAYS
from batchfill.settings.addresses import REPLICATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.providers.requests import AuthorizedClient, HttpResponse


class CreateCall:
    """Sends creates, and remembers which form the gateway takes.

    A model with a version goes to `/predictions` as `{"version": …}`. One without goes to its own path. Where
    that path does not exist, `{"model": …}` is tried once at `/predictions`: a 404 made nothing.
    """

    def __init__(self, line: AuthorizedClient) -> None:
        self._line = line
        self._by_body: bool | None = None
        """Whether the gateway wants the model's name in the body; None: not known yet."""

    async def send(
        self, model: str, inputs: Mapping[str, object], headers: Mapping[str, str]
    ) -> HttpResponse:
        """Ask for a prediction of *model* and return the answer.

        Both forms go with the same *headers*: where one of them made something after all, the key in them
        names it.
        Raises RowRejected for inputs that are no JSON, and httpx.RequestError as `send_request` does.
        """
        inputs = self._as_given(inputs)
        name, _, version = model.partition(":")
        if version:
            return await self._post(PREDICTIONS, headers, input=inputs, version=version)
        if self._by_body:
            return await self._post(PREDICTIONS, headers, input=inputs, model=name)
        answer = await self._post(create_path(name), headers, input=inputs)
        if answer.succeeded:
            self._by_body = False
        if (
            self._by_body is not None
            or self._line.base == REPLICATE
            or not await self._is_absent(name, answer)
        ):
            return answer
        other = await self._post(PREDICTIONS, headers, input=inputs, model=name)
        if _knows_no_such_form(other):
            return answer
        if other.status < 500:
            self._by_body = True
        return other

    def _as_given(self, inputs: Mapping[str, object]) -> dict[str, object]:
        """Return *inputs* with the addresses of uploads as the service gave them: back to it they may go."""
        texts = {name: value for name, value in inputs.items() if isinstance(value, str)}
        return {**inputs, **{name: self._line.redaction.given(text) or text for name, text in texts.items()}}

    async def _post(self, path: str, headers: Mapping[str, str], **body: object) -> HttpResponse:
        headers = {"Content-Type": "application/json", **headers}
        return await self._line.send_request(
            "POST", path, content=_encode(body), headers=headers, extensions={PAYS: True}
        )

    async def _is_absent(self, model: str, answer: HttpResponse) -> bool:
        """Whether *answer* says that the model's path does not exist.

        A page of HTML may come from something on the way: it counts where a free GET gets one too.
        """
        if answer.status != 404 or not is_html(answer.body):
            return answer.status == 404
        try:
            page = await self._line.send_request("GET", model_path(model))
        except httpx.RequestError:
            return False
        return page.status == 404 and is_html(page.body)


def _knows_no_such_form(answer: HttpResponse) -> bool:
    """Whether a gateway that was asked by `{"model": …}` takes no such creates, and so made nothing."""
    if answer.status in NO_SUCH_PATH:
        return True
    return answer.status in (400, 422) and any(
        word in words_of_body(answer.body).lower() for word in NAMES_NO_MODEL
    )


def _encode(body: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise RowRejected(f"the inputs cannot be written as JSON: {error}") from error


def create_headers(key: str | None, cancel_after: float | None) -> dict[str, str]:
    """Return the headers of a create.

    *key*: by which a provider may know a second create for the first. *cancel_after*: seconds after which it
    is to stop the prediction; not sent outside of its limits.
    """
    headers = {} if key is None else {"Idempotency-Key": key}
    if cancel_after is not None and 5 <= cancel_after <= 86_400:
        headers["Cancel-After"] = f"{round(cancel_after)}s"
    return headers


def unread_answer(text: str, answer: HttpResponse) -> AnswerLost:
    """Return the error of a create that was taken, in an answer that names no prediction."""
    more = [f" ({answer.broken})"] if answer.broken else []
    more += [f": {said}"] if (said := words_of_body(answer.shown)) else []
    text = one_line(text + "".join(more), longest=LONGEST_ERROR)
    return AnswerLost(text, acknowledged=True, kept=kept_text(answer.shown))
