"""`run --notify URL`: told at the end, at a stop and of a stall, and never in the run's way."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.errors import UsageError
from batchfill.notify import stall, webhook
from tests.support.listeners import Ears
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.batch import Batch
    from batchfill.emulator.emulator_server import EmulatorServer

    Open = Callable[..., Batch]
    Serve = Callable[..., Awaitable[EmulatorServer]]
    Origin = Callable[..., Awaitable[str]]


class Hook:
    """A receiver on loopback: it keeps what it is told, and answers with *status*."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.told: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.news = asyncio.Event()

    async def meet(self, request: web.Request) -> web.Response:
        self.told.append(await request.json())
        self.heads.append(str(request.headers))
        self.news.set()
        return web.Response(status=self.status, headers=self.headers)

    @property
    def events(self) -> list[str]:
        """What it was told of, in order."""
        return [told["event"] for told in self.told]


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
async def address(hook: Hook, origin: Origin) -> str:
    """Where the hook listens; the path is its secret."""
    return f"{await origin(hook.meet)}/HOOK_SECRET"


async def test_the_end_is_told_with_rows_and_cost(
    service: Serve, batch: Open, hook: Hook, address: str
) -> None:
    summary = await batch(await service(), 3, head={"price": "0.04"}, notify=address).run()
    assert summary.exit_code == 0
    (told,) = hook.told
    assert (told["event"], told["manifest"], told["reason"]) == ("ended", "night.yaml", None)
    assert (told["counts"]["total"], told["counts"]["done"]) == (3, 3)
    assert told["cost"]["spent"] == pytest.approx(0.12)


async def test_by_then_the_results_are_there_and_the_batch_is_free(
    service: Serve, batch: Open, origin: Origin
) -> None:
    found: list[tuple[bool, bool]] = []

    async def look(_: web.Request) -> web.Response:
        found.append((made.is_running(), (made.folder / "results.csv").exists()))
        return web.Response()

    made = batch(await service(), 1, notify=await origin(look))
    await made.run()
    assert found == [(False, True)]


async def test_rows_that_failed_are_told_at_the_end(
    service: Serve, batch: Open, hook: Hook, address: str
) -> None:
    provider = await service(faults=Faults([Fault("create", "fail", at=frozenset({1}))]))
    assert (await batch(provider, 2, attempts=1, notify=address).run()).exit_code == 1
    assert hook.events == ["ended"]
    assert hook.told[0]["counts"]["failed"] == 1


async def test_a_stop_is_told_with_its_reason(service: Serve, batch: Open, hook: Hook, address: str) -> None:
    assert (await batch(await service(), 3, limit=1, notify=address).run()).exit_code == 3
    assert hook.events == ["stopped"]
    assert hook.told[0]["reason"] == "--limit 1 reached"


async def test_a_service_that_refuses_is_told_without_the_token_that_it_repeats(
    service: Serve, batch: Open, hook: Hook, address: str
) -> None:
    broke = Fault(
        "create", "status", options={"status": 402, "body": json.dumps({"detail": f"poor {TOKEN}"})}
    )
    assert (await batch(await service(faults=Faults([broke])), 2, notify=address).run()).exit_code == 4
    assert hook.events == ["stopped"]
    assert "poor" in hook.told[0]["reason"]
    assert TOKEN not in json.dumps(hook.told) + "".join(hook.heads)
    assert "Authorization" not in hook.heads[0]


