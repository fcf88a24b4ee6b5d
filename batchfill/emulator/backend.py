"""What is behind the API and makes the pictures: the seam, and what crosses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchfill.catalog.model import Model
    from batchfill.emulator.journal import PredictionRecord
    from batchfill.emulator.schema import Fault


class RunFailed(Exception):
    """The prediction fails; the text is its `error`."""


class NotReady(Exception):
    """Nothing can run now, so no prediction is made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a finished run leaves behind."""

    outputs: list[str]
    """File names below the prediction's folder, already written."""
    logs: str


class Backend(Protocol):
    """Makes the outputs of predictions: the classical fill, or own model servers.

    A run may be started again at any time. It is never paid for.
    """

    async def start(self) -> None:
        """Get ready; called once, in the event loop that serves."""

    async def stop(self) -> None:
        """Let go of everything; called when no prediction runs any more."""

    def find_model(self, name: str) -> Model | None:
        """Return the model OWNER/NAME; None where it is not offered."""

    def find_version(self, version: str) -> Model | None:
        """Return the model that a version names: an id, OWNER/NAME, or OWNER/NAME:ID."""

    async def accept(self) -> None:
        """Return when a prediction may be made. Raises NotReady after a while without any hope of a run."""

    def find_faults(self, model: Model, inputs: Mapping[str, Any]) -> list[Fault]:
        """Return what is wrong with the inputs of a create."""

    async def run(self, record: PredictionRecord, begin: Callable[[], None]) -> Made:
        """Make the outputs of *record*, waiting for a turn; *begin* is called whenever work on it begins.

        Cancelled: the prediction was canceled, or the server stops. Raises RunFailed.
        """

    def report(self) -> Mapping[str, Any] | None:
        """Return the state of its servers as JSON; None where it has none."""

    def closing_line(self) -> str:
        """Return what was done, in a line; empty where the bill tells it."""
