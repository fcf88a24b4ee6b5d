"""Who else than the user may read or write a file of settings."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from batchfill.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_ROOT = 0


def judge_permissions(path: Path, *, secret: bool) -> str | None:
    """Return a warning where others may write *path*, or read it although it holds a *secret*.

    Raises UsageError where all users may write it: it says where the token goes, and what is run for it.
    Windows has no such bits, and files of a profile's folder are the user's.
    """
    if not hasattr(os, "geteuid"):
        return None
    facts = path.stat()
    mode, user = facts.st_mode, os.geteuid()
    if mode & stat.S_IWOTH or (facts.st_uid not in (_ROOT, user) and user != _ROOT):
        raise UsageError(
            f"{path}: other users of this machine may write it, and it says where the token goes: make it "
            f"yours alone, with chmod 600 {path}"
        )
    if mode & stat.S_IWGRP and not _is_own_group(facts):
        return f"{path}: its group may write it, and it says where the token goes: chmod 600 {path}"
    reads = mode & stat.S_IROTH or (mode & stat.S_IRGRP and not _is_own_group(facts))
    if secret and reads:
        return f"{path}: other users of this machine may read it, and it holds a secret: chmod 600 {path}"
    return None


def _is_own_group(facts: os.stat_result) -> bool:
    """Whether the file's group is that of its owner alone, as many systems make one for each user."""
    import grp
    import pwd

    try:
        return grp.getgrgid(facts.st_gid).gr_name == pwd.getpwuid(facts.st_uid).pw_name
    except KeyError:
        return False
