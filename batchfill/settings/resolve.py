"""Decides every setting from flags, the manifest, the ledger, and what is said around the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from batchfill.errors import UsageError
from batchfill.settings.addresses import LOCAL
from batchfill.settings.base_choice import CountingSettings, choose_base, refuse_other_profile
from batchfill.settings.credentials import find_access
from batchfill.settings.definitions import BY_NAME
from batchfill.settings.layers import fill_in
from batchfill.settings.origins import Origins
from batchfill.settings.retry_words import read_decided, read_flagged, read_missing
from batchfill.settings.settings import DEFAULTS, Settings
from batchfill.settings.surroundings import ALONE
from batchfill.settings.value_types import FilePath, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from batchfill.settings.base_choice import Base
    from batchfill.settings.credentials import Environment
    from batchfill.settings.surroundings import Surroundings


NO_CAP, BY_FLAG = "none", "flag"

MIRROR = "mirror"
"""The fact that says where the ledger is mirrored."""
IDEMPOTENT = "idempotent"
"""The fact that names the base of which the user said so: what is known of one says nothing of another."""
STANDARD_INPUT = Path("-")
"""The manifest's name when it comes that way; its paths are relative to the current folder."""


MADE_HERE = ("base_url", "env_file", "header", "id", "local", "out", "profile", "set", "token_command")
"""Settings that become something else."""


def read_flag(name: str, value: Any) -> Any:
    """Return the value of a flag, given as text or as what it is; None: not given. Raises UsageError."""
    if value is None:
        return None
    setting = BY_NAME.get(name)
    if setting is not None and isinstance(setting.type, FilePath):
        return Path(value)
    if setting is None or not isinstance(setting.type, Text) or isinstance(value, bool):
        return value
    try:
        return setting.type.read(str(value))
    except ValueError as error:
        raise UsageError(f"{setting.flag} {error}") from None


def resolve_settings(
    manifest: Path,
    flags: Mapping[str, Any],
    *,
    head: Mapping[str, Any],
    defaults: Mapping[str, str],
    column: Mapping[str, str],
    facts: Mapping[str, str],
    environ: Environment,
    around: Surroundings = ALONE,
) -> Settings:
    """Decide every setting: a flag goes before the manifest's *head*, that before what the ledger remembers.

    *flags* holds those that were given, by their names with underscores; *defaults* and *column* are the
    manifest's, *facts* the ledger's; *around* is what is said around the command. Raises UsageError for a
    value that cannot be.
    """
    around.refuse_mistakes()
    layers = around.layers
    given = {name: read_flag(name, value) for name, value in flags.items() if value is not None}
    placed = fill_in(flags, layers)
    folder = folder_of(manifest, placed)
    local = {"local": placed.get("local")}
    refuse_other_profile(folder.name, facts, layers, {**head, **given, **local})
    base = choose_base({**given, **local}, facts, layers)
    counting = CountingSettings(layers, base.shown)
    pairs = {"set": {**defaults, **given.get("set", {})}, "column": {**column, **given.get("column", {})}}
    chosen = {
        **_choose_values(base, given, head, facts, counting),
        "manifest": manifest,
        "folder": folder,
        "base": base.shown,
        "defaults": {**counting.pairs["set"], **pairs["set"]},
        "column": {**counting.pairs["column"], **pairs["column"]},
        **_read_choice(flags, given),
        **find_access(base, given.get("header", {}), counting, environ),
    }
    origins = Origins(base=base.shown, chosen=chosen, told={**head, **given, **pairs})
    return Settings(
        **chosen,
        origins=tuple(origins.lines(layers)),
        said_at=origins.places(layers),
        warnings=around.warnings,
    )


def _choose_values(
    base: Base,
    given: Mapping[str, Any],
    head: Mapping[str, Any],
    facts: Mapping[str, str],
    counting: CountingSettings,
) -> dict[str, Any]:
    """Return the settings that each have one value, of the strongest place that says it."""
    remembered = {
        name: facts.get(name) for name in ("model", "outputs", MIRROR) if _is_remembered(name, facts)
    }
    idempotent = {"idempotent": facts.get(IDEMPOTENT) == base.shown}
    said = {**idempotent, **counting.values, **remembered, **_with_cap(facts, head, counting), **given}
    cap_by_flag = "max_cost" in given or facts.get("max_cost_by") == BY_FLAG
    chosen = {name: value for name, value in said.items() if name not in MADE_HERE}
    if base.shown == LOCAL:
        # The emulator asks this machine only, and keeps what it was asked for on its disk. What it makes is
        # for no user.
        chosen["hand_over"], chosen["outputs"], chosen["cluster"] = DEFAULTS["hand_over"], None, None
    return {**DEFAULTS, **chosen, "cap_by_flag": cap_by_flag}


def _is_remembered(name: str, facts: Mapping[str, str]) -> bool:
    """Whether the batch remembers the setting *name*: one that has begun knows that it has no bucket too."""
    return name in facts or (name in ("outputs", MIRROR) and "base" in facts)


def _read_choice(flags: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows that --retry and --id mean."""
    retry = str(flags.get("retry") or "")
    return {
        "fetch_missing": read_missing(retry),
        "retry_decided": read_decided(retry),
        "retry_flagged": read_flagged(retry),
        "ids": _unique_ids(given.get("id", ())),
    }


def _unique_ids(given: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((given,) if isinstance(given, str) else given))


def _with_cap(
    facts: Mapping[str, str], head: Mapping[str, Any], counting: CountingSettings
) -> dict[str, Any]:
    """Return *head* with the cap that holds where no flag gives one.

    The manifest does not lift a --max-cost that the ledger remembers. What is said around the command lifts
    no remembered cap, and lowers one that was no flag.
    """
    if "max_cost" not in facts:
        return dict(head)
    cap = None if facts["max_cost"] == NO_CAP else int(facts["max_cost"])
    if facts.get("max_cost_by") == BY_FLAG:
        return {**head, "max_cost": cap}
    caps = [one for one in (cap, counting.values.get("max_cost")) if one is not None]
    return {"max_cost": min(caps, default=None), **head}


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
    if not manifest.name:  # `.` or `/`
        raise UsageError(f"{manifest} is a folder: name the manifest in it, such as night.csv")
    return manifest.with_name(manifest.stem + (".local.batch" if flags.get("local") else ".batch"))
