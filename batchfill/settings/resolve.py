"""Decides every setting from flags, the manifest, the ledger and the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from batchfill.errors import UsageError
from batchfill.settings.addresses import LOCAL, REPLICATE, read_base
from batchfill.settings.credentials import find_token
from batchfill.settings.definitions import BY_NAME
from batchfill.settings.retry_words import read_decided, read_flagged, read_missing
from batchfill.settings.settings import DEFAULTS, Settings
from batchfill.settings.value_types import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from batchfill.settings.credentials import Environment


NO_CAP, BY_FLAG = "none", "flag"


def _read_flag(name: str, value: Any) -> Any:
    setting = BY_NAME.get(name)
    if setting is None or not isinstance(setting.type, Text) or isinstance(value, bool):
        return value
    try:
        return setting.type.read(str(value))
    except ValueError as error:
        raise UsageError(f"{setting.flag} {error}") from None


def _choose_base(
    given: Mapping[str, Any], facts: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[str, bool]:
    """Return the base, and whether the user named it for this command."""
    if given.get("local"):
        return LOCAL, False
    if given.get("base_url"):
        return _read_address(given["base_url"], "--base-url"), True
    named = environ.get("BATCHFILL_BASE_URL")
    told = _read_address(named, "BATCHFILL_BASE_URL") if named else None
    if "base" in facts:
        return facts["base"], facts["base"] == told
    return (told, True) if told else (REPLICATE, False)


def _read_address(text: str, where: str) -> str:
    try:
        return read_base(text)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


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
    base, base_named = _choose_base(given, facts, environ)
    known: dict[str, Any] = {"model": facts["model"]} if "model" in facts else {}
    chosen = {**DEFAULTS, **known, **_with_cap(facts, head), **given}
    for name in ("local", "base_url", "out", "set", "id"):
        chosen.pop(name, None)
    return Settings(
        **{
            **chosen,
            "manifest": manifest,
            "folder": folder_of(manifest, flags),
            "base": base,
            "fetch_missing": read_missing(retry := str(flags.get("retry") or "")),
            "retry_decided": read_decided(retry),
            "retry_flagged": read_flagged(retry),
            "ids": _unique_ids(given.get("id", ())),
            "cap_by_flag": "max_cost" in given or facts.get("max_cost_by") == BY_FLAG,
            "token": None if base == LOCAL else find_token(environ, base, base_named=base_named),
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
    return manifest.with_name(manifest.stem + (".local.batch" if flags.get("local") else ".batch"))
