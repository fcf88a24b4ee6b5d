"""The command line: arguments become settings, a Batch does the work, its answer becomes an exit code."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import click

from batchfill import __version__
from batchfill.errors import ExportStopped, RunBroken, ServiceRefused, in_words
from batchfill.options import LOCAL, MANIFEST, ONCE, OUT, READING, RUNNING, options
from batchfill.show.words import safe
from batchfill.surroundings import finish_printing, finish_telling, open_standard_streams, refuse_few_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from batchfill.batch import Batch
    from batchfill.show import Plain
    from batchfill.show.live import Live
    from batchfill.values import Plan, Summary

NOTHING_DONE, STOPPED, REFUSED = 2, 3, 4

EXPORTING = ("name", "which", "link", "force", "changed", "kind")
"""What `export` takes besides the flags of a batch."""

LONGEST_LINE = 2000
FILES = 16
"""Files that any command opens at once: its event loop, the ledger and what goes with it, a table."""

COMPLETE = "_BATCHFILL_COMPLETE"
"""The variable in which a shell's script asks what may stand at the cursor."""

QUOTED = "cells that a spreadsheet would take for formulas have a ' before them; --raw leaves it out"
"""Said once, beside a table with such cells."""

EVERY = 2.0
"""Seconds between two prints of `status --watch`."""


