"""A command of the user's that is started when a run is over."""

from __future__ import annotations

import os
import shutil
from tempfile import TemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import anyio

from batchfill.domain.progress import NotificationKind
from batchfill.domain.token import SHORTEST_SECRET
from batchfill.errors import NotifyError, UsageError
from batchfill.notify.message import as_json
from batchfill.settings.credentials import without_secrets
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchfill.domain.progress import Notification
    from batchfill.settings.settings import Settings


class EndCommand:
    """Starts the command of --on-end, without a shell, and waits for it.

    It reads the end of the run as JSON, and its environment holds no secret. What it prints is shown.
    """

    failure = "--on-end: {error}"

    def __init__(self, command: str, settings: Settings) -> None:
        """Raises UsageError when there is no such program."""
        self._words = here().split_command(command)
        if shutil.which(self._words[0]) is None:
            raise UsageError(f"--on-end: there is no program {self._words[0]}: give its path, or install it")
        self._settings = settings

    async def post(self, news: Notification) -> None:
        """Start the command, unless *news* is of a run that goes on. Raises NotifyError when it fails."""
        if news.event is NotificationKind.STALLED:
            return
        environ = {**environment_for(self._settings, os.environ), "BATCHFILL_RUN_EVENT": news.event.value}
        # A file: a command that does not read it breaks no pipe.
        with TemporaryFile() as told:
            told.write(as_json(news))
            told.seek(0)
            try:
                ended = await anyio.run_process(
                    self._words, stdin=told, stdout=None, stderr=None, env=environ, check=False
                )
            except OSError as error:
                raise NotifyError(f"{self._words[0]} cannot be started: {error.strerror}") from None
        if ended.returncode:
            raise NotifyError(f"{self._words[0]} ended with {ended.returncode}")


def environment_for(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without any secret of *settings*, and with where the batch is."""
    secrets = [secret for secret in _secrets_of(settings) if len(secret) >= SHORTEST_SECRET]
    plain = without_secrets(environ, also=settings.extras.variables)
    return {
        **{name: value for name, value in plain.items() if not any(secret in value for secret in secrets)},
        "BATCHFILL_RUN_MANIFEST": os.path.abspath(settings.manifest),  # noqa: PTH100 - links stay as they are
        "BATCHFILL_RUN_FOLDER": os.path.abspath(settings.folder),  # noqa: PTH100
    }


def _secrets_of(settings: Settings) -> Iterator[str]:
    """Yield the token, the values of further headers, and those of the base's query."""
    extras = settings.extras
    for token in filter(None, (settings.token, *extras.headers.values())):
        yield token.reveal()
    if extras.query is not None:
        query = extras.query.reveal()
        yield query
        yield from (value for _, value in parse_qsl(query))
