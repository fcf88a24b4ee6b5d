"""Settings that follow from how a batch was begun, and what its ledger is to remember of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.session.as_begun.default_finish import finish_facts, is_exact
from batchfill.session.as_begun.default_prompt import is_literal, prompt_facts
from batchfill.session.as_begun.literal_quotes import are_literal, quote_facts
from batchfill.session.as_begun.said_around import around_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.catalog.model import Model
    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.settings import Settings


def with_begun(settings: Settings, manifest: Manifest, model: Model, metadata: Mapping[str, str]) -> Settings:
    """Return *settings* for the batch whose ledger remembers *metadata*: none, if it is yet to begin."""
    quotes = are_literal(manifest, model, settings, metadata)
    settings = replace(settings, literal_quotes=quotes, finished_by_default=is_exact(metadata))
    return replace(settings, literal_prompt=is_literal(manifest, model, settings))


def begun_facts(settings: Settings) -> dict[str, str]:
    """Return what the ledger is to remember, so that every start reads and finishes alike."""
    return {
        **prompt_facts(settings),
        **quote_facts(settings),
        **finish_facts(settings),
        **around_facts(settings),
    }
