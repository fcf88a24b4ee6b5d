"""What `check` found without paying: lines for a person, one JSON object for a program."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchfill.console.format import UNKNOWN, first_lines, format_count, format_money, safe_text
from batchfill.console.render_pictures import finding_lines, kind_line, remote_line, scale_lines
from batchfill.console.render_plan import SHOWN, made_again_lines, warning_lines
from batchfill.domain.duration import format_duration
from batchfill.domain.money import currency_units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchfill.domain.findings import LocatedFinding, SizesCount
    from batchfill.domain.reports import CheckReport, FinishRate
    from batchfill.errors import Mistake


def check_lines(report: CheckReport) -> list[str]:
    """Return mistakes, warnings, notes and sizes, twenty of each at most; rows, outputs, cost, time."""
    return [*_mistake_lines(report), *_remark_lines(report), *_total_lines(report)]


def check_json(report: CheckReport) -> dict[str, Any]:
    """Return the object of `check --json`.

    - `file`, `model`; `rows` (without a mistake), `done` (of those), `pictures_to_go`
    - `mistakes`: objects of `line` of the first row (0: the whole file), `rows` that share it, `text`, and
      `kind` for those about pictures, else null; the worst first, at most a hundred; `more_mistakes`: how
      many there are of other causes
    - `warnings`, `notes`: texts about the batch as a whole
    - `prompts`: objects of `line`, `id` and `text` of a few rows, as they are sent
    - `findings`: objects of `weight` (`warning` or `note`), `kind`, `line` and `id` of the first row, `rows`
      that share its files, `text`; the worst first, at most a hundred; `more_findings`: how many rows have
      others, a row with two of them counted twice
    - `kinds`: how many rows have a mistake or a finding of each kind, the worst kind first
    - `sizes`: objects of `picture`, `area` (what is sent of it, null: all) and `generated` (null: not known),
      each width and height in pixels, upright; `rows`; `cover`: the smallest and the largest share that is
      filled, 0 to 1, null where none is known; `ids` of the first three rows; `more_sizes`: rows of others
    - `not_looked_at`: files at addresses, which --fetch looks at
    - `provider`: null without --online, else an object of `base`, `model`, `account` (its name or null) and
      `offers`: `account model list files cancel date`, each true, false or null (not known), and `envelope`,
      the key below which answers are, `""` where there is none, null where that is not known
    - `lost`: how many files of finished rows are missing or damaged; null without --outputs
    - `cost`: `to_go` (null: not known) and `currency`; `seconds`: a guess at the time, or null
    - `finish_rate`: null, or an object of `rows` that this machine can finish a minute, `pace` (rows that are
      submitted a minute) and `at_most` (true: it is slower than `rows`)
    """
    pictures = report.pictures
    return {
        "file": report.file,
        "model": report.model,
        "rows": report.rows,
        "done": report.finished,
        "pictures_to_go": report.outputs_to_go,
        "mistakes": [_mistake_json(mistake) for mistake in report.mistakes],
        "more_mistakes": report.more_mistakes,
        "warnings": list(report.warnings),
        "notes": list(report.notes),
        "prompts": [prompt._asdict() for prompt in report.prompts],
        "findings": [_finding_json(found) for found in pictures.found],
        "more_findings": pictures.left_out,
        "kinds": {kind.value: rows for kind, rows in pictures.kinds.items()},
        "sizes": [_scale_json(counted) for counted in pictures.scales],
        "more_sizes": pictures.other_scales,
        "not_looked_at": pictures.remote,
        "provider": report.provider and asdict(report.provider),
        "lost": report.lost,
        "cost": {"to_go": currency_units(report.price_to_go), "currency": report.currency},
        "seconds": report.seconds,
        "finish_rate": report.finish_rate and report.finish_rate._asdict(),
    }


def _mistake_json(mistake: Mistake) -> dict[str, Any]:
    return {"line": mistake.line, "rows": mistake.rows, "kind": mistake.kind, "text": mistake.text}


def _finding_json(found: LocatedFinding) -> dict[str, Any]:
    finding = found.finding
    return {
        "weight": finding.severity.value,
        "kind": finding.kind.value,
        "line": found.line,
        "id": found.id,
        "rows": found.rows,
        "text": finding.text,
    }


def _scale_json(counted: SizesCount) -> dict[str, Any]:
    sizes = {name: size and list(size) for name, size in counted.scale._asdict().items()}
    cover = None if counted.least is None else [counted.least, counted.most]
    return {**sizes, "rows": counted.rows, "cover": cover, "ids": [id_ for id_, _ in counted.first]}


def _mistake_lines(report: CheckReport) -> Iterator[str]:
    lines = [safe_text(str(mistake)) for mistake in report.mistakes]
    sharing = sum(mistake.rows - 1 for mistake in report.mistakes[SHOWN:])
    yield from first_lines(lines, SHOWN, "more mistake", unlisted=report.more_mistakes + sharing)


def _remark_lines(report: CheckReport) -> Iterator[str]:
    yield from warning_lines(report.warnings)
    yield from finding_lines(report.pictures, report.file)
    yield from kind_line(report.pictures)
    for note in report.notes:
        yield safe_text(note)
    for prompt in report.prompts:
        yield f"prompt of {safe_text(prompt.id)}: {safe_text(prompt.text)}"
    yield from remote_line(report.pictures)
    yield from scale_lines(report.pictures)


def _total_lines(report: CheckReport) -> Iterator[str]:
    found = sum(mistake.rows for mistake in report.mistakes) + report.more_mistakes
    rows = format_count(report.rows, "row")
    yield f"{rows} right, {format_count(found, 'mistake')}" if found else f"{rows}, no mistakes"
    if report.finished:
        yield f"{report.finished:,} done already"
    if report.outputs_to_go:
        yield (
            f"{format_count(report.outputs_to_go, 'picture')} to make with {report.model}: "
            f"{_price_text(report)}"
        )
    yield from made_again_lines(report.redo, report.price_redo, report.currency)
    if report.finish_rate is not None:
        yield _finish_text(report.finish_rate)


def _finish_text(rate: FinishRate) -> str:
    rows = f"{'fewer than ' if rate.at_most else ''}{_two_digits(rate.rows):,}"
    return f"this machine finishes {rows} a minute, the pace is {rate.pace:,.0f}"


def _two_digits(number: float) -> int:
    """Return *number* as exactly as a short trial tells."""
    return round(float(f"{max(number, 1):.2g}"))


def _price_text(report: CheckReport) -> str:
    known = report.price_to_go is not None
    price = f"about {format_money(report.price_to_go, report.currency)}" if known else UNKNOWN
    return price if report.seconds is None else f"{price}, about {format_duration(report.seconds)}"
