"""XMP packets keep every byte but for what is no longer true and what is told."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.images.rights.xmp import (
    COMPOSITE,
    IPTC_EXTENSION,
    SOURCE_TYPES,
    SYNTHETIC,
    Told,
    merge_packet,
    source_types_of,
    strip_stale,
)

MARK = Told(COMPOSITE, "owner/model", (("prompt", "a fox"), ("seed", "7")))
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="A camera">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:a="http://ns.adobe.com/photoshop/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" tiff:Orientation="6"
    a:Credit='Agency "A" &amp; B'%s>%s
   <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Anna Ångström</rdf:li></rdf:Alt></dc:rights>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
                              \n
<?xpacket end="w"?>"""
CAMERA = SOURCE_TYPES + "digitalCapture"


def packet(attributes: str = "", elements: str = "") -> bytes:
    return (PACKET % (attributes, elements)).encode()


def types(merged: bytes) -> list[str]:
    """Return every source type of a packet, wherever it is."""
    found = []
    for node in ElementTree.fromstring(merged).iter():
        found += [value for name, value in node.items() if name.endswith("}DigitalSourceType")]
        if node.tag.endswith("}DigitalSourceType"):
            found += [*filter(None, [(node.text or "").strip()]), *node.attrib.values()]
    return found


ATTRIBUTE = f'\n    e:DigitalSourceType = "{CAMERA}"'
ELEMENT = f"<e:DigitalSourceType>\n {CAMERA} </e:DigitalSourceType>"
RESOURCE = f'<e:DigitalSourceType rdf:resource="{CAMERA}"/>'
NESTED = f'<a:History rdf:parseType="Resource">{ELEMENT}</a:History>'
OTHER_PREFIX = f'<q:DigitalSourceType xmlns:q="{IPTC_EXTENSION}">{CAMERA}</q:DigitalSourceType>'


@pytest.mark.parametrize(
    "given_",
    [
        packet(ATTRIBUTE),
        packet("", ELEMENT),
        packet("", RESOURCE),
        packet("", NESTED),
        packet("", OTHER_PREFIX),
        packet("", OTHER_PREFIX.replace("2008-02-29", "2008-02-19")),
        packet(ATTRIBUTE, ELEMENT + RESOURCE),
        packet(ATTRIBUTE).decode().encode("utf-16"),
        packet(ATTRIBUTE).decode().encode("utf-16-be"),
        packet(ATTRIBUTE) + b"\0\0",
    ],
)
def test_no_picture_says_after_its_edit_that_a_camera_took_it(given_: bytes) -> None:
    assert types(merge_packet(given_, MARK)) == [SOURCE_TYPES + COMPOSITE]
    assert types(merge_packet(given_, Told())) == []


def test_all_else_stays_as_it_was_written() -> None:
    merged = merge_packet(packet(ATTRIBUTE, ELEMENT), MARK).decode()
    before, _, _ = packet().decode().partition("</rdf:RDF>")
    assert merged.startswith(before)
    # The room for editors goes: what is new may need it.
    assert merged.endswith('</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>')


def test_a_packet_that_is_merged_again_has_everything_once() -> None:
    once = merge_packet(packet(), MARK)
    assert all(merge_packet(once, MARK).count(name) == 2 for name in (b"batchfill:seed", b"AISystemUsed"))
    again = merge_packet(once, Told(COMPOSITE, "another/model", (("prompt", "a hen"),)))
    # What was the prompt is a caption by now.
    assert (again.count(b"a fox"), again.count(b"owner/model")) == (1, 0)
    assert b"<batchfill:seed>" not in again


def test_the_new_description_is_about_what_the_others_are_about() -> None:
    found = ElementTree.fromstring(merge_packet(packet(), MARK)).iter(f"{RDF}Description")
    assert {node.get(f"{RDF}about") for node in found} == {"uuid:1"}


@pytest.mark.parametrize("was", [SYNTHETIC, "digitalCapture", "compositeCapture"])
def test_what_ai_made_all_of_stays_so_and_all_else_becomes_a_composite(was: str) -> None:
    merged = merge_packet(packet("", ELEMENT.replace("digitalCapture", was)), MARK)
    assert types(merged) == [SOURCE_TYPES + (SYNTHETIC if was == SYNTHETIC else COMPOSITE)]


