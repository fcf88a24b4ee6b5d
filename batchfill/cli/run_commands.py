"""Commands that run a batch or ask about it: run, finish, stop, cancel, status, results."""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from batchfill.cli.option_groups import GroupedCommand
from batchfill.cli.options import EXIT_CODES, LOCAL, MANIFEST, OUT, PROVIDER, READING, RUNNING, with_options
from batchfill.cli.terminal import (
    confirm_agreed,
    fail_with,
    make_confirm,
    open_batch,
    open_counter,
    open_watcher,
    own_name,
    print_json_lines,
    print_notes,
    print_summary,
    resume_command,
)
from batchfill.cli.tool_commands import check
from batchfill.domain.exit_codes import ExitCode
from batchfill.errors import UsageError
from batchfill.systems import here

if TYPE_CHECKING:
    from typing import Any

    from batchfill.batch import Batch
    from batchfill.domain.reports import Summary


QUOTED = "cells that a spreadsheet would take for formulas have a ' before them; --raw leaves it out"
"""Said once, next to a table with such cells."""

STATUS_INTERVAL = 2.0
"""Seconds between two prints of `status --watch`."""


@click.command(cls=GroupedCommand, epilog=EXIT_CODES)
@MANIFEST
@READING
@RUNNING
@click.option("-n", "only_checks", is_flag=True, help="Only check, as batchfill check does; submit nothing.")
@click.option("--agreed", hidden=True, help="What was agreed to on the review page: ROWS:PRICE, or nothing.")
@click.pass_context
def run(
    context: click.Context, /, manifest: Path, *, only_checks: bool, agreed: str | None, **flags: Any
) -> None:
    """Run a batch, or go on with it.

    Example: batchfill run night.csv --max-cost 25
    """
    if only_checks:
        # `check --outputs` is another flag: whether files are compared.
        asked = {**flags, "as_json": False, "online": False, "outputs": False, "fetch": False}
        context.invoke(check, manifest=manifest, **asked)
        return
    if flags["log_format"] == "json":
        print_json_lines()
    batch = open_batch(manifest, flags)
    if flags["log_format"] == "json":  # of a variable
        print_json_lines()
    if flags["quiet"] and flags["verbose"]:
        raise UsageError("--quiet and --verbose say the opposite: leave one out")
    summary = _run_batch(batch, flags, agreed)
    print_summary(summary, manifest, flags)
    sys.exit(summary.exit_code)


def _run_batch(batch: Batch, flags: dict[str, Any], agreed: str | None = None) -> Summary:
    with open_watcher(
        quiet=bool(flags["quiet"]), verbose=bool(flags.get("verbose")), name=batch.manifest.name
    ) as watch:
        confirm = (
            make_confirm(watch, yes=bool(flags["yes"]), quiet=bool(flags["quiet"]))
            if agreed is None
            else confirm_agreed(agreed)
        )
        return anyio.run(lambda: batch.run(watch=watch, confirm=confirm, obey_signals=True))


@click.command(short_help="Run a sample batch offline, on real photographs.")
@click.argument("folder", type=click.Path(path_type=Path), default="batchfill-demo")
def demo(folder: Path) -> None:
    """Copy the sample batches to a folder (batchfill-demo) and run the first one with the local emulator.

    \b
    Free of charge, without a token or a network.
    Example: batchfill demo
    """
    from batchfill.console.render_demo import demo_lines
    from batchfill.tools import lay_out_samples

    manifest = lay_out_samples(folder)
    flags = {"local": True, "quiet": False, "yes": True}
    summary = _run_batch(open_batch(manifest, flags), flags)
    print_summary(summary, manifest, flags)
    if not summary.exit_code:
        print_notes(
            *demo_lines(command=here().join_command([own_name(), "review", str(manifest), "--local"]))
        )
    sys.exit(summary.exit_code)


