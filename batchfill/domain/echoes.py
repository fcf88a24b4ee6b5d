"""Whether a prediction is what an attempt asked for: told by the input that the service echoes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.domain.rows import INLINE, SENT, is_sent_note

if TYPE_CHECKING:
    from typing import Any

    from batchfill.domain.predictions import Prediction
    from batchfill.domain.rows import Attempt


def is_match(attempt: Attempt, item: Prediction) -> bool:
    """Whether *item* is surely what *attempt* asked for."""
    if attempt.own_seed or not may_be(attempt, item):
        return may_be(attempt, item)
    echoed = item.input or {}
    return all(_same_file(value, echoed.get(name)) for name, value in attempt.sent.items() if _is_file(value))


def may_be(attempt: Attempt, item: Prediction) -> bool:
    """Whether nothing that *item* says of its input contradicts *attempt*, whatever pictures it names."""
    if item.input is None or echoed_seed(item) != attempt.seed:
        return False
    if attempt.own_seed:
        return _is_same(attempt.sent.get("prompt"), item.input.get("prompt"))
    given = {name: value for name, value in attempt.sent.items() if not _is_file(value)}
    return all(_is_same(value, item.input.get(name)) for name, value in given.items())


def echoed_seed(item: Prediction) -> int | None:
    """Return the seed that a prediction was made with; None where the service does not tell it."""
    echoed = None if item.input is None else _to_whole(item.input.get("seed"))
    # 0 asks the model to choose one; what it chose stands in the logs.
    return echoed or item.seed


def has_other_seed(item: Prediction, sent: int | None) -> bool:
    """Whether a prediction of ours is listed with another seed than was *sent*; 0 and None ask for any."""
    return bool(sent) and echoed_seed(item) not in (None, sent)


def _is_file(sent: Any) -> bool:
    """Whether a value that was sent stands for a local file, which a service may store elsewhere."""
    return isinstance(sent, str) and (sent.startswith(INLINE) or "/files/" in sent or is_sent_note(sent))


def _same_file(sent: str, echoed: Any) -> bool:
    """Whether an echo shows the file that was sent: its upload's address, or the digest of its content."""
    if not isinstance(echoed, str):
        return False
    # An address that names the content may be the service's own copy of it.
    if is_sent_note(sent):
        return sent.removeprefix(SENT) in echoed
    return sent.split(":")[1] in echoed if sent.startswith(INLINE) else sent == echoed


def _is_same(a: Any, b: Any) -> bool:
    return a == b or (a is not None and b is not None and str(a) == str(b))


def _to_whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
