"""The page's server: who is let in, what is given to them, and what they are told of changes."""

from __future__ import annotations

import io
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from batchfill.errors import UsageError
from batchfill.review import feed, live_rows
from batchfill.review.pieces import FIELDS
from batchfill.review.server import serve_review
from batchfill.workers.pool import Threads
from tests.unit.review.conftest import asking, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import ClientResponse, ClientSession

    from tests.unit.review.collection import Collection

pytestmark = pytest.mark.usefixtures("quick")


async def status(visitor: ClientSession, address: str, **options: Any) -> int:
    async with visitor.get(address, **options) as response:
        return response.status


@asynccontextmanager
async def visiting(collection: Collection) -> AsyncIterator[tuple[str, ClientSession]]:
    """Give the server's origin, and somebody who has been let in."""
    async with served(collection) as address, asking() as visitor:
        assert await status(visitor, address) == 200
        parts = urlsplit(address)
        yield f"{parts.scheme}://{parts.netloc}", visitor


async def next_event(stream: ClientResponse) -> tuple[str, Any]:
    """Return the id of the next event, and what it says."""
    event, text = "", ""
    async for line in stream.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        event = value if name == "id" else event
        text += f"{value}\n" if name == "data" else ""
        if not name and text:
            break
    return event, json.loads(text)


# Who is let in


async def test_an_address_lets_one_browser_in_once(collection: Collection) -> None:
    async with served(collection) as address, asking() as first, asking() as second:
        assert await status(first, address) == 200
        assert await status(first, address.partition("?")[0]) == 200
        assert await status(second, address) == 403


async def test_nobody_else_can_read_anything(collection: Collection) -> None:
    row = collection.add("r1")
    key = row.outputs[0].sha256
    places = ["", "batch.json", "head.json", "index.jsonl", "words.jsonl", "rows", "events", "page/main.js"]
    places += ["decisions", "nothing"]
    places += [f"{kind}/{str(key)[:32]}{end}" for kind, end in (("thumbs", ".webp"), ("files", ""))]
    async with visiting(collection) as (origin, _), asking() as stranger:
        assert [await status(stranger, f"{origin}/{place}") for place in places] == [403] * len(places)
        wrong = {"Cookie": f"batchfill-{urlsplit(origin).port}=guessed"}
        assert await status(stranger, f"{origin}/batch.json", headers=wrong) == 403


async def test_the_cookie_is_for_this_site_and_no_script(collection: Collection) -> None:
    async with served(collection) as address, asking() as visitor, visitor.get(address) as response:
        (cookie,) = response.cookies.values()
        assert (cookie["samesite"], cookie["httponly"], cookie["path"]) == ("Strict", True, "/")
        assert cookie.key == f"batchfill-{urlsplit(address).port}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:{port}",
        "localhost.evil.test:{port}",
        "127.0.0.1.evil.test:{port}",
        "127.0.0.1@evil.test:{port}",
        "evil.test@127.0.0.1:{port}",
        "192.168.1.20:{port}",
        "0.0.0.0:{port}",
        "[::]:{port}",
        "[fe80::1]:{port}",
        "::1:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "127.0.0.1:",
        "127.0.0.1:port",
        "localhost:{port}:1",
        "",
    ],
)
async def test_another_name_of_this_machine_is_refused(collection: Collection, host: str) -> None:
    async with visiting(collection) as (origin, visitor):
        port = urlsplit(origin).port
        named = {"Host": host.format(port=port)}
        assert await status(visitor, f"{origin}/batch.json", headers=named) == 403
        assert await status(visitor, f"{origin}/?key=1", headers=named) == 403


