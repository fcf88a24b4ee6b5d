"""A user's folder with a manifest, providers on loopback, and batches that run between the two."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web
from hypothesis import HealthCheck, settings
from PIL import Image, ImageDraw

from batchfill.batch import Batch
from batchfill.check import check
from batchfill.emulator.emulator_predictions import Predictions
from batchfill.emulator.emulator_server import EmulatorServer
from batchfill.emulator.listener import serve_app
from batchfill.run import timings
from batchfill.run.clock import SystemClock
from batchfill.session import session
from batchfill.workers.pool import Processes
from tests.support.timings import QUICK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from batchfill.domain.reports import Plan, Result

settings.register_profile(
    "tests",
    # A machine that is busy with something else for a moment is no failure.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples each time; other ones are looked for on purpose.
    derandomize=not os.environ.get("BATCHFILL_FUZZ"),
    database=None,
)
settings.load_profile("tests")

TOKEN = "r8_for_tests_only"


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Let the programs that tests start hear Ctrl-C.

    What a script starts in the background is born deaf to it, pytest too, and hands that on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


SETTINGS = re.compile(
    r"_?BATCHFILL_.*|REPLICATE_.*|(HTTPS?|ALL|NO)_PROXY|NETRC|SSL.*|XDG_.*|(WAYLAND_)?DISPLAY"
    r"|LANG|LANGUAGE|LC_.*|COLUMNS|LINES|(NO|FORCE)_COLOR|CLICOLOR.*|COLORTERM|TTY_.*"
    r"|PYTHON(?!PATH$|HOME$|DONTWRITEBYTECODE$).*",
    re.IGNORECASE,
)
"""Variables by which users tell programs how to behave."""


@pytest.fixture(autouse=True, scope="session")
def _unset() -> Iterator[None]:
    """Let no test, and no program that one starts, obey the shell in which the tests were started."""
    for name in [name for name in os.environ if SETTINGS.fullmatch(name)]:
        del os.environ[name]
    # Not among the folders of tests: manifests that lie near a home reach less far.
    with TemporaryDirectory(prefix="home-", ignore_cleanup_errors=True) as home:
        os.environ.update(HOME=home, USERPROFILE=home)
        yield


class Kept(Processes):
    """Processes that outlive a run: each of a thousand runs would start some of its own for tiny pictures."""

    idle: ClassVar[list[Any]] = []

    def __init__(self, most: int | None = None, *, hidden: Iterable[str] = ()) -> None:
        super().__init__(most, hidden=hidden)
        self._idle = self.idle

    def close(self) -> None:
        """Leave them to the next run."""


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (session, check):
        monkeypatch.setattr(module, "Processes", Kept)


@pytest.fixture(autouse=True, scope="session")
def _let_go() -> Iterator[None]:
    yield
    while Kept.idle:
        Kept.idle.pop().end()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the waits short that only a service far away needs."""
    monkeypatch.setattr(timings, "DEFAULT", QUICK)


class Providers:
    """Starts local emulators, tiny and quick unless told otherwise, and stops them in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[EmulatorServer, tuple[str, dict[str, Any]]] = {}

    async def __call__(self, folder: str = "provider", **options: Any) -> EmulatorServer:
        return await self._start(folder, {"token": TOKEN, "tiny": True} | options, port=0)

    async def again(self, provider: EmulatorServer, **options: Any) -> EmulatorServer:
        """Stop *provider* and start its successor: same folder and address, these *options* changed."""
        folder, before = self._started.pop(provider)
        port = urlsplit(provider.base).port
        await provider.stop()
        return await self._start(folder, before | {"faults": None} | options, port=port or 0)

    async def stop(self) -> None:
        for provider in self._started:
            await provider.stop()

    async def _start(self, folder: str, options: dict[str, Any], port: int) -> EmulatorServer:
        provider = EmulatorServer(self._folder / folder, **options)
        self._started[provider] = (folder, options)
        await provider.start(port=port)
        return provider


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Providers]:
    """`await service(faults=…, latency=…)` starts a provider that wants TOKEN; see Providers."""
    providers = Providers(tmp_path)
    yield providers
    await providers.stop()


@pytest.fixture
def let_go(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Hold back predictions and delayed answers of providers in this process until the event is set."""
    event = asyncio.Event()

    async def until(*_: object) -> None:
        await event.wait()

    async def pause(*_: object) -> bool:
        await event.wait()
        return True

    monkeypatch.setattr(Predictions, "_sleep_until", until)
    monkeypatch.setattr(EmulatorServer, "_pause_for", pause)
    yield event
    event.set()


