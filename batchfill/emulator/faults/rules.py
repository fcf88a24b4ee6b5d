"""Faults on demand: which request is answered wrongly, and how."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from batchfill.emulator.faults.kinds import ANY, MEMBERS, check_kind, check_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: from the *first* request of a *call* on, or at the positions *at*, something goes wrong.

    Positions count the requests of that call from 1; with the call `any`, those of every call. Raises
    ValueError for what does not exist.
    """

    call: str
    kind: str
    at: frozenset[int] | None = None
    first: int = 1
    times: int | None = None
    """At most so often; None: always."""
    probability: float = 1.0
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    after: float = 0.0
    """Seconds since the provider's start, by its clock, from which on the rule holds."""
    before: float | None = None
    """Seconds since the provider's start at which it ends; None for never."""

    def __post_init__(self) -> None:
        check_kind(self.call, self.kind, self.options)
        told = {name: value for name in MEMBERS if (value := getattr(self, name)) is not None}
        for name, value in {**told, **self.options}.items():
            check_value(name, value)
        if self.before is not None and self.before <= self.after:
            raise ValueError(f"before ({self.before:g} s) must be later than after ({self.after:g} s)")

    def option(self, name: str, default: Any) -> Any:
        """Return one option."""
        return self.options.get(name, default)

    def is_active(self, elapsed: float) -> bool:
        """Whether it holds so many seconds after the provider's start."""
        return self.after <= elapsed and (self.before is None or elapsed < self.before)


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

    def match(self, call: str, elapsed: float = 0.0) -> tuple[Fault, ...]:
        """Count one request of *call*, so many seconds after the start; return the faults that hit it."""
        self._made.update((call, ANY))
        return tuple(rule for n, rule in enumerate(self._rules) if self._is_hit(n, rule, call, elapsed))

    def _is_hit(self, n: int, rule: Fault, call: str, elapsed: float) -> bool:
        place = self._made[rule.call]
        due = rule.call in (call, ANY) and (place in rule.at if rule.at is not None else place >= rule.first)
        if (
            not due
            or not rule.is_active(elapsed)
            or (rule.times is not None and self._struck[n] >= rule.times)
        ):
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self._struck[n] += 1
        return True