@pytest.mark.parametrize(
    "host",
    ["localhost:{port}", "LOCALHOST:{port}", "127.0.0.1:1", "localhost", "[::1]:9000", "127.8.0.1:9000"],
)
async def test_a_forwarded_port_of_this_machine_is_let_in_whatever_its_number(
    collection: Collection, host: str
) -> None:
    async with served(collection) as address, asking() as visitor:
        named = {"Host": host.format(port=urlsplit(address).port)}
        async with visitor.get(address, headers=named) as response:
            assert response.status == 200
            (cookie,) = response.cookies.values()
        # Cookies are kept by the port that the browser knows.
        _, _, port = named["Host"].rpartition(":")
        assert cookie.key == f"batchfill-{port if port.isdecimal() else 80}"
        origin, here = address.partition("/?")[0], {**named, "Cookie": f"{cookie.key}={cookie.value}"}
        assert await status(visitor, f"{origin}/head.json", headers=here) == 200
        for foreign in ("http://localhost:3000", "http://evil.test", "null", f"https://{named['Host']}"):
            async with visitor.post(
                f"{origin}/rows", json=[], headers={**here, "Origin": foreign}
            ) as refused:
                assert refused.status == 403
        own = {**here, "Origin": f"http://{named['Host']}"}
        async with visitor.post(f"{origin}/rows", json=[], headers=own) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", "http://127.0.0.1:1", "http://127.0.0.1", "http://localhost"]
)
async def test_a_page_of_another_origin_can_neither_read_nor_act(collection: Collection, origin: str) -> None:
    async with visiting(collection) as (here, visitor):
        foreign = {"Origin": origin}
        assert await status(visitor, f"{here}/batch.json", headers=foreign) == 403
        async with visitor.post(f"{here}/decisions", json=[], headers=foreign) as response:
            assert response.status == 403


async def test_whoever_acts_must_say_where_they_are(collection: Collection) -> None:
    async with (
        visiting(collection) as (here, visitor),
        visitor.post(f"{here}/decisions", json=[]) as response,
    ):
        assert response.status == 403


@pytest.mark.parametrize(("site", "page", "picture"), [("cross-site", 200, 403), ("same-site", 200, 403)])
async def test_another_page_may_lead_here_and_show_nothing_of_it(
    collection: Collection, site: str, page: int, picture: int
) -> None:
    key = str(collection.add("r1").outputs[0].sha256)[:32]
    async with visiting(collection) as (here, visitor):
        led = {"Sec-Fetch-Site": site}
        assert await status(visitor, f"{here}/", headers=led) == page
        assert await status(visitor, f"{here}/thumbs/{key}.webp", headers=led) == picture


