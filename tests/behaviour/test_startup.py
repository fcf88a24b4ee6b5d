"""What a command loads: those that only look answer at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.programs import Program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.emulator.emulator_server import EmulatorServer

    Serve = Callable[..., Awaitable[EmulatorServer]]

HEAVY = {"PIL", "aiohttp", "aiosqlite", "asyncio", "httpx", "numpy", "rich", "ssl", "yaml"}
"""Each takes longer to load than such a command to do all that it does."""

PROBE = """
import json, sys
from batchfill.cli.app import main
try:
    main()
finally:
    loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module}
    print(json.dumps(sorted(loaded)), file=sys.stderr)
"""


async def loaded(batchfill: Any, *arguments: str) -> set[str]:
    """Return the packages that a command has loaded by its end."""
    ran = await batchfill.python("-c", PROBE, *arguments)
    assert ran.code == 0, ran.err
    return set(json.loads(ran.err.splitlines()[-1]))


async def test_help_loads_nothing_that_it_has_no_use_for(batchfill: Any) -> None:
    for command in ([], ["run"], ["check"], ["export"], ["serve"]):
        assert await loaded(batchfill, *command, "--help") & (HEAVY | {"sqlite3"}) == set()


async def test_looking_at_a_batch_loads_no_network_no_pictures_and_no_event_loop(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    desk.write(desk.rows(1))
    await batchfill("run", "night.csv", "--base-url", (await service()).base)
    for command in (["status"], ["status", "--json"], ["results"], ["results", "--format", "jsonl"]):
        assert await loaded(batchfill, command[0], "night.csv", *command[1:]) & HEAVY == set()


async def test_a_check_of_rows_at_addresses_loads_no_network_and_no_pictures(
    batchfill: Any, desk: Any
) -> None:
    address = "https://example.com/a.png"
    desk.write([{"image": address, "mask": address, "prompt": "a ship"}])
    assert await loaded(batchfill, "check", "night.csv") & (HEAVY - {"asyncio", "ssl"}) <= {"aiosqlite"}


async def test_a_run_without_a_terminal_loads_nothing_that_draws_and_no_format_that_outputs_never_have(
    batchfill: Any, desk: Any
) -> None:
    desk.write(desk.rows(1))
    ran = await batchfill.python(
        "-c",
        "import sys; from batchfill.cli.app import main\n"
        "try: main()\n"
        "finally: print(*(name in sys.modules for name in ('httpx', 'rich', 'PIL.PdfImagePlugin')))",
        *("run", "night.csv", "--local"),
    )
    assert (ran.code, ran.out) == (0, "True False False\n"), ran.err


async def test_every_command_works_in_an_interpreter_that_has_loaded_nothing(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    """Forks have loaded everything, and would not tell of a module that cannot be loaded first."""
    desk.write(desk.rows(1))
    at = ("night.csv", "--base-url", (await service()).base)
    await batchfill("run", *at)
    alone = Program(desk.folder)
    for command in (
        *(("init", "new.csv"), ("pair", "images", "masks"), ("check", "night.csv"), ("run", *at)),
        *(
            ("finish", "night.csv"),
            ("cancel", "night.csv"),
            ("status", "night.csv"),
            ("results", "night.csv"),
        ),
        *(("report", "night.csv"), ("export", "night.csv", "final"), ("completion", "bash")),
    ):
        ran = await alone(*command)
        assert (command[0], ran.code) == (command[0], 0), ran.err
    serving = await alone.start("serve", "--port", "0")
    assert "http://" in await serving.prints()
    reviewing = await alone.start("review", "night.csv", "--no-open")
    assert "http://" in await reviewing.prints()
    assert (await alone("stop", "night.csv")).code in (0, 2)
    await alone.stop()


async def test_a_run_loads_nothing_that_works_on_pixels_before_a_row_needs_it(batchfill: Any) -> None:
    ran = await batchfill.python(
        "-c",
        "import sys, batchfill.session.open_session\n"
        "print([name for name in sys.modules if name.startswith(('batchfill.images.composite', "
        "'batchfill.images.prepare.fit', 'batchfill.session.lost_machine.take_over'))])",
    )
    assert (ran.code, ran.out) == (0, "[]\n"), ran.err
