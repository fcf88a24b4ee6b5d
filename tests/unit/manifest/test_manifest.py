from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

import pytest

from batchfill.errors import ManifestError, UsageError
from batchfill.manifest.manifest import open_manifest
from batchfill.manifest.record import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.rows import Row

ROW = "image,mask,prompt\nhttp://x/a,http://x/m,p\n"
LIST = "rows:\n  - {image: http://x/a, mask: http://x/m, prompt: p}\n"


def refusal(path: Path, content: str | bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as caught:
        open_manifest(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", ROW, "csv"),
        ("a.TSV", ROW, "csv"),
        ("a.jsonl", "{}", "jsonl"),
        ("a.ndjson", "{}", "jsonl"),
        ("a.yaml", LIST, "yaml"),
        ("a.yml", LIST, "yaml"),
        ("a.txt", ROW, "csv"),
        ("a", LIST, "yaml"),
        ("a", "# note\n" + LIST, "yaml"),
        ("a.json", '{"image": 1}\n', "jsonl"),
        ("a.json", '[{"image": 1}]', "json"),
        ("a.jsonl", '\ufeff\n [\n{"image": 1}]', "json"),
        ("a.jsonl", '{\n "image": 1\n}', "json"),
        ("a.jsonl", '{"image": 1},\n{"image": 2}', "json"),
    ],
)
def test_the_kind_shows_in_the_suffix_or_in_the_beginning(
    tmp_path: Path, name: str, content: str, kind: str
) -> None:
    (tmp_path / name).write_text(content)

    assert open_manifest(tmp_path / name).kind == kind


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", f"a.csv: {EMPTY}"),
        ("a.csv", "\ufeff\r\n \n", f"a.csv: {EMPTY}"),
        ("a.yaml", "", f"a.yaml: {EMPTY}"),
        ("a.yaml", "# nothing yet\n", f"a.yaml: {EMPTY}"),
        ("a.yaml", "---\n", f"a.yaml: {EMPTY}"),
        ("a.yaml", ROW, "a.yaml:1: one text instead of rows: (a CSV should be named .csv)"),
        ("a.yaml", "!!python/object:x {}\n", "a.yaml:1: the tag !!python/object:x is not allowed"),
        ("a.csv", "image\0", "a.csv:1: holds a NUL character: the file is damaged, or not a text file"),
        (
            "a.dat",
            b"\x01\x02\r\n\x1a\n\0\0",
            "a.dat:3: holds a NUL character: the file is damaged, or not a text file",
        ),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    assert refusal(tmp_path / name, content) == message


def test_a_missing_file_is_told_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text(ROW)

    assert refusal(tmp_path / "nigth.csv").endswith("nigth.csv: no such file; did you mean night.csv?")
    assert "a.csv: no such file; `batchfill init` writes" in refusal(tmp_path / "nowhere" / "a.csv")


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    assert "is a folder: a manifest is a CSV (.csv)" in refusal(tmp_path)


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROW)

    with pytest.raises(UsageError, match="--encoding klingon: no such encoding"):
        open_manifest(tmp_path / "a.csv", encoding="klingon")


def test_the_head_of_a_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_text(
        "model: black-forest-labs/flux-fill-dev\nconcurrency: 16\nmax_cost: 2.5\nuntil: 07:30\nprice: 0.04\n"
        "send: original\nextra_columns: keep\nattempts:\ndefaults: {guidance: 30, num_outputs: no, seed: ~}\n"
        "column:\n  image: photo_url\n" + LIST
    )

    manifest = open_manifest(path)

    assert manifest.settings == {
        "model": "black-forest-labs/flux-fill-dev",
        "concurrency": 16,
        "max_cost": 2_500_000,
        "until": time(7, 30),
        "price": 40_000,
        "send": "original",
        "extra_columns": True,
    }
    assert manifest.defaults == {"guidance": "30", "num_outputs": "no", "seed": ""}
    assert manifest.column == {"image": "photo_url"}
    assert manifest.lines["column.image"] == 11


