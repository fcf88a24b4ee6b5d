"""The seam: what a run asks of a provider, whatever its dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from contextlib import AbstractAsyncContextManager

    from batchfill.domain.offers import ProviderOffers
    from batchfill.domain.predictions import Prediction, Upload
    from batchfill.domain.provider_facts import ProviderFacts
    from batchfill.providers.downloads import Download
    from batchfill.providers.pagination import Listing
    from batchfill.providers.redaction import Redaction


class Provider(Protocol):
    """One account at one base. The token goes where `facts` say, and nowhere else.

    Every method asks once and raises the errors of `batchfill.errors` that its caller has to tell apart; each
    implementation says which. Only `create` costs money.
    """

    @property
    def base(self) -> str:
        """The base URL, without a trailing slash."""

    @property
    def facts(self) -> ProviderFacts:
        """What holds of every provider of its dialect."""

    @property
    def offers(self) -> ProviderOffers:
        """What its answers have shown of the calls that it offers, and of its manners."""

    @property
    def redaction(self) -> Redaction:
        """What marks the token in answers, and knows the addresses that held it."""

    @property
    def requests(self) -> int:
        """Requests sent so far."""

    @property
    def clock_offset(self) -> float | None:
        """Seconds that the provider's clock is ahead of ours, None where it is not known."""

    def prediction_address(self, prediction_id: str) -> str:
        """Return where a prediction is: relative addresses in it begin there."""

    async def create(
        self,
        model: str,
        inputs: Mapping[str, object],
        *,
        cancel_after: float | None = None,
        key: str | None = None,
    ) -> Prediction:
        """Ask once for a prediction: this is what costs money. Raises AnswerLost when it may be accepted."""

    async def get(self, prediction_id: str, *, outputs: int = 1) -> Prediction:
        """Return the prediction as it is; *outputs* inside its answer have room."""

    async def list(
        self,
        *,
        created_after: float | None,
        created_before: float | None = None,
        pages: int = ...,
        wanted: Container[str] | None = None,
    ) -> Listing:
        """Return the account's predictions made in a window of time. Raises NotOffered.

        Where some are *wanted*, by their ids, no more than id, status and time need be told of others, and of
        those that run.
        """

    async def cancel(self, prediction_id: str) -> Prediction | None:
        """Ask for the prediction to be stopped; None when the answer does not say how it is."""

    async def upload(self, content: bytes, *, name: str, mime: str) -> Upload:
        """Give a file to the provider. Raises NotOffered."""

    async def account(self) -> str | None:
        """Return the account's name, None where it is not told."""

    async def input_schema(self, model: str) -> Mapping[str, Any] | None:
        """Return the OpenAPI Input schema of *model*, None where it is not told."""

    async def answers(self, prediction_id: str | None) -> bool:
        """Whether it answers a free question, about that prediction where there is one."""

    async def front_page(self) -> str | None:
        """Return what the web page says that answers every question; None where there is an API."""

    async def container_at(self) -> str | None:
        """Return the address of the Cog container that the base is; None where it is another thing."""

    def fetch_own(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Open the output at *url* with the token, only where it lies at an origin that may see it."""
