from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.console.format import (
    first_lines,
    format_count,
    format_money,
    format_states,
    format_time,
    safe_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchfill.domain.rows import RowState


@pytest.mark.parametrize(
    ("millionths", "currency", "words"),
    [
        (1_200_000, "USD", "$1.20"),
        (0, "USD", "$0.00"),
        (40_000, "USD", "$0.04"),
        (5_000, "USD", "$0.005"),
        (1, "USD", "$0.000001"),
        (1_234_567_890_000, "USD", "$1,234,567.89"),
        (1_200_000, "EUR", "1.20 EUR"),
        (None, "EUR", "unknown"),
    ],
)
def test_money_has_two_decimals_and_more_only_where_needed(
    millionths: int | None, currency: str, words: str
) -> None:
    assert format_money(millionths, currency) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 rows"), (1, "1 row"), (10_000, "10,000 rows")])
def test_a_count_agrees_with_its_noun(number: int, words: str) -> None:
    assert format_count(number, "row") == words


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC-2")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_a_moment_is_told_in_the_readers_own_time_zone() -> None:
    assert format_time(1_763_850_000) == "2025-11-23 00:20"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, déjà vu 猫 🐈", "plain text, déjà vu 猫 🐈"),
        ("\x1b[2J\x1b]0;owned\x07gone", "[2J ]0;owned gone"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("8-bit \x9b31m", "8-bit  31m"),
        ("cat\u202egnp.exe", "cat gnp.exe"),
        ("half \ud83d", "half"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_other_peoples_text_cannot_command_a_terminal(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_other_peoples_text_is_cut_to_a_length_worth_reading() -> None:
    assert safe_text("x" * 11, longest=10) == "x" * 9 + "…"
    assert safe_text("x" * 10, longest=10) == "x" * 10


@given(st.text())
def test_safe_text_is_printable_whatever_it_was(text: str) -> None:
    shown = safe_text(text)
    assert len(shown) <= 500
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    shown.encode()


def test_only_states_that_have_rows_are_named(by_state: Callable[..., dict[RowState, int]]) -> None:
    assert format_states(by_state(in_doubt=1, done=9_000, pending=7)) == "7 pending, 9,000 done, 1 in doubt"


@pytest.mark.parametrize(
    ("lines", "unlisted", "shown"),
    [
        (["a", "b"], 0, ["a", "b"]),
        (["a", "b", "c"], 0, ["a", "b", "… and 1 more row"]),
        (["a", "b", "c"], 4, ["a", "b", "… and 5 more rows"]),
        ([], 0, []),
    ],
)
def test_of_many_lines_the_first_are_shown_and_the_rest_counted(
    lines: list[str], unlisted: int, shown: list[str]
) -> None:
    assert list(first_lines(lines, 2, "more row", unlisted=unlisted)) == shown


@pytest.mark.parametrize("word", ["z" * 301, "/tmp/" + "z" * 100_000, "https://example.com/" + "z" * 5000])
def test_of_a_word_that_no_person_writes_only_the_beginning_is_shown(word: str) -> None:
    assert safe_text(f"{word}: File name too long") == f"{word[:60]}… File name too long"


@pytest.mark.parametrize("text", ["/home/studio/" + "nights/" * 40, "的" * 400, "a " * 200 + "b"])
def test_long_paths_and_sentences_are_shown_whole(text: str) -> None:
    assert safe_text(text) == text
