"""Money, time, counts, cost and other people's text, in words for a person."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from batchfill.domain.money import CURRENCY, MILLION
from batchfill.domain.rows import RowState
from batchfill.errors import cut_short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from batchfill.domain.reports import Cost


LONGEST = 500
"""Characters of another program's text that are worth a reader's time."""

_LONG_WORD = re.compile(r"[!-~]{301,}")
"""An argument or a name that is the content of a file, by mistake. Paths and addresses are shorter."""

_COMMANDS = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # escape sequences begin with one of these
    r"\u2028\u2029"  # line ends that are not a newline
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of writing
    r"\ud800-\udfff]+"  # halves of characters, which no encoding can print
)


def format_money(millionths: int | None, currency: str = CURRENCY) -> str:
    """Return `$1.20`, `1.20 EUR`, or `unknown` for None; more decimals only where they are needed."""
    if millionths is None:
        return "unknown"
    amount = f"{Decimal(millionths) / MILLION:,.6f}"
    whole, _, decimals = amount.partition(".")
    amount = f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
    return f"${amount}" if currency == "USD" else f"{amount} {safe_text(currency)}"


def format_count(number: int, noun: str) -> str:
    """Return `1 row` or `10,000 rows`; *noun* is one that takes an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_lines(lines: Sequence[str], shown: int, noun: str, *, unlisted: int = 0) -> Iterator[str]:
    """Return the first *shown* lines, then how many more there are; *unlisted*: those that *lines* lacks."""
    yield from lines[:shown]
    hidden = len(lines[shown:]) + unlisted
    if hidden > 0:
        yield f"… and {format_count(hidden, noun)}"


def format_time(seconds: float) -> str:
    """Return `2026-11-22 23:05` in the reader's own time zone, for seconds since the epoch."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def safe_text(text: str, longest: int = LONGEST) -> str:
    """Return *text* on one line, cut to *longest* characters, unable to command a terminal.

    What a service or a manifest says may hold escape sequences, or marks that turn the direction of
    writing and so make a line read as another. Of a word that no person writes only the beginning is kept.
    """
    words = _LONG_WORD.sub(lambda found: cut_short(found[0]), text)
    line = _COMMANDS.sub(" ", words[: 2 * longest]).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


class Visible:
    """A stream to a terminal on which what could command the terminal is shown as `\\x1b`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text*, which is whole lines."""
        return self._stream.write(_COMMANDS.sub(_as_codes, text.replace("\r\n", "\n")))


def _as_codes(found: re.Match[str]) -> str:
    codes = (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in found[0])
    return "".join(c if c in "\n\t" else code for c, code in zip(found[0], codes, strict=True))


def format_states(counts: Mapping[RowState, int]) -> str:
    """Return `9,000 done, 12 failed, 1 in doubt`: the states that have any, in the order of a row's life."""
    having = [(counts.get(state, 0), state_word(state)) for state in RowState]
    return ", ".join(f"{number:,} {name}" for number, name in having if number)


def gone_line(gone: Mapping[RowState, int]) -> Iterator[str]:
    """Say what became of rows gone from the manifest; of pending ones nothing was made, or will be."""
    made = {**gone, RowState.PENDING: 0}
    if any(made.values()):
        yield f"no longer in the manifest: {format_states(made)}"


def state_word(state: RowState) -> str:
    """Return the state as people write it: `in doubt`."""
    return state.value.replace("_", " ")


def in_doubt(counts: Mapping[RowState, int], gone: Mapping[RowState, int]) -> int:
    """Return how many rows are in doubt, those no longer in the manifest included: they may be paid for."""
    return counts.get(RowState.IN_DOUBT, 0) + gone.get(RowState.IN_DOUBT, 0)


UNKNOWN = "price unknown: what a picture costs here is not known (--price AMOUNT gives it)"


def format_paid(cost: Cost) -> str:
    """Return `$3.60 paid`, or `$3.60 if it were real` of a rehearsal; the amount must be known."""
    return f"{format_money(cost.spent, cost.currency)} {'if it were real' if cost.rehearsal else 'paid'}"


def cost_line(cost: Cost) -> str:
    """Return `$3.60 paid, $0.08 reserved …, $36.00 to go, at most $40.00`, each part if there is one."""
    if not cost.known:
        return UNKNOWN
    parts = [format_paid(cost)]
    if cost.reserved:
        parts.append(f"{format_money(cost.reserved, cost.currency)} reserved for what runs or is in doubt")
    if cost.to_go:
        parts.append(f"{format_money(cost.to_go, cost.currency)} to go")
    if cost.cap is not None:
        parts.append(f"at most {format_money(cost.cap, cost.currency)}")
    return ", ".join(parts)
