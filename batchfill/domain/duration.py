"""How long something takes, in words."""

from __future__ import annotations


def format_duration(seconds: float) -> str:
    """Return `40 s`, `3 min 20 s`, `12 min` or `1 h 05 min`: finer the shorter."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
