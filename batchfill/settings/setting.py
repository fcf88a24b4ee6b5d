"""What is declared of a setting: its name and type, and where it may be given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from batchfill.settings.value_types import Switch

if TYPE_CHECKING:
    from batchfill.settings.value_types import ValueType


class Place(Enum):
    """Where a setting may be given."""

    READING = "a flag of every command that reads the manifest"
    RUN = "a flag of `run` only"
    MANIFEST = "a line at the top of a YAML manifest"


READING, RUN, MANIFEST = Place.READING, Place.RUN, Place.MANIFEST


SAID_WITH_COMMAND = frozenset(
    {
        "accept_loss",
        "allow_outside",
        "env_file",
        "host",
        "id",
        "limit",
        "on_end",
        "plain_cluster",
        "plain_http",
    }
    | {"retry", "same_account", "take_over", "yes"}
)
"""What a user says with the command that it is for: consent to one start, or to run what a file names.

Neither the environment nor a file may say it. Some are flags of a single command and no settings.
"""
NOT_IN_CONFIG = frozenset({"profile"})
"""What config.toml cannot say: no profile asks for another."""
PREFIX = "BATCHFILL_"
"""What the variable of a setting begins with."""


def variable_of(name: str) -> str:
    """Return the variable of the setting *name*: `BATCHFILL_MAX_COST`."""
    return PREFIX + name.upper()


def explain_said_with_command(name: str) -> str:
    """Return why *name* cannot be said around a command, and what to do."""
    return (
        f"{name} is said with the command that it is for, and nowhere else: give --{name.replace('_', '-')}"
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    name: str
    """With underscores. Its flag is the same name with dashes."""
    type: ValueType
    help: str
    """A phrase without a stop, in Markdown: what the value is, or what it does."""
    places: tuple[Place, ...]
    default: Any = None
    default_text: str = ""
    """The default as people read it, where there is one: `NAME.batch next to the manifest`."""
    repeatable: bool = False
    once: bool = False
    """For one call, or remembered by the batch: the command that goes on does without it."""
    short: str = ""
    """A letter for the flag: `-y`."""
    name_in_manifest: str = ""
    """Where it is another than the flag's."""
    example: str = ""
    """A value for the template of `init`, which has a line for each setting with one."""
    see: str = ""
    """The page that tells more, from `docs/settings.md`: `gateways.md#base`."""

    @property
    def flag(self) -> str:
        """As on the command line: `--max-cost`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def flag_off(self) -> str:
        """What turns it off again: `--no-idempotent`; empty where nothing needs to."""
        revocable = isinstance(self.type, Switch) and self.type.revocable
        return f"--no-{self.flag.removeprefix('--')}" if revocable else ""

    @property
    def plain_help(self) -> str:
        """The help without Markdown."""
        return self.help.replace("`", "")

    @property
    def in_manifest(self) -> str:
        """Its name in a manifest; empty where it must not be there."""
        return (self.name_in_manifest or self.name) if MANIFEST in self.places else ""

    @property
    def said_with_command(self) -> bool:
        """Whether only the command line may hold it."""
        return self.name in SAID_WITH_COMMAND
