"""The plots of the tables, as SVG files that are the same for the same figures.

`python -m tests.bench.plots FOLDER` draws what the results in the folder say.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.bench.clients import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Found = Mapping[str, Mapping[str, float]]

BLUE, GREY, AMBER = "#2f6f9f", "#b4bcc4", "#c98a2b"
INK, FAINT = "#30363d", "#6e7781"

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "batchfill",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def main() -> None:
    """Draw a plot beside each of the results."""
    folder = Path(sys.argv[1])
    if (found := folder / "clients.json").exists():
        draw_clients(json.loads(found.read_text("utf-8"))["medians"], found.with_suffix(".svg"))
    if (found := folder / "photographs.json").exists():
        draw_photographs(json.loads(found.read_text("utf-8"))["scripts"], found.with_suffix(".svg"))
    if (found := folder / "scale.json").exists():
        draw_scale(json.loads(found.read_text("utf-8"))["sizes"], found.with_suffix(".svg"))


def draw_clients(found: Found, path: Path) -> None:
    """Draw what a row costs each client, three bars each, to *path*."""
    names = [name.replace("`", "") for name in found]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.3), layout="constrained")
        cpu, requests, makespan = figure.subplots(1, 3, sharey=True)
        _bars(cpu, names, [one["cpu"] for one in found.values()], "{:.1f}")
        _bars(requests, names, [one["requests"] for one in found.values()], "{:.1f}")
        _bars(makespan, names, [one["makespan"] for one in found.values()], "{:.2f}")
        makespan.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        cpu.set_title("CPU a row, ms")
        requests.set_title("API requests a row")
        makespan.set_title("makespan / ideal (dashed: 1.0)")
        figure.supxlabel("less is better", size=9, color=FAINT)
        _save(figure, path)


def draw_photographs(found: Found, path: Path) -> None:
    """Draw what a photograph costs batchfill and short scripts, by the format of the original, to *path*."""
    names = list(dict.fromkeys(name.partition(", ")[2] for name in found))
    originals = list(dict.fromkeys(name.partition(", ")[0] for name in found))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.3), layout="constrained")
        for axes, original in zip(figure.subplots(1, len(originals), sharey=True), originals, strict=True):
            chosen = [found[f"{original}, {name}"] for name in names]
            _bars(axes, names, [one["prepare"] + one["finish"] for one in chosen], "{:,.0f}")
            axes.set_title(f"CPU of 12 megapixels, {original}, ms")
        figure.supxlabel("less is better", size=9, color=FAINT)
        _save(figure, path)


def draw_scale(found: Found, path: Path) -> None:
    """Draw what a row and a run cost in batches of each size to *path*."""
    sizes = [int(rows) for rows in found]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.9), layout="constrained")
        cpu, memory = figure.subplots(1, 2)
        _curve(cpu, "", BLUE, _curve_of(found, "row_cpu"), "{:.1f}")
        run = ("run", BLUE, _curve_of(found, "peak_mb"))
        check = ("check", AMBER, _curve_of(found, "check_peak_mb"))
        # Their figures stand on the two outer sides.
        lower, upper = sorted((run, check), key=lambda curve: curve[2][sizes[-1]])
        _curve(memory, *lower, "{:.0f}", below=True)
        _curve(memory, *upper, "{:.0f}")
        cpu.set_title("CPU a row, ms")
        memory.set_title("peak memory, MB")
        for axes in (cpu, memory):
            _rows_below(axes, sizes)
        _save(figure, path)


def _bars(axes: Any, names: Sequence[str], values: Sequence[float], form: str) -> None:
    colours = [BLUE if name == OURS else GREY for name in names]
    bars = axes.barh(names, values, color=colours, height=0.62)
    axes.bar_label(bars, [form.format(value) for value in values], padding=3)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.18 * max(values))
    axes.tick_params(left=False)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)


def _curve_of(found: Found, figure: str) -> dict[int, float]:
    return {int(rows): one[figure] for rows, one in found.items()}


def _curve(
    axes: Any, name: str, colour: str, points: Mapping[int, float], form: str, *, below: bool = False
) -> None:
    """Draw a line with its name at its end, and its figures above or *below* it."""
    axes.plot(list(points), list(points.values()), color=colour, marker="o", markersize=4, linewidth=1.8)
    placed = {"textcoords": "offset points", "color": colour}
    under = {"xytext": (0, -6), "va": "top"} if below else {"xytext": (0, 6), "va": "bottom"}
    for point in points.items():
        axes.annotate(form.format(point[1]), point, ha="center", **placed, **under)
    axes.annotate(name, point, xytext=(10, 0), ha="left", va="center", **placed)


def _rows_below(axes: Any, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("rows of the batch")
    axes.margins(x=0.12)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.locator_params(axis="y", nbins=4)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main()
