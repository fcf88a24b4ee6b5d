"""One frozen Settings value: everything that a command needs to know, decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchfill.domain.rows import RowSelection, RowState
from batchfill.settings.addresses import LOCAL, REPLICATE
from batchfill.settings.definitions import FLUX_FILL_DEV

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import time
    from pathlib import Path

    from batchfill.domain.review import Decision
    from batchfill.domain.token import Token


ENDED = frozenset({RowState.DONE, RowState.FAILED, RowState.EXPIRED})


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
    """Of one output, when given; else the catalog's on Replicate and on the local emulator."""
    send: str = "fitted"
    """`fitted` or `original`."""
    latency: float | None = None
    """The local emulator's pretended run time in seconds."""
    notify: str | None = field(default=None, repr=False)
    """Where notifications go, as `read_notify` returns it; who knows a webhook's address can use it."""

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
    def local(self) -> bool:
        """Whether the local emulator serves the run."""
        return self.base == LOCAL
