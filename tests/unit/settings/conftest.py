"""Settings of one command, from every place at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.settings.credentials import Variables
from batchfill.settings.resolve import resolve_settings
from batchfill.settings.surroundings import read_surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.settings.credentials import Environment
    from batchfill.settings.settings import Settings
    from batchfill.settings.surroundings import Surroundings


class Home:
    """A user's home: the file of settings in it, and what commands there go by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / ".config" / "batchfill" / "config.toml"
        self.env_file = folder / "gateway.env"

    def write_config(self, text: str, mode: int = 0o600) -> None:
        """Write config.toml."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text, "utf-8")
        self.config.chmod(mode)

    def read(
        self, environ: Mapping[str, str] | None = None, *, env: str | None = None, **flags: Any
    ) -> tuple[Environment, Surroundings]:
        """Return what is around a command; *env*: the text of a file that --env-file names."""
        if env is not None:
            self.env_file.write_text(env, "utf-8")
            self.env_file.chmod(0o600)
            flags["env_file"] = self.env_file
        around = Variables({"HOME": str(self.folder)} | dict(environ or {}))
        return read_surroundings(around, flags, PIXEL_READERS)

    def settings(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        head: Mapping[str, Any] | None = None,
        defaults: Mapping[str, str] | None = None,
        facts: Mapping[str, str] | None = None,
        env: str | None = None,
        **flags: Any,
    ) -> Settings:
        """Return what a command decides on."""
        variables, around = self.read(environ, env=env, **flags)
        return resolve_settings(
            Path("night.csv"),
            flags,
            head=head or {},
            defaults=defaults or {},
            column={},
            facts=facts or {},
            environ=variables,
            around=around,
        )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a file of settings; see Home."""
    return Home(tmp_path)
