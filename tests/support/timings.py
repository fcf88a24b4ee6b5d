"""The waits of a run, and its clock.

*Quick* waits suit an emulator in the same process; they replace those for a service far away.
*Later* puts batchfill's clock ahead.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.clock import SystemClock
from batchfill.providers import rate_limiter, requests
from batchfill.providers.requests import timeout_for
from batchfill.settings import timings

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = timings.Timings(
    first_poll=0.02,
    refused_poll_gap=0.02,
    longest_refusal=0.2,
    outputs_kept=0.2,
    refused_create=0.02,
    list_lag=0.05,
    first_pause=0.05,
    upload_retry=0.02,
    attempt_retry=0.02,
    download_retry=0.02,
    late_outputs=0.0,
    storage_retries=(0.02, 0.05, 0.1, 0.2),
    disk_look=0.05,
    question_retries=(0.02, 0.05, 0.1),
    progress=0.1,
    inbox_look=0.1,
    mirror_lease=1.0,
    cluster_fetch_pause=0.2,
)

SOON = {"answer_timeout": 1, "recover_wait": 0}
"""Settings with which a lost submission is proved absent, or in doubt, within a second or so."""


def set_timings(monkeypatch: pytest.MonkeyPatch, **seconds: Any) -> None:
    """Change waits of the runs that a test starts from here on."""
    monkeypatch.setattr(timings, "DEFAULT", replace(timings.DEFAULT, **seconds))


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the waits short that only a service far away needs.

    A batch with a short `answer_timeout` knows soon that a lost answer is over, and an answer that is late
    because the machine is busy is not lost: only silence that a test asks for (`silence`) counts.
    """
    monkeypatch.setattr(timings, "DEFAULT", QUICK)
    monkeypatch.setattr(rate_limiter, "DEFAULT_PAUSE", 0.1)
    monkeypatch.setattr(rate_limiter, "SPARE", 0.05)
    monkeypatch.setattr(requests, "timeout_for", lambda size, seconds: timeout_for(size, max(seconds, 60.0)))


@pytest.fixture
def silence(hurry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request that nobody answers be lost after the batch's own `answer_timeout`."""
    monkeypatch.setattr(requests, "timeout_for", timeout_for)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put batchfill's clock so many seconds ahead, as if they had passed."""
    ahead = [0.0]
    monkeypatch.setattr(SystemClock, "now", lambda _: time.time() + ahead[0])

    def pass_(seconds: float) -> None:
        ahead[0] += seconds

    return pass_
