"""How gateways differ, as tables: where each kind of answer keeps what is read from it.

Replicate's own form comes first in each table. Another gateway's manner is one more entry.
"""

from __future__ import annotations

# Answers

ENVELOPES = ("data", "result", "prediction", "response", "body", "payload")
"""Keys below which a gateway may put what Replicate has at the top, one level deep."""

IDS = (
    "id",
    "task_id",
    "taskId",
    "prediction_id",
    "predictionId",
    "job_id",
    "request_id",
    "requestId",
    "uuid",
)
"""Keys of a prediction's id. The first, the documented one, counts at once; the others once confirmed."""

TELLING = frozenset({"model", "version", "input", "urls", "output", "created_at", "metrics", "logs"})
"""Keys of a documented prediction besides id, status and error. An envelope has none of them."""

LISTED = ("results", "data", "predictions", "items", "list", "records")
"""Keys of the predictions in a page of a list."""

STATUSES = {
    "succeeded": (
        *("succeeded", "succeed", "success", "successful", "completed", "complete", "done"),
        *("finished", "finish", "ok", "ready"),
    ),
    "failed": ("failed", "failure", "fail", "error", "errored", "rejected", "timeout", "timed_out"),
    "canceled": ("canceled", "cancelled", "cancel", "revoked", "stopped"),
    "aborted": ("aborted", "abort"),
    "processing": (
        *("processing", "in_progress", "running", "started", "generating", "working", "executing"),
        *("not_start", "submitted", "created", "accepted"),
    ),
    "starting": ("starting", "booting", "queued", "in_queue", "pending", "waiting"),
}
"""The service's words for a status, and those that mean the same: in small letters, `_` between words."""
