"""The circumstances in which runs are killed: what the provider is like, and how the batch is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One provider and one way to run a batch at it."""

    name: str
    plan: str
    """Of the provider's faults: a file in `plans/`."""
    has_list: bool = True
    """Whether every row must be done in the end, for what is in doubt can be looked up."""
    mortal: bool = False
    """Whether the provider is killed too."""
    rows: int = 160
    """Of one batch: more than are done before the last of its kills."""
    latency: float = 1.0
    """Seconds that a prediction runs."""
    life: float = 2.5
    """Seconds that a run works, at most, until it is killed."""
    concurrency: int = 32
    rate: int = 6000
    """Submissions a minute."""


SOAK = (
    Setting(name="a bad night", plan="bad-night.yaml"),
    Setting(name="a gateway", plan="slow-gateway.yaml", has_list=False, rows=240),
    Setting(name="provider killed", plan="slow.yaml", mortal=True),
)
"""What `make soak` goes through."""


def _doubtful(rate: int, plan: str, answers: str) -> Setting:
    name = f"{rate:,} a minute, answered in {answers}"
    return Setting(name=name, plan=plan, has_list=False, rows=700, latency=5.0, life=8.0, rate=rate)


DOUBT = (
    _doubtful(600, "gateway.yaml", "0 s"),
    _doubtful(600, "slow-gateway.yaml", "0.3 s"),
    _doubtful(6000, "gateway.yaml", "0 s"),
    _doubtful(6000, "slow-gateway.yaml", "0.3 s"),
)
"""How much a kill leaves in doubt where nothing can be looked up."""
