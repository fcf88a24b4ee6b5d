"""Which batch this is: the manifest, model, provider and account that a folder was begun with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from batchfill.errors import UsageError
from tests.support.faults import LOST, NEVER_TAKEN
from tests.support.models import DEV, PRO

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

BARE = Quirks(offers=frozenset({"list"}))
"""A provider that does not say whose token it is."""
NO_LIST = Quirks(offers=frozenset({"account"}))
"""A provider that does not tell what it has made."""


# The manifest


async def test_a_manifest_goes_on_under_a_new_name_once_its_folder_has_it_too(
    service: Serve, batch: Open, desk: Any
) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    (desk.folder / "night.csv").unlink()
    evening = batch(provider, 2, name="evening.csv")
    night.folder.rename(evening.folder)
    summary = await evening.run()
    assert (summary.exit_code, summary.submitted_now) == (0, 0)
    assert evening.status().manifest == "evening.csv"


async def test_a_folder_of_another_manifest_is_refused(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 2)
    await night.run()
    other = batch(provider, 2, name="other.csv", out=night.folder)
    with pytest.raises(
        UsageError, match=r"night.batch belongs to night.csv, and this command names other.csv"
    ):
        await other.run()
    assert provider.billed == 2


# The provider and the model


async def test_a_forgotten_base_url_is_remembered(service: Serve, batch: Open) -> None:
    provider = await service()
    night = batch(provider, 2, limit=1)
    await night.run()
    assert (await batch(None).run()).exit_code == 0
    assert (provider.billed, night.status().base) == (2, provider.base)


async def test_a_forgotten_model_is_remembered(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 2, model=PRO, limit=1).run()
    assert (await batch(provider).run()).exit_code == 0
    assert {record.model for record in provider.predictions()} == {PRO}


async def test_another_base_url_is_refused_naming_both(service: Serve, batch: Open) -> None:
    provider, other = await service(), await service("other")
    await batch(provider, 2, limit=1).run()
    both = f"begun with base {re.escape(provider.base)}, and this command says {re.escape(other.base)}"
    with pytest.raises(UsageError, match=both):
        await batch(other).run()
    assert (provider.billed, other.billed) == (1, 0)
    assert sum(other.requests.values()) == 0


async def test_another_model_is_refused_naming_both(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 2, limit=1).run()
    with pytest.raises(UsageError, match=f"begun with model .*flux-fill-dev, and this command says {PRO}"):
        await batch(provider, model=PRO).run()
    assert provider.billed == 1


async def test_a_base_in_the_environment_does_not_move_a_batch(service: Serve, batch: Open) -> None:
    from batchfill.batch import Batch as Opened

    provider, other = await service(), await service("other")
    night = batch(provider, 2, limit=1)
    await night.run()
    environ = {"BATCHFILL_TOKEN": "r8_for_tests_only", "BATCHFILL_BASE_URL": other.base}
    assert (await Opened.open(night.manifest, environ=environ, rate=60_000).run()).exit_code == 0
    assert (provider.billed, other.billed) == (2, 0)


async def test_a_rehearsal_leaves_the_real_run_everything_to_do(service: Serve, batch: Open) -> None:
    provider = await service()
    rehearsal = batch(None, 2, local=True)
    assert (await rehearsal.run()).exit_code == 0
    real = batch(provider)
    assert (await real.run()).submitted_now == 2
    assert (rehearsal.folder.name, real.folder.name) == ("night.local.batch", "night.batch")
    assert (await batch(None, local=True).run()).submitted_now == 0


async def test_a_rehearsal_goes_on_after_the_real_run(service: Serve, batch: Open) -> None:
    provider = await service()
    await batch(provider, 2).run()
    summary = await batch(None, local=True).run()
    assert (summary.submitted_now, summary.exit_code, provider.billed) == (2, 0, 2)


# Before anything was made


def refusing(status: int) -> Faults:
    return Faults([Fault("create", "status", options={"status": status})])


async def test_a_mistyped_model_holds_a_batch_to_nothing(service: Serve, batch: Open, states: Any) -> None:
    provider = await service()
    mistyped = await batch(provider, 2, model="other/painter").run()
    assert (mistyped.exit_code, provider.billed) == (4, 0)
    night = batch(provider, model=PRO)
    assert (await night.run()).exit_code == 0
    assert {record.model for record in provider.predictions()} == {PRO}
    assert states(night) == {"r1": "done", "r2": "done"}
    # From now on it is remembered as any other is.
    with pytest.raises(UsageError, match=f"begun with model {PRO}"):
        await batch(provider, model=DEV).run()
    assert (await batch(provider).run()).submitted_now == 0


async def test_a_mistyped_base_and_its_account_hold_a_batch_to_nothing(service: Any, batch: Open) -> None:
    wrong = await service("wrong", account="mine", faults=refusing(404))
    provider = await service(account="yours")
    assert (await batch(wrong, 2).run()).exit_code == 4
    assert (await batch(provider).run()).exit_code == 0
    assert (wrong.billed, provider.billed) == (0, 2)
    provider = await service.again(provider, account="mine")
    with pytest.raises(UsageError, match=r"begun with the account .*yours"):
        await batch(provider).run()


async def test_a_mistyped_token_holds_a_batch_to_nothing(service: Any, batch: Open) -> None:
    provider = await service(token=None, quirks=BARE, faults=refusing(401))
    assert (await batch(provider, 2, token="r8_mistyped").run()).exit_code == 4
    provider = await service.again(provider, token=None, quirks=BARE)
    assert (await batch(provider, limit=1).run()).submitted_now == 1
    with pytest.raises(UsageError, match="begun with another token"):
        await batch(provider, token="r8_mistyped").run()
    assert provider.billed == 1


@pytest.mark.parametrize("fault", [LOST, NEVER_TAKEN], ids=["lost", "never taken"])
async def test_a_create_that_may_have_been_taken_holds_a_batch_to_its_model(
    service: Serve, batch: Open, fault: Fault
) -> None:
    provider = await service(quirks=NO_LIST, faults=Faults([fault]))
    await batch(provider, 1, recover_wait=0).run()
    with pytest.raises(UsageError, match="begun with model"):
        await batch(provider, model=PRO).run()


async def test_a_ledger_that_is_older_than_its_record_takes_no_other_model(
    service: Serve, batch: Open
) -> None:
    provider = await service()
    night = batch(provider, 1, model="other/painter")
    await night.run()
    older = (night.folder / "ledger.sqlite").read_bytes()
    assert (await batch(provider, model=PRO).run()).exit_code == 0
    for path in night.folder.glob("ledger.sqlite*"):
        path.unlink()
    (night.folder / "ledger.sqlite").write_bytes(older)
    with pytest.raises(UsageError, match=f"begun with model {PRO}"):
        await batch(provider, model=DEV).run()
    assert (await batch(provider, model=PRO).run()).exit_code == 0
    assert provider.billed == 1


@pytest.mark.parametrize("told", ["account", "token"])
async def test_a_ledger_that_is_older_than_its_record_takes_no_other_account(
    service: Any, batch: Open, told: str
) -> None:
    """In another account nothing of the batch is found, and all of it would be paid for once more."""
    quirks = BARE if told == "token" else None
    begin = {"token": None, **({"quirks": quirks} if quirks else {"account": "mine"})}
    provider = await service(**begin, faults=refusing(404))
    night = batch(provider, 1)
    await night.run()
    older = (night.folder / "ledger.sqlite").read_bytes()
    provider = await service.again(provider, **begin)
    assert (await batch(provider).run()).exit_code == 0
    for path in night.folder.glob("ledger.sqlite*"):
        path.unlink()
    (night.folder / "ledger.sqlite").write_bytes(older)
    provider = await service.again(provider, **(begin if quirks else {**begin, "account": "yours"}))
    with pytest.raises(UsageError, match=f"begun with (the|another) {told}"):
        await batch(provider, token="r8_another").run()
    assert provider.billed == 1


# The account


async def test_another_account_is_refused_naming_both(service: Any, batch: Open) -> None:
    provider = await service(account="mine")
    await batch(provider, 2, limit=1).run()
    provider = await service.again(provider, account="yours")
    with pytest.raises(UsageError, match=r"begun with the account .*mine, and this token belongs to .*yours"):
        await batch(provider).run()
    assert provider.billed == 1


async def test_another_token_of_the_same_account_goes_on(service: Any, batch: Open) -> None:
    provider = await service(token=None)
    await batch(provider, 2, limit=1).run()
    assert (await batch(provider, token="r8_another").run()).exit_code == 0


async def test_another_token_is_refused_where_nobody_tells_the_account(service: Any, batch: Open) -> None:
    provider = await service(token=None, quirks=BARE)
    await batch(provider, 2, limit=1).run()
    with pytest.raises(UsageError, match="begun with another token: use that one, or give --same-account"):
        await batch(provider, token="r8_another").run()
    assert provider.billed == 1


async def test_a_new_token_is_accepted_when_the_user_vouches_for_it_and_is_remembered(
    service: Any, batch: Open
) -> None:
    provider = await service(token=None, quirks=BARE)
    await batch(provider, 3, limit=1).run()
    await batch(provider, token="r8_another", same_account=True, limit=1).run()
    assert (await batch(provider, token="r8_another").run()).exit_code == 0
    with pytest.raises(UsageError, match="another token"):
        await batch(provider, token="r8_for_tests_only").run()


async def test_vouching_for_a_token_does_not_outlast_the_command(service: Any, batch: Open) -> None:
    provider = await service(token=None, quirks=BARE)
    await batch(provider, 2, limit=1, same_account=True).run()
    with pytest.raises(UsageError, match="another token"):
        await batch(provider, token="r8_another").run()


async def test_nothing_of_the_token_is_remembered_but_a_salted_hash(service: Any, batch: Open) -> None:
    provider = await service(token=None, quirks=BARE)
    night = batch(provider, 1, token="r8_a_secret_of_the_user")
    await night.run()
    for path in night.folder.rglob("*"):
        assert not path.is_file() or b"r8_a_secret" not in path.read_bytes()
    assert night.status().counts[RowState.DONE] == 1
