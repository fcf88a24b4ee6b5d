from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.builtin import find_model, model_names
from batchfill.catalog.openapi import from_schema
from batchfill.emulator import emulator_pagination
from batchfill.emulator.dialects.dialect import Dialect
from batchfill.emulator.emulator_predictions import KEY_LIFETIME
from batchfill.emulator.quirks import Quirks
from tests.support.models import DEV, PRO

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import Any

    from batchfill.emulator.emulator_server import EmulatorServer

    Connect = Callable[[EmulatorServer], Any]
    Start = Callable[..., Awaitable[EmulatorServer]]


async def test_a_create_is_answered_as_the_service_answers(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(latency=60)
    answer = await connect(provider).create(inputs)
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) >= {
        "id",
        "model",
        "version",
        "input",
        "logs",
        "output",
        "data_removed",
        "error",
        "status",
        "created_at",
        "urls",
    }
    assert body["status"] == "starting"
    assert (body["model"], body["version"], body["output"], body["error"]) == (DEV, "hidden", None, None)
    assert body["urls"]["get"] == f"{provider.base}/predictions/{body['id']}"
    assert body["created_at"].endswith("Z")
    assert body["input"]["prompt"] == "a spaceship"
    assert "Date" in answer.headers


async def test_a_prediction_ends_with_outputs_that_anybody_may_fetch(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start())
    body = await client.made({**inputs, "num_outputs": 2})
    assert body["status"] == "succeeded"
    assert body["logs"].startswith("Using seed: 7\n")
    assert body["metrics"]["total_time"] >= body["metrics"]["predict_time"] > 0
    assert [url.rpartition("/")[2] for url in body["output"]] == ["out-0.webp", "out-1.webp"]
    answers = [await client.fetch(url) for url in body["output"]]
    assert [answer.headers["Content-Type"] for answer in answers] == ["image/webp"] * 2
    assert answers[0].content != answers[1].content
    assert not body["output"][0].startswith(client.provider.base.removesuffix("/v1"))


async def test_all_three_forms_of_create_make_a_prediction(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True)
    client = connect(provider)
    model = (await client.http.get(f"/models/{DEV}")).json()
    for version in (model["latest_version"]["id"], DEV, f"{DEV}:{model['latest_version']['id']}"):
        assert (await client.create(inputs, "/predictions", version=version)).status_code == 201
    deployed = await client.create(inputs, f"/deployments/{DEV}/predictions")
    assert deployed.json()["deployment"] == DEV
    assert provider.billed == 4


async def test_flux_fill_pro_gives_one_string(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start())
    asked = {name: value for name, value in inputs.items() if name != "megapixels"} | {
        "outpaint": "Zoom out 2x"
    }
    answer = await client.create(asked, f"/models/{PRO}/predictions", headers={"Prefer": "wait"})
    assert answer.json()["output"].endswith("out-0.jpg")