def test_every_mistake_of_the_head_is_told(tmp_path: Path) -> None:
    content = (
        "concurrency: -3\nbase_url: http://evil\nconcurency: 3\nmodel: [a]\ndefaults: 3\n"
        "column: {image: {a: b}, mask: a, mask: b}\nprice: &p 1\nsend: a\nsend: b\n"
        "until: !!str x\n? [a]\n: b\n"
    )

    assert refusal(tmp_path / "a.yaml", content + LIST).splitlines() == [
        "a.yaml:1: concurrency must be between 1 and 1000, not -3",
        "a.yaml:2: base_url cannot be set in a manifest: give it on the command line",
        "a.yaml:3: unknown setting concurency; did you mean concurrency?",
        "a.yaml:4: model must be a single value",
        "a.yaml:5: defaults must be names and values, such as defaults: {guidance: 30}",
        "a.yaml:6: column: image must be a single value",
        "a.yaml:6: column: mask is given twice",
        "a.yaml:7: price: the anchor &p is not allowed",
        "a.yaml:8: send must be fitted or original, not 'a'",
        "a.yaml:9: send is given twice",
        "a.yaml:10: until: the tag !!str is not allowed",
        "a.yaml:11: a name must be a plain word",
    ]


def test_wrong_defaults_and_columns_are_told_with_their_lines(mistakes: Callable[..., list[str]]) -> None:
    content = "defaults:\n  guidance: 30\n  guidence: 30\ncolumn:\n  imag: a\n"

    assert mistakes(content + LIST, "night.yaml") == [
        "night.yaml:3: defaults: unknown input guidence; did you mean guidance?",
        "night.yaml:5: column: unknown input imag; did you mean image?",
    ]


@pytest.mark.parametrize("rows", ["", "~", "{a: b}"])
def test_rows_must_be_a_list_or_a_file(tmp_path: Path, rows: str) -> None:
    assert refusal(tmp_path / "a.yaml", f"rows: {rows}\n") == (
        "a.yaml:1: no rows: a list is expected below `rows:`, or the name of a file"
    )


def test_a_yaml_without_rows_is_told_what_to_add(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.yaml", "concurrency: 3\n") == (
        "a.yaml: no rows: add `rows:` and a list below it, or `rows: night.csv`"
    )


def test_an_empty_list_of_rows_is_a_mistake(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes("rows: []\n", "night.yaml") == ["night.yaml: no rows: add one for each picture"]


@pytest.mark.parametrize("name", ["table.csv", "sub/table.csv", "sub\\table.csv", "../table.jsonl"])
def test_rows_may_be_in_a_file_of_their_own(folder: Path, rows: Callable[..., list[Row]], name: str) -> None:
    file = folder / name.replace("\\", "/")
    file.parent.mkdir(exist_ok=True)
    jsonl = '{"image": "images/hero.png", "mask": "http://x/m", "prompt": "p"}\n'
    file.write_text(jsonl if name.endswith("jsonl") else "image,mask,prompt\nimages/hero.png,http://x/m,p\n")

    (row,) = rows(f"defaults: {{guidance: 3}}\nrows: {name}\n", "night.yaml")

    assert row.inputs["guidance"] == 3
    # Paths are relative to the manifest, wherever its rows are.
    assert row.local_files["image"].path == folder / "images" / "hero.png"


def test_mistakes_in_a_file_of_rows_name_that_file(folder: Path, mistakes: Callable[..., list[str]]) -> None:
    (folder / "table.csv").write_text(ROW + "http://x/a,,p\n")

    assert mistakes("rows: table.csv\n", "night.yaml") == [
        "table.csv:3: mask is empty: fill it in, or give one to all with `--set mask=…`"
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("other.yaml", "rows: other.yaml must be a CSV (.csv), JSONL (.jsonl) or Excel (.xlsx) file"),
        ("/etc/table.csv", "rows: /etc/table.csv is outside the folder above the manifest's: move it there"),
        ("../../x.csv", "rows: ../../x.csv is outside the folder above the manifest's: move it there"),
        ("empty.csv", f"rows: empty.csv: {EMPTY}"),
    ],
)
def test_a_file_of_rows_that_cannot_be_used_is_told(folder: Path, rows: str, message: str) -> None:
    (folder / "empty.csv").touch()

    assert refusal(folder / "a.yaml", f"\nrows: {rows}\n") == f"a.yaml:2: {message}"