def test_an_upright_picture_is_not_turned_by_its_xmp() -> None:
    assert b"tiff:Orientation" not in merge_packet(packet(), MARK, upright=True)
    assert b'tiff:Orientation="6"' in merge_packet(packet(), MARK)


def test_the_prompt_is_no_caption_where_there_is_one() -> None:
    caption = "<dc:description><rdf:Alt><rdf:li>Sofia, 2024</rdf:li></rdf:Alt></dc:description>"
    assert merge_packet(packet("", caption), MARK).count(b"<dc:description>") == 1
    assert b"<dc:description>" not in merge_packet(packet(), MARK, described=True)
    assert merge_packet(packet(), MARK).count(b"<dc:description>") == 1


@pytest.mark.parametrize(
    "stale",
    [
        '<g:Data xmlns:g="http://ns.google.com/photos/1.0/image/">AAAA</g:Data>',
        '<g:MotionPhoto xmlns:g="http://ns.google.com/photos/1.0/camera/">1</g:MotionPhoto>',
        '<x:Thumbnails xmlns:x="http://ns.adobe.com/xap/1.0/"><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></x:Thumbnails>',
        '<t:provenance xmlns:t="http://purl.org/dc/terms/">https://c2pa.example/1</t:provenance>',
        '<n:HasExtendedXMP xmlns:n="http://ns.adobe.com/xmp/note/">0123</n:HasExtendedXMP>',
    ],
)
def test_copies_of_the_old_pixels_and_addresses_of_their_proofs_are_left_out(stale: str) -> None:
    merged = merge_packet(packet("", stale), Told())
    assert merged == merge_packet(packet(), Told())


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + packet().decode().replace("uuid:1", "&b;")


@pytest.mark.parametrize(
    "broken",
    [BOMB, packet(ATTRIBUTE).decode().replace("</dc:rights>", ""), packet(ATTRIBUTE).decode()[:-62]],
    ids=["entities", "unbalanced", "cut short"],
)
def test_what_is_no_xml_keeps_its_bytes_but_for_the_source_type_and_bears_the_mark(broken: str) -> None:
    merged = merge_packet(broken.encode(), MARK).decode()
    assert "digitalCapture" not in merged
    assert source_types_of(merged.encode()) == {COMPOSITE}
    at = merged.find('<rdf:Description rdf:about="" xmlns')
    if at < 0:
        return
    ends = merged.index("</rdf:Description>\n", at) + len("</rdf:Description>\n")
    assert merged[:at] + merged[ends:] == broken.replace("digitalCapture", COMPOSITE)


def test_what_has_no_end_is_replaced() -> None:
    merged = merge_packet(b"<x:xmpmeta><rdf:RDF> digitalsourcetype/digitalCapture", MARK)
    assert types(merged) == [SOURCE_TYPES + COMPOSITE]


def test_nothing_told_of_nothing_is_nothing() -> None:
    assert merge_packet(b"", Told()) == b""


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(max_size=30))
def test_whatever_is_told_the_packet_can_be_read(prompt: str, model: str) -> None:
    merged = merge_packet(packet(ATTRIBUTE), Told(COMPOSITE, model, (("prompt", prompt),)))
    assert types(merged) == [SOURCE_TYPES + COMPOSITE]


@given(st.binary(max_size=60), st.integers(0, 700))
def test_no_damage_raises_or_lets_a_camera_survive(noise: bytes, at: int) -> None:
    whole = packet(ATTRIBUTE)
    merged = merge_packet(whole[:at] + noise + whole[at:], MARK)
    try:
        found = types(merged)
    except ElementTree.ParseError:
        found = [SOURCE_TYPES + word for word in source_types_of(merged)]
    assert set(found) == {SOURCE_TYPES + COMPOSITE}


def test_entities_are_never_expanded() -> None:
    assert strip_stale(BOMB.encode()) is None
    assert strip_stale(packet()) == packet()
