from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.catalog import find, from_schema, shipped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from batchfill.local import Provider

    Start = Callable[..., Awaitable[Provider]]
    Connect = Callable[[Provider], Any]


async def test_an_upload_is_told_as_the_service_tells_it(start: Start, connect: Connect) -> None:
    client = connect(await start())
    answer = await client.http.post(
        "/files",
        files={"content": ("mask.png", b"abc", "image/png")},
        data={"metadata": json.dumps({"row": "hero"})},
    )
    body = answer.json()
    assert answer.status_code == 201
    assert (body["name"], body["content_type"], body["size"]) == ("mask.png", "image/png", 3)
    assert body["metadata"] == {"row": "hero"}
    assert body["etag"] == body["checksums"]["md5"] == "900150983cd24fb0d6963f7d28e17f72"
    assert body["urls"] == {"get": f"{client.provider.base}/files/{body['id']}"}
    assert (await client.http.get(f"/files/{body['id']}")).json() == body
    assert (await client.http.get("/files")).json()["results"] == [body]


async def test_a_deleted_file_is_gone(start: Start, connect: Connect) -> None:
    client = connect(await start())
    id_ = (await client.http.post("/files", files={"content": b"abc"})).json()["id"]
    assert (await client.http.delete(f"/files/{id_}")).status_code == 204
    assert (await client.http.get(f"/files/{id_}")).status_code == 404
    assert (await client.http.delete(f"/files/{id_}")).status_code == 404


async def test_files_survive_a_restart_and_last_a_day(start: Start, connect: Connect) -> None:
    provider = await start()
    client = connect(provider)
    body = (await client.http.post("/files", files={"content": b"abc"})).json()
    await provider.stop()
    later = await start()
    again = connect(later)
    assert (await again.http.get(f"/files/{body['id']}")).json()["checksums"] == body["checksums"]
    later.faults.clock_skew = 25 * 3600
    assert (await again.http.get(f"/files/{body['id']}")).status_code == 404


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b"abc"},
        {"files": {"other": b"abc"}},
        {"files": {"content": b"abc"}, "data": {"metadata": "{"}},
        {"files": {"content": b"abc"}, "data": {"metadata": "[1]"}},
    ],
)
async def test_an_upload_without_content_or_with_wrong_metadata_is_refused(
    start: Start, connect: Connect, request_: dict[str, Any]
) -> None:
    client = connect(await start())
    assert (await client.http.post("/files", **request_)).status_code == 400


async def test_the_account_has_a_name(start: Start, connect: Connect) -> None:
    client = connect(await start(account="acme"))
    body = (await client.http.get("/account")).json()
    assert (body["type"], body["username"]) == ("user", "acme")


@pytest.mark.parametrize("name", shipped())
async def test_a_model_is_published_as_the_catalog_describes_it(
    start: Start, connect: Connect, tmp_path: Path, name: str
) -> None:
    client = connect(await start())
    body = (await client.http.get(f"/models/{name}")).json()
    path = tmp_path / "model.json"
    path.write_text(json.dumps(body))
    known = find(name)
    assert known is not None
    assert from_schema(name, path) == replace(known, outputs_field=known.outputs_field)


async def test_the_version_of_a_model_can_be_asked_for(start: Start, connect: Connect) -> None:
    client = connect(await start())
    for name in shipped():
        latest = (await client.http.get(f"/models/{name}")).json()["latest_version"]
        assert (await client.http.get(f"/models/{name}/versions/{latest['id']}")).json() == latest
        assert (await client.http.get(f"/models/{name}/versions")).json()["results"] == [latest]
        assert (await client.http.get(f"/models/{name}/versions/abc")).status_code == 404
