"""What the answers of one run have shown of the calls that a provider offers, and of its manners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.domain.offers import ProviderOffers
from batchfill.errors import NotOffered
from batchfill.providers.error_text import parse_json
from batchfill.providers.prediction_reader import envelope_of
from batchfill.providers.status_codes import Call

if TYPE_CHECKING:
    from collections.abc import Collection

    from batchfill.providers.requests import HttpResponse

OPTIONAL = frozenset({Call.LIST, Call.CANCEL, Call.FILES, Call.ACCOUNT, Call.MODEL})
_ASKED_AGAIN = frozenset({Call.LIST, Call.MODEL})
"""A list that was missing once may settle a lost answer later; one model says nothing about another."""

_LONGEST = 1_000_000
"""Bytes of an answer that is searched for an envelope: each call's first answer is."""


class LearnedOffers:
    """Remembers, for one run, which calls are not offered, and how answers look."""

    def __init__(self, calls: Collection[str]) -> None:
        """*calls*: the free calls that the provider's dialect has."""
        self._lacking = frozenset(call for call in OPTIONAL if call.value not in calls)
        self._missing = {call: f"no provider of this kind has the {call} call" for call in self._lacking}
        self._offered: dict[Call, bool] = {}
        self._pages: set[Call] = set()
        self._envelope: str | None = None

    def refuse_missing(self, call: Call) -> None:
        """Raise NotOffered where *call* is known to be missing, and need not be asked for once more."""
        if call in self._missing:
            raise NotOffered(self._missing[call])

    def note_missing(self, call: Call, error: NotOffered) -> NotOffered:
        """Remember that *call* is not offered; returns *error*."""
        self._offered[call] = False
        if call not in _ASKED_AGAIN:
            self._missing[call] = str(error)
        return error

    def note_page(self, call: Call) -> None:
        """Remember that the answer to *call* was a web page."""
        self._pages.add(call)

    def got_page(self, call: Call) -> bool:
        """Whether *call* was answered with a web page."""
        return call in self._pages

    def note_answer(self, call: Call, answer: HttpResponse) -> None:
        """Take in a success: what it looks like, and that *call* is offered."""
        if self._offered.get(call):
            return
        self._offered[call] = True
        if not self._envelope and len(answer.body) <= _LONGEST:
            try:
                self._envelope = envelope_of(parse_json(answer.body))
            except ValueError:
                return

    def as_known(self, *, dated: bool) -> ProviderOffers:
        """Return what is known by now; *dated*: whether an answer told the service's time."""
        calls = {c.value: False if c in self._lacking else self._offered.get(c) for c in OPTIONAL}
        date = dated if self._offered else None
        return ProviderOffers(**calls, envelope=self._envelope, date=date)
