"""XMP packets: what they say of pixels that are gone is taken out, what batchfill tells is put in."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.parsers import expat

from batchfill.images.rights.iptc import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from batchfill.images.rights.iptc import XmpField

IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
OURS = "urn:batchfill:1"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
COMPOSITE, SYNTHETIC = "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"
"""How IPTC names a picture that was edited by AI, and one that AI made all of."""

_Name = tuple[str, str]
"""Namespace and local name."""
_ANY = ""
_BETWEEN = "\n"
"""What expat puts between the two: no namespace has it."""
_SOURCE_TYPE_NAME = "DigitalSourceType"
"""In whatever namespace: programs have written it in more than IPTC's own."""
_ORIENTATION = ("http://ns.adobe.com/tiff/1.0/", "Orientation")

_STALE = frozenset(
    {
        # Where the old picture came from, and the address of Content Credentials that are about it.
        (IPTC_EXTENSION, "DigitalSourcefileType"),
        ("http://purl.org/dc/terms/", "provenance"),
        # Copies of the old pixels, their depths, and what lies behind the end of the old file.
        ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
        ("http://ns.adobe.com/hdr-gain-map/1.0/", _ANY),
        ("http://ns.apple.com/HDRGainMap/1.0/", _ANY),
        ("http://ns.google.com/photos/1.0/camera/", _ANY),
        ("http://ns.google.com/photos/1.0/container/", _ANY),
        ("http://ns.google.com/photos/1.0/depthmap/", _ANY),
        ("http://ns.google.com/photos/1.0/image/", _ANY),
        # What joins a packet to its extension.
        ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
        # What an earlier batch told of its own output.
        (OURS, _ANY),
    }
)
"""Properties, as namespace and name, that are no longer true of a finished picture."""

_SPACES = {
    "Iptc4xmpExt": IPTC_EXTENSION,
    "dc": DUBLIN_CORE,
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "batchfill": OURS,
    "xmpNote": "http://ns.adobe.com/xmp/note/",
}
"""Namespaces of what is told, by prefix."""

_OTHERS = frozenset(
    {(IPTC_EXTENSION, "AISystemUsed"), (IPTC_EXTENSION, "AIPromptInformation"), _ORIENTATION}
    | {(_SPACES[prefix], name) for prefix, name, _ in FIELDS.values()}
)
"""What else is looked for."""

_UNTOLD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no XML holds, and no text of a PNG: control characters, halves of surrogate pairs.

