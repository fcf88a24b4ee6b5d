from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchfill import Batch, fill
from batchfill.errors import UsageError
from batchfill.settings.definitions import SETTINGS
from batchfill.settings.keyword_flags import check_flags
from batchfill.settings.setting import Place

SECRET = "r8_nothing_shows_this"

UNKNOWN = [
    ("concurency", "there is no flag concurency; did you mean concurrency?"),
    ("max-cost", "there is no flag max-cost; did you mean max_cost?"),
    ("baseUrl", "there is no flag baseUrl; did you mean base_url?"),
    ("Local", "there is no flag Local; did you mean local?"),
    ("zzz", "there is no flag zzz; known are out, profile, "),
    ("token_command", "token_command is no flag: it is a line of config.toml"),
    ("send", "send is no flag: it is a line at the top of a YAML manifest"),
    ("defaults", "defaults is a name in manifests: the flag is set"),
    ("token", "token is no flag: the token is found in the environment, as BATCHFILL_TOKEN"),
    ("API_KEY", "API_KEY is no flag: the token is found in the environment"),
]

WRONG = [
    ({"local": "no"}, "local must be True or False, not a str"),
    ({"skip_bad": 0}, "skip_bad must be True or False, not an int"),
    ({"set": ["guidance=30"]}, "set must be a dictionary, not a list"),
    ({"header": f"X-Key={SECRET}"}, "header must be a dictionary, not a str"),
    ({"retry": ["failed", "expired"]}, "retry must be words joined by commas, not a list"),
    ({"redo_flagged": ["blank"]}, "redo_flagged must be words joined by commas, not a list"),
    ({"concurrency": True}, "concurrency must be 1 to 1000, not a bool"),
    ({"max_cost": {"a": 1}}, "max_cost must be an amount, or none, not a dict"),
    ({"id": 7}, "id must be an id or a list of ids, not an int"),
    ({"id": iter(["a", "b"])}, "id must be an id or a list of ids, not a list_iterator"),
    ({"id": b"a"}, "id must be an id or a list of ids, not a bytes"),
    ({"out": 5}, "out must be a path, not an int"),
    ({"base_url": 5}, "base_url must be text, not an int"),
    ({"notify": [SECRET]}, "notify must be an address, or desktop, not a list"),
    ({"extra_columns": 1}, "extra_columns must be True, False or text, not an int"),
]


@pytest.mark.parametrize(("name", "message"), UNKNOWN)
def test_a_flag_that_does_not_exist_is_told_at_once_with_the_nearest(name: str, message: str) -> None:
    flags: dict[str, Any] = {name: SECRET}
    for call in (Batch.open, fill):
        with pytest.raises(UsageError) as caught:
            call("missing.csv", **flags)
        assert str(caught.value).startswith(message)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("flags", "message"), WRONG)
def test_a_value_of_another_kind_is_told_at_once_without_the_value(
    flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Batch.open("missing.csv", **flags)
    assert str(caught.value) == message


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_flag_of_the_table_is_known_and_may_be_left_out_with_none(setting: Any) -> None:
    if not {Place.READING, Place.RUN} & set(setting.places):
        with pytest.raises(UsageError, match=r"is no flag: it is a line (at the top of a YAML|of config)"):
            check_flags({setting.name: None})
    else:
        check_flags({setting.name: None})


def test_values_may_be_of_any_type_that_says_them() -> None:
    check_flags(
        {
            "concurrency": np.int64(4),
            "max_cost": Decimal("2.50"),
            "rate": 60.5,
            "price": "0.04",
            "out": Path("night.batch"),
            "model_schema": "schema.json",
            "id": {"a", "b"},
            "set": {"guidance": 30},
            "extra_columns": True,
            "local": False,
        }
    )
    check_flags({"id": "a", "extra_columns": "keep"})
