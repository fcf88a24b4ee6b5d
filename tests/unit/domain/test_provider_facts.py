"""What holds of Replicate and its gateways before they are asked: the figures that the docs name."""

from __future__ import annotations

from batchfill.domain.provider_facts import REPLICATE_API, TokenOrigin
from batchfill.settings.settings import DEFAULTS


def test_replicate_keeps_outputs_for_an_hour_and_uploads_and_keys_for_a_day() -> None:
    kept = (REPLICATE_API.outputs_kept, REPLICATE_API.uploads_kept, REPLICATE_API.keys_kept)
    assert kept == (3_600, 86_400, 86_400)


def test_replicate_allows_600_creates_a_minute_and_five_times_as_many_reads() -> None:
    assert DEFAULTS["rate"] == REPLICATE_API.creates_per_minute == 600
    assert REPLICATE_API.reads_per_create == 5


def test_what_is_canceled_may_be_charged_and_what_failed_or_was_aborted_is_free() -> None:
    assert REPLICATE_API.charged_ends == {"canceled"}


def test_the_token_goes_to_the_base_alone() -> None:
    assert REPLICATE_API.token_origins == {TokenOrigin.BASE}
