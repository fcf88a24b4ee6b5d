"""A batch made up for the page: real pictures in a folder, and rows that change when a test says so."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from batchfill.domain.reports import (
    Cost,
    EndedAttempt,
    Result,
    ReviewFile,
    ReviewPicture,
    ReviewRow,
    RowWords,
    Status,
)
from batchfill.domain.rows import HeldFile, Outcome, RowState
from batchfill.errors import BadPicture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.review import ReviewDecision

BEGUN = 1_763_850_000.0
PRICE = 40_000


class Collection:
    """What the gallery asks of a batch, from memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, ReviewRow] = {}
        self.running = False
        self.rulings: list[ReviewDecision] = []
        """What was decided, in order."""
        self._changes = 0
        self._unread: list[str] = []
        (folder / "outputs" / "earlier").mkdir(parents=True)

    def add(
        self,
        id_: str,
        *,
        state: str = "done",
        outputs: int = 1,
        flags: tuple[str, ...] = (),
        earlier: int = 0,
        **changes: Any,
    ) -> ReviewRow:
        """Add a row, or make it another one; *changes* are fields of its Result."""
        place = len(self.rows)
        state_ = RowState(state)
        made = [self._output(id_, n, flags) for n in range(1, outputs + 1)] if state_ is RowState.DONE else []
        fields: dict[str, Any] = {
            "id": id_,
            "line": self.rows[id_].result.line if id_ in self.rows else place + 2,
            "state": state_,
            "image": "images/a.png",
            "mask": "masks/a.png",
            "prompt": f"picture of {id_}",
            "outputs": tuple(str(output.file) for output in made),
            "seed": 41,
            "prediction_id": f"p-{id_}",
            "attempts": 1,
            "cost": PRICE * len(made),
            "error": None,
            "flags": flags,
            "decision": None,
            "chosen": None,
            "finished_as": (),
            "changed_inputs": {},
            "extra": {},
        }
        files = {"image": self.file("images/a.png", 90), "mask": self.file("masks/a.png", 255)}
        old = tuple(self._output(f"earlier/{id_}", n, ()) for n in range(1, earlier + 1))
        self._unread.append(id_)
        self.rows[id_] = ReviewRow(
            Result(**{**fields, **changes}), files, tuple(made), old, BEGUN + place, 1.0 + place % 7
        )
        self.change()
        return self.rows[id_]

    def remove(self, id_: str) -> None:
        """Take a row out of the manifest."""
        del self.rows[id_]
        self.change()

    def change(self) -> None:
        """Let the gallery see that something changed."""
        self._changes += 1

    def file(self, name: str, shade: int, size: tuple[int, int] = (640, 480)) -> ReviewFile:
        """Return a picture in the folder, made if it is not there."""
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("RGB", size, (shade, 120, 200 - shade // 2))
            ImageDraw.Draw(image).ellipse((160, 120, 480, 360), fill=(200, shade, 30))
            image.save(path)
        return ReviewFile(str(path), sha256(path.read_bytes()).hexdigest())

    def _output(self, name: str, n: int, flags: tuple[str, ...]) -> ReviewPicture:
        file = self.file(f"outputs/{name}@{n}.png", (len(self.rows) * 37 + n * 50) % 255)
        return ReviewPicture(n, f"outputs/{name}@{n}.png", file.sha256, flags)

    # What the gallery asks

    @asynccontextmanager
    async def hold_file(
        self, file: str, sha256: str, remote: ObjectFile | None = None
    ) -> AsyncIterator[HeldFile]:
        if remote is not None:
            raise BadPicture(f"{remote.address} is in no bucket")
        yield HeldFile(self.folder / file, sha256)

    def mark(self) -> object:
        return self._changes, self.running

    def status(self) -> Status:
        counts = dict.fromkeys(RowState, 0)
        for exhibit in self.rows.values():
            counts[exhibit.result.state] += 1
        spent = sum(exhibit.result.cost or 0 for exhibit in self.rows.values())
        return Status(
            manifest="night.csv",
            model="black-forest-labs/flux-fill-dev",
            base="https://api.replicate.com/v1",
            running=self.running,
            counts=counts,
            gone={},
            cost=Cost(spent, 0, 0, 400_000_000),
            started_at=BEGUN,
            updated_at=BEGUN + len(self.rows),
            stopped_because=None,
            reasons={"NSFW content detected": counts[RowState.FAILED]} if counts[RowState.FAILED] else {},
        )

    def review_rows(self) -> Iterator[ReviewRow]:
        yield from list(self.rows.values())

    def places(self) -> int:
        return len(self.rows)

    def rows_at(self, first: int, end: int) -> list[ReviewRow]:
        return list(self.rows.values())[first:end]

    def rows_named(self, ids: Sequence[str]) -> list[ReviewRow]:
        return [self.rows[id_] for id_ in ids if id_ in self.rows]

    def words_at(self, first: int, end: int) -> dict[str, RowWords]:
        return {
            row.result.id: RowWords(row.result.prompt, row.result.seed, row.inputs, row.result.extra)
            for row in self.rows_at(first, end)
        }

    def changed_rows(self, most: int) -> list[ReviewRow]:
        unread, self._unread = self._unread[:most], self._unread[most:]
        return [self.rows[id_] for id_ in unread if id_ in self.rows]

    def ids(self) -> set[str]:
        return set(self.rows)

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        refused = {}
        for place, ruling in enumerate(rulings):
            id_ = ruling.prediction_id.removeprefix("p-")
            if id_ not in self.rows:
                refused[place] = f"{ruling.prediction_id} is not of this batch"
                continue
            self.rulings.append(ruling)
            self._note(id_, ruling)
            self.change()
        return refused

    def _note(self, id_: str, ruling: ReviewDecision) -> None:
        old = self.rows[id_]
        # What is said of earlier pictures says nothing of the present ones.
        if old.result.prediction_id == ruling.prediction_id:
            result = replace(old.result, decision=ruling.decision, chosen=ruling.chosen)
            asked = {f"redo_{name}": getattr(ruling, name) for name in ("prompt", "seed", "inputs")}
            self.rows[id_] = old._replace(result=result, **asked)
            self._unread.append(id_)

    def history(self) -> Iterator[EndedAttempt]:
        for exhibit in self.rows.values():
            if exhibit.result.state is RowState.DONE and exhibit.ended_at is not None:
                at = exhibit.ended_at
                yield EndedAttempt(at - 1, at, Outcome.SUCCEEDED, exhibit.result.cost, exhibit.run_time)


def many(collection: Collection, rows: int) -> None:
    """Add so many finished rows, which share the pictures of fifty."""
    for n in range(50):
        collection.add(f"kind-{n}", flags=("blank",) if n % 10 == 0 else ())
    kinds = list(collection.rows.values())
    for n in range(50, rows):
        kind, id_ = kinds[n % 50], f"row-{n:05}"
        result = replace(
            kind.result,
            id=id_,
            line=n + 2,
            prompt=f"a ship in a storm, number {n}, oil on canvas",
            prediction_id=f"p-{id_}",
        )
        collection.rows[id_] = kind._replace(result=result, ended_at=BEGUN + n)
    collection.change()
