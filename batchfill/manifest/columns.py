"""What the columns of a manifest are for: inputs, the id, or only carried to the results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from batchfill.catalog.field import join_words
from batchfill.catalog.other_names import find_meant_columns
from batchfill.catalog.pixel_options import ENLARGING
from batchfill.errors import did_you_mean, first_few
from batchfill.manifest.record import RowFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batchfill.catalog.model import Model
    from batchfill.domain.rows import Input

    Reader = Callable[[str], Input]

ID = "id"
COLUMN_LIMIT = 1000
_REMEMBERED = 1024
_COUNTER = re.compile(r"|Unnamed: \d+|index", re.IGNORECASE)
"""Names that a table's first column has where a program counted its rows."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The use of each cell of a row, by its place."""

    scalars: tuple[tuple[int, str, Reader], ...] = ()
    """Place, input name, and what types the cell."""
    files: tuple[tuple[int, str], ...] = ()
    extras: tuple[tuple[int, str], ...] = ()
    id: int | None = None
    counter: int | None = None
    """The place of a column that only counts the rows, as long as it does."""
    needed: tuple[str, ...] = ()
    """Inputs that every row must give, of those that have a column."""
    mistakes: tuple[str, ...] = ()


class Layout:
    """Decides the use of columns for one model and one set of defaults."""

    def __init__(
        self,
        model: Model,
        *,
        column: Mapping[str, str],
        given: frozenset[str],
        extra_columns: bool,
        has_header: bool,
    ) -> None:
        """*column*: input name → name in the manifest. *given*: the inputs that have a default."""
        self._model = model
        self._known = (*model.fields, ID, *sorted(model.pixel_settings))
        unknown = column.keys() - self._known if model.checked else frozenset[str]()
        self._column = {name: own for name, own in column.items() if own and name not in unknown}
        self._meant = dict(column)
        self.unknown_mappings = tuple(sorted(unknown))
        """Inputs in the `column` setting that the model does not have."""
        self._needed = tuple(name for name in model.required_inputs if name not in given)
        self._enlarging = ENLARGING & model.pixel_settings
        self._enlarged = not self._enlarging.isdisjoint(given)
        self._extra_columns = extra_columns
        self.has_header = has_header
        """Whether one line names the columns of all rows; else every row names its own."""
        self._noun = "column" if has_header else "key"
        self._files = frozenset(model.file_fields)
        self._readers: dict[str, Reader] = {}
        self._found: set[str] = set()
        # Keys may differ from row to row in JSONL and YAML; a few combinations make up nearly all rows.
        self.columns = lru_cache(maxsize=64)(self._read_columns)
        """As _columns, remembering the combinations seen last."""

    def explain_unknown(self, name: str) -> str:
        """Return what to say of the unknown input *name*."""
        meant = self._meant.get(name)
        if meant in self._known and name not in self._known:
            return f"unknown input {name}: the input comes first, so did you mean {meant}={name}?"
        return f"unknown input {name}{did_you_mean(name, self._known)}"

    def never_found(self) -> list[tuple[str, str]]:
        """Return the mapped inputs, and the names meant for them, that no row had."""
        if self.has_header:
            return []
        return [(name, own) for name, own in self._column.items() if name not in self._found]

    def _read_columns(self, names: tuple[str, ...]) -> Columns:
        """Return the use of columns with these *names*, and what is wrong with them."""
        if len(names) > COLUMN_LIMIT:
            return Columns(mistakes=(f"{len(names):,} {self._noun}s; at most {COLUMN_LIMIT:,} are allowed",))
        places = self._find_places(names)
        self._found.update(places)
        inputs = {name: place for name, place in places.items() if name != ID}
        used = {names[place] for place in places.values()}
        strangers = [(place, name) for place, name in enumerate(names) if name not in used]
        carried = [(place, name) for place, name in strangers if self._is_carried(name)]
        counter = 0 if any(place == 0 and self._may_count(name) for place, name in strangers[:1]) else None
        unknown = [item for item in strangers if item not in carried and item[0] != counter]
        return Columns(
            scalars=tuple(
                (at, name, self._make_reader(name)) for name, at in inputs.items() if name not in self._files
            ),
            files=tuple((at, name) for name, at in inputs.items() if name in self._files),
            extras=tuple(carried),
            id=places.get(ID),
            counter=counter,
            needed=tuple(name for name in (*inputs, *self._spared(places)) if name in self._needed),
            mistakes=(
                *_find_repeated(names),
                *self._find_mistakes(unknown, places, [name for _, name in strangers if not _is_free(name)]),
            ),
        )

    def _find_places(self, names: tuple[str, ...]) -> dict[str, int]:
        """Return the place of `id` and of each input among *names*."""
        free = self._find_free(names)
        placed = {name: _place_of(own, names, free) for name, own in self._column.items()}
        mapped = {name: place for name, place in placed.items() if place is not None}
        taken = {*self._column, *(names[at] for at in mapped.values())}
        found = mapped | {
            name: names.index(name) for name in names if name not in taken and self._is_input(name)
        }
        return found | self._find_other_cases(names, found)

    def _find_free(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return *names* without those that have a meaning of their own, whatever other rows have.

        One header names the columns of all rows: a mapping for which it has no such name is a mistake.
        """
        if self.has_header:
            return names
        return tuple("" if self._is_input(name) or self._is_carried(name) else name for name in names)

    def _find_other_cases(self, names: tuple[str, ...], found: Mapping[str, int]) -> dict[str, int]:
        """Return the places of inputs that are not *found*, and of which only the case differs: `Prompt`.

        Where unknown columns are kept, such a one was always carried: it counts only where its row could not
        be run without.
        """
        if not self._model.checked:
            return {}
        wanted = self._needed if self._extra_columns else self._known
        left = tuple("" if place in found.values() else name for place, name in enumerate(names))
        places = {
            name: _place_of(name, left, left) for name in wanted if {name}.isdisjoint((*found, *self._column))
        }
        return {name: place for name, place in places.items() if place is not None}

    def _may_count(self, name: str) -> bool:
        return self.has_header and not self._is_carried(name) and _COUNTER.fullmatch(name) is not None

    def knows(self, name: str) -> bool:
        """Whether *name* names an input or the id, in whatever case."""
        return _fold(name) in {*self._known, *map(_fold, self._column.values())}

    def _is_input(self, name: str) -> bool:
        return name in self._known or (not self._model.checked and not _is_free(name) and name != "")

    def _is_carried(self, name: str) -> bool:
        return _is_free(name) or (self._extra_columns and name != "")

    def _make_reader(self, name: str) -> Reader:
        if name not in self._readers:
            read = self._model.reader(name)
            # A column of numbers or choices has few different cells.
            few = name in self._known and read is not str
            self._readers[name] = lru_cache(maxsize=_REMEMBERED)(read) if few else read
        return self._readers[name]

    def _find_mistakes(
        self, unknown: list[tuple[int, str]], places: Mapping[str, int], strangers: list[str]
    ) -> list[str]:
        """Return what is wrong: columns that are *unknown*, and columns that should be there.

        *strangers*: the names of all columns that are no input's, those that are carried too.
        """
        free = [name for name in self._known if name not in places]
        meant = {name: "" if name in self._column else did_you_mean(name, free) for _, name in unknown}
        expected = [name for name in self._expected_inputs() if name not in (*places, *self._spared(places))]
        others = find_meant_columns(
            strangers, [name for name in expected if name not in self._column], self._model
        )
        unknown = [item for item in unknown if item[1] not in others.values()]
        names = [name for _, name in unknown]
        # `unknown column musk; did you mean mask?` says already that mask is missing.
        lacking = [
            name
            for name in expected
            if name not in others and f"; did you mean {name}?" not in [meant[each] for each in names]
        ]
        strange = [name for name in names if name and name not in self._column and not meant[name]]
        explained = [
            self._explain_column(place, name, meant[name]) for place, name in unknown if name not in strange
        ]
        if strange and not places and len(lacking) > 1 and not others:
            return [*explained, self._explain_foreign(strange, lacking)]
        return [
            *(self._explain_others(others) if others else ()),
            *explained,
            *self._explain_strange(strange),
            *(self._explain_lack(name, names, [*places, *strangers]) for name in lacking),
        ]

    def _spared(self, places: Mapping[str, int]) -> list[str]:
        """Return the inputs that need no column: the mask, where rows may enlarge their pictures."""
        mask = self._model.mask_field
        enlarged = self._enlarged or not self._enlarging.isdisjoint(places)
        return [mask] if enlarged and mask and mask not in (*places, *self._column) else []

    def _expected_inputs(self) -> list[str]:
        """Return the inputs that must have a column: what rows need, and what was mapped in a header."""
        mapped = [name for name in self._column if self.has_header and name not in self._needed]
        return [*self._needed, *mapped]

    def _explain_column(self, place: int, name: str, meant: str) -> str:
        if not name:
            return f"{self._noun} {place + 1} has no name"
        if name in self._column:
            return f"{self._noun} {name} is not used: {name} is taken from {self._column[name]}"
        return f"unknown {self._noun} {name}{meant}"

    def _explain_strange(self, names: list[str]) -> list[str]:
        """Return what to say of columns that are like no input, all at once."""
        if not names:
            return []
        keep = "to carry {} to the results, or give --extra-columns keep"
        if len(names) == 1:
            return [f"unknown {self._noun} {names[0]}: name it x_{names[0]} {keep.format('it')}"]
        return [f"unknown {self._noun}s {first_few(names)}: name them x_{names[0]} … {keep.format('them')}"]

    def _explain_others(self, others: Mapping[str, str]) -> list[str]:
        """Return what to say of inputs that are there by *others* of their names."""
        named = " ".join(f"--column {name}={_quote_for_shell(own)}" for name, own in others.items())
        owns, them = join_words(others.values()).replace(" or ", " and "), "them" if len(others) > 1 else "it"
        return [f"no {self._noun} {join_words(others)}: to take {owns} for {them}, add {named}"]

    def _explain_foreign(self, names: list[str], lacking: list[str]) -> str:
        """Return what to say where nothing is known of all *names*."""
        named = " ".join(f"--column {name}=NAME" for name in lacking)
        return f"unknown {self._noun}s {first_few(names)}: say which is which, with {named}"

    def _explain_lack(self, name: str, unknown: list[str], found: list[str]) -> str:
        there = f"; the columns are {first_few(found)}" if found and self.has_header else ""
        if name in self._column:
            own = self._column[name]
            return f"no {self._noun} {own}, which should be {name}{did_you_mean(own, unknown) or there}"
        or_all = "" if name == self._model.image_field else f", or give one to all with `--set {name}=…`"
        return f"missing {self._noun} {name}: add it{or_all}{there}"


class RowCounter:
    """The first column of a table whose program counted its rows there, as long as it does only that."""

    def __init__(self, name: str, place: int) -> None:
        self._name = name
        self._place = place
        self._last = -1

    @classmethod
    def of(cls, names: Sequence[str], place: int | None) -> RowCounter | None:
        """Return the counter at *place* among the *names* of a header; None where there is none."""
        return None if place is None else cls(names[place], place)

    def counts_on(self, cells: Sequence[str]) -> bool:
        """Whether it counts in the next row, too."""
        text = cells[self._place].strip().removesuffix(".0")
        last = self._last
        self._last = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        return self._last > last

    def explain(self) -> str:
        """Return what to say of a column that counted to the end."""
        name = self._name or "which has no name"
        return f"the first column, {name}, only counts the rows: it is left out"

    def explain_stop(self) -> str:
        """Return what is wrong with a column that holds something else."""
        name = self._name
        return f"unknown column {name}: name it x_{name} to carry it" if name else "column 1 has no name"


def explain_empty(empty: Sequence[str], needed: Sequence[str]) -> list[str]:
    """Return what to say of the *needed* cells that are *empty*."""
    if len(empty) == len(needed) > 1:
        names = join_words(empty).replace(" or ", " and ")
        return [
            RowFault.shared(f"{names} are empty", f"{names} are empty: remove these lines, or --skip-bad")
        ]
    return [
        RowFault.shared(
            f"{name} is empty: fill it in, or give one to all with `--set {name}=…`",
            f"no {name}; give one to all with `--set {name}=…`",
        )
        for name in empty
    ]


def _quote_for_shell(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else f'"{name}"'


def _is_free(name: str) -> bool:
    return name.startswith("x_")


def _fold(name: str) -> str:
    return re.sub(r"[ -]+", "_", name.strip().casefold())


def _place_of(wanted: str, names: tuple[str, ...], free: tuple[str, ...]) -> int | None:
    """Return the place of *wanted* among *names*, else of the only *free* one of another case; None: none."""
    if wanted in names:
        return names.index(wanted)
    places = [place for place, name in enumerate(free) if name and _fold(name) == _fold(wanted)]
    return places[0] if len(places) == 1 else None


def _find_repeated(names: tuple[str, ...]) -> list[str]:
    """Return a message for each name that several columns have."""
    return [
        f"{names.count(name)} columns are named {name}: rename or remove all but one"
        for name in dict.fromkeys(names)
        if name and names.count(name) > 1
    ]
