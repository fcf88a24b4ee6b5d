"""Running predictions are followed by the provider's list, and one by one where it has none or is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]

WAVE = {"concurrency": 12}


async def test_a_list_takes_the_place_of_many_questions(service: Serve, batch: Open) -> None:
    provider = await service(latency=0.3)
    assert (await batch(provider, 36, **WAVE).run()).exit_code == 0
    assert provider.requests["list"] > 0
    # Those of the end, too few for a list; more of them where the machine is busy and ends come one by one.
    assert provider.requests["get"] < 36, "as many as without a list"


async def test_without_a_list_each_is_asked_for(service: Serve, batch: Open) -> None:
    bare = Quirks(offers=frozenset({"files", "account", "cancel"}))
    provider = await service(latency=0.3, quirks=bare)
    assert (await batch(provider, 24, **WAVE).run()).exit_code == 0
    assert provider.requests["list"] == 1, "asked for once"
    assert provider.requests["get"] >= 24


@pytest.mark.parametrize(
    "fault",
    [
        Fault("list", "empty"),
        Fault("list", "lagging", options={"seconds": 600}),
        Fault("list", "filtered", options={"share": 0.5}),
        Fault("list", "without_inputs"),
        Fault("list", "strangers", options={"count": 250}),
        Fault("list", "status", options={"status": 500}),
        Fault("list", "status", options={"status": 403}),
        Fault("list", "invalid_json"),
        Fault("list", "cut"),
        Fault("list", "reset_before"),
    ],
    ids=lambda fault: f"{fault.kind}{fault.options.get('status', '')}",
)
async def test_a_list_that_is_wrong_keeps_no_row_from_its_end(
    service: Serve, batch: Open, states: Any, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.run.poll.schedule.UNLEARNED", 0.5)
    provider = await service(latency=0.1, faults=Faults([fault]))
    night = batch(provider, 12, **WAVE)
    assert (await night.run()).exit_code == 0
    assert provider.billed == 12
    assert set(states(night).values()) == {"done"}


async def test_a_failure_that_a_list_tells_is_the_rows(service: Serve, batch: Open, result: Any) -> None:
    provider = await service(latency=0.1, faults=Faults([Fault("create", "fail", at=frozenset({3}))]))
    night = batch(provider, 12, attempts=1, **WAVE)
    assert (await night.run()).exit_code == 1
    failed = [found for found in night.results() if found.state == "failed"]
    assert len(failed) == 1
    assert failed[0].error


async def test_a_token_that_a_list_repeats_is_not_written_down(
    service: Serve, batch: Open, gateway: Any, desk: Any
) -> None:
    # Long enough that some run at the same time on any machine: a list is for three at least.
    provider = await service(latency=0.3, faults=Faults([Fault("create", "fail", options={"error": "SAID"})]))
    base = await gateway(provider, lambda text: text.replace("SAID", "not with r8_for_tests_only"))
    night = batch(base, 6, attempts=1, concurrency=6)
    await night.run()
    assert provider.requests["list"] > 0
    folder: Path = night.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"r8_for_tests_only" in path.read_bytes()]
    assert any("not with" in (found.error or "") for found in night.results())
