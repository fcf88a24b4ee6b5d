from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.manifest import prompts
from batchfill.manifest.prompt_template import PromptTemplate
from batchfill.manifest.prompts import Prompts, find_kinds, is_damaged
from tests.support.manifests import HEADER, URLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

ERROR = "an error or a formula of a spreadsheet"
EMPTY = "a word for an empty cell"
OBJECT = "what a program prints for something that is no text"
PAGE = "the markup of a web page, which is sent along"
PLACEHOLDER = "a template with a placeholder that nothing fills"
DAMAGED = "damaged text, read in another encoding than it was written in"
QUOTED = "a text in quotes, which are sent along"


def kinds_of(text: str) -> list[str]:
    """Return what is said of a prompt (the quick look hides none)."""
    for longer in (text, f"in the harbour at night, {text}"):
        assert find_kinds(longer) == [kind for kind in prompts._KINDS if kind.finds(longer)]
    return [kind.says for kind in find_kinds(text)]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (ERROR, ["#NAME?", "#N/A", "#VALUE!", "a #REF! cat", "#DIV/0!", "#NV", "#WERT!", "#NOM?", "Err:502"]),
        (ERROR, ['=A2&" cat"', '=CONCAT(A1,"x")', " =SVERWEIS(A1;B:C;2)"]),
        (
            EMPTY,
            [
                "nan",
                "NaN",
                "None",
                "null",
                "NULL",
                "undefined",
                "N/A",
                "n/a",
                "<NA>",
                "NaT",
                "-",
                "…",
                "?",
                "TBD",
            ],
        ),
        (
            OBJECT,
            [
                "[object Object]",
                "<Prompt object at 0x7f01>",
                "<function f>",
                "Optional(a cat)",
                "{'text': 'a cat'}",
                '["a cat", "b"]',
            ],
        ),
        (
            PAGE,
            ["<p>A lamp</p>", "a lamp &amp; a cat", "brass<br/>lamp", '<span style="x">a</span>', "&#39;tis"],
        ),
        (
            PLACEHOLDER,
            ["{prompt}", "a {{title}} in red", "{0} and {1}", "${name} at sea", "%s", "%(x)s", "<prompt>"],
        ),
        (
            PLACEHOLDER,
            [
                "[PRODUCT NAME] on a table",
                "a {red|blue} car",
                "__colour__ car",
                "Lorem ipsum dolor sit amet, consectetur",
                "YOUR PROMPT HERE",
            ],
        ),
        (
            DAMAGED,
            [
                "CafÃ© au lait",
                "â€œa catâ€",
                "zaĹĽĂłĹ‚Ä‡",
                "РїСЂРёРІРµС‚",
                "za¿ó³æ gêœl¹ jaŸñ",
                "Gr÷▀e",
                "Gr”áe",
            ],
        ),
        (
            DAMAGED,
            [
                "Gr\ufffd\ufffde",
                "Gr??e",
                "????",
                "M\x81ller",
                "锟斤拷",
                "photos\x07.jpg",
                "naÃ¯ve",
                "ä¸€è‰˜å®‡å®™é£žèˆ¹",
            ],
        ),
        (
            QUOTED,
            ['"a cat"', "“a cat”", "'a cat'", '""a cat""', "„eine Katze“", "«un chat»", ' "a cat, asleep" '],
        ),
    ],
)
def test_what_no_person_wrote_is_seen(kind: str, texts: list[str]) -> None:
    assert {text: kinds_of(text) for text in texts if kind not in kinds_of(text)} == {}


WORDS = [
    "nan",
    "TBD",
    "(blank)",
    "-",
    "...",
    "Optional(",
    "function",
    "Err:502",
    "Lorem ipsum",
    "a cat",
    " ",
    "\n",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_the_quick_look_at_plain_words_hides_nothing(text: str) -> None:
    kinds_of(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a spaceship", "a 50% sale", "=1+1", "-5", "cost $5", "none of them", "a null device", "banana"),
        *(
            "zażółć gęślą jaźń",
            "café à la plage, un œuf",
            "Größe",
            "naïve señor ¿qué?",
            "¡hola!",
            "привет мир",
        ),
        *(
            "飞船停在沙滩上",
            "砂浜の宇宙船",
            "해변",
            "10 m³ box",
            "it´s",
            "45°C, ±5",
            "3½ cups",
            "16×9",
            "H×W",
            "№ 5",
        ),
        *(
            '"OPEN" and "CLOSED"',
            "it's a cat's",
            "'tis a cat's tail'",
            "“OPEN” sign “x”",
            'a 12" ruler',
            "L’été",
        ),
        *(
            "Tom & Jerry; cat",
            "R&D;",
            "a <3 heart",
            "x < y > z",
            "<lora:x:0.8> cat",
            "[red] cat",
            "(blue:1.2) cat",
        ),
        *(
            "what? no!",
            "really?",
            "caf?",
            "a cat, e.g. in #3",
            "#sunset #beach",
            "Müller™ brand",
            "“a”—“b”",
            "🚀",
        ),
    ],
)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert kinds_of(text) == []


