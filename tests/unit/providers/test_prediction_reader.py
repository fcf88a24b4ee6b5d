"""A prediction is found in whatever a gateway makes of it, and what was guessed is said to be."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.providers import error_text
from batchfill.providers.manners import ENVELOPES, IDS, STATUSES
from batchfill.providers.prediction_reader import envelope_of, read_asked, read_created

MADE: dict[str, Any] = {"id": "p1", "status": "starting", "urls": {}, "input": {}, "output": None}
BARE = {"id": "p1", "status": "starting"}
PICTURE = "data:image/webp;base64,AAAA"


if TYPE_CHECKING:
    from collections.abc import Callable


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "value", [MADE, BARE, {"id": "p1"}, {**MADE, "data": {"id": "p2", "status": "x"}}], ids=str
)
def test_the_documented_place_of_an_id_is_certain(value: Any) -> None:
    found = read_created(dumped(value), {})
    assert (found.id, found.certain) == ("p1", True)


GUESSED: list[tuple[Any, dict[str, str]]] = [
    *(({envelope: MADE}, {}) for envelope in ENVELOPES),
    *(({key: "p1", "status": "queued"}, {}) for key in IDS[1:]),
    ([MADE], {}),
    ({"data": [MADE]}, {}),
    ({"id": "request-7", "status": "success", "data": MADE}, {}),
    ({"code": 0, "data": {"task_id": "p1"}}, {}),
    (json.dumps(MADE), {}),
    ({"ok": True}, {"location": "https://gw.example/v1/predictions/p1?token=x"}),
    ({"id": "p1", "error": {"message": "?"}}, {}),
]


@pytest.mark.parametrize(("value", "headers"), GUESSED, ids=str)
def test_any_other_place_is_a_guess(value: Any, headers: dict[str, str]) -> None:
    found = read_created(dumped(value), headers)
    assert (found.id, found.certain) == ("p1", False)


DAMAGED = [
    b"<b>Warning</b>: x in y" * 0 + b"Warning: x\n" + dumped(MADE),
    b")]}',\n" + dumped(MADE),
    dumped(MADE)[:-9],
    dumped({"logs": "x" * 9, **MADE})[:-1],
    b'{"id": "p1", "n": ' + b"9" * 5000 + b"}",
    b'{"id": "p1", "logs": "\xff\xfe"',
]


@pytest.mark.parametrize("body", DAMAGED, ids=lambda body: str(body[:40]))
def test_an_id_is_found_in_damaged_text(body: bytes) -> None:
    assert read_created(body, {}).id == "p1"


NOTHING: list[Any] = [
    None,
    True,
    7,
    "p1",
    [],
    {},
    [MADE, MADE],
    {"status": "starting"},
    {"id": ""},
    {"id": "../x"},
    {"id": True},
    {"data": {"status": "starting"}},
    {"error": {"message": "no quota", "code": "x"}, "request_id": "r-1"},
    {"id": None, "status": "failed", "output": None},
    {"id": None, "status": "processing", "output": [PICTURE]},
]


@pytest.mark.parametrize("value", NOTHING, ids=str)
def test_what_names_no_prediction_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match="no prediction id"):
        read_created(dumped(value), {})


@pytest.mark.parametrize("body", [b"", b"<html>id</html>", b'<p>{"id": "p1"}', b"gone", b"\xff\xfe"])
def test_a_page_or_nothing_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="no prediction id"):
        read_created(body, {})


@pytest.mark.parametrize("read", [lambda body: read_created(body, {}), lambda body: read_asked(body, "p9")])
def test_an_answer_of_too_many_values_is_not_parsed_with_text_around_it_either(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[bytes], object]
) -> None:
    monkeypatch.setattr(error_text, "MOST_VALUES", 3)
    body = b'{"status": "succeeded", "output": ["https://x/a.png", "https://x/b.png"]}'
    with pytest.raises(ValueError, match=r"no prediction id|cannot be read"):
        read(body)


def test_a_finished_picture_needs_no_id() -> None:
    found = read_created(dumped({"id": None, "status": "succeeded", "output": [PICTURE]}), {})
    assert (found.id, found.status, found.outputs) == ("", "succeeded", (PICTURE,))


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"status": "processing"}, "processing"),
        ({**MADE, "id": None}, "starting"),
        ({"status": "success", "data": {"status": "processing"}}, "processing"),
        ({"code": 200, "data": {**MADE, "status": "SUCCESS", "output": [PICTURE]}}, "succeeded"),
        ({"output": PICTURE, "completed_at": "2026-11-29T12:00:00Z"}, "succeeded"),
    ],
    ids=str,
)
def test_an_answer_about_a_prediction_need_not_repeat_its_id(value: Any, status: str) -> None:
    found = read_asked(dumped(value), "p9")
    assert found.status == status
    assert found.id in ("p1", "p9")


@pytest.mark.parametrize(
    "value", [{"code": 500, "message": "任务不存在", "data": None}, [], "gone", 7], ids=str
)
def test_an_answer_about_no_prediction_is_told_in_its_words(value: Any) -> None:
    with pytest.raises(ValueError, match=r"任务不存在|no prediction"):
        read_asked(json.dumps(value, ensure_ascii=False).encode(), "p9")


@pytest.mark.parametrize(("status", "words"), STATUSES.items())
def test_words_that_mean_the_same_are_the_same(status: str, words: tuple[str, ...]) -> None:
    for word in words:
        for written in (word, word.upper(), word.title(), word.replace("_", " "), word.replace("_", "-")):
            assert read_asked(dumped({"id": "p", "status": written}), "p").status == status


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"completed_at": "2026-11-29T12:00:00Z", "output": [PICTURE]}, "succeeded"),
        ({"completed_at": "2026-11-29T12:00:00Z", "error": "no"}, "failed"),
        ({"completed_at": "2026-11-29T12:00:00Z"}, "fertig"),
        ({"output": [PICTURE]}, "fertig"),
    ],
)
def test_an_unknown_word_is_judged_by_what_else_is_told(told: dict[str, Any], status: str) -> None:
    assert read_asked(dumped({"id": "p", "status": "fertig", **told}), "p").status == status


KEYS = [*IDS, *ENVELOPES, "status", "output", "error", "x"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*IDS, *ENVELOPES, "status", "output", "error", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(values)
def test_any_value_is_a_prediction_with_a_usable_id_or_none(value: Any) -> None:
    with suppress(ValueError):
        found = read_created(dumped(value), {})
        assert found.id or (found.status == "succeeded" and found.outputs)
    with suppress(ValueError):
        assert read_asked(dumped(value), "p9").id


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"code": 200, "data": {"results": []}}, "data"),
        ({"success": True, "result": {"id": "p1"}}, "result"),
        ({"id": "p1", "data": {"id": "p2"}}, ""),
        ({"output": None, "data": {}}, ""),
        ({"data": [1, 2]}, ""),
        ({"results": []}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_an_envelope_is_what_holds_all_that_an_answer_tells(value: Any, key: str) -> None:
    assert envelope_of(value) == key
