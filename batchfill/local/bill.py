"""The bill: what was made, row by row and attempt by attempt."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchfill.local.record import Charge


@dataclass(frozen=True, slots=True)
class Bill:
    """Charges in the order in which they arose.

    A row is known by the digest of what it asks for, without its seed: rows that ask for the same are one
    here, so a batch that is judged by its bill gives each of its rows a prompt of its own.
    """

    charges: tuple[Charge, ...]

    @property
    def billed(self) -> int:
        """How many predictions were made, however they ended."""
        return len(self.charges)

    @property
    def paid(self) -> tuple[Charge, ...]:
        """Those that cost; see Charge.paid."""
        return tuple(charge for charge in self.charges if charge.paid)

    def by_row(self) -> Mapping[str, tuple[Charge, ...]]:
        """Return the attempts of each row, by digest."""
        return _by_digest(self.charges)

    def paid_twice(self) -> Mapping[str, tuple[Charge, ...]]:
        """Return what costs more than once, by digest, a run that was canceled and tried again among it."""
        return _more_than_once(self.paid)

    def made_twice(self) -> Mapping[str, tuple[Charge, ...]]:
        """Return what was made or is being made more than once, by digest: no retry accounts for it."""
        return _more_than_once(charge for charge in self.paid if charge.status != "canceled")

    def __str__(self) -> str:
        """Return the bill in one line."""
        rows, paid, twice, made = map(len, (self.by_row(), self.paid, self.paid_twice(), self.made_twice()))
        return (
            f"the bill: rows {rows}, attempts {self.billed}, paid {paid}, "
            f"paid twice {twice} ({twice - made} after a cancel)"
        )


def _more_than_once(charges: Iterable[Charge]) -> dict[str, tuple[Charge, ...]]:
    return {row: attempts for row, attempts in _by_digest(charges).items() if len(attempts) > 1}


def _by_digest(charges: Iterable[Charge]) -> dict[str, tuple[Charge, ...]]:
    rows = defaultdict(list)
    for charge in charges:
        rows[charge.digest].append(charge)
    return {row: tuple(attempts) for row, attempts in rows.items()}
