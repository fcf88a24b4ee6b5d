"""Files of settings: what is wrong with them is told with file and line, and without what they hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchfill.errors import UsageError
from batchfill.settings.env_file import EnvFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.settings.conftest import Home

SECRET = "tok_0123456789"

# config.toml


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[default]\nrate == 3", 2, "is not TOML"),
        ("[default]\nrate = ", 2, "is not TOML"),
        ("[default\nrate = 3", 1, "is not TOML"),
        ("[default]\nrate = 3\nrate = 4\n\n", 3, "is not TOML"),
        (f"[default]\nmodel = {SECRET}", 2, "is not TOML"),
        ("[profile.p]\nrate = 1\n[profile.p]\n", 3, "is not TOML"),
        ("rate = 3\n[default]", 1, "rate is in no table: put settings below [default] or [profile.NAME]"),
        ("[default]\n[profiles.p]\nrate = 3", 2, "profiles is no table of settings"),
        ("default = 3", 1, "default must be a table: [default]"),
        ("[profile]\nrate = 3", 2, "rate is in a profile without a name: begin it with [profile.NAME]"),
        ("[default]\n\nconcurency = 3", 3, "unknown setting concurency; did you mean concurrency?"),
        ('[profile.p]\nrate = 3\n[default]\nrate = "fast"', 4, "rate must be a number, not 'fast'"),
        ("[default]\nconcurrency = 8.5", 2, "concurrency must be a whole number, not '8.5'"),
        ("[default]\nconcurrency = [8]", 2, "concurrency must be a single value"),
        ('[default]\nskip_bad = "yes"', 2, "skip_bad must be true or false, without quotes"),
        ('[default]\ncolumn = "image"', 2, 'column must be a table, such as {NAME = "VALUE"}'),
        ("[default]\nset = {a = [1]}", 2, "set must be a single value"),
        (
            "[default]\nset = {a = 1}\ndefaults = {b = 1}",
            3,
            "defaults is given twice, as set and as defaults",
        ),
        ('[default]\nbase_url = "gateway"', 2, "base URL must be an address such as"),
        (
            '[default]\nbase_url = "http://example.com"',
            2,
            "base URL 'http://example.com' would send the token",
        ),
        ("[default]\ntoken_command = []", 2, "token_command must be a program and its arguments, such as"),
        ('[default]\ntoken_command = ["a", 1]', 2, "token_command must be a program and its arguments"),
        *(
            (
                f'[default]\n{word} = "{SECRET}"',
                2,
                "the token does not stand in config.toml: name the command",
            )
            for word in ("token", "api_key", "password", "replicate_api_token")
        ),
        (
            f'[default]\nbase_url = "https://x.y/v1"\nheader = {{a = "Bearer {SECRET}"}}',
            3,
            "header must name the variable that holds the header's value",
        ),
    ],
)
def test_what_is_wrong_with_the_file_of_settings_is_told_with_its_line(
    home: Home, text: str, line: int, told: str
) -> None:
    home.write_config(text)
    with pytest.raises(UsageError) as wrong:
        home.settings()
    assert f"{home.config}:{line}: {told}" in str(wrong.value)
    assert SECRET not in str(wrong.value)


def test_every_mistake_of_the_file_of_settings_is_told_at_once(home: Home) -> None:
    home.write_config('[default]\nrate = "a"\nyes = true\nattempts = 0\n[profile.other]\nrate = "b"')
    with pytest.raises(UsageError) as wrong:
        home.settings()
    assert [line.partition(": ")[0] for line in str(wrong.value).splitlines()] == [
        f"{home.config}:{number}" for number in (2, 3, 4)
    ]


def test_bytes_that_are_no_text_are_told_with_their_line(home: Home) -> None:
    home.write_config("")
    home.config.write_bytes(b'[default]\nmodel = "\xff"')
    with pytest.raises(UsageError, match=r"config\.toml:2: is not UTF-8"):
        home.settings()


def test_a_folder_in_the_place_of_the_file_is_told(home: Home) -> None:
    home.config.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"config\.toml: cannot be read: Is a directory"):
        home.settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"config\.toml has none of that name: add \[profile\.gatewy\]"),
        (None, r"config\.toml: write one with \[profile\.gatewy\] in it"),
        ("[profile.gateway]", r"config\.toml has none of that name; did you mean gateway\?"),
        ("[profile.a]\n[profile.b]", r"config\.toml has none of that name; known are a, b"),
    ],
)
def test_a_profile_that_is_not_there_is_told_with_those_that_are(
    home: Home, text: str | None, told: str
) -> None:
    if text is not None:
        home.write_config(text)
    with pytest.raises(UsageError, match=rf"profile gatewy: .*{told}"):
        home.read(profile="gatewy")


def test_a_user_without_a_home_has_no_file_of_settings(home: Home) -> None:
    assert home.settings({"HOME": ""}).concurrency == 32
    with pytest.raises(UsageError, match="profile p: there is no"):
        home.read({"HOME": ""}, profile="p")


@pytest.mark.skipif(os.name != "posix", reason="files there have no such bits")
@pytest.mark.parametrize(
    ("mode", "text", "outcome"),
    [
        (0o600, f'notify = "https://x.y/{SECRET}"', None),
        (0o644, "rate = 3", None),
        (0o644, f'notify = "https://x.y/{SECRET}"', "may read it, and it holds a secret: chmod 600"),
        (0o644, f'base_url = "https://x.y/v1?key={SECRET}"', "may read it, and it holds a secret: chmod 600"),
        (0o646, "rate = 3", "refused"),
        (0o666, "rate = 3", "refused"),
    ],
)
def test_who_else_may_read_or_write_the_file_of_settings_is_told(
    home: Home, mode: int, text: str, outcome: str | None
) -> None:
    home.write_config(f"[default]\n{text}", mode)
    if outcome == "refused":
        with pytest.raises(UsageError, match=r"other users of this machine may write it, .*chmod 600"):
            home.read()
        return
    _, around = home.read()
    assert (outcome in around.warnings[0]) if outcome else around.warnings == ()
    assert not any(SECRET in warning for warning in around.warnings)


@pytest.mark.skipif(os.name != "posix", reason="files there have no such bits")
@pytest.mark.parametrize("name", ["BATCHFILL_TOKEN", "REPLICATE_API_TOKEN", "CF_TOKEN", "BATCHFILL_NOTIFY"])
def test_a_file_of_variables_that_others_may_read_is_told_when_it_holds_a_secret(
    home: Home, name: str
) -> None:
    home.env_file.write_text(f"{name}=https://x.y/{SECRET}", "utf-8")
    home.env_file.chmod(0o644)
    _, around = home.read(env_file=home.env_file, header={"x-key": "CF_TOKEN"})
    assert "gateway.env: other users of this machine may read it" in around.warnings[0]


# Files of variables


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=1", {"A": "1"}),
        ("\n# a comment\n  export A = 1  # one\r\nB=\n", {"A": "1", "B": ""}),
        ("A='a # b'\nB=\"c # d\" # e\nC=f#g", {"A": "a # b", "B": "c # d", "C": "f#g"}),
        (r'A="a\nb\"c\\d"', {"A": 'a\nb"c\\d'}),
        (r"A='a\nb'", {"A": r"a\nb"}),
        ("A=\"one\ntwo\"\nB='three\nfour'", {"A": "one\ntwo", "B": "three\nfour"}),
        ("A=$HOME ${B}", {"A": "$HOME ${B}"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=1\nA=2", {"A": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("", {}),
    ],
)
def test_a_file_of_variables_is_read_as_shells_read_it(
    tmp_path: Path, text: str, variables: dict[str, str]
) -> None:
    path = tmp_path / "a.env"
    path.write_text(text, "utf-8", newline="")
    assert dict(EnvFile(path)) == variables


@pytest.mark.parametrize(
    "line", ["A", "1A=b", "a b=c", f"A='{SECRET}", f'A="{SECRET}', f"A='x' {SECRET}", "=x"]
)
def test_a_line_that_is_no_variable_is_told_by_its_number_and_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.env"
    path.write_text(f"# one\nB=2\n{line}\n", "utf-8")
    with pytest.raises(UsageError, match=r"a\.env:3: must be NAME=VALUE, with quotes in pairs") as wrong:
        EnvFile(path)
    assert SECRET not in str(wrong.value)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=20), max_size=4)
)
def test_whatever_stands_in_double_quotes_is_read_back(tmp_path: Path, variables: dict[str, str]) -> None:
    variables = {
        name: text.replace("\r", "").encode("utf-8", "ignore").decode() for name, text in variables.items()
    }
    quoted = ((name, text.replace("\\", "\\\\").replace('"', '\\"')) for name, text in variables.items())
    path = tmp_path / "a.env"
    path.write_text("\n".join(f'{name}="{text}"' for name, text in quoted), "utf-8", newline="")
    assert dict(EnvFile(path)) == variables


def test_a_file_of_variables_that_is_not_there_is_told(home: Home) -> None:
    with pytest.raises(UsageError, match=r"--env-file .*gone\.env: cannot be read: No such file"):
        home.read(env_file=home.folder / "gone.env")
