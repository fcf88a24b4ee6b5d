"""Running the provider by itself, until somebody stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from batchfill.errors import UsageError
from batchfill.local.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    latency: float = 0.0,
    on_ready: Callable[[str], None],
    **options: Any,
) -> None:
    """Serve from *folder* until cancelled; *on_ready* is told the base once it answers.

    *options* are those of Provider. Raises UsageError when the address cannot be had.
    """
    provider = Provider(folder, token=token, latency=latency, **options)
    try:
        try:
            await provider.start(host, port)
        except OSError as error:
            raise UsageError(f"cannot serve on {host} port {port}: {error.strerror or error}") from error
        on_ready(provider.base)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await provider.stop()