class Desk:
    """The folder in which a user keeps pictures and manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, name: str, *, size: tuple[int, int] = (64, 48), shade: int = 90) -> str:
        """Save a small picture with a mask of the same name; return the picture's name."""
        for place, background, patch in (("images", (shade, 120, 200), (200, 60, 30)), ("masks", 0, 255)):
            target = self.folder / place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            image = Image.new("L" if place == "masks" else "RGB", size, background)
            ImageDraw.Draw(image).rectangle((16, 12, 48, 36), fill=patch)
            image.save(target)
        return name

    def rows(self, count: int, **cells: str) -> list[dict[str, str]]:
        """Return rows r1, r2, … of one small picture, each with a prompt of its own and these *cells*."""
        name = self.picture("a.png")
        files = {"image": f"images/{name}", "mask": f"masks/{name}"}
        return [{"id": f"r{n}", **files, "prompt": f"picture {n}", **cells} for n in range(1, count + 1)]

    def write(self, rows: Sequence[Mapping[str, str]], name: str = "night.csv", **head: object) -> Path:
        """Write a CSV manifest, or with a *head* a YAML manifest beside it; return which of them to run."""
        table = self.folder / name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with table.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
        if not head:
            return table
        manifest = table.with_suffix(".yaml")
        settings = [f"{key}: {value}" for key, value in head.items()]
        manifest.write_text("\n".join([*settings, f"rows: {name}", ""]), "utf-8")
        return manifest


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The user's folder."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return Desk(folder)


@pytest.fixture
def batch(desk: Desk, hurry: None) -> Callable[..., Batch]:
    """Make a batch that runs at a provider or an address; *rows*: a number, or the rows themselves.

    Without *rows* the manifest written last is opened again. *head* makes it a YAML manifest with these
    settings; everything else is a flag of `batchfill run`.
    """
    written: list[Path] = []

    def make(
        at: EmulatorServer | str | None,
        rows: int | Sequence[Mapping[str, str]] | None = None,
        *,
        name: str = "night.csv",
        head: Mapping[str, object] | None = None,
        token: str = TOKEN,
        **flags: Any,
    ) -> Batch:
        if rows is not None:
            rows = desk.rows(rows) if isinstance(rows, int) else rows
            written.append(desk.write(rows, name, **(head or {})))
        base = at.base if isinstance(at, EmulatorServer) else at
        flags = {"base_url": base, "rate": 60_000, **flags}
        return Batch.open(written[-1], environ={"BATCHFILL_TOKEN": token}, **flags)

    return make


@pytest.fixture
def states() -> Callable[[Batch], dict[str, str]]:
    """Return what becomes of each row, by its id."""
    return lambda batch: {result.id: result.state.value for result in batch.results()}


@pytest.fixture
def result() -> Callable[..., Result]:
    """Return the result of one row."""
    return lambda batch, id_="r1": next(found for found in batch.results() if found.id == id_)


class Plans(list["Plan"]):
    """The plans that were shown before the first payment, in order."""

    def accept(self, plan: Plan) -> bool:
        """Let the run go on."""
        self.append(plan)
        return True

    def decline(self, plan: Plan) -> bool:
        """Let nothing be started."""
        self.append(plan)
        return False


@pytest.fixture
def plans() -> Plans:
    """`run(confirm=plans.accept)`; see Plans."""
    return Plans()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put batchfill's clock so many seconds ahead, as if they had passed."""
    ahead = [0.0]
    monkeypatch.setattr(SystemClock, "now", lambda _: time.time() + ahead[0])

    def pass_(seconds: float) -> None:
        ahead[0] += seconds

    return pass_