async def test_a_wait_that_is_too_short_is_answered_202_and_starting(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(latency=60))
    answer = await client.create(inputs, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")
    assert answer.headers["Preference-Applied"] == "wait"


async def test_a_canceled_prediction_stays_canceled(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(latency=60)
    client = connect(provider)
    id_ = (await client.create(inputs)).json()["id"]
    for _ in range(2):
        answer = await client.http.post(f"/predictions/{id_}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert (await client.get(id_))["status"] == "canceled"
    assert provider.billed == 1


async def test_cancel_after_is_told_as_the_deadline(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(latency=60))
    for header, status in [("30", 201), ("5m", 201), ("1h30m", 201), ("4", 422), ("25h", 422), ("soon", 422)]:
        answer = await client.create(inputs, headers={"Cancel-After": header})
        assert answer.status_code == status, header
        assert ("deadline" in answer.json()) == (status == 201)


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc"])
async def test_nobody_gets_in_without_the_token(start: Start, connect: Connect, header: str | None) -> None:
    client = connect(await start())
    del client.http.headers["Authorization"]
    headers = {"Authorization": header} if header else {}
    for path in ("/account", "/predictions", "/predictions/abc", f"/models/{DEV}", "/nowhere"):
        answer = await client.http.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert answer.json() == {
            "title": "Unauthenticated",
            "detail": "You did not pass a valid authentication token",
            "status": 401,
        }


async def test_what_does_not_exist_is_404_and_a_wrong_method_405(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start())
    for path in ("/predictions/abc", "/models/nobody/nothing", "/files/abc", "/nowhere"):
        answer = await client.http.get(path)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert (await client.create(inputs, "/models/nobody/nothing/predictions")).status_code == 404
    assert (await client.http.put("/predictions")).status_code == 405


@pytest.mark.parametrize(
    ("change", "field", "kind"),
    [
        ({"prompt": None}, "input", "required"),
        ({"guidance": 1000}, "input.guidance", "number_lte"),
        ({"guidance": -1}, "input.guidance", "number_gte"),
        ({"output_format": "jepg"}, "input.output_format", "enum"),
        ({"num_outputs": "2"}, "input.num_outputs", "invalid_type"),
        ({"num_outputs": 1.5}, "input.num_outputs", "invalid_type"),
        ({"disable_safety_checker": 1}, "input.disable_safety_checker", "invalid_type"),
        ({"megapixels": 1}, "input.megapixels", "invalid_type"),
        ({"image": "hero.png"}, "input.image", "format"),
        ({"mask": "data:image/png;base64,###"}, "input.mask", "format"),
    ],
)
async def test_wrong_inputs_are_named_and_nothing_is_made(
    start: Start, connect: Connect, inputs: Mapping[str, Any], change: dict[str, Any], field: str, kind: str
) -> None:
    provider = await start()
    answer = await connect(provider).create({**inputs, **change})
    body = answer.json()
    assert (answer.status_code, body["title"]) == (422, "Input validation failed")
    assert [(fault["field"], fault["type"]) for fault in body["invalid_fields"]] == [(field, kind)]
    assert body["detail"].startswith(f"- {field}: ")
    assert (provider.billed, provider.creates_seen) == (0, 1)


async def test_unknown_inputs_are_ignored_and_whole_floats_are_integers(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(tiny=True))
    assert (await client.create({**inputs, "colour": "red", "num_outputs": 2.0})).status_code == 201


async def test_a_body_that_is_no_create_is_refused(start: Start, connect: Connect) -> None:
    client = connect(await start())
    path = f"/models/{DEV}/predictions"
    for content, status in [(b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"input": 3}', 422)]:
        assert (await client.http.post(path, content=content)).status_code == status
    for version in ("nothing", 3):
        assert (await client.create({}, "/predictions", version=version)).status_code == 422


async def test_the_list_has_pages_newest_first_in_both_directions(
    start: Start, connect: Connect, inputs: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert emulator_pagination.PAGE == 100
    monkeypatch.setattr(emulator_pagination, "PAGE", 10)
    client = connect(await start(tiny=True))
    made = [(await client.create(inputs)).json()["id"] for _ in range(25)]
    pages = [(await client.http.get("/predictions")).json()]
    while pages[-1]["next"]:
        pages.append((await client.http.get(pages[-1]["next"])).json())
    assert [len(page["results"]) for page in pages] == [10, 10, 5]
    assert [id_ for page in pages for id_ in _ids(page)] == made[::-1]
    assert pages[0]["previous"] is None
    for older, newer in ((2, 1), (1, 0)):
        back = (await client.http.get(pages[older]["previous"])).json()
        assert _ids(back) == _ids(pages[newer])


async def test_the_list_keeps_to_its_window_across_pages(
    start: Start, connect: Connect, inputs: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator_pagination, "PAGE", 10)
    provider = await start(tiny=True)
    client = connect(provider)
    for skew in (0, 1000, 2000):
        provider.faults.clock_skew = skew
        for _ in range(12):
            await client.create(inputs)
    middle = provider.predictions()[12:24]
    window = {"created_after": _told(client, middle[0]), "created_before": "2999-01-01T00:00:00+00:00"}
    first = (await client.http.get("/predictions", params=window)).json()
    ids = _ids(first)
    while first["next"]:
        first = (await client.http.get(first["next"])).json()
        ids += _ids(first)
    assert ids == [record.id for record in provider.predictions()[:11:-1]]
    closed = {
        "created_after": _told(client, middle[0]),
        "created_before": _told(client, provider.predictions()[24]),
    }
    page = (await client.http.get("/predictions", params=closed)).json()
    assert _ids(page) == [record.id for record in middle[:1:-1]]


def _ids(page: dict[str, Any]) -> list[str]:
    return [item["id"] for item in page["results"]]


def _told(client: Any, record: Any) -> str:
    return str(client.provider._context.show(record)["created_at"])


async def test_a_wrong_window_or_cursor_is_refused(start: Start, connect: Connect) -> None:
    client = connect(await start())
    for query in ({"created_after": "yesterday"}, {"cursor": "abc"}, {"cursor": "eyJhIjoxfQ=="}):
        assert (await client.http.get("/predictions", params=query)).status_code == 400


async def test_listed_items_carry_what_recovery_needs(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start())
    made = await client.made(inputs)
    (item,) = (await client.http.get("/predictions")).json()["results"]
    assert item == await client.get(made["id"])
    assert (item["input"]["seed"], item["status"]) == (7, "succeeded")
    assert len(json.dumps(item)) < 2500, "data URLs are not echoed"


async def test_a_rate_is_enforced_and_told(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    provider = await start(tiny=True, rate=1, burst=2)
    client = connect(provider)
    answers = [await client.create(inputs) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].headers["Retry-After"] == "60"
    assert answers[2].json()["retry_after"] == 60
    assert "resets in ~60s" in answers[2].json()["detail"]
    assert provider.billed == 2


async def test_a_gateway_offers_less(start: Start, connect: Connect, inputs: Mapping[str, Any]) -> None:
    for status in (404, 405):
        quirks = Quirks(offers=frozenset(), not_offered=status, create_status=200)
        client = connect(await start(str(status), tiny=True, quirks=quirks))
        made = await client.create(inputs)
        assert made.status_code == 200
        assert (await client.get(made.json()["id"]))["id"] == made.json()["id"]
        for path in ("/predictions", "/files", "/account", f"/models/{DEV}"):
            assert (await client.http.get(path)).status_code == status
        assert (await client.http.post(f"/predictions/{made.json()['id']}/cancel")).status_code == status


async def test_a_gateway_passes_on_foreign_addresses_and_renames(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    quirks = Quirks(foreign_urls=True, failed_only=True, error_objects=True)
    client = connect(await start(quirks=quirks, latency=60))
    made = [(await client.create(inputs)).json() for _ in range(101)]
    assert made[0]["urls"]["get"] == f"https://api.replicate.com/v1/predictions/{made[0]['id']}"
    page = (await client.http.get("/predictions")).json()
    assert page["next"].startswith("https://api.replicate.com/v1/predictions?cursor=")
    canceled = await client.http.post(f"/predictions/{made[0]['id']}/cancel")
    assert canceled.json()["status"] == "failed"


async def test_outputs_may_come_as_data_urls(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    client = connect(await start(quirks=Quirks(inline_outputs=True)))
    body = await client.made(inputs)
    assert body["output"][0].startswith("data:image/webp;base64,")


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


@pytest.mark.parametrize("name", model_names())
async def test_a_model_is_published_as_the_catalog_describes_it(
    start: Start, connect: Connect, tmp_path: Path, name: str
) -> None:
    client = connect(await start())
    body = (await client.http.get(f"/models/{name}")).json()
    path = tmp_path / "model.json"
    path.write_text(json.dumps(body))
    known = find_model(name)
    assert known is not None
    assert from_schema(name, path) == replace(known, outputs_field=known.outputs_field)


async def test_the_version_of_a_model_can_be_asked_for(start: Start, connect: Connect) -> None:
    client = connect(await start())
    for name in model_names():
        latest = (await client.http.get(f"/models/{name}")).json()["latest_version"]
        assert (await client.http.get(f"/models/{name}/versions/{latest['id']}")).json() == latest
        assert (await client.http.get(f"/models/{name}/versions")).json()["results"] == [latest]
        assert (await client.http.get(f"/models/{name}/versions/abc")).status_code == 404


KEYED = Quirks(dialect=Dialect(keys="honoured"))


@pytest.mark.parametrize(("quirks", "made"), [(Quirks(), 2), (KEYED, 1)], ids=["ignored", "honoured"])
async def test_a_create_with_a_known_key_makes_nothing_new_where_keys_are_honoured(
    start: Start, connect: Connect, inputs: Mapping[str, Any], quirks: Quirks, made: int
) -> None:
    provider = await start(tiny=True, quirks=quirks)
    headers = {"Idempotency-Key": "6f7c"}
    asked = [await connect(provider).create(inputs, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in asked] == [201, 201]
    assert (provider.billed, len({answer.json()["id"] for answer in asked})) == (made, made)


async def test_a_key_stands_for_one_create_and_is_known_after_a_restart(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True, quirks=KEYED)
    client = connect(provider)
    first = await client.create(inputs, headers={"Idempotency-Key": "6f7c"})
    other = await client.create({**inputs, "prompt": "another"}, headers={"Idempotency-Key": "6f7c"})
    assert (other.status_code, provider.billed) == (422, 1)
    await client.create(inputs, headers={"Idempotency-Key": "another"})
    await client.create(inputs)
    assert provider.billed == 3
    await provider.stop()
    again = await start(tiny=True, quirks=KEYED)
    known = await connect(again).create(inputs, headers={"Idempotency-Key": "6f7c"})
    assert (known.json()["id"], again.billed) == (first.json()["id"], 3)


async def test_a_key_is_forgotten_after_a_day(
    start: Start, connect: Connect, inputs: Mapping[str, Any]
) -> None:
    provider = await start(tiny=True, quirks=KEYED)
    client = connect(provider)
    await client.create(inputs, headers={"Idempotency-Key": "6f7c"})
    provider.faults.clock_skew = KEY_LIFETIME + 1
    await client.create(inputs, headers={"Idempotency-Key": "6f7c"})
    assert provider.billed == 2
