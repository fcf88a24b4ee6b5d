"""What the source distribution has in addition to the checkout: man pages, made of the commands' help."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import mkdtemp
from time import gmtime, strftime
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface[Any]):
    """Puts `man/batchfill.1` and a page a command into the source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the pages and name them to the builder. *version* is the builder's, not ours."""
        folder = Path(mkdtemp(prefix="batchfill-man-"))
        sys.path.insert(0, self.root)
        write_man_pages(folder, self.metadata.version)
        build_data["force_include"] |= {str(page): f"man/{page.name}" for page in sorted(folder.iterdir())}


def write_man_pages(folder: Path, version: str) -> None:
    """Write the man page of batchfill and of each command to *folder*."""
    from click_man.core import write_man_pages as write

    from batchfill.cli.commands import cli

    # A build of the same sources is the same, whatever the day.
    day = strftime("%Y-%m-%d", gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0")) or None))
    write("batchfill", cli, version=version, target_dir=str(folder), date=day)