async def test_every_answer_forbids_other_hosts(collection: Collection) -> None:
    async with visiting(collection) as (here, visitor), asking() as stranger:
        for asker, place in (
            (visitor, "/"),
            (visitor, "/page/main.js"),
            (visitor, "/nothing"),
            (stranger, "/"),
        ):
            async with asker.get(here + place) as response:
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; ")
                assert "http" not in policy
                assert "unsafe" not in policy
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_port_that_is_taken_is_named(collection: Collection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot serve on 127.0.0.1 port {port}"):
            await serve_review(collection, Threads(1), port=port, on_ready=lambda address: None)


# Pictures


async def test_a_thumbnail_is_small_upright_and_made_once(collection: Collection) -> None:
    key = str(collection.add("r1").outputs[0].sha256)[:32]
    thumb = collection.folder / "thumbs" / f"{key}-thumb.webp"
    async with visiting(collection) as (here, visitor):
        async with visitor.get(f"{here}/thumbs/{key}.webp") as response:
            picture = Image.open(io.BytesIO(await response.read()))
            assert response.headers["Content-Type"] == "image/webp"
            assert "immutable" in response.headers["Cache-Control"]
        assert (picture.format, picture.size) == ("WEBP", (320, 240))
        made = thumb.stat().st_mtime_ns
        assert await status(visitor, f"{here}/thumbs/{key}.webp") == 200
    async with visiting(collection) as (here, visitor):
        assert await status(visitor, f"{here}/thumbs/{key}.webp") == 200
    assert thumb.stat().st_mtime_ns == made


async def test_a_picture_that_is_gone_or_another_one_now_says_so(collection: Collection) -> None:
    gone, other = collection.add("r1"), collection.add("r2")
    names = [str(exhibit.outputs[0].file) for exhibit in (gone, other)]
    (collection.folder / names[0]).unlink()
    Image.new("RGB", (8, 8)).save(collection.folder / names[1])
    said = []
    async with visiting(collection) as (here, visitor):
        for exhibit in (gone, other):
            key = str(exhibit.outputs[0].sha256)[:32]
            async with visitor.get(f"{here}/views/{key}.webp") as response:
                assert response.status == 404
                said.append(await response.text())
    assert said[0] == "r1@1.png cannot be read: No such file or directory"
    assert said[1] == "r2@1.png is not the picture any more that it was in this batch"


async def test_a_file_is_given_as_it_is(collection: Collection) -> None:
    output = collection.add("r1").outputs[0]
    address = f"/files/{str(output.sha256)[:32]}"
    async with visiting(collection) as (here, visitor), visitor.get(here + address) as response:
        assert response.headers["Content-Type"] == "image/png"
        assert await response.read() == (collection.folder / str(output.file)).read_bytes()


@pytest.mark.parametrize(
    "place",
    [
        "thumbs/..%2f..%2fsecret.webp",
        "thumbs/%2e%2e%2fsecret.webp",
        "views/secret.webp",
        "files/secret.txt",
        "files/..%2fsecret.txt",
        "files/%2fetc%2fpasswd",
        "page/..%2fserver.py",
        "page/../server.py",
        "page/FORMAT.md",
        "ledger.sqlite",
    ],
)
async def test_no_path_that_a_client_names_leads_to_a_file(collection: Collection, place: str) -> None:
    collection.add("r1")
    (collection.folder / "secret.txt").write_text("secret")
    async with visiting(collection) as (here, visitor), visitor.get(f"{here}/{place}") as response:
        assert response.status == 404
        assert "secret" not in await response.text()


# The JSON and its changes


async def test_the_json_is_what_its_description_says(collection: Collection, fields: set[str]) -> None:
    collection.add("r1", outputs=2, flags=("blank",), earlier=1, error="2 of 4 pictures")
    async with visiting(collection) as (here, visitor), visitor.get(f"{here}/batch.json") as response:
        whole = await response.json()
    (row,) = whole["rows"]
    named = {*whole, *whole["counts"], *whole["cost"], *whole["course"], *whole["run_times"], *row}
    named |= {name for picture in (row["image"], *row["outputs"], *row["earlier"]) for name in picture}
    assert named - {"rows"} - {str(state) for state in whole["counts"]} <= fields
    assert row["outputs"][1]["flags"] == ["blank"]
    assert (whole["pictures"], whole["cost"]["per_picture"]) == (2, 0.04)


@pytest.fixture
def fields() -> set[str]:
    """Return every word that FORMAT.md marks as a field."""
    import re
    from importlib.resources import files

    text = files("batchfill.review").joinpath("FORMAT.md").read_text("utf-8")
    words: set[str] = set(re.findall(r"`(\w+)`", text))
    return words | {"reason"}


async def test_what_changes_is_sent_and_nothing_else(collection: Collection) -> None:
    for id_ in ("r1", "r2", "r3"):
        collection.add(id_, state="running")
    async with visiting(collection) as (here, visitor):
        async with visitor.get(f"{here}/batch.json") as response:
            edition = (await response.json())["edition"]
        async with visitor.get(f"{here}/events?since={edition}") as stream:
            collection.add("r2")
            event, said = await next_event(stream)
            assert [(row["id"], row["state"]) for row in said["rows"]] == [("r2", "done")]
            assert (said["counts"]["done"], said["gone"], str(said["edition"])) == (1, [], event)
            collection.remove("r3")
            last, said = await next_event(stream)
            assert (said["rows"], said["gone"]) == ([], ["r3"])
            assert int(last) > int(event)


async def test_a_page_that_comes_back_is_told_what_it_missed(collection: Collection) -> None:
    for id_ in ("r1", "r2"):
        collection.add(id_, state="running")
    async with visiting(collection) as (here, visitor):
        async with visitor.get(f"{here}/events") as stream:
            event, said = await next_event(stream)
            assert len(said["rows"]) == 2
        collection.add("r1")
        async with visitor.get(f"{here}/events?since=0", headers={"Last-Event-ID": event}) as stream:
            _, said = await next_event(stream)
            assert [row["id"] for row in said["rows"]] == ["r1"]


async def lines_of(visitor: ClientSession, address: str) -> list[Any]:
    async with visitor.get(address) as response:
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_the_page_reads_a_line_of_each_row_and_whole_rows_by_their_ids(collection: Collection) -> None:
    collection.add("r1", flags=("drift", "blank"), decision="approved")
    collection.add("r2", state="failed", error="NSFW content detected")
    async with visiting(collection) as (here, visitor):
        async with visitor.get(f"{here}/head.json") as response:
            head = await response.json()
        async with visitor.get(f"{here}/batch.json?page={head['page']}") as response:
            whole = await response.json()
        rows = whole.pop("rows")
        port = urlsplit(here).port
        assert head == {**whole, "fields": FIELDS, "starts": False, "again": f"--port {port}"}
        (entries,) = await lines_of(visitor, f"{here}/index.jsonl")
        first, second = (dict(zip(FIELDS, entry, strict=False)) for entry in entries)
        assert {name: first[name] for name in FIELDS[:-1]} == {
            name: rows[0].get(name) for name in FIELDS[:-1]
        }
        assert (first["flags"], "flags" in second) == (["blank", "drift"], False)
        assert await lines_of(visitor, f"{here}/words.jsonl") == [
            {id_: {"prompt": f"picture of {id_}", "seed": 41} for id_ in ("r1", "r2")}
        ]
        headers = {"Origin": here}
        for ids, told in (["r2"], rows[1:]), (["gone", "r1"], rows[:1]), ([], []):
            async with visitor.post(f"{here}/rows", json=ids, headers=headers) as response:
                assert await response.json() == told


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[1]", b'"r1"', json.dumps(["r"] * 1001).encode()])
async def test_rows_are_asked_for_by_a_list_of_ids(collection: Collection, body: bytes) -> None:
    async with (
        visiting(collection) as (here, visitor),
        visitor.post(f"{here}/rows", data=body, headers={"Origin": here}) as response,
    ):
        assert response.status == 400


async def test_rows_are_read_behind_the_first_page_and_told_of_briefly_where_they_are_many(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (live_rows, feed):
        monkeypatch.setattr(module, "MOST_AT_ONCE", 10)
    for n in range(35):
        collection.add(f"r{n}")
    async with visiting(collection) as (here, visitor):
        known: dict[str, str] = {}
        async with visitor.get(f"{here}/events?since=0") as stream:
            while len(known) < 35:
                _, said = await next_event(stream)
                assert len(said["rows"]) <= 10
                known |= {row["id"]: row["state"] for row in said["rows"]}
                known |= {entry[0]: entry[2] for entry in said.get("brief", [])}
            assert set(known.values()) == {"done"}
            for n in range(35):
                collection.add(f"r{n}", state="failed")
            while set(known.values()) != {"failed"}:
                _, said = await next_event(stream)
                known |= {row["id"]: row["state"] for row in said["rows"]}
                known |= {entry[0]: entry[2] for entry in said.get("brief", [])}
        async with visitor.get(f"{here}/batch.json") as response:
            assert [row["id"] for row in (await response.json())["rows"]] == [f"r{n}" for n in range(35)]


async def test_a_picture_costs_what_is_known_only_when_every_row_was_counted(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_rows, "MOST_AT_ONCE", 10)
    for n in range(35):
        collection.add(f"r{n}")
    known: list[tuple[int | None, float | None]] = []
    async with visiting(collection) as (here, visitor), visitor.get(f"{here}/events?since=0") as stream:
        while not known or known[-1][0] is None:
            _, said = await next_event(stream)
            known.append((said["pictures"], said["cost"]["per_picture"]))
    assert set(known) <= {(None, None), (35, 0.04)}


async def test_the_page_is_told_when_a_run_begins_and_ends(collection: Collection) -> None:
    collection.add("r1")
    async with visiting(collection) as (here, visitor), visitor.get(f"{here}/events?since=1") as stream:
        collection.running = True
        assert (await next_event(stream))[1]["running"] is True
        collection.running = False
        assert (await next_event(stream))[1]["running"] is False


async def test_a_browser_is_led_by_a_file_that_only_its_owner_can_read(
    collection: Collection, tmp_path: Path
) -> None:
    import anyio

    opened: list[str] = []
    ready = anyio.Event()

    def browse(address: str) -> None:
        opened.append(address)
        anyio.from_thread.run_sync(ready.set)

    step = collection.folder / "review.html"
    async with anyio.create_task_group() as tasks, asking() as visitor:
        printed: list[str] = []
        tasks.start_soon(lambda: serve_review(collection, Threads(1), on_ready=printed.append, browse=browse))
        await ready.wait()
        assert opened == [step.resolve().as_uri()]
        assert step.stat().st_mode & 0o777 == 0o600
        address = step.read_text().partition("url=")[2].partition('"')[0]
        assert address != printed[0]
        assert await status(visitor, address) == 200
        tasks.cancel_scope.cancel()
    assert not step.exists()
