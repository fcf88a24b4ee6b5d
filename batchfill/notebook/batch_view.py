"""The state of a batch, or how a run ended, with a few of its pictures, as HTML for a notebook."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batchfill.console.render_finish import finish_lines
from batchfill.console.status import status_lines
from batchfill.console.summary import summary_lines
from batchfill.errors import BadPicture, BatchfillError, cut_short
from batchfill.ledger.location import LEDGER
from batchfill.ledger.reader import open_reader
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from batchfill.domain.reports import FinishReport, ReviewPicture, Status, Summary
    from batchfill.ledger.reader import Reader

PICTURES = 12
"""Pictures that are shown at most: of each row the first."""
LOOKED_AT = 1000
"""Rows among which they are looked for: the first ones of the manifest."""
_SLICE = 100

_WALL = "display: flex; flex-wrap: wrap; gap: 8px; margin-top: 8px"
_FIGURE = "margin: 0; width: 160px; font-size: 12px; overflow-wrap: anywhere"
_IMAGE = "width: 160px; height: 160px; object-fit: contain"
_LINE = "white-space: pre-wrap"


class _Thumbnail(NamedTuple):
    id: str
    words: str
    """What a reviewer or the flags say of it."""
    prompt: str
    webp: bytes


def batch_html(read: Callable[[], Status], manifest: Path, folder: Path, flags: Mapping[str, Any]) -> str:
    """Return the state of a batch that *read* gives, and pictures of its *folder*.

    Where the state cannot be read, return what is wrong: a notebook shows what is returned, and needs no
    traceback.
    """
    # What goes on with a rehearsal must not begin the batch itself.
    local = ["--local"] if flags.get("local") else []
    out = ["--out", str(folder)] if flags.get("out") else []
    command = here().join_command(["batchfill", "run", str(manifest), *local, *out])
    try:
        return _join(status_lines(read(), command=command), _thumbnails(folder))
    except BatchfillError as error:
        return _join(str(error).split("\n"), ())


def summary_html(summary: Summary) -> str:
    """Return how a run ended, and pictures of its batch."""
    local = " --local" if summary.cost.rehearsal else ""
    lines = summary_lines(summary, command=f"batchfill run MANIFEST{local}")
    return _join(lines, _thumbnails(Path(summary.folder)))


def finish_html(report: FinishReport) -> str:
    """Return what became of the rows of a batch whose pictures were finished again."""
    return _join(finish_lines(report), ())


def _join(lines: Iterable[str], pictures: Iterable[_Thumbnail]) -> str:
    text = "".join(f'<div style="{_LINE}">{escape(line)}</div>' for line in lines)
    wall = "".join(map(_figure, pictures))
    return f"<div>{text}</div>" + (f'<div style="{_WALL}">{wall}</div>' if wall else "")


def _figure(picture: _Thumbnail) -> str:
    source = f"data:image/webp;base64,{b64encode(picture.webp).decode()}"
    image = f'<img src="{source}" alt="{escape(cut_short(picture.prompt))}" style="{_IMAGE}">'
    words = f"<br>{escape(picture.words)}" if picture.words else ""
    caption = f"<figcaption>{escape(picture.id)}{words}</figcaption>"
    return f'<figure style="{_FIGURE}">{image}{caption}</figure>'


def _thumbnails(folder: Path) -> list[_Thumbnail]:
    """Return some pictures of the batch, as far as they can be read."""
    with suppress(BatchfillError, OSError), open_reader(folder / LEDGER) as reader:
        return list(islice(_find_thumbnails(reader, folder), PICTURES))
    return []


def _find_thumbnails(reader: Reader, folder: Path) -> Iterator[_Thumbnail]:
    for first in range(0, LOOKED_AT, _SLICE):
        for row in reader.review_rows(reader.numbers_at(first, first + _SLICE)):
            decision = row.result.decision
            for picture in row.outputs[:1]:
                with suppress(BadPicture, OSError):
                    webp = _small_copy(folder, picture)
                    words = ", ".join([*([decision.value] if decision else []), *picture.flags])
                    yield _Thumbnail(row.result.id, words, row.result.prompt, webp)


def _small_copy(folder: Path, picture: ReviewPicture) -> bytes:
    """Return the copy that the run has kept, or one made now. Raises BadPicture, OSError."""
    from batchfill.images.codec import thumbnail

    kept = folder / thumbnail.FOLDER / thumbnail.copy_name(thumbnail.key_of(picture.sha256), thumbnail.THUMB)
    if kept.is_file():
        return kept.read_bytes()
    return thumbnail.make_thumbnail(
        thumbnail.ThumbTask(folder / picture.file, picture.sha256, thumbnail.LONGEST[thumbnail.THUMB])
    )