def test_a_missing_file_of_rows_is_told(folder: Path) -> None:
    (folder / "table.csv").touch()

    message = refusal(folder / "a.yaml", "rows: tabel.csv\n")

    assert message.startswith("a.yaml:1: rows: ")
    assert message.endswith("tabel.csv: no such file; did you mean table.csv?")


def test_the_encoding_setting_is_about_the_file_of_rows(folder: Path, rows: Callable[..., list[Row]]) -> None:
    (folder / "table.csv").write_bytes("image,mask,prompt\nhttp://x/a,http://x/m,飞船\n".encode("gb18030"))

    (row,) = rows("# 飞船\nencoding: gb18030\nrows: table.csv\n", "night.yaml")

    assert row.inputs["prompt"] == "飞船"
    assert refusal(folder / "b.yaml", "encoding: klingon\nrows: table.csv\n").splitlines()[0] == (
        "b.yaml:1: encoding klingon: no such encoding"
    )


def test_the_encoding_setting_is_not_about_the_yaml_itself(rows: Callable[..., list[Row]]) -> None:
    content = "encoding: gb18030\nrows:\n  - {image: http://x/a, mask: http://x/m, prompt: 飞船}\n"

    (row,) = rows(content, "night.yaml")

    assert row.inputs["prompt"] == "飞船"


def test_mistakes_are_values(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("limit: 3\n" + LIST)

    with pytest.raises(ManifestError) as caught:
        open_manifest(tmp_path / "a.yaml")

    (mistake,) = caught.value.mistakes
    assert (mistake.file, mistake.line) == (tmp_path / "a.yaml", 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[blank, unchanged]", ("blank", "unchanged")),
        ("[unchanged, Blank, blank]", ("blank", "unchanged")),
        ("\n  - seam\n", ("seam",)),
        ("blank, size", ("blank", "size")),
        ("[]", None),
        ("", None),
    ],
)
def test_words_may_be_a_list_or_joined_by_commas(
    tmp_path: Path, text: str, words: tuple[str, ...] | None
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"redo_flagged: {text}\nredo_times: 2\n{LIST}")

    found = open_manifest(path)

    assert (found.settings.get("redo_flagged"), found.settings["redo_times"]) == (words, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[blank, blurred]", "must be some of blank, unchanged, drift, seam, duplicate, size, not 'blurred'"),
        ("[blank, [seam]]", "must be words, such as [blank, unchanged]"),
        ("[blank, {a: b}, [c]]", "must be words, such as [blank, unchanged]"),
        ("{a: b}", "must be words, such as [blank, unchanged]"),
        ("[!!str blank]", "must be words, such as [blank, unchanged]"),
    ],
)
def test_words_that_are_none_are_told_and_reading_goes_on(tmp_path: Path, text: str, told: str) -> None:
    content = f"redo_flagged: {text}\nprice: x\n"

    assert refusal(tmp_path / "a.yaml", content + LIST).splitlines() == [
        f"a.yaml:1: redo_flagged {told}",
        "a.yaml:2: price must be an amount of money such as 25 or 0.04, not 'x'",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said", "encoding"),
    [
        ("a.csv", "image,prompt\na.png,é\n".encode("cp1252"), {}, "cp1252"),
        ("a.csv", "image,prompt\na.png,é\n".encode("gb18030"), {"encoding": "gb18030"}, "gb18030"),
        ("a.yaml", "rows: b.csv\n# é\n".encode(), {}, "cp1252"),
        ("a.yaml", b"rows: b.csv\nencoding: gb18030\n", {}, "gb18030"),
        ("a.yaml", b"rows: b.csv\nencoding: cp1252\n", {"encoding": "gb18030"}, "gb18030"),
        ("a.yaml", "rows:\n- {image: a.png, prompt: é}\n".encode(), {}, None),
    ],
)
def test_an_encoding_that_is_said_elsewhere_is_the_last_to_count(
    tmp_path: Path, name: str, text: bytes, said: dict[str, str], encoding: str | None
) -> None:
    (tmp_path / name).write_bytes(text)
    if name.endswith(".yaml"):
        (tmp_path / "b.csv").write_bytes(b"image,prompt\na.png,x\n")
    manifest = open_manifest(tmp_path / name, **said, else_encoding="cp1252", else_sheet="Sheet2")
    assert manifest.encoding == encoding
