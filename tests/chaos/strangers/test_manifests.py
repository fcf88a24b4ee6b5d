"""A manifest that a stranger wrote: it reads no file of the user's, asks no network, and runs nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from batchfill.domain.rows import Row
from batchfill.errors import ManifestError, Mistake
from batchfill.manifest.local_files import digest_file
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.validation import read_rows
from tests.support.models import DEV, known_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Read = Callable[..., list[str]]

SECRET = b"id,image,mask,prompt\nkey,https://x/a.png,https://x/b.png,a secret\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home, with secrets in it."""
    home = tmp_path / "home" / "user"
    for name in (
        ".ssh/id_rsa",
        ".env",
        "taxes.csv",
        "Downloads/night/a.png",
        "Downloads/other.png",
        ".x/y.png",
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    return home


def read(folder: Path, content: str, name: str = "night.csv", **options: Any) -> Iterator[Row | Mistake]:
    """Read a manifest in *folder*; give its rows and mistakes."""
    path = folder / name
    path.write_text(content, "utf-8")
    model = known_model(DEV)
    try:
        manifest = open_manifest(path)
    except ManifestError as error:
        yield from error.mistakes
        return
    yield from read_rows(manifest, model, digest=digest_file, **options)


def row(folder: Path, image: str, **options: Any) -> Row | str:
    """Return the row with this *image*, or the mistake."""
    (found,) = read(folder, f'image,mask,prompt\n"{image}",https://x/m.png,p\n', **options)
    return found if isinstance(found, Row) else found.message


# Other people's files


@pytest.mark.parametrize(
    ("at", "image"),
    [
        ("Downloads", "../.ssh/id_rsa"),
        ("Downloads", "../taxes.csv"),
        ("Downloads", "{home}/taxes.csv"),
        ("Downloads/night", "../../.ssh/id_rsa"),
        ("Downloads/night", "../../taxes.csv"),
        ("Downloads/night", "/proc/self/environ"),
        ("Downloads/night", "/dev/zero"),
        ("Downloads/night", "link.png"),
        ("Downloads/night", "folder/taxes.csv"),
        (".", "../../../../../etc/passwd"),
    ],
)
def test_files_outside_are_not_read(home: Path, at: str, image: str) -> None:
    folder = home / at
    (folder / "link.png").symlink_to(home / ".ssh" / "id_rsa")
    (folder / "folder").symlink_to(home)
    said = row(folder, image.format(home=home))
    assert isinstance(said, str)
    assert "is outside the" in said
    assert "give --allow-outside" in said


@pytest.mark.parametrize(
    ("at", "image"),
    [(".", ".ssh/id_rsa"), (".", ".env"), (".", "Downloads/../.env"), ("Downloads/night", "../.keys/a.png")],
)
def test_hidden_files_are_not_read(home: Path, at: str, image: str) -> None:
    (home / "Downloads" / ".keys").mkdir()
    (home / "Downloads" / ".keys" / "a.png").write_bytes(b"key")
    said = row(home / at, image)
    assert isinstance(said, str)
    assert "is hidden by a dot" in said
    assert isinstance(row(home / at, image, allow_outside=True), Row)


@pytest.mark.parametrize(
    "image",
    ["~/taxes.csv", "$HOME/taxes.csv", "C:\\Users\\x.png", "\\\\host\\share\\x.png", "//host/share/x.png"],
)
def test_names_that_other_programs_would_expand_are_just_names(home: Path, image: str) -> None:
    said = row(home / "Downloads" / "night", image)
    assert isinstance(said, str)
    assert "no such file" in said or "is outside" in said


def test_the_folder_above_may_be_named_unless_it_is_the_home_or_above_it(home: Path) -> None:
    assert isinstance(row(home / "Downloads" / "night", "../other.png"), Row)
    assert isinstance(row(home / "Downloads", "../taxes.csv"), str)
    assert isinstance(row(home, "../user/taxes.csv"), Row)
    hidden = home / ".x"
    assert isinstance(row(hidden, "y.png"), Row), "a manifest in a hidden folder may name its neighbours"


@pytest.mark.parametrize("rows", ["../taxes.csv", "{home}/taxes.csv", "link.csv", "/proc/self/x.csv"])
def test_rows_are_not_read_from_outside(home: Path, rows: str) -> None:
    folder = home / "Downloads"
    (folder / "link.csv").symlink_to(home / "taxes.csv")
    (found,) = read(folder, f"rows: {rows.format(home=home)}\n", "night.yaml")
    assert isinstance(found, Mistake)
    assert "is outside the manifest's folder: move it there" in found.message


def test_rows_are_read_from_where_their_name_says(home: Path) -> None:
    folder = home / "Downloads" / "night"
    (home / "Downloads" / "other.csv").write_text("image,prompt\ny.png,p\n")
    (folder / "link.csv").symlink_to("../other.csv")
    (found,) = read(folder, "rows: link.csv\n", "night.yaml")
    assert isinstance(found, Mistake)
    assert "rows: link.csv is outside the manifest's folder, by way of a link: move it there" in found.message
    assert not any("is outside" in str(row) for row in read(folder, "rows: ../other.csv\n", "night.yaml"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_rows_are_not_waited_for_at_a_pipe(home: Path) -> None:
    os.mkfifo(home / "Downloads" / "pipe.csv")
    (found,) = read(home / "Downloads", "rows: pipe.csv\n", "night.yaml")
    assert "is not a regular file" in str(found)


def test_a_file_too_large_to_be_a_picture_is_not_read(home: Path) -> None:
    folder = home / "Downloads" / "night"
    with (folder / "huge.png").open("wb") as file:
        file.truncate(2**40)
    said = row(folder, "huge.png")
    assert said == "image: huge.png has 1,048,576 MiB; at most 512 are taken: scale it down"


# Without end


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("night.yaml", "rows:\n- " + "[" * 300_000, "values inside values inside values"),
        ("night.yaml", "rows:\n- " + "{a: " * 100_000, "values inside values inside values"),
        ("night.yaml", "a: " + "[" * 100_000, "values inside values inside values"),
        (
            "night.yaml",
            "rows:\n- {prompt: '" + "a" * 20_000_000,
            "a row or a setting of more than 1,000,000 characters",
        ),
        ("night.yaml", "# " + "a" * 20_000_000, "a row or a setting of more than 1,000,000 characters"),
        (
            "night.yaml",
            "defaults: {a: [" + "b, " * 500_000,
            "a row or a setting of more than 1,000,000 characters",
        ),
        ("night.jsonl", '{"image": "' + "a" * 20_000_000, "a row of more than 1,000,000 characters"),
        ("night.jsonl", '{"a": ' * 100_000, "is one object (a), where a manifest is a list of rows"),
        ("night.csv", "image," * 5_000_000, "a row of more than 1,000,000 characters"),
        ("night.csv", "," * 900_000 + "image\n", "900,001 columns; at most 1,000 are allowed"),
        ("night.csv", 'image,mask,prompt\n"' + "a\n" * 5_000_000, "a quote opens here and is never closed"),
    ],
    ids=lambda value: value[:25] if isinstance(value, str) else None,
)
def test_what_does_not_end_is_a_mistake_soon(home: Path, name: str, content: str, message: str) -> None:
    assert any(message in str(found) for found in read(home / "Downloads", content, name))


def test_a_long_yaml_of_short_rows_is_read_to_its_end(home: Path) -> None:
    line = "- {image: 'https://x/a.png', mask: 'https://x/b.png', prompt: " + "p" * 5000 + "}\n"
    assert sum(isinstance(found, Row) for found in read(home, "rows:\n" + line * 300, "night.yaml")) == 300


# Network and code

WATCHED = """
import os, sys
def watch(event, given):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostby")):
        os.write(2, f"NETWORK {event} {given}\\n".encode()); os._exit(99)
    if event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork"):
        os.write(2, f"PROGRAM {event} {given}\\n".encode()); os._exit(98)
    if event == "open" and "id_rsa" in str(given[0]):
        os.write(2, f"OPENED {given}\\n".encode()); os._exit(97)
sys.addaudithook(watch)
from batchfill.cli.app import main
main()
"""

HOSTILE = """\
model: evil/model
defaults:
  lora_weights: https://10.0.0.1/x
rows:
  - {id: one, image: "https://x.test/a.png", mask: "http://169.254.169.254/m.png", prompt: "$(id) `id`"}
  - {id: two, image: ../../.ssh/id_rsa, mask: "file:///etc/passwd", prompt: p}
  - {id: three, image: "\\x5cx1b", mask: "https://x.test/\\x1b[2J", prompt: "=cmd|' /C calc'!A0"}
  - !!python/object/apply:os.system ["touch owned"]
  - {id: four, image: !!python/name:os.system x, mask: *m, prompt: p}
"""


@pytest.mark.parametrize("name", ["night.yaml", "night.csv"])
async def test_check_asks_no_network_runs_nothing_and_opens_no_secret(
    home: Path, batchfill: Any, desk: Any, name: str
) -> None:
    text = (
        HOSTILE
        if name == "night.yaml"
        else "image,mask,prompt\nhttps://x.test/a.png,https://y.test/b.png,p\n"
    )
    (desk.folder / name).write_text(text, "utf-8")
    batchfill.environ["HOME"] = str(home)
    ran = await batchfill.python("-c", WATCHED, "check", name, "--base-url", "https://provider.test/v1")
    assert ran.code == (2 if name == "night.yaml" else 0), ran.err
    assert not {path.name for path in desk.folder.iterdir()} - {name}
    assert "\x1b" not in ran.out + ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "setting",
    [
        "base_url: https://evil.test/v1",
        "out: /tmp/elsewhere",
        "token: x",
        "allow_outside: true",
        "retry: failed",
    ],
)
def test_a_manifest_cannot_say_where_the_token_goes(home: Path, setting: str) -> None:
    found = list(read(home, f"{setting}\nrows: []\n", "night.yaml"))
    assert any(setting.partition(":")[0] in str(mistake) for mistake in found if isinstance(mistake, Mistake))
