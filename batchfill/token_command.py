"""The command that prints the token, where the user keeps it in a password manager."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import anyio

from batchfill.domain.token import Token
from batchfill.errors import UsageError
from batchfill.settings.credentials import is_usable, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio.abc import Process

    from batchfill.settings.credentials import TokenCommand

LONGEST = 1 << 16
"""Bytes that a command may print. A token has a hundred; some gateways' have thousands."""


async def fetch_token(command: TokenCommand, *, hidden: Iterable[str], seconds: float) -> Token:
    """Return the token that *command* prints, which runs for so many *seconds* at most, without a shell.

    *hidden*: variables of the environment that it does not get. Raises UsageError, which shows neither its
    words nor what it prints: both can be the token.
    """
    environ = without_secrets(os.environ, also=hidden)
    try:
        # A password manager may ask at the terminal, and so stays in its session and its group.
        process = await anyio.open_process(
            command.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "holds what no command has"
        raise UsageError(f"{command.place}: token_command cannot be started: {reason}") from None
    async with process:
        with anyio.move_on_after(seconds):
            return _read_token(command, await _read_output(process), await process.wait())
        process.kill()
    raise UsageError(
        f"{command.place}: token_command did not end within {seconds:g} seconds: run it by hand, "
        "to see what it waits for"
    )


async def _read_output(process: Process) -> bytes:
    assert process.stdout is not None
    content = b""
    async for chunk in process.stdout:
        content += chunk
        if len(content) > LONGEST:
            process.kill()
            break
    return content


def _read_token(command: TokenCommand, content: bytes, code: int) -> Token:
    place = command.place
    if len(content) > LONGEST:
        raise UsageError(f"{place}: token_command printed more than a token: it is to print that alone")
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise UsageError(f"{place}: token_command failed ({how}): run it by hand, to see why")
    lines = content.decode("utf-8", "replace").strip().splitlines()
    if len(lines) != 1:
        printed = "nothing" if not lines else f"{len(lines)} lines"
        raise UsageError(f"{place}: token_command printed {printed}: it is to print the token alone")
    token = Token(lines[0].strip())
    if not is_usable(token):
        raise UsageError(f"{place}: token_command printed spaces or characters that no token has")
    return token
