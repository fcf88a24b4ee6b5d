"""What a provider offers, found out before paying with requests that cost nothing."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING, TypeVar

from batchfill.domain.offers import ProviderCheck, check_lines_of
from batchfill.errors import NoAnswer, NotOffered, RowRejected, ServiceRefused, TransientError, UsageError
from batchfill.providers.connection import open_service
from batchfill.session.free_questions import wrong_base
from batchfill.session.open_session import obtain_access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.settings.settings import Settings

_Answer = TypeVar("_Answer")

ONE_PIXEL = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
"""A PNG that stands for a local file: whether files are taken shows only when one is given."""
READS = 600
"""Requests a minute."""


async def introduce_provider(settings: Settings) -> tuple[ProviderCheck, list[str]]:
    """Return what the provider offers, and what to tell of it. Raises UsageError, ServiceRefused."""
    settings = await obtain_access(settings)
    provider, said = await ask_provider(settings.address, settings)
    return provider, [*check_lines_of(provider), *said]


async def ask_provider(base: str, settings: Settings) -> tuple[ProviderCheck, list[str]]:
    """Return what the provider at *base* offers, and which questions it left open, in its own words.

    Raises ServiceRefused for a bad token, UsageError where it does not answer, or with web pages only.
    """
    assert settings.token is not None
    connection = open_service(
        base,
        settings.token,
        extras=settings.extras,
        reads_per_minute=READS,
        answer_timeout=settings.answer_timeout,
    )
    async with connection as (service, _):
        questions = _Questions(base)
        account = await questions.ask(service.account)
        if (wrong := await wrong_base(service)) is not None:
            raise UsageError(wrong)
        await questions.ask(lambda: service.input_schema(settings.model))
        await questions.ask(lambda: service.list(created_after=time.time() - 1, pages=1))
        # Some gateways refuse the token for it where they take no files.
        await questions.ask(
            lambda: service.upload(ONE_PIXEL, name="batchfill.png", mime="image/png"), tests_token=False
        )
        questions.refuse_silence()
        found = ProviderCheck(base=base, model=settings.model, account=account, offers=service.offers)
        return found, questions.open


class _Questions:
    """Free questions to a provider that need not have an answer to each."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._asked = 0
        self._failed: list[TransientError] = []
        self.open: list[str] = []
        """What was answered with an error that tells nothing of what is offered."""

    async def ask(
        self, question: Callable[[], Awaitable[_Answer]], *, tests_token: bool = True
    ) -> _Answer | None:
        """Return the answer; None where there is none.

        Raises ServiceRefused for 401 and 402 if the question *tests_token*, UsageError where nothing came.
        """
        self._asked += 1
        try:
            return await question()
        except NotOffered:
            return None
        except NoAnswer as error:
            raise self._silence(error) from error
        except ServiceRefused as error:
            if tests_token and error.status in (401, 402):
                raise
            self.open.append(str(error))
        except RowRejected as error:
            self.open.append(str(error))
        except TransientError as error:
            self._failed.append(error)
            self.open.append(str(error))
        return None

    def refuse_silence(self) -> None:
        """Raise UsageError where every answer was an error of the service."""
        if len(self._failed) == self._asked:
            raise self._silence(self._failed[0])

    def _silence(self, error: TransientError) -> UsageError:
        return UsageError(f"{self._base} does not answer: {error}. Check the address and the network")
