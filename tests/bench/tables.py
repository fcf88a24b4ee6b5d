"""The tables as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.clients import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.bench import clients, scale

CLIENTS = (
    "CPU a row",
    "requests a row",
    "makespan / ideal",
    "peak memory",
    "noticed after: median, p90, max",
)
SCALE = (
    "`check`",
    "first import",
    "99 % done: to the first submit",
    "and to the end",
    "a row",
    "peak memory of a run",
    "`status`",
)


def clients_table(found: Mapping[str, clients.Figures]) -> Iterator[str]:
    """Yield what every client's work came to, with its ratio to batchfill's."""
    ours = found[OURS]
    yield from _head("client", CLIENTS)
    for name, theirs in found.items():
        yield line_of(
            _strong(name) if theirs is ours else name,
            _cpu(theirs) if theirs is ours else _against(theirs.cpu, ours.cpu, ".2f", " ms"),
            _against(theirs.requests, ours.requests, ".2f"),
            _against(theirs.makespan, ours.makespan, ".2f"),
            _against(theirs.peak_mb, ours.peak_mb, ".0f", " MB"),
            _delays(theirs),
        )


def alone_table(found: Mapping[str, clients.Figures]) -> Iterator[str]:
    """Yield what batchfill's work came to in each of the circumstances."""
    yield from _head(f"{OURS} alone", CLIENTS)
    for name, figures in found.items():
        yield line_of(
            name,
            _cpu(figures),
            f"{figures.requests:.2f}",
            f"{figures.makespan:.2f}",
            f"{figures.peak_mb:.0f} MB",
            _delays(figures),
        )


def in_flight_table(found: Mapping[str, clients.Figures], ideals: Mapping[str, float]) -> Iterator[str]:
    """Yield how many rows a second each number in flight gives; *ideals* are what is possible."""
    yield from _head("in flight, run", ("rows a second", "possible", *CLIENTS[:2], CLIENTS[3]))
    for name, figures in found.items():
        yield line_of(
            name,
            f"{ideals[name] / figures.makespan:,.0f}",
            f"{ideals[name]:,.0f}",
            _cpu(figures),
            f"{figures.requests:.2f}",
            f"{figures.peak_mb:.0f} MB",
        )


def scale_table(found: Mapping[int, scale.Figures]) -> Iterator[str]:
    """Yield what batches of each size cost; times are CPU time unless they are said to be real."""
    yield from _head("rows", SCALE)
    for rows, figures in found.items():
        yield line_of(
            f"{rows:,}",
            f"{figures.check_cpu:.1f} s, {figures.check_peak_mb:.0f} MB",
            f"{figures.import_cpu:.1f} s, {figures.import_peak_mb:.0f} MB",
            f"{figures.resume_cpu:.1f} s ({figures.resume_seconds:.1f} s real)",
            f"{figures.ending_cpu:.1f} s",
            f"{figures.row_cpu:.2f} ms",
            f"{figures.peak_mb:.0f} MB",
            f"{figures.status_cpu:.0f} ms",
        )


def _cpu(figures: clients.Figures) -> str:
    return f"{figures.cpu:.2f} ms ({figures.cpu - figures.decoding:.2f} without decoding)"


def _delays(figures: clients.Figures) -> str:
    return f"{figures.noticed:.0f}, {figures.noticed_p90:.0f}, {figures.noticed_max:.0f} ms"


def _against(theirs: float, ours: float, form: str, unit: str = "") -> str:
    """Return a figure with its ratio to ours, which has none to itself."""
    ratio = "" if theirs == ours else f" ({theirs / ours:.2f}×)"
    return f"{theirs:{form}}{unit}{ratio}"


def _strong(text: str) -> str:
    return f"**{text}**"


def _head(first: str, headings: tuple[str, ...]) -> Iterator[str]:
    yield line_of(first, *headings)
    yield line_of("---", *("---:" for _ in headings))


def line_of(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
