"""What may be said of settings around a command: where, in which order, and for which provider."""

from __future__ import annotations

import json
from datetime import time
from pathlib import Path
from traceback import TracebackException
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.catalog.model_choice import choose_model, refuse_cap_without_price
from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.domain.token import Token
from batchfill.errors import UsageError
from batchfill.settings.addresses import LOCAL, REPLICATE
from batchfill.settings.credentials import TokenCommand
from batchfill.settings.definitions import SETTINGS
from batchfill.settings.setting import SAID_WITH_COMMAND

if TYPE_CHECKING:
    from batchfill.settings.surroundings import Surroundings
    from tests.unit.settings.conftest import Home

NEVER = (
    *("retry", "yes", "accept_loss", "same_account", "take_over", "limit", "id"),
    *("allow_outside", "plain_cluster", "plain_http", "host", "on_end", "env_file"),
)
"""The contract's, and what would read a file unasked."""

GATEWAY, OTHER = "https://gateway.example.com/v1", "https://other.example.com/v1"
TOKEN, OTHER_TOKEN = "tok_0123456789", "other_0123456789"

SAMPLES: dict[str, tuple[Any, Any]] = {
    "out": ("/tmp/night.batch", Path("/tmp/night.batch")),
    "profile": ("gateway", "gateway"),
    "base_url": (GATEWAY, GATEWAY),
    "header": ({"x-key": "CF_TOKEN"}, {"x-key": "CF_TOKEN"}),
    "token_command": (["pass", "show", "x"], ("pass", "show", "x")),
    "idempotent": (True, True),
    "local": (True, True),
    "model": ("someone/else", "someone/else"),
    "set": ({"guidance": 30, "prompt": "a = b, c"}, {"guidance": "30", "prompt": "a = b, c"}),
    "column": ({"image": "photo"}, {"image": "photo"}),
    "concurrency": (8, 8),
    "rate": (30.5, 30.5),
    "skip_bad": (False, False),
    "max_cost": (25, 25_000_000),
    "model_schema": ("/tmp/schema.json", Path("/tmp/schema.json")),
    "encoding": ("gb18030", "gb18030"),
    "sheet": ("Sheet2", "Sheet2"),
    "answer_timeout": (30, 30.0),
    "attempts": (2, 2),
    "redo_flagged": (["unchanged", "blank"], ("blank", "unchanged")),
    "redo_times": (2, 2),
    "until": ("07:30", time(7, 30)),
    "prediction_timeout": (60, 60.0),
    "recover_wait": (10, 10.0),
    "latency": (0.5, 0.5),
    "notify": ("https://hooks.example.com/x", "https://hooks.example.com/x"),
    "quiet": (True, True),
    "verbose": (True, True),
    "log_format": ("json", "json"),
    "cluster": ("tls://cluster.example.com:8786", "tls://cluster.example.com:8786"),
    "worker_wait": (30, 30.0),
    "workers": (4, 4),
    "outputs": ("s3://bucket/night/", "s3://bucket/night/"),
    "mirror": ("s3://bucket/mirror", "s3://bucket/mirror/"),
    "hand_over": ("bucket", "bucket"),
    "s3_endpoint": ("https://storage.example.com:9000", "https://storage.example.com:9000"),
    "price": (0.04, 40_000),
    "send": ("original", "original"),
    "extra_columns": ("keep", True),
}
"""Setting → what TOML has for it, and its value. A setting without one here is not tried: add it."""

BESIDE = {"header", "idempotent", "price", "token_command"}
"""Settings that need a base next to them."""

SPOILED = ["", " two", "\tone", "\xe9", "'", '"', "\n", "://x"]
"""Ends by which a secret cannot be one."""


def as_text(value: Any) -> str:
    """Return *value* as a variable has it."""
    if isinstance(value, dict):
        return "\n".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, list):
        return " ".join(value) if value[0] == "pass" else ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}" = {json.dumps(one)}' for name, one in value.items()) + "}"
    return json.dumps(value)


def say(home: Home, place: str, name: str, value: Any) -> Surroundings:
    """Return what is around a command when *place* says *name*."""
    beside = [("base_url", GATEWAY)] if name in BESIDE else []
    said = [*beside, (name, value)]
    if place in ("profile", "default"):
        head = "[default]" if place == "default" else "[profile.gateway]"
        home.write_config("\n".join([head, *(f"{key} = {as_toml(one)}" for key, one in said)]))
        return home.read(profile="gateway" if place == "profile" else None)[1]
    home.write_config("[profile.gateway]\nrate = 1")
    variables = {f"BATCHFILL_{key.upper()}": as_text(one) for key, one in said}
    if place == "environment":
        return home.read(variables)[1]
    lines = (f'{key}="{text}"' for key, text in variables.items())
    return home.read(env="\n".join(lines))[1]


