"""The flags of a command in groups, as its help shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

GROUPS: Mapping[str, tuple[str, ...]] = {
    title: tuple(" ".join(names).split())
    for title, names in {
        "The batch and its rows": (
            "out outputs hand_over mirror take_over local model set column encoding sheet extra_columns",
            "skip_bad model_schema allow_outside id retry limit accept_loss",
        ),
        "The provider": (
            "base_url profile env_file header plain_http same_account idempotent answer_timeout",
            "recover_wait prediction_timeout latency",
        ),
        "Machines that work on pictures": ("workers cluster worker_wait plain_cluster",),
        "Pace, time and money": (
            "concurrency rate attempts until price max_cost redo_flagged redo_times yes",
        ),
        "What is told": ("quiet verbose log_format notify on_end",),
    }.items()
}
"""The names of flags by the titles of their groups; what a command does not have is passed over."""

OTHERS = "This command"
"""The title of flags that are in no group."""


class GroupedCommand(click.Command):
    """A command whose help lists its flags in groups: those that it has alone first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group that the command has flags of."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = {str(option.name): option.get_help_record(ctx) for option in options}
        for title, names in _with_others(records):
            rows = [record for name in names if (record := records.get(name)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _with_others(names: Iterable[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the groups, behind one of the *names* that are in none of them."""
    grouped = {name for group in GROUPS.values() for name in group}
    yield OTHERS, [name for name in names if name not in grouped]
    yield from GROUPS.items()
