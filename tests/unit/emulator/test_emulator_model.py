from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import httpx

    from batchfill.emulator.emulator_server import EmulatorServer

    Start = Callable[..., Awaitable[EmulatorServer]]
    Connect = Callable[[EmulatorServer], Any]


async def picture(client: Any, url: str) -> Image.Image:
    return Image.open(io.BytesIO((await client.fetch(url)).content))


async def test_white_is_filled_and_black_is_kept(
    start: Start, connect: Connect, inputs: Mapping[str, Any], sent_photo: Image.Image, sent_mask: Image.Image
) -> None:
    client = connect(await start())
    body = await client.made({**inputs, "output_format": "png"})
    made = await picture(client, body["output"][0])
    scaled = sent_photo.resize(made.size, Image.Resampling.LANCZOS)
    hole = np.asarray(sent_mask.resize(made.size, Image.Resampling.BILINEAR))
    assert np.array_equal(np.asarray(made)[hole == 0], np.asarray(scaled)[hole == 0])
    assert not np.array_equal(np.asarray(made)[hole == 255], np.asarray(scaled)[hole == 255])


@pytest.mark.parametrize(
    ("change", "kind", "size"),
    [
        ({}, "WEBP", (608, 416)),
        ({"megapixels": "1"}, "WEBP", (1248, 832)),
        ({"megapixels": "match_input", "output_format": "jpg"}, "JPEG", (96, 64)),
        ({"megapixels": "match_input", "output_format": "png"}, "PNG", (96, 64)),
    ],
)
async def test_size_and_format_are_obeyed(
    start: Start,
    connect: Connect,
    inputs: Mapping[str, Any],
    change: dict[str, Any],
    kind: str,
    size: tuple[int, int],
) -> None:
    client = connect(await start())
    made = await picture(client, (await client.made({**inputs, **change}))["output"][0])
    assert (made.format, made.size) == (kind, size)


async def test_the_seed_decides_the_fill(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    client = connect(await start())

    async def contents(seed: int, count: int = 1) -> list[bytes]:
        body = await client.made({**inputs, "seed": seed, "num_outputs": count, "megapixels": "match_input"})
        return [(await client.fetch(url)).content for url in body["output"]]

    assert await contents(7) == await contents(7)
    assert await contents(7) != await contents(8)
    first, second = await contents(7, 2)
    assert [first] == await contents(7)
    assert [second] == await contents(8)


async def test_a_missing_seed_and_0_are_random_of_16_bits(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(tiny=True))
    for asked in ({**inputs, "seed": 0}, {name: inputs[name] for name in ("image", "mask", "prompt")}):
        seeds = {(await client.made(asked))["logs"].splitlines()[0] for _ in range(4)}
        assert len(seeds) > 1
        assert all(0 <= int(line.removeprefix("Using seed: ")) < 2**16 for line in seeds)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"image": "https://example.com/i.png"}, "failed to download https://example.com/i.png"),
        ({"image": "http://127.0.0.1:9/i.png"}, "failed to download http://127.0.0.1:9/i.png"),
        ({"image": "data:text/plain,hello"}, "cannot identify image file: image is text"),
        ({"mask": None}, "TypeError: mask is missing"),
    ],
)
async def test_what_cannot_be_read_fails_the_prediction_after_it_was_accepted(
    start: Start, connect: Connect, inputs: Mapping[str, Any], change: dict[str, Any], error: str
) -> None:
    client = connect(await start())
    body = await client.made({**inputs, **change})
    assert (body["status"], body["output"]) == ("failed", None)
    assert body["error"].startswith(error)


async def test_uploads_and_own_outputs_can_be_inputs(
    start: Start, connect: Connect, inputs: Mapping[str, Any], sent_photo: Image.Image
) -> None:
    client = connect(await start())
    target = io.BytesIO()
    sent_photo.save(target, "JPEG")
    upload = await client.http.post("/files", files={"content": ("i.jpg", target.getvalue(), "image/jpeg")})
    body = await client.made({**inputs, "image": upload.json()["urls"]["get"]})
    assert body["status"] == "succeeded"
    again = await client.made({**inputs, "image": body["output"][0]})
    assert again["status"] == "succeeded"


async def test_an_upload_of_somebody_unknown_is_a_dead_url(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start())
    url = f"{client.provider.base}/files/nobody"
    assert "404, no such file" in (await client.made({**inputs, "image": url}))["error"]


async def test_tiny_costs_nothing_and_reads_nothing(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(tiny=True))
    body = await client.made({**inputs, "image": "https://example.com/none.png", "num_outputs": 4})
    answers: list[httpx.Response] = [await client.fetch(url) for url in body["output"]]
    assert len(answers) == 4
    tiny = Image.open(io.BytesIO(answers[0].content))
    tiny.load()
    assert (tiny.format, tiny.size) == ("WEBP", (1, 1))
