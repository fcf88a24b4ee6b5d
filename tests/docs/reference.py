"""The tables of the reference pages, made of the tables in the program.

`python -m tests.docs.reference` writes them into the pages; a test compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.catalog.pixel_options import PIXEL_FIELDS
from batchfill.settings.definitions import SETTINGS
from batchfill.settings.setting import NOT_IN_CONFIG, READING, RUN
from tests.docs.pages import ROOT, section_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batchfill.catalog.field import Field
    from batchfill.settings.setting import Setting

DOCS = ROOT / "docs"
VALUES = {
    "padding": "a share such as `25%`, or pixels",
    "expand": "a share such as `20%`, pixels, or both by side: `left=256 right=25%`",
    "aspect": "a shape such as `16:9`",
}
ROWS = ("`rows`", "yes", "a list, or the name of a CSV or JSONL file", "", "the rows")
"""What a manifest holds besides settings."""

Row = tuple[str, ...]


def table_text(head: Row, rows: Iterable[Row]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return (
        "".join("| " + " | ".join(line) + " |\n" for line in lines)
        .replace("|  |", "| |")
        .replace("| ---", "|---")
        .replace("--- |", "---|")
    )


def _default_text(setting: Setting) -> str:
    if setting.default_text or not setting.default:
        return setting.default_text
    return f"{setting.default:g}"


def _meaning(setting: Setting) -> str:
    page, _, _ = setting.see.partition(".md")
    return setting.help + (f"; see [{page.replace('-', ' ')}]({setting.see})" if setting.see else "")


def _flag_row(setting: Setting) -> Row:
    held = f"`{setting.in_manifest}`" if setting.in_manifest else "no"
    flags = ", ".join(f"`{flag}`" for flag in (setting.short, setting.flag, setting.flag_off) if flag)
    return flags, held, _around(setting), setting.type.values, _default_text(setting), _meaning(setting)


def _around(setting: Setting) -> str:
    """Return whether variables may hold *setting*, and `config.toml`."""
    if setting.said_with_command:
        return "no"
    return "variable only" if setting.name in NOT_IN_CONFIG else "yes"


def _flagless_row(setting: Setting) -> Row:
    held = "yes" if setting.in_manifest else "no"
    return f"`{setting.name}`", held, setting.type.values, _default_text(setting), _meaning(setting)


def _pixel_row(field: Field) -> Row:
    values = ", ".join(f"`{word}`" for word in field.choices)
    if field.minimum is not None:
        values = f"{field.minimum} to {field.maximum}"
    default = "" if field.default is None else f"`{field.default}`"
    default = f"{field.default}" if isinstance(field.default, int) else default
    if isinstance(field.default, bool):
        values, default = "`true`, `false`", f"`{str(field.default).lower()}`"
    return f"`{field.name}`", values or VALUES[field.name], default, field.description


def reference_tables() -> dict[tuple[Path, str], str]:
    """Return each table that is made: page and heading → its text."""
    flags = ("flag", "manifest", "around", "values", "default", "meaning")
    settings = DOCS / "settings.md"
    only = [setting for setting in SETTINGS if not {READING, RUN}.intersection(setting.places)]
    return {
        (settings, "Flags of run and check"): table_text(
            flags, (_flag_row(one) for one in SETTINGS if READING in one.places)
        ),
        (settings, "Flags of run only"): table_text(
            flags, (_flag_row(one) for one in SETTINGS if RUN in one.places)
        ),
        (settings, "Settings without a flag"): table_text(
            ("setting", "manifest", "values", "default", "meaning"), [*map(_flagless_row, only), ROWS]
        ),
        (DOCS / "pixels.md", "Settings"): table_text(
            ("setting", "values", "default", "effect"), map(_pixel_row, PIXEL_FIELDS)
        ),
    }


def table_in(page: Path, heading: str) -> str:
    """Return the first table below *heading*, as the page has it."""
    lines = section_of(page, heading).splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    end = next(
        (number for number in range(start, len(lines)) if not lines[number].startswith("|")), len(lines)
    )
    return "".join(lines[start:end])


def main() -> None:
    """Write every table into its page."""
    for (page, heading), text in reference_tables().items():
        page.write_text(page.read_text("utf-8").replace(table_in(page, heading), text), "utf-8")


if __name__ == "__main__":
    main()
