"""The settings of a batch: of its flags, its manifest, its ledger, and what is said around the command."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from batchfill.catalog.pixel_options import PIXEL_READERS
from batchfill.errors import UsageError
from batchfill.session.batch_ledger import read_metadata
from batchfill.settings.layers import fill_in, find_said
from batchfill.settings.resolve import STANDARD_INPUT, folder_of, resolve_settings
from batchfill.settings.surroundings import read_surroundings
from batchfill.storage.store_variables import use_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchfill.manifest.manifest import Manifest
    from batchfill.settings.credentials import Environment, Variables
    from batchfill.settings.settings import Settings
    from batchfill.settings.surroundings import Surroundings


def take_surroundings(
    environ: Variables | Environment, flags: Mapping[str, Any]
) -> tuple[Environment, Surroundings]:
    """Return what is around a command, after what it says of buckets counts. Raises UsageError."""
    found, around = read_surroundings(environ, flags, PIXEL_READERS)
    use_endpoint(find_said(around.layers, "s3_endpoint"))
    return found, around


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """What the settings of a batch are made of."""

    path: Path
    """Of the manifest."""
    flags: Mapping[str, Any] = field(repr=False)
    environ: Environment = field(repr=False)
    around: Surroundings = field(repr=False)
    begun: Path | None = None
    """The folder whose ledger counts as the batch's; None: its own."""

    @property
    def placed(self) -> dict[str, Any]:
        """The flags, with what is said around the command of settings that need no manifest."""
        return fill_in(self.flags, self.around.layers)

    @property
    def folder(self) -> Path:
        """The batch folder."""
        return folder_of(self.path, self.placed)

    def read(self) -> tuple[Manifest, Settings]:
        """Return the opened manifest and the settings of a start. Raises UsageError."""
        from batchfill.catalog.model_choice import choose_model
        from batchfill.session.as_begun.begun_settings import with_begun
        from batchfill.session.as_begun.said_around import decide_rows

        facts, around = self._remembered()
        manifest = self._open_manifest(around)
        settings = replace(
            self._resolve(facts, around, **_told_by(manifest)), rows_said=decide_rows(around.layers)
        )
        return manifest, with_begun(settings, manifest, choose_model(settings), facts)

    def resolve(self, **manifest: Mapping[str, Any]) -> Settings:
        """Return the settings: flags over what the *manifest* says, that over what is said elsewhere."""
        facts, around = self._remembered()
        return self._resolve(facts, around, **manifest)

    def origins(self) -> tuple[str, ...]:
        """Return a line for each place around the command from which settings count; none after a mistake."""
        if self.path == STANDARD_INPUT:
            return ()  # it is read once
        with suppress(UsageError):
            facts, around = self._remembered()
            return self._resolve(facts, around, **_told_by(self._open_manifest(around))).origins
        return ()

    def _remembered(self) -> tuple[dict[str, str], Surroundings]:
        """Return what the ledger remembers, and what is around the command for the batch that it is of."""
        from batchfill.session.as_begun.said_around import as_begun

        facts = read_metadata(self.begun or self.folder)
        return facts, as_begun(self.around, facts)

    def _resolve(
        self, facts: Mapping[str, str], around: Surroundings, **manifest: Mapping[str, Any]
    ) -> Settings:
        return resolve_settings(
            self.path, self.flags, facts=facts, environ=self.environ, around=around, **manifest
        )

    def _open_manifest(self, around: Surroundings) -> Manifest:
        from batchfill.manifest.manifest import open_manifest

        return open_manifest(self.path, **around.reading(self.flags))


def _told_by(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    return {"head": manifest.settings, "defaults": manifest.defaults, "column": manifest.column}
