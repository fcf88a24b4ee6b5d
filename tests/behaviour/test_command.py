"""The command line as a person uses it: every command, every exit code, in a pipe and in a terminal."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.batch import Batch
from batchfill.cli.commands import cli
from batchfill.domain.rows import RowState
from batchfill.emulator.faults.rules import Fault, Faults
from batchfill.emulator.quirks import Quirks
from tests.support.capabilities import obey_modes
from tests.support.modes import bound
from tests.support.providers import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchfill.emulator.emulator_server import EmulatorServer

    Serve = Callable[..., Awaitable[EmulatorServer]]

COMMANDS = (
    *("demo", "init", "pair", "check", "run", "finish", "stop", "cancel", "status", "results", "review"),
    *("report", "export", "serve"),
    "completion",
)
CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Characters that command a terminal."""

LONG = "z" * 100_000
COLUMNS = (
    "id,line,state,image,mask,prompt,outputs,seed,prediction_id,attempts,cost,error,flags,decision,chosen"
    ",finished_as,changed_inputs"
)


@pytest.fixture
def three_rows(desk: Any) -> Path:
    """A manifest of three rows."""
    path: Path = desk.write(desk.rows(3))
    return path


@pytest.fixture
def run(batchfill: Any) -> Callable[..., Awaitable[Any]]:
    """Run night.csv, or another manifest, at a provider."""
    return lambda provider, *flags, manifest="night.csv", **options: batchfill(
        "run", manifest, "--base-url", provider.base, *flags, **options
    )


# Asking for help, and asking wrongly


async def test_the_help_names_every_command_in_the_order_in_which_people_meet_them(batchfill: Any) -> None:
    ran = await batchfill("--help")
    assert ran.code == 0
    listed = ran.out.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert not any(line.endswith("...") for line in listed)


async def test_the_help_of_every_command_fits_a_terminal_and_gives_an_example(batchfill: Any) -> None:
    helps = await asyncio.gather(*(batchfill(command, "--help") for command in COMMANDS))
    for command, ran in zip(COMMANDS, helps, strict=True):
        assert ran.code == 0
        assert ran.out.startswith(f"Usage: batchfill {command} ")
        assert f"Example: batchfill {command}" in ran.out
        assert max(map(len, ran.out.splitlines())) <= 80


def examples() -> dict[str, str]:
    """Return the example in each command's help, and in that of batchfill itself; empty where it has none."""
    helps = {name: command.help or "" for name, command in cli.commands.items()} | {"": cli.help or ""}
    found = {
        name: re.search(r"^ *Example: (batchfill .+)$", text, re.MULTILINE) for name, text in helps.items()
    }
    return {name: match[1] if match else "" for name, match in found.items()}


@pytest.mark.parametrize(("name", "example"), examples().items())
def test_every_help_has_an_example_that_the_command_takes(name: str, example: str) -> None:
    program, command, *arguments = shlex.split(example)
    assert (program, command) == ("batchfill", name or "run")
    cli.commands[command].make_context(command, arguments)


async def test_the_version_is_told(batchfill: Any) -> None:
    assert re.fullmatch(r"batchfill, version \d+\.\d+\.\d+\n", (await batchfill("--version")).out)


async def test_help_is_a_command_as_well_as_a_flag(batchfill: Any) -> None:
    asked, flag = await asyncio.gather(batchfill("help", "run"), batchfill("run", "--help"))
    assert asked.code == 0
    assert asked.out == flag.out
    assert (await batchfill("help")).out == (await batchfill("--help")).out


