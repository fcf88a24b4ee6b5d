"""Questions that cost nothing: to the service, and to the bucket of --outputs."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

import anyio
from anyio import to_thread

from batchfill.domain.rows import OPEN, RowState
from batchfill.errors import NoAnswer, ObjectsRefused, ServiceRefused, TransientError, UsageError
from batchfill.ledger.ledger import BATCH
from batchfill.storage.remote_files import OWNERS, ask_for_rights, claim, find_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from batchfill.providers.provider_protocol import Provider
    from batchfill.run.context import RunContext

Answer = TypeVar("Answer")
Asked = TypeVarTuple("Asked")

OUTPUTS = "outputs"
"""The fact that says where outputs go to."""

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


async def ask_account(service: Provider, base: str, waits: Sequence[float]) -> str | None:
    """Return the account's name; None where the service does not tell it, for whatever reason.

    Raises ServiceRefused where the token is no good, UsageError where nothing answers at *base*.
    """
    try:
        return await ask_patiently(service.account, waits, at_once=NoAnswer)
    except ServiceRefused as error:
        if error.status == 401:
            raise
        return None  # some gateways forbid what they do not offer
    except NoAnswer as error:
        raise UsageError(f"{base} does not answer: {error}. Check the address and the network") from error
    except TransientError:
        return None


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


async def ask_for_outputs(context: RunContext) -> None:
    """Find out whether the bucket of --outputs takes files.

    Raises UsageError where it does not. While predictions run, or may run, that only ends submitting: what
    was paid for is fetched, and kept in the batch folder.
    """
    if (root := context.settings.outputs) is None:
        return
    with _told_of_outputs(context):
        await _ask_in_thread(context, ask_for_rights, root)
        if OUTPUTS not in context.ledger.metadata:
            await _refuse_other_pictures(context, root)


async def claim_outputs(context: RunContext) -> str | None:
    """Return the address of --outputs, once it belongs to this batch alone; None: there is none, or not yet.

    Raises UsageError where it belongs to another batch, and as `ask_for_outputs`.
    """
    root, facts = context.settings.outputs, context.ledger.metadata
    if root is None or facts.get(OUTPUTS) == root:
        return root
    mine = False
    with _told_of_outputs(context):
        if not (mine := await _ask_in_thread(context, claim, root, facts[BATCH])):
            raise UsageError(
                f"--outputs: another batch has {root}, or begins there now: give an address of its own. "
                f"If there is no other batch any more, remove what is below {root}{OWNERS}"
            )
    return root if mine else None


@contextmanager
def _told_of_outputs(context: RunContext) -> Iterator[None]:
    """Raise what the bucket of --outputs refuses as UsageError; while predictions run, end submitting."""
    try:
        yield
    except (ObjectsRefused, NoAnswer) as error:
        if not any(context.ledger.in_state(state) for state in (*OPEN, RowState.IN_DOUBT)):
            raise UsageError(f"--outputs: {error}") from None
        context.stopping.stop_submitting(f"--outputs: {error}")


async def _refuse_other_pictures(context: RunContext, root: str) -> None:
    """Raise UsageError where files of this batch might replace what is there."""
    known = await context.ledger.known_files()
    if (other := await _ask_in_thread(context, find_other, root, known)) is not None:
        raise UsageError(
            f"--outputs: {root} holds {other}, which is none of this batch: give an address of its own"
        )


async def _ask_in_thread(
    context: RunContext, question: Callable[[Unpack[Asked]], Answer], *asked: *Asked
) -> Answer:
    ask = partial(to_thread.run_sync, question, *asked)
    return await ask_patiently(ask, context.timings.question_retries)
