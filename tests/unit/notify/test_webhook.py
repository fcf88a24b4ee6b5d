"""What a notification is on the wire, and what becomes of one that does not arrive."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.progress import Notification, NotificationKind
from batchfill.domain.reports import Cost
from batchfill.domain.rows import RowState
from batchfill.errors import NotifyError
from batchfill.notify import message as words
from batchfill.notify import webhook
from batchfill.notify.webhook import Webhook
from tests.support.wire import Peer, answer, reset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Listen = Callable[..., Awaitable[Peer]]

COUNTS = dict.fromkeys(RowState, 0) | {RowState.DONE: 9_988, RowState.FAILED: 12}
COST = Cost(spent=252_480_000, reserved=0, to_go=480_000, cap=None)
NEWS = Notification(NotificationKind.ENDED, "night.csv", COUNTS, COST, 22_335.25)


async def told(
    listen: Listen, news: Notification, path: str = "/hook", before: str = ""
) -> tuple[str, bytes]:
    """Return head and body of what a receiver gets."""
    bodies = []

    async def take(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await peer.head(reader)).lower()
        length = int(head.partition("content-length:")[2].split()[0])
        bodies.append(await reader.readexactly(length))
        writer.write(answer())

    peer = await listen(take)
    await Webhook(f"{before}{peer.url}{path}").post(news)
    return peer.heads[0], bodies[0]


async def refusal(listen: Listen, reply: bytes, path: str = "/SECRET") -> str:
    """Return what is said of a receiver that answers *reply*."""

    async def decline(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(reply)

    peer = await listen(decline)
    with pytest.raises(NotifyError) as caught:
        await Webhook(f"{peer.url}{path}").post(NEWS)
    assert peer.connections == 1
    return str(caught.value)


async def test_a_receiver_gets_one_short_json(listen: Listen) -> None:
    head, body = await told(listen, NEWS, "/hook?key=1")
    assert head.startswith("POST /hook?key=1 HTTP/1.1\r\n")
    assert "content-type: application/json\r\n" in head.lower()
    assert json.loads(body) == {
        "event": "ended",
        "manifest": "night.csv",
        "text": "night.csv ended: 9,988 of 10,000 done, 12 failed · 252.48 USD · 6 h 12 min",
        "reason": None,
        "counts": {
            "total": 10_000,
            **{"pending": 0, "submitting": 0, "running": 0, "collecting": 0},
            **{"done": 9_988, "failed": 12, "canceled": 0, "expired": 0, "in_doubt": 0},
        },
        "cost": {"spent": 252.48, "reserved": 0.0, "to_go": 0.48, "cap": None, "currency": "USD"},
        "elapsed": 22_335.2,
    }


async def test_a_receiver_that_speaks_ntfy_gets_a_title_and_a_line(listen: Listen) -> None:
    news = replace(NEWS, event=NotificationKind.STOPPED, reason="--limit 10 reached")
    head, body = await told(listen, news, before="ntfy+")
    assert "Title: night.csv stopped\r\n" in head
    assert "Tags: warning\r\n" in head
    assert "Content-Type: text/plain; charset=utf-8\r\n" in head
    text = "9,988 of 10,000 done, 12 failed · 252.48 USD · 6 h 12 min · --limit 10 reached"
    assert body.decode() == text


async def test_a_title_beyond_ascii_is_encoded_and_commands_nobody(listen: Listen) -> None:
    head, _ = await told(listen, replace(NEWS, manifest="夜\r\nX-Evil: 1.csv"), before="ntfy+")
    (line,) = (line for line in head.split("\r\n") if line.startswith("Title: "))
    encoded = line.removeprefix("Title: =?UTF-8?B?").removesuffix("?=")
    assert base64.b64decode(encoded).decode() == "夜 X-Evil: 1.csv ended"
    assert "\r\nX-Evil" not in head


@pytest.mark.parametrize(
    ("address", "wants_text"),
    [
        ("https://ntfy.sh/topic", True),
        ("https://ntfy.example.com/topic", True),
        ("ntfy+https://push.example.com/topic", True),
        ("https://example.com/ntfy", False),
        ("https://ntfysh.example.com/hook", False),
        ("https://hooks.example.com/x", False),
    ],
)
def test_the_address_says_who_gets_text(address: str, wants_text: bool) -> None:
    request = Webhook(address)._make_request(NEWS)
    assert ("Title" in request.headers) is wants_text
    assert str(request.url) == address.removeprefix("ntfy+")


async def test_nothing_that_belongs_to_the_service_or_its_user_comes_along(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    head, _ = await told(listen, NEWS)
    names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line}
    assert names == {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length"}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent"])
async def test_a_redirect_is_not_followed(listen: Listen, status: str) -> None:
    other = await listen(lambda *_: asyncio.sleep(0))
    said = await refusal(listen, answer(status=status, head=f"Location: {other.url}/\r\n"))
    assert said == f"127.0.0.1 answered {status[:3]}, a redirect, which is not followed: name its target"
    assert other.connections == 0


@pytest.mark.parametrize("status", ["500 Oops", "404 Not Found", "429 Slow down"])
async def test_a_refusal_is_told_without_the_path_which_is_a_key(listen: Listen, status: str) -> None:
    assert await refusal(listen, answer(status=status)) == f"127.0.0.1 answered {status[:3]}"


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 what\r\n\r\n", b"\x00" * 100])
async def test_an_answer_that_is_none_is_told(listen: Listen, reply: bytes) -> None:
    assert await refusal(listen, reply) == "127.0.0.1 gave no answer"


async def test_a_receiver_that_hangs_up_is_told(listen: Listen) -> None:
    async def hang_up(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        reset(writer)

    peer = await listen(hang_up)
    with pytest.raises(NotifyError, match=r"127\.0\.0\.1 gave no answer"):
        await Webhook(peer.url).post(NEWS)


async def test_a_receiver_that_never_answers_is_given_up(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dribble(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await reader.read()  # until the other side leaves

    monkeypatch.setattr(webhook, "POST_TIMEOUT", 0.05)
    peer = await listen(dribble)
    with pytest.raises(NotifyError, match=r"no answer from 127\.0\.0\.1 within"):
        await Webhook(peer.url).post(NEWS)


async def test_nobody_there_is_told(free_port: int) -> None:
    with pytest.raises(NotifyError, match=r"127\.0\.0\.1 cannot be reached: .*Connect") as caught:
        await Webhook(f"http://127.0.0.1:{free_port}/SECRET").post(NEWS)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://a..b/x", "https://☃.net/x", f"https://{'a' * 300}.com/x"])
async def test_a_name_that_cannot_be_is_told(address: str) -> None:
    with pytest.raises(NotifyError, match="cannot be reached"):
        await Webhook(address).post(NEWS)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"elapsed": 9.4}, "9,988 of 10,000 done, 12 failed · 252.48 USD · 9 s"),
        (
            {"elapsed": 600.0, "cost": Cost(None, None, None, None)},
            "9,988 of 10,000 done, 12 failed · price unknown · 10 min",
        ),
        (
            {"elapsed": 3_600.0, "cost": replace(COST, rehearsal=True, currency="EUR")},
            "9,988 of 10,000 done, 12 failed · 252.48 EUR if it were real · 1 h 00 min",
        ),
        (
            {"elapsed": 60.0, "counts": {RowState.IN_DOUBT: 1}, "reason": "a\x1b[2J\nb"},
            "0 of 1 done, 1 in doubt · 252.48 USD · 1 min · a [2J b",
        ),
    ],
)
def test_the_line_says_what_is_known(change: dict[str, object], line: str) -> None:
    assert words.text_line(replace(NEWS, **change)) == line  # type: ignore[arg-type]
