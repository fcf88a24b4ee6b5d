"""What many rows share is one mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.errors import ManifestError, Mistake
from batchfill.session.ingest import KEPT, Reading
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

    Read = Callable[..., list[Row | Mistake]]


def lines_of(found: list[Row | Mistake]) -> list[str]:
    """Return the lines that `check` shows for the mistakes among *found*."""
    reading = Reading()
    for item in found:
        if isinstance(item, Mistake):
            reading.add_mistake(item)
    return list(map(str, reading.mistakes))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (
            HEADER + f"a,{URLS},\n" * 22,
            ["night.csv:2: 22 rows: no prompt; give one to all with `--set prompt=…`"],
        ),
        (
            HEADER + f"a,{URLS},\n",
            ["night.csv:2: prompt is empty: fill it in, or give one to all with `--set prompt=…`"],
        ),
        (
            "image,mask,prompt\n" + "".join(f"photos/{n}.jpg,masks/{n}.png,p\n" for n in range(9)),
            [
                "night.csv:2: 9 rows: image: there is no folder photos",
                "night.csv:2: 9 rows: mask: there is no folder masks",
            ],
        ),
        (
            "image,mask,prompt\n" + "".join(f"C:\\photos\\{n}.jpg,http://x/m,p\n" for n in range(9)),
            [
                "night.csv:2: 9 rows: image: there is no folder C:/photos, as paths of Windows name it: "
                "write the path from the manifest's folder on"
            ],
        ),
        (
            "image,mask,prompt\n" + "".join(f"photos\\{n}.jpg,http://x/m,p\n" for n in range(9)),
            ["night.csv:2: 9 rows: image: there is no folder photos"],
        ),
        (
            f"image,mask,prompt\n{'y' * 300}/a.jpg,http://x/m,p\n",
            [f"night.csv:2: image: {'y' * 100}… cannot be read: File name too long"],
        ),
        (
            "image,mask,prompt\nphotos/a.jpg,http://x/m,p\n",
            ["night.csv:2: image: no such file photos/a.jpg (there is no folder photos)"],
        ),
        (
            "image,mask,prompt\nimages/x1.png,http://x/m,p\nimages/x2.png,http://x/m,p\n",
            [
                "night.csv:2: image: no such file images/x1.png",
                "night.csv:3: image: no such file images/x2.png",
            ],
        ),
        (
            f"image,mask,prompt,x_gift\n{URLS},p,FALSE\n" + ",,,FALSE\n" * 900,
            ["night.csv:3: 900 rows: image, mask and prompt are empty: remove these lines, or --skip-bad"],
        ),
        (
            "image,mask,prompt\n" + "".join(f"images/x{n}.png,http://x/m,p\n" for n in range(9)),
            ["night.csv:2: 9 rows: image: no such files in images: x0.png, x1.png …"],
        ),
        (
            "image,mask,prompt\n" + "".join(f"images\\x{n % 2}.png,x{n}.png,p\n" for n in range(4)),
            [
                "night.csv:2: 4 rows: image: no such files in images: x0.png, x1.png",
                "night.csv:2: 4 rows: mask: no such files: x0.png, x1.png …",
            ],
        ),
        (
            "image,mask,prompt\n" + "images/qqq.png,http://x/m,p\n" * 5,
            ["night.csv:2: 5 rows: image: no such file images/qqq.png"],
        ),
        (
            "image,mask,prompt\n“a”,http://x/m,p\n“b”,http://x/m,p\n",
            [
                "night.csv:2: 2 rows: image: in quotes that a table takes for a part of the name: "
                'put " in their place, or none'
            ],
        ),
        (
            f"image,mask,prompt,output_format\n{URLS},p,gif\n{URLS},p,pngg\n",
            ["night.csv:2: 2 rows: output_format must be webp, jpg or png, not 'gif', 'pngg'"],
        ),
        (
            f"image,mask,prompt,guidance\n{URLS},p,101\n{URLS},p,101\n",
            ["night.csv:2: 2 rows: guidance must be between 0 and 100, not 101"],
        ),
        (
            f"image,mask,prompt,guidance\n{URLS},p,101\n{URLS},p,x\n{URLS},p,-3\n{URLS},p,1000\n",
            [
                "night.csv:2: 3 rows: guidance must be between 0 and 100, not 101, -3 …",
                "night.csv:3: guidance must be a number, not 'x'",
            ],
        ),
    ],
)
def test_a_cause_that_rows_share_is_one_line(read: Read, content: str, lines: list[str]) -> None:
    assert lines_of(read(content)) == lines


def test_the_worst_come_first_and_every_mistake_is_counted(read: Read) -> None:
    content = HEADER + f"a b,{URLS},p\n" + f"a,{URLS},\n" * 3 + f"b,{URLS}\n" * 2 + f'c,{URLS},"open\n'
    reading = Reading()
    for item in read(content):
        if isinstance(item, Mistake):
            reading.add_mistake(item)

    assert [(mistake.line, mistake.rows) for mistake in reading.mistakes] == [(8, 1), (3, 5), (2, 1)]
    assert (reading.bad, reading.bad_rows, reading.whole) == (7, 7, False)


def test_a_million_causes_are_kept_to_a_thousand_and_counted(read: Read) -> None:
    reading = Reading()
    for item in read(HEADER + "".join(f"a,nope-{n}/a.png,http://x/m,p\n" for n in range(KEPT + 5))):
        assert isinstance(item, Mistake)
        reading.add_mistake(item)

    assert (len(reading.mistakes), reading.more, reading.bad) == (KEPT, 5, KEPT + 5)


def test_a_refusal_counts_rows_that_share_what_it_does_not_list(read: Read) -> None:
    reading = Reading()
    mistakes = [item for item in read(HEADER + f"a,{URLS},\n" * 3) if isinstance(item, Mistake)]
    for mistake in mistakes:
        reading.add_mistake(mistake)
    many = [Mistake(mistakes[0].file, n, f"cause {n}", rows=2) for n in range(1, 25)]

    assert str(ManifestError(reading.mistakes)).endswith(
        "3 rows: no prompt; give one to all with `--set prompt=…`"
    )
    assert str(ManifestError(many, more=7)).endswith("… and 15 more")
