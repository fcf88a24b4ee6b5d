"""The token goes to the origin that the user named, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

from batchfill.domain.rows import RowState
from batchfill.emulator import emulator_pagination
from batchfill.emulator.emulator_model import TINY
from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.faults import LOST
from tests.support.gateways import pass_on
from tests.support.timings import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Gateway = Callable[[EmulatorServer, Callable[[str], str]], Awaitable[str]]
    Origin = Callable[..., Awaitable[str]]


def elsewhere_for(elsewhere: Any, provider: EmulatorServer) -> Callable[[str], str]:
    """Make every address of an answer name the other origin, but those of outputs."""
    return lambda text: text.replace(f"{provider.base}/", f"{elsewhere.base}/v1/")


async def test_addresses_that_name_another_host_are_never_followed(
    service: Serve, batch: Open, gateway: Gateway, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator_pagination, "PAGE", 10)
    lost = Fault("create", "status", times=1, options={"status": 500, "late": True})
    provider = await service(faults=Faults([lost, Fault("list", "empty")]))
    base = await gateway(provider, elsewhere_for(elsewhere, provider))
    assert (await batch(base, 13, **SOON).run()).counts[RowState.IN_DOUBT] == 1
    provider.faults.clear()
    provider.requests.clear()
    # It stands on the second page, whose address names the other host; so do those of every prediction.
    assert (await batch(base, **SOON).run()).exit_code == 0
    assert (provider.requests["list"], elsewhere.asked) == (2, [])


async def test_a_cancel_goes_to_the_base_whatever_address_the_prediction_names(
    service: Serve, batch: Open, gateway: Gateway, elsewhere: Any
) -> None:
    provider = await service(faults=Faults([Fault("create", "stuck")]))
    base = await gateway(provider, elsewhere_for(elsewhere, provider))
    provider.faults.add(Fault("get", "status", options={"status": 401}))
    await batch(base, 1).run()
    provider.faults.clear()
    await batch(base).cancel()
    assert [charge.status for charge in provider.bill] == ["canceled"]
    assert elsewhere.asked == []


async def test_the_token_goes_to_no_output_host(
    service: Serve, batch: Open, gateway: Gateway, elsewhere: Any
) -> None:
    provider = await service()
    base = await gateway(provider, lambda text: text.replace(provider.outputs_base, elsewhere.base))
    # The second read asks whether the output is gone, for nobody has it there.
    provider.faults.add(Fault("get", "status", first=2, options={"status": 401}))
    await batch(base, 1).run()
    assert elsewhere.asked
    assert elsewhere.tokens == []


@pytest.mark.parametrize("status", [401, 403])
async def test_an_output_host_that_wants_a_token_gets_none(
    service: Serve, batch: Open, gateway: Gateway, origin: Origin, status: int
) -> None:
    tokens: list[str] = []

    async def gate(request: web.Request) -> web.Response:
        tokens.extend(request.headers.getall("Authorization", []))
        first = not passed
        passed.append(True)
        return web.Response(status=status) if first else web.Response(body=TINY)

    passed: list[bool] = []
    host = await origin(gate)
    provider = await service()
    base = await gateway(provider, lambda text: text.replace(provider.outputs_base, host))
    assert (await batch(base, 1).run()).exit_code == 0
    assert (len(passed), tokens) == (2, [])


async def test_an_output_at_the_base_itself_is_fetched_with_the_token_when_it_has_to_be(
    service: Serve, batch: Open, origin: Origin
) -> None:
    provider = await service()
    asked: list[str | None] = []

    async def hand_on(request: web.Request) -> web.Response:
        if request.path.startswith("/outputs/"):
            asked.append(request.headers.get("Authorization"))
            return web.Response(body=TINY) if asked[-1] else web.Response(status=401)
        return await passed_on(request, provider, here[0])

    here = [""]
    here[0] = await origin(hand_on)
    assert (await batch(f"{here[0]}/v1", 1).run()).exit_code == 0
    assert asked == [None, "Bearer r8_for_tests_only"]


async def test_an_output_at_the_base_itself_takes_the_token_nowhere_else(
    service: Serve, batch: Open, origin: Origin, elsewhere: Any
) -> None:
    provider = await service()
    answers = iter(
        [
            web.Response(status=401),
            web.Response(status=302, headers={"Location": f"{elsewhere.base}/out-0.webp"}),
            web.Response(body=TINY),
        ]
    )

    async def hand_on(request: web.Request) -> web.Response:
        if request.path.startswith("/outputs/"):
            return next(answers)
        return await passed_on(request, provider, here[0])

    here = [""]
    here[0] = await origin(hand_on)
    assert (await batch(f"{here[0]}/v1", 1).run()).exit_code == 0
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_output_that_redirects_is_followed_without_a_token(
    service: Serve, batch: Open, gateway: Gateway, origin: Origin, elsewhere: Any, status: int
) -> None:
    provider = await service()

    async def send_on(request: web.Request) -> web.Response:
        tokens.extend(request.headers.getall("Authorization", []))
        return web.Response(status=status, headers={"Location": provider.outputs_base + request.path})

    tokens: list[str] = []
    host = await origin(send_on)
    base = await gateway(provider, lambda text: text.replace(provider.outputs_base, host))
    assert (await batch(base, 1).run()).exit_code == 0
    assert tokens == []


@pytest.mark.parametrize("call", ["account", "list", "get", "create"])
async def test_no_call_follows_a_redirect(service: Serve, batch: Open, elsewhere: Any, call: str) -> None:
    to = {"Location": f"{elsewhere.base}/v1/predictions"}
    moved = Fault(call, "status", times=2, options={"status": 307, "body": "moved", "headers": to})
    provider = await service(faults=Faults([moved, *([LOST] if call == "list" else [])]))
    await batch(provider, 2, **SOON).run()
    assert elsewhere.asked == []


async def passed_on(request: web.Request, provider: EmulatorServer, here: str) -> web.Response:
    async with ClientSession() as onward:
        return await pass_on(
            request, provider, onward, lambda text: text.replace(provider.outputs_base, here)
        )
