"""Commands around a batch: init, pair, check, serve."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from batchfill.cli.option_groups import GroupedCommand
from batchfill.cli.options import MANIFEST, READING
from batchfill.cli.terminal import FILES, LONGEST_LINE, open_batch, print_notes
from batchfill.domain.exit_codes import ExitCode
from batchfill.errors import UsageError
from batchfill.process import refuse_few_files

if TYPE_CHECKING:
    from typing import Any

    from batchfill.domain.pairs import Pairing


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), default="night.csv")
def init(manifest: Path) -> None:
    """Write a commented manifest to begin with (night.csv).

    Example: batchfill init night.yaml
    """
    from batchfill.tools import init_manifest

    init_manifest(manifest)
    click.echo(f"{manifest} is there: fill in your rows, then `batchfill check {manifest}`")


@click.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("masks", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="A prompt for every row.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The manifest to write; else it is printed."
)
def pair(images: Path, masks: Path, prompt: str, output: Path | None) -> None:
    """Match two folders by name and make a CSV manifest of them.

    MASKS may be one file: the mask of every picture. Each file without a row is named with the reason.

    Example: batchfill pair photos masks --prompt "an empty street" -o night.csv
    """
    from batchfill.console.render_pairs import pairing_lines, total_lines
    from batchfill.tools import pair_folders

    if output == Path("-"):
        output = None  # as other tools say it

    def tell(found: Pairing) -> None:
        print_notes(*pairing_lines(found))

    found = pair_folders(images, masks, output or sys.stdout, prompt=prompt, tell=tell)
    print_notes(*total_lines(found, output, prompt=bool(prompt.strip())))


@click.command(cls=GroupedCommand, short_help="Find every mistake, the cost and the time before paying.")
@MANIFEST
@READING
@click.option("--online", is_flag=True, help="Ask the provider too: token, model, what it offers.")
@click.option("--outputs", is_flag=True, help="Compare the files with the ledger.")
@click.option("--fetch", is_flag=True, help="Look at pictures and masks elsewhere too; no token is sent.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def check(manifest: Path, as_json: bool, online: bool, outputs: bool, fetch: bool, **flags: Any) -> None:
    """Find out everything that can be known before paying: rows, pictures, masks, sizes, cost, time.

    It ends with 2 when it finds mistakes, and with 1 when --outputs finds that files are missing or damaged.

    Example: batchfill check night.csv
    """
    from batchfill.console.render_check import check_json, check_lines

    batch = open_batch(manifest, flags)
    report = anyio.run(lambda: batch.check(online=online, outputs=outputs, fetch=fetch))
    if as_json:
        click.echo(json.dumps(check_json(report), ensure_ascii=False))
    else:
        for line in check_lines(report):
            click.echo(line)
    if report.mistakes:
        sys.exit(ExitCode.NOTHING_DONE)
    if report.lost:
        sys.exit(ExitCode.SOME_FAILED)


@click.command(short_help="Run the local emulator, or the API before own model servers.")
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
    help="What is to go wrong, by call and by chance; see docs/emulator.md.",
)
@click.option("--behind", type=click.Choice(["cog"]), help="What makes the pictures: own Cog containers.")
@click.option("--at", multiple=True, metavar="URL", help="A container of the pool; may be given again.")
@click.option(
    "--at-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Containers of the pool, an address a line; read again when it changes.",
)
def serve(
    host: str,
    port: int,
    folder: Path,
    behind: str | None,
    at: tuple[str, ...],
    at_file: Path | None,
    **given: Any,
) -> None:
    """Run the local emulator by itself: the same API, a classical fill, no cost.

    With --behind cog, containers of your own make the pictures; see docs/own-servers.md.

    \b
    Example: batchfill serve
    and then: batchfill run night.csv --base-url http://127.0.0.1:8765/v1
    Example: batchfill serve --behind cog --at http://gpu1:5000
    """
    from batchfill.console.format import safe_text
    from batchfill.tools import serve_containers, serve_provider

    pool = _read_pool(behind, at, at_file, given)
    refuse_few_files(FILES, "a command")
    rate = given.pop("per_minute")

    def say(base: str) -> None:
        click.echo(f"serving the prediction API at {base}\nCtrl-C ends it", err=False)
        sys.stdout.flush()

    def tell(line: str) -> None:
        # It holds what a container says.
        print_notes(safe_text(line, LONGEST_LINE))

    given |= {"host": host, "port": port, "rate": rate}
    with suppress(KeyboardInterrupt):
        given |= {"on_ready": say, "on_end": print_notes}
        if pool:
            anyio.run(lambda: serve_containers(folder, tell=tell, **pool, **given))
        else:
            anyio.run(lambda: serve_provider(folder, **given))


def _read_pool(
    behind: str | None, at: tuple[str, ...], at_file: Path | None, given: dict[str, Any]
) -> dict[str, Any]:
    """Return where containers are; empty for the emulator. Raises UsageError for flags that do not agree."""
    if behind is None:
        if at or at_file:
            raise UsageError("--at and --at-file name containers: give --behind cog too")
        return {}
    if given["latency"] or given["plan"]:
        raise UsageError("--latency and --faults are for rehearsals: leave them out with --behind cog")
    return {"at": at, "at_file": at_file}
