"""Commands for finished pictures: review, report, export."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from batchfill.cli.options import LOCAL, MANIFEST, OUT, with_options
from batchfill.cli.terminal import open_batch, open_counter, print_notes, resume_words
from batchfill.systems import here

if TYPE_CHECKING:
    from typing import Any


OWN_NOTES = ("the address lets one browser in, once; Ctrl-C ends the page",)
SHARED_NOTES = (
    "that is for one browser of another device, once: it sees all pictures and decides, and starts no run",
    "nothing is encrypted on the way to it: use a network that you trust",
)
"""What is said behind an address."""

START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from batchfill.cli.app import main; main()"
"""This batchfill before an installed one, and without the current folder, which may hold any modules."""

EXPORTING = ("name", "which", "link", "force", "changed", "kind")
"""What `export` takes besides the flags of a batch."""


@click.command(short_help="Look through the pictures in a browser.")
@MANIFEST
@with_options(OUT, LOCAL)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The page's port; any free one.")
@click.option(
    "--host", metavar="ADDRESS", help="Serve another device too, at this machine's address in its network."
)
@click.option("--no-open", is_flag=True, help="Only print the page's address.")
def review(manifest: Path, port: int, host: str | None, no_open: bool, **flags: Any) -> None:
    """Look through the pictures of a batch in a browser, while it runs or afterwards.

    The page is served on this machine only, unless --host says otherwise. Ctrl-C ends it.

    Example: batchfill review night.csv
    """
    batch = open_batch(manifest, flags)
    serving = partial(
        batch.review,
        port=port,
        host=host,
        run_command=_run_command(manifest, flags),
        on_ready=partial(_print_address, OWN_NOTES),
        on_shared=partial(_print_address, SHARED_NOTES),
        browse=None if no_open or not _has_display() else _open_browser,
    )
    with suppress(KeyboardInterrupt):
        anyio.run(serving)


def _print_address(notes: tuple[str, ...], address: str) -> None:
    click.echo(address)
    sys.stdout.flush()
    print_notes(*notes)


def _run_command(manifest: Path, flags: dict[str, Any]) -> list[str]:
    """Return what starts a run of this batchfill, for rows that the page marks as to redo."""
    package = Path(__file__).parents[2]
    words = resume_words("run", manifest, flags)
    return [sys.executable, "-P", "-c", START, str(package), *words, "--retry", "redo", "--quiet"]


@click.command(short_help="Write that page as a folder to keep or to send.")
@MANIFEST
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--size",
    type=click.Choice(["small", "full"]),
    default="full",
    help="small: only the pictures of the wall, 320 pixels, to send thousands of rows (full).",
)
@with_options(OUT, LOCAL)
def report(manifest: Path, folder: Path | None, size: str, **flags: Any) -> None:
    """Write the page of `review` as a folder (NAME.report) that works offline and can be sent on.

    Example: batchfill report night.csv
    """
    batch = open_batch(manifest, flags)
    with open_counter("making pictures small") as watch:
        page = anyio.run(lambda: batch.report(folder, size=size, watch=watch))
    click.echo(page)


@click.command(short_help="Copy the pictures to a folder, under names of your own.")
@MANIFEST
@click.argument("dest", type=click.Path(path_type=Path, file_okay=False))
@with_options(OUT, LOCAL)
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
    Example: batchfill export night.csv final --name "{row:4}-{prompt:40}"

    Which rows: the approved ones once anything was decided, until then every one that is done.

    A template holds {id}, {image} (the name of the picture's file), {row} (the row's number in the
    manifest), {n} (1, 2 … of a row's pictures), {count} (1, 2 … of all exported pictures), {seed}, {prompt}
    and columns of the manifest such as {x_client}. {prompt:40} is cut to 40 characters, at a word's end
    where possible; {row:4} has at least 4 digits. / makes sub-folders; in a value other than {image},
    whatever is no letter, digit, '.', '_' or '-' becomes '-'. The suffix is added, and @1, @2 … when a row
    has several pictures that the template does not tell apart.

    Before the first copy everything is checked: that names are possible on Windows too and differ (in more
    than upper and lower case), that each picture is as it was fetched, and that nothing is in its way. If
    not, nothing is copied.

    A file of DEST with the same content counts as exported, so an export that broke off can be run again;
    one with another content is in the way, unless --force is given. The table replaces that of an earlier
    export when every picture of that is exported now, too. Other files in DEST are left alone.
    """
    from batchfill.console.render_export import export_lines

    wish = {name: flags.pop(name) for name in EXPORTING}
    with open_counter("exporting") as watch:
        exported = open_batch(manifest, flags).export(dest, watch=watch, **wish)
    print_notes(*export_lines(exported))


def _has_display() -> bool:
    """Whether a browser would have a window to open in; elsewhere one may take over the terminal."""
    return here().has_screen(os.environ)


def _open_browser(address: str) -> None:
    """Open *address* in the user's browser, if there is one: the page's own address is on the screen."""
    import webbrowser

    with suppress(webbrowser.Error):
        webbrowser.open(address)