WRONG = {
    "runn night.csv": "No such command 'runn'. Did you mean 'run'?",
    "night.csv": "No such command 'night.csv': did you mean `batchfill run night.csv`?",
    "a" * 5000: "No such command 'aaa",
    "images masks": "No such command 'images': batchfill init writes a manifest to begin with",
    "resume night.csv": "No such command 'resume': batchfill run MANIFEST begins a batch",
    "doctor": "with --online it asks the provider too",
    "help runn": "No such command 'runn'. Did you mean 'run'?",
    "run night.csv --retyr failed": "'--retry'",
    "run night.csv --token r8_secret": "put it into the environment, as BATCHFILL_TOKEN",
    "run night.csv --dry-run": "batchfill run MANIFEST -n does the same",
    "--jobs 4": "No such option '--jobs': use --concurrency N",
    "run night.csv --online": "No such option '--online': it is a flag of batchfill check",
    "results night.csv --host 0": "No such option '--host': it is a flag of batchfill review",
    "report night.csv --force": "No such option '--force': it is a flag of batchfill export",
    "status night.csv -j4": "in flight at most; it is a flag of batchfill check",
    "results night.csv -o table.csv": "batchfill results MANIFEST > FILE makes a file of the table",
    "run": "Missing argument 'MANIFEST': name one, such as night.csv; batchfill init writes one",
    "export night.csv": "Missing argument 'DEST': name a folder for the pictures",
    "pair images": "Missing argument 'MASKS': name the folder of the masks",
    "run night.csv --retry faild": "not 'faild'; did you mean failed?",
    "run nigth.csv": "nigth.csv: no such file; did you mean night.csv?",
    "check nigth.csv": "nigth.csv: no such file; did you mean night.csv?",
    "check images": "images is a folder",
    "run night.csv --concurrency -3": "--concurrency must be between 1 and 1000, not -3",
    "run night.csv --retry all": "in-doubt, missing, redo, rejected, not 'all'",
    "run night.csv --set guidance": "'guidance' must be NAME=VALUE",
    "run night.csv --max-cost much": "--max-cost must be an amount of money",
    "run night.csv --until 25:00": "--until must be a time of day such as 07:30",
    "run night.csv --base-url http://example.com/v1": "would send the token in the clear",
    "run night.csv --model flux": "--model must be OWNER/NAME",
    "status night.csv": "no ledger here yet; run the batch first",
    "results night.csv": "no ledger here yet; run the batch first",
    "export night.csv final": "no ledger here yet; run the batch first",
    "export night.csv images/a.png": "'images/a.png' is a file",
    "cancel night.csv": "no ledger here yet, so nothing of this batch runs",
    "stop nigth.csv": "nigth.csv: no such file; did you mean night.csv?",
    "run night.csv -q -v": "--quiet and --verbose say the opposite: leave one out",
    "run night.csv --log-format xml": "--log-format must be text or json, not 'xml'",
    "check night.csv -v": "No such option '-v': it is a flag of batchfill run",
    "stop night.csv": "no batchfill works on it, so there is nothing to stop",
    "results night.csv --format xml": "'xml' is not one of 'csv', 'jsonl'",
    "demo images": "images is there already, and holds no samples: name a new folder",
    "demo night.csv": "night.csv is there already, and holds no samples",
    "init night.csv": "night.csv is there already",
    "init night.txt": "the name should end with .csv",
    "pair images nowhere": "nowhere: no such folder",
    "serve --port many": "'many' is not a valid integer",
    "serve --at http://gpu1:5000": "--at and --at-file name containers: give --behind cog too",
    "run night.csv evening.csv": "each manifest is a batch of its own, so name one",
    "run night.csv --retry": "requires an argument: --retry WHAT. Rows to submit again",
    "run night.csv --max-cost": "requires an argument: --max-cost AMOUNT",
    "run .": ". is a folder: name the manifest in it",
    "check /": "/ is a folder: name the manifest in it",
    "status .": ". is a folder: name the manifest in it",
    "stop .": ". is a folder: name the manifest in it",
    "serve --behind cog": "name each with --at URL, or give --at-file FILE",
    "serve --behind cog --at gpu1:5000": "is no address: give one such as http://gpu1:5000",
}
"""What somebody may type by mistake, and what the answer says."""


async def test_what_cannot_be_done_ends_with_2_and_a_sentence(batchfill: Any, three_rows: Path) -> None:
    batchfill.hurry = False
    answers = await asyncio.gather(*(batchfill(*typed.split()) for typed in WRONG))
    for (typed, said), ran in zip(WRONG.items(), answers, strict=True):
        assert (typed, ran.code, ran.out) == (typed, 2, "")
        assert said in ran.err
        assert "Traceback" not in ran.err
    assert not three_rows.with_suffix(".batch").exists()


async def test_a_run_with_n_checks_and_submits_nothing(
    batchfill: Any, service: Serve, three_rows: Path, desk: Any
) -> None:
    provider = await service()
    flags = ("--base-url", provider.base)
    dry, checked = await asyncio.gather(
        batchfill("run", "night.csv", "-n", "-y", *flags), batchfill("check", "night.csv", *flags)
    )
    assert (dry.code, dry.out) == (checked.code, checked.out)
    assert (dry.code, sum(provider.requests.values())) == (0, 0)
    assert not three_rows.with_suffix(".batch").exists()
    desk.write([{**desk.rows(1)[0], "image": "nowhere.png"}])
    wrong = await batchfill("run", "night.csv", "-n", *flags)
    assert wrong.code == 2
    assert "nowhere.png" in wrong.out + wrong.err