class Elsewhere:
    """An origin that is none of the provider's: it notes who comes, and with what token."""

    def __init__(self) -> None:
        self.base = ""
        self.asked: list[str] = []
        """The paths asked for."""
        self.tokens: list[str] = []
        """The Authorization headers that came, of any scheme."""

    async def meet(self, request: web.Request) -> web.Response:
        """Answer whatever is asked as a service would that knows nobody."""
        self.asked.append(request.path)
        self.tokens += request.headers.getall("Authorization", [])
        return web.json_response({"detail": "Not found."}, status=404)


@pytest.fixture
async def origin() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await origin(handler)` serves every request with it, at any port or the one given; returns where."""
    async with AsyncExitStack() as stack:

        async def serve(handler: Any, port: int = 0) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            served, stop = await serve_app(app, "127.0.0.1", port)
            stack.push_async_callback(stop)
            return served

        yield serve


@pytest.fixture
def free_port() -> int:
    """Return a port of loopback at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
async def elsewhere(origin: Callable[..., Awaitable[str]]) -> Elsewhere:
    """A second origin that nobody should show a token to."""
    found = Elsewhere()
    found.base = await origin(found.meet)
    return found


@pytest.fixture
async def gateway(
    origin: Callable[..., Awaitable[str]],
) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """`await gateway(provider, change)` passes calls on; *change* edits the text of each answer."""
    async with ClientSession(auto_decompress=True) as onward:

        async def open_(provider: EmulatorServer, change: Callable[[str], str]) -> str:
            root = provider.base.removesuffix("/v1")

            async def hand_on(request: web.Request) -> web.Response:
                kept = {n: v for n, v in request.headers.items() if n in ("Authorization", "Content-Type")}
                call = onward.request(
                    request.method, root + request.path_qs, data=await request.read(), headers=kept
                )
                async with call as answer:
                    text = change(await answer.text())
                    return web.Response(status=answer.status, text=text, content_type=answer.content_type)

            return await origin(hand_on) + "/v1"

        yield open_


class Crash(BaseException):
    """The program dies here: nothing after it runs."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[Crash]]:
    """`crash(Service, "create", at=2)` kills the program at the second call, `after=True`: at its return."""

    def arrange(owner: type, method: str, *, at: int = 1, after: bool = False) -> type[Crash]:
        real, calls = getattr(owner, method), [0]

        async def dying(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            now = calls[0] == at
            if now and not after:
                raise Crash
            answer = await real(*args, **kwargs)
            if now:
                raise Crash
            return answer

        monkeypatch.setattr(owner, method, dying)
        return Crash

    return arrange


HANGS = 300
"""Seconds after which a process that does not do what a test waits for is taken to hang."""

STRAGGLES = 30
"""Seconds for which what an ended process did last may still be on its way."""


class Ran(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


class Running:
    """A process that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = ""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def says(self, text: str) -> None:
        """Return when a line of its standard error holds *text*."""
        assert self._process.stderr is not None
        line = ""
        while text not in line:
            async with asyncio.timeout(HANGS):
                line = (await self._process.stderr.readline()).decode()
            self._said += line
            assert line, f"it ended without a word of {text!r}: {self._said}"

    async def prints(self) -> str:
        """Return the next line of its standard output."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()

    async def meanwhile(self, event: Awaitable[Any]) -> None:
        """Return when *event* has happened, which it must do before the process ends."""
        happened, ended = asyncio.ensure_future(event), asyncio.ensure_future(self._process.wait())
        await asyncio.wait({happened, ended}, timeout=HANGS, return_when=asyncio.FIRST_COMPLETED)
        # What it did last may still be on its way.
        await asyncio.wait({happened}, timeout=STRAGGLES)
        in_time = happened.done()
        for waiting in (happened, ended):
            waiting.cancel()
        if not in_time:
            self.signal(signal.SIGKILL)
            pytest.fail(f"it never happened: {await self.ended()}")
        happened.result()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> Ran:
        """Return when it has ended."""
        ending = asyncio.ensure_future(self._process.communicate())
        hangs = not (await asyncio.wait({ending}, timeout=HANGS))[0]
        if hangs:
            self.signal(signal.SIGKILL)
        out, err = await ending
        assert not hangs, f"it did not end: {self._said}{(err or b'').decode()}"
        assert self._process.returncode is not None
        return Ran(self._process.returncode, (out or b"").decode(), self._said + (err or b"").decode())


class Terminal:
    """A terminal of 80 columns on which one command runs."""

    def __init__(self) -> None:
        # Only POSIX has it, and only the tests that ask for a terminal need it.
        import pty

        self._ours, self._theirs = pty.openpty()
        self._news = asyncio.Event()
        self._shown = b""
        self._open = True
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def options(self) -> dict[str, Any]:
        """Return what to start a process with so that this is its terminal, whose end is its hang-up."""
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), self._theirs)
        return {**ends, "preexec_fn": lambda: os.login_tty(self._theirs)}

    def text(self) -> str:
        """Return everything that was shown so far, with its escape sequences."""
        return self._shown.decode(errors="replace")

    async def shows(self, text: str) -> None:
        """Return when *text* has been shown."""
        while text not in self.text():
            assert self._open, f"the terminal was closed without {text!r}: {self.text()}"
            self._news.clear()
            await self._news.wait()

    def types(self, text: str) -> None:
        """Press keys; a control character is what Ctrl and a letter make."""
        os.write(self._ours, text.encode())

    def close(self) -> None:
        """Close the window."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._ours)
            os.close(self._ours)
            os.close(self._theirs)
            self._news.set()

    def _read(self) -> None:
        self._shown += os.read(self._ours, 65536)
        self._news.set()


@pytest.fixture
async def terminal() -> AsyncIterator[Terminal]:
    """`batchfill.start(…, **terminal.options())` runs a command in a terminal; see Terminal."""
    opened = Terminal()
    yield opened
    opened.close()


HURRIED = f"""
from batchfill.run import timings
timings.DEFAULT = timings.{QUICK!r}
from batchfill.cli.app import main
main()
"""
"""What runs the command line with those waits cut short."""


class Program:
    """The command line, in processes of its own that begin in the user's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hurry = True
        """Whether `run` and `cancel` cut the waits short that only a service far away needs."""
        self._started: list[Running] = []
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        root = str(Path(__file__).parents[1])
        usual = {"PYTHONPATH": root, "PYTHONUTF8": "1", "TERM": "xterm", "BATCHFILL_TOKEN": TOKEN}
        self.environ = kept | usual

    async def start(self, *arguments: object, **options: Any) -> Running:
        """Start a command; *options* are those of asyncio.create_subprocess_exec."""
        program = ["-c", HURRIED] if self.hurry and arguments[0] in ("run", "cancel") else ["-m", "batchfill"]
        return await self._start(*program, *map(str, arguments), **options)

    async def python(self, *arguments: str) -> Ran:
        """Run Python with other arguments than `-m batchfill` to its end."""
        return await (await self._start(*arguments)).ended()

    async def _start(self, *arguments: str, **options: Any) -> Running:
        pipe = asyncio.subprocess.PIPE
        usual: dict[str, Any] = {"stdin": asyncio.subprocess.DEVNULL, "stdout": pipe, "stderr": pipe}
        usual |= {"cwd": self.folder, "env": self.environ}
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, **(usual | options))
        self._started.append(Running(process))
        return self._started[-1]

    async def __call__(self, *arguments: object, **options: Any) -> Ran:
        """Run a command to its end."""
        return await (await self.start(*arguments, **options)).ended()

    async def stop(self) -> None:
        for running in self._started:
            running.signal(signal.SIGKILL)
            with suppress(ValueError):
                await running.ended()


@pytest.fixture
async def batchfill(desk: Desk) -> AsyncIterator[Program]:
    """`await batchfill("check", "night.csv")` runs the command line in a process; see Program."""
    program = Program(desk.folder)
    yield program
    await program.stop()
