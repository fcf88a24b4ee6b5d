"""`run --on-end COMMAND`: started when the run is over, without a shell and without a secret."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.errors import UsageError
from tests.support.listeners import Ears
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

SCRIPT = """
import json, os, sys
from pathlib import Path
told = {"words": sys.argv[2:], "environ": dict(os.environ), "read": json.load(sys.stdin)}
Path(sys.argv[1]).write_text(json.dumps(told))
"""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where the command writes down what it was given."""
    return tmp_path / "told.json"


@pytest.fixture
def command(tmp_path: Path, told: Path) -> Callable[..., str]:
    """Return a command that writes down its words, its environment and what it reads."""
    script = tmp_path / "a script.py"
    script.write_text(SCRIPT)
    return lambda *words: shlex.join([sys.executable, "-I", "-S", str(script), str(told), *words])


async def test_the_command_learns_how_the_run_ended_and_where_its_batch_is(
    service: Serve, batch: Open, command: Callable[..., str], told: Path
) -> None:
    night = batch(await service(), 2, limit=1, on_end=command("$HOME", "a b", "; rm -rf x", "*"))
    assert (await night.run()).exit_code == 3
    given = json.loads(told.read_text())
    assert given["words"] == ["$HOME", "a b", "; rm -rf x", "*"]
    assert (given["read"]["event"], given["read"]["counts"]["done"]) == ("stopped", 1)
    environ = given["environ"]
    assert environ["BATCHFILL_RUN_EVENT"] == "stopped"
    assert environ["BATCHFILL_RUN_MANIFEST"] == str(night.manifest)
    assert environ["BATCHFILL_RUN_FOLDER"] == str(night.folder)


async def test_its_environment_holds_no_secret_under_whatever_name(
    service: Serve, batch: Open, command: Callable[..., str], told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "BATCHFILL_TOKEN": TOKEN,
        "COPY_OF_IT": f"Bearer {TOKEN}",
        "REPLICATE_API_TOKEN": "r8_another_secret",
        "GATE_KEY": "gate-secret-1234",
        "GATE_COPY": "x gate-secret-1234",
        "QUERY_COPY": "query-secret-5678",
        "PLAIN": "stays",
    }.items():
        monkeypatch.setenv(name, value)
    provider = await service()
    base = f"{provider.base}?key=query-secret-5678"
    night = batch(provider, 1, base_url=base, header={"X-Gate": "GATE_KEY"}, on_end=command())
    night = type(night).open(night.manifest, **night.flags)
    assert (await night.run()).exit_code == 0
    environ = json.loads(told.read_text())["environ"]
    assert environ["PLAIN"] == "stays"
    for secret in (TOKEN, "r8_another_secret", "gate-secret-1234", "query-secret-5678"):
        assert secret not in told.read_text()
    assert not {"BATCHFILL_TOKEN", "REPLICATE_API_TOKEN", "GATE_KEY"} & environ.keys()


async def test_a_command_that_fails_is_a_warning_and_the_run_ends_as_it_would_have(
    service: Serve, batch: Open
) -> None:
    heard = Ears()
    command = shlex.join([sys.executable, "-I", "-S", "-c", "raise SystemExit(7)"])
    assert (await batch(await service(), 1, on_end=command).run(watch=heard)).exit_code == 0
    assert f"--on-end: {sys.executable} ended with 7" in heard.texts


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program-here --now", "--on-end: there is no program no-such-program-here"),
        ("say 'open", "--on-end must be a program and its words, each quote closed"),
        ("", "--on-end must be a program and its words"),
    ],
)
async def test_a_command_that_cannot_be_is_refused_before_anything_is_submitted(
    batch: Open, command: str, said: str
) -> None:
    night = batch("http://127.0.0.1:9/v1", 1, on_end=command)
    with pytest.raises(UsageError) as caught:
        await night.run()
    assert str(caught.value).startswith(said)
    assert not night.folder.exists()


async def test_no_manifest_names_a_command(batch: Open, told: Path, command: Callable[..., Any]) -> None:
    night = batch("http://127.0.0.1:9/v1", 1, head={"on_end": json.dumps(command())})
    with pytest.raises(UsageError, match="on_end cannot be set in a manifest"):
        await night.run()
    assert not told.exists()