async def test_every_line_of_a_run_is_a_json_object_where_that_is_asked_for(
    run: Any, service: Serve, three_rows: Path
) -> None:
    provider = await service()
    ran = await run(provider, "--log-format", "json", "-v", "--price", "0.04")
    told = [json.loads(line) for line in ran.err.splitlines()]
    assert (ran.code, {frozenset(line) >= {"at", "level", "text"} for line in told}) == (0, {True})
    assert {"debug", "info"} <= {line["level"] for line in told}
    assert any(line["text"] == "done: all 3 rows" for line in told)
    log = (three_rows.with_suffix(".batch") / "run.log").read_text("utf-8")
    kept = [json.loads(line) for line in log.splitlines()]
    assert [line for line in told if line["level"] == "debug"] == [
        line for line in kept if line["level"] == "debug"
    ]
    refused = await run(provider, "--log-format", "json", "--id", "nobody")
    assert refused.code == 2
    assert [json.loads(line)["level"] for line in refused.err.splitlines()][-1] == "error"


async def test_to_stop_the_batch_itself_while_its_rehearsal_is_meant_says_so(
    batchfill: Any, three_rows: Path
) -> None:
    assert (await batchfill("run", "night.csv", "--local", "-q")).code == 0
    stopped = await batchfill("stop", "night.csv")
    assert stopped.code == 2
    assert "a rehearsal is there: add --local" in stopped.err


# init, pair, check


async def test_init_writes_a_manifest_that_is_complete_but_for_the_pictures(
    batchfill: Any, desk: Any
) -> None:
    assert (await batchfill("init")).out == (
        "night.csv is there: fill in your rows, then `batchfill check night.csv`\n"
    )
    checked = await batchfill("check", "night.csv")
    mistakes = [line for line in checked.out.splitlines() if line.startswith("night.csv:")]
    assert mistakes
    assert all("there is no folder" in mistake for mistake in mistakes)


async def test_pair_makes_a_manifest_that_runs(batchfill: Any, desk: Any) -> None:
    for name in ("a.png", "b.png"):
        desk.picture(name)
    (desk.folder / "images" / "alone.png").write_bytes(b"")
    paired = await batchfill("pair", "images", "masks", "--prompt", "a boat", "-o", "night.csv")
    assert paired.code == 0
    assert paired.err == "alone: images/alone.png\n2 pairs in night.csv\n"
    ran = await batchfill("run", "night.csv", "--local")
    assert ran.code == 0, ran.err
    outputs = desk.folder / "night.local.batch" / "outputs"
    assert sorted(path.name for path in outputs.glob("*.*")) == ["a.png", "b.png"]


async def test_pair_prints_the_manifest_when_no_file_is_named(batchfill: Any, desk: Any) -> None:
    desk.picture("a.png")
    paired, dashed = await asyncio.gather(
        batchfill("pair", "images", "masks"), batchfill("pair", "images", "masks", "-o", "-")
    )
    assert paired.out.splitlines() == ["id,image,mask,prompt", "a,images/a.png,masks/a.png,"]
    assert dashed.out == paired.out
    assert not (desk.folder / "-").exists()


async def test_pair_writes_nothing_when_nothing_belongs_together(batchfill: Any, desk: Any) -> None:
    for folder, name in (("images", "boat.png"), ("masks", "street.png")):
        (desk.folder / folder).mkdir()
        (desk.folder / folder / name).write_bytes(b"")
    paired = await batchfill("pair", "images", "masks", "-o", "night.csv")
    assert paired.code == 2
    assert "nothing to pair: no picture in images has a mask of its name in masks" in paired.err
    assert not (desk.folder / "night.csv").exists()


