"""Real Cog servers of both generations behind one front: every row is made, and made once."""

from __future__ import annotations

import os
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

from batchfill.batch import Batch
from batchfill.domain.rows import RowState
from batchfill.emulator.journal import read_records
from tests.support.real_cogs import RealCog, needs_cogs, until_begun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import pytest

    from tests.support.desk import Desk
    from tests.support.programs import Program, Running

    RealCogs = Callable[..., Awaitable[list[RealCog]]]

# For longer: 200 rows and 30 kills.
ROWS = int(os.environ.get("BATCHFILL_COG_ROWS", "24"))
KILLS = int(os.environ.get("BATCHFILL_COG_KILLS", "6"))


async def serve(batchfill: Program, cogs: Sequence[RealCog], port: int) -> Running:
    """Start the front, and return when a container is ready."""
    at = [part for cog in cogs for part in ("--at", cog.at)]
    front = await batchfill.start("serve", "--behind", "cog", *at, "--port", port, "--folder", "front")
    await front.says(" is ready")
    return front


def spans(cogs: Sequence[RealCog]) -> list[tuple[float, float]]:
    """Return when each run began and ended."""
    found = []
    for cog in cogs:
        lines = [line.split() for line in cog.runs.read_text().splitlines()]
        found += [(float(one[0]), float(two[0])) for one, two in pairwise(lines) if two[1] == "end"]
    return found


@needs_cogs
async def test_both_generations_make_every_row_once_and_are_kept_busy(
    real_cogs: RealCogs, batchfill: Program, desk: Desk, free_port: int
) -> None:
    cogs = await real_cogs(2, seconds=0.8)
    await serve(batchfill, cogs, free_port)
    desk.write(desk.rows(ROWS))
    ran = await batchfill("run", "night.csv", "--yes", "--base-url", f"http://127.0.0.1:{free_port}/v1")
    assert ran.code == 0, ran.err
    assert all(cog.begun for cog in cogs)
    assert sum(cog.begun for cog in cogs) == ROWS
    worked = spans(cogs)
    whole = max(end for _, end in worked) - min(begin for begin, _ in worked)
    print(f"busy {sum(end - begin for begin, end in worked) / whole / len(cogs):.3f} of {whole:.1f} s")


@needs_cogs
async def test_the_official_client_runs_on_them(
    real_cogs: RealCogs, batchfill: Program, desk: Desk, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from replicate.client import Client

    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    await serve(batchfill, await real_cogs(1, seconds=0.1), free_port)
    (row,) = desk.rows(1)
    client = Client(api_token="any", base_url=f"http://127.0.0.1:{free_port}")
    with (desk.folder / row["image"]).open("rb") as image, (desk.folder / row["mask"]).open("rb") as mask:
        inputs = {"image": image, "mask": mask, "prompt": "a vase"}
        made: Any = await client.models.predictions.async_create("own/fill", inputs)
    await made.async_wait()
    assert (made.status, made.error) == ("succeeded", None)
    assert (await client._async_client.get(made.output[0])).content[:4] == b"\x89PNG"
    client._client.close()
    await client._async_client.aclose()


@needs_cogs
async def test_kills_of_container_front_and_runner_lose_no_row_and_make_none_twice(
    real_cogs: RealCogs, batchfill: Program, desk: Desk, free_port: int
) -> None:
    cogs = await real_cogs(1, seconds=0.3)
    desk.write(desk.rows(max(ROWS, KILLS * 4)))
    base = ("--base-url", f"http://127.0.0.1:{free_port}/v1")
    waits = ("--recover-wait", "1", "--answer-timeout", "10", "--concurrency", "8")

    async def run() -> Running:
        return await batchfill.start("run", "night.csv", "--yes", *base, *waits)

    front, runner = await serve(batchfill, cogs, free_port), await run()
    kills = {"container": 0, "front": 0, "runner": 0}
    for _, (victim, cog) in zip(range(KILLS), cycle([(v, c) for c in cogs for v in kills]), strict=False):
        await until_begun(cogs, more=2)
        kills[victim] += 1
        if victim == "container":
            await cog.kill()
            await cog.start()
        elif victim == "front":
            front.signal(9)
            await front.ended()
            front = await serve(batchfill, cogs, free_port)
        else:
            runner.signal(9)
            await runner.ended()
            runner = await run()
    ended = await runner.ended()
    rows = max(ROWS, KILLS * 4)
    made = read_records(desk.folder / "front")
    assert ended.code == 0, ended.err
    assert Batch.open(desk.folder / "night.csv").status().counts[RowState.DONE] == rows
    assert ([record.status for record in made], len(made)) == (["succeeded"] * rows, rows)
    assert sum(cog.begun for cog in cogs) <= rows + kills["container"] + len(cogs) * kills["front"]
