"""One frozen Settings, resolved once from flags, the manifest's head, the ledger and the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batchfill.errors import UsageError
from batchfill.readers import FLUX_FILL_DEV, READERS, read_decided, read_flagged, read_missing, read_retry
from batchfill.values import SHORTEST_SECRET, Choice, RowState, Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import time

    from batchfill.values import Decision

REPLICATE = "https://api.replicate.com/v1"
NO_CAP, BY_FLAG = "none", "flag"
TOKEN, REPLICATE_TOKEN = "BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"
SECRETS = frozenset({TOKEN, REPLICATE_TOKEN})
"""Variables of the environment that no other program is to see."""
NTFY = "ntfy+"
"""Before an address: it speaks the ntfy protocol, whatever it is called."""
LOCAL = "local"
"""What stands for the base when the embedded provider serves the run: its port changes, it does not."""


ENDED = frozenset({RowState.DONE, RowState.FAILED, RowState.EXPIRED})


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without the variables that hold a secret, under whatever name."""
    secrets = [text for name in SECRETS if len(text := environ.get(name, "").strip()) >= SHORTEST_SECRET]
    return {
        name: value
        for name, value in environ.items()
        if name not in SECRETS and not any(secret in value for secret in secrets)
    }


class Environment(Mapping[str, str]):
    """The variables of an environment without its secrets, which only `secret` gives.

    It shows none of its values, and a pickled one arrives without the secrets.
    """

    __slots__ = ("_plain", "_secrets")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._plain = without_secrets(environ)
        self._secrets = {name: Token(environ[name].strip()) for name in SECRETS & environ.keys()}

    def secret(self, name: str) -> Token | None:
        """Return the secret that the variable *name* holds, None when it is missing or blank."""
        found = self._secrets.get(name)
        return found if found is not None and found.reveal() else None

    def __getitem__(self, name: str) -> str:
        return self._plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def __repr__(self) -> str:
        return f"Environment({len(self)} variables)"

    def __deepcopy__(self, memo: object) -> Environment:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Environment, (self._plain,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command needs to know, decided. Money is in millionths of the currency."""

    manifest: Path
    folder: Path
    """The batch folder: `night.batch/`."""
    model: str = FLUX_FILL_DEV
    base: str = REPLICATE
    """A base URL without a trailing slash, or LOCAL."""
    token: Token | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Inputs for every row that gives none, as text: `defaults:` of the manifest under `--set`."""
    column: Mapping[str, str] = field(default_factory=dict)
    """Input name → the manifest's name for its column."""
    concurrency: int = 32
    rate: float = 600.0
    """Creates a minute."""
    attempts: int = 3
    retry: frozenset[RowState] = frozenset()
    fetch_missing: bool = False
    """Fetch files of finished rows again that are no longer there."""
    retry_decided: frozenset[Decision] = frozenset()
    retry_flagged: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ()
    """The only rows that may be submitted; none named: all."""
    limit: int | None = None
    skip_bad: bool = False
    max_cost: int | None = None
    cap_by_flag: bool = False
    """Whether *max_cost* was once given as a flag, which the manifest's own cannot change."""
    until: time | None = None
    prediction_timeout: float = 1800.0
    recover_wait: float = 300.0
    answer_timeout: float = 60.0
    allow_outside: bool = False
    same_account: bool = False
    accept_loss: int | None = None
    """Rows that this call may submit again though they may have been paid for, when it is just so many."""
    model_schema: Path | None = None
    encoding: str | None = None
    yes: bool = False
    quiet: bool = False
    extra_columns: bool = False
    """Keep unknown columns instead of refusing them."""
    price: int | None = None
    """Of one output, when given; else the catalog's on Replicate and on the embedded provider."""
    send: str = "fitted"
    """`fitted` or `original`."""
    latency: float | None = None
    """The embedded provider's pretended run time in seconds."""
    notify: str | None = field(default=None, repr=False)
    """Where notifications go, as `read_notify` returns it; who knows a webhook's address can use it."""

    @property
    def choice(self) -> Choice:
        """The rows that --retry and --id mean."""
        states, asked = self.retry, self.retry or self.retry_decided or self.retry_flagged
        if self.ids:
            # To name a row is to want it run, whatever has become of it; what may be paid for already is not
            # meant unless it is said.
            states |= {RowState.PENDING} if asked or self.fetch_missing else {RowState.PENDING, *ENDED}
        return Choice(states=states, decisions=self.retry_decided, flags=self.retry_flagged, ids=self.ids)

    @property
    def local(self) -> bool:
        """Whether the embedded provider serves the run."""
        return self.base == LOCAL


def _read_flag(name: str, value: Any) -> Any:
    read = {"retry": read_retry, "notify": read_notify}.get(name) or READERS.get(name)
    if read is None or isinstance(value, bool):
        return value
    try:
        return read(str(value))
    except ValueError as error:
        raise UsageError(f"--{name.replace('_', '-')} {error}") from None


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


def read_base(text: str) -> str:
    """Return the base of *text*, which may be a pasted create URL. Raises ValueError."""
    url = urlsplit(text.strip())
    host = url.hostname
    if url.scheme not in ("http", "https") or not host:
        raise ValueError(f"base URL must be an address such as {REPLICATE}, not {text!r}")
    if url.username or url.password:
        raise ValueError("base URL must not hold a user or password: the token comes from BATCHFILL_TOKEN")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError(f"base URL {text!r} would send the token in the clear: use https")
    path = re.sub(r"/(models|deployments|predictions|files|account)(/.*)?$", "", url.path.rstrip("/"))
    netloc = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{netloc}{f':{url.port}' if url.port else ''}{path}"


def read_notify(text: str) -> str:
    """Return *text*, the address that notifications are posted to. Raises ValueError.

    It begins with https:// or ntfy+https://; plain http is for this machine only, since whoever sees a
    webhook's or a topic's address on its way can use it.
    """
    text = text.strip()
    url = urlsplit(text.removeprefix(NTFY))
    if url.scheme not in ("http", "https") or not url.hostname or not _is_plain(text):
        raise ValueError("must be an address such as https://example.com/hook or https://ntfy.sh/TOPIC")
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user or password")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValueError("would send the address in the clear: use https")
    if url.port == 0:  # others that cannot be are refused by asking
        raise ValueError("names port 0, where nobody listens")
    return text


def _is_plain(text: str) -> bool:
    return all(c.isprintable() and not c.isspace() for c in text)


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine by name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def find_token(environ: Environment, base: str, *, base_named: bool) -> Token | None:
    """Return the token meant for *base*.

    REPLICATE_API_TOKEN belongs to Replicate: it goes elsewhere only to loopback, or to a base that the
    user named by flag or environment (*base_named*), never to one that was only remembered.
    """
    token = environ.secret(TOKEN)
    if token is None and (base_named or base == REPLICATE or is_loopback(urlsplit(base).hostname or "")):
        token = environ.secret(REPLICATE_TOKEN)
    if token is not None and not _is_usable(token):
        raise UsageError("the token holds spaces or characters that no token has: copy it again")
    return token


def _is_usable(token: Token) -> bool:
    return not any(not c.isprintable() or c.isspace() or ord(c) > 126 for c in token.reveal())


def resolve(
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
    chosen = {**known, **_cap(facts, head), **given}
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
            "ids": _ids(given.get("id", ())),
            "cap_by_flag": "max_cost" in given or facts.get("max_cost_by") == BY_FLAG,
            "token": None if base == LOCAL else find_token(environ, base, base_named=base_named),
            "defaults": {**defaults, **given.get("set", {})},
            "column": {**column, **given.get("column", {})},
        }
    )


def _ids(given: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((given,) if isinstance(given, str) else given))


def _cap(facts: Mapping[str, str], head: Mapping[str, Any]) -> dict[str, Any]:
    """Return *head* under the --max-cost that the ledger remembers, which the manifest does not lift."""
    if "max_cost" not in facts:
        return dict(head)
    cap = None if facts["max_cost"] == NO_CAP else int(facts["max_cost"])
    return {**head, "max_cost": cap} if facts.get("max_cost_by") == BY_FLAG else {"max_cost": cap, **head}


def folder_of(manifest: Path, flags: Mapping[str, Any]) -> Path:
    """Return the batch folder: what --out names, else `night.batch` beside `night.csv`."""
    try:
        os.fsencode(manifest.absolute()).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{str(manifest)!a}: the name of its folder is not UTF-8: rename it") from None
    if flags.get("out"):
        return Path(flags["out"])
    return manifest.with_name(manifest.stem + (".local.batch" if flags.get("local") else ".batch"))
