from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from batchfill import filenames
from batchfill.domain.rows import StoredFile
from batchfill.export.name_template import ExportRow, TakenNames, cut_at_word, name_troubles, read_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.reports import Result

    MakeResult = Callable[..., Result]

COLUMNS = ("x_for", "x_client", "room")


@pytest.fixture
def picked(make_result: MakeResult) -> Callable[..., ExportRow]:
    """Return a row with one picture, or more: `picked(count=2, prompt=…)`."""

    def picked(
        count: int = 1,
        suffix: str = ".webp",
        ns: tuple[int, ...] = (),
        place: int = 1,
        first: int = 1,
        **changes: Any,
    ) -> ExportRow:
        row = make_result(**changes)
        numbers = ns or tuple(range(1, count + 1))
        placed = [
            StoredFile(row.id, row.line or 0, 1, None, f"outputs/{row.id}@{n}{suffix}", 10, "ab" * 32, n)
            for n in numbers
        ]
        return ExportRow(row, tuple(placed), place, first)

    return picked


def trouble(template: str, *rows: ExportRow) -> list[str]:
    return list(name_troubles(read_template(template, COLUMNS), rows, TakenNames()))


NAMED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("{id}", {}, ["hero.webp"]),
    ("{id}", {"suffix": ".png"}, ["hero.png"]),
    ("{id}", {"count": 2}, ["hero@1.webp", "hero@2.webp"]),
    ("{id}", {"ns": (2,)}, ["hero.webp"]),
    ("{id}", {"ns": (2, 4)}, ["hero@2.webp", "hero@4.webp"]),
    ("{id}-{n}", {"count": 2}, ["hero-1.webp", "hero-2.webp"]),
    ("{id}_{seed}", {}, ["hero_41.webp"]),
    ("{n}/{id}", {"count": 2}, ["1/hero.webp", "2/hero.webp"]),
    ("{row}", {"place": 12}, ["12.webp"]),
    (
        "{row:4}-{prompt:40}",
        {"place": 12, "count": 2},
        ["0012-a-spaceship@1.webp", "0012-a-spaceship@2.webp"],
    ),
    ("{row:2}", {"place": 12345}, ["12345.webp"]),
    ("{count}", {"first": 7, "ns": (2, 4)}, ["7.webp", "8.webp"]),
    ("{row}-{n:2}", {"ns": (2, 10)}, ["1-02.webp", "1-10.webp"]),
    ("{count:5}/{id}", {"first": 7}, ["00007/hero.webp"]),
    ("{seed:3}", {}, ["041.webp"]),
    ("for {x_for}/{id} (final)", {"extra": {"x_for": "menu"}}, ["for menu/hero (final).webp"]),
    ("{room}{id}", {"extra": {"room": "12/3"}}, ["12-3hero.webp"]),
    ("{prompt:20}", {"prompt": "a spaceship over the sea"}, ["a-spaceship-over-the.webp"]),
    ("{prompt:19}", {"prompt": "a spaceship over the sea"}, ["a-spaceship-over.webp"]),
    ("{prompt}", {"prompt": "  what/is \\ 50% off?! "}, ["what-is-50-off.webp"]),
    ("{prompt}", {"prompt": "../../etc/passwd"}, ["etc-passwd.webp"]),
    ("{prompt}", {"prompt": "wait ..."}, ["wait-.webp"]),
    ("{prompt}/{id}", {"prompt": "wait..."}, ["wait/hero.webp"]),
    ("{prompt}", {"prompt": "-rf *"}, ["rf.webp"]),
    ("{prompt}", {"prompt": "con"}, ["_con.webp"]),
    ("{prompt}/{id}", {"prompt": "Aux.tar.gz"}, ["_Aux.tar.gz/hero.webp"]),
    ("com¹/{id}", {}, ["_com¹/hero.webp"]),
    ("{prompt}/{id}", {"prompt": "Results.csv"}, ["_Results.csv/hero.webp"]),
    ("{prompt}", {"prompt": "u\u0308ber den Wolken"}, ["über-den-Wolken.webp"]),
    ("u\u0308/{id}", {}, ["ü/hero.webp"]),
    ("{prompt:3}", {"prompt": "猫がいる"}, ["猫がい.webp"]),
    ("{x_for}{id}", {"extra": {}}, ["hero.webp"]),
    ("{image}", {"image": "k/My Photo (1).jpg"}, ["My Photo (1).webp"]),
    ("{image}", {"image": "k\\Bäder & Küchen; 2.tar.png"}, ["Bäder & Küchen- 2.tar.webp"]),
    (
        "{image}-{n}",
        {"image": "https://h.test/a/My%20Photo.jpg?sig=SECRET#x", "ns": (1,)},
        ["My Photo-1.webp"],
    ),
    ("{image}", {"image": "s3://bucket/what? 50%20.jpg"}, ["what- 50%20.webp"]),
    ("{image}", {"image": "k/CON.jpg"}, ["_CON.webp"]),
    ("{image:8}", {"image": "k/a sea of clouds.jpg"}, ["a sea of.webp"]),
]
"""A template, a row, and its names."""


