"""What people type who come from other tools, and what batchfill has for it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchfill.systems import here

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_ENVIRONMENT = (
    "the token does not stand on the command line, where other programs can read it: "
    "put it into the environment, as BATCHFILL_TOKEN, or have token_command in config.toml print it"
)
_GO_ON = "batchfill run MANIFEST begins a batch, and goes on with one"
_LOOK = "batchfill check MANIFEST finds every mistake, the cost and the time, and submits nothing"
_DRY = f"{_LOOK}; batchfill run MANIFEST -n does the same"
_ASK = f"{_LOOK}; with --online it asks the provider too"
_STANDS = "batchfill status MANIFEST shows where a batch stands"
_ROWS = "batchfill results MANIFEST prints a line a row"
_STOP = "batchfill stop MANIFEST asks a run to stop; batchfill run MANIFEST goes on with it"
_AGAIN = "batchfill run MANIFEST --retry failed submits rows again that are over"
_SEE = "batchfill review MANIFEST shows the pictures in a browser"
_LOG = "run.log in the batch folder has everything that happens"
_BEGIN = "batchfill init writes a manifest to begin with, and batchfill pair makes one of two folders"
_SETTINGS = (
    "settings are flags of batchfill run, stand at the top of a YAML manifest, or are around the command: "
    "BATCHFILL_… variables, and config.toml with a profile for each gateway"
)


def _by_word(*answers: tuple[str, str]) -> Mapping[str, str]:
    return {word: answer for answer, words in answers for word in words.split()}


COMMANDS = _by_word(
    (_GO_ON, "resume continue restart start go submit batch process fill inpaint generate predict download"),
    (_AGAIN, "retry redo rerun"),
    (_LOOK, "validate verify lint test dry-run dryrun plan estimate cost price"),
    (_ASK, "doctor ping"),
    (_STANDS, "progress info show watch ps state stats monitor"),
    (_ROWS, "list ls rows errors jobs"),
    (_LOG, "log logs"),
    (_STOP, "abort pause kill quit end"),
    (_SEE, "view gallery open ui web"),
    ("batchfill serve runs the local emulator by itself", "server emulator mock"),
    (_BEGIN, "new create add"),
    (_ENVIRONMENT, "login logout auth token key"),
    (_SETTINGS, "config configure profile profiles set settings"),
)
"""What is answered to a command of another name."""

FLAGS = _by_word(
    ("use --profile NAME, the settings of [profile.NAME] in config.toml", "--config --settings --env"),
    (_ENVIRONMENT, "--token --token-command --api-token --api-key --apikey --key --auth --password"),
    (_DRY, "--dry-run --dryrun --check --validate --simulate --plan --preview"),
    (
        "use --concurrency N, the predictions in flight at most",
        "--parallel --jobs --threads --max-concurrency --concurrent --batch-size -j -p -c",
    ),
    (
        "use --out DIR, the batch folder; batchfill results MANIFEST > FILE makes a file of the table",
        "--output --output-dir --outdir --out-dir --dest --folder --dir -o -d",
    ),
    (_GO_ON, "--resume --continue --restart"),
    (_AGAIN, "--force --overwrite --redo --again --rerun --retry-failed -f"),
    (
        "use --attempts N, the attempts of a row over its life",
        "--retries --max-retries --tries --max-attempts",
    ),
    (
        "use --max-cost AMOUNT, the money for the whole batch",
        "--budget --max-spend --max-price --cost --spend",
    ),
    ("use --base-url URL, the provider", "--url --api-url --endpoint --host --server --api-base --gateway"),
    (_LOG, "--debug --log --log-file --log-level --trace"),
    ("use --prediction-timeout SECONDS, the time until a running prediction is canceled", "--timeout"),
    ("use --local, a rehearsal with the local emulator", "--offline --mock --emulator --test --rehearse"),
    (_BEGIN, "--image --images --input --masks -i"),
    ("use --set mask=FILE, the mask of every row that gives none", "--mask"),
    ("use --set prompt=TEXT, the prompt of every row that gives none", "--prompt"),
    ("use --set seed=N, the seed of every row that gives none", "--seed"),
    (
        "use --set guidance=N, or another input of the model: for every row that gives none",
        "--guidance --steps",
    ),
)
"""What is answered to a flag of another name."""


ARGUMENTS = {
    "manifest": "name one, such as night.csv; batchfill init writes one to begin with",
    "dest": "name a folder for the pictures, such as final",
    "images": "name the folder of the pictures, then that of the masks",
    "masks": "name the folder of the masks, or one mask for every picture",
    "shell": "name yours",
}
"""What is answered where an argument is missing."""


def missing_argument(error: click.MissingParameter) -> click.UsageError:
    """Return *error* with what is to be given."""
    name = error.param.name if error.param is not None else None
    if not isinstance(error.param, click.Argument) or name not in ARGUMENTS:
        return error
    return click.UsageError(f"Missing argument '{name.upper()}': {ARGUMENTS[name]}", error.ctx)


def extra_argument(error: click.UsageError) -> click.UsageError:
    """Return *error* with what to do where a command was given more than one manifest."""
    params = error.ctx.command.params if error.ctx else []
    arguments = [param.name for param in params if isinstance(param, click.Argument)]
    if arguments != ["manifest"] or not error.message.startswith("Got unexpected extra argument"):
        return error
    return click.UsageError(f"{error.message}: each manifest is a batch of its own, so name one", error.ctx)


def missing_value(error: click.BadOptionUsage, commands: Iterable[click.Command]) -> click.UsageError:
    """Return *error* with what the option takes."""
    flags = (param for command in commands for param in command.params if isinstance(param, click.Option))
    taken = next((param for param in flags if error.option_name in param.opts and param.metavar), None)
    if taken is None or "requires" not in error.message:
        return error
    said = f"{error.message.rstrip('.')}: {error.option_name} {taken.metavar}. {taken.help}"
    return click.UsageError(said, error.ctx)


def no_such_command(word: str, context: click.Context) -> click.UsageError | None:
    """Return what is answered to *word* in the place of a command; None where only a near word can help."""
    # A Path is a folder without a name, too, and raises where one is too long.
    if os.path.isdir(word):  # noqa: PTH112
        answer: str | None = _BEGIN
    elif Path(word).suffix:
        answer = f"did you mean `{here().join_command(['batchfill', 'run', word])}`?"
    else:
        answer = COMMANDS.get(word.lower())
    return click.UsageError(f"No such command '{word}': {answer}", context) if answer else None


def no_such_flag(error: click.NoSuchOption, commands: Collection[click.Command]) -> click.UsageError:
    """Return *error* with what batchfill has for its flag, or with the commands that do take it."""
    flag = error.option_name
    answer, takers = FLAGS.get(flag.lower()), _takers(commands, flag)
    meant = re.findall(r"--[a-z-]+", answer or "")
    if error.ctx and (here := error.ctx.command) in commands and any(not _takes(here, one) for one in meant):
        # What helps with a run helps with no other command.
        answer = None if takers else f"{answer}; it is a flag of {_takers(commands, meant[0])}"
    if answer is None and takers:
        answer = f"it is a flag of {takers}"
    return click.UsageError(f"No such option '{flag}': {answer}", error.ctx) if answer else error


def _takers(commands: Iterable[click.Command], flag: str) -> str:
    return " and ".join(f"batchfill {command.name}" for command in commands if _takes(command, flag))


def _takes(command: click.Command, flag: str) -> bool:
    return any(flag in (*param.opts, *param.secondary_opts) for param in command.params)
