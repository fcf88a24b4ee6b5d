from __future__ import annotations

import pytest

from batchfill.storage.mirror.mirror_entries import (
    EntryPlace,
    MirrorEntry,
    NoMirrorEntry,
    old_names,
    pack_entry,
    read_name,
    unpack_entry,
)

ENTRY = MirrorEntry(run="ab12", host="käse", at=1.5, commits=7, base=3, frames=b"\0pages" * 99)


def test_an_entry_is_read_as_it_was_packed() -> None:
    assert unpack_entry(pack_entry(ENTRY)) == ENTRY


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no part of a mirror"),
        (b"\x89PNG\r\n\x1a\n", "no part of a mirror"),
        (b"[]\n", "no part of a mirror"),
        (b"{}\n", "no part of a mirror"),
        (pack_entry(ENTRY)[:-9], "no part of a mirror"),
        (b'{"batchfill":1,"run":"a","unknown":1}\nx', "no part of a mirror"),
        (b'{"batchfill":2,"run":"a"}\n', "a newer batchfill"),
    ],
)
def test_what_is_no_entry_is_said(content: bytes, told: str) -> None:
    with pytest.raises(NoMirrorEntry, match=told):
        unpack_entry(content)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("000001/0000000002", (EntryPlace(1, 2), False)),
        ("000012/0000000001-ab12.ledger", (EntryPlace(12, 1), True)),
        ("1234567/12345678901", (EntryPlace(1_234_567, 12_345_678_901), False)),
        ("000001/0000000002.ledger", None),
        ("x/000001/0000000002", None),
        ("000001/2", None),
        ("cat.png", None),
    ],
)
def test_a_name_tells_its_place(name: str, found: object) -> None:
    assert read_name(name) == found


def test_the_two_last_entries_of_each_older_generation_stay() -> None:
    names = [
        *("000001/0000000001", "000001/0000000001-a.ledger", "000001/0000000002", "000001/0000000003"),
        *("000002/0000000001", "000002/0000000001-b.ledger", "000002/0000000002"),
        *("000003/0000000001", "000003/0000000001-c.ledger", "000003/0000000001-d.ledger"),
        *("000003/0000000002", "000003/0000000003", "000003/0000000004", "000003/0000000003-c.ledger"),
        *("probe-12", "cat.png"),
    ]

    assert old_names(names, "000003/0000000003-c.ledger") == [
        *("000001/0000000001", "000001/0000000001-a.ledger"),
        "000002/0000000001-b.ledger",
        *("000003/0000000001", "000003/0000000001-c.ledger", "000003/0000000001-d.ledger"),
        *("000003/0000000002", "probe-12"),
    ]
