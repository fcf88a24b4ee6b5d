"""All commands in their order, and their completion in shells."""

from __future__ import annotations

import sys
from typing import Any

import click

from batchfill._version import __version__
from batchfill.cli.options import EXIT_CODES
from batchfill.cli.review_commands import export, report, review
from batchfill.cli.run_commands import cancel, demo, finish, results, run, status, stop
from batchfill.cli.tool_commands import check, init, pair, serve

COMPLETE = "_BATCHFILL_COMPLETE"
"""The variable in which a shell's script asks what may stand at the cursor."""


class _InOrder(click.Group):
    """A group that lists its commands as people meet them, and knows what other tools call them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        word = args[0]
        if self.get_command(ctx, word) is None and not ctx.resilient_parsing:
            from batchfill.cli.other_words import no_such_command

            if (error := no_such_command(word, ctx)) is not None:
                raise error
        return super().resolve_command(ctx, args)


HELP = f"""Inpaint pictures in bulk: never pay twice, never lose a paid image, never leak the token.

Example: batchfill run night.csv --local

{EXIT_CODES}
"""


@click.group(
    cls=_InOrder,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="batchfill")
def cli() -> None:
    """Hand over to a command."""


@click.command("help", hidden=True)
@click.argument("command", required=False)
@click.pass_context
def show_help(ctx: click.Context, command: str | None) -> None:
    """Show what a command does and takes; without one, all commands.

    Example: batchfill help run
    """
    words = [command] if command else []
    cli.main([*words, "--help"], prog_name="batchfill", standalone_mode=False)


@click.command(short_help="Make your shell complete commands, flags and files.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def completion(shell: str) -> None:
    """Print the script by which a shell completes commands, flags and files.

    \b
    Example: batchfill completion bash
    To have it in every new shell:
    bash  echo 'eval "$(batchfill completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(batchfill completion zsh)"' >> ~/.zshrc
          (below the line with compinit)
    fish  batchfill completion fish > ~/.config/fish/completions/batchfill.fish
    powershell
          batchfill completion powershell | Out-String | Invoke-Expression
          (this line goes into the file that $PROFILE names)
    """
    print_completion(f"{shell}_source")


def print_completion(instruction: str) -> None:
    """Print a shell's script, or answer the question that this script asks: what may stand here?"""
    from click.shell_completion import shell_complete

    sys.exit(shell_complete(cli, {}, "batchfill", COMPLETE, instruction))


for command in (
    demo,
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
    show_help,
):
    cli.add_command(command)