PLACES = ("environment", "env-file", "profile", "default")


def test_every_setting_is_tried_or_never_said_around_a_command() -> None:
    assert {setting.name for setting in SETTINGS} <= {*SAMPLES, *NEVER}
    assert set(NEVER) == SAID_WITH_COMMAND


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"profile"}))
def test_a_setting_is_read_from_every_place_around_a_command(home: Home, name: str, place: str) -> None:
    text, value = SAMPLES[name]
    around = say(home, place, name, text)
    assert around.mistakes == ()
    assert [layer.values[name] for layer in around.layers if name in layer.values] == [value]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NEVER)
def test_what_is_consent_is_taken_from_no_place_around_a_command(home: Home, name: str, place: str) -> None:
    (mistake,) = say(home, place, name, 1).mistakes
    assert f"{name} is said with the command that it is for" in mistake
    assert f"--{name.replace('_', '-')}" in mistake
    where = {"environment": f"BATCHFILL_{name.upper()}", "env-file": "gateway.env:1"}
    assert where.get(place, "config.toml:2") in mistake


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(PIXEL_READERS))
def test_a_pixel_setting_is_a_default_of_rows_from_every_place(home: Home, name: str, place: str) -> None:
    around = say(home, place, name, "x")
    assert around.mistakes == ()
    assert [layer.values["set"] for layer in around.layers if "set" in layer.values] == [{name: "x"}]


def test_a_profile_is_named_by_flag_or_variable_and_never_by_a_file_of_settings(home: Home) -> None:
    home.write_config('[profile.a]\nrate = 1\n[profile.b]\nrate = 2\n[default]\nprofile = "a"')
    assert "config.toml:6: profile cannot be set in config.toml" in home.read()[1].mistakes[0]
    home.write_config("[profile.a]\nrate = 1\n[profile.b]\nrate = 2")
    assert home.settings({"BATCHFILL_PROFILE": "a"}).rate == 1
    assert home.settings({"BATCHFILL_PROFILE": "a"}, env="BATCHFILL_PROFILE=b").rate == 2
    assert home.settings({"BATCHFILL_PROFILE": "a"}, profile="b").rate == 2
    assert home.settings({"BATCHFILL_PROFILE": "a"}, profile="").rate == 600
    assert home.settings({"BATCHFILL_PROFILE": " "}).rate == 600


ORDER = ("flag", "manifest", "profile", "env-file", "environment", "default")


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_a_setting_is_taken_from_the_strongest_place_that_says_it(home: Home, first: int) -> None:
    said = {place: 10 + number for number, place in enumerate(ORDER) if number >= first}
    tables = {"profile": "[profile.p]", "default": "[default]"}
    texts = (f"{head}\nconcurrency = {said[at]}" if at in said else head for at, head in tables.items())
    home.write_config("\n".join(texts))
    settings = home.settings(
        {"BATCHFILL_CONCURRENCY": str(said["environment"])} if "environment" in said else {},
        env=f"BATCHFILL_CONCURRENCY={said['env-file']}" if "env-file" in said else None,
        head={"concurrency": said["manifest"]} if "manifest" in said else {},
        profile="p",
        concurrency=said.get("flag"),
    )
    assert settings.concurrency == 10 + first


def test_defaults_of_rows_and_columns_come_from_each_place_that_has_some(home: Home) -> None:
    home.write_config(
        '[default]\nset = {a = 1, b = 1, c = 1}\n[profile.p]\ndefaults = {b = 2, c = 2}\nfinish = "raw"'
    )
    settings = home.settings(defaults={"c": "3", "d": "3"}, profile="p", set={"d": "4"})
    assert settings.defaults == {"a": "1", "b": "2", "c": "3", "d": "4", "finish": "raw"}


