"""Notifications by way of Apprise: told once, in time, and without a word of the address."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from apprise import decorators

from batchfill.domain.progress import Notification, NotificationKind
from batchfill.domain.reports import Cost
from batchfill.domain.rows import RowState
from batchfill.errors import NotifyError, UsageError
from batchfill.notify import service_receiver
from batchfill.notify.service_receiver import ServiceReceiver
from tests.support.wire import Peer, answer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    Listen = Callable[..., Awaitable[Peer]]

COUNTS = dict.fromkeys(RowState, 0) | {RowState.DONE: 3}
NEWS = Notification(NotificationKind.ENDED, "night.csv", COUNTS, Cost(120_000, 0, 0, None), 8.0)
TOLD: list[tuple[str, str]] = []
GOES_ON = threading.Event()


@pytest.fixture(autouse=True, scope="module")
def _pigeon() -> None:
    """Let Apprise know a service more, once it knows its own."""
    assert service_receiver._instantiate("json://localhost")
    notify: Any = decorators.notify
    notify(on="pigeon")(tell_pigeon)


def tell_pigeon(body: str, title: str, notify_type: Any, meta: Any, *args: Any, **more: Any) -> bool:
    """Stand in for a service: what its address says decides what becomes of a message."""
    fate = meta["host"]
    if fate == "hangs":
        # Its caller has gone: another test may be looking at TOLD by now.
        GOES_ON.wait(60)
        return False
    TOLD.append((title, body))
    return bool(fate != "refuses")


async def test_a_service_gets_a_title_and_a_line() -> None:
    TOLD.clear()
    await ServiceReceiver("pigeon://home/SECRET").post(NEWS)
    assert TOLD == [("night.csv ended", "3 of 3 done · 0.12 USD · 8 s")]


async def test_a_service_of_the_web_is_told_over_its_own_protocol(listen: Listen) -> None:
    async def take(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer())

    peer = await listen(take)
    await ServiceReceiver(f"json://{peer.url.removeprefix('http://')}/SECRET").post(NEWS)
    assert peer.connections == 1


async def refusal(receiver: ServiceReceiver) -> str:
    with pytest.raises(NotifyError) as caught:
        await receiver.post(NEWS)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


async def test_what_is_not_told_is_said_without_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = ServiceReceiver("pigeon://refuses/SECRET")
    assert "pigeon://… did not take it" in await refusal(receiver)

    def break_off(**_: str) -> bool:
        raise RuntimeError("cannot reach pigeon://refuses/SECRET")

    monkeypatch.setattr(receiver._service, "notify", break_off)
    assert await refusal(receiver) == "pigeon://… failed (RuntimeError)"


async def test_a_service_that_hangs_keeps_the_end_of_a_run_for_some_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_receiver, "SERVICE_TIMEOUT", 0.01)
    GOES_ON.clear()
    with pytest.raises(NotifyError, match="no answer from pigeon://… within"):
        await ServiceReceiver("pigeon://hangs/SECRET").post(NEWS)
    GOES_ON.set()


async def test_the_desktop_is_a_receiver_where_something_shows_notifications(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_receiver, "LINUX_DESKTOPS", ("nothing-here://", "pigeon://desk"))
    monkeypatch.setattr(service_receiver, "DESKTOPS", {})
    TOLD.clear()
    await ServiceReceiver("desktop").post(NEWS)
    assert [title for title, _ in TOLD] == ["night.csv ended"]
    monkeypatch.setattr(service_receiver, "LINUX_DESKTOPS", ("nothing-here://",))
    with pytest.raises(UsageError, match="--notify desktop: Apprise finds nothing here"):
        ServiceReceiver("desktop")


def test_a_desktop_shows_batchfill_as_the_program_that_tells() -> None:
    service = service_receiver._instantiate("json://localhost")
    assert service is not None
    assert (service.app_id, service.app_desc) == ("batchfill", "batchfill")


def test_an_unknown_service_and_a_missing_extra_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--notify htps://… is no address that Apprise can use") as caught:
        ServiceReceiver("htps://example.com/SECRET")
    assert "SECRET" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError, match=r"pip install 'batchfill\[notify\]'"):
        ServiceReceiver("slack://a/b/c")
