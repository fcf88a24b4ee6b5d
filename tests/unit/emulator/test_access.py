"""A provider without a token serves this machine's programs, and no page of another site."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchfill.emulator.quirks import Quirks
from tests.support.models import DEV

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchfill.emulator.emulator_server import EmulatorServer

    Serve = Callable[..., Awaitable[EmulatorServer]]

CREATE = f"/models/{DEV}/predictions"


def host(provider: EmulatorServer) -> str:
    return provider.base.removeprefix("http://").removesuffix("/v1")


FOREIGN = {
    "a name that leads here": {"Host": "evil.example"},
    "such a name with the port": {"Host": "evil.example:8765"},
    "a name that begins like this machine's": {"Host": "localhost.evil.example"},
    "an address that begins like this machine's": {"Host": "127.0.0.1.evil.example"},
    "another machine's address": {"Host": "192.168.1.7"},
    "no host": {"Host": ""},
    "a page of another site": {"Origin": "https://evil.example"},
    "a page of another port": {"Origin": "http://127.0.0.1:1"},
    "a page from nowhere": {"Origin": "null"},
    "a form or a picture of another site": {"Sec-Fetch-Site": "cross-site"},
    "a page of another port, by its own word": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_what_comes_from_a_page_of_another_site_is_refused(
    service: Serve, inputs: Mapping[str, Any], kind: str
) -> None:
    provider = await service(token=None)
    async with httpx.AsyncClient(base_url=provider.base, headers=FOREIGN[kind]) as client:
        answers = [
            await client.post(CREATE, json={"input": dict(inputs)}),
            await client.post("/predictions/x/cancel"),
            await client.post("/files", files={"content": b"x"}),
            *[await client.get(path) for path in ("/predictions", "/account", "/files", f"/models/{DEV}")],
        ]
    assert {answer.status_code for answer in answers} == {403}
    assert "--token" in answers[0].json()["detail"]
    assert provider.billed == 0


OWN: dict[str, Callable[[str], dict[str, str]]] = {
    "a program": lambda host: {},
    "a program that names it localhost": lambda host: {"Host": f"localhost:{host.rpartition(':')[2]}"},
    "a program by another loopback address": lambda host: {"Host": "127.0.0.9:80"},
    "a program by IPv6": lambda host: {"Host": "[::1]:8765"},
    "a page of its own": lambda host: {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"},
    "an address that was typed": lambda host: {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("kind", OWN)
async def test_this_machines_own_programs_are_served(
    service: Serve, inputs: Mapping[str, Any], kind: str
) -> None:
    provider = await service(token=None)
    async with httpx.AsyncClient(base_url=provider.base, headers=OWN[kind](host(provider))) as client:
        assert (await client.post(CREATE, json={"input": dict(inputs)})).status_code == 201
        assert (await client.get("/predictions")).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", ""]
)
async def test_a_create_that_any_page_can_send_is_refused(
    service: Serve, inputs: Mapping[str, Any], kind: str
) -> None:
    provider = await service(token=None)
    content = json.dumps({"version": DEV, "input": dict(inputs)})
    async with httpx.AsyncClient(base_url=provider.base, headers={"Content-Type": kind}) as client:
        for path in (CREATE, "/predictions", f"/deployments/{DEV}/predictions"):
            answer = await client.post(path, content=content)
            assert answer.status_code == 415
            assert "application/json" in answer.json()["detail"]
    assert provider.billed == 0


async def test_a_token_is_enough_from_everywhere(service: Serve, inputs: Mapping[str, Any]) -> None:
    provider = await service(token="t")
    headers = {"Authorization": "Bearer t", "Host": "emulator:8765", "Content-Type": "text/plain"}
    async with httpx.AsyncClient(base_url=provider.base, headers=headers) as client:
        answer = await client.post(CREATE, content=json.dumps({"input": dict(inputs)}))
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("http://127.0.0.1:9/secret.png", 403),
        ("http://localhost:9/secret.png", 403),
        ("http://[::1]:9/secret.png", 403),
        ("http://127.0.0.1:9/v1/files/abc", 201),
        ("https://example.com/a.png", 201),
    ],
)
async def test_no_address_of_this_machine_is_read_for_another_machine(
    service: Serve, inputs: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, address: str, status: int
) -> None:
    provider = await service(token=None)
    monkeypatch.setattr("aiohttp.web.Request.remote", "192.168.1.7")
    async with httpx.AsyncClient(base_url=provider.base) as client:
        answer = await client.post(CREATE, json={"input": {**inputs, "image": address}})
    assert answer.status_code == status


async def test_an_account_names_an_address_and_a_refused_method_those_that_are_allowed(
    service: Serve,
) -> None:
    provider = await service(token=None, quirks=Quirks(offers=frozenset({"account"}), not_offered=405))
    async with httpx.AsyncClient(base_url=provider.base) as client:
        assert (await client.get("/account")).json()["github_url"].startswith("https://")
        assert (await client.put("/account")).headers["Allow"] == "GET"
        assert (await client.get("/files")).headers["Allow"] == ""


@pytest.mark.parametrize(
    "body", ["[" * 200_000, '{"a":' * 200_000, '{"input":' + '{"a":' * 900 + "1" + "}" * 901]
)
@pytest.mark.parametrize("path", [CREATE, "/predictions", f"/deployments/{DEV}/predictions"])
async def test_json_that_is_nested_too_deeply_is_the_callers_mistake(
    service: Serve, caplog: pytest.LogCaptureFixture, body: str, path: str
) -> None:
    provider = await service(token=None)
    async with httpx.AsyncClient(base_url=provider.base) as client:
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        metadata = await client.post("/files", files={"content": b"x"}, data={"metadata": body})
    assert answer.status_code in (400, 422)
    assert metadata.status_code in (201, 400)
    assert "Traceback" not in caplog.text
