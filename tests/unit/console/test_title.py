from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from batchfill.console.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.progress import Progress
    from batchfill.domain.rows import RowState

SAVED, CLEARED, RESTORED = "\x1b[22;2t", "\x1b]2;\x07", "\x1b[23;2t"


def console(**options: Any) -> Console:
    usual: dict[str, Any] = {"file": io.StringIO(), "width": 80, "force_terminal": True, "color_system": None}
    return Console(**(usual | options))


def shown(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_the_title_shows_the_percentage_while_the_view_is_open_and_is_given_back(
    progress: Callable[..., Progress], by_state: Callable[..., dict[RowState, int]]
) -> None:
    on = console()
    with Live(on, name="night.csv") as live:
        for done in (0, 1, 1, 2):
            live.progress(progress(counts=by_state(done=done, running=4 - done)))
    titles = [part.partition("\x07")[0] for part in shown(on).split("\x1b]2;")[1:]]
    assert titles == ["0 % night.csv", "25 % night.csv", "50 % night.csv", ""]
    assert shown(on).index(SAVED) < shown(on).index("0 % night.csv")
    assert shown(on).endswith(CLEARED + RESTORED)


def test_an_error_gives_the_title_back_too() -> None:
    on = console()
    live = Live(on, name="night.csv")
    with pytest.raises(KeyboardInterrupt), live:
        raise KeyboardInterrupt
    assert CLEARED + RESTORED in shown(on)


def test_a_name_cannot_command_the_terminal(progress: Callable[..., Progress]) -> None:
    on = console()
    with Live(on, name="a\x07\x1b]0;owned\x07" + "x" * 100) as live:
        live.progress(progress())
    (title,) = (part for part in shown(on).split("\x1b]2;") if part.startswith("63 %"))
    assert title.partition("\x07")[0] == f"63 % a ]0;owned {'x' * 48}…"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("", {}),
        ("night.csv", {"force_terminal": False}),
        ("night.csv", {"_environ": {"TERM": "dumb"}}),
        ("night.csv", {"legacy_windows": True}),
    ],
    ids=["no name", "no terminal", "a dumb one", "an old Windows"],
)
def test_where_there_is_no_title_nothing_is_written_of_it(
    name: str, options: dict[str, Any], progress: Callable[..., Progress]
) -> None:
    from batchfill.console.title import Title

    on = console(**options)
    title = Title(on, name)
    title.keep_title()
    title.show_progress("63 %")
    title.give_back()
    assert shown(on) == ""
