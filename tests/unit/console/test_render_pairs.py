from __future__ import annotations

from pathlib import Path

from batchfill.console.render_pairs import pairing_lines, total_lines
from batchfill.domain.pairs import LeftOut, Pairing

A, B, C = Path("i/a.png"), Path("m/b.png"), Path("m/c\n.png")


def test_each_file_without_a_row_is_named_once_with_what_helps() -> None:
    found = Pairing(
        pairs=(),
        alone_images=(A,),
        alone_masks=(B,),
        ambiguous=((A, C),),
        left_out=(LeftOut(Path("i/n.txt"), "not a picture"),),
        elsewhere={B: A},
    )

    assert list(pairing_lines(found)) == [
        "alone: i/a.png",
        "alone: m/b.png (i/a.png has its name, but lies in another folder)",
        "which belong together? i/a.png, m/c .png",
        "left out: i/n.txt (not a picture)",
    ]


def test_many_files_of_one_reason_are_counted() -> None:
    files = [LeftOut(Path(f"i/{n}.dng"), "a raw photograph") for n in range(900)]
    left_out = (*files, LeftOut(Path("i/n.txt"), "not a picture"))

    lines = list(pairing_lines(Pairing((), left_out=left_out)))

    assert lines[19:] == [
        "left out: i/19.dng (a raw photograph)",
        "… and 880 more files (a raw photograph)",
        "left out: i/n.txt (not a picture)",
    ]


def test_what_is_still_to_be_done_is_told() -> None:
    found = Pairing(pairs=((A, B),), outside=1)

    assert list(total_lines(found, Path("night.csv"), prompt=False)) == [
        "1 pair in night.csv",
        "1 pair outside the manifest's folders, or hidden: `check` and `run` take them with --allow-outside",
        "no prompts yet: fill the column in, or give one to all rows with `--set prompt=…`",
    ]
    assert list(total_lines(Pairing(((A, B),)), None, prompt=True)) == ["1 pair"]
