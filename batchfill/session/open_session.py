"""Everything around one start of a batch: its folder, its lock, the local emulator, Ctrl-C."""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from batchfill.catalog.model_choice import choose_model
from batchfill.domain.token import Token
from batchfill.errors import RunBroken, TakenOver, UsageError, in_words, unwrap_single
from batchfill.process import refuse_few_files
from batchfill.run.shutdown import watch_signals
from batchfill.session.batch_ledger import make_folder
from batchfill.session.cluster_choice import refuse_open_cluster
from batchfill.session.session import Session
from batchfill.settings import timings
from batchfill.settings.addresses import REPLICATE, refuse_plain_http
from batchfill.storage.decision_inbox import hold_batch
from batchfill.token_command import fetch_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from batchfill.domain.progress import ProgressListener
    from batchfill.session.batch_settings import BatchSettings
    from batchfill.settings.settings import Settings

EMULATOR = "provider"
"""Folder of the local emulator's own memory, so that an interrupted rehearsal resumes too."""

FILES = 64
"""Files that a run opens at once, in addition to two for each process that works on pictures."""

MISSING = (
    "no token for {base}: set BATCHFILL_TOKEN{other} to your API token (own servers take any word), "
    "or rehearse offline and free of charge with --local"
)
NO_QUERY = (
    "{folder} was begun with base {base}, and the values of its query are kept nowhere: "
    "give the whole address again with --base-url, in BATCHFILL_BASE_URL or in a profile"
)


async def prepare_folder(source: BatchSettings, watch: ProgressListener | None) -> None:
    """Have the ledger there that a run is to go on with: it decides settings that are not given.

    Raises UsageError. A start with a mistake shuts no other run out.
    """
    if not source.flags.get("take_over"):
        return
    # Few starts take a batch over, and what does takes long to load.
    from batchfill.session.lost_machine.take_over import take_over_from
    from batchfill.session.lost_machine.trial_start import try_start

    async def agree(begun: Path) -> None:
        refuse_without_access(await try_start(source, begun))

    await take_over_from(source.flags, source.folder, watch, agree)


@asynccontextmanager
async def open_session(
    settings: Settings, watch: ProgressListener | None, *, obey_signals: bool
) -> AsyncIterator[Session]:
    """Give a session that holds the batch. Raises UsageError when it cannot."""
    settings = await obtain_access(settings)
    refuse_open_cluster(settings)
    refuse_few_files(FILES + 2 * (settings.workers or os.cpu_count() or 2), "a run")
    make_folder(settings.folder)
    with unwrap_single():
        # The lock first: the local emulator keeps its memory in the same folder.
        async with (
            hold_batch(settings.folder),
            _open_provider(settings) as (base, settings),
            anyio.create_task_group() as tasks,
        ):
            session = Session(settings=settings, model=choose_model(settings), base=base, watcher=watch)
            if obey_signals:
                # Until then Ctrl-C ends the program: nothing has been done.
                session.on_start = lambda: tasks.start_soon(
                    watch_signals, session.stopping, watch, session.clock
                )
            yield session
            tasks.cancel_scope.cancel()


async def obtain_access(settings: Settings) -> Settings:
    """Return *settings* with the token, for which the user's command is run where there is one.

    Raises UsageError when the provider cannot be asked.
    """
    refuse_without_access(settings)
    command = settings.token_command
    if settings.local or command is None:
        return settings
    seconds = timings.DEFAULT.token_command
    token = await fetch_token(command, hidden=settings.extras.variables, seconds=seconds)
    return replace(settings, token=token)


def refuse_without_access(settings: Settings) -> None:
    """Raise UsageError when the provider cannot be asked: no token, no query, or no consent to plain http."""
    if settings.local:
        return
    if settings.token is None and settings.token_command is None:
        other = " (or REPLICATE_API_TOKEN)" if settings.base == REPLICATE else ""
        raise UsageError(MISSING.format(base=settings.base, other=other))
    if settings.base != settings.address and settings.extras.query is None:
        raise UsageError(NO_QUERY.format(folder=settings.folder.name, base=settings.base))
    try:
        # Of a base that was only remembered too: consent is for one command.
        refuse_plain_http(settings.base, allowed=settings.plain_http)
    except ValueError as error:
        raise UsageError(str(error)) from None


@contextmanager
def breaking_off(session: Session) -> Iterator[None]:
    """Raise RunBroken for whatever ends a run that has submitted something, and so was not refused."""
    try:
        yield
    except TakenOver:
        raise  # another run goes on with it, and this one must not
    except Exception as error:  # the run's boundary: to Python and to the shell alike, work is left
        if not session.intents:
            raise
        raise RunBroken(f"{in_words(error)}; run again to go on") from error


@asynccontextmanager
async def _open_provider(settings: Settings) -> AsyncIterator[tuple[str, Settings]]:
    """Give the address to talk to, with the local emulator behind it for a local run."""
    if not settings.local:
        yield settings.address, settings
        return
    from batchfill.emulator.emulator_server import EmulatorServer

    # A token of its own: the user's has no business at a rehearsal.
    token = secrets.token_hex(16)
    provider = EmulatorServer(settings.folder / EMULATOR, token=token, latency=settings.latency or 0.0)
    await provider.start()
    try:
        yield provider.base, replace(settings, token=Token(token))
    finally:
        with anyio.CancelScope(shield=True):
            await provider.stop()