@pytest.mark.parametrize(("template", "row", "expected"), NAMED)
def test_a_row_gives_its_names(
    picked: Callable[..., ExportRow], template: str, row: dict[str, Any], expected: list[str]
) -> None:
    assert read_template(template, COLUMNS).file_names(picked(**row)) == expected


WRONG: list[tuple[str, list[str]]] = [
    ("{promt}", ["there is no {promt}; did you mean {prompt}?"]),
    ("{x_four}", ["there is no {x_four}; did you mean {x_for}?"]),
    (
        "{q}",
        [
            "there is no {q}; known are {id}, {image}, {row}, {n}, {count}, {seed}, {prompt}, "
            "{x_for}, {x_client}, {room}"
        ],
    ),
    (
        "{}",
        [
            "there is no {}; known are {id}, {image}, {row}, {n}, {count}, {seed}, {prompt}, "
            "{x_for}, {x_client}, {room}"
        ],
    ),
    (
        "{sed}/{promt:4}",
        ["there is no {sed}; did you mean {seed}?", "there is no {promt}; did you mean {prompt}?"],
    ),
    ("{seed:13}", ["{seed:13}: a number has at most 12 digits"]),
    ("{rows}", ["there is no {rows}; did you mean {row}?"]),
    ("{id", ["a brace is alone in '{id': values stand in two, as in {id}"]),
    ("{id}}", ["a brace is alone in '}': values stand in two, as in {id}"]),
    ("{id}?", ["'?' must not stand in a file's name"]),
    ("a\\{id}", ["'\\\\' must not stand in a file's name; sub-folders are made with /"]),
    ("{id}\u202e", ["'\\u202e' must not stand in a file's name"]),
    ("{id};", ["';' separates names in the table, so it must not stand in one"]),
    ("", ["a folder or the file has no name: put something before and behind each /"]),
    ("/{id}", ["a folder or the file has no name: put something before and behind each /"]),
    ("a//{id}", ["a folder or the file has no name: put something before and behind each /"]),
    ("../{id}", ["a folder or a file must not begin with '.'", "a folder or a file must not end with '.'"]),
    (".hidden/{id}", ["a folder or a file must not begin with '.'"]),
    ("-{id}", ["a folder or a file must not begin with '-'"]),
    ("final /{id}", ["a folder or a file must not end with ' '"]),
]
"""A template, and everything that is wrong with it."""


@pytest.mark.parametrize(("template", "said"), WRONG)
def test_what_is_wrong_with_a_template_is_said_at_once(template: str, said: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^--name: ") as caught:
        read_template(template, COLUMNS)
    assert str(caught.value).split("\n") == [f"--name: {line}" for line in said]


def test_names_that_differ_only_in_case_or_in_how_an_accent_is_written_are_one(
    picked: Callable[..., ExportRow],
) -> None:
    rows = [
        picked(id=f"r{line}", line=line, prompt=prompt)
        for line, prompt in enumerate(("Über", "u\u0308ber", "ueber", "ÜBER!"), 2)
    ]
    assert trouble("{prompt}", *rows) == [
        "--name gives 2 pictures names of other pictures: über.webp (lines 2, 3, 5): "
        "tell them apart, as with {id} or {row}",
    ]
    assert trouble("{prompt}-{id}", *rows) == []


def test_collisions_are_told_in_one_line_however_many_there_are(picked: Callable[..., ExportRow]) -> None:
    rows = [picked(id=f"r{n}", line=n + 2, prompt=f"picture {n % 7}") for n in range(1000)]
    assert trouble("{prompt}", *rows) == [
        "--name gives 993 pictures names of other pictures: picture-0.webp (lines 2, 9, 16, 23 …), "
        "picture-1.webp (lines 3, 10, 17, 24 …), picture-2.webp (lines 4, 11, 18, 25 …) …: "
        "tell them apart, as with {id} or {row}"
    ]
    assert trouble("{prompt}", *rows[:8]) == [
        "--name gives 1 picture a name of other pictures: picture-0.webp (lines 2, 9): "
        "tell them apart, as with {id} or {row}"
    ]


@pytest.mark.parametrize(
    ("template", "row", "said"),
    [
        ("{x_for}/{id}", {"extra": {}}, "its name has an empty part, for want of anything in {x_for}"),
        ("{prompt}", {"prompt": "?!"}, "its name has an empty part, for want of anything in {prompt}"),
        ("{seed}", {"seed": None}, "its name has an empty part, for want of anything in {seed}"),
        (
            "{prompt}",
            {"prompt": "x" * 300},
            "its name has a part of 305 bytes, and 240 are safe: cut it, as in {prompt:40}",
        ),
    ],
)
def test_a_row_without_a_possible_name_is_told(
    picked: Callable[..., ExportRow], template: str, row: dict[str, Any], said: str
) -> None:
    assert trouble(template, picked(**row)) == [f"hero (line 2): {said}"]


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("a-red-car", 9, "a-red-car"),
        ("a-red-car", 8, "a-red"),
        ("a-red-car", 5, "a-red"),
        ("a-red-car", 1, "a"),
        ("spaceship", 5, "space"),
        ("e\u0301e\u0301q\u0302q\u0302", 5, "e\u0301e\u0301"),
    ],
)
def test_a_text_is_cut_at_a_words_end_where_possible(text: str, most: int, expected: str) -> None:
    assert cut_at_word(text, most) == expected


DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{p}{n}" for p in ("COM", "LPT") for n in "0123456789¹²³"}

PIECES = st.sampled_from(
    [
        "{id}",
        "{image}",
        "{row:2}",
        "{n}",
        "{seed}",
        "{prompt}",
        "{prompt:9}",
        "{x_for}",
        "a ",
        "-",
        "Con",
        "/",
    ]
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["CON", "aux.txt", "..", "a.", "a/b", "A", "a", "e\u0301", "é", "results.csv", "lpt1"]
)


def is_id(text: str) -> bool:
    try:
        return filenames.check_id(text) == text
    except ValueError:
        return False
    except IndexError:
        return False  # an empty cell is no id


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "A1", "b-", "ü", "x.y"]) | TEXTS.filter(is_id),
            "prompt": TEXTS,
            "image": TEXTS | TEXTS.map(lambda name: f"k/{name}.png"),
            "seed": st.none() | st.integers(1, 9),
            "extra": st.fixed_dictionaries({"x_for": TEXTS}),
            "count": st.integers(1, 3),
            "suffix": st.sampled_from([".webp", ".png"]),
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda row: filenames.fold_case(str(row["id"])),
)


def assert_safe(name: str) -> None:
    """Whatever the system, *name* is a file below the folder, and it is that very name."""
    assert name == unicodedata.normalize("NFC", name)
    for part in name.split("/"):
        assert part not in ("", ".", "..")
        assert part[0] not in ".- "
        assert part[-1] not in ". "
        assert not set(part) & set('<>:"\\|?*;')
        assert not any(unicodedata.category(c)[0] == "C" for c in part)
        assert part.split(".")[0].upper() not in DEVICES
        assert len(part.encode()) <= 255


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(pieces=st.lists(PIECES, min_size=1, max_size=5), rows=ROWS)
def test_whatever_rows_hold_their_names_are_safe_different_and_the_same_again(
    picked: Callable[..., ExportRow], pieces: list[str], rows: list[dict[str, Any]]
) -> None:
    try:
        template = read_template("".join(pieces), COLUMNS)
    except ValueError:
        assume(False)
    made = [picked(line=line, **row) for line, row in enumerate(rows, 2)]
    taken = TakenNames()
    said = list(name_troubles(template, made, taken))
    collisions = [int(line.split()[2]) for line in said if line.startswith("--name gives ")]
    told = {int(line.split("(line ")[1].split(")")[0]) for line in said if not line.startswith("--name")}
    given_names: list[str] = []
    for row in made:
        if row.result.line not in told:
            given_names += template.file_names(row)
    for name in given_names:
        assert_safe(name)
        assert name in taken
    different = len({filenames.fold_case(name) for name in given_names})
    assert [len(given_names) - different] == (collisions or [0])
    # A row keeps its names whatever stands around it, so that an export can be gone on with.
    for row in reversed(made):
        if row.result.line not in told:
            assert set(template.file_names(row)) <= set(given_names)
    if pieces == ["{id}"]:
        assert not said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=ROWS)
def test_the_usual_names_are_the_ids_as_they_are_and_nothing_is_wrong_with_them(
    picked: Callable[..., ExportRow], rows: list[dict[str, Any]]
) -> None:
    made = [picked(line=line, **row) for line, row in enumerate(rows, 2)]
    assert trouble("{id}", *made) == []
    template = read_template("{id}")
    stems = {PurePosixPath(name).stem.rsplit("@", 1)[0] for row in made for name in template.file_names(row)}
    assert stems == {row.result.id for row in made}