async def test_a_ledger_that_is_lost_in_the_run_is_told_before_it_is_an_error(
    service: Serve, batch: Open, hook: Hook, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchfill.errors import LedgerFailed, RunBroken
    from batchfill.run.ledger_guard import LedgerGuard

    async def fail(_: LedgerGuard) -> None:
        raise LedgerFailed("ledger.sqlite was taken away")

    monkeypatch.setattr(LedgerGuard, "end_watch", fail)
    with pytest.raises(RunBroken, match=r"^ledger\.sqlite was taken away"):
        await batch(await service(), 1, notify=address).run()
    assert hook.events == ["stopped"]
    assert hook.told[0]["reason"] == "ledger.sqlite was taken away; run again to go on"


async def test_a_run_that_did_not_begin_is_nobodys_news(
    service: Serve, batch: Open, hook: Hook, address: str
) -> None:
    with pytest.raises(UsageError):
        await batch(await service(), 1, notify=address).run(confirm=lambda plan: False)
    assert hook.told == []


async def test_a_stall_is_told_once_and_then_the_stop(
    service: Serve, batch: Open, hook: Hook, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "RUN_TIMES_AS_LONG", 0.0)
    provider = await service(faults=Faults([Fault("create", "stuck")]))
    made = batch(provider, 2, notify=address)
    running = asyncio.ensure_future(made.run())
    await provider.until(lambda: provider.billed == 2 == made.status().counts[RowState.RUNNING])
    monkeypatch.setattr(stall, "STALL_TIME", 0.0)
    await hook.news.wait()
    assert (hook.events, hook.told[0]["counts"]["running"]) == (["stalled"], 2)
    assert hook.told[0]["reason"]
    asked = sum(provider.requests.values())
    await provider.until(lambda: sum(provider.requests.values()) > asked + 3)
    # A row that has ended is progress, and what follows it could be another stall.
    monkeypatch.setattr(stall, "STALL_TIME", 3600.0)
    made.ask_to_cancel()
    await running
    assert hook.events.count("stalled") == 1
    assert len(hook.events) == 2


# A receiver that fails


async def test_a_receiver_that_refuses_is_a_warning(
    service: Serve, batch: Open, hook: Hook, address: str
) -> None:
    hook.status = 500
    watch = Ears()
    made = batch(await service(), 1, notify=address)
    assert (await made.run(watch=watch)).exit_code == 0
    warning = "--notify: 127.0.0.1 answered 500; that the run ended was not told"
    last = watch.notices[-1]
    assert f"{last.level}: {last.text}" == f"warning: {warning}"
    assert f"warning {warning}\n" in (made.folder / "run.log").read_text("utf-8")


async def test_a_redirect_leads_nowhere(
    service: Serve, batch: Open, hook: Hook, address: str, elsewhere: Any
) -> None:
    hook.status, hook.headers = 307, {"Location": elsewhere.base}
    watch = Ears()
    assert (await batch(await service(), 1, notify=address).run(watch=watch)).exit_code == 0
    assert "answered 307, a redirect, which is not followed" in watch.texts[-1]
    assert elsewhere.asked == []


async def test_nobody_there_is_a_warning(service: Serve, batch: Open, free_port: int) -> None:
    watch = Ears()
    made = batch(await service(), 1, notify=f"http://127.0.0.1:{free_port}/")
    assert (await made.run(watch=watch)).exit_code == 0
    assert "127.0.0.1 cannot be reached" in watch.texts[-1]


async def test_a_receiver_that_hangs_is_left_alone_after_a_while(
    service: Serve, batch: Open, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "POST_TIMEOUT", 0.05)
    over = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    watch = Ears()
    made = batch(await service(), 1, limit=1, notify=await origin(hang))
    assert (await made.run(watch=watch)).exit_code == 0
    over.set()
    assert "no answer from 127.0.0.1 within" in watch.texts[-1]


# Where its address may come from, and where it stays


async def test_the_address_is_kept_nowhere(service: Serve, batch: Open, hook: Hook, address: str) -> None:
    hook.status = 500
    made = batch(await service(), 2, notify=address)
    await made.run()
    with closing(sqlite3.connect(made.folder / "ledger.sqlite")) as ledger:
        assert not any("HOOK_SECRET" in line for line in ledger.iterdump())
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"HOOK_SECRET" in path.read_bytes()]
    hook.told.clear()
    await batch(made.flags["base_url"]).run()
    assert hook.told == []


async def test_the_command_warns_and_ends_as_it_would_have(
    service: Serve, batchfill: Any, desk: Any, hook: Hook, address: str
) -> None:
    hook.status = 503
    desk.write(desk.rows(2))
    provider = await service()
    flags = ("--base-url", provider.base, "--limit", 1, "--notify", address)
    ran = await batchfill("run", "night.csv", *flags)
    assert ran.code == 3
    assert "warning: --notify: 127.0.0.1 answered 503; that the run stopped was not told\n" in ran.err
    assert "HOOK_SECRET" not in ran.err
    assert hook.events == ["stopped"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ntfy.sh/topic", "must be an address such as https://example.com/hook or https://ntfy.sh/TOPIC"),
        ("ftp://example.com/x", "ftp://… is no address that Apprise can use here"),
        ("slack://", "slack://… is no address that Apprise can use here"),
        ("slack://a/b c", "must be an address such as"),
        ("windows://" if sys.platform != "win32" else "dbus://", "no address that Apprise can use here"),
        ("https:///x", "must be an address such as"),
        ("https://example.com/a b", "must be an address such as"),
        ("https://example.com/\nx", "must be an address such as"),
        ("http://example.com/hook", "would send the address in the clear: use https"),
        ("ntfy+http://example.com/hook", "would send the address in the clear: use https"),
        ("https://me:secret@example.com/x", "must not hold a user or password"),
        ("https://example.com:0/x", "names port 0, where no receiver listens"),
        ("https://example.com:99999/x", "Port out of range 0-65535"),
    ],
)
async def test_an_address_that_cannot_be_is_refused_before_the_run(
    batch: Open, given: str, said: str
) -> None:
    made = batch("http://127.0.0.1:9/v1", 1, notify=given)
    with pytest.raises(UsageError) as caught:
        await made.run()
    assert str(caught.value).startswith("--notify ")
    assert said in str(caught.value)
    assert not made.folder.exists()


async def test_a_manifest_cannot_name_one(batch: Open, hook: Hook, address: str) -> None:
    made = batch("http://127.0.0.1:9/v1", 1, head={"notify": address})
    with pytest.raises(UsageError, match="notify cannot be set in a manifest: give it on the command line"):
        await made.run()
    assert hook.told == []