@pytest.mark.parametrize(
    "part", ["{", "|", "{a|", "__a", "[A", "<p ", '"', " ", "a?", "Ã", "£", "=A", "-", "%(a", "{{ a"]
)
def test_a_prompt_as_long_as_a_cell_may_be_is_read_in_one_go(part: str) -> None:
    # A pattern that tries again at each character would not end.
    find_kinds("{" + part * (100_000 // len(part)))


FOREIGN = "zażółćgęśląjaźńäöüßéèàçñøåæčřěžőűабвгдежзий一艘宇宙飞船"


@given(
    st.text(FOREIGN, min_size=3, max_size=30),
    st.sampled_from(["windows-1252", "latin-1", "windows-1250", "cp850", "cp437"]),
)
def test_text_that_is_read_in_another_encoding_is_seen(text: str, encoding: str) -> None:
    try:
        damaged = text.encode().decode(encoding)
    except UnicodeDecodeError:
        return
    assert is_damaged(damaged) or text.isascii()


@given(st.text(FOREIGN + "  ,.-’", max_size=60))
def test_text_that_is_read_as_it_was_written_is_not_called_damaged(text: str) -> None:
    assert not is_damaged(text)


def looked_at(rows: list[Row]) -> Prompts:
    found = Prompts("prompt")
    found.add_rows(rows)
    return found


def test_a_kind_is_told_once_with_its_first_row(rows: Callable[..., list[Row]]) -> None:
    content = HEADER + f"a,{URLS},a cat\nb,{URLS},#NAME?\nc,{URLS},#N/A\nd,{URLS},#N/A\ne,{URLS},nan\n"

    assert list(looked_at(rows(content)).warnings("night.csv")) == [
        f"night.csv:3: 3 prompts look like {ERROR}: #NAME?",
        f"night.csv:6: 1 prompt looks like {EMPTY}: nan",
    ]


def test_a_few_different_prompts_are_shown_those_with_foreign_letters_before_others(
    rows: Callable[..., list[Row]],
) -> None:
    texts = ["a cat", "a cat", "a dog", "a cow", "une brioche dorée", "Größe"]
    content = HEADER + "".join(f"r{n},{URLS},{text}\n" for n, text in enumerate(texts))

    assert [tuple(shown) for shown in looked_at(rows(content)).first()] == [
        (2, "r0", "a cat"),
        (6, "r4", "une brioche dorée"),
        (7, "r5", "Größe"),
    ]


def test_a_prompt_that_all_rows_share_is_shown_once_and_not_in_full(rows: Callable[..., list[Row]]) -> None:
    (shown,) = looked_at(rows(HEADER + f"a,{URLS},\n" * 3, defaults={"prompt": "x" * 1000})).first()

    assert shown.text == "x" * prompts.LONGEST + "…"


def test_a_model_without_prompts_has_none_to_show(rows: Callable[..., list[Row]]) -> None:
    found = Prompts(None)
    found.add_rows(rows(HEADER + f"a,{URLS},nan\n"))

    assert (found.first(), list(found.warnings("n.csv"))) == ((), [])


@pytest.mark.parametrize(
    ("default", "own", "warned"),
    [
        ("the {{new}} {x_a} sofa", "", 0),
        ("the {{{x_a}}} sofa", "", 0),
        ("the [NEW] {{x}} {x_a} sofa", "", 1),
        ("the {{new}} {x_a} sofa", "the {old} sofa", 1),
    ],
)
def test_a_brace_that_the_default_prompt_writes_twice_is_no_placeholder(
    rows: Callable[..., list[Row]], default: str, own: str, warned: int
) -> None:
    table = f"image,mask,prompt,x_a\n{URLS},{own},red\n"
    found = Prompts("prompt", PromptTemplate(default))
    found.add_rows(rows(table, defaults={"prompt": default}))

    assert len(list(found.warnings("night.csv"))) == warned
