"""The server of buckets that a batch names: for its own start, and not for those after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from batchfill.storage.store_variables import OWN_ENDPOINT, use_endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE, OTHER, SAID = "https://one.example.com", "https://other.example.com:9000", "https://said.example.com"


@pytest.mark.parametrize("before", ["", SAID])
@pytest.mark.parametrize(
    ("named", "then"),
    [
        ([None], None),
        ([ONE], ONE),
        ([ONE, None], None),
        ([ONE, ONE, None], None),
        ([ONE, OTHER], OTHER),
        ([ONE, OTHER, None, None], None),
    ],
)
def test_a_batch_that_names_no_server_has_the_one_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, before: str, named: Sequence[str | None], then: str | None
) -> None:
    # With a value first, so that the variable is put back afterwards where it was not there.
    monkeypatch.setenv(OWN_ENDPOINT, before)
    for address in named:
        use_endpoint(address)
    assert os.environ.get(OWN_ENDPOINT, "") == (then or before)
    use_endpoint(None)
    assert os.environ.get(OWN_ENDPOINT, "") == before