# The provider


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(BESIDE))
def test_what_is_for_one_provider_needs_its_base_next_to_it(home: Home, name: str, place: str) -> None:
    home.write_config("[profile.gateway]\nrate = 1")
    text = SAMPLES[name][0]
    if place in ("profile", "default"):
        head = "[default]" if place == "default" else "[profile.gateway]"
        home.write_config(f"{head}\n{name} = {as_toml(text)}")
        around = home.read(profile="gateway" if place == "profile" else None)[1]
    elif place == "environment":
        around = home.read({f"BATCHFILL_{name.upper()}": as_text(text)})[1]
    else:
        around = home.read(env=f'BATCHFILL_{name.upper()}="{as_text(text)}"')[1]
    (mistake,) = around.mistakes
    assert f"{name} counts for one provider alone" in mistake
    assert not any(name in layer.values for layer in around.layers)


WHOLE = f"""
base_url = "{GATEWAY}"
header = {{"x-key" = "CF_TOKEN"}}
price = 0.5
idempotent = true
token_command = ["pass"]
attempts = 7
"""


@pytest.mark.parametrize("place", ["profile", "default"])
@pytest.mark.parametrize("at", [GATEWAY, OTHER, REPLICATE, LOCAL])
def test_what_a_table_has_for_its_provider_goes_to_no_other(home: Home, place: str, at: str) -> None:
    home.write_config(("[default]" if place == "default" else "[profile.p]") + WHOLE)
    flags: dict[str, Any] = {"local": True} if at == LOCAL else {"base_url": at}
    settings = home.settings({"CF_TOKEN": TOKEN}, profile="p" if place == "profile" else None, **flags)
    own = at == GATEWAY
    assert settings.base == at
    assert settings.attempts == 7
    assert (settings.price, settings.idempotent) == ((500_000, True) if own else (None, False))
    assert {name: one.reveal() for name, one in settings.extras.headers.items()} == (
        {"x-key": TOKEN} if own else {}
    )
    assert (settings.token_command is not None) == own
    assert settings.token is None
    # The variable stays a secret wherever the command goes.
    assert "CF_TOKEN" in settings.extras.variables


@pytest.mark.parametrize(
    ("flags", "facts", "environ", "base"),
    [
        ({}, {}, {}, OTHER),
        ({}, {}, {"BATCHFILL_BASE_URL": GATEWAY}, GATEWAY),
        ({"profile": "p"}, {}, {"BATCHFILL_BASE_URL": GATEWAY}, "https://p.example.com/v1"),
        ({"base_url": REPLICATE, "profile": "p"}, {}, {}, REPLICATE),
        ({}, {"base": REPLICATE}, {"BATCHFILL_BASE_URL": GATEWAY}, REPLICATE),
        ({}, {}, {"BATCHFILL_LOCAL": "1", "BATCHFILL_BASE_URL": GATEWAY}, LOCAL),
        ({"profile": "p"}, {}, {"BATCHFILL_LOCAL": "yes"}, LOCAL),
        ({}, {}, {"BATCHFILL_LOCAL": "0"}, OTHER),
    ],
)
def test_the_base_is_the_flags_the_ledgers_the_profiles_the_environments_then_the_defaults(
    home: Home, flags: dict[str, Any], facts: dict[str, str], environ: dict[str, str], base: str
) -> None:
    home.write_config(f'[default]\nbase_url = "{OTHER}"\n[profile.p]\nbase_url = "https://p.example.com/v1"')
    assert home.settings(environ, facts=facts, **flags).base == base


@pytest.mark.parametrize("variable", ["BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"])
@pytest.mark.parametrize(
    ("table", "flags", "replicates"),
    [
        (f'[profile.p]\nbase_url = "{GATEWAY}"', {"profile": "p"}, False),
        (f'[default]\nbase_url = "{GATEWAY}"', {}, False),
        (f'[profile.p]\nbase_url = "{REPLICATE}"', {"profile": "p"}, True),
        ('[profile.p]\nbase_url = "http://127.0.0.1:1/v1"', {"profile": "p"}, True),
        (f'[profile.p]\nbase_url = "{GATEWAY}"', {"base_url": GATEWAY}, True),
    ],
)
def test_replicates_token_goes_to_no_base_that_only_a_file_of_settings_names(
    home: Home, table: str, flags: dict[str, Any], replicates: bool, variable: str
) -> None:
    home.write_config(table)
    found = home.settings({variable: TOKEN}, **flags).token
    assert (found is not None) == (replicates or variable == "BATCHFILL_TOKEN")


P, E, D = "profile", "environment", "default"