async def test_pair_tells_every_file_also_when_nothing_belongs_together(batchfill: Any, desk: Any) -> None:
    for name in ("images/a.png", "images/raw/b.dng", "masks/x/a.png", "masks/notes.txt"):
        (desk.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (desk.folder / name).write_bytes(b"picture")
    paired = await batchfill("pair", "images", "masks", "-o", "night.csv")
    assert paired.code == 2
    assert paired.err.splitlines() == [
        "alone: images/a.png (masks/x/a.png has its name, but lies in another folder)",
        "alone: masks/x/a.png (images/a.png has its name, but lies in another folder)",
        "left out: images/raw/b.dng (a raw photograph: develop it first)",
        "left out: masks/notes.txt (not a picture)",
        "batchfill: nothing to pair: no picture in images has a mask of its name in masks; "
        "to give masks/x/a.png to all of them, name it instead of the folder",
    ]


async def test_one_mask_is_paired_with_every_picture_and_checked_without_a_surprise(
    batchfill: Any, desk: Any
) -> None:
    for name in ("a.png", "kitchen/a.png", "b.png"):
        desk.picture(name)
    paired = await batchfill(
        "pair", "images", "masks/a.png", "--prompt", "an empty street", "-o", "night.csv"
    )
    assert (paired.code, paired.err) == (0, "3 pairs in night.csv\n")
    checked = await batchfill("check", "night.csv")
    assert "3 rows, no mistakes" in checked.out


async def test_check_tells_rows_cost_and_time_and_changes_nothing(batchfill: Any, three_rows: Path) -> None:
    before = sorted(three_rows.parent.iterdir())
    checked = await batchfill("check", "night.csv")
    assert checked.code == 0
    assert checked.out.splitlines()[-2] == "3 rows, no mistakes"
    assert "3 pictures to make with black-forest-labs/flux-fill-dev: about $0.12, about " in checked.out
    assert checked.err == ""
    assert sorted(three_rows.parent.iterdir()) == before


async def test_check_shows_the_first_twenty_causes_and_counts_the_rest(batchfill: Any, desk: Any) -> None:
    desk.write([{**row, "image": f"images/{n}/none.png"} for n, row in enumerate(desk.rows(30))])
    checked = await batchfill("check", "night.csv")
    assert checked.code == 2
    lines = checked.out.splitlines()
    assert lines[0].startswith("night.csv:2: image: no such file images/0/none.png")
    assert lines[20:] == ["… and 10 more mistakes", "0 rows right, 30 mistakes"]


async def test_run_refuses_a_manifest_with_a_mistake_before_it_asks_anybody(
    service: Serve, run: Any, desk: Any
) -> None:
    desk.write([*desk.rows(2), {**desk.rows(1)[0], "id": "bad", "prompt": ""}])
    provider = await service()
    ran = await run(provider)
    assert ran.code == 2
    assert "night.csv:4: prompt is empty" in ran.err
    assert provider.creates_seen == 0


async def test_check_online_tells_what_the_provider_offers(
    service: Serve, batchfill: Any, three_rows: Path
) -> None:
    provider = await service(quirks=Quirks(offers=frozenset({"account"})))
    checked = await batchfill("check", "night.csv", "--online", "--base-url", provider.base)
    assert checked.code == 0, checked.err
    assert f"{provider.base} answers; account: user:local" in checked.out
    assert "it offers no list" in checked.out


async def test_check_online_without_anybody_there_ends_with_2(
    batchfill: Any, three_rows: Path, free_port: int
) -> None:
    address = f"http://127.0.0.1:{free_port}/v1"
    checked = await batchfill("check", "night.csv", "--online", "--base-url", address)
    assert checked.code == 2
    assert f"{address} does not answer" in checked.err


# run and its exit codes


async def test_a_run_ends_with_0_and_says_where_the_pictures_are(
    service: Serve, run: Any, three_rows: Path
) -> None:
    ran = await run(await service())
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "done: all 3 rows" in ran.err
    assert ran.err.endswith("pictures: night.batch/outputs\n")
    outputs = three_rows.with_suffix(".batch") / "outputs"
    assert sorted(path.stem for path in outputs.iterdir()) == ["r1", "r2", "r3"]


async def test_a_second_run_submits_nothing_and_says_so(service: Serve, run: Any, three_rows: Path) -> None:
    provider = await service()
    await run(provider)
    ran = await run(provider)
    assert ran.code == 0
    assert "nothing was submitted" in ran.err.splitlines()
    assert provider.billed == 3


async def test_rows_that_failed_end_with_1_and_the_reason(service: Serve, run: Any, three_rows: Path) -> None:
    wrong = Fault("create", "fail", at=frozenset({1}), options={"error": "out of paint"})
    ran = await run(await service(faults=Faults([wrong])), "--attempts", "1")
    assert ran.code == 1
    assert "failed: 1 row\n  1 row: out of paint\n" in ran.err
    assert re.search(r"to try failed rows again: batchfill run night\.csv .*--retry failed\n", ran.err)


async def test_a_limit_leaves_work_and_ends_with_3(service: Serve, run: Any, three_rows: Path) -> None:
    provider = await service()
    ran = await run(provider, "--limit", "2")
    assert ran.code == 3
    assert "ended early: --limit 2 reached" in ran.err
    assert provider.billed == 2


async def test_a_service_that_refuses_ends_with_4_and_leaves_the_rows_pending(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    broke = Fault("create", "status", options={"status": 402})
    ran = await run(await service(faults=Faults([broke])))
    assert ran.code == 4
    assert "the service answered 402" in ran.err
    counts = json.loads((await batchfill("status", "night.csv", "--json")).out)["counts"]
    assert (counts["total"], counts["pending"]) == (3, 3)


async def test_a_wrong_token_ends_with_4_before_anything_is_sent(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    provider = await service(token="another")
    ran = await run(provider)
    assert ran.code == 4
    assert "the service answered 401" in ran.err
    assert "check the token" in ran.err
    assert provider.creates_seen == 0


async def test_no_token_ends_with_2_and_names_the_variable(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    del batchfill.environ["BATCHFILL_TOKEN"]
    provider = await service()
    ran = await run(provider)
    assert ran.code == 2
    assert f"no token for {provider.base}: set BATCHFILL_TOKEN" in ran.err
    assert "--local" in ran.err
    plain = await batchfill("run", "night.csv")
    assert "set BATCHFILL_TOKEN (or REPLICATE_API_TOKEN) to your API token" in plain.err
    assert not three_rows.with_suffix(".batch").exists()


async def test_the_command_that_goes_on_keeps_the_flags_that_make_the_rows(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    manifest = desk.write(desk.rows(2), name="my night.csv")
    provider = await service()
    flags = ("--base-url", provider.base, "--set", "guidance=40", "--out", "my out")
    ran = await batchfill("run", manifest.name, *flags, "--limit", "1")
    assert ran.code == 3
    (line,) = (line for line in ran.err.splitlines() if line.startswith("to go on: "))
    assert line == f"to go on: batchfill run 'my night.csv' {shlex.join(flags)}"
    resumed = await batchfill("run", manifest.name, *flags)
    assert resumed.code == 0
    assert provider.billed == 2


async def test_quiet_says_only_what_needs_attention(service: Serve, run: Any, three_rows: Path) -> None:
    provider = await service()
    ran = await run(provider, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


async def test_a_folder_that_is_not_named_again_is_noticed_and_its_row_not_paid_for_twice(
    service: Serve, run: Any, three_rows: Path
) -> None:
    provider = await service()
    await run(provider, "--out", "tries.batch", "--limit", "1")
    told = "found again, and not paid for twice: 1 row "
    assert told in (await run(provider, "--limit", "1")).err
    assert provider.billed == 2
    three_rows.rename(three_rows.with_name("morning.csv"))
    told = "found again, and not paid for twice: 2 rows"
    assert told in (await run(provider, "--limit", "1", manifest="morning.csv")).err
    assert provider.billed == 3


# status and results


async def test_status_as_json_has_exactly_the_promised_keys(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    provider = await service()
    await run(provider, "--limit", "2")
    status = json.loads((await batchfill("status", "night.csv", "--json")).out)
    assert list(status) == [
        *("manifest", "model", "base", "running", "counts", "gone", "cost"),
        *("started_at", "updated_at", "stopped_because"),
    ]
    assert list(status["counts"]) == ["total", *(state.value for state in RowState)]
    assert list(status["cost"]) == ["spent", "reserved", "to_go", "cap", "currency"]
    moments = [status.pop("started_at"), status.pop("updated_at")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment) for moment in moments)
    counts = {"total": 3, **dict.fromkeys((state.value for state in RowState), 0), "done": 2, "pending": 1}
    assert status == {
        "manifest": "night.csv",
        "model": "black-forest-labs/flux-fill-dev",
        "base": provider.base,
        "running": False,
        "counts": counts,
        "gone": {},
        # Off Replicate nobody knows the price.
        "cost": {"spent": None, "reserved": 0.0, "to_go": None, "cap": None, "currency": "USD"},
        "stopped_because": "--limit 2 reached",
    }


async def test_status_explains_where_a_batch_stands(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    provider = await service()
    await run(provider, "--limit", "2")
    told = await batchfill("status", "night.csv")
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[:3] == [
        "night.csv: not running",
        f"black-forest-labs/flux-fill-dev at {provider.base}",
        "3 rows: 1 pending, 2 done",
    ]
    assert "ended early: --limit 2 reached" in lines
    assert lines[-1] == "to go on: batchfill run night.csv"


def rows_running(night: Path) -> int:
    """Return how many rows run, as the ledger has them."""
    return Batch.open(night).status().counts[RowState.RUNNING]


async def test_status_watches_until_the_run_ends(service: Serve, batchfill: Any, three_rows: Path) -> None:
    provider = await service(faults=Faults([Fault("create", "stuck")]))
    running = await batchfill.start("run", "night.csv", "--base-url", provider.base)
    await running.meanwhile(provider.until(lambda: provider.billed == 3 and rows_running(three_rows) == 3))
    watching = await batchfill.start("status", "night.csv", "--watch", "--json")
    first = json.loads(await watching.prints())
    assert (first["running"], first["counts"]["running"]) == (True, 3)
    running.signal(signal.SIGKILL)
    await running.ended()
    watched = await watching.ended()
    assert watched.code == 0
    assert json.loads(watched.out.splitlines()[-1])["running"] is False


async def test_ctrl_c_ends_the_watch_and_not_the_run(
    service: Serve, batchfill: Any, three_rows: Path
) -> None:
    provider = await service(faults=Faults([Fault("create", "stuck")]))
    running = await batchfill.start("run", "night.csv", "--base-url", provider.base)
    await running.meanwhile(provider.until(lambda: provider.billed == 3 and rows_running(three_rows) == 3))
    watching = await batchfill.start("status", "night.csv", "--watch")
    await watching.prints()
    watching.signal(signal.SIGINT)
    watched = await watching.ended()
    assert (watched.code, watched.err) == (0, "")
    asked = await batchfill("stop", "night.csv")
    assert asked.code == 0
    running.signal(signal.SIGKILL)


async def test_results_are_a_line_a_row_in_the_order_of_the_manifest(
    service: Serve, run: Any, batchfill: Any, desk: Any
) -> None:
    rows = desk.rows(3, x_shelf="Böden, 2", num_outputs="2")
    rows[1]["prompt"] = 'a "wet" street,\nat night 猫'
    desk.write(rows)
    provider = await service()
    await run(provider, "--limit", "1", "--concurrency", "1")
    told = await batchfill("results", "night.csv")
    assert told.code == 0
    assert told.out.splitlines()[0] == f"{COLUMNS},x_shelf"
    found = list(csv.DictReader(io.StringIO(told.out, newline="")))
    assert [row["id"] for row in found] == ["r1", "r2", "r3"]
    assert [row["state"] for row in found] == ["done", "pending", "pending"]
    assert found[0]["outputs"] == "outputs/r1@1.webp;outputs/r1@2.webp"
    assert [row["prompt"] for row in found] == [row["prompt"] for row in rows]
    assert {row["x_shelf"] for row in found} == {"Böden, 2"}


async def test_results_as_jsonl_have_the_same_names_and_real_types(
    service: Serve, run: Any, batchfill: Any, desk: Any
) -> None:
    desk.write(desk.rows(2, x_shelf="7"))
    provider = await service()
    await run(provider, "--limit", "1", "--concurrency", "1")
    told = await batchfill("results", "night.csv", "--format", "jsonl")
    first, second = map(json.loads, told.out.splitlines())
    assert list(first) == [*COLUMNS.split(","), "x_shelf"]
    assert (first["line"], first["state"], first["outputs"]) == (2, "done", ["outputs/r1.webp"])
    assert isinstance(first["seed"], int)
    assert first["prediction_id"] == provider.bill[0].prediction_id
    assert (second["outputs"], second["seed"], second["error"]) == ([], None, None)


async def test_the_results_kept_beside_the_pictures_are_the_same_with_the_mark_for_excel(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    await run(await service())
    kept = (three_rows.with_suffix(".batch") / "results.csv").read_bytes()
    told = await batchfill("results", "night.csv")
    assert kept.decode("utf-8-sig") == told.out
    assert kept.startswith(b"\xef\xbb\xbf")
    assert kept.count(b"\r\n") == 4


async def test_a_pipe_that_is_closed_early_is_no_error(
    service: Serve, run: Any, batchfill: Any, desk: Any
) -> None:
    """As `batchfill results night.csv | head -1`, with more to say than a pipe holds."""
    rows = desk.rows(200)
    for row in rows:
        row["prompt"] += " wet" * 200
    desk.write(rows)
    await run(await service(), "--limit", "1")
    for command in (["results"], ["results", "--format", "jsonl"], ["status"], ["check"]):
        ours, theirs = os.pipe()
        running = await batchfill.start(command[0], "night.csv", *command[1:], stdout=theirs)
        os.close(theirs)
        os.close(ours)
        ran = await running.ended()
        assert (command, ran.code, ran.err) == (command, 0, "")


# Folders of all kinds


async def test_a_folder_with_spaces_and_a_name_beyond_ascii_are_like_any_other(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    home = desk.folder / "meine Bilder 写真"
    shutil.move(desk.folder, desk.folder.with_name("before"))
    home.mkdir(parents=True)
    desk.folder = batchfill.folder = home
    desk.write(desk.rows(2), name="Nächte 夜.csv")
    ran = await batchfill("run", "Nächte 夜.csv", "--base-url", (await service()).base)
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (home / "Nächte 夜.batch" / "outputs").iterdir()) == [
        "r1.webp",
        "r2.webp",
    ]
    assert (await batchfill("status", home / "Nächte 夜.csv")).out.startswith("Nächte 夜.csv: not running\n")


@bound
async def test_in_a_folder_that_cannot_be_written_run_says_so_and_the_rest_works(
    service: Serve, run: Any, batchfill: Any, three_rows: Path
) -> None:
    folder = three_rows.with_suffix(".batch")
    provider = await service()
    three_rows.parent.chmod(0o555)
    ran = await run(provider, first=obey_modes)
    assert ran.code == 2
    assert "night.batch cannot be made: Permission denied" in ran.err
    three_rows.parent.chmod(0o755)
    assert (await run(provider)).code == 0
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    again = await run(provider, first=obey_modes)
    assert again.code == 2
    assert "cannot be written" in again.err
    assert "Traceback" not in again.err
    status = await batchfill("status", "night.csv", first=obey_modes)
    assert (status.code, status.out.splitlines()[0]) == (0, "night.csv: not running")
    results = await batchfill("results", "night.csv", first=obey_modes)
    assert (results.code, len(results.out.splitlines())) == (0, 4)
    checked = await batchfill("check", "night.csv", "--outputs", first=obey_modes)
    assert (checked.code, checked.out.splitlines()[0]) == (
        0,
        "every one of 3 files is in place and as it was fetched",
    )


# In a pipe and in a terminal


async def test_in_a_pipe_nothing_commands_a_terminal_whatever_the_service_says(
    service: Serve, run: Any, batchfill: Any, desk: Any, three_rows: Path
) -> None:
    evil = Fault("create", "fail", options={"error": "\x1b[2J\x1b]0;owned\x07 [red]no[/red]"})
    provider = await service(faults=Faults([evil]))
    said = [await run(provider, "--attempts", "1")]
    said += [await batchfill(command, "night.csv") for command in ("status", "check")]
    desk.write(desk.rows(1, **{"\x1b[2Jcolumn": "\x1b[1m"}), name="evil.csv")
    said += [await batchfill("check", "evil.csv"), await batchfill("run", "evil.csv", "--local")]
    said += [await batchfill("run", "\x1b[2J.csv")]
    assert [ran.code for ran in said] == [1, 0, 0, 2, 2, 2]
    for ran in said:
        assert not CONTROL.search(ran.out + ran.err)
    assert "[red]no[/red]" in said[0].err


async def test_a_terminal_is_asked_before_the_first_payment_and_no_means_nothing(
    service: Serve, batchfill: Any, terminal: Any, three_rows: Path
) -> None:
    provider = await service()
    command = ("run", "night.csv", "--base-url", provider.base)
    running = await batchfill.start(*command, **terminal.options())
    await running.meanwhile(terminal.shows("Submit 3 rows at an unknown price? [y/N]: "))
    assert "3 to run (3 pictures)" in terminal.text()
    terminal.types("n\n")
    assert (await running.ended()).code == 2
    await running.meanwhile(terminal.shows("nothing was started, and nothing was paid"))
    assert provider.creates_seen == 0


@pytest.mark.parametrize("key", ["\x03", "\x04", "\n"], ids=["Ctrl-C", "Ctrl-D", "Enter"])
async def test_whatever_is_not_yes_means_no(
    key: str, service: Serve, batchfill: Any, terminal: Any, three_rows: Path
) -> None:
    provider = await service()
    command = ("run", "night.csv", "--base-url", provider.base)
    running = await batchfill.start(*command, **terminal.options())
    await running.meanwhile(terminal.shows("[y/N]: "))
    ending = asyncio.ensure_future(running.ended())
    while not ending.done():
        # A Ctrl-C between the question and the reading of its answer is seen only with the next key.
        terminal.types(key)
        await asyncio.wait({ending}, timeout=1)
    assert ending.result().code == 2
    assert "Traceback" not in terminal.text()
    assert provider.creates_seen == 0


async def test_yes_begins_and_the_live_view_leaves_only_the_account(
    service: Serve, batchfill: Any, terminal: Any, three_rows: Path, let_go: asyncio.Event
) -> None:
    provider = await service()
    command = ("run", "night.csv", "--base-url", provider.base)
    running = await batchfill.start(*command, **terminal.options())
    await running.meanwhile(terminal.shows("[y/N]: "))
    terminal.types("y\n")
    await running.meanwhile(terminal.shows("3 running"))
    let_go.set()
    assert (await running.ended()).code == 0
    await running.meanwhile(terminal.shows("pictures: night.batch/outputs"))
    assert provider.billed == 3


@pytest.mark.parametrize("flags", [["--yes"], ["--local"]])
async def test_a_terminal_is_not_asked_when_the_answer_is_known(
    flags: list[str], service: Serve, batchfill: Any, terminal: Any, three_rows: Path
) -> None:
    base = [] if "--local" in flags else ["--base-url", (await service()).base]
    running = await batchfill.start("run", "night.csv", *base, *flags, **terminal.options())
    assert (await running.ended()).code == 0
    assert "[y/N]" not in terminal.text()


# The token


def holding_token(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


async def test_the_token_is_in_no_argument_no_output_and_no_file(
    service: Serve, batchfill: Any, desk: Any
) -> None:
    desk.write(desk.rows(12))
    echo = {"detail": f"Invalid token {TOKEN}", "title": TOKEN}
    provider = await service(
        latency=0.3,
        faults=Faults(
            [
                Fault("create", "status", at=frozenset({2}), options={"status": 500, "body": echo}),
                Fault("create", "reset_after", at=frozenset({3})),
                Fault("create", "fail", at=frozenset({4}), options={"error": f"no such token: {TOKEN}"}),
                Fault("get", "status", at=frozenset({1}), options={"status": 502, "body": f"<p>{TOKEN}"}),
                Fault("get", "invalid_json", at=frozenset({2})),
                Fault("output", "garbage", at=frozenset({1})),
            ]
        ),
    )
    batchfill.environ["PYTHONDEVMODE"] = "1"
    command = ("run", "night.csv", "--base-url", provider.base, "--attempts", "1", "--recover-wait", "0")
    running = await batchfill.start(*command, "--answer-timeout", "2", "--concurrency", "3")
    await running.meanwhile(provider.until(lambda: provider.billed >= 3))
    assert TOKEN.encode() not in Path(f"/proc/{running.pid}/cmdline").read_bytes()
    ran = [await running.ended()]
    del batchfill.environ["PYTHONDEVMODE"]  # which takes long to start, and changes only what runs
    ran += [await batchfill(name, "night.csv") for name in ("status", "results", "check")]
    provider.faults.add(Fault("account", "status", options={"status": 401, "body": echo}))
    ran.append(await batchfill("check", "night.csv", "--online", "--base-url", provider.base))
    ran.append(await batchfill(*command))
    assert [one.code for one in ran] == [1, 0, 0, 0, 4, 4]
    assert not [one for one in ran if TOKEN in one.out + one.err]
    assert holding_token(desk.folder) == []


async def test_no_option_of_the_run_takes_a_token(batchfill: Any) -> None:
    for command in ("run", "check", "cancel"):
        assert "--token" not in (await batchfill(command, "--help")).out


@pytest.mark.parametrize(
    "flag", [("--port", "99999"), ("--latency", "-1"), ("--per-minute", "0")], ids=" ".join
)
async def test_a_provider_that_cannot_be_is_refused_in_words(batchfill: Any, flag: tuple[str, str]) -> None:
    ran = await batchfill("serve", *flag)
    assert ran.code == 2
    assert f"Invalid value for '{flag[0]}'" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["results", "night.csv", "--format", LONG], "Error: Invalid value for '--format': 'zzz"),
        (["review", "night.csv", "--port", LONG], "is not a valid integer range."),
        (["run", "night.csv", f"--{LONG}"], "Error: No such option '--zzz"),
        (["run", "night.csv", "--set", LONG], "must be NAME=VALUE"),
        ([LONG], "Error: No such command 'zzz"),
        (["check", LONG], "File name too long"),
        (["init", LONG], "the name should end with .csv"),
    ],
)
async def test_a_word_that_is_a_whole_file_by_mistake_does_not_flood_the_terminal(
    batchfill: Any, words: list[str], told: str
) -> None:
    ran = await batchfill(*words)
    assert (ran.code, len(ran.err) < 500) == (2, True)
    assert told in ran.err
    assert ran.err.count("Invalid value") <= 1


async def test_no_words_at_all_get_the_help_once(batchfill: Any) -> None:
    ran = await batchfill()
    assert (ran.code, ran.err.count("Usage:"), "Error:" in ran.err) == (2, 1, False)


async def test_a_first_word_that_is_no_file_is_told_how_to_begin(batchfill: Any) -> None:
    ran = await batchfill("check", "night.csv")
    begin = "`batchfill init` writes a manifest to begin with"
    assert (ran.code, ran.err) == (2, f"batchfill: night.csv: no such file; {begin}\n")


async def test_a_misspelt_model_is_met_with_the_nearest_one(batchfill: Any, desk: Any) -> None:
    desk.write(desk.rows(1), "night.csv")
    ran = await batchfill("check", "night.csv", "--model", "black-forest-labs/flux-fill-dve")
    near = "its inputs are not checked; did you mean black-forest-labs/flux-fill-dev?"
    assert near in ran.out + ran.err
