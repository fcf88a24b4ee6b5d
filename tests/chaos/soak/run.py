"""The long test of the three promises, an hour: `make soak`.

Every part goes through what a night may bring, from one seed, and prints a table. It ends with 1 when a
promise was broken; then the folder with everything that was written stays, and the seed makes it again.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.crashes.edges import walk_all
from tests.chaos.crashes.lines import lines as deaths
from tests.chaos.soak.clustered import clustered
from tests.chaos.soak.flips import flipped
from tests.chaos.soak.in_bucket import in_bucket
from tests.chaos.soak.kills import ALL, doubts, kill_runs, promises
from tests.chaos.soak.nights import (
    clock_nights_drawn,
    damaged_nights_drawn,
    drawn_nights,
    dressed_nights_drawn,
    whole_night,
)
from tests.chaos.soak.outputs import bad_outputs
from tests.chaos.soak.restored import restored
from tests.chaos.soak.settings import DOUBT, SOAK
from tests.chaos.soak.surroundings import surrounded
from tests.chaos.soak.table import table
from tests.chaos.soak.taken_over import taken_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.soak.kills import Lived
    from tests.chaos.soak.settings import Setting
    from tests.chaos.soak.table import Line


NIGHTS = 500
"""Nights whose clocks and lists cannot be relied on."""

DRESSED = 2000
"""Nights at gateways with manners of their own, and as many whose answers arrive damaged."""

EDGES = 300
"""Deaths beside an effect, drawn from all there are."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of every part."""

    seed: int
    kills: int
    minutes: float
    folder: Path
    """Empty, and for this soak alone."""


def killed(asked: Asked) -> list[Line]:
    """Kill runs in every setting."""
    return promises(_kill(SOAK, asked))


def doubted(asked: Asked) -> list[Line]:
    """Count what a kill leaves in doubt at a gateway, at two paces and two answer times."""
    return doubts(_kill(DOUBT, asked))


def crashed(asked: Asked) -> list[Line]:
    """Let runs die beside their effects, and the power fail between them."""
    return deaths(walk_all(asked.folder / "edges", at_most=EDGES, seed=asked.seed))


def simulated(asked: Asked) -> list[Line]:
    """Play nights in virtual time."""
    return [drawn_nights(asked.seed, minutes=asked.minutes / 2), whole_night(asked.seed)]


def fooled(asked: Asked) -> list[Line]:
    """Play nights whose clocks and lists cannot be relied on."""
    return [clock_nights_drawn(asked.seed, nights=NIGHTS)]


def answered(asked: Asked) -> list[Line]:
    """Play nights at gateways whose answers have forms of their own, and nights whose answers are damaged."""
    return [
        dressed_nights_drawn(asked.seed, nights=DRESSED),
        damaged_nights_drawn(asked.seed, nights=DRESSED),
    ]


PARTS: dict[str, Callable[[Asked], list[Line]]] = {
    "killed": killed,
    "crashed": crashed,
    "simulated": simulated,
    "fooled": fooled,
    "answered": answered,
    "restored": lambda asked: restored(asked.seed, asked.folder / "restored"),
    "bad outputs": lambda asked: bad_outputs(asked.seed, asked.folder / "outputs"),
    "surroundings": lambda asked: surrounded(asked.seed, asked.folder / "surroundings"),
    "taken over": lambda asked: taken_over(asked.seed, asked.folder / "taken"),
    "in a bucket": lambda asked: in_bucket(asked.seed, asked.folder / "bucket"),
    "clustered": lambda asked: clustered(asked.seed, asked.folder / "cluster"),
    "flipped": lambda asked: flipped(asked.seed, asked.folder / "flips"),
}
"""What a soak goes through: each part is a table, by its title."""

OTHERS: dict[str, Callable[[Asked], list[Line]]] = {"doubted": doubted}
"""Measurements, made when they are named."""


def main() -> None:
    """Go through the parts and say what broke."""
    options = _options()
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    asked = Asked(options.seed, options.kills, options.minutes, folder)
    broken = [text for title in options.parts or PARTS for text in _go_through(title, asked)]
    for text in broken[:50]:
        print(f"BROKEN: {text}")
    if broken:
        print(
            f"{len(broken)} broken, see {folder}; again: python -m tests.chaos.soak.run --seed {asked.seed}"
        )
        sys.exit(1)
    shutil.rmtree(folder)
    print("every promise was kept")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, *OTHERS, []], metavar="PART")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--kills", type=int, default=210)
    parser.add_argument("--minutes", type=float, default=8.0)
    return parser.parse_args()


def _go_through(title: str, asked: Asked) -> tuple[str, ...]:
    """Print the table of one part and return what broke."""
    lines = {**PARTS, **OTHERS}[title](asked)
    print("", *table(title, lines), sep="\n", flush=True)
    return tuple(text for line in lines if line.name != ALL for text in line.broken)


def _kill(settings: tuple[Setting, ...], asked: Asked) -> dict[str, list[Lived]]:
    # It looks like a real one, so that it is found where a real one would be.
    token = f"r8_{secrets.token_hex(18)}"
    return kill_runs(
        settings, asked.folder, token=token, seed=asked.seed, kills=asked.kills, minutes=asked.minutes
    )


if __name__ == "__main__":
    main()
