"""All commands in their order, and their completion in shells."""

from __future__ import annotations

import sys

import click

from batchfill._version import __version__
from batchfill.cli.review_commands import export, report, review
from batchfill.cli.run_commands import cancel, finish, results, run, status, stop
from batchfill.cli.tool_commands import check, init, pair, serve

COMPLETE = "_BATCHFILL_COMPLETE"
"""The variable in which a shell's script asks what may stand at the cursor."""


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


@click.command(short_help="Make your shell complete commands, flags and files.")
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
    print_completion(f"{shell}_source")


def print_completion(instruction: str) -> None:
    """Print a shell's script, or answer the question that this script asks: what may stand here?"""
    from click.shell_completion import shell_complete

    sys.exit(shell_complete(cli, {}, "batchfill", COMPLETE, instruction))


for command in (
    init,
    pair,
    check,
    run,
    finish,
    stop,
    cancel,
    status,
    results,
    review,
    report,
    export,
    serve,
    completion,
):
    cli.add_command(command)
