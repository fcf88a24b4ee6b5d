"""Which batch this is: what the ledger remembers against what the command says."""

from __future__ import annotations

import glob
import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from batchfill.errors import LedgerError, UsageError, first_few
from batchfill.ledger.database import is_there
from batchfill.ledger.ledger import BATCH
from batchfill.ledger.location import LEDGER, SAVED
from batchfill.ledger.payment_record import PAID, read_record
from batchfill.ledger.payments import Heading, digest_of_base
from batchfill.ledger.reader import open_reader
from batchfill.settings.addresses import LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchfill.domain.token import Token
    from batchfill.settings.settings import Settings

SHOWN_IDS = 20
BATCHES, LOCAL_BATCH = ".batch", ".local.batch"
"""How the names of batch folders end."""
ACCOUNT = ("account", "token_hash", "query_hash")
UNTIL_MADE = frozenset({"model", "base", *ACCOUNT})
"""Facts that hold a batch to nothing before it may have made something: they may have been mistyped."""


def binding_facts(facts: Mapping[str, str], *, made: bool) -> Mapping[str, str]:
    """Return those of *facts* that a start must not contradict; *made*: something may have been made."""
    return facts if made else {name: value for name, value in facts.items() if name not in UNTIL_MADE}


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
    known = facts.get("outputs")
    if known is not None and known != settings.outputs:
        raise UsageError(
            f"{settings.folder.name} puts its files into {known}, and this command says {settings.outputs}: "
            "leave --outputs out to go on"
        )
    known = facts.get("manifest")
    if known is not None and known != settings.manifest.name and _manifest_exists(settings, known):
        raise UsageError(
            f"{settings.folder.name} belongs to {known}, and this command names {settings.manifest.name}: "
            "give it a folder of its own with --out"
        )


def refuse_saved_ledger(ledger: Path) -> None:
    """Raise UsageError when another ledger was saved next to *ledger*: one of them is the right one."""
    saved = ledger.with_name(SAVED)
    if saved.exists():
        raise UsageError(
            f"{saved}: is what a run knew when its folder was taken away and another run began: put it "
            f"in the place of {ledger.name}, or move it away if {ledger.name} is the right one"
        )


def refuse_other_record(
    facts: Mapping[str, str], heading: Heading | None, settings: Settings, *, made: bool = True
) -> None:
    """Raise UsageError when the record of payments is another batch's than the ledger and the command.

    *made*: as the record or the ledger knows, something may have been made.
    """
    if heading is None:
        return
    if BATCH in facts and facts[BATCH] != heading.batch:
        raise UsageError(
            f"{settings.folder.name}/{PAID} belongs to another batch than the {LEDGER} next to it: put the "
            f"right one in its place, or move {PAID} away if {LEDGER} is the right one"
        )
    known = {"manifest": heading.manifest, "model": heading.model, **facts}
    refuse_other_batch(binding_facts(known, made=made), settings)
    if made and "base" not in facts and heading.base != digest_of_base(heading.batch, settings.base):
        raise UsageError(
            f"{settings.folder.name} was begun at another provider than {settings.base}: "
            "name that one with --base-url"
        )


def heading_for(facts: Mapping[str, str], before: Heading | None, settings: Settings) -> Heading:
    """Return the heading of a batch's record: the one *before* where that says the same."""
    batch = facts.get(BATCH) or (before.batch if before else secrets.token_hex(16))
    base = digest_of_base(batch, settings.base)
    file = before.file if before else ""
    heading = Heading(batch, file, settings.manifest.name, settings.model, base)
    return heading if heading == before else replace(heading, file=secrets.token_hex(8))


