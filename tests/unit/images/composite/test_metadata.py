from __future__ import annotations

import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchfill.images.composite.metadata import write_metadata
from batchfill.images.rights.xmp import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS, DESCRIPTION = "{urn:batchfill:1}", "{http://purl.org/dc/elements/1.1/}description"
ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"

NOTE = {
    "prompt": 'ein Fuchs & <b>zwei</b> \u2028Hüte,\n\u3000狐\xa0\U0001f98a\r\t"]]>',
    "seed": "7",
    "model": "black-forest-labs/flux-fill-dev",
    "prediction_id": "abc",
    "row": "hero",
}

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=50)


def saved(kind: str, note: Mapping[str, str]) -> Image.Image:
    target = io.BytesIO()
    Image.new("RGB", (2, 2)).save(target, kind, **write_metadata(kind, Told(note=tuple(note.items()))))
    image = Image.open(target)
    image.load()
    return image


def packet(image: Image.Image) -> ElementTree.Element:
    content = image.info["xmp"]
    assert content.startswith(b"<?xpacket begin=")
    assert content.endswith(b'<?xpacket end="r"?>')
    return ElementTree.fromstring(content)


def found(image: Image.Image) -> dict[str, str]:
    """Return what a file tells of itself, however it does."""
    if image.format == "PNG":
        return {str(name): str(text) for name, text in image.info.items()}
    told = {node.tag: node.text or "" for node in packet(image).iter()}
    return {tag.removeprefix(OURS): text for tag, text in told.items() if tag.startswith(OURS)}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_tells_how_it_was_made(kind: str) -> None:
    told = found(saved(kind, NOTE))
    assert {name: told[name] for name in NOTE} == NOTE


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_prompt_is_also_where_other_programs_look_for_a_description(kind: str) -> None:
    description = packet(saved(kind, NOTE)).find(f".//{DESCRIPTION}")
    assert description is not None
    assert description.findtext(f".//{ITEM}") == NOTE["prompt"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@given(prompt=texts)
def test_any_text_comes_back_as_it_was(kind: str, prompt: str) -> None:
    assert found(saved(kind, {"prompt": prompt}))["prompt"] == prompt.replace("\ufffe", "").replace(
        "\uffff", ""
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_control_characters_and_halves_of_characters_are_left_out(kind: str) -> None:
    assert found(saved(kind, {"prompt": "a\0b\x1b[1mc\ud800d\ufffe"}))["prompt"] == "ab[1mcd"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_no_note_writes_none(kind: str) -> None:
    assert "xmp" not in saved(kind, {}).info
