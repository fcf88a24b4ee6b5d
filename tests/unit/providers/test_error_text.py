"""Which uploads an error of the service is about."""

from __future__ import annotations

import pytest

from batchfill.providers.error_text import addresses_named

PICTURE = "https://api.example.com/v1/files/ZGQyYjA3ZmEtNWQ0Ny01"
MASK = "https://api.example.com/v1/files/7f3a-99/mask%20of%20hero.png?token=abc"
SENT = {"image": PICTURE, "mask": MASK, "prompt": "an image not found", "seed": 7, "other": "sha256:ab:99"}


@pytest.mark.parametrize(
    "error",
    [
        f"failed to download {PICTURE}: 404, no such file (files are kept for 24 hours)",
        f"HTTPError: 404 Client Error: Not Found for url: {PICTURE}",
        f"invalid input: image: {PICTURE.replace('/', chr(92) + '/')} could not be opened",
        "file ZGQyYjA3ZmEtNWQ0Ny01 has expired",
        "{'detail': 'ZGQyYjA3ZmEtNWQ0Ny01'}",
    ],
)
def test_an_upload_is_named_by_its_address_or_its_id(error: str) -> None:
    assert addresses_named(SENT, error) == [PICTURE]


@pytest.mark.parametrize("error", [f"cannot read {MASK}", "mask of hero.png: 410", "mask%20of%20hero.png"])
def test_an_upload_is_named_by_its_file_s_name_however_it_is_written(error: str) -> None:
    assert addresses_named(SENT, error) == [MASK]


@pytest.mark.parametrize(
    "error",
    [
        "input file not found",
        "The input image could not be downloaded (404)",
        "Failed to fetch image from URL",
        "image: URL returned 403 Forbidden",
        "Error downloading mask",
        "the uploaded file has expired",
        "File no longer available",
        "The file does not exist",
        "Unable to load image",
        "could not open picture",
        "can't download the mask",
        "no such file",
        "E1002: upload expired",
    ],
)
def test_a_file_that_is_not_there_may_be_any_of_them(error: str) -> None:
    assert addresses_named(SENT, error) == [PICTURE, MASK]


@pytest.mark.parametrize(
    "error",
    [
        "NSFW content detected",
        "CUDA out of memory",
        "prediction interrupted; please retry (code: PA)",
        "E9243: timed out",
        "the image is too large",
        "guidance must be between 0 and 100",
        "not found",
        "",
    ],
)
def test_other_errors_are_about_no_upload(error: str) -> None:
    assert addresses_named(SENT, error) == []


def test_an_input_without_addresses_names_nothing() -> None:
    assert addresses_named({"image": "sha256:ab:99"}, "input file not found") == []
    assert addresses_named({"image": "http://[::1"}, "something else") == []