@pytest.mark.parametrize(
    ("commands", "variables", "found"),
    [
        ({P, E, D}, {"BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"}, P),
        ({E, D}, {"BATCHFILL_TOKEN", "REPLICATE_API_TOKEN"}, "BATCHFILL_TOKEN"),
        ({E, D}, {"REPLICATE_API_TOKEN"}, E),
        ({D}, {"REPLICATE_API_TOKEN"}, "REPLICATE_API_TOKEN"),
        ({D}, set(), D),
        (set(), set(), None),
    ],
)
def test_the_token_comes_from_the_strongest_place_that_has_one(
    home: Home, commands: set[str], variables: set[str], found: str | None
) -> None:
    texts = {place: f'base_url = "{REPLICATE}"\ntoken_command = "{place}"' for place in commands}
    home.write_config(f"[profile.p]\n{texts.get(P, '')}\n[default]\n{texts.get(D, '')}")
    environ = {name: f"token_of_{name}" for name in variables}
    if E in commands:
        environ |= {"BATCHFILL_BASE_URL": REPLICATE, "BATCHFILL_TOKEN_COMMAND": E}
    settings = home.settings(environ, profile="p")
    match settings.token_command or settings.token:
        case TokenCommand(words=words):
            assert words == (found,)
        case Token() as token:
            assert token.reveal() == f"token_of_{found}"
        case None:
            assert found is None


@pytest.mark.parametrize(
    "text", ['"r8_abc"', "'r8_abc'", "Bearer r8_abc", "r8_abc def", "r8_\u00e4", "r8_\n1", '"', "'"]
)
def test_a_token_that_was_copied_with_something_else_is_refused(home: Home, text: str) -> None:
    with pytest.raises(UsageError, match="the token holds spaces, quotes or characters that no token has"):
        home.settings({"BATCHFILL_TOKEN": text})


@pytest.mark.parametrize("text", ["r8_abc", "any-word", "it's", 'pass"word', "a=b/c+d"])
def test_own_servers_take_any_word_as_a_token(home: Home, text: str) -> None:
    token = home.settings({"BATCHFILL_TOKEN": text}).token
    assert token is not None
    assert token.reveal() == text


def test_a_file_of_variables_that_names_a_command_is_not_overruled_by_a_token_of_the_shell(
    home: Home,
) -> None:
    env = f"BATCHFILL_BASE_URL={GATEWAY}\nBATCHFILL_TOKEN_COMMAND=pass\n"
    settings = home.settings({"BATCHFILL_TOKEN": OTHER_TOKEN}, env=env)
    assert settings.token is None
    assert settings.token_command is not None
    settings = home.settings({"BATCHFILL_TOKEN": OTHER_TOKEN}, env=f"BATCHFILL_TOKEN={TOKEN}")
    assert settings.token is not None
    assert settings.token.reveal() == TOKEN


def test_a_file_of_variables_gives_ours_and_those_of_headers_alone(home: Home) -> None:
    env = f"CF_TOKEN={TOKEN}\nLD_PRELOAD=/tmp/x.so\nHTTPS_PROXY=http://x\nREPLICATE_API_TOKEN=r8_0123456789"
    environ, _ = home.read({"OWN": "1"}, env=env, header={"x-key": "CF_TOKEN"})
    assert dict(environ) == {"HOME": str(home.folder), "OWN": "1"}
    found = [environ.secret(name) for name in ("CF_TOKEN", "REPLICATE_API_TOKEN")]
    assert [one and one.reveal() for one in found] == [TOKEN, "r8_0123456789"]


def test_no_file_of_variables_is_read_unasked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.folder)
    (home.folder / ".env").write_text("BATCHFILL_CONCURRENCY=3", "utf-8")
    assert home.settings().concurrency == 32


def test_a_header_of_a_stronger_place_replaces_one_that_differs_in_case(home: Home) -> None:
    home.write_config(
        f'[profile.p]\nbase_url = "{GATEWAY}"\nheader = {{X-Key = "A", x-other = "A"}}\n'
        f'[default]\nbase_url = "{GATEWAY}"\nheader = {{x-key = "B", x-third = "B"}}'
    )
    environ = dict(zip("ABC", ("a_0123456789", "b_0123456789", "c_0123456789"), strict=True))
    found = home.settings(environ, profile="p", header={"X-OTHER": "C"}).extras.headers
    shown = {name: value.reveal()[0] for name, value in found.items()}
    assert shown == {"X-Key": "a", "X-OTHER": "c", "x-third": "b"}


