"""A profile for a gateway: its base, its token from a password manager, its headers and its price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import UsageError
from tests.support.judge import leaks
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk
    from tests.support.programs import Program

    Serve = Callable[..., Awaitable[EmulatorServer]]

SECRET = "cf_secret_0123456789"
OTHER = "https://gateway.example.com/v1"


class Home:
    """A user's folder of settings, and a password manager that notes when it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"

    def write(self, base: str, *, profile: str = "gateway", more: str = "", token: str = TOKEN) -> None:
        """Write config.toml with one profile."""
        path = self.folder / "batchfill" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        manager = f"echo asked >> {self.asked}; echo {token}; echo {token} >&2; env >> {self.asked}"
        path.write_text(
            f'[profile.{profile}]\nbase_url = "{base}"\nprice = 0.5\nheader = {{ x-key = "CF_TOKEN" }}\n'
            f"token_command = ['sh', '-c', '{manager}']\n{more}",
            "utf-8",
        )
        path.chmod(0o600)

    def open(self, manifest: Path, environ: dict[str, str] | None = None, **flags: Any) -> Batch:
        """Open a batch in this user's surroundings."""
        own = {"XDG_CONFIG_HOME": str(self.folder), "CF_TOKEN": SECRET}
        return Batch.open(manifest, environ=own | (environ or {}), **{"rate": 60_000, **flags})


@pytest.fixture
def home(tmp_path: Path, hurry: None) -> Home:
    """A home of its own, away from the batch; see Home."""
    folder = tmp_path / "settings"
    folder.mkdir()
    return Home(folder)


async def test_a_profile_runs_a_batch_and_its_secrets_are_written_and_shown_nowhere(
    service: Serve, batchfill: Program, desk: Desk, home: Home
) -> None:
    refusal = Fault("create", "status", times=1, options={"status": 422, "body": f"bad {TOKEN} and {SECRET}"})
    provider = await service(faults=Faults([refusal]))
    home.write(provider.base, more="quiet = false\n")
    desk.write(desk.rows(2))
    del batchfill.environ["BATCHFILL_TOKEN"]
    batchfill.environ |= {"XDG_CONFIG_HOME": str(home.folder), "CF_TOKEN": SECRET}
    ran = await batchfill("run", "night.csv", "--profile", "gateway")
    assert (ran.code, provider.billed) == (1, 1), ran.err
    assert f"from profile gateway: base_url {provider.base}, price 0.5, header, token_command" in ran.err
    assert "bad *** and ***" in ran.err
    folder = desk.folder / "night.batch"
    assert [*leaks(folder, TOKEN), *leaks(folder, SECRET)] == []
    assert not any(secret in ran.out + ran.err for secret in (TOKEN, SECRET))
    told = home.asked.read_text("utf-8")
    assert told.count("asked\n") == 1
    assert SECRET not in told


async def test_a_check_asks_the_password_manager_only_when_it_asks_the_provider(
    service: Serve, desk: Desk, home: Home
) -> None:
    provider = await service()
    home.write(provider.base)
    night = home.open(desk.write(desk.rows(1)), profile="gateway")
    report = await night.check()
    assert report.price_to_go == 500_000
    assert report.notes[0].startswith(f"from profile gateway: base_url {provider.base}, price 0.5")
    assert not home.asked.exists()
    report = await night.check(online=True)
    assert report.provider is not None
    assert report.provider.account == "user:local"
    assert home.asked.exists()


async def test_a_profile_of_another_base_than_the_batchs_own_pays_nothing_and_asks_for_no_token(
    service: Serve, desk: Desk, home: Home
) -> None:
    provider = await service()
    home.write(OTHER)
    manifest = desk.write(desk.rows(2))
    plain = {"BATCHFILL_TOKEN": TOKEN}
    await home.open(manifest, plain, base_url=provider.base, limit=1).run()
    with pytest.raises(
        UsageError, match=f"begun with base {provider.base}, and profile gateway says {OTHER}"
    ):
        await home.open(manifest, plain, profile="gateway").run()
    assert provider.billed == 1
    assert not home.asked.exists()
    assert (await home.open(manifest, plain).run()).exit_code == 0


async def test_the_token_of_the_environment_goes_to_its_batch_and_that_of_a_profile_to_none_but_its_own(
    service: Serve, desk: Desk, home: Home
) -> None:
    provider = await service()
    home.write(OTHER, token="other_0123456789")
    manifest = desk.write(desk.rows(1))
    summary = await home.open(
        manifest, {"BATCHFILL_TOKEN": TOKEN}, profile="gateway", base_url=provider.base
    ).run()
    assert (summary.exit_code, provider.billed) == (0, 1)
    assert not home.asked.exists()


async def test_the_status_says_which_settings_come_from_around_it(
    service: Serve, batchfill: Program, desk: Desk, home: Home
) -> None:
    provider = await service()
    home.write(provider.base)
    manifest = desk.write(desk.rows(1))
    await home.open(manifest, profile="gateway").run()
    batchfill.environ |= {
        "XDG_CONFIG_HOME": str(home.folder),
        "BATCHFILL_PROFILE": "gateway",
        "BATCHFILL_CONCURRENCY": "8",
        "CF_TOKEN": SECRET,
    }
    told = (await batchfill("status", "night.csv")).out
    assert f"from profile gateway: base_url {provider.base}, price 0.5, header, token_command\n" in told
    assert told.endswith("from the environment: profile gateway, concurrency 8\n")


@pytest.mark.parametrize("wrong", [{"BATCHFILL_YES": "1"}, {"BATCHFILL_RATE": "fast"}])
async def test_what_is_wrong_around_a_command_keeps_it_from_paying_and_not_from_telling(
    service: Serve, desk: Desk, home: Home, wrong: dict[str, str]
) -> None:
    provider = await service()
    manifest = desk.write(desk.rows(1))
    right = {"BATCHFILL_TOKEN": TOKEN, "BATCHFILL_BASE_URL": provider.base}
    await home.open(manifest, right).run()
    night = home.open(manifest, right | wrong)
    with pytest.raises(UsageError, match=next(iter(wrong))):
        await night.run()
    assert (night.status().model, night.origins(), night.stop()) == (night.status().model, (), False)


@pytest.mark.parametrize(
    ("environ", "flags", "folder"),
    [
        ({"BATCHFILL_LOCAL": "1"}, {}, "night.local.batch"),
        ({"BATCHFILL_OUT": "elsewhere"}, {}, "elsewhere"),
        ({"BATCHFILL_OUT": "elsewhere"}, {"out": "here"}, "here"),
        ({}, {}, "night.batch"),
    ],
)
def test_a_batch_is_where_its_surroundings_say(
    home: Home, environ: dict[str, str], flags: dict[str, str], folder: str
) -> None:
    assert home.open("night.csv", environ, **flags).folder.name == folder  # type: ignore[arg-type]
