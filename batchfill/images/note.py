"""What a finished file tells of itself, where each format keeps such things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:batchfill="urn:batchfill:1">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{prompt}</rdf:li></rdf:Alt></dc:description>
{fields}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def written_in(kind: str, note: Mapping[str, str]) -> dict[str, Any]:
    """Return the options with which Pillow saves *note* in a file of *kind*.

    PNG has a text for each name; JPEG and WebP have an XMP packet, the prompt in it also as `dc:description`.
    """
    if not note:
        return {}
    if kind == "PNG":
        info = PngInfo()
        for name, text in note.items():
            info.add_itxt(name, text)
        return {"pnginfo": info}
    fields = "\n".join(f"<batchfill:{name}>{_xml(text)}</batchfill:{name}>" for name, text in note.items())
    return {"xmp": _PACKET.format(prompt=_xml(note.get("prompt", "")), fields=fields).encode()}


def _xml(text: str) -> str:
    """Return *text* as XML takes it: no control characters."""
    return escape("".join(c for c in text if c.isprintable() or c in "\n\t"))
