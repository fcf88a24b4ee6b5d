"""The flags that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

ONCE = frozenset(
    {
        "limit",
        "retry",
        "id",
        "until",
        "max_cost",
        "same_account",
        "accept_loss",
        "yes",
        "quiet",
        "as_json",
        "watch",
        "notify",
    }
)
"""Flags that are for one call, or that the batch remembers: the command that goes on does without them."""

F = Any


class _Pairs(click.ParamType[tuple[str, str]]):
    """`INPUT=VALUE`."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, equals, text = str(value).partition("=")
        if not (name and equals):
            self.fail(f"{value!r} must be NAME=VALUE", param, ctx)
        return name, text


def with_options(*chosen: Callable[[F], F]) -> Callable[[F], F]:
    """Return what adds all of *chosen* to a command, to be listed in this order."""

    def add(command: F) -> F:
        for option in reversed(chosen):
            command = option(command)
        return command

    return add


def _complete_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


MANIFEST = click.argument("manifest", type=click.Path(path_type=Path))
OUT = click.option(
    "--out",
    metavar="DIR",
    help="The batch folder, instead of NAME.batch beside the manifest.",
    shell_complete=_complete_folders,
)
LOCAL = click.option("--local", is_flag=True, default=None, help="The batch of the local emulator.")

READING = with_options(
    OUT,
    click.option(
        "--base-url", metavar="URL", help="The provider: Replicate, or a gateway that speaks its API."
    ),
    click.option("--local", is_flag=True, default=None, help="Rehearse offline with the local emulator."),
    click.option("--model", metavar="OWNER/NAME", help="The model to run."),
    click.option("--set", type=_Pairs(), multiple=True, help="An input for every row that gives none."),
    click.option("--column", type=_Pairs(), multiple=True, help="Where an input is: image=photo_url."),
    click.option("--concurrency", metavar="N", help="Predictions in flight at most (32)."),
    click.option("--rate", metavar="PER_MINUTE", help="Submissions a minute at most (600)."),
    click.option("--skip-bad", is_flag=True, default=None, help="Leave out rows with mistakes."),
    click.option("--max-cost", metavar="AMOUNT|none", help="Money for the whole batch; remembered."),
    click.option(
        "--allow-outside", is_flag=True, default=None, help="Allow files from anywhere on the disk."
    ),
    click.option("--model-schema", metavar="FILE", type=click.Path(path_type=Path), help="A model's inputs."),
    click.option("--encoding", metavar="NAME", help="The manifest's encoding, when it is not UTF-8."),
    click.option("--answer-timeout", metavar="SECONDS", help="Until an answer counts as lost (60)."),
)

RUNNING = with_options(
    click.option("--attempts", metavar="N", help="Attempts a row may have (3)."),
    click.option(
        "--retry",
        metavar="WHAT",
        help="Once more: failed, expired, in-doubt, missing; rejected, redo, flagged:blank, done.",
    ),
    click.option("--id", multiple=True, metavar="ID", help="Only this row, even if it is done; repeatable."),
    click.option("--limit", metavar="N", help="Rows that this call may submit."),
    click.option("--until", metavar="HH:MM", help="Stop submitting so that all is done by then."),
    click.option(
        "--prediction-timeout", metavar="SECONDS", help="Until a running prediction is canceled (1800)."
    ),
    click.option(
        "--recover-wait", metavar="SECONDS", help="Before a lost submission counts as absent (300)."
    ),
    click.option("--same-account", is_flag=True, default=None, help="This new token is the same account's."),
    click.option(
        "--accept-loss", metavar="N", help="Submit again the N rows that a start named as lost to the ledger."
    ),
    click.option("--latency", metavar="SECONDS", help="With --local: a pretended run time."),
    click.option(
        "--notify",
        metavar="URL",
        help="Tell of the end, a stop or a stall: JSON; text for ntfy.* hosts and ntfy+https://…",
    ),
    click.option("--yes", is_flag=True, default=None, help="Do not ask before the first payment."),
    click.option("--quiet", is_flag=True, default=None, help="Say only what needs attention."),
)
