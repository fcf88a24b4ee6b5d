"""Waits that suit an emulator in the same process, put in the place of those for a service far away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batchfill.run import timings

if TYPE_CHECKING:
    import pytest

QUICK = timings.Timings(
    first_poll=0.02,
    refused_poll_gap=0.02,
    longest_refusal=0.2,
    retention=0.2,
    refused_create=0.02,
    list_lag=0.05,
    first_pause=0.05,
    upload_retry=0.02,
    attempt_retry=0.02,
    download_retry=0.02,
    progress=0.02,
    inbox_look=0.02,
)

SOON = {"answer_timeout": 1, "recover_wait": 0}
"""Settings with which a lost submission is proved absent, or in doubt, within a second or so."""


def set_timings(monkeypatch: pytest.MonkeyPatch, **seconds: Any) -> None:
    """Change waits of the runs that a test starts from here on."""
    monkeypatch.setattr(timings, "DEFAULT", replace(timings.DEFAULT, **seconds))