@pytest.mark.parametrize("place", ["profile", "default"])
def test_a_missing_variable_of_a_header_is_named_with_its_place(home: Home, place: str) -> None:
    home.write_config(("[default]" if place == "default" else "[profile.p]") + WHOLE)
    with pytest.raises(UsageError, match=r"config\.toml:3: header x-key=CF_TOKEN: .* is missing or empty"):
        home.settings(profile="p" if place == "profile" else None)


def test_a_cap_without_a_price_is_told_with_the_place_that_says_it(home: Home) -> None:
    home.write_config(f'[profile.p]\nbase_url = "{GATEWAY}"\nmax_cost = 5')
    settings = home.settings(profile="p")
    with pytest.raises(UsageError, match=r"or take max_cost out of .*config\.toml:3$"):
        refuse_cap_without_price(settings, choose_model(settings))
    settings = home.settings(profile="p", max_cost="5")
    with pytest.raises(UsageError, match=r"or leave --max-cost out$"):
        refuse_cap_without_price(settings, choose_model(settings))


# What the batch remembers


@pytest.mark.parametrize(
    ("said", "facts", "flags", "refused"),
    [
        (f'base_url = "{GATEWAY}"', {"base": OTHER}, {"profile": "p"}, "begun with base"),
        (f'base_url = "{GATEWAY}?key=a"', {"base": OTHER}, {"profile": "p"}, "begun with base"),
        (f'base_url = "{GATEWAY}"', {"base": GATEWAY}, {"profile": "p"}, None),
        (f'base_url = "{GATEWAY}"', {"base": OTHER}, {"profile": "p", "base_url": OTHER}, None),
        (f'base_url = "{GATEWAY}"', {"base": OTHER}, {}, None),
        ("rate = 1", {"base": OTHER}, {"profile": "p"}, None),
        ('model = "a/b"', {"model": "c/d"}, {"profile": "p"}, "begun with model"),
        ('model = "a/b"', {"model": "c/d"}, {"profile": "p", "model": "c/d"}, None),
        ('model = "a/b"', {"model": "a/b"}, {"profile": "p"}, None),
    ],
)
def test_a_profile_that_is_about_another_batch_is_refused_naming_both(
    home: Home, said: str, facts: dict[str, str], flags: dict[str, Any], refused: str | None
) -> None:
    home.write_config(f"[profile.p]\n{said}")
    if refused is None:
        settings = home.settings(facts=facts, **flags)
        assert all(getattr(settings, name) == value for name, value in facts.items())
        return
    with pytest.raises(
        UsageError, match=rf"night\.batch was {refused} .*, and profile p says .*--out"
    ) as told:
        home.settings(facts=facts, **flags)
    assert "key=a" not in str(told.value)


def test_a_profile_that_a_variable_names_is_left_out_by_a_flag(home: Home) -> None:
    home.write_config(f'[profile.p]\nbase_url = "{GATEWAY}"')
    environ, facts = {"BATCHFILL_PROFILE": "p"}, {"base": OTHER}
    with pytest.raises(UsageError, match=r"profile p says .*: give --profile '', or give --base-url"):
        home.settings(environ, facts=facts)
    assert home.settings(environ, facts=facts, profile="").base == OTHER


@pytest.mark.parametrize("place", ["environment", "default"])
def test_what_the_batch_remembers_goes_before_the_environment_and_the_defaults(
    home: Home, place: str
) -> None:
    if place == "default":
        home.write_config(f'[default]\nmodel = "a/b"\nbase_url = "{GATEWAY}"')
    environ = {"BATCHFILL_MODEL": "a/b", "BATCHFILL_BASE_URL": GATEWAY} if place == "environment" else {}
    settings = home.settings(environ, facts={"model": "c/d", "base": OTHER})
    assert (settings.model, settings.base) == ("c/d", OTHER)


@pytest.mark.parametrize(
    ("remembered", "by_flag", "head", "said", "cap"),
    [
        (None, False, None, "5", 5),
        ("none", False, None, "5", 5),
        ("10", False, None, "5", 5),
        ("10", False, None, "50", 10),
        ("10", False, None, "none", 10),
        ("10", True, None, "5", 10),
        ("none", True, None, "5", None),
        ("10", False, 20, "5", 20),
        ("10", True, 20, "50", 10),
    ],
)
def test_no_place_around_a_command_lifts_a_cap_that_the_batch_remembers(
    home: Home, remembered: str | None, by_flag: bool, head: int | None, said: str, cap: int | None
) -> None:
    facts = {}
    if remembered is not None:
        facts["max_cost"] = remembered if remembered == "none" else f"{remembered}000000"
    if by_flag:
        facts["max_cost_by"] = "flag"
    found = home.settings(
        {"BATCHFILL_MAX_COST": said}, facts=facts, head={} if head is None else {"max_cost": head * 10**6}
    ).max_cost
    assert found == (None if cap is None else cap * 10**6)


