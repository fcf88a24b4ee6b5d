"""A fault plan: a YAML file that says how a provider is to go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from batchfill.emulator.dialects.dialect import MANNERS, Dialect, check_manner
from batchfill.emulator.faults.kinds import MEMBERS, check_value, unknown_name
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import OFFERS, Quirks
from batchfill.emulator.rate_limit import LOW_CREDIT
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SETTINGS = ("seed", "clock_skew", "rate", "credit", "faults", "offers", "dialect")
_RATE = ("per_minute", "burst")
_RULE = ("call", "kind", *MEMBERS)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What a plan asks of a provider; the defaults ask for nothing."""

    faults: Faults = field(default_factory=Faults)
    rate: float | None = None
    """Creates a minute; None for any number."""
    burst: int = 10
    quirks: Quirks = field(default_factory=Quirks)


def read_plan(path: Path) -> FaultPlan:
    """Return the plan in a YAML file; everything in it may be left out:

        seed: 7                           # of all chance in it
        clock_skew: -120                  # seconds that the service's clock is ahead
        rate: {per_minute: 600, burst: 10}    # or `credit: low`: 6 a minute, one at once
        offers: [list, cancel]            # the calls that it has besides create and get
        dialect: {envelope: data, words: synonyms, times: epoch}    # as in `Dialect`
        faults:
          - {call: create, kind: status, status: 429, form: resets, seconds: 30, probability: 0.02}
          - {call: create, kind: reset_after, at: [3, 17]}
          - {call: output, kind: cut, first: 5, times: 2}
          - {call: any, kind: down, after: 3600, before: 7200}

    `Dialect` explains each manner of a dialect. `at`, `first` and `times` count the requests of that call,
    `after` and `before` are seconds since the start; what else stands in a fault are the options of its kind,
    as in `kinds.OPTIONS`. Raises UsageError,
    which names every mistake.
    """
    reading = _Reading(_load_yaml(path))
    plan = reading.read_plan()
    if reading.mistakes:
        raise UsageError("\n".join(f"{path.name}: {mistake}" for mistake in reading.mistakes))
    return plan


def _load_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_bytes(), _LOADER)  # noqa: S506 - it is a safe loader
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{path.name}{line}: not YAML: {error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path.name}: not YAML: {error}") from error


class _Reading:
    """The plan in *told*, and what is wrong with it."""

    def __init__(self, told: Any) -> None:
        self.mistakes: list[str] = []
        self._told: dict[Any, Any] = told if isinstance(told, dict) else {}
        if not isinstance(told, dict):
            self.mistakes.append("must be names and values, such as `clock_skew: -120`")
        self.mistakes += [
            unknown_name("setting", name, _SETTINGS) for name in self._told if name not in _SETTINGS
        ]

    def read_plan(self) -> FaultPlan:
        """Return the plan, as far as it can be read."""
        seed, skew = self._read_number("seed", 0), self._read_number("clock_skew", 0.0)
        faults = Faults(self._read_rules(), seed=int(seed), clock_skew=skew)
        rate, burst = self._read_rate()
        return FaultPlan(
            faults, rate, burst, Quirks(offers=self._read_offers(), dialect=self._read_dialect())
        )

    def _read_offers(self) -> frozenset[str]:
        told = self._told.get("offers", list(OFFERS))
        wrong = not isinstance(told, list) or not all(isinstance(name, str) for name in told)
        if wrong or not OFFERS.issuperset(told):
            self.mistakes.append(f"offers must be a list of {', '.join(sorted(OFFERS))}, not {told!r:.60}")
            return OFFERS
        return frozenset(told)

    def _read_dialect(self) -> Dialect:
        told = self._told.get("dialect") or {}
        if not isinstance(told, dict):
            self.mistakes.append("dialect must be names and values, such as {envelope: data}")
            return Dialect()
        manners = {}
        for name, value in told.items():
            try:
                if name not in MANNERS:
                    raise ValueError(unknown_name("manner", name, MANNERS))  # noqa: TRY301 - one list of mistakes
                check_manner(name, value)
                manners[name] = value
            except ValueError as error:
                self.mistakes.append(f"dialect: {error}")
        return Dialect(**manners)

    def _read_number(self, name: str, otherwise: float) -> float:
        value = self._told.get(name, otherwise)
        return value if self._check_setting(name, value) else otherwise

    def _check_setting(self, name: str, value: Any) -> bool:
        try:
            check_value(name, value)
        except ValueError as error:
            self.mistakes.append(str(error))
            return False
        return True

    def _read_rate(self) -> tuple[float | None, int]:
        rate, credit = self._told.get("rate"), self._told.get("credit")
        if credit not in (None, "low"):
            self.mistakes.append(f"credit must be low, not {credit!r:.60}")
        if rate is not None and credit is not None:
            self.mistakes.append("rate and credit both set the pace: leave one out")
        if rate is None:
            return LOW_CREDIT if credit else (None, 10)
        if not isinstance(rate, dict) or "per_minute" not in rate:
            self.mistakes.append("rate must be such as {per_minute: 600, burst: 10}")
            return None, 10
        self.mistakes += [f"rate: {unknown_name('name', name, _RATE)}" for name in rate if name not in _RATE]
        told = {"burst": 10, **{name: rate[name] for name in _RATE if name in rate}}
        wrong = [name for name, value in told.items() if not self._check_setting(name, value)]
        return (None, 10) if wrong else (told["per_minute"], told["burst"])

    def _read_rules(self) -> Iterator[Fault]:
        told = self._told.get("faults") or []
        if not isinstance(told, list):
            self.mistakes.append("faults must be a list, each such as `- {call: create, kind: reset_after}`")
            return
        for number, rule in enumerate(told, 1):
            try:
                yield _read_rule(rule)
            except ValueError as error:
                self.mistakes.append(f"fault {number}: {error}")


def _read_rule(told: Any) -> Fault:
    """Return one fault. Raises ValueError."""
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in ("call", "kind")):
        raise ValueError("call and kind must be given, such as {call: create, kind: reset_after}")
    if "at" in told and "first" in told:
        raise ValueError("at and first exclude each other")
    members = {name: told[name] for name in _RULE if told.get(name) is not None}
    if isinstance(members.get("at"), list):
        check_value("at", members["at"])
        members["at"] = frozenset(members["at"])
    return Fault(**members, options={name: value for name, value in told.items() if name not in _RULE})
