from __future__ import annotations

import pytest

from batchfill.domain.rows import is_sent_note, sent_note

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("text", "is_note"),
    [
        (sent_note(DIGEST), True),
        (f"s3://photos/batchfill/sent/{DIGEST}", False),
        (f"sent/{DIGEST[:-1]}", False),
        (f"sent/{DIGEST}\n", False),
        ("sent/a letter to the king", False),
        (f"sha256:{DIGEST}:99", False),
    ],
)
def test_only_a_whole_note_stands_for_what_a_bucket_handed_over(text: str, is_note: bool) -> None:
    assert is_sent_note(text) is is_note
