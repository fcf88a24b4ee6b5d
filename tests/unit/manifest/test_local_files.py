from __future__ import annotations

import os
import re
import sys
import unicodedata
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.domain.rows import NamedFile, Stamp
from batchfill.manifest import local_addresses
from batchfill.manifest.local_files import FileLocations, LocalFiles, digest_file
from tests.support.capabilities import obeying_modes
from tests.support.modes import bound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.domain.rows import LocalFile, Row

Form = Literal["NFC", "NFD"]
sensitive = pytest.mark.skipif(
    os.name == "nt" or sys.platform == "darwin", reason="case tells no files apart"
)


@pytest.fixture
def files(folder: Path) -> LocalFiles:
    return LocalFiles(folder, allow_outside=False, digest=digest_file)


def test_a_path_is_relative_to_the_manifest(files: LocalFiles, folder: Path) -> None:
    found = files.find_file("images/hero.png")

    assert found is not None
    assert found.path == folder / "images" / "hero.png"
    assert found.stamp.size == len("hero.png")
    assert found.sha256 == sha256(b"hero.png").hexdigest()
    assert found.stamp == Stamp.of(found.path.stat())


@pytest.mark.parametrize("address", ["images\\hero.png", "./images//hero.png", "images/../images/hero.png"])
def test_a_path_may_be_written_in_other_ways(files: LocalFiles, folder: Path, address: str) -> None:
    found = files.find_file(address)

    assert found is not None
    assert found.path == folder / "images" / "hero.png"


@pytest.mark.skipif(os.name == "nt", reason="a backslash always separates there")
def test_a_file_whose_name_has_a_backslash_is_found_first(files: LocalFiles, folder: Path) -> None:
    (folder / "images\\hero.png").write_bytes(b"odd")

    found = files.find_file("images\\hero.png")

    assert found is not None
    assert found.stamp.size == 3


@pytest.mark.parametrize("address", ["http://x/a.png", "HTTPS://x/a.png?b=c#d", "https://[::1]:80/ü.png"])
def test_a_url_is_no_local_file(files: LocalFiles, address: str) -> None:
    assert files.find_file(address) is None


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "data:image/png;base64,AAAA",
            "data: addresses are not taken: save the picture as a file and name that",
        ),
        (
            "ftp://x/a.png",
            "ftp: addresses are not taken: give a file, or an http(s), s3, gs or az address",
        ),
        (
            "file:///etc/passwd",
            "file: addresses are not taken: give a file, or an http(s), s3, gs or az address",
        ),
        (
            "hdfs://a/key",
            "hdfs: addresses are not taken: give a file, or an http(s), s3, gs or az address",
        ),
        ("http://", "http:// is not a whole address"),
        ("https://x/a b.png", "https://x/a b.png is not a whole address"),
        ("images/heros.png", "no such file images/heros.png; did you mean hero.png?"),
        ("images/zzzzzzzz", "no such file images/zzzzzzzz"),
        ("image/hero.png", "no such file image/hero.png (there is no folder image)"),
        ("images/hero.png/x", "no such file images/hero.png/x (there is no folder hero.png)"),
        ("images", "images is a folder, not a file"),
        ("empty.png", "empty.png is an empty file"),
        (
            "C:\\pictures\\a.png",
            "no such file C:\\pictures\\a.png (there is no folder pictures, as paths of Windows name it: "
            "write the path from the manifest's folder on)",
        ),
        (
            "~/pictures/a.png",
            "no such file ~/pictures/a.png (there is no folder pictures: ~ is a home folder for shells only, "
            "so write it out)",
        ),
        (
            "photos/a.png",
            "no such file photos/a.png (there is no folder photos: paths start from the manifest's folder, "
            "so did you mean ../photos?)",
        ),
        ("x" * 300, f"{'x' * 100}… cannot be read: File name too long"),
    ],
)
def test_what_is_no_usable_file_is_told(files: LocalFiles, folder: Path, address: str, message: str) -> None:
    (folder / "empty.png").touch()
    (folder.parent / "photos").mkdir()

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        files.find_file(address)


