"""Providers on loopback, clients that talk to them, and a picture with its mask."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from batchfill.emulator.emulator_server import EmulatorServer
from tests.support.bounds import HANGS
from tests.support.models import DEV
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path


@pytest.fixture
def sent_photo() -> Image.Image:
    across = np.linspace(0, 255, 96)[None, :].repeat(64, axis=0)
    pixels = np.stack([across, across[:, ::-1], np.full_like(across, 90)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def sent_mask() -> Image.Image:
    image = Image.new("L", (96, 64), 0)
    ImageDraw.Draw(image).rectangle((32, 16, 64, 48), fill=255)
    return image


@pytest.fixture
def data_url() -> Callable[[Image.Image], str]:
    def encode(image: Image.Image) -> str:
        target = io.BytesIO()
        image.save(target, "PNG")
        return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()

    return encode


@pytest.fixture
def inputs(
    sent_photo: Image.Image, sent_mask: Image.Image, data_url: Callable[[Image.Image], str]
) -> dict[str, Any]:
    """What a create sends: small, so that it is painted in no time."""
    return {
        "image": data_url(sent_photo),
        "mask": data_url(sent_mask),
        "prompt": "a spaceship",
        "seed": 7,
        "megapixels": "0.25",
    }


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[EmulatorServer]]]:
    """Start a provider on the test's folder, which wants TOKEN unless told otherwise."""
    started: list[EmulatorServer] = []

    async def begin(folder: str = "provider", **options: Any) -> EmulatorServer:
        provider = EmulatorServer(tmp_path / folder, **({"token": TOKEN} | options))
        started.append(provider)
        await provider.start()
        return provider

    yield begin
    for provider in started:
        await provider.stop()


class Client:
    """A plain client of one provider."""

    def __init__(self, provider: EmulatorServer, http: httpx.AsyncClient) -> None:
        self.provider = provider
        self.http = http

    async def create(
        self, inputs: Mapping[str, Any], path: str = f"/models/{DEV}/predictions", **more: Any
    ) -> httpx.Response:
        headers = more.pop("headers", {})
        return await self.http.post(path, json={"input": dict(inputs), **more}, headers=headers)

    async def made(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Create a prediction and return it when it has ended."""
        answer = await self.create(inputs, headers={"Prefer": "wait"})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def get(self, id_: str) -> dict[str, Any]:
        answer = await self.http.get(f"/predictions/{id_}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def fetch(self, url: str) -> httpx.Response:
        """Get an output, without any token."""
        async with httpx.AsyncClient(timeout=HANGS) as stranger:
            return await stranger.get(url)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[EmulatorServer], Client]]:
    opened: list[httpx.AsyncClient] = []

    def begin(provider: EmulatorServer) -> Client:
        http = httpx.AsyncClient(
            base_url=provider.base, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=HANGS
        )
        opened.append(http)
        return Client(provider, http)

    yield begin
    for http in opened:
        await http.aclose()
