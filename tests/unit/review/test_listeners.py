"""Where the page is served: this machine always, and another device at an address that is asked for."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import pytest

from batchfill.errors import UsageError, unwrap_single
from batchfill.review.listeners import open_listeners
from batchfill.review.runs import PageRuns
from batchfill.review.server import serve_review
from batchfill.workers.pool import Threads
from tests.unit.review.conftest import asking

if TYPE_CHECKING:
    from tests.unit.review.collection import Collection

pytestmark = pytest.mark.usefixtures("quick")


def own_address() -> str:
    """Return an address that this machine has in a network; a test is left out where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            # Nothing is sent: the system says from where it would be.
            asking.connect(("10.255.255.255", 9))
            found = asking.getsockname()[0]
        except OSError:
            found = "127.0.0.1"
    if found.startswith("127."):
        pytest.skip("this machine is in no network")
    return str(found)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("0.0.0.0", "every address at once"),
        ("::", "every address at once"),
        ("127.0.0.1", "served anyway"),
        ("::1", "served anyway"),
        ("8.8.8.8", "the open internet"),
        ("2606:4700::1", "the open internet"),
        ("224.0.0.1", "the open internet"),
        ("studio.example.com", "no IP address"),
        ("localhost", "no IP address"),
        ("192.168.1", "no IP address"),
        ("192.168.1.20:8800", "no IP address"),
        ("http://192.168.1.20", "no IP address"),
        ("", "no IP address"),
        ("9" * 1000, "no IP address"),
        ("192.0.2.77", "no such address"),
        ("fd00::77", "no such address"),
    ],
)
def test_what_is_no_address_for_another_device_is_refused_with_a_way_out(host: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused, open_listeners(0, host):
        pass
    assert "such as 192.168.1.20" in str(refused.value)
    assert len(str(refused.value)) < 250


async def test_another_device_decides_with_a_key_of_its_own_and_starts_no_run(collection: Collection) -> None:
    host = own_address()
    collection.add("r1")
    addresses: list[str] = []
    ready = anyio.Event()

    def welcome(address: str) -> None:
        addresses.append(address)
        if len(addresses) == 2:
            ready.set()

    async def serve() -> None:
        await serve_review(
            collection, Threads(1), host=host, runs=PageRuns(["no"], {}), on_ready=welcome, on_shared=welcome
        )

    with unwrap_single():
        async with anyio.create_task_group() as tasks, asking() as own, asking() as other:
            tasks.start_soon(serve)
            await ready.wait()
            here, there = (address.partition("/?")[0] for address in addresses)
            assert [urlsplit(address).hostname for address in addresses] == ["127.0.0.1", host]
            assert urlsplit(here).port == urlsplit(there).port
            # Neither key opens the other door.
            swapped = [
                f"{here}/?{addresses[1].partition('?')[2]}",
                f"{there}/?{addresses[0].partition('?')[2]}",
            ]
            for visitor, address in zip((own, other), swapped, strict=True):
                async with visitor.get(address) as refused:
                    assert refused.status == 403
            heads = []
            for visitor, address, origin in ((own, addresses[0], here), (other, addresses[1], there)):
                async with visitor.get(address) as page:
                    assert page.status == 200
                async with visitor.get(f"{origin}/head.json") as response:
                    heads.append(await response.json())
            port = urlsplit(here).port
            assert [head["starts"] for head in heads] == [True, False]
            assert [head["again"] for head in heads] == [f"--port {port}", f"--port {port} --host {host}"]
            for place in ("plan", "runs"):
                async with other.post(f"{there}/{place}", json={}, headers={"Origin": there}) as refused:
                    assert refused.status == 404
            said = {"page": heads[1]["page"], "first": 1}
            decision = {"prediction_id": "p-r1", "decision": "approved"}
            async with other.post(
                f"{there}/decisions", json={**said, "decisions": [decision]}, headers={"Origin": there}
            ) as response:
                assert response.status == 200
            # A name of this machine is none of that address, and the other way round.
            for origin, name in ((there, "localhost"), (there, "127.0.0.1"), (here, host)):
                async with other.get(f"{origin}/head.json", headers={"Host": f"{name}:{port}"}) as refused:
                    assert refused.status == 403
            tasks.cancel_scope.cancel()
    assert collection.rulings[0].decision == "approved"
