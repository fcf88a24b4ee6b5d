from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from batchfill.providers.wire.resolver import DaemonResolver


async def test_a_name_is_looked_up() -> None:
    (found, *_) = await DaemonResolver().resolve("localhost", 80)
    assert (found["hostname"], found["host"], found["port"]) == ("localhost", "127.0.0.1", 80)


async def test_a_name_that_is_not_known_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="not known"):
        await DaemonResolver().resolve("nowhere.test", 80)


def test_the_end_does_not_wait_for_a_name_server_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, over, left = threading.Event(), threading.Event(), threading.Event()

    def hang(*_: object) -> list[object]:
        begun.set()
        over.wait(60)
        left.set()
        return []

    async def ask() -> None:
        looking = asyncio.ensure_future(DaemonResolver().resolve("hook.test", 80))
        await asyncio.to_thread(begun.wait, 60)
        looking.cancel()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    asyncio.run(ask())
    assert not left.is_set()
    over.set()
    assert left.wait(60)
