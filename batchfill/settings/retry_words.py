"""The words of --retry: states, decisions, flags, and files that are missing."""

from __future__ import annotations

from batchfill.domain.findings import FLAGS
from batchfill.domain.review import Decision
from batchfill.domain.rows import RowState
from batchfill.errors import did_you_mean, quote_shortened

RETRYABLE = frozenset(
    {RowState.FAILED, RowState.CANCELED, RowState.EXPIRED, RowState.IN_DOUBT, RowState.DONE}
)
MISSING = "missing"
"""What --retry takes besides states: rows that are done, and whose files are no longer there."""
DECIDED = {decision.value: decision for decision in (Decision.REJECTED, Decision.REDO)}
"""And rows of whose pictures this was decided."""
FLAGGED = {f"flagged:{flag}": flag for flag in FLAGS}
"""And rows with a picture that is flagged so."""


def read_retry(text: str) -> frozenset[RowState]:
    """Read the states of `failed,expired,missing`. Raises ValueError for words that --retry does not take."""
    states = {state.value.replace("_", "-"): state for state in RETRYABLE}
    known = [*states, MISSING, *DECIDED, *FLAGGED]
    words = _split_words(text)
    for word in words:
        if word not in known:
            raise ValueError(
                f"takes {', '.join(sorted(known))}, not {quote_shortened(word)}{did_you_mean(word, known)}"
            )
    return frozenset(states[word] for word in words if word in states)


def read_decided(text: str) -> frozenset[Decision]:
    """Read the decisions of `failed,rejected`."""
    return frozenset(DECIDED[word] for word in _split_words(text) if word in DECIDED)


def read_flagged(text: str) -> frozenset[str]:
    """Read the flags of `failed,flagged:blank`."""
    return frozenset(FLAGGED[word] for word in _split_words(text) if word in FLAGGED)


def read_missing(text: str) -> bool:
    """Whether `failed,missing` asks for lost files too."""
    return MISSING in _split_words(text)


def _split_words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip().lower().replace("_", "-"))]
