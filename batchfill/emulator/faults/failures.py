"""What predictions fail with: the errors that the service documents, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NSFW = "NSFW content detected. Try running it again, or try a different prompt."

ERRORS: Mapping[str, str] = {
    "PA": "Prediction interrupted; please retry (code: PA)",
    "E1000": "Unknown error (E1000)",
    "E1001": "Prediction failed: out of memory (E1001)",
    "E4875": "The webhook URL is empty (E4875)",
    "E6716": "Timeout starting prediction (E6716)",
    "E8367": "Prediction stopped: the model's process has shut down (E8367)",
    "E8765": "The model failed its health check (E8765)",
    "E9243": "Director: unexpected error handling prediction (E9243)",
    "E9825": "Failed to upload file (E9825)",
    "E9828": "Director: unexpected error handling prediction (E9828)",
    "E001": "The prediction failed (E001)",
    "E002": "The request timed out (E002)",
    "E003": "Service is currently unavailable due to high demand. Please try again later. (E003)",
    "E004": "Service is temporarily unavailable. Please try again later. (E004)",
    "E005": "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
    "director": "Director: unexpected error handling prediction",
    "memory": "CUDA out of memory. Tried to allocate 2.00 GiB",
    "nsfw": NSFW,
    "exception": "list index out of range",
}
"""The text of each documented error; the codes are the service's."""


def text_of(error: str) -> str:
    """Return the text of an error given by its name, or the text itself."""
    return ERRORS.get(error, error)
