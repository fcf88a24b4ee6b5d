"""What was measured, when and with what, as a file that the next one can be held against."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("batchfill", "replicate", "httpx", "aiohttp", "aiosqlite", "pillow")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When and with what something was measured."""

    date: str
    command: str
    python: str
    cores: int
    load: float
    """Processes that wanted a core in the minute before, on average: others make every figure worse."""
    packages: dict[str, str]

    def __str__(self) -> str:
        named = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        machine = f"{self.cores} cores, load {self.load}, Python {self.python}"
        return f"{self.date}, `{self.command}`, {machine}, {named}"


def circumstances(command: str) -> Circumstances:
    """Return those of now."""
    return Circumstances(
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 1),
        packages={name: version(name) for name in PACKAGES},
    )


def save(path: Path, under: Circumstances, **found: Any) -> None:
    """Write what was *found* to *path*."""
    text = json.dumps({"measured": asdict(under), **found}, indent=1, ensure_ascii=False, default=_plain)
    path.write_text(text + "\n", "utf-8")


def _plain(value: Any) -> dict[str, float]:
    """Return figures to the digits that mean something."""
    return {name: round(figure, 4) for name, figure in asdict(value).items()}
