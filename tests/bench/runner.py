"""batchfill itself, as `Batch.open(...).run()`, in a process that notes where its CPU time went.

`python -m tests.bench.runner '{"manifest": "night.csv", "limit": 10}'` takes the flags of `batchfill run` and
prints a Told as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from batchfill.process import leave_out_unused, look_for_garbage_rarely

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.predictions import Picture


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says of itself. CPU times are seconds, counted from the start of its process."""

    cpu_at_create: list[float]
    """When each create was sent."""
    decoding: float
    """Spent on decoding pictures to see whether they are whole."""


class Notes:
    """What is noted along the way."""

    def __init__(self) -> None:
        self.cpu_at_create: list[float] = []
        self.decoding: list[float] = []

    def creates(self, create: Callable[..., Any]) -> Callable[..., Any]:
        """Return *create*, noting when it is called."""

        @wraps(create)
        async def noted(*arguments: Any, **options: Any) -> Any:
            self.cpu_at_create.append(time.process_time())
            return await create(*arguments, **options)

        return noted

    def decodes(self, whole: Callable[[Path], Picture]) -> Callable[[Path], Picture]:
        """Return *whole*, noting what its thread spends on it."""

        @wraps(whole)
        def noted(path: Path) -> Picture:
            began = time.thread_time()
            try:
                return whole(path)
            finally:
                self.decoding.append(time.thread_time() - began)

        return noted


def main() -> None:
    """Run the batch that the command line describes, and end with its exit code."""
    # As the command does.
    leave_out_unused()
    look_for_garbage_rarely()
    notes = Notes()
    # Before another module imports it by its name.
    codec: Any = import_module("batchfill.images.codec.decode")
    codec.decode_whole = notes.decodes(codec.decode_whole)

    import anyio

    from batchfill import Batch
    from batchfill.providers.replicate.client import Service

    Service.create = notes.creates(Service.create)  # type: ignore[method-assign]
    summary = anyio.run(Batch.open(**json.loads(sys.argv[1])).run)
    print(json.dumps(asdict(Told(notes.cpu_at_create, sum(notes.decoding)))))
    sys.exit(summary.exit_code)


if __name__ == "__main__":
    main()