@click.command(cls=GroupedCommand, short_help="Finish pictures again after settings changed; costs nothing.")
@MANIFEST
@READING
def finish(manifest: Path, **flags: Any) -> None:
    """Finish again the pictures that are done, as the manifest now asks for (finish, mask_feather, metadata).

    \b
    Made of the outputs that are kept in outputs/raw: nothing is paid, and no
    network needed.
    Example: batchfill finish night.csv
    """
    from batchfill.console.render_finish import finish_lines

    batch = open_batch(manifest, flags)
    with open_watcher(quiet=True) as watch, open_counter("finishing") as count:
        report = anyio.run(lambda: batch.finish(watch=watch, count=count))
    for line in finish_lines(report):
        click.echo(line)
    if report.failed:
        sys.exit(ExitCode.SOME_FAILED)


@click.command()
@MANIFEST
@with_options(OUT, LOCAL)
def stop(manifest: Path, **flags: Any) -> None:
    """Ask a running batch to stop, as the first Ctrl-C does.

    Example: batchfill stop night.csv
    """
    if not open_batch(manifest, flags).stop():
        fail_with(f"{manifest}: no batchfill works on it, so there is nothing to stop")
    click.echo("asked to stop: it submits nothing new, finishes what runs, and ends")


@click.command(short_help="Cancel what runs at the service.")
@MANIFEST
@with_options(OUT, LOCAL)
@PROVIDER
@click.option("--same-account", is_flag=True, default=None, help="This new token is the same account's.")
def cancel(manifest: Path, **flags: Any) -> None:
    """Cancel what runs at the service; ends with 0 when nothing runs on.

    Example: batchfill cancel night.csv
    """
    batch = open_batch(manifest, flags)
    if batch.ask_to_cancel():
        print_notes("asked the running batchfill to cancel; waiting for it to end")
        anyio.run(batch.wait_until_idle)
        sys.exit(_still_running(batch))
    with open_watcher(quiet=False) as watch:
        anyio.run(lambda: batch.cancel(watch=watch, obey_signals=True))
    sys.exit(_still_running(batch))


@click.command()
@MANIFEST
@with_options(OUT, LOCAL)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--watch", is_flag=True, help="Again every two seconds, until the run ends.")
def status(manifest: Path, as_json: bool, watch: bool, **flags: Any) -> None:
    """Show where a batch stands, running or not.

    Example: batchfill status night.csv --watch
    """
    batch = open_batch(manifest, flags)
    # To leave the watch is not to stop the run.
    with suppress(KeyboardInterrupt) if watch else nullcontext():
        while _print_status(batch, manifest, flags, as_json=as_json, clear=watch) and watch:
            time.sleep(STATUS_INTERVAL)


@click.command()
@MANIFEST
@with_options(OUT, LOCAL)
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", help="csv by default.")
@click.option("--raw", is_flag=True, help="For programs: cells of a CSV as they are, formulas or not.")
def results(manifest: Path, kind: str, *, raw: bool, **flags: Any) -> None:
    """Print one line a row: its state, files, seed, cost.

    Example: batchfill results night.csv --format jsonl
    """
    from batchfill.console.format import Visible

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    stream = Visible(sys.stdout) if sys.stdout.isatty() else sys.stdout
    if open_batch(manifest, flags).write_results(stream, kind=kind, raw=raw):
        print_notes(QUOTED)


def _print_status(batch: Batch, manifest: Path, flags: dict[str, Any], *, as_json: bool, clear: bool) -> bool:
    from batchfill.console.format import safe_text
    from batchfill.console.status import status_json, status_lines

    found = batch.status()
    if clear:
        click.clear()  # only a terminal is
    if as_json:
        click.echo(json.dumps(status_json(found), ensure_ascii=False))
    else:
        for line in status_lines(found, command=resume_command("run", manifest, flags)):
            click.echo(line)
        for line in batch.origins():
            click.echo(safe_text(line))
    return found.running


def _still_running(batch: Batch) -> int:
    """Tell what of the batch may still run at the service."""
    from batchfill.console.format import format_count

    if running := batch.still_running():
        print_notes(
            f"{format_count(running, 'prediction')} may still run: cancel again, or look at the service"
        )
        return ExitCode.WORK_LEFT
    if doubt := batch.in_doubt():
        print_notes(f"{format_count(doubt, 'row')} in doubt: they may have been made")
        return ExitCode.SOME_FAILED
    print_notes("nothing runs at the service")
    return ExitCode.DONE
