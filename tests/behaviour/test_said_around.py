"""What config.toml and variables say changes no row of a batch that has begun: none is paid for again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.domain.reports import Plan
    from batchfill.emulator.emulator_server import EmulatorServer
    from tests.support.desk import Desk

    Serve = Callable[..., Awaitable[EmulatorServer]]

VARIABLES = {"BATCHFILL_AREA": "mask"}
CONFIG = {
    "pixels": '[default]\narea = "mask"\n',
    "inputs": '[default]\nset = { guidance = "40", prompt = "a boat" }\n',
    "a profile": '[profile.big]\nmask_grow = 8\nset = { megapixels = "0.25" }\n',
    "a column": '[default]\ncolumn = { seed = "x_seed" }\n',
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "settings" / "batchfill"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def night(desk: Desk, home: Path, hurry: None) -> Callable[..., Batch]:
    """Open the batch with these variables and this config.toml around it."""
    manifest = desk.write(desk.rows(2, x_seed="7"))

    def open_(
        provider: EmulatorServer, config: str = "", variables: dict[str, str] | None = None, **flags: Any
    ) -> Batch:
        (home / "config.toml").write_text(config, "utf-8")
        (home / "config.toml").chmod(0o600)
        environ = {"XDG_CONFIG_HOME": str(home.parent), "BATCHFILL_TOKEN": "t"} | (variables or {})
        return Batch.open(manifest, environ=environ, base_url=provider.base, rate=60_000, **flags)

    return open_


def profile_in(config: str) -> dict[str, str]:
    return {"profile": "big"} if "[profile.big]" in config else {}


@pytest.mark.parametrize("name", CONFIG)
@pytest.mark.parametrize("begun_with", [False, True])
async def test_what_is_said_otherwise_around_a_batch_pays_for_no_row_again(
    service: Serve, night: Callable[..., Batch], name: str, begun_with: bool
) -> None:
    provider = await service(token="t")
    first, later = (CONFIG[name], "") if begun_with else ("", CONFIG[name])
    assert (await night(provider, first, **profile_in(first)).run()).exit_code == 0
    assert provider.billed == 2
    warnings: list[str] = []

    def confirm(plan: Plan) -> bool:
        warnings.extend(plan.warnings)
        return True

    summary = await night(provider, later, **profile_in(later)).run(confirm=confirm)
    assert (summary.exit_code, provider.billed) == (0, 2)
    assert "its rows stay as they are: " in "".join(warnings)


async def test_a_variable_changes_no_row_either_and_a_flag_does(
    service: Serve, night: Callable[..., Batch]
) -> None:
    provider = await service(token="t")
    await night(provider).run()
    await night(provider, variables=VARIABLES).run()
    assert provider.billed == 2
    await night(provider, variables=VARIABLES, set={"area": "mask"}).run()
    assert provider.billed == 4


async def test_how_pictures_are_finished_may_be_said_otherwise(
    service: Serve, night: Callable[..., Batch], desk: Desk
) -> None:
    provider = await service(token="t")
    await night(provider, "[default]\nmask_feather = 2\n").run()
    later = night(provider, "[default]\nmask_feather = 9\n")
    settings = later._source.read()[1]
    assert (settings.defaults["mask_feather"], settings.warnings) == ("9", ())
    assert (await later.run()).exit_code == 0
    assert provider.billed == 2
