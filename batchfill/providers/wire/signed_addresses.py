"""Addresses that runs have signed, wherever a service repeats them: their queries are kept nowhere.

They are told by what no signature changes: the run puts what it hands over at `sent/SHA-256`. So a later run
knows those of an earlier one, too.
"""

from __future__ import annotations

import re

from batchfill.domain.rows import SENT


def _written(character: str) -> str:
    """Return a pattern of the ways in which programs write a mark of an address inside another text."""
    code = f"{ord(character):02x}"
    either = "".join(f"[{digit}{digit.upper()}]" for digit in code)
    plain, html = (
        re.escape(character),
        rf"&(?:amp;){{0,3}}#(?:0{{0,5}}{ord(character)}|[xX]0{{0,5}}{either});",
    )
    return rf"(?:\\{{0,8}}{plain}|\\{{1,8}}u00{either}|%(?:25){{0,3}}{either}|{html})"


_PLACE = SENT.removesuffix("/") + _written("/") + r"[0-9a-fA-F]{64}"
_QUERY = r"(?:[\w%&=+/:;.~*#-]|\\{1,8}(?:u00[0-9a-fA-F]{2}|/))+"
"""What signed queries hold, and what escapes it: no quote, bracket or comma, at which other text begins."""

_SIGNED = re.compile(f"({_PLACE}{_written('?')}){_QUERY}", re.ASCII)
_IN_BODY = re.compile(_SIGNED.pattern.encode(), re.ASCII)


def holds_signature(body: bytes) -> bool:
    """Whether an address that a run has signed is in *body*."""
    return _IN_BODY.search(body) is not None


def mark_signatures(text: str, mark: str) -> str:
    """Return *text* with *mark* in the place of the query of each address that a run has signed."""
    return _SIGNED.sub(rf"\1{mark}", text)