def forsaken_folders(settings: Settings) -> list[Path]:
    """Return the other batch folders here that this manifest, or one that is gone, was run in.

    Those inside of the batch folder too: a user who renames a folder back moves it into one that is there.
    """
    suffix = LOCAL_BATCH if settings.base == LOCAL else BATCHES
    own = settings.folder.resolve()
    found = [*settings.manifest.parent.glob(f"*{suffix}"), *settings.folder.glob(f"*{suffix}")]
    return [
        folder
        for folder in sorted(found)
        if folder.name.endswith(LOCAL_BATCH) == (suffix == LOCAL_BATCH)
        and folder.resolve() != own
        and _is_forsaken(folder, settings, suffix)
    ]


def _is_forsaken(folder: Path, settings: Settings, suffix: str) -> bool:
    known = _manifest_of(folder)
    if known == settings.manifest.name:
        return True
    pattern = f"{glob.escape(folder.name.removesuffix(suffix))}.*" if known is None else glob.escape(known)
    here = (settings.manifest.parent, folder.parent)
    return not any(path.is_file() for parent in here for path in parent.glob(pattern))


def _manifest_of(folder: Path) -> str | None:
    """Return the name of a folder's manifest as its ledger, else its record, has it; None: neither tells."""
    with suppress(LedgerError):
        if is_there(folder / LEDGER):
            with open_reader(folder / LEDGER) as reader:
                if (name := reader.metadata().get("manifest")) is not None:
                    return name
    with suppress(LedgerError):
        reading = read_record(folder / PAID)
        if reading is not None and reading.heading is not None:
            return reading.heading.manifest
    return None


def account_facts(facts: Mapping[str, str], settings: Settings, account: str | None) -> dict[str, str]:
    """Return all that is to be remembered of the account; *account*: as the service names it, if it does."""
    salt = facts.get("token_salt") or secrets.token_hex(16)
    held = {"token_hash": settings.token, "query_hash": settings.extras.query}
    hashes = {name: _salted_hash(secret, salt) for name, secret in held.items() if secret is not None}
    named = {} if account is None else {"account": account}
    known = {name: facts[name] for name in ACCOUNT if name in facts}
    return {**known, **hashes, **named, "token_salt": salt}


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
    if _is_other(facts, "token_hash", settings.token):
        raise UsageError(
            f"{settings.folder.name} was begun with another token: use that one, or give --same-account "
            "if this one belongs to the same account"
        )
    if _is_other(facts, "query_hash", settings.extras.query):
        raise UsageError(
            f"{settings.folder.name} was begun with base {settings.base} and other values in its query: use "
            "those, or give --same-account if these belong to the same account"
        )


def _manifest_exists(settings: Settings, manifest: str) -> bool:
    return (settings.folder.parent / manifest).exists() or (settings.manifest.parent / manifest).exists()


def _is_other(facts: Mapping[str, str], fact: str, secret: Token | None) -> bool:
    """Whether *secret* is another than the one whose hash is the *fact*."""
    salt, remembered = facts.get("token_salt"), facts.get(fact)
    if secret is None or not salt or not remembered:
        return False
    return not hmac.compare_digest(_salted_hash(secret, salt), remembered)


def _salted_hash(token: Token, salt: str) -> str:
    return hashlib.scrypt(token.reveal().encode(), salt=salt.encode(), n=2**12, r=8, p=1).hex()[:64]


def refuse_unknown_ids(manifest: Path, unknown: Sequence[str]) -> None:
    """Raise UsageError that names the ids of which *manifest* has no row."""
    if unknown:
        ids = first_few(map(repr, unknown), SHOWN_IDS)
        raise UsageError(f"--id: {manifest.name} has no row {ids}; `batchfill results` lists the ids")


def refuse_unfit_redos(manifest: Path, unfit: Sequence[str]) -> None:
    """Raise UsageError that tells what is wrong with the inputs that redos of the review change."""
    if unfit:
        more = f"\n… and {len(unfit) - SHOWN_IDS:,} more" if len(unfit) > SHOWN_IDS else ""
        lines = "\n".join(f"the redo of {words}" for words in unfit[:SHOWN_IDS])
        way_out = f"ask for it again with `batchfill review {manifest.name}`"
        raise UsageError(f"{lines}{more}\nnothing was started: {way_out}")
