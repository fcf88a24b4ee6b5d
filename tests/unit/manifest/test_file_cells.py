from __future__ import annotations

import pytest

from batchfill.manifest.file_cells import read_file_cell


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        ("photos/a.jpg", "photos/a.jpg"),
        ("photos/a (1).jpg", "photos/a (1).jpg"),
        ("a.jpg (b.jpg)", "a.jpg (b.jpg)"),
        ("https://x/a.jpg", "https://x/a.jpg"),
        ("https://x/a_(1).jpg", "https://x/a_(1).jpg"),
        ("https://x/fit/https://y/a.jpg", "https://x/fit/https://y/a.jpg"),
        ("https://x/a.jpg,https://y/b.jpg", "https://x/a.jpg,https://y/b.jpg"),
        ("photo.jpg (https://dl.example/1/photo.jpg)", "https://dl.example/1/photo.jpg"),
        ("my photo 1.jpg(HTTPS://dl.example/1)", "HTTPS://dl.example/1"),
        ("https://x/my photo.jpg", "https://x/my%20photo.jpg"),
        ("https://x/a b/c  d.jpg?q=1 2", "https://x/a%20b/c%20%20d.jpg?q=1%202"),
        ("https://x/fit(https://y/a.jpg)", "https://x/fit(https://y/a.jpg)"),
        (f"https://{',' * 90_000} ;", f"https://{',' * 90_000}%20;"),
        ("s3://b/a (1).jpg", "s3://b/a (1).jpg"),
        ("https://x/a (1).jpg", "https://x/a%20(1).jpg"),
    ],
)
def test_an_address_is_taken_out_of_what_tables_write_around_it(cell: str, address: str) -> None:
    assert read_file_cell(cell) == address


@pytest.mark.parametrize(
    "cell",
    [
        "https://x/a.jpg https://x/b.jpg",
        "https://x/a.jpg, https://x/b.jpg",
        "https://x/a.jpg\nhttps://x/b.jpg",
        "a.jpg (https://x/a.jpg), b.jpg (https://x/b.jpg)",
        "a.jpg (https://x/a.jpg),b.jpg (https://x/b.jpg)",
        "https://x/a.jpg | https://x/b.jpg",
        "s3://b/a.jpg, s3://b/b.jpg",
        "gs://b/a.jpg az://c/b.jpg",
    ],
)
def test_several_addresses_in_a_cell_are_a_mistake(cell: str) -> None:
    with pytest.raises(ValueError, match="several addresses in one cell: a row takes one"):
        read_file_cell(cell)