Named by itself, since all that XML does hold takes ten times as long to compile.
"""

_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
"""What XML's own letters are written as; xml.sax, which does the same, loads all that reads web pages."""
_SOURCE_TYPE = re.compile(rb"(digitalsourcetype/)([A-Za-z]+)")
_END_OF_RDF = re.compile(rb"</(?:[\w.-]+:)?RDF\s*>")
_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_ATTRIBUTE = re.compile(rb"\s[\w.-]+:([\w.-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_END = b"<?xpacket end"
_PACKET = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
%s</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a file is to tell of itself. Texts are words; control characters are left out."""

    source_type: str | None = None
    """COMPOSITE or SYNTHETIC; None: no mark."""
    model: str = ""
    """The model behind the mark; empty: it is not told."""
    note: tuple[tuple[str, str], ...] = ()
    """Names and texts of batchfill's own."""
    fields: tuple[XmpField, ...] = ()
    """What else it is to tell, where it does not yet."""

    @property
    def prompt(self) -> str:
        """The prompt, where the note has one."""
        return dict(self.note).get("prompt", "")


def clean_text(text: str) -> str:
    """Return *text* without what neither XML nor a text of a PNG can hold."""
    return _UNTOLD.sub("", text)


def merge_packet(
    packet: bytes, told: Told, *, described: bool = False, extension: str = "", upright: bool = False
) -> bytes:
    """Return *packet* with what is stale taken out and what is *told* put in, UTF-8; all else to the byte.

    Empty in, nothing told: empty out. *described*: the picture has a description elsewhere, so that the
    prompt is none. *extension*: what joins the packet to its extension. *upright*: it says no more how the
    picture is to be turned. A packet that is no XML keeps its bytes but for its source types; where it ends
    no RDF either, it is left out.
    """
    if not (packet := _as_utf8(packet)):
        return _new_packet(told, described=described)
    properties = _find_properties(packet)
    if properties is None:
        return _mend_unreadable(packet, told)
    if not properties.end:
        return _new_packet(told, described=described)
    told = _with_history(told, properties.source_types)
    ours = {(IPTC_EXTENSION, name) for name, text in _standard_fields(told) if text}
    if upright:
        ours.add(_ORIENTATION)
    cuts = [cut for name, cut in properties.found if _is_stale(name) or name in ours]
    present = {name for name, _ in properties.found}
    told = replace(told, fields=tuple(f for f in told.fields if (_SPACES[f.prefix], f.name) not in present))
    described = described or (DUBLIN_CORE, "description") in present
    kept = _cut_out(packet[: properties.end], cuts)
    description = _describe(told, described=described, about=properties.about, extension=extension)
    return _without_padding(kept + description + packet[properties.end :])


def source_types_of(packet: bytes) -> frozenset[str]:
    """Return the last words of the source types that *packet* names, readable or not."""
    return frozenset(word.decode() for _, word in _SOURCE_TYPE.findall(_as_utf8(packet)))


def strip_stale(packet: bytes) -> bytes | None:
    """Return *packet* without what is stale; None where it is no XML."""
    properties = _find_properties(packet)
    if properties is None:
        return None
    return _cut_out(packet, [cut for name, cut in properties.found if _is_stale(name)])


def _with_history(told: Told, source_types: Set[str]) -> Told:
    """Return *told*, of a picture that said *source_types* of itself before."""
    if told.source_type is None or SYNTHETIC not in source_types:
        return told
    # Nothing of such a picture was ever photographed, whichever part of it is new.
    return replace(told, source_type=SYNTHETIC)


def _without_padding(packet: bytes) -> bytes:
    """Return *packet* without the blanks in front of its end, which are room for editors."""
    at = packet.rfind(_END)
    return packet if at < 0 else packet[:at].rstrip() + b"\n" + packet[at:]


def _as_utf8(packet: bytes) -> bytes:
    packet = packet.strip(b"\0")
    for start, codec in ((b"<\0\0\0", "utf-32-le"), (b"<\0", "utf-16-le"), (b"\xff\xfe", "utf-16")):
        if packet.startswith(start):
            return (packet + b"\0" * (-len(packet) % 4)).decode(codec, "replace").strip("\0").encode()
    for start, codec in ((b"\0\0\0<", "utf-32-be"), (b"\0<", "utf-16-be"), (b"\xfe\xff", "utf-16")):
        if packet.startswith(start):
            return packet.decode(codec, "replace").encode()
    return packet


class _Properties:
    """Where the properties of a packet that matter here are, by its bytes.

    expat says where each tag begins, so that what is not touched stays as it was written.
    """

    def __init__(self, packet: bytes) -> None:
        """Walk through *packet*. Raises ExpatError when it is no XML, ValueError when it declares
        entities."""
        self.found: list[tuple[_Name, tuple[int, int]]] = []
        """Each with where it begins and ends."""
        self.end = 0
        """Where its RDF ends; 0: it has none."""
        self.about = ""
        """What it says that it is about."""
        self.source_types: set[str] = set()
        self._packet = packet
        self._open: list[tuple[_Name, int]] = []
        self._parser = parser = expat.ParserCreate("utf-8", _BETWEEN)
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take_text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.Parse(packet, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("XMP has no document type")

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        element, start = _split_name(name), self._parser.CurrentByteIndex
        self._open.append((element, start))
        names = {_split_name(attribute): value for attribute, value in attributes.items()}
        for attribute, value in names.items():
            if _SOURCE_TYPE_NAME in (attribute[1], element[1]):
                self._note_type(value)
        self.about = self.about or names.get((RDF, "about"), "")
        if wanted := {local: (space, local) for space, local in names if _matters((space, local))}:
            for match in _ATTRIBUTE.finditer(self._packet, start, self._tag_end(start)):
                if found := wanted.get(match[1].decode()):
                    at = match.start()
                    while self._packet[at - 1 : at].isspace():
                        at -= 1
                    self.found.append((found, (at, match.end())))

    def _end(self, _name: str) -> None:
        name, start = self._open.pop()
        # Where an element without content ends is its only tag's end; else its last tag begins here.
        first = self._tag_end(start)
        alone, begins = self._packet.endswith(b"/>", start, first), self._parser.CurrentByteIndex
        if name == (RDF, "RDF") and not alone:
            self.end = begins
        if _matters(name):
            ends = first if alone else self._packet.index(b">", begins) + 1
            self.found.append((name, (start, ends)))

    def _tag_end(self, start: int) -> int:
        match = _TAG.match(self._packet, start)
        return match.end() if match else start

    def _take_text(self, text: str) -> None:
        if self._open and self._open[-1][0][1] == _SOURCE_TYPE_NAME:
            self._note_type(text)

    def _note_type(self, value: str) -> None:
        self.source_types.add(value.strip().rpartition("/")[2])


def _find_properties(packet: bytes) -> _Properties | None:
    """Return the properties of *packet*; None where it is no XML that can be read safely."""
    try:
        return _Properties(packet)
    except (expat.ExpatError, ValueError):
        return None


def _split_name(name: str) -> _Name:
    namespace, _, local = name.rpartition(_BETWEEN)
    return namespace, local


def _is_stale(name: _Name) -> bool:
    return name in _STALE or (name[0], _ANY) in _STALE or name[1] == _SOURCE_TYPE_NAME


def _matters(name: _Name) -> bool:
    return _is_stale(name) or name in _OTHERS


def _cut_out(packet: bytes, cuts: Sequence[tuple[int, int]]) -> bytes:
    """Return *packet* without what lies between *cuts*, which may lie within one another."""
    kept, at = [], 0
    for start, end in sorted(cuts):
        kept.append(packet[at : max(at, start)])
        at = max(at, end)
    return b"".join([*kept, packet[at:]])


def _mend_unreadable(packet: bytes, told: Told) -> bytes:
    word = (told.source_type or "").encode()
    mended = _SOURCE_TYPE.sub(rb"\g<1>" + word, packet)
    ends = list(_END_OF_RDF.finditer(mended))
    if not ends:
        return _new_packet(told, described=False)
    at = ends[-1].start()
    # Its source types say the same already, and prefixes that it breaks off in are none to build on.
    return mended[:at] + _describe(told, described=True) + mended[at:]


def _new_packet(told: Told, *, described: bool) -> bytes:
    description = _describe(told, described=described)
    return _PACKET % description if description else b""


def _standard_fields(told: Told) -> list[tuple[str, str]]:
    """Return what IPTC has names for: the mark, the model and the prompt."""
    mark = "" if told.source_type is None else SOURCE_TYPES + told.source_type
    model, prompt = (told.model, told.prompt) if mark else ("", "")
    return [("DigitalSourceType", mark), ("AISystemUsed", model), ("AIPromptInformation", prompt)]


def _describe(told: Told, *, described: bool, about: str = "", extension: str = "") -> bytes:
    """Return the RDF of what is *told*; empty for nothing."""
    lines = [
        f"<Iptc4xmpExt:{name}>{_escape_xml(text)}</Iptc4xmpExt:{name}>"
        for name, text in _standard_fields(told)
        if text
    ]
    lines += [f"<batchfill:{name}>{_escape_xml(text)}</batchfill:{name}>" for name, text in told.note]
    if told.note and not described:
        item = f'<rdf:li xml:lang="x-default">{_escape_xml(told.prompt)}</rdf:li>'
        lines.append(f"<dc:description><rdf:Alt>{item}</rdf:Alt></dc:description>")
    lines += map(_field_line, told.fields)
    if extension:
        lines.append(f"<xmpNote:HasExtendedXMP>{extension}</xmpNote:HasExtendedXMP>")
    if not lines:
        return b""
    used = {"rdf": RDF} | {prefix: _SPACES[prefix] for prefix in _SPACES if f"<{prefix}:" in "".join(lines)}
    declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in used.items())
    start = f"<rdf:Description rdf:about={_quote_xml(about)} {declared}>"
    return "\n".join([start, *lines, "</rdf:Description>\n"]).encode()


def _field_line(field: XmpField) -> str:
    name, texts = f"{field.prefix}:{field.name}", [_escape_xml(text) for text in field.texts]
    if not field.container:
        return f"<{name}>{texts[0]}</{name}>"
    language = ' xml:lang="x-default"' if field.container == "Alt" else ""
    shown = texts[:1] if language else texts
    items = "".join(f"<rdf:li{language}>{text}</rdf:li>" for text in shown)
    return f"<{name}><rdf:{field.container}>{items}</rdf:{field.container}></{name}>"


def _escape_xml(text: str) -> str:
    # Readers of XML take a bare carriage return for a new line.
    return clean_text(text).translate(_IN_TEXT)


def _quote_xml(text: str) -> str:
    """Return *text* as the value of an attribute, in quotes."""
    return f'"{text.translate(_IN_ATTRIBUTE)}"'
