"""What batchfill costs next to other clients, for photographs, and with up to a million rows: `make bench`.

The tables are printed as Markdown; they, the single rounds and a plot of each are saved. Quote CPU times and
ratios: on a busy machine the others say little.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import clients, photographs, results, scale, tables
from tests.bench.measure import measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.results import Circumstances

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of every part."""

    rounds: int
    rows: int
    save: Path
    under: Circumstances


def beside_clients(asked: Asked) -> None:
    """Measure, print and save the first table."""
    together, alone = clients.compare(asked.rounds, say), clients.go_alone(clients.ALONE, asked.rounds, say)
    middle = {name: clients.median_of(found) for name, found in together.items()}
    middle_alone = {name: clients.median_of(found) for name, found in alone.items()}
    print(*tables.clients_table(middle), "", *tables.alone_table(middle_alone), "", sep="\n", flush=True)
    found = {"medians": middle, "alone": middle_alone, "rounds": together, "alone_rounds": alone}
    results.save(asked.save / "clients.json", asked.under, **found)


def with_many_in_flight(asked: Asked) -> None:
    """Measure, print and save how many rows a second are made."""
    found = clients.go_alone(clients.MANY, asked.rounds, say)
    middle = {name: clients.median_of(figures) for name, figures in found.items()}
    ideals = {name: setting.rows / setting.ideal for name, setting in clients.MANY.items()}
    print(*tables.in_flight_table(middle, ideals), "", sep="\n", flush=True)
    results.save(asked.save / "in_flight.json", asked.under, medians=middle, possible=ideals)


def at_scale(asked: Asked) -> None:
    """Measure, print and save the second table."""
    sizes = [rows for rows in scale.SIZES if rows <= asked.rows]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        help_ms = scale.help_cpu(Path(folder))
        found = scale.measure(sizes, asked.rounds, Path(folder), say)
    print(*tables.scale_table(found), "", f"`batchfill --help`: {help_ms:.0f} ms", "", sep="\n", flush=True)
    results.save(asked.save / "scale.json", asked.under, help_ms=round(help_ms, 1), sizes=found)


def of_photographs(asked: Asked) -> None:
    """Measure, print and save the tables of photographs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        measured("tests.bench.photo_files", folder=folder)
        steps = photographs.measure_steps(asked.rounds, folder, say)
        print(*photographs.steps_table(steps), "", sep="\n", flush=True)
        scripts = photographs.measure_scripts(asked.rounds, folder, say)
    print(*photographs.scripts_table(scripts), "", sep="\n", flush=True)
    results.save(asked.save / "photographs.json", asked.under, steps=steps, scripts=scripts)


PARTS: dict[str, Callable[[Asked], None]] = {
    "clients": beside_clients,
    "in-flight": with_many_in_flight,
    "photographs": of_photographs,
    "scale": at_scale,
}


def main() -> None:
    """Go through the parts that are asked for."""
    options = _options()
    # An end that is asked for must come to the processes that were started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    under = results.circumstances(_command(options))
    options.save.mkdir(parents=True, exist_ok=True)
    print(under, end="\n\n", flush=True)
    for part in [options.only] if options.only else PARTS:
        PARTS[part](Asked(options.rounds, options.rows, options.save, under))
    # In a process of its own: whoever measures must stay smaller than what is measured.
    subprocess.run([sys.executable, "-m", "tests.bench.plots", str(options.save)], check=True)


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, file=sys.stderr, flush=True)


def _command(options: argparse.Namespace) -> str:
    """Return the command that measures the same again, wherever it saves that."""
    only = f" --only {options.only}" if options.only else ""
    return f"python -m tests.bench{only} --rounds {options.rounds} --rows {options.rows}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 100), metavar="N", help="runs of each kind (3)"
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=scale.SIZES[-1],
        choices=scale.SIZES,
        help="of the largest batch in the second table (1000000)",
    )
    parser.add_argument("--only", choices=PARTS, help="one of the tables")
    parser.add_argument(
        "--save", type=Path, default=RESULTS, metavar="FOLDER", help="where to (tests/bench/results)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
