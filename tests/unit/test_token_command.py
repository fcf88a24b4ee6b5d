"""The command that prints the token: what it may print, and that nothing of it is shown."""

from __future__ import annotations

import pytest

from batchfill.errors import UsageError
from batchfill.settings.credentials import TokenCommand
from batchfill.token_command import fetch_token

TOKEN = "tok_0123456789"


async def fetch(*words: str, hidden: tuple[str, ...] = (), seconds: float = 60.0) -> str:
    token = await fetch_token(TokenCommand("config.toml:7", words), hidden=hidden, seconds=seconds)
    return token.reveal()


@pytest.mark.parametrize("printed", [TOKEN, f"{TOKEN}\\n", f"\\n  {TOKEN}\\r\\n\\n"])
async def test_the_token_is_what_the_command_prints(printed: str) -> None:
    assert await fetch("printf", printed) == TOKEN


async def test_no_shell_reads_the_command() -> None:
    assert await fetch("printf", "%s", "$HOME;`id`|&*") == "$HOME;`id`|&*"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((f"/nowhere/{TOKEN}",), "cannot be started: No such file or directory"),
        (("sh", "-c", f"echo {TOKEN}; echo {TOKEN} >&2; exit 3"), r"failed \(exit code 3\): run it by hand"),
        (("sh", "-c", f"echo {TOKEN}; kill -9 $$"), r"failed \(signal 9\)"),
        (("printf", f"{TOKEN}\\n{TOKEN}\\n"), "printed 2 lines: it is to print the token alone"),
        (("printf", " \\n"), "printed nothing"),
        (("printf", f"Bearer {TOKEN}"), "printed spaces or characters that no token has"),
        (("printf", f"{TOKEN}\\377"), "printed spaces or characters that no token has"),
        (("sh", "-c", f"while echo {TOKEN}; do :; done"), "printed more than a token"),
        ((TOKEN + "\0",), "cannot be started"),
    ],
)
async def test_why_a_command_gives_no_token_is_told_without_its_words_and_output(
    words: tuple[str, ...], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=f"^config.toml:7: token_command {told}") as wrong:
        await fetch(*words)
    assert TOKEN not in f"{wrong.value!r} {wrong.value.__cause__!r} {capfd.readouterr()}"


async def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(UsageError, match=r"did not end within 0\.05 seconds: run it by hand"):
        await fetch("sleep", "600", seconds=0.05)


async def test_the_command_gets_neither_secrets_nor_the_manifest_on_standard_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("BATCHFILL_TOKEN", "REPLICATE_API_TOKEN", "BATCHFILL_TOKEN_COMMAND", "CF_TOKEN", "COPY"):
        monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("VAULT_ADDR", "vault")
    shown = "cat; echo ${BATCHFILL_TOKEN-}${REPLICATE_API_TOKEN-}${CF_TOKEN-}${COPY-}${VAULT_ADDR}"
    assert await fetch("sh", "-c", shown, hidden=("CF_TOKEN",)) == "vault"
