"""What a record of payments says, whatever became of its bytes, and what a ledger has to learn of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.ledger import payments
from batchfill.ledger.payments import Known, Payment, judge, read_lines
from tests.unit.ledger.conftest import HEADING

FILE = {"n": 1, "file": "outputs/r1.webp", "size": 3, "sha256": "ab", "raw": None, "raw_sha256": None}


def intent(number: int, key: str = "", at: float | None = None) -> str:
    fields: dict[str, Any] = {"row": f"r{number}", "seed": 7, "price": None, "area": (1, 2, 3, 4)}
    return payments.intent_line(number, key=key or f"k{number}", at=float(at or number), **fields)


LINES = [
    payments.heading_line(HEADING),
    intent(1),
    intent(2),
    payments.accepted_line(2, "p2"),
    payments.free_line(1),
    intent(3),
    payments.kept_line(2, [FILE]),
]


def read(*lines: str | bytes, **options: Any) -> payments.PaymentReading:
    content = b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return read_lines(content.splitlines(keepends=True), **options)


def test_what_is_written_is_read() -> None:
    found = read(*LINES)
    assert (found.heading, found.damaged, found.whole) == (HEADING, (), True)
    assert found.size == sum(map(len, LINES))
    first, second, third = found.payments
    assert first == Payment(number=1, key="k1", row="r1", at=1.0, seed=7, area=(1, 2, 3, 4), free=True)
    assert (second.prediction_id, second.kept[0].file) == ("p2", "outputs/r1.webp")
    assert (third.prediction_id, third.free, third.kept) == (None, False, ())


def test_an_id_that_an_answer_seems_to_name_is_told_from_one_that_it_names() -> None:
    seeming = payments.accepted_line(1, "p1", unconfirmed=True)
    found = read(LINES[0], intent(1), seeming)
    assert [(one.prediction_id, one.unconfirmed) for one in found.payments] == [("p1", True)]
    assert judge(found.payments, [known(1)]).unconfirmed == {1}
    # Asked for since, or found to be another one.
    for id_ in ("p1", "p2"):
        found = read(LINES[0], intent(1), seeming, payments.accepted_line(1, id_))
        assert [(one.prediction_id, one.unconfirmed) for one in found.payments] == [(id_, False)]
        assert judge(found.payments, [known(1)]).unconfirmed == frozenset()


def test_a_number_that_was_given_again_is_another_attempt() -> None:
    found = read(LINES[0], intent(1), payments.accepted_line(1, "p"), intent(1, at=9), payments.free_line(1))
    assert [(payment.prediction_id, payment.free) for payment in found.payments] == [
        ("p", False),
        (None, True),
    ]


@given(st.integers(0, sum(map(len, LINES))), st.sampled_from([b"", b"\0" * 40, b'{"intent":', b"\xff\n"]))
def test_wherever_it_was_torn_what_is_whole_is_read(cut: int, junk: bytes) -> None:
    whole = "".join(LINES).encode()
    found = read(whole[:cut], junk)
    lines = whole[:cut].count(b"\n")
    assert found.size == sum(map(len, LINES[:lines]))
    # What has its end was whole once.
    ended = lines + 1 if junk.endswith(b"\n") else 0
    assert found.damaged == ((ended,) if ended else ())
    assert found == replace(read(*LINES[:lines]), size=found.size, damaged=found.damaged)


@pytest.mark.parametrize(
    "line",
    [
        "garbage\n",
        b"\xff\xfe\n",
        b"\0" * 4000 + b"\n",
        "[]\n",
        "7\n",
        '{"intent":1}\n',
        '{"intent":1,"key":"","row":"r","at":1.0}\n',
        '{"intent":1,"key":"k","row":"\\ud800","at":1.0}\n',
        '{"intent":1,"key":"k","row":"r","at":NaN}\n',
        '{"intent":1,"key":"k","row":"r","at":1.0,"seed":"s"}\n',
        '{"intent":1,"key":"k","row":"r","at":1.0,"area":[1,2]}\n',
        '{"intent":99999999999999999999,"key":"k","row":"r","at":1.0}\n',
        '{"accepted":7,"id":"of no intent"}\n',
        '{"accepted":"1","id":"p"}\n',
        '{"kept":2,"files":[{}]}\n',
        "[" * 100_000 + "\n",
    ],
)
@pytest.mark.parametrize("at", [4, len(LINES)])
def test_a_line_that_has_its_end_and_cannot_be_read_is_told_wherever_it_is(
    line: str | bytes, at: int
) -> None:
    found = read(*LINES[:at], line, *LINES[at:])
    assert found.damaged == (at + 1,)
    assert found.payments == read(*LINES).payments
    assert found.size == sum(map(len, [*LINES[:at], *([line, *LINES[at:]] if at < len(LINES) else [])]))


def test_an_intent_that_cannot_be_read_counts_once_whatever_is_told_of_it() -> None:
    late = [payments.accepted_line(2, "p2"), payments.kept_line(2, [FILE])]
    assert read(LINES[0], intent(1), "?\n", *late, intent(3), *late).damaged == (3,)
    # It is gone without a trace.
    assert read(LINES[0], intent(1), *late, intent(3), *late).damaged == (3,)


@given(st.binary())
def test_any_bytes_can_be_read(content: bytes) -> None:
    assert read(content).size <= len(content)


@given(st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=30).map(lambda b: b + b"\n"))))
def test_lines_in_any_order_can_be_read_and_judged(lines: list[str | bytes]) -> None:
    judge(read(*lines).payments, [])


def test_a_newer_form_is_known_for_one() -> None:
    assert read(LINES[0].replace('"batchfill":1', '"batchfill":2')).newer
    assert not read(*LINES).newer


def test_behind_what_the_ledger_knows_attempts_are_known_by_their_numbers() -> None:
    found = read(payments.accepted_line(4, "p4"), payments.kept_line(4, [FILE]), whole=False, at=100)
    (payment,) = found.payments
    assert (payment.number, payment.key, payment.prediction_id) == (4, "", "p4")
    assert found.size > 100


# The judgement


def paid(number: int, key: str = "", **fields: Any) -> Payment:
    return Payment(
        number=number, key=key or f"k{number}", row=f"r{number}", at=float(number), line=number, **fields
    )


def known(number: int, key: str = "", **fields: Any) -> Known:
    told = {"at": float(number), "prediction_id": None, "open": True, "counts": True, "state": "submitting"}
    return Known(**{"number": number, "key": key or f"k{number}", **told, **fields})


KEPT = (payments.KeptFile(n=1, file="outputs/r1.webp", size=3, sha256="ab"),)


@pytest.mark.parametrize(
    ("record", "ledger", "unknown", "ids", "kept", "known_to"),
    [
        ([], [], [], {}, [], 0),
        ([paid(1)], [known(1)], [], {}, [], 1),
        ([paid(1)], [], [1], {}, [], 0),
        ([paid(1, prediction_id="p")], [known(1)], [], {1: "p"}, [], 1),
        ([paid(1, prediction_id="p")], [known(1, prediction_id="p")], [], {}, [], 1),
        ([paid(1, prediction_id="p")], [known(1, open=False)], [], {}, [], 1),
        ([paid(1, free=True)], [], [], {}, [], 0),
        # Only the last attempt of a row counts.
        ([paid(1, "k"), paid(2, "k")], [], [2], {}, [], 0),
        # What was free leaves the row what it had.
        ([paid(1, "k"), paid(2, "k", free=True)], [], [1], {}, [], 0),
        ([paid(1, "k"), paid(2, "k", free=True), paid(3, "k", free=True)], [], [1], {}, [], 0),
        ([paid(1, "k", free=True), paid(2, "k"), paid(3, "k", free=True)], [], [2], {}, [], 0),
        ([paid(1, "k"), paid(2, "k", free=True)], [known(1, "k")], [], {}, [], 1),
        ([paid(1, "k", free=True), paid(2, "k", free=True)], [], [], {}, [], 0),
        ([paid(1, "k"), paid(2, "k")], [known(2, "k")], [], {}, [], 2),
        ([paid(1, "k"), paid(2, "k")], [known(1, "k")], [2], {}, [], 1),
        # The ledger's numbers are given again after it was restored: the key and the time tell.
        ([paid(1)], [known(1, "other")], [1], {}, [], 0),
        ([paid(1)], [known(1, at=5.0)], [1], {}, [], 0),
        # What was adopted by the ledger does not tell that it knows what is above it.
        ([paid(5)], [known(1, "k5", at=5.0)], [], {}, [], 0),
        # What was read behind the ledger's mark has a number alone, and may be told late.
        ([Payment(number=1, prediction_id="p")], [known(1)], [], {1: "p"}, [], 0),
        ([paid(2), paid(3), Payment(number=1, kept=KEPT)], [known(1), known(2)], [3], {}, [1], 2),
        # A row on its way whose picture is there already.
        ([paid(1, kept=KEPT)], [known(1, prediction_id="p", state="running")], [], {}, [1], 1),
        ([paid(1, kept=KEPT)], [known(1, prediction_id="p", state="done")], [], {}, [], 1),
        ([paid(1, kept=KEPT)], [known(1, state="running", counts=False)], [], {}, [], 1),
        ([paid(1), paid(2)], [known(2)], [1], {}, [], 2),
    ],
)
def test_what_a_ledger_has_to_learn(
    record: list[Payment],
    ledger: list[Known],
    unknown: list[int],
    ids: dict[int, str],
    kept: list[int],
    known_to: int,
) -> None:
    found = judge(record, ledger)
    assert [payment.number for payment in found.unknown] == unknown
    assert (found.ids, [*found.kept], found.known_to) == (ids, kept, known_to)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=12), st.integers(0, 12))
def test_an_older_ledger_never_misses_a_row_that_was_paid_for_behind_it(
    attempts: list[tuple[int, bool, bool]], copied: int
) -> None:
    """*attempts*: the row, whether its id is known, whether it was free; the ledger has *copied* of them."""
    record = [
        paid(number, f"k{row}", prediction_id=f"p{number}" if accepted else None, free=free and not accepted)
        for number, (row, accepted, free) in enumerate(attempts, 1)
    ]
    ledger = [known(payment.number, payment.key) for payment in record[:copied]]
    found = judge(record, ledger)
    last = {payment.key: payment for payment in record if not payment.free}
    assert {p.number for p in found.unknown} == {p.number for p in last.values() if p.number > copied}
    assert found.known_to == min(len(record), copied)