# What is told


def test_where_settings_come_from_is_told_and_their_secrets_are_not(home: Home) -> None:
    home.write_config(
        f'[default]\nconcurrency = 8\nrate = 5\n[profile.p]\nbase_url = "{GATEWAY}?key={TOKEN}"\n'
        f'price = 0.04\nnotify = "https://hooks.example.com/{TOKEN}"\ntoken_command = ["echo", "{TOKEN}"]\n'
        "until = 07:30:00\n"
        'header = {x-key = "CF_TOKEN"}\nfinish = "raw"\nskip_bad = true\n[profile.q]\nrate = 1'
    )
    settings = home.settings(
        {"CF_TOKEN": TOKEN, "BATCHFILL_ATTEMPTS": "2"}, head={"rate": 9.0}, profile="p", concurrency=4
    )
    assert settings.origins == (
        f"from profile p: base_url {GATEWAY}?key=…, price 0.04, notify, token_command, until 07:30, header, "
        "skip_bad, finish=raw",
        "from the environment: attempts 2",
    )
    assert TOKEN not in repr(settings)


def test_what_the_batch_remembers_otherwise_is_told(home: Home) -> None:
    home.write_config('[default]\nmodel = "a/b"\nmax_cost = 20\nrate = 5')
    facts = {"model": "c/d", "max_cost": "10000000"}
    assert home.settings(facts=facts).origins == (
        "from [default]: rate 5",
        "not from [default]: max_cost, model, since the batch remembers another",
    )
    assert home.settings(facts=facts, model="c/d", max_cost="10").origins == ("from [default]: rate 5",)


@pytest.mark.parametrize(
    ("facts", "outputs"),
    [
        ({}, "s3://bucket/night/"),
        ({"base": REPLICATE}, None),
        ({"base": REPLICATE, "outputs": "s3://bucket/begun/"}, "s3://bucket/begun/"),
    ],
)
def test_a_variable_puts_outputs_of_a_new_batch_alone_into_a_bucket(
    home: Home, facts: dict[str, str], outputs: str | None
) -> None:
    settings = home.settings({"BATCHFILL_OUTPUTS": "s3://bucket/night/"}, facts=facts)
    assert settings.outputs == outputs
    assert ("since the batch remembers another" in "".join(settings.origins)) == bool(facts)


def test_a_rehearsal_goes_on_with_a_profile_of_any_base(home: Home) -> None:
    home.write_config(f'[profile.p]\nbase_url = "{GATEWAY}"')
    settings = home.settings({"BATCHFILL_LOCAL": "1"}, facts={"base": LOCAL}, profile="p")
    assert settings.base == home.settings(facts={"base": LOCAL}, profile="p", local=True).base == LOCAL


