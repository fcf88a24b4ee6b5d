"""Questions to the service that cost nothing, asked again while it cannot answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from batchfill.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from batchfill.providers.provider_protocol import Provider

Answer = TypeVar("Answer")

LONGEST_WAIT = 60.0
"""Seconds that a start waits at most for a time which the service named."""


async def ask_patiently(
    question: Callable[[], Awaitable[Answer]],
    waits: Sequence[float],
    *,
    at_once: type[TransientError] | tuple[()] = (),
) -> Answer:
    """Return the answer to *question*. Raises the last TransientError, and *at_once* without another try.

    *waits*: seconds before each further try, where the service names no time.
    """
    for wait in waits:
        try:
            return await question()
        except at_once:
            raise
        except TransientError as error:
            await anyio.sleep(min(error.wait or wait, LONGEST_WAIT))
    return await question()


async def wrong_base(service: Provider) -> str | None:
    """Return in a sentence that the base is a container or a web page; None where it may be an API."""
    if (container := await service.container_at()) is not None:
        return (
            f"{service.base} is a Cog container, which has another API: start "
            f"`batchfill serve --behind cog --at {container}` and give its address as --base-url"
        )
    page = await service.front_page()
    if page is None:
        return None
    said = f" ({page})" if page else ""
    return f"{service.base} answers with a web page{said}, not as an API: is the base right?"
