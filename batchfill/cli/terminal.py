"""What commands share: they open a batch, show how it goes, ask, and end with an exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

import click

from batchfill.cli.options import ONCE
from batchfill.console.format import safe_text
from batchfill.domain.exit_codes import ExitCode
from batchfill.domain.json_objects import json_line
from batchfill.domain.progress import Level, LogEvent
from batchfill.domain.review import AGREED_TO_NOTHING, Agreed
from batchfill.errors import UsageError
from batchfill.process import refuse_few_files
from batchfill.settings.addresses import show_base
from batchfill.settings.credentials import without_secrets
from batchfill.settings.layers import fill_in
from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any, NoReturn

    from batchfill.batch import Batch
    from batchfill.console.live import Live
    from batchfill.console.plain import Plain
    from batchfill.domain.reports import Plan, Summary


LONGEST_LINE = 2000
PLACES = frozenset({"HOME", "PATH", "PWD", "TMPDIR", "USERPROFILE"})
"""Variables in which a short token is a word by chance, and without which nothing can be started."""
FILES = 16
"""Files that any command opens at once: its event loop, the ledger and what goes with it, a table."""


def open_batch(manifest: Path, flags: dict[str, Any]) -> Batch:
    from batchfill.batch import Batch

    refuse_few_files(FILES, "a command")
    for name in ("set", "column", "header"):
        if name in flags:
            flags[name] = dict(flags[name])
    batch = Batch.open(manifest, **flags)
    said = fill_in(flags, batch.around.layers)
    flags |= {name: said.get(name) for name in ("log_format", "quiet", "verbose") if name in flags}
    _forget_secrets(batch.environ.secret_names)
    return batch


def _forget_secrets(names: Iterable[str]) -> None:
    """Take the variables *names*, and copies of them, from the environment of what is started from here.

    A browser has no business with them.
    """
    for name in os.environ.keys() - without_secrets(os.environ, also=names).keys() - PLACES:
        del os.environ[name]


def open_watcher(
    *, quiet: bool = False, verbose: bool = False, name: str = ""
) -> AbstractContextManager[Live | Plain]:
    """Return who watches: a live view in a terminal, with *name* in its title, else few plain lines.

    *verbose*: many plain lines.
    """
    as_json = _PRINTED.get() is _as_json
    if _shows_live_views() and not (quiet or verbose or as_json):
        from batchfill.console.live import Live

        return Live(name=name)
    from batchfill.console.plain import Plain

    return nullcontext(Plain(quiet=quiet, verbose=verbose, as_json=as_json))


def _shows_live_views() -> bool:
    """Whether lines on standard error can be drawn over, and a person sees them."""
    kept = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not kept


@contextmanager
def open_counter(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give who counts pictures: with a bar in a terminal, else silently."""
    if not _shows_live_views():
        yield lambda done, of: None
        return
    with ExitStack() as shown:
        # Drawn with the first picture: what is refused before it has nothing to count.
        bars: list[Any] = []

        def count(done: int, of: int) -> None:
            if not bars:
                bar = click.progressbar(length=of, label=label, file=sys.stderr)
                bars.append(shown.enter_context(bar))
            bars[0].length = of
            bars[0].update(done - bars[0].pos)

        yield count


def make_confirm(watch: Live | Plain, *, yes: bool, quiet: bool) -> Callable[[Plan], bool]:
    """Return what shows the plan and, in a terminal, asks before the first payment."""
    from batchfill.console.render_plan import confirm_question, plan_lines

    def confirm(plan: Plan) -> bool:
        pays = plan.to_go or plan.price_redo != 0
        asks = pays and not yes and plan.base != "local" and sys.stdin.isatty() and sys.stderr.isatty()
        with watch.paused():
            if asks or not quiet:
                print_notes(*plan_lines(plan))
            return not asks or _ask_yes_no(confirm_question(plan))

    return confirm


def confirm_agreed(agreed: str) -> Callable[[Plan], bool]:
    """Return what prints the plan as JSON, and goes on if it is what *agreed*, the flag, says."""
    from batchfill.console.render_plan import plan_object

    def confirm(plan: Plan) -> bool:
        told = plan_object(plan)
        due = Agreed(told["rows"], told["price"])
        if agreed not in (due.flag, AGREED_TO_NOTHING):
            raise UsageError(
                f"rows or cost have changed: nothing was started. It would be {due.rows:,} rows now"
            )
        click.echo(json.dumps(told))
        return agreed == due.flag

    return confirm


def _ask_yes_no(question: str) -> bool:
    """Return whether the answer is yes; Ctrl-C, Ctrl-D and Enter are no."""
    # The event loop only notes a Ctrl-C, and would come to it after the answer.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort:
        print_notes("")
        return False
    finally:
        signal.signal(signal.SIGINT, before)


def print_summary(summary: Summary, manifest: Path, flags: dict[str, Any]) -> None:
    from batchfill.console.summary import summary_lines

    if not flags["quiet"] or summary.exit_code:
        print_notes(*summary_lines(summary, command=resume_command("run", manifest, flags)))


def resume_command(verb: str, manifest: Path, flags: dict[str, Any]) -> str:
    """Return the command that goes on with the batch, to be copied: flags that change rows come along."""
    return here().join_command(["batchfill", *resume_words(verb, manifest, flags)])


def resume_words(verb: str, manifest: Path, flags: dict[str, Any]) -> list[str]:
    """Return what that command is made of, behind the program's name."""
    words = [verb, str(manifest)]
    for name, value in flags.items():
        if value and name not in ONCE:
            # Values of a base's query are secrets, and to be given once more.
            value = show_base(value) if name == "base_url" else value
            words += _flag_words(f"--{name.replace('_', '-')}", value)
    return words


def own_name() -> str:
    """Return the word that starts this program: `batchfill`, or its path where a shell would not find it."""
    here = sys.argv[0]
    return here if here.endswith("batchfill") and shutil.which("batchfill") is None else "batchfill"


def _flag_words(flag: str, value: Any) -> Iterator[str]:
    if value is True:
        yield flag
    elif isinstance(value, dict):
        for name, text in value.items():
            yield from (flag, f"{name}={text}")
    else:
        yield from (flag, str(value))


def print_notes(*lines: str, level: Level = Level.INFO) -> None:
    """Print to standard error, where what is not a result goes; its reader may have gone."""
    printed = _PRINTED.get()
    with suppress(OSError):
        for line in lines:
            click.echo(printed(line, level), err=True)


def _as_text(line: str, _: Level) -> str:
    return line


def _as_json(line: str, level: Level) -> str:
    return json_line(LogEvent(time.time(), line, level)).rstrip("\n")


_PRINTED: ContextVar[Callable[[str, Level], str]] = ContextVar("printed", default=_as_text)
"""How lines on standard error are written."""


def print_json_lines() -> None:
    """Let every line that is printed to standard error from now on be a JSON object."""
    _PRINTED.set(_as_json)


def fail_with(message: str) -> NoReturn:
    tell_error(message)
    sys.exit(ExitCode.NOTHING_DONE)


def tell_error(message: str) -> None:
    lines = [safe_text(line, LONGEST_LINE) for line in message.split("\n")]
    print_notes(*lines if len(lines) > 1 else [f"batchfill: {lines[0]}"], level=Level.ERROR)
