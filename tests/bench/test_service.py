"""The bench's service speaks the API: batchfill and every peer do their work at it, and it keeps count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from batchfill.batch import Batch
from batchfill.domain.progress import Level
from batchfill.domain.rows import RowState
from tests.bench.clients import OURS, PEERS, Setting, run
from tests.bench.manifest import write_manifest
from tests.bench.measure import TOKEN
from tests.bench.offer import Offer
from tests.bench.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.progress import LogEvent, Progress
    from tests.bench.serving import Served

ROWS = 20


class Listener:
    """Keeps what a run has to complain about."""

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def notice(self, notice: LogEvent) -> None:
        if notice.level in (Level.WARNING, Level.ERROR):
            self.complaints.append(notice.text)

    def progress(self, progress: Progress) -> None:
        pass


def ask(service: Served, path: str, given: object = None, **query: object) -> Any:
    """Return what the service answers to a GET, or to a POST of what is *given*."""
    address = f"{service.base}{path}{'?' if query else ''}{urlencode(query)}"
    body = None if given is None else json.dumps(given).encode()
    with urlopen(Request(address, data=body)) as answer:
        return json.load(answer)


def create(service: Served, seed: int) -> Any:
    return ask(service, "/models/a/b/predictions", {"input": {"prompt": "fog", "seed": seed}})


@pytest.mark.parametrize("has_list", [True, False])
async def test_batchfill_does_every_row_once_and_without_complaint(tmp_path: Path, has_list: bool) -> None:
    manifest, listener = write_manifest(tmp_path, ROWS), Listener()
    with serving(Offer(run_time=0.1, spread=0.5, has_list=has_list)) as service:
        flags = {"base_url": service.base, "concurrency": 8, "rate": 60_000}
        batch = Batch.open(manifest, environ={"BATCHFILL_TOKEN": TOKEN}, **flags)
        summary = await batch.run(watch=listener)
        asked = service.asked()
    assert (summary.exit_code, summary.counts[RowState.DONE]) == (0, ROWS)
    assert listener.complaints == []
    assert asked.billed == asked.asked["create"] == asked.asked["output"] == ROWS
    assert asked.requests == summary.requests
    assert len(asked.delays) == ROWS
    assert min(asked.delays) >= 0


@pytest.mark.parametrize("client", [OURS, *PEERS])
def test_every_client_does_the_work_and_is_measured(client: str) -> None:
    figures = run(client, Setting(offer=Offer(run_time=0.1), rows=3))
    assert figures.requests > 1
    assert figures.cpu > figures.decoding >= 0
    assert figures.peak_mb > 10


def test_a_list_shows_what_a_get_shows_newest_first_a_hundred_a_page() -> None:
    with serving(Offer(run_time=0)) as service:
        made = [create(service, seed) for seed in range(230)]
        pages = [ask(service, "/predictions", created_after=made[0]["created_at"])]
        while pages[-1]["next"]:
            pages.append(ask(service, pages[-1]["next"].removeprefix(service.base)))
        newest = ask(service, f"/predictions/{made[-1]['id']}")
        nothing = ask(service, "/predictions", created_before=made[0]["created_at"])
    assert [len(page["results"]) for page in pages] == [100, 100, 30]
    listed = [item["id"] for page in pages for item in page["results"]]
    assert listed == [prediction["id"] for prediction in reversed(made)]
    assert pages[0]["results"][0] == newest
    assert (newest["status"], newest["input"]["seed"]) == ("succeeded", 229)
    assert nothing == {"next": None, "previous": None, "results": []}


def test_the_client_counts_as_told_when_an_answer_first_shows_the_end() -> None:
    with serving(Offer(run_time=0)) as service:
        made = create(service, 1)
        assert made["status"] == "starting"
        assert service.asked().delays == []
        ask(service, f"/predictions/{made['id']}")
        told = service.asked().delays
        ask(service, "/predictions")
        assert service.asked().delays == told
        assert len(told) == 1


def test_creates_beyond_the_limit_are_refused_and_not_billed() -> None:
    with serving(Offer(creates_per_minute=1)) as service:
        for seed in range(10):
            create(service, seed)
        with pytest.raises(HTTPError) as refused:
            create(service, 11)
        answer = json.load(refused.value)
        asked = service.asked()
    assert (refused.value.code, answer["status"], answer["retry_after"]) == (429, 429, 60)
    assert refused.value.headers["Retry-After"] == "60"
    assert (asked.billed, asked.requests, asked.asked["throttled"]) == (10, 11, 1)


@pytest.mark.parametrize("path", ["/files", "/predictions/none", "/predictions?created_after=2026-01-01"])
def test_what_is_not_offered_is_not_found(path: str) -> None:
    with serving(Offer(has_list=False)) as service, pytest.raises(HTTPError, match="404"):
        ask(service, path)


def test_account_and_model_are_told() -> None:
    with serving(Offer()) as service:
        assert ask(service, "/account")["username"] == "bench"
        version = ask(service, "/models/owner/name")["latest_version"]
    assert "prompt" in version["openapi_schema"]["components"]["schemas"]["Input"]["properties"]


def test_outputs_are_whole_pictures_of_about_the_size_that_was_asked_for(tmp_path: Path) -> None:
    from PIL import Image

    with serving(Offer(run_time=0, output_bytes=300_000)) as service:
        made = ask(service, f"/predictions/{create(service, 1)['id']}")
        with urlopen(made["output"][0]) as answer:
            (tmp_path / "out.png").write_bytes(answer.read())
    assert (tmp_path / "out.png").stat().st_size == pytest.approx(300_000, rel=0.1)
    Image.open(tmp_path / "out.png").load()