def test_each_pair_is_told_of_the_place_from_which_it_counts(home: Home) -> None:
    home.write_config("[default]\nset = {a = 1, b = 1, c = 1}\n[profile.p]\nset = {b = 2, c = 2}")
    assert home.settings(profile="p", set={"c": "3"}).origins == (
        "from profile p: b=2",
        "from [default]: a=1",
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_mistake_around_a_command_shows_a_secret(home: Home, data: st.DataObject) -> None:
    secrets = {
        name: f"s{data.draw(st.integers(10**9, 10**10))}{data.draw(st.sampled_from(SPOILED))}"
        for name in ("BATCHFILL_TOKEN", "CF_TOKEN", "BATCHFILL_NOTIFY", "BATCHFILL_TOKEN_COMMAND")
    }
    key = f"k{data.draw(st.integers(10**9, 10**10))}"
    scheme = data.draw(st.sampled_from(["https", "http", "ftp", ""]))
    environ = {
        **secrets,
        "BATCHFILL_BASE_URL": f"{scheme}://gw.example.com/v1?key={key}",
        "X": secrets["CF_TOKEN"],
    }
    header = data.draw(st.sampled_from([{"x-key": "CF_TOKEN"}, {"host": "CF_TOKEN"}, {"a b": "CF_TOKEN"}]))
    shown = [repr(home.read(environ, header=header))]
    try:
        found = home.settings(environ, header=header)
    except UsageError as error:
        trace = TracebackException.from_exception(error, capture_locals=True)
        # Behind this file's own frames, which know the secrets.
        shown += [frame for frame in trace.format() if "/tests/" not in frame]
    else:
        shown += [repr(found), *found.origins, *found.warnings]
    hidden = [*(secret[:11] for secret in secrets.values()), key]
    assert not any(secret in text for secret in hidden for text in shown)


@pytest.mark.parametrize("wrong", ["[default", "[profile.q]", "rate = 1", None])
def test_a_file_that_cannot_be_read_is_told_without_what_is_around_it(home: Home, wrong: str | None) -> None:
    if wrong is not None:
        home.write_config(wrong)
    with pytest.raises(UsageError) as caught:
        home.read({"BATCHFILL_TOKEN": TOKEN, "CF_TOKEN": TOKEN}, env=f"CF_TOKEN={TOKEN}", profile="p")
    trace = TracebackException.from_exception(caught.value, capture_locals=True)
    assert not any(TOKEN in frame for frame in trace.format() if "/tests/" not in frame)


def test_variables_of_headers_are_secret_in_profiles_too_that_were_not_asked_for(home: Home) -> None:
    home.write_config(f'[profile.q]\nbase_url = "{GATEWAY}"\nheader = {{x-key = "CF_TOKEN"}}')
    environ, _ = home.read({"CF_TOKEN": TOKEN, "COPY": f"Bearer {TOKEN}"})
    assert dict(environ) == {"HOME": str(home.folder)}
    assert "CF_TOKEN" in home.settings({"CF_TOKEN": TOKEN}).extras.variables


def test_what_does_not_count_at_this_provider_is_told(home: Home) -> None:
    home.write_config(f"[default]{WHOLE}")
    settings = home.settings({"CF_TOKEN": TOKEN}, base_url=OTHER)
    idle = "header, idempotent, price, token_command"
    assert settings.origins == (
        "from [default]: attempts 7",
        f"not from [default]: {idle}, for {GATEWAY} alone and not for {OTHER}",
    )


@pytest.mark.parametrize(
    ("variable", "warned"),
    [
        ("BATCHFILL_MAXCOST", "BATCHFILL_MAX_COST"),
        ("BATCHFILL_CONCURENCY", "BATCHFILL_CONCURRENCY"),
        ("BATCHFILL_TOKEN", None),
        ("BATCHFILL_RUN_MANIFEST", None),
        ("BATCHFILL_RUN_FOLDER", None),
        ("BATCHFILL_RUN_EVENT", None),
        ("_BATCHFILL_COMPLETE", None),
        ("BATCHFILL_FUZZ", None),
    ],
)
def test_a_variable_that_nearly_is_a_setting_is_told(home: Home, variable: str, warned: str | None) -> None:
    _, around = home.read({variable: "5"})
    assert around.mistakes == ()
    if warned is None:
        assert around.warnings == ()
    else:
        (warning,) = around.warnings
        assert warning == f"{variable} is no setting, and says nothing; did you mean {warned}?"


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("RATE", "fast", "BATCHFILL_RATE must be a number, not 'fast'"),
        ("LOCAL", "maybe", "BATCHFILL_LOCAL must be true or false"),
        ("SET", "guidance", "BATCHFILL_SET must be NAME=VALUE, one a line"),
        ("BASE_URL", "gateway", "BATCHFILL_BASE_URL: base URL must be an address such as"),
        ("HEADER", f"x-key=sk-{TOKEN}", "must name the variable that holds the header's value"),
        ("TOKEN_COMMAND", f"echo '{TOKEN}", "must be a program and its arguments, with quotes in pairs"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_place(
    home: Home, variable: str, text: str, told: str
) -> None:
    environ = {"BATCHFILL_BASE_URL": GATEWAY, f"BATCHFILL_{variable}": text}
    (mistake,) = home.read(environ)[1].mistakes
    assert told in mistake
    assert TOKEN not in mistake
    with pytest.raises(UsageError):
        home.settings(environ)


def test_a_variable_without_a_value_says_nothing(home: Home) -> None:
    assert home.settings({"BATCHFILL_RATE": " ", "BATCHFILL_YES": ""}).rate == 600
