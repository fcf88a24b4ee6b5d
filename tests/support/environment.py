"""The environment in which the tests run, and every program that they start.

*Settings* are variables by which users tell programs how to behave; no test obeys those of the shell.
"""

from __future__ import annotations

import os
import re
import signal
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = re.compile(
    r"_?BATCHFILL_.*|REPLICATE_.*|(HTTPS?|ALL|NO)_PROXY|NETRC|SSL.*|XDG_.*|(WAYLAND_)?DISPLAY"
    r"|LANG|LANGUAGE|LC_.*|COLUMNS|LINES|(NO|FORCE)_COLOR|CLICOLOR.*|COLORTERM|TTY_.*"
    r"|AWS_.*|GOOGLE_.*|AZURE_.*|PYTHON(?!PATH$|HOME$|DONTWRITEBYTECODE$).*",
    re.IGNORECASE,
)
"""Variables by which users tell programs how to behave."""


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Let the programs that tests start hear Ctrl-C.

    What a script starts in the background is born deaf to it, pytest too, and hands that on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _unset() -> Iterator[None]:
    """Let no test, and no program that one starts, obey the shell in which the tests were started."""
    for name in [name for name in os.environ if SETTINGS.fullmatch(name)]:
        del os.environ[name]
    # Not among the folders of tests: manifests that lie near a home reach less far.
    with TemporaryDirectory(prefix="home-", ignore_cleanup_errors=True) as home:
        os.environ.update(HOME=home, USERPROFILE=home)
        yield
