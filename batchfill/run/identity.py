"""Which batch this is: what the ledger remembers against what the command says."""

from __future__ import annotations

import glob
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from batchfill.errors import LedgerError, UsageError
from batchfill.ledger.place import SAVED
from batchfill.ledger.reader import open_reader
from batchfill.ledger.storage import is_there
from batchfill.run.submit import ACCEPTED
from batchfill.settings import LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchfill.settings import Settings
    from batchfill.values import Token

SHOWN_IDS = 20


def refuse_other_batch(facts: Mapping[str, str], settings: Settings) -> None:
    """Raise UsageError, naming both, when the ledger belongs to another manifest, model or base."""
    for name in ("model", "base"):
        told, known = getattr(settings, name), facts.get(name)
        if known is not None and known != told:
            flag = "--base-url" if name == "base" else "--model"
            raise UsageError(
                f"{settings.folder.name} was begun with {name} {known}, and this command says {told}: "
                f"leave {flag} out to go on, or give another folder with --out"
            )
    known = facts.get("manifest")
    if known is not None and known != settings.manifest.name and _exists(settings, known):
        raise UsageError(
            f"{settings.folder.name} belongs to {known}, and this command names {settings.manifest.name}: "
            "give it a folder of its own with --out"
        )


def refuse_lost_ledger(ledger: Path, log: Path) -> None:
    """Raise UsageError when something was paid for that *ledger*, where it stands now, does not know."""
    saved = ledger.with_name(SAVED)
    if saved.exists():
        raise UsageError(
            f"{saved}: is what a run knew when its folder was taken away and another run began: put it "
            f"in the place of {ledger.name}, or move it away if {ledger.name} is the right one"
        )
    if is_there(ledger) or not log.is_file():
        return
    with log.open(encoding="utf-8", errors="replace") as lines:
        made = sum(ACCEPTED in line for line in lines)
    if made:
        raise UsageError(
            f"{ledger}: is gone, and {log.name} tells of predictions that were paid for ({made:,}): put the "
            f"ledger back; or, to pay for its rows again, move {log.name} away"
        )


def orphan_beside(facts: Mapping[str, str], settings: Settings) -> Path | None:
    """Return a batch folder here whose manifest is gone: perhaps this one, not begun yet, was renamed."""
    if "manifest" in facts:
        return None
    suffix = ".local.batch" if settings.base == LOCAL else ".batch"
    for folder in sorted(settings.manifest.parent.glob(f"*{suffix}")):
        manifests = settings.manifest.parent.glob(_manifest_of(folder, suffix))
        ours = suffix == ".local.batch" or not folder.name.endswith(".local.batch")
        ours = ours and folder.resolve() != settings.folder.resolve()
        if ours and (folder / "ledger.sqlite").exists() and not any(m.is_file() for m in manifests):
            return folder
    return None


def _manifest_of(folder: Path, suffix: str) -> str:
    """Return a pattern for the manifest's name: what the ledger says, else what the folder is named for."""
    try:
        with open_reader(folder / "ledger.sqlite") as reader:
            return glob.escape(reader.facts()["manifest"])
    except (LedgerError, KeyError):
        return f"{glob.escape(folder.name.removesuffix(suffix))}.*"


def account_facts(facts: Mapping[str, str], token: Token, account: str | None) -> dict[str, str]:
    """Return what to remember of the account; *account* is the service's word, None where it has none."""
    salt = facts.get("token_salt") or secrets.token_hex(16)
    remembered = {"token_salt": salt, "token_hash": _hash(token, salt)}
    return remembered if account is None else {**remembered, "account": account}


def refuse_other_account(facts: Mapping[str, str], settings: Settings, account: str | None) -> None:
    """Raise UsageError when the batch was begun with another account, or, unless --same-account, token.

    Predictions and uploads of one account are invisible to another: rows would be paid for twice.
    """
    known = facts.get("account")
    if account is not None and known is not None:
        if account != known:
            raise UsageError(
                f"{settings.folder.name} was begun with the account {known}, and this token belongs "
                f"to {account}: use a token of {known}"
            )
        return
    if settings.same_account or settings.token is None:
        return
    salt, remembered = facts.get("token_salt"), facts.get("token_hash")
    if salt and remembered and not hmac.compare_digest(_hash(settings.token, salt), remembered):
        raise UsageError(
            f"{settings.folder.name} was begun with another token: use that one, or give --same-account "
            "if this one belongs to the same account"
        )


def _exists(settings: Settings, manifest: str) -> bool:
    return (settings.folder.parent / manifest).exists() or (settings.manifest.parent / manifest).exists()


def _hash(token: Token, salt: str) -> str:
    return hashlib.scrypt(token.reveal().encode(), salt=salt.encode(), n=2**12, r=8, p=1).hex()[:64]


def refuse_unknown_ids(manifest: Path, unknown: Sequence[str]) -> None:
    """Raise UsageError that names the ids of which *manifest* has no row."""
    if unknown:
        more = f" and {len(unknown) - SHOWN_IDS} more" if len(unknown) > SHOWN_IDS else ""
        raise UsageError(
            f"--id: {manifest.name} has no row {', '.join(map(repr, unknown[:SHOWN_IDS]))}{more}; "
            "`batchfill results` lists the ids"
        )
