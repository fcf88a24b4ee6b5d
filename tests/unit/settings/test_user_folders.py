"""Where a user's caches and settings are, by system and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchfill.settings.user_folders import cache_folder, config_folder


@pytest.mark.parametrize(
    ("system", "environ", "folder"),
    [
        ("linux", {"HOME": "/home/ada"}, "/home/ada/.cache/batchfill"),
        ("linux", {"HOME": "/home/ada", "XDG_CACHE_HOME": "/scratch"}, "/scratch/batchfill"),
        # The standard has relative ones ignored.
        ("linux", {"HOME": "/home/ada", "XDG_CACHE_HOME": "cache"}, "/home/ada/.cache/batchfill"),
        ("linux", {"HOME": "/home/ada", "XDG_CACHE_HOME": ""}, "/home/ada/.cache/batchfill"),
        ("darwin", {"HOME": "/Users/ada"}, "/Users/ada/Library/Caches/batchfill"),
        ("win32", {"USERPROFILE": "/u/ada", "HOME": "/x"}, "/u/ada/AppData/Local/batchfill"),
        ("win32", {"LOCALAPPDATA": "/u/ada/local", "USERPROFILE": "/u/ada"}, "/u/ada/local/batchfill"),
        ("linux", {}, None),
        ("linux", {"HOME": ""}, None),
        ("linux", {"HOME": "ada"}, None),
    ],
)
def test_the_caches_are_where_the_system_has_them(
    system: str, environ: dict[str, str], folder: str | None
) -> None:
    assert cache_folder(environ, system) == (None if folder is None else Path(folder))


@pytest.mark.parametrize(
    ("system", "environ", "folder"),
    [
        ("linux", {"HOME": "/home/ada"}, "/home/ada/.config/batchfill"),
        ("linux", {"HOME": "/home/ada", "XDG_CONFIG_HOME": "/etc/ada"}, "/etc/ada/batchfill"),
        ("linux", {"HOME": "/home/ada", "XDG_CONFIG_HOME": "etc"}, "/home/ada/.config/batchfill"),
        ("darwin", {"HOME": "/Users/ada"}, "/Users/ada/Library/Application Support/batchfill"),
        ("win32", {"LOCALAPPDATA": "/u/ada/local", "USERPROFILE": "/u/ada"}, "/u/ada/local/batchfill"),
        ("win32", {"USERPROFILE": "/u/ada"}, "/u/ada/AppData/Local/batchfill"),
        ("linux", {}, None),
    ],
)
def test_the_settings_are_where_the_system_has_them(
    system: str, environ: dict[str, str], folder: str | None
) -> None:
    assert config_folder(environ, system) == (None if folder is None else Path(folder))
