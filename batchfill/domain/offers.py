"""What a provider offers besides create and get, and how it answers, as far as answers have shown it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOffers:
    """What was learned of one provider. It saves questions; it never proves that a prediction is absent.

    None: not known, because it was not asked or the answer did not tell.
    """

    account: bool | None = None
    model: bool | None = None
    list: bool | None = None
    files: bool | None = None
    cancel: bool | None = None
    envelope: str | None = None
    """The key below which answers have what Replicate has at the top; empty: there is none."""
    date: bool | None = None
    """Whether answers tell the service's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCheck:
    """What a provider said when it was asked before paying."""

    base: str
    model: str
    account: str | None
    """Its name; None where the provider does not tell it."""
    offers: ProviderOffers


_MEANING = {
    "list": (
        "it lists predictions: lost answers can be found again",
        "it offers no list: a row whose answer is lost stays in doubt until you decide",
        "whether it has a list is not known: it is asked when an answer is lost",
    ),
    "files": (
        "it takes files: large pictures are uploaded once",
        "it takes no files: pictures go inside the requests, up to 1 MB each",
        "whether it takes files is not known: where it takes none, pictures go inside the requests",
    ),
    "cancel": (
        "it cancels predictions",
        "it cancels nothing: a prediction runs to its end",
        "whether it cancels is asked when needed: that takes a prediction",
    ),
    "date": (
        "its answers carry a Date: clocks are compared",
        "its answers carry no Date: do not put this machine's clock forward between two runs",
        "whether its answers carry a Date is not known",
    ),
}
"""What it means for the user that a provider has each, that it has not, and that this is not known."""


def check_lines_of(found: ProviderCheck) -> Iterator[str]:
    """Yield what a check found, a line for each thing and what it means."""
    yield f"{found.base} answers; account: {found.account or 'it does not say'}"
    described = {True: "known to it", False: "it does not describe models", None: "it does not say"}
    yield f"model {found.model}: {described[found.offers.model]}"
    yield from offer_lines(found.offers)


def offer_lines(offers: ProviderOffers) -> Iterator[str]:
    """Yield what *offers* mean for the user, a line each."""
    for name, (there, missing, unknown) in _MEANING.items():
        has = getattr(offers, name)
        yield unknown if has is None else there if has else missing
    if offers.envelope:
        yield f"its answers are in an envelope, below {offers.envelope!r}"
