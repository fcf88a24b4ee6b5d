from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.errors import UsageError
from batchfill.run import identity
from batchfill.settings import LOCAL
from batchfill.values import Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.settings import Settings

MODEL = "black-forest-labs/flux-fill-dev"


def test_a_new_folder_belongs_to_nobody(settings: Callable[..., Settings]) -> None:
    identity.refuse_other_batch({}, settings())
    identity.refuse_other_account({}, settings(), "user:ada")


def test_the_same_batch_is_let_in(settings: Callable[..., Settings]) -> None:
    here = settings()
    facts = {"manifest": "night.csv", "model": here.model, "base": here.base, "account": "user:ada"}
    identity.refuse_other_batch(facts, here)
    identity.refuse_other_account(facts, here, "user:ada")


@pytest.mark.parametrize(
    ("fact", "known", "told", "flag"),
    [
        ("model", "owner/other", MODEL, "--model"),
        ("base", "https://gateway.example.com/v1", "https://api.replicate.com/v1", "--base-url"),
    ],
)
def test_another_model_or_base_is_refused_naming_both(
    settings: Callable[..., Settings], fact: str, known: str, told: str, flag: str
) -> None:
    with pytest.raises(UsageError) as caught:
        identity.refuse_other_batch({fact: known}, settings())
    for word in ("night.batch", known, told, flag, "--out"):
        assert word in str(caught.value)


def test_another_manifest_is_refused_while_the_first_is_there(settings: Callable[..., Settings]) -> None:
    here = settings()
    (here.manifest.parent / "evening.csv").touch()
    with pytest.raises(UsageError, match=r"belongs to evening\.csv, and this command names night\.csv"):
        identity.refuse_other_batch({"manifest": "evening.csv"}, here)


def test_a_renamed_manifest_is_let_in(settings: Callable[..., Settings]) -> None:
    identity.refuse_other_batch({"manifest": "evening.csv"}, settings())


def test_another_account_is_refused_naming_both(settings: Callable[..., Settings]) -> None:
    with pytest.raises(UsageError, match=r"account user:ada, and this token belongs to user:bob"):
        identity.refuse_other_account({"account": "user:ada"}, settings(), "user:bob")


def test_a_new_token_of_the_same_account_is_let_in(settings: Callable[..., Settings]) -> None:
    facts = identity.account_facts({}, Token("r8_old"), "user:ada")
    identity.refuse_other_account(facts, settings(token=Token("r8_new")), "user:ada")


def test_without_an_account_call_another_token_is_refused_unless_it_is_the_same_account(
    settings: Callable[..., Settings],
) -> None:
    facts = identity.account_facts({}, Token("r8_old"), None)
    identity.refuse_other_account(facts, settings(token=Token("r8_old")), None)
    with pytest.raises(UsageError, match="another token: use that one, or give --same-account"):
        identity.refuse_other_account(facts, settings(token=Token("r8_new")), None)
    identity.refuse_other_account(facts, settings(token=Token("r8_new"), same_account=True), None)


def test_nobody_can_vouch_for_an_account_that_the_service_calls_another(
    settings: Callable[..., Settings],
) -> None:
    facts = identity.account_facts({}, Token("r8_old"), "user:ada")
    with pytest.raises(UsageError, match="use a token of user:ada"):
        identity.refuse_other_account(facts, settings(token=Token("r8_new"), same_account=True), "user:bob")


def test_what_is_remembered_of_a_token_does_not_tell_it() -> None:
    secret = "r8_very_secret_indeed"
    first = identity.account_facts({}, Token(secret), None)
    second = identity.account_facts({}, Token(secret), None)
    assert secret not in str(first)
    assert first["token_hash"] != second["token_hash"]
    assert len(first["token_hash"]) == 64
    assert identity.account_facts(first, Token(secret), "user:ada") == {**first, "account": "user:ada"}


def leave(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ledger.sqlite").touch()
    return folder


def test_a_batch_folder_whose_manifest_is_gone_is_pointed_out(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    assert identity.orphan_beside({}, settings()) is None
    orphan = leave(tmp_path / "evening.batch")
    assert identity.orphan_beside({}, settings()) == orphan
    (tmp_path / "evening.jsonl").touch()
    assert identity.orphan_beside({}, settings()) is None


def test_a_batch_that_was_begun_has_lost_no_folder(settings: Callable[..., Settings], tmp_path: Path) -> None:
    leave(tmp_path / "evening.batch")
    assert identity.orphan_beside({"manifest": "night.csv"}, settings()) is None


def test_a_batchs_own_folder_is_no_other_manifests(settings: Callable[..., Settings], tmp_path: Path) -> None:
    leave(tmp_path / "night.batch")
    assert identity.orphan_beside({}, settings()) is None


def test_rehearsals_and_paid_batches_are_not_taken_for_each_other(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    rehearsal = leave(tmp_path / "evening.local.batch")
    assert identity.orphan_beside({}, settings()) is None
    local = settings(base=LOCAL, folder=tmp_path / "night.local.batch")
    assert identity.orphan_beside({}, local) == rehearsal
    rehearsal.rename(tmp_path / "evening.batch")
    assert identity.orphan_beside({}, local) is None
