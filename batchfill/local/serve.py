"""Running the provider by itself, until somebody stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from batchfill.errors import UsageError
from batchfill.local.bill import Bill
from batchfill.local.plan import read_plan
from batchfill.local.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


async def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    latency: float = 0.0,
    plan: Path | None = None,
    on_ready: Callable[[str], None],
    on_end: Callable[[Bill], None] = lambda bill: None,
    **options: Any,
) -> None:
    """Serve from *folder* until cancelled; *on_ready* is told the base once it answers, *on_end* the bill.

    *plan*: a fault plan. *options* are those of Provider; a rate among them wins over the plan's. Raises
    UsageError when the plan cannot be read or the address cannot be had.
    """
    asked = _asked(plan, options) | {"token": token, "latency": latency}
    provider = Provider(folder, **asked)
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
        if provider.base:
            on_end(Bill(tuple(provider.bill)))


def _asked(path: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    if path is None:
        return given
    plan = read_plan(path)
    pace = {} if "rate" in given else {"rate": plan.rate, "burst": plan.burst}
    return {"faults": plan.faults, **pace, **given}
