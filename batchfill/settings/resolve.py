"""Decides every setting from flags, the manifest, the ledger and the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchfill.domain.token import ExtraSecrets, Token
from batchfill.errors import UsageError
from batchfill.settings.addresses import LOCAL, REPLICATE, read_base, show_base
from batchfill.settings.credentials import find_headers, find_token
from batchfill.settings.definitions import BY_NAME
from batchfill.settings.retry_words import read_decided, read_flagged, read_missing
from batchfill.settings.settings import DEFAULTS, Settings
from batchfill.settings.value_types import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from batchfill.settings.credentials import Environment


NO_CAP, BY_FLAG = "none", "flag"

IDEMPOTENT = "idempotent"
"""The fact that names the base of which the user said so: what is known of one says nothing of another."""
STANDARD_INPUT = Path("-")
"""The manifest's name when it comes that way; its paths are relative to the current folder."""


def _read_flag(name: str, value: Any) -> Any:
    setting = BY_NAME.get(name)
    if setting is None or not isinstance(setting.type, Text) or isinstance(value, bool):
        return value
    try:
        return setting.type.read(str(value))
    except ValueError as error:
        raise UsageError(f"{setting.flag} {error}") from None


@dataclass(frozen=True, slots=True)
class _Base:
    shown: str
    """With the values of its query hidden."""
    query: Token | None = None
    named: bool = False
    """Whether the user named it for this command."""


def _choose_base(given: Mapping[str, Any], facts: Mapping[str, str], environ: Mapping[str, str]) -> _Base:
    if given.get("local"):
        return _Base(LOCAL)
    plain_http = bool(given.get("plain_http"))
    if given.get("base_url"):
        return _read_address(given["base_url"], "--base-url", plain_http=plain_http)
    named = environ.get("BATCHFILL_BASE_URL")
    told = _read_address(named, "BATCHFILL_BASE_URL", plain_http=plain_http) if named else None
    if "base" in facts:
        return told if told and told.shown == facts["base"] else _Base(facts["base"])
    return told or _Base(REPLICATE)


def _read_address(text: str, where: str, *, plain_http: bool) -> _Base:
    try:
        base = read_base(text, plain_http=plain_http)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None
    query = base.partition("?")[2]
    return _Base(show_base(base), Token(query) if query else None, named=True)


def _find_extras(base: _Base, headers: Mapping[str, str], environ: Environment) -> ExtraSecrets:
    """Return what the provider gets in addition to the token; the local emulator gets nothing."""
    if base.shown == LOCAL:
        return ExtraSecrets()
    return ExtraSecrets(find_headers(environ, headers), base.query, frozenset(headers.values()))


def resolve_settings(
    manifest: Path,
    flags: Mapping[str, Any],
    *,
    head: Mapping[str, Any],
    defaults: Mapping[str, str],
    column: Mapping[str, str],
    facts: Mapping[str, str],
    environ: Environment,
) -> Settings:
    """Decide every setting: a flag goes before the manifest's *head*, that before what the ledger remembers.

    *flags* holds those that were given, by their names with underscores; *defaults* and *column* are the
    manifest's, *facts* the ledger's. Raises UsageError for a value that cannot be.
    """
    given = {name: _read_flag(name, value) for name, value in flags.items() if value is not None}
    base = _choose_base(given, facts, environ)
    known: dict[str, Any] = {"model": facts["model"]} if "model" in facts else {}
    known["outputs"] = facts.get("outputs")
    known["idempotent"] = facts.get(IDEMPOTENT) == base.shown
    chosen = {**DEFAULTS, **known, **_with_cap(facts, head), **given}
    if base.shown == LOCAL:
        # The emulator asks this machine only, and keeps what it was asked for on its disk. What it makes is
        # for nobody.
        chosen["hand_over"], chosen["outputs"] = DEFAULTS["hand_over"], None
    for name in ("local", "base_url", "header", "out", "set", "id"):
        chosen.pop(name, None)
    return Settings(
        **{
            **chosen,
            "manifest": manifest,
            "folder": folder_of(manifest, flags),
            "base": base.shown,
            "extras": _find_extras(base, given.get("header", {}), environ),
            "fetch_missing": read_missing(retry := str(flags.get("retry") or "")),
            "retry_decided": read_decided(retry),
            "retry_flagged": read_flagged(retry),
            "ids": _unique_ids(given.get("id", ())),
            "cap_by_flag": "max_cost" in given or facts.get("max_cost_by") == BY_FLAG,
            "token": None if base.shown == LOCAL else find_token(environ, base.shown, base_named=base.named),
            "defaults": {**defaults, **given.get("set", {})},
            "column": {**column, **given.get("column", {})},
        }
    )


def _unique_ids(given: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((given,) if isinstance(given, str) else given))


def _with_cap(facts: Mapping[str, str], head: Mapping[str, Any]) -> dict[str, Any]:
    """Return *head* under the --max-cost that the ledger remembers, which the manifest does not lift."""
    if "max_cost" not in facts:
        return dict(head)
    cap = None if facts["max_cost"] == NO_CAP else int(facts["max_cost"])
    return {**head, "max_cost": cap} if facts.get("max_cost_by") == BY_FLAG else {"max_cost": cap, **head}


def folder_of(manifest: Path, flags: Mapping[str, Any]) -> Path:
    """Return the batch folder: what --out names, else `night.batch` next to `night.csv`."""
    try:
        os.fsencode(manifest.absolute()).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{str(manifest)!a}: the name of its folder is not UTF-8: rename it") from None
    if flags.get("out"):
        return Path(flags["out"])
    if manifest == STANDARD_INPUT:
        raise UsageError("standard input has no folder of its own: give the batch folder with --out DIR")
    return manifest.with_name(manifest.stem + (".local.batch" if flags.get("local") else ".batch"))
