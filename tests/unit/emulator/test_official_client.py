"""The official `replicate` client, unchanged, against the provider."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator.faults.rules import Fault, Faults
from tests.support.models import DEV
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from PIL import Image
    from replicate.client import Client

    from batchfill.emulator.emulator_server import EmulatorServer

    Start = Callable[..., Awaitable[EmulatorServer]]


@pytest.fixture
async def official(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Client]]:
    from replicate.client import Client

    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.01")
    opened: list[Client] = []

    def begin(provider: EmulatorServer, token: str = TOKEN) -> Client:
        client = Client(api_token=token, base_url=provider.base.removesuffix("/v1"))
        opened.append(client)
        return client

    yield begin
    for client in opened:
        client._client.close()
        await client._async_client.aclose()


async def test_it_creates_waits_and_reads_an_output(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    client = official(await start(latency=0.05))
    prediction: Any = await client.models.predictions.async_create(DEV, dict(inputs))
    assert prediction.status == "starting"
    await prediction.async_wait()
    assert prediction.status == "succeeded"
    assert (await client._async_client.get(prediction.output[0])).content[:4] == b"RIFF"


async def test_it_runs_a_model(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    client = official(await start())
    output: Any = await client.async_run(DEV, dict(inputs))
    assert output[0].endswith("out-0.webp")
    polled: Any = await client.async_run(DEV, dict(inputs), wait=False)
    assert polled[0].endswith("out-0.webp")


async def test_it_runs_a_version(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    client = official(await start())
    model = await client.models.async_get(DEV)
    assert model.latest_version is not None
    output: Any = await client.async_run(f"{DEV}:{model.latest_version.id}", dict(inputs))
    assert output[0].endswith("out-0.webp")


async def test_it_runs_synchronously_from_another_thread(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    client = official(await start())
    output: Any = await asyncio.to_thread(client.run, DEV, dict(inputs))
    assert output[0].endswith("out-0.webp")


async def test_it_uploads_files_by_itself(
    start: Start,
    official: Callable[..., Client],
    inputs: Mapping[str, Any],
    sent_photo: Image.Image,
    sent_mask: Image.Image,
) -> None:
    def opened(image: Image.Image) -> io.BytesIO:
        target = io.BytesIO()
        image.save(target, "PNG")
        return target

    client = official(await start())
    output: Any = await client.async_run(
        DEV, {**inputs, "image": opened(sent_photo), "mask": opened(sent_mask)}
    )
    assert output[0].endswith("out-0.webp")
    files = await client.files.async_list()
    assert len(files) == 2
    assert (await client.files.async_get(files[0].id)).size == files[0].size
    assert await client.files.async_delete(files[0].id)


async def test_it_cancels(start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]) -> None:
    client = official(await start(latency=600))
    prediction: Any = await client.models.predictions.async_create(DEV, dict(inputs))
    await prediction.async_cancel()
    assert prediction.status == "canceled"
    assert (await client.predictions.async_get(prediction.id)).status == "canceled"


async def test_it_lists_page_by_page(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    client = official(await start(tiny=True))
    made = [(await client.models.predictions.async_create(DEV, dict(inputs))).id for _ in range(101)]
    first = await client.predictions.async_list()
    assert first.next is not None
    second = await client.predictions.async_list(first.next)
    assert [item.id for page in (first, second) for item in page] == made[::-1]


async def test_it_creates_by_deployment(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    client = official(await start(tiny=True))
    prediction = await client.deployments.predictions.async_create(DEV, dict(inputs))
    assert prediction.status == "starting"


async def test_it_knows_its_account(start: Start, official: Callable[..., Client]) -> None:
    account = await official(await start()).accounts.async_current()
    assert (account.type, account.username) == ("user", "local")


async def test_it_understands_refusals_and_failures(
    start: Start, official: Callable[..., Client], inputs: Mapping[str, Any]
) -> None:
    from replicate.exceptions import ModelError, ReplicateError

    provider = await start(faults=Faults([Fault("create", "fail", options={"error": "CUDA out of memory"})]))
    with pytest.raises(ModelError, match="CUDA out of memory"):
        await official(provider).async_run(DEV, dict(inputs))
    with pytest.raises(ReplicateError, match="valid authentication token"):
        await official(provider, "wrong").async_run(DEV, dict(inputs))
    with pytest.raises(ReplicateError, match="prompt is required"):
        await official(provider).async_run(DEV, {})
