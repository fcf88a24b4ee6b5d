"""What the gallery asks of a batch, and who makes pictures small for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from batchfill.domain.objects import ObjectFile
    from batchfill.domain.reports import EndedAttempt, ReviewRow, RowWords, Status
    from batchfill.domain.review import ReviewDecision
    from batchfill.domain.rows import HeldFile


class ReviewSource(Protocol):
    """A batch, to be asked by one thread at a time."""

    @property
    def folder(self) -> Path:
        """The batch folder."""

    def hold_file(
        self, file: str, sha256: str, remote: ObjectFile | None = None
    ) -> AbstractAsyncContextManager[HeldFile]:
        """Give a picture of the batch. Raises BadPicture where a bucket has it and it cannot be had.

        *file*: where it is, as a row tells it, and *sha256* its content. *remote*: the object that it is.
        """

    def mark(self) -> object:
        """Return something that stays equal as long as nothing of the batch changes."""

    def status(self) -> Status:
        """Return the state of the batch."""

    def review_rows(self) -> Iterable[ReviewRow]:
        """Yield every row of the manifest, in its order."""

    def places(self) -> int:
        """Return the number of places in the manifest."""

    def rows_at(self, first: int, end: int) -> Iterable[ReviewRow]:
        """Yield the rows of the manifest at these places, the *end* left out, in its order."""

    def rows_named(self, ids: Sequence[str]) -> Iterable[ReviewRow]:
        """Yield those of the rows with these *ids* that are in the manifest."""

    def words_at(self, first: int, end: int) -> dict[str, RowWords]:
        """Return what the rows at these places are searched by, by their ids, the *end* left out."""

    def changed_rows(self, most: int) -> Iterable[ReviewRow]:
        """Yield rows that are known to have changed since this was asked last; others may have changed, too.

        *most*: how many of them at most, besides all that were decided here.
        """

    def ids(self) -> set[str]:
        """Return the id of every row of the manifest."""

    def history(self) -> Iterator[EndedAttempt]:
        """Yield every attempt that came to an end, in the order of the ends."""

    async def decide(self, rulings: Sequence[ReviewDecision]) -> dict[int, str]:
        """Return once *rulings* are on disk, but for those refused: by place, why.

        Whatever is read after that holds them. Raises UsageError when the disk takes none.
        """