@pytest.mark.parametrize(
    "address", ["/etc/passwd", "../../secret.png", "images/../../../secret.png", "link.png"]
)
def test_a_file_outside_is_refused_even_through_a_link(files: LocalFiles, folder: Path, address: str) -> None:
    secret = folder.parent.parent / "secret.png"
    secret.write_bytes(b"secret")
    (folder / "link.png").symlink_to(secret)

    with pytest.raises(
        ValueError, match="is outside the folder above the manifest's: copy it there, or give"
    ):
        files.find_file(address)


def linked(folder: Path, way: str) -> str:
    """Put links to a neighbour of *folder* below it, and return the address that goes by them."""
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "a.png").write_bytes(b"a neighbour's")
    match way:
        case "link":
            (folder / "a.png").symlink_to(outside / "a.png")
            return "a.png"
        case "relative link":
            (folder / "images/a.png").symlink_to("../../outside/a.png")
            return "images/a.png"
        case "chain":
            (folder / "a.png").symlink_to("b.png")
            (folder / "b.png").symlink_to("images/c.png")
            (folder / "images/c.png").symlink_to(outside / "a.png")
            return "a.png"
        case "folder":
            (folder / "sub").symlink_to(outside)
            return "sub/a.png"
        case "folder above":
            (folder / "sub").symlink_to("..")
            return "sub/outside/a.png"
        case _:
            (folder / "sub").symlink_to(outside)
            (folder / "images/deep").symlink_to("../sub")
            return "images\\deep\\a.png"


WAYS = ["link", "relative link", "chain", "folder", "folder above", "folders of Windows"]


@pytest.mark.parametrize("way", WAYS)
def test_a_link_leads_no_further_than_the_address_says(files: LocalFiles, folder: Path, way: str) -> None:
    address = linked(folder, way)

    with pytest.raises(ValueError, match="is outside the manifest's folder, by way of a link: copy it there"):
        files.find_file(address)
    assert files.find_file("../outside/a.png") is not None
    allowed = LocalFiles(folder, allow_outside=True, digest=digest_file).find_file(address)
    assert allowed is not None
    assert allowed.path == folder.parent / "outside/a.png"


@pytest.mark.parametrize("way", ["link", "chain", "folder", "back again"])
def test_a_link_that_stays_inside_is_followed(files: LocalFiles, folder: Path, way: str) -> None:
    (folder / "chain.png").symlink_to("link.png")
    (folder / "link.png").symlink_to("images/hero.png")
    (folder / "pictures").symlink_to("images")
    (folder / "up").symlink_to("..")
    address = {
        "link": "link.png",
        "chain": "chain.png",
        "folder": "pictures/hero.png",
        "back again": f"up/{folder.name}/images/hero.png",
    }[way]

    found = files.find_file(address)

    assert found is not None
    assert found.path == folder / "images/hero.png"


@pytest.mark.parametrize("outside", [False, True])
def test_a_link_that_is_put_in_place_while_a_file_is_read_is_noticed(folder: Path, outside: bool) -> None:
    (folder.parent / "secret.png").write_bytes(b"secret")

    def digest(path: Path) -> LocalFile:
        path.unlink()
        path.symlink_to(folder.parent / "secret.png" if outside else folder / "images/street.png")
        return digest_file(path)

    files = LocalFiles(folder, allow_outside=False, digest=digest)

    with pytest.raises(ValueError, match="is outside the" if outside else "was changed while it was read"):
        files.find_file("images/hero.png")


def test_a_file_beside_the_manifest_s_folder_is_inside(files: LocalFiles, folder: Path) -> None:
    (folder.parent / "common.png").write_bytes(b"shared")

    assert files.find_file("../common.png") is not None


