from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.token import Token
from batchfill.errors import UsageError
from batchfill.ledger.payments import heading_line
from batchfill.session import identity
from batchfill.session.identity import account_facts  # with salts of its own, before tests change it
from batchfill.settings.addresses import LOCAL
from tests.support.models import DEV

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.settings.settings import Settings


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
        ("model", "owner/other", DEV, "--model"),
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
    facts = identity.account_facts({}, settings(token=Token("r8_old")), "user:ada")
    identity.refuse_other_account(facts, settings(token=Token("r8_new")), "user:ada")


def test_without_an_account_call_another_token_is_refused_unless_it_is_the_same_account(
    settings: Callable[..., Settings],
) -> None:
    facts = identity.account_facts({}, settings(token=Token("r8_old")), None)
    identity.refuse_other_account(facts, settings(token=Token("r8_old")), None)
    with pytest.raises(UsageError, match="another token: use that one, or give --same-account"):
        identity.refuse_other_account(facts, settings(token=Token("r8_new")), None)
    identity.refuse_other_account(facts, settings(token=Token("r8_new"), same_account=True), None)


def test_nobody_can_vouch_for_an_account_that_the_service_calls_another(
    settings: Callable[..., Settings],
) -> None:
    facts = identity.account_facts({}, settings(token=Token("r8_old")), "user:ada")
    with pytest.raises(UsageError, match="use a token of user:ada"):
        identity.refuse_other_account(facts, settings(token=Token("r8_new"), same_account=True), "user:bob")


def test_what_is_remembered_of_a_token_does_not_tell_it(settings: Callable[..., Settings]) -> None:
    secret = "r8_very_secret_indeed"
    first = account_facts({}, settings(token=Token(secret)), None)
    second = account_facts({}, settings(token=Token(secret)), None)
    assert secret not in str(first)
    assert first["token_hash"] != second["token_hash"]
    assert len(first["token_hash"]) == 64
    assert account_facts(first, settings(token=Token(secret)), "user:ada") == {
        **first,
        "account": "user:ada",
    }


def leave(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ledger.sqlite").touch()
    return folder


def test_a_batch_folder_whose_manifest_is_gone_may_be_this_ones(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    assert identity.forsaken_folders(settings()) == []
    orphan = leave(tmp_path / "evening.batch")
    assert identity.forsaken_folders(settings()) == [orphan]
    (tmp_path / "evening.jsonl").touch()
    assert identity.forsaken_folders(settings()) == []


def test_a_folder_that_says_it_is_this_manifests_may_be_this_ones(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    other = tmp_path / "evening.batch"
    other.mkdir()
    (tmp_path / "evening.csv").touch()
    heading = identity.heading_for({}, None, settings())
    (other / "paid.jsonl").write_text(heading_line(heading), "utf-8")
    assert identity.forsaken_folders(settings()) == [other]


def test_a_batchs_own_folder_is_no_other_manifests(settings: Callable[..., Settings], tmp_path: Path) -> None:
    leave(tmp_path / "night.batch")
    assert identity.forsaken_folders(settings()) == []
    moved_into_it = leave(tmp_path / "night.batch/kept.batch")
    assert identity.forsaken_folders(settings()) == [moved_into_it]


def test_rehearsals_and_paid_batches_are_not_taken_for_each_other(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    rehearsal = leave(tmp_path / "evening.local.batch")
    assert identity.forsaken_folders(settings()) == []
    local = settings(base=LOCAL, folder=tmp_path / "night.local.batch")
    assert identity.forsaken_folders(local) == [rehearsal]
    rehearsal.rename(tmp_path / "evening.batch")
    assert identity.forsaken_folders(local) == []


def test_a_record_is_this_batchs_by_the_id_that_it_shares_with_the_ledger(
    settings: Callable[..., Settings],
) -> None:
    here = settings()
    heading = identity.heading_for({}, None, here)
    identity.refuse_other_record({}, None, here)
    identity.refuse_other_record({"batch": heading.batch}, heading, here)
    assert identity.heading_for({"batch": heading.batch}, heading, here) == heading
    with pytest.raises(UsageError, match=r"paid\.jsonl belongs to another batch than the ledger\.sqlite"):
        identity.refuse_other_record({"batch": "another"}, heading, here)


def test_a_record_whose_heading_changes_is_another_file(settings: Callable[..., Settings]) -> None:
    before = identity.heading_for({}, None, settings())
    after = identity.heading_for({}, replace(before, manifest="evening.csv"), settings())
    assert after.file != before.file
    assert replace(after, file=before.file) == before


def test_a_record_without_its_ledger_is_no_other_providers_or_models(
    settings: Callable[..., Settings],
) -> None:
    heading = identity.heading_for({}, None, settings())
    with pytest.raises(UsageError, match=r"begun at another provider than https://else\.example\.com"):
        identity.refuse_other_record({}, heading, settings(base="https://else.example.com"))
    with pytest.raises(UsageError, match="begun with model"):
        identity.refuse_other_record({}, heading, settings(model="owner/other"))
    for other in (settings(base="https://else.example.com"), settings(model="owner/other")):
        identity.refuse_other_record({}, heading, other, made=False)
