"""Further headers out of the environment, and what an environment shows."""

from __future__ import annotations

import pickle

import pytest

from batchfill.errors import UsageError
from batchfill.settings.credentials import OURS, Environment, find_headers

SECRET = "cf_secret_0123456789"


def test_the_value_of_a_header_is_its_variables() -> None:
    environ = Environment({"CF": f" Bearer {SECRET}\n", "OTHER": "x"}, also=["CF"])
    found = find_headers(environ, {"cf-aig-authorization": "CF"})
    assert {name: value.reveal() for name, value in found.items()} == {
        "cf-aig-authorization": f"Bearer {SECRET}"
    }


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ключ", *sorted(OURS), "Authorization"])
def test_a_name_that_no_further_header_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--header"):
        find_headers(Environment({"CF": SECRET}, also=["CF"]), {name: "CF"})


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "ключ", "a\x00b", "a\tb"])
def test_a_value_that_would_be_more_than_a_header_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(UsageError, match="the value of CF holds characters") as refused:
        find_headers(Environment({"CF": value}, also=["CF"]), {"x-key": "CF"})
    assert value not in str(refused.value)


def test_an_environment_keeps_the_variables_of_headers_to_itself() -> None:
    environ = Environment({"CF": SECRET, "COPY": f"has {SECRET}", "PLAIN": "x"}, also=["CF"])
    assert dict(environ) == {"PLAIN": "x"}
    assert SECRET not in repr(environ)
    assert dict(pickle.loads(pickle.dumps(environ))) == {"PLAIN": "x"}
    assert pickle.loads(pickle.dumps(environ)).secret("CF") is None