def test_a_file_outside_is_found_when_that_is_allowed(folder: Path) -> None:
    secret = folder.parent.parent / "secret.png"
    secret.write_bytes(b"secret")

    files = LocalFiles(folder, allow_outside=True, digest=digest_file)

    assert files.find_file(str(secret)) is not None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_refused_without_waiting_for_it(files: LocalFiles, folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")

    with pytest.raises(ValueError, match=r"pipe\.png is not a regular file"):
        files.find_file("pipe.png")


def test_a_file_that_cannot_be_read_is_a_mistake(folder: Path) -> None:
    def locked(path: Path) -> LocalFile:
        raise PermissionError(13, "Permission denied", path)

    files = LocalFiles(folder, allow_outside=False, digest=locked)

    with pytest.raises(ValueError, match=r"images/hero\.png cannot be read: Permission denied"):
        files.find_file("images/hero.png")


def test_a_file_of_many_rows_is_digested_once(folder: Path, rows: Callable[..., list[Row]]) -> None:
    digested = []

    def digest(path: Path) -> LocalFile:
        digested.append(path.name)
        return digest_file(path)

    found = rows("image,mask,prompt\n" + "images/hero.png,images/mask.png,p\n" * 50, digest=digest)

    assert len(found) == 50
    assert sorted(digested) == ["hero.png", "mask.png"]


def test_only_the_first_mistakes_look_for_near_names(mistakes: Callable[..., list[str]]) -> None:
    found = mistakes("image,mask,prompt\n" + "images/heros.png,http://x/m.png,p\n" * 30)

    assert sum("did you mean hero.png?" in mistake for mistake in found) == 20
    assert len(found) == 30


# As they were


@pytest.fixture
def named(folder: Path, files: LocalFiles) -> Callable[[str], NamedFile]:
    """Return the file at an address as a row names it."""

    def named(address: str) -> NamedFile:
        found = files.find_file(address)
        assert found is not None
        return NamedFile(address, str(found.path), found.stamp)

    return named


@pytest.mark.parametrize(
    "address",
    ["images/hero.png", "images\\hero.png", "./images//hero.png", "images/../images/hero.png", "link.png"],
)
def test_a_file_that_was_left_alone_holds_however_it_is_named(
    folder: Path, named: Callable[[str], NamedFile], address: str
) -> None:
    (folder / "link.png").symlink_to("images/hero.png")

    assert FileLocations(folder).still_hold(named(address))


@pytest.mark.parametrize("part", Stamp._fields)
def test_a_file_does_not_hold_where_a_part_of_its_stamp_is_another(
    folder: Path, named: Callable[[str], NamedFile], part: str
) -> None:
    file = named("images/hero.png")
    another = file.stamp._replace(**{part: getattr(file.stamp, part) + 1})

    assert FileLocations(folder).still_hold(file)
    assert not FileLocations(folder).still_hold(file._replace(stamp=another))


def test_a_file_of_which_less_was_known_does_not_hold(
    folder: Path, named: Callable[[str], NamedFile]
) -> None:
    file = named("images/hero.png")

    assert not FileLocations(folder).still_hold(file._replace(stamp=Stamp(*file.stamp[:2])))


def test_a_file_that_is_gone_does_not_hold(folder: Path, named: Callable[[str], NamedFile]) -> None:
    file = named("images/hero.png")
    (folder / "images" / "hero.png").unlink()

    assert not FileLocations(folder).still_hold(file)


@pytest.mark.parametrize("link", ["images/link.png", "folder"])
def test_an_address_that_leads_elsewhere_now_does_not_hold(
    folder: Path, named: Callable[[str], NamedFile], link: str
) -> None:
    twin = folder / "twins" / "hero.png"
    twin.parent.mkdir()
    twin.write_bytes(b"HERO.PNG")
    path = folder / link
    path.symlink_to(folder / "images" / ("hero.png" if "." in link else ""))
    file = named(link if "." in link else f"{link}/hero.png")
    os.utime(twin, ns=(file.stamp.mtime_ns, file.stamp.mtime_ns))
    assert FileLocations(folder).still_hold(file)
    path.unlink()
    path.symlink_to(twin if "." in link else twin.parent)

    assert not FileLocations(folder).still_hold(file)


def test_a_folder_in_the_place_of_a_file_does_not_hold(
    folder: Path, named: Callable[[str], NamedFile]
) -> None:
    file = named("images/hero.png")
    (folder / "images" / "hero.png").unlink()
    (folder / "images" / "hero.png").mkdir()

    assert not FileLocations(folder).still_hold(file)


@bound
def test_a_file_that_may_not_be_read_any_more_does_not_hold(
    folder: Path, named: Callable[[str], NamedFile]
) -> None:
    file = named("images/hero.png")
    (folder / "images" / "hero.png").chmod(0)

    assert not obeying_modes(lambda: FileLocations(folder).still_hold(file))


# What an address means


def taken(files: LocalFiles, folder: Path, address: str) -> str:
    """Return the file that *address* comes to, relative to *folder*."""
    found = files.find_file(address)
    assert found is not None
    return found.path.relative_to(folder).as_posix()


@pytest.mark.parametrize(
    "address",
    [
        ".\\images\\hero.png",
        "..\\night\\images\\hero.png",
        "images\\.\\hero.png",
        ".\\images/..\\images\\\\hero.png",
        ".hidden/../images/hero.png",
    ],
)
def test_a_dot_between_separators_hides_nothing(files: LocalFiles, folder: Path, address: str) -> None:
    (folder / ".hidden").mkdir()

    assert taken(files, folder, address) == "images/hero.png"


@pytest.mark.parametrize(
    "address",
    [
        "images/.secret/key.png",
        "images\\.secret\\key.png",
        ".\\images\\.secret\\key.png",
        "images/../images/.secret/key.png",
        "..\\night\\images/.secret\\key.png",
        "IMAGES\\.Secret\\KEY.png",
        "./images/.SECRET/missing.png",
        "images\\.secret\\missing.png",
        "../.neighbour/key.png",
        "images\\.dotted.png",
    ],
)
def test_what_is_hidden_is_refused_however_it_is_written(
    files: LocalFiles, folder: Path, address: str
) -> None:
    for key in ("images/.secret/key.png", "../.neighbour/key.png", "images/.dotted.png"):
        (folder / key).parent.mkdir(exist_ok=True)
        (folder / key).write_bytes(b"key")

    with pytest.raises(ValueError, match=f"^{re.escape(address)} is hidden by a dot"):
        files.find_file(address)


@pytest.mark.parametrize(
    "address",
    ["..\\..\\secret.png", "images\\..\\..\\..\\secret.png", "..\\..\\SECRET.PNG", "../../Secret.png"],
)
def test_a_file_outside_is_refused_however_it_is_written(
    files: LocalFiles, folder: Path, address: str
) -> None:
    (folder.parent.parent / "secret.png").write_bytes(b"secret")

    with pytest.raises(ValueError, match="is outside the folder above the manifest's"):
        files.find_file(address)


@pytest.mark.parametrize("kept", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_a_name_is_found_in_another_unicode_form(
    files: LocalFiles, folder: Path, kept: Form, written: Form
) -> None:
    name = "säle/café é.png"
    file = folder / unicodedata.normalize(kept, name)
    file.parent.mkdir()
    file.write_bytes(b"coffee")

    found = files.find_file(unicodedata.normalize(written, name))

    assert found is not None
    assert (found.path, found.spelled) == (file, None)


@pytest.mark.skipif(os.name != "posix", reason="there, one form finds the other")
def test_of_two_unicode_forms_the_one_that_is_written_is_taken(files: LocalFiles, folder: Path) -> None:
    forms: tuple[Form, ...] = ("NFC", "NFD")
    for form in forms:
        (folder / unicodedata.normalize(form, "café.png")).write_bytes(form.encode())

    for form in forms:
        found = files.find_file(unicodedata.normalize(form, "café.png"))
        assert found is not None
        assert found.path.read_bytes() == form.encode()


@sensitive
@pytest.mark.parametrize(
    ("address", "spelled"),
    [
        ("images/HERO.PNG", "images/hero.png"),
        ("Images/hero.png", "images/hero.png"),
        ("IMAGES\\Hero.png", "images/hero.png"),
        ("./images/../Images/HERO.png", "images/hero.png"),
        ("../NIGHT/images/hero.PNG", "images/hero.png"),
        ("images/ÉTÉ.PNG", "images/e\u0301te\u0301.png"),
    ],
)
def test_a_name_is_found_in_another_case_with_its_spelling(
    files: LocalFiles, folder: Path, address: str, spelled: str
) -> None:
    (folder / "images/e\u0301te\u0301.png").write_bytes(b"summer")

    found = files.find_file(address)

    assert found is not None
    assert (found.path, found.spelled) == (folder / spelled, spelled)


@sensitive
def test_another_unicode_form_goes_before_another_case(files: LocalFiles, folder: Path) -> None:
    for name in ("e\u0301.png", "E\u0301.png"):
        (folder / name).write_bytes(name.encode())

    found = files.find_file("\xe9.png")

    assert found is not None
    assert (found.path.name, found.spelled) == ("e\u0301.png", None)


@sensitive
def test_two_names_that_differ_only_in_case_are_no_choice(files: LocalFiles, folder: Path) -> None:
    (folder / "images/Hero.PNG").write_bytes(b"another")
    (folder / "Sets").mkdir()
    (folder / "sets").mkdir()

    with pytest.raises(
        ValueError,
        match=r"^no such file images/HERO\.png, but images/Hero\.PNG and images/hero\.png: name the one",
    ):
        files.find_file("images/HERO.png")
    with pytest.raises(ValueError, match=r"^no such file SETS/a\.png, but Sets/a\.png and sets/a\.png: name"):
        files.find_file("SETS/a.png")
    assert taken(files, folder, "images/Hero.PNG") == "images/Hero.PNG"


@sensitive
def test_the_nearest_name_is_looked_for_in_the_folder_that_was_meant(files: LocalFiles) -> None:
    with pytest.raises(ValueError, match=r"^no such file IMAGES/heros\.png; did you mean hero\.png\?$"):
        files.find_file("IMAGES/heros.png")


@sensitive
def test_in_a_very_large_folder_names_have_to_be_as_they_are_written(
    files: LocalFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_addresses, "LISTED", 2)

    with pytest.raises(ValueError, match="no such file"):
        files.find_file("images/HERO.png")


def test_what_is_judged_is_what_is_opened(files: LocalFiles, folder: Path) -> None:
    # By the system's rules the link is followed before `..`: to .keys, which the text does not name.
    (folder / ".keys/deep").mkdir(parents=True)
    (folder / ".keys/key.png").write_bytes(b"key")
    (folder / "pictures").symlink_to(".keys/deep")

    with pytest.raises(ValueError, match=r"goes up by \.\. from behind a link: name the file without \.\."):
        files.find_file("pictures/../key.png")


@sensitive
def test_a_file_that_was_found_in_another_case_holds_until_it_has_a_rival(
    folder: Path, named: Callable[[str], NamedFile]
) -> None:
    file = named("IMAGES/HERO.png")

    assert FileLocations(folder).still_hold(file)
    (folder / "images/Hero.PNG").write_bytes(b"another")
    assert not FileLocations(folder).still_hold(file)


@given(
    parts=st.lists(st.sampled_from([".", "..", ".a", "a", "A", "b", "link", ""]), min_size=1, max_size=6),
    separators=st.lists(st.sampled_from("/\\"), min_size=5, max_size=5),
)
def test_no_address_opens_what_is_hidden_or_outside(
    tree: Path, parts: list[str], separators: list[str]
) -> None:
    address = "".join(part + sep for part, sep in zip(parts, [*separators, ""], strict=False))
    try:
        found = LocalFiles(tree, allow_outside=False, digest=digest_file).find_file(f"{address}/f.png")
    except ValueError:
        return
    assert found is not None
    assert found.path.is_relative_to(tree.parent)
    # The link of the tree leads to what is hidden, which its maker may do; nothing else does.
    assert "link" in parts or not any(
        part.startswith(".") for part in found.path.relative_to(tree.parent).parts
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose every folder holds an f.png, hidden ones and those around it included."""
    tree = tmp_path_factory.mktemp("tree") / "over/own"
    for inner in ("a/b", "a/.a/a", ".a/a", "b/a", "../a/.a", "../../a", "../../.a"):
        (tree / inner).mkdir(parents=True, exist_ok=True)
    (tree / "link").symlink_to(".a/a")
    for folder in (tree.parent.parent, *(path for path in tree.parent.parent.rglob("*") if path.is_dir())):
        (folder / "f.png").write_bytes(b"picture")
    return tree