class _InOrder(click.Group):
    """A group that lists its commands as people meet them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="batchfill")
def cli() -> None:
    """Inpaint pictures in bulk: never pay twice, never lose a paid image, never leak the token.

    Example: batchfill run night.csv --local
    """


@cli.command()
@click.argument("manifest", type=click.Path(path_type=Path), default="night.csv")
def init(manifest: Path) -> None:
    """Write a commented manifest to begin with (night.csv).

    Example: batchfill init night.yaml
    """
    from batchfill.batch import init_manifest

    init_manifest(manifest)
    click.echo(f"{manifest} is there: fill in your rows, then `batchfill check {manifest}`")


@cli.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("masks", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="A prompt for every row.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The manifest to write; else it is printed."
)
def pair(images: Path, masks: Path, prompt: str, output: Path | None) -> None:
    """Match two folders by name and make a CSV manifest of them.

    Example: batchfill pair photos masks --prompt "an empty street" -o night.csv
    """
    from batchfill.batch import pair_folders
    from batchfill.show import count

    found = pair_folders(images, masks, output or sys.stdout, prompt=prompt)
    _say(*(f"alone: {path}" for path in (*found.alone_images, *found.alone_masks)))
    _say(*(f"which belong together? {', '.join(map(str, files))}" for files in found.ambiguous))
    _say(f"{count(len(found.pairs), 'pair')}{f' in {output}' if output else ''}")


@cli.command(short_help="Find every mistake, the cost and the time before paying.")
@MANIFEST
@READING
@click.option("--online", is_flag=True, help="Ask the provider too: token, model, what it offers.")
@click.option("--outputs", is_flag=True, help="Compare the files with the ledger.")
@click.option("--fetch", is_flag=True, help="Look at pictures and masks at addresses too; no token is sent.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def check(manifest: Path, as_json: bool, online: bool, outputs: bool, fetch: bool, **flags: Any) -> None:
    """Find out everything that can be known before paying: rows, pictures, masks, sizes, cost, time.

    Example: batchfill check night.csv
    """
    from batchfill.show import check_json, check_lines

    batch = _open(manifest, flags)
    report = anyio.run(lambda: batch.check(online=online, outputs=outputs, fetch=fetch))
    if as_json:
        click.echo(json.dumps(check_json(report), ensure_ascii=False))
    else:
        for line in check_lines(report):
            click.echo(line)
    if report.mistakes:
        sys.exit(NOTHING_DONE)


@cli.command()
@MANIFEST
@READING
@RUNNING
def run(manifest: Path, **flags: Any) -> None:
    """Run a batch, or go on with it.

    Example: batchfill run night.csv --max-cost 25
    """
    batch = _open(manifest, flags)
    with _watching(quiet=bool(flags["quiet"]), name=manifest.name) as watch:
        confirm = _confirm(watch, yes=bool(flags["yes"]), quiet=bool(flags["quiet"]))
        summary = anyio.run(lambda: batch.run(watch=watch, confirm=confirm, obey_signals=True))
    _end(summary, manifest, flags)


@cli.command(short_help="Finish pictures anew after settings changed; costs nothing.")
@MANIFEST
@READING
def finish(manifest: Path, **flags: Any) -> None:
    """Finish pictures that are done anew, as the manifest now asks for (finish, mask_feather, metadata).

    \b
    Made of the outputs that are kept in outputs/raw: nothing is paid, and no
    network needed.
    Example: batchfill finish night.csv
    """
    from batchfill.show import finish_lines

    batch = _open(manifest, flags)
    with _watching(quiet=True) as watch:
        report = anyio.run(lambda: batch.finish(watch=watch))
    for line in finish_lines(report):
        click.echo(line)
    if report.failed:
        sys.exit(1)


@cli.command()
@MANIFEST
@options(OUT, LOCAL)
def stop(manifest: Path, **flags: Any) -> None:
    """Ask a running batch to stop, as the first Ctrl-C does.

    Example: batchfill stop night.csv
    """
    if not _open(manifest, flags).stop():
        _fail(f"{manifest}: no batchfill works on it, so there is nothing to stop")
    click.echo("asked to stop: it submits nothing new, finishes what runs, and ends")


@cli.command(short_help="Cancel what runs at the service.")
@MANIFEST
@options(OUT, LOCAL)
@click.option("--base-url", metavar="URL", help="The provider, if the token is only for a named one.")
@click.option("--same-account", is_flag=True, default=None, help="This new token is the same account's.")
def cancel(manifest: Path, **flags: Any) -> None:
    """Cancel what runs at the service; ends with 0 when nothing runs on.

    Example: batchfill cancel night.csv
    """
    batch = _open(manifest, flags)
    if batch.ask_to_cancel():
        _say("asked the running batchfill to cancel; waiting for it to end")
        anyio.run(batch.wait_until_idle)
        sys.exit(_still_running(batch))
    with _watching(quiet=False) as watch:
        anyio.run(lambda: batch.cancel(watch=watch, obey_signals=True))
    sys.exit(_still_running(batch))


@cli.command()
@MANIFEST
@options(OUT, LOCAL)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--watch", is_flag=True, help="Again every two seconds, until the run ends.")
def status(manifest: Path, as_json: bool, watch: bool, **flags: Any) -> None:
    """Show where a batch stands, running or not.

    Example: batchfill status night.csv --watch
    """
    batch = _open(manifest, flags)
    # To leave the watch is not to stop the run.
    with suppress(KeyboardInterrupt) if watch else nullcontext():
        while _print_status(batch, manifest, flags, as_json=as_json, clear=watch) and watch:
            time.sleep(EVERY)


@cli.command()
@MANIFEST
@options(OUT, LOCAL)
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", help="csv by default.")
@click.option("--raw", is_flag=True, help="For programs: cells of a CSV as they are, formulas or not.")
def results(manifest: Path, kind: str, *, raw: bool, **flags: Any) -> None:
    """Print one line a row: its state, files, seed, cost.

    Example: batchfill results night.csv --format jsonl
    """
    from batchfill.show import Visible

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    stream = Visible(sys.stdout) if sys.stdout.isatty() else sys.stdout
    if _open(manifest, flags).write_results(stream, kind=kind, raw=raw):
        _say(QUOTED)


@cli.command(short_help="Look through the pictures in a browser.")
@MANIFEST
@options(OUT, LOCAL)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The page's port; any free one.")
@click.option("--no-open", is_flag=True, help="Only print the page's address.")
def review(manifest: Path, port: int, no_open: bool, **flags: Any) -> None:
    """Look through the pictures of a batch in a browser, while it runs or afterwards.

    The page is served on this machine only. Ctrl-C ends it.

    Example: batchfill review night.csv
    """
    batch = _open(manifest, flags)
    browse = None if no_open or not _has_display() else _browse

    def welcome(address: str) -> None:
        click.echo(address)
        sys.stdout.flush()
        _say("the address lets one browser in, once; Ctrl-C ends the page")

    with suppress(KeyboardInterrupt):
        anyio.run(lambda: batch.review(port=port, on_ready=welcome, browse=browse))


@cli.command(short_help="Write that page as a folder to keep or to send.")
@MANIFEST
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@options(OUT, LOCAL)
def report(manifest: Path, folder: Path | None, **flags: Any) -> None:
    """Write the page of `review` as a folder (NAME.report) that works offline and can be sent to somebody.

    Example: batchfill report night.csv
    """
    batch = _open(manifest, flags)
    with _counting("making pictures small") as watch:
        page = anyio.run(lambda: batch.report(folder, watch=watch))
    click.echo(page)


@cli.command(short_help="Copy the pictures to a folder, under names of your own.")
@MANIFEST
@click.argument("dest", type=click.Path(path_type=Path, file_okay=False))
@options(OUT, LOCAL)
@click.option("--name", metavar="TEMPLATE", default="{id}", help="The pictures' names ({id}); see above.")
@click.option(
    "--approved", "which", flag_value="approved", help="Only approved rows, and of them the choice."
)
@click.option("--all", "which", flag_value="all", help="Every row that is done.")
@click.option("--link", is_flag=True, help="Hard links, where possible: to edit one edits the batch's, too.")
@click.option("--force", is_flag=True, help="Replace other files that have the name of a picture.")
@click.option("--changed", is_flag=True, help="Also pictures that were edited in the batch, as they are.")
@click.option(
    "--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", help="Of the table (csv)."
)
def export(manifest: Path, dest: Path, **flags: Any) -> None:
    """Copy pictures to the folder DEST, with a table of them, results.csv or results.jsonl.

    \b
    Example: batchfill export night.csv final --name "{x_client}/{prompt:40}-{n}"

    Which rows: the approved ones once anything was decided, until then every one that is done.

    A template holds {id}, {n} (1, 2 … of a row's pictures), {seed}, {prompt} and columns of the manifest
    such as {x_client}. {prompt:40} is cut to 40 characters, at a word's end where possible. / makes
    sub-folders; in a value, whatever is no letter, digit, '.', '_' or '-' becomes '-'. The suffix is added,
    and @1, @2 … when a row has several pictures and {n} does not tell them apart.

    Before the first copy everything is checked: that names are possible on Windows too and differ (in more
    than upper and lower case), that each picture is as it was fetched, and that nothing is in its way. If
    not, nothing is copied.

    A file of DEST with the same content counts as exported, so an export that broke off can be run again;
    one with another content is in the way, unless --force is given. The table replaces that of an earlier
    export when every picture of that is exported now, too. Other files in DEST are left alone.
    """
    from batchfill.show import export_lines

    wish = {name: flags.pop(name) for name in EXPORTING}
    with _counting("exporting") as watch:
        exported = _open(manifest, flags).export(dest, watch=watch, **wish)
    _say(*export_lines(exported))


@cli.command(short_help="Run the embedded provider by itself.")
@click.option("--host", default="127.0.0.1", help="The address to serve on (127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, help="Its port (8765); 0 takes any that is free."
)
@click.option(
    "--folder", type=click.Path(path_type=Path), default="provider", help="Its memory (./provider)."
)
@click.option(
    "--latency", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="A pretended run time."
)
@click.option("--token", help="The only token it lets in; without it, any. Not for a real one.")
@click.option(
    "--per-minute",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Submissions a minute it allows; without it, any number.",
)
@click.option(
    "--faults",
    "plan",
    type=click.Path(path_type=Path),
    metavar="PLAN.YAML",
    help="What is to go wrong, by call and by chance; see the README.",
)
def serve(host: str, port: int, folder: Path, **given: Any) -> None:
    """Run the embedded provider by itself: the same API, a classical fill, no cost.

    \b
    Example: batchfill serve
    and then: batchfill run night.csv --base-url http://127.0.0.1:8765/v1
    """
    from batchfill.batch import serve_provider

    refuse_few_files(FILES, "a command")
    rate = given.pop("per_minute")

    def say(base: str) -> None:
        click.echo(f"serving the prediction API at {base}\nCtrl-C ends it", err=False)
        sys.stdout.flush()

    given |= {"host": host, "port": port, "rate": rate}
    with suppress(KeyboardInterrupt):
        anyio.run(lambda: serve_provider(folder, on_ready=say, on_end=_say, **given))


@cli.command(short_help="Make your shell complete commands, flags and files.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which a shell completes commands, flags and files.

    \b
    Example: batchfill completion bash
    To have it in every new shell:
    bash  echo 'eval "$(batchfill completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(batchfill completion zsh)"' >> ~/.zshrc
          (below the line with compinit)
    fish  batchfill completion fish > ~/.config/fish/completions/batchfill.fish
    """
    _complete(f"{shell}_source")


def _complete(instruction: str) -> None:
    """Print a shell's script, or answer the question that this script asks: what may stand here?"""
    from click.shell_completion import shell_complete

    sys.exit(shell_complete(cli, {}, "batchfill", COMPLETE, instruction))


def _has_display() -> bool:
    """Whether a browser would have a window to open in; elsewhere one may take over the terminal."""
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _browse(address: str) -> None:
    """Open *address* in the user's browser, if there is one: the page's own address is on the screen."""
    import webbrowser

    with suppress(webbrowser.Error):
        webbrowser.open(address)


def _open(manifest: Path, flags: dict[str, Any]) -> Batch:
    from batchfill.batch import Batch

    refuse_few_files(FILES, "a command")
    for name in ("set", "column"):
        if name in flags:
            flags[name] = dict(flags[name])
    return Batch.open(manifest, **flags)


def _watching(*, quiet: bool, name: str = "") -> AbstractContextManager[Live | Plain]:
    """Return who watches: a live view in a terminal, with *name* in its title, else few plain lines."""
    if sys.stderr.isatty() and not quiet:
        from batchfill.show.live import Live

        return Live(name=name)
    from batchfill.show import Plain

    return nullcontext(Plain(quiet=quiet))


@contextmanager
def _counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give who counts pictures: with a bar in a terminal, else silently."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def count(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        yield count


def _confirm(watch: Live | Plain, *, yes: bool, quiet: bool) -> Callable[[Plan], bool]:
    """Return what shows the plan and, in a terminal, asks before the first payment."""
    from batchfill.show import plan_lines, question

    def confirm(plan: Plan) -> bool:
        asks = plan.to_go and not yes and plan.base != "local" and sys.stdin.isatty() and sys.stderr.isatty()
        with watch.paused():
            if asks or not quiet:
                _say(*plan_lines(plan))
            return not asks or _ask(question(plan))

    return confirm


def _ask(question: str) -> bool:
    """Return whether the answer is yes; Ctrl-C, Ctrl-D and Enter are no."""
    # The event loop only notes a Ctrl-C, and would come to it after the answer.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort:
        _say("")
        return False
    finally:
        signal.signal(signal.SIGINT, before)


def _end(summary: Summary, manifest: Path, flags: dict[str, Any]) -> NoReturn:
    from batchfill.show import summary_lines

    if not flags["quiet"] or summary.exit_code:
        _say(*summary_lines(summary, command=_command("run", manifest, flags)))
    sys.exit(summary.exit_code)


def _command(verb: str, manifest: Path, flags: dict[str, Any]) -> str:
    """Return the command that goes on with the batch, to be copied: flags that change rows come along."""
    words = ["batchfill", verb, str(manifest)]
    for name, value in flags.items():
        if value and name not in ONCE:
            words += _given(f"--{name.replace('_', '-')}", value)
    return shlex.join(words)


def _given(flag: str, value: Any) -> Iterator[str]:
    if value is True:
        yield flag
    elif isinstance(value, dict):
        for name, text in value.items():
            yield from (flag, f"{name}={text}")
    else:
        yield from (flag, str(value))


def _print_status(batch: Batch, manifest: Path, flags: dict[str, Any], *, as_json: bool, clear: bool) -> bool:
    from batchfill.show import status_json, status_lines

    found = batch.status()
    if clear:
        click.clear()  # only a terminal is
    if as_json:
        click.echo(json.dumps(status_json(found), ensure_ascii=False))
    else:
        for line in status_lines(found, command=_command("run", manifest, flags)):
            click.echo(line)
    return found.running


def _still_running(batch: Batch) -> int:
    """Return 0 when nothing of the batch can be running at the service any more."""
    from batchfill.show import count

    if running := batch.still_running():
        _say(f"{count(running, 'prediction')} may still run: cancel again, or look at the service")
        return STOPPED
    if doubt := batch.in_doubt():
        _say(f"{count(doubt, 'row')} in doubt: they may have been made")
        return 1
    _say("nothing runs at the service")
    return 0


def _say(*lines: str) -> None:
    """Print to standard error, where what is not a result goes; nobody may be there to read it any more."""
    with suppress(OSError):
        for line in lines:
            click.echo(line, err=True)


def _fail(message: str) -> NoReturn:
    _tell(message)
    sys.exit(NOTHING_DONE)


def main() -> None:
    """Run the command line; every error is a sentence, never a traceback."""
    code = _carry_out()
    if (lost := finish_printing()) is not None:
        _tell(lost)
    finish_telling()
    # What a command came to counts before what it could not print.
    sys.exit(code or (NOTHING_DONE if lost else 0))


def _carry_out() -> int:
    """Do what the command line asks for and return the exit code; what went wrong is told."""
    try:
        open_standard_streams()
        # What libraries log is for developers, and comes with tracebacks where nobody listens to it.
        logging.getLogger().addHandler(logging.NullHandler())
        threading.excepthook = _tell_of_thread
        if asked := os.environ.get(COMPLETE):
            _complete(asked)
        with cli.make_context("batchfill", sys.argv[1:]) as context:
            cli.invoke(context)
    except SystemExit as end:
        return int(end.code or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return NOTHING_DONE
    except KeyboardInterrupt:
        _tell("interrupted")
        return STOPPED
    except Exception as error:  # the outermost boundary: what no other one expected is told in words, too
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    """Tell what *error* says, and return the exit code that belongs to it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        return 0  # who read our output has enough of it
    lost = finish_printing() if isinstance(error, OSError) else None
    _tell(lost or in_words(error))
    if isinstance(error, ServiceRefused):
        return REFUSED
    return STOPPED if isinstance(error, ExportStopped | RunBroken) else NOTHING_DONE


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Tell what ended a thread, without its traceback: whoever waits for it tells what comes of that."""
    if ended.exc_value is not None:
        _tell(f"a thread ended: {in_words(ended.exc_value)}")


def _tell(message: str) -> None:
    lines = [safe(line, LONGEST_LINE) for line in message.split("\n")]
    _say(*lines if len(lines) > 1 else [f"batchfill: {lines[0]}"])
