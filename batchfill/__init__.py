"""Inpaint pictures in bulk: never pay twice, never lose a paid image, never leak the token."""

from typing import TYPE_CHECKING, Any

from batchfill._version import __version__

if TYPE_CHECKING:
    from batchfill.batch import Batch
    from batchfill.blocking import fill
    from batchfill.errors import BatchfillError

__all__ = ["Batch", "BatchfillError", "__version__", "fill"]


def __getattr__(name: str) -> Any:
    # Only what is asked for is loaded: `batchfill --help` has no use for any of it.
    if name == "Batch":
        from batchfill.batch import Batch

        return Batch
    if name == "fill":
        from batchfill.blocking import fill

        return fill
    if name == "BatchfillError":
        from batchfill.errors import BatchfillError

        return BatchfillError
    raise AttributeError(f"module 'batchfill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
