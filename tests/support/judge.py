"""The judge of a batch: the provider's bill, the ledger and the files, held against each other.

Its *verdict* tells what was paid twice, what is lost, what leaks the token, and what is unsound.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from batchfill.emulator.journal import Bill, read_bill
from tests.support import ledgers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchfill.emulator.journal import Charge
    from tests.support.ledgers import Asked


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one batch."""

    rows: int
    done: int
    in_doubt: int
    billed: int
    """Predictions that were made, free ones too."""
    paid_twice: tuple[str, ...]
    """Rows with more than one prediction that costs money, in words, as all that follows."""
    lost: tuple[str, ...]
    """Predictions paid for without a whole file in place, unless they are held in doubt."""
    leaks: tuple[str, ...]
    """Files that hold the token."""
    unsound: tuple[str, ...]
    """What does not add up: ledger, states, files that belong to nothing."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Every broken promise."""
        return self.paid_twice + self.lost + self.leaks + self.unsound


def judge(folder: Path, batch: Path, token: str) -> Verdict:
    """Judge the *batch* folder by the bill of `provider/` in *folder*, everything below which is searched."""
    ledger = batch / "ledger.sqlite"
    charges = read_bill(folder / "provider")
    states = Counter(ledgers.states(ledger))
    return Verdict(
        rows=states.total(),
        done=states["done"],
        in_doubt=states["in_doubt"],
        billed=len(charges),
        paid_twice=tuple(_paid_twice(charges)),
        lost=tuple(_lost(charges, ledgers.asked(ledger), _whole(batch, ledger))),
        leaks=tuple(leaks(folder, token)),
        unsound=(*ledgers.faults(ledger), *_unexplained(states), *_unknown_files(batch, ledger)),
    )


def leaks(folder: Path, token: str) -> Iterator[str]:
    """Yield the files below *folder* that hold the token, as it is or in base64."""
    secret = token.encode()
    # Three bytes become four letters: only a part that begins with a group always looks the same.
    forms = [secret, *(base64.b64encode(secret[skip:])[:-4] for skip in range(3))]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            yield f"{path} holds the token"


def _paid_twice(charges: Sequence[Charge]) -> Iterator[str]:
    for paid in Bill(tuple(charges)).paid_twice().values():
        yield f"one row was paid for {len(paid)} times: {', '.join(charge.prediction_id for charge in paid)}"


def _lost(charges: Sequence[Charge], asked: Sequence[Asked], whole: set[str]) -> Iterator[str]:
    """Yield the paid predictions that neither a whole file nor a row in doubt accounts for."""
    # Every attempt has a seed of its own, and the provider notes it: so the two books can be compared.
    by_seed = {attempt.seed: attempt for attempt in asked}
    for charge in charges:
        attempt = by_seed.get(charge.seed or 0)
        if not charge.paid or charge.prediction_id in whole:
            continue
        if attempt is None or not (attempt.counts and attempt.state == "in_doubt"):
            where = "no row" if attempt is None else f"row {attempt.id}, {attempt.state}: {attempt.error}"
            yield f"{charge.prediction_id} was paid for and is lost ({where})"


def _whole(batch: Path, ledger: Path) -> set[str]:
    """Return the predictions whose every file is there, decodes, and is as it was when it was put there."""
    good: dict[str, bool] = {}
    for kept in ledgers.kept(ledger):
        good[kept.prediction_id] = good.get(kept.prediction_id, True) and _is_whole(
            batch / kept.file, kept.sha256
        )
    return {prediction_id for prediction_id, whole in good.items() if whole}


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
            named = path.suffix == f".{(image.format or '').lower()}"
    except (OSError, UnidentifiedImageError):
        return False
    return named and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _unexplained(states: Counter[str]) -> Iterator[str]:
    for state, rows in sorted(states.items()):
        if state not in {"done", "in_doubt"}:
            yield f"{rows} rows ended {state}"


def _unknown_files(batch: Path, ledger: Path) -> Iterator[str]:
    known = {batch / kept.file for kept in ledgers.kept(ledger)}
    for folder in ("outputs", "tmp"):
        for path in sorted((batch / folder).rglob("*")):
            if path.is_file() and path not in known:
                yield f"{path} belongs to nothing"
