"""One frozen Settings value: everything that a command needs to know, decided."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from batchfill.domain.progress import LogStyle
from batchfill.domain.rows import ENDED, RedoRule, RowSelection, RowState
from batchfill.domain.token import ExtraSecrets
from batchfill.settings.addresses import LOCAL
from batchfill.settings.definitions import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import time
    from pathlib import Path

    from batchfill.domain.review import Decision
    from batchfill.domain.token import Token
    from batchfill.settings.credentials import TokenCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command needs to know, decided. Money is in millionths of the currency.

    Fields without a default here have theirs in the table of settings: `DEFAULTS`.
    """

    manifest: Path
    folder: Path
    """The batch folder: `night.batch/`."""
    model: str
    base: str
    """A base URL without a trailing slash, the values of its query hidden; or LOCAL."""
    plain_http: bool
    idempotent: bool
    """The provider answers a create with a known `Idempotency-Key` as before, and makes nothing new."""
    token: Token | None = None
    token_command: TokenCommand | None = None
    """What prints the token where the user keeps it elsewhere: it is asked once, before the first request."""
    extras: ExtraSecrets = field(default_factory=ExtraSecrets)
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Inputs for every row that gives none, as text: `defaults:` of the manifest under `--set`."""
    literal_prompt: bool = False
    """Whether the default prompt names no columns: as it was when the batch was begun."""
    literal_quotes: bool = False
    """Whether quotes behind a space in a CSV are text: as they were when the batch was begun."""
    finished_by_default: bool = False
    """Whether rows with local files that do not say how are finished exactly: not in batches begun before."""
    rows_said: Mapping[str, Any] = field(default_factory=dict)
    """What was said around the command, when the batch was begun, of settings that decide its rows."""
    column: Mapping[str, str] = field(default_factory=dict)
    """Input name → the manifest's name for its column."""
    concurrency: int
    rate: float
    """Creates a minute."""
    attempts: int
    retry: frozenset[RowState]
    fetch_missing: bool = False
    """Fetch files of finished rows again that are no longer there."""
    retry_decided: frozenset[Decision] = frozenset()
    retry_flagged: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ()
    """The only rows that may be submitted; none named: all."""
    redo_flagged: tuple[str, ...]
    """Flags for which rows are made again within the same run."""
    redo_times: int
    limit: int | None
    skip_bad: bool
    max_cost: int | None
    cap_by_flag: bool = False
    """Whether *max_cost* was once given as a flag, which the manifest's own cannot change."""
    until: time | None
    prediction_timeout: float
    recover_wait: float
    answer_timeout: float
    allow_outside: bool
    same_account: bool
    accept_loss: int | None
    """Rows that this call may submit again though they may have been paid for, when it is just so many."""
    mirror: str | None
    """Where every commit of the ledger is put too, with a slash at its end; `none`: nowhere any more."""
    take_over: bool
    """Go on with the batch that is mirrored there, whatever runs it elsewhere."""
    model_schema: Path | None
    encoding: str | None
    sheet: str | None
    yes: bool
    quiet: bool
    verbose: bool
    log_format: str
    """`text` or `json`."""
    extra_columns: bool
    """Keep unknown columns instead of refusing them."""
    price: int | None
    """Of one output, when given; else the catalog's on Replicate and on the local emulator."""
    send: str
    """`fitted` or `original`."""
    outputs: str | None
    """Where the pictures are instead of the batch folder, `s3://bucket/night/`; None: in that folder."""
    hand_over: str
    """`bucket` or `upload`: how pictures in buckets reach the service."""
    s3_endpoint: str | None
    """The server of `s3://` addresses; None: as the environment says."""
    cluster: str | None
    """The address of a scheduler, `tls://host:8786`; None: this machine does all the work."""
    worker_wait: float
    """Seconds without a worker of the cluster, after which this machine does what its workers would do."""
    plain_cluster: bool
    workers: int | None
    """Processes of this machine that work on pictures; None: one a core."""
    latency: float | None
    """The local emulator's pretended run time in seconds."""
    notify: str | None = field(repr=False)
    """Where notifications go, as `read_notify` returns it; who knows a webhook's address can use it."""
    origins: tuple[str, ...] = ()
    """Lines of what counts here, and was said neither with the command nor in the manifest."""
    said_at: Mapping[str, str] = field(default_factory=dict)
    """The places of settings that count, and were said neither with the command nor in the manifest."""
    warnings: tuple[str, ...] = ()
    """About what is said around the command, and the files that say it."""

    on_end: str | None = field(repr=False)
    """A command that is started when the run is over: its words may hold a secret of the user's."""

    @property
    def choice(self) -> RowSelection:
        """The rows that --retry and --id mean."""
        states, asked = self.retry, self.retry or self.retry_decided or self.retry_flagged
        if self.ids:
            # To name a row is to want it run, whatever has become of it; what may be paid for already is not
            # meant unless it is said.
            states |= {RowState.PENDING} if asked or self.fetch_missing else {RowState.PENDING, *ENDED}
        return RowSelection(
            states=states, decisions=self.retry_decided, flags=self.retry_flagged, ids=self.ids
        )

    @property
    def log_style(self) -> LogStyle:
        """How run.log is written, and what of it is told."""
        return LogStyle(verbose=self.verbose, as_json=self.log_format == "json")

    @property
    def redo_rule(self) -> RedoRule | None:
        """Which rows a run makes again by itself; None: none."""
        return RedoRule(self.redo_flagged, self.redo_times) if self.redo_flagged else None

    @property
    def address(self) -> str:
        """The base as requests go to it: without its query, whose values are among the secrets."""
        return self.base.partition("?")[0]

    @property
    def local(self) -> bool:
        """Whether the local emulator serves the run."""
        return self.base == LOCAL


_BY_TABLE = {field.name for field in fields(Settings) if field.default is field.default_factory is MISSING}
DEFAULTS = {setting.name: setting.default for setting in SETTINGS if setting.name in _BY_TABLE}
"""What the table of settings says of the fields of Settings."""
