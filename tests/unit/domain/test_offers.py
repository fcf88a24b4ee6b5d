"""What is known of a provider is told with what it means for the user."""

from __future__ import annotations

from typing import Any

import pytest

from batchfill.domain.offers import ProviderCheck, ProviderOffers, check_lines_of, offer_lines
from batchfill.domain.provider_facts import REPLICATE_API


@pytest.mark.parametrize(
    ("name", "there", "missing", "unknown"),
    [
        ("list", "lost answers can be found again", "stays in doubt", "asked when an answer is lost"),
        ("files", "uploaded once", "inside the requests, up to 1 MB", "where it takes none"),
        ("cancel", "it cancels predictions", "runs to its end", "asked when needed"),
        ("date", "clocks are compared", "no Date", "Date is not known"),
    ],
)
def test_each_thing_that_is_offered_missing_or_not_known_has_its_meaning(
    name: str, there: str, missing: str, unknown: str
) -> None:
    assert REPLICATE_API.largest_inline == 1_000_000
    for value, words in ((True, there), (False, missing), (None, unknown)):
        offers: dict[str, Any] = {name: value}
        (line,) = [line for line in offer_lines(ProviderOffers(**offers)) if words in line]
        assert line


def test_an_envelope_is_told_where_there_is_one() -> None:
    assert "its answers are in an envelope, below 'data'" in [*offer_lines(ProviderOffers(envelope="data"))]
    for none in ("", None):
        assert "envelope" not in " ".join(offer_lines(ProviderOffers(envelope=none)))


def test_a_check_begins_with_base_account_and_model() -> None:
    found = ProviderCheck(
        base="https://a.test/v1", model="o/n", account=None, offers=ProviderOffers(model=False)
    )
    assert [*check_lines_of(found)][:2] == [
        "https://a.test/v1 answers; account: it does not say",
        "model o/n: it does not describe models",
    ]
