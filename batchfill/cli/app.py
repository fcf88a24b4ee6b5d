"""The entry point: every error becomes a sentence and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress

import click

from batchfill.cli.commands import COMPLETE, cli, print_completion
from batchfill.cli.terminal import LONGEST_LINE, tell_error
from batchfill.domain.exit_codes import ExitCode
from batchfill.errors import ExportStopped, RunBroken, ServiceRefused, TakenOver, in_words
from batchfill.process import (
    finish_printing,
    finish_telling,
    leave_out_unused,
    let_all_text_be_printed,
    look_for_garbage_rarely,
    open_standard_streams,
)


def main() -> None:
    """Run the command line; every error is a sentence, never a traceback."""
    code = _carry_out()
    if (lost := finish_printing()) is not None:
        tell_error(lost)
    finish_telling()
    # What a command came to counts before what it could not print.
    sys.exit(code or (ExitCode.NOTHING_DONE if lost else 0))


def _carry_out() -> int:
    """Do what the command line asks for and return the exit code; what went wrong is told."""
    try:
        _invoke_command()
    except SystemExit as end:
        return int(end.code or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        with suppress(OSError):
            _shorten(_in_our_words(error)).show()
        return ExitCode.NOTHING_DONE
    except KeyboardInterrupt:
        tell_error("interrupted")
        return ExitCode.WORK_LEFT
    except Exception as error:  # the outermost boundary: what no other one expected is told in words, too
        return _failed(error)
    return 0


def _invoke_command() -> None:
    open_standard_streams()
    let_all_text_be_printed()
    leave_out_unused()
    look_for_garbage_rarely()
    # What libraries log is for developers, and comes with tracebacks where no handler is set.
    logging.getLogger().addHandler(logging.NullHandler())
    threading.excepthook = _tell_of_thread
    if asked := os.environ.get(COMPLETE):
        print_completion(asked)
    with cli.make_context("batchfill", sys.argv[1:]) as context:
        cli.invoke(context)


def _in_our_words(error: click.ClickException) -> click.ClickException:
    from batchfill.cli.other_words import extra_argument, missing_argument, missing_value, no_such_flag

    if isinstance(error, click.MissingParameter):
        return missing_argument(error)
    if isinstance(error, click.NoSuchOption):
        return no_such_flag(error, cli.commands.values())
    if isinstance(error, click.BadOptionUsage):
        return missing_value(error, cli.commands.values())
    return extra_argument(error) if type(error) is click.UsageError else error


def _shorten(error: click.ClickException) -> click.ClickException:
    """Return *error* with a message that a terminal can show, whatever it repeats."""
    from batchfill.console.format import safe_text

    if not isinstance(error, click.UsageError) or isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    return click.UsageError(safe_text(error.format_message(), LONGEST_LINE), error.ctx)


def _failed(error: Exception) -> int:
    """Tell what *error* says, and return the exit code that belongs to it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        return 0  # who read our output has enough of it
    lost = finish_printing() if isinstance(error, OSError) else None
    tell_error(lost or in_words(error))
    if isinstance(error, ServiceRefused):
        return ExitCode.REFUSED
    return (
        ExitCode.WORK_LEFT
        if isinstance(error, ExportStopped | RunBroken | TakenOver)
        else ExitCode.NOTHING_DONE
    )


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Tell what ended a thread, without its traceback: the task that waits for it tells the rest."""
    if ended.exc_value is not None:
        tell_error(f"a thread ended: {in_words(ended.exc_value)}")
