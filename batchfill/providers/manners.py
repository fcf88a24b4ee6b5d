"""How gateways differ, as tables: where each kind of answer keeps what is read from it.

Replicate's own form comes first in each table. Another gateway's manner is one more entry.
"""

from __future__ import annotations

# Answers

ENVELOPES = ("data", "result", "prediction", "response")
"""Keys below which a gateway may put what Replicate has at the top, one level deep."""

IDS = ("id", "task_id", "prediction_id", "taskId", "request_id")
"""Keys of a prediction's id. The first is the documented one: it counts at once, the others once confirmed."""

SUCCEEDED = frozenset({"succeeded", "success", "successful", "completed", "complete", "done", "finished", "ok"})
FAILED = frozenset({"failed", "failure", "fail", "error", "errored"})
CANCELED = frozenset({"canceled", "cancelled", "cancel"})
ABORTED = frozenset({"aborted", "abort", "timeout", "timed_out", "expired"})
"""Words for a prediction that ended, in lower case."""

# Creates

NO_SUCH_PATH = frozenset({301, 307, 308, 404, 405, 501})
"""Statuses by which a gateway says that it takes no creates at a path; nothing was made."""

NAMES_NO_MODEL = ("version", "model")
"""Words of a 400 or 422 that is about which model to run, not about the row."""
