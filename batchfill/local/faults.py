"""Faults on demand: which request is answered wrongly, and how."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CALLS = frozenset({"create", "get", "list", "cancel", "files", "account", "model", "output"})

OPTIONS: Mapping[str, frozenset[str]] = {
    # Any call: an answer of `status`; `late` lets the request take effect first. Without `body` (text, or
    # something for JSON) the documented one; `form` and `seconds` choose among those of 429.
    "status": frozenset({"status", "body", "headers", "content_type", "late", "form", "seconds"}),
    "reset_before": frozenset(),  # the connection is reset, nothing took effect
    "reset_after": frozenset(),  # it took effect, then the connection is reset
    "delay": frozenset({"seconds"}),  # it took effect, the answer comes so many seconds later
    "cut": frozenset(),  # half of the answer's body, then the end of the connection
    "invalid_json": frozenset(),
    "no_id": frozenset(),
    # What becomes of the prediction that a create makes.
    "fail": frozenset({"error"}),
    "nsfw": frozenset(),
    "aborted": frozenset(),
    "stuck": frozenset(),  # never ends unless it is canceled, or by its deadline
    "fewer": frozenset({"count"}),  # so many outputs are left out; one stays
    # How an output is served.
    "garbage": frozenset(),  # right length, wrong bytes
    "html": frozenset(),
    "wrong_length": frozenset(),  # half of the file under a Content-Length that agrees
    "slow": frozenset({"seconds"}),  # a pause in the middle
    "expired": frozenset(),  # the prediction's data is removed at this very moment
    # What a list shows.
    "empty": frozenset(),
    "lagging": frozenset({"seconds"}),  # nothing younger than this
    "without_inputs": frozenset(),
    "strangers": frozenset({"count"}),  # so many predictions of somebody else on top
}
"""Every kind, with the options that it takes."""

FATES = frozenset({"fail", "nsfw", "aborted", "stuck", "fewer"})
SERVINGS = frozenset({"garbage", "html", "wrong_length", "slow", "expired"})
LISTINGS = frozenset({"empty", "lagging", "without_inputs", "strangers"})

_ONLY: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(FATES, frozenset({"create"})),
    **dict.fromkeys(SERVINGS, frozenset({"output"})),
    **dict.fromkeys(LISTINGS, frozenset({"list"})),
    "no_id": frozenset({"create", "get", "cancel"}),
    "invalid_json": CALLS - {"output"},
}
"""Kinds that make sense for some calls only."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: from the *first* request of a *call* on, or at the positions *at*, something goes wrong.

    Positions count the requests of that call from 1. Raises ValueError for what does not exist.
    """

    call: str
    kind: str
    at: frozenset[int] | None = None
    first: int = 1
    times: int | None = None
    """At most so often; None for ever."""
    probability: float = 1.0
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.call not in CALLS:
            raise ValueError(f"unknown call {self.call!r}; known are {', '.join(sorted(CALLS))}")
        if self.kind not in OPTIONS:
            raise ValueError(f"unknown fault {self.kind!r}; known are {', '.join(sorted(OPTIONS))}")
        if self.call not in _ONLY.get(self.kind, CALLS):
            raise ValueError(f"the fault {self.kind} does not exist for the call {self.call}")
        unknown = set(self.options) - OPTIONS[self.kind]
        if unknown:
            raise ValueError(f"the fault {self.kind} has no option {', '.join(sorted(unknown))}")
        if self.kind == "status" and not isinstance(self.options.get("status"), int):
            raise ValueError("the fault status needs the option status, a number")

    def option(self, name: str, default: Any) -> Any:
        """Return one option."""
        return self.options.get(name, default)


class Faults:
    """The rules in force, and how often each call was made. May be changed while the provider runs."""

    def __init__(self, rules: Iterable[Fault] = (), *, seed: int = 0, clock_skew: float = 0.0) -> None:
        """*clock_skew*: seconds that the provider's clock is ahead, in `Date` and in every time it names."""
        self.clock_skew = clock_skew
        self._rules = list(rules)
        # It decides what breaks, not what is secret.
        self._random = random.Random(seed)  # noqa: S311
        self._made: Counter[str] = Counter()
        self._struck: Counter[int] = Counter()

    def add(self, *rules: Fault) -> None:
        """Put further rules in force; their positions count from the provider's start all the same."""
        self._rules.extend(rules)

    def clear(self) -> None:
        """Put all rules out of force."""
        self._rules.clear()
        self._struck.clear()

    def strike(self, call: str) -> tuple[Fault, ...]:
        """Count one request of *call* and return the faults that hit it."""
        self._made[call] += 1
        place = self._made[call]
        return tuple(rule for n, rule in enumerate(self._rules) if self._hits(n, rule, call, place))

    def _hits(self, n: int, rule: Fault, call: str, place: int) -> bool:
        due = rule.call == call and (place in rule.at if rule.at is not None else place >= rule.first)
        if not due or (rule.times is not None and self._struck[n] >= rule.times):
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self._struck[n] += 1
        return True
