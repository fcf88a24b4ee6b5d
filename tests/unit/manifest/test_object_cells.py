from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.domain.objects import ObjectFile, parse_object_address
from batchfill.errors import MissingFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row


def find_object(address: str) -> ObjectFile:
    """Find whatever is asked for, but for what is called missing."""
    parse_object_address(address)
    if "missing" in address:
        raise MissingFile(f"no such object {address}")
    return ObjectFile(address, 7, "tag")


@pytest.mark.parametrize("address", ["s3://b/a.png", "gs://b/x y/ü.png", "az://c/a.png?b#c(d)"])
def test_a_cell_of_an_object_is_taken_as_it_stands(rows: Callable[..., list[Row]], address: str) -> None:
    (row,) = rows(f'image,mask,prompt\n"{address}",images/mask.png,p\n', find_object=find_object)

    assert row.inputs["image"] == address
    assert row.files["image"] == ObjectFile(address, 7, "tag")
    assert row.local_files.keys() == {"mask"}


def test_a_default_may_be_an_object(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows(
        "image,prompt\ns3://b/a.png,p\n", defaults={"mask": "s3://b/m.png"}, find_object=find_object
    )

    assert row.files["mask"] == ObjectFile("s3://b/m.png", 7, "tag")


def test_an_object_can_be_drawn_on_and_enlarged(rows: Callable[..., list[Row]]) -> None:
    text = "image,mask,prompt,expand\ns3://b/a.png,alpha,p,\ns3://b/a.png,,p,20%\n"

    assert [row.files.keys() for row in rows(text, find_object=find_object)] == [{"image"}, {"image"}]


def test_an_id_is_made_of_the_last_part_of_the_key(rows: Callable[..., list[Row]]) -> None:
    (row,) = rows("image,mask,prompt\ns3://b/x/hero.v2.png,s3://b/m.png,p\n", find_object=find_object)

    assert row.stem == "hero.v2"


def test_what_is_wrong_with_an_object_is_told_with_its_line(mistakes: Callable[..., list[str]]) -> None:
    text = "image,mask,prompt\ns3://b/missing.png,s3://b/m.png,p\ns3://b/a.png,s3://b,p\n"

    assert mistakes(text, find_object=find_object) == [
        "night.csv:2: image: no such object s3://b/missing.png",
        "night.csv:3: mask: s3://b is no address of an object: write s3://BUCKET/KEY",
    ]


def test_who_asks_no_bucket_says_so(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes("image,mask,prompt\ns3://b/a.png,images/mask.png,p\n") == [
        "night.csv:2: image: s3://b/a.png is in a bucket, and none is asked here"
    ]
