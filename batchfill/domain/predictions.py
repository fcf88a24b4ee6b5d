"""The service's record of an attempt, and the files that it made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """The service's record of an attempt, read defensively: every field but id and status may be missing."""

    id: str
    status: str
    """The service's own word; see `ended`."""
    created_at: float | None = None
    """Seconds since the epoch by the service's clock, as the other times here."""
    started_at: float | None = None
    completed_at: float | None = None
    outputs: tuple[str, ...] = ()
    """http(s) or data URLs, in order."""
    error: str | None = None
    data_removed: bool = False
    """The service no longer has the outputs."""
    input: Mapping[str, Any] | None = None
    """As echoed; None when absent or already removed."""
    predict_time: float | None = None
    """Seconds."""
    seed: int | None = None
    """From the input, else from `Using seed: N` in the logs."""

    TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

    @property
    def ended(self) -> bool:
        """Whether the status is terminal; unknown words count as running."""
        return self.status in self.TERMINAL


@dataclass(frozen=True, slots=True)
class Upload:
    """A file given to the provider."""

    url: str
    expires_at: float | None
    """Seconds since the epoch by the service's clock."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a whole, decoded picture file."""

    format: str
    """Pillow's word: PNG, JPEG, WEBP, …"""
    suffix: str
    """With its dot, by content: `.png`, `.jpg`, `.webp`."""
    width: int
    """Pixels after EXIF rotation, as the height."""
    height: int
    mode: str
    """Pillow's mode of the stored picture."""
    plain: bool = False
    """Whether it was decoded, and every pixel is the same."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file of a prediction."""

    prediction_id: str
    n: int
    """1-based."""
    url: str
    planned: str | None = None
    """Where a file that was fetched whole is about to be put; as *file*."""
    file: str | None = None
    """Relative to the batch folder, with forward slashes; None until it is in place."""
    size: int | None = None
    sha256: str | None = None
    raw: str | None = None
    """Where the output is kept as the service sent it, when the file was made of it; as *file*."""
    raw_sha256: str | None = None
    finished_with: str | None = None
    """JSON of the settings that the file was finished with."""
    flags: tuple[str, ...] | None = None
    """What looks wrong with it; None: not judged."""
    lost: str | None = None
    """Why it will not come; None: it is there, or may still come."""


OUTPUT_RETENTION = 3600.0
"""How long the service keeps what it made."""
