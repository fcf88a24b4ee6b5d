"""What happens in a night, as a value that can be drawn, printed and played again."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchfill.emulator.dialects.dialect import Dialect
from tests.chaos.nights.relay import Relay

HOUR = 3600.0


@dataclass(frozen=True)
class Death:
    """The program is killed, and started again."""

    at: float
    """Seconds after the start of the night."""
    effects: int = 0
    """How many effects later than that."""
    away: float = 30.0
    """Seconds until somebody starts it again."""


@dataclass(frozen=True)
class Outage:
    """Nothing passes the network."""

    at: float
    """Seconds after the start of the night."""
    lasts: float


@dataclass(frozen=True)
class Trouble:
    """A fault of the provider, all night long."""

    call: str
    kind: str
    probability: float
    options: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Schedule:
    """One night."""

    seed: int = 0
    rows: int = 40
    concurrency: int = 8
    rate: float = 600.0
    """Creates a minute that the user asks for."""
    run_time: float = 10.0
    allowed: tuple[tuple[float, float], ...] = ()
    """From so many seconds on, so many creates a minute are allowed; before the first: any number."""
    deaths: tuple[Death, ...] = ()
    outages: tuple[Outage, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    stops: tuple[float, ...] = ()
    """When somebody asks the run to stop, in seconds after the start of the night; it is started again."""
    edits: tuple[int, ...] = ()
    """Seeds of what the user does to the manifest before each start after the first."""
    recover_wait: float = 300.0
    consents: bool = False
    """Whether the last start says --retry failed,expired,in-doubt."""
    offers_list: bool = True
    relay: Relay = field(default_factory=Relay)
    """What lies between, with clocks and lists of its own."""
    dialect: Dialect = field(default_factory=Dialect)
    """The form of the provider's answers."""
    keys: bool = False
    """Whether the provider honours the keys of creates, and the user says so."""
    damage: float = 0.0
    """Share of the answers whose bodies arrive damaged."""
    skew: float = 0.0
    """Seconds that the provider's clock is ahead of ours."""
    max_cost: int | None = None
    """Pictures that the user is ready to pay for; None: all."""
    until: float | None = None
    """Seconds after the start of the night by which all is to be fetched."""
    two_outputs: float = 0.1
    """Share of rows that ask for two pictures."""
    own_seeds: float = 0.1
    """Share of rows that fix their seeds, two of them to the same."""
    starts: int = 200
    """How often the user starts it at most, deaths not counted."""
