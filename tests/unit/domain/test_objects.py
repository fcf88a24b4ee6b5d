from __future__ import annotations

import re

import pytest

from batchfill.domain.objects import (
    ObjectAddress,
    ObjectFile,
    folder_of_object,
    is_object_address,
    parse_object_address,
    read_outputs_address,
)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("s3://photos/a.jpg", ("s3", "photos", "a.jpg")),
        ("gs://my.bucket_1/x/y/hero 1.png", ("gs", "my.bucket_1", "x/y/hero 1.png")),
        ("az://container/ü#?&%41.png", ("az", "container", "ü#?&%41.png")),
        ("s3://b/a@b:c.png", ("s3", "b", "a@b:c.png")),
        ("s3://b/..a/b..png", ("s3", "b", "..a/b..png")),
        ("s3://b/a?design=1&x-amz.png", ("s3", "b", "a?design=1&x-amz.png")),
    ],
)
def test_an_address_is_a_bucket_and_a_key_that_is_taken_literally(
    address: str, parts: tuple[str, str, str]
) -> None:
    assert parse_object_address(address) == ObjectAddress(*parts)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://photos", "s3://photos is no address of an object: write s3://BUCKET/KEY"),
        ("s3:///a.jpg", "s3:///a.jpg is no address of an object: write s3://BUCKET/KEY"),
        ("S3://photos/a.jpg", "S3://photos/a.jpg is no address of an object: write s3://BUCKET/KEY"),
        ("s3://pho tos/a.jpg", "s3://pho tos/a.jpg is no address of an object: write s3://BUCKET/KEY"),
        ("gs://photos/", "gs://photos/ is a folder, not an object"),
        ("s3://photos/2026/", "s3://photos/2026/ is a folder, not an object"),
        (
            "s3://photos//a.jpg",
            "s3://photos//a.jpg has an empty part, . or .. in its key: give it another key",
        ),
        ("s3://p/a/../b.jpg", "s3://p/a/../b.jpg has an empty part, . or .. in its key: give it another key"),
        ("s3://p/a\nb.jpg", "'s3://p/a\\nb.jpg' has a character in its key that cannot be shown"),
        ("s3://AKIA:secret@photos/a.jpg", "s3: an address names a bucket and an object, and no keys"),
        ("s3://AKIA:sec/ret@photos/a.jpg", "s3: an address names a bucket and an object, and no keys"),
        ("s3://p/a.jpg?X-Amz-Algorithm=A&X-Amz-Signature=secret", "s3: an address of an object takes no sig"),
        ("gs://p/a.jpg?X-Goog-Signature=secret", "gs: an address of an object takes no signature"),
        ("az://p/a.jpg?sv=2024-11-04&SIG=secret", "az: an address of an object takes no signature"),
        ("s3://AKIA:sec/secret@p/a.jpg", "s3: an address names a bucket and an object, and no keys"),
        ("S3://AKIA:se/secret@p/a.jpg", "S3: an address names a bucket and an object, and no keys"),
    ],
)
def test_what_is_no_address_of_an_object_is_told_without_a_secret(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as caught:
        parse_object_address(address)

    assert not re.search("secret|ret@", str(caught.value))


@pytest.mark.parametrize(
    "address", ["s3:a", "s3/a.png", "images/s3://x", "https://s3.test/a.png", "hdfs://a/b"]
)
def test_other_addresses_are_none_of_objects(address: str) -> None:
    assert not is_object_address(address)


def test_an_object_with_another_address_size_or_etag_is_another_one() -> None:
    one = ObjectFile("s3://photos/x/a.jpg", 7, "tag")
    others = [
        ObjectFile("s3://photos/x/b.jpg", 7, "tag"),
        ObjectFile("s3://photos/x/a.jpg", 8, "tag"),
        ObjectFile("s3://photos/x/a.jpg", 7, "gat"),
    ]

    assert len({file.digest for file in (one, *others)}) == 4
    assert one.digest == ObjectFile("s3://photos/x/a.jpg", 7, "tag").digest
    assert (one.name, folder_of_object(one.address)) == ("a.jpg", "s3://photos/x/")


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("s3://photos/night", "s3://photos/night/"),
        (" s3://photos/night// ", "s3://photos/night/"),
        ("s3://photos", "s3://photos/"),
        ("gs://photos/a b/ü/", "gs://photos/a b/ü/"),
        ("az://photos/night", "az://photos/night/"),
    ],
)
def test_outputs_go_to_a_folder_of_a_bucket(text: str, root: str) -> None:
    assert read_outputs_address(text) == root


@pytest.mark.parametrize(
    "text",
    [
        "",
        "night",
        "/mnt/night",
        "https://photos.s3.amazonaws.com/night",
        "s3://",
        "s3:///night",
        "S3://photos/night",
        "s3://photos/../night",
        "s3://photos//night",
        "s3://KEY:5ecret@photos/night",
        "s3://photos/night?X-Amz-Signature=5ecret",
    ],
)
def test_what_is_no_folder_of_a_bucket_is_refused_without_secrets(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be an address such as|cannot be used: ") as refused:
        read_outputs_address(text)
    assert "5ecret" not in str(refused.value)
