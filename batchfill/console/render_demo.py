"""What is said of the sample batch when it is done."""

from __future__ import annotations

PICTURES = {
    "rocket-moon.jpg": "an exact JPEG: every block that the mask does not touch is the original's",
    "coffee-poster.png": "enlarged to 9:16",
    "cat-collar.png": "its mask is a box, drawn in a cell of the table",
}
"""Outputs that show something, and what."""


def demo_lines(*, command: str) -> list[str]:
    """Return what there is to see; *command* is the command line that shows it."""
    width = max(map(len, PICTURES))
    return [
        *(f"  {name:<{width}}  {shows}" for name, shows in PICTURES.items()),
        "The local emulator fills from the surroundings and reads no prompts; the service's model does.",
        f"See them all: {command}",
    ]
