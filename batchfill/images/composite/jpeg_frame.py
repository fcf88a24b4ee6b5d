"""What a JPEG says of its coefficients: sizes, components, colours; and which of them can be exchanged."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import zigzag_index

from batchfill.images.rights import jpeg_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchfill.images.rights.jpeg_segments import Segment

BLOCK = 8
"""Pixels of a block's side."""
MAX_COEFFICIENTS = 160_000_000
"""Bytes of coefficients that are worked on at most: 26 megapixels without subsampling, 53 with."""

_BASELINE = 0xC0
_CODINGS = {_BASELINE: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_ADOBE = b"Adobe"


class CannotExchange(Exception):
    """The blocks of a JPEG cannot be exchanged one by one; its text is why, in a few words."""


class Component(NamedTuple):
    """One component."""

    id: int
    across: int
    """How many of its samples lie where the densest component has `Frame.across`; the same *down*."""
    down: int
    table: int = 0
    """The number of its table of quantisation."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a JPEG as stored, and its components."""

    width: int
    height: int
    components: tuple[Component, ...]
    adobe: int | None
    """The colour transform that an Adobe segment names; None without one."""
    jfif: bool

    @property
    def across(self) -> int:
        """Samples of the densest component in a unit of the grid, in its width, counted in blocks."""
        return max(component.across for component in self.components)

    @property
    def down(self) -> int:
        """The same in its height."""
        return max(component.down for component in self.components)

    @property
    def unit(self) -> tuple[int, int]:
        """Width and height in pixels of a unit of the grid, which holds whole blocks of every component."""
        return BLOCK * self.across, BLOCK * self.down

    @property
    def colours(self) -> str:
        """Pillow's name of the colours that the components are: L, RGB, YCbCr, CMYK, or YCCK."""
        ids = tuple(component.id for component in self.components)
        match len(self.components):
            case 1:
                return "L"
            case 4:
                return "YCCK" if self.adobe == 2 else "CMYK"
        if self.jfif:
            return "YCbCr"
        if self.adobe is not None:
            return "RGB" if self.adobe == 0 else "YCbCr"
        return "RGB" if ids == tuple(b"RGB") else "YCbCr"

    @property
    def mode(self) -> str:
        """Pillow's mode of the decoded picture."""
        return {1: "L", 4: "CMYK"}.get(len(self.components), "RGB")

    def blocks(self, component: Component) -> tuple[int, int]:
        """Return how many rows and columns of blocks *component* has."""
        across, down = self.samples(component)
        return -(-down // BLOCK), -(-across // BLOCK)

    def samples(self, component: Component) -> tuple[int, int]:
        """Return how many samples *component* has, across and down."""
        across = -(-self.width * component.across // self.across)
        return across, -(-self.height * component.down // self.down)


def read_frame(segments: Sequence[Segment]) -> Frame:
    """Return the frame of a JPEG. Raises CannotExchange when its blocks cannot be exchanged."""
    frames = [s for s in segments if s.marker in jpeg_segments.FRAMES]
    if len(frames) != 1 or len(frames[0].payload) < 6:
        raise CannotExchange("it is no plain JPEG")
    frame = _parse_frame(frames[0].payload, segments)
    if frames[0].marker not in _CODINGS or frames[0].payload[0] != 8:
        raise CannotExchange("it is coded in a rare way")
    if not frame.height or not frame.width or len(frame.components) not in (1, 3, 4):
        raise CannotExchange("it is no plain JPEG")
    if not all(_fits(component, frame) for component in frame.components):
        raise CannotExchange("its colours are subsampled in a rare way")
    if _tables_change(segments):
        raise CannotExchange("its quantisation changes on the way")
    shares = sum(c.across * c.down for c in frame.components) / (frame.across * frame.down)
    if 2 * frame.width * frame.height * shares > MAX_COEFFICIENTS:
        raise CannotExchange("it is too large for that")
    return frame


def _parse_frame(payload: bytes, segments: Sequence[Segment]) -> Frame:
    height, width, count = int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5]), payload[5]
    parts = [payload[at : at + 3] for at in range(6, len(payload) - 2, 3)][:count]
    components = tuple(Component(part[0], part[1] >> 4, part[1] & 15, part[2]) for part in parts)
    adobe = next(
        (
            s.payload[11]
            for s in segments
            if s.marker == jpeg_segments.ADOBE and s.payload.startswith(_ADOBE) and len(s.payload) > 11
        ),
        None,
    )
    jfif = any(s.marker == jpeg_segments.APP0 and s.payload.startswith(b"JFIF\0") for s in segments)
    return Frame(width, height, components, adobe, jfif)


def _fits(component: Component, frame: Frame) -> bool:
    across, down = component.across, component.down
    return 0 < across <= 4 and 0 < down <= 4 and frame.across % across == 0 == frame.down % down


def _tables_change(segments: Sequence[Segment]) -> bool:
    scans = [n for n, segment in enumerate(segments) if segment.marker == jpeg_segments.SCAN]
    tables = [n for n, segment in enumerate(segments) if segment.marker == jpeg_segments.QUANTISATION]
    return not scans or not tables or max(tables) > scans[0]


def read_tables(segments: Sequence[Segment]) -> dict[int, list[int]]:
    """Return the tables of quantisation by number: 64 steps each, row by row. Raises CannotExchange."""
    tables: dict[int, list[int]] = {}
    for segment in segments:
        if segment.marker == jpeg_segments.QUANTISATION:
            tables.update(_parse_tables(segment.payload))
    return tables


def _parse_tables(payload: bytes) -> Iterator[tuple[int, list[int]]]:
    at = 0
    while at < len(payload):
        width = 1 + (payload[at] >> 4)
        steps = [
            int.from_bytes(payload[n : n + width]) for n in range(at + 1, at + 1 + BLOCK**2 * width, width)
        ]
        yield payload[at] & 15, [steps[n] for n in zigzag_index]
        at += 1 + BLOCK**2 * width


def has_usual_codes(segments: Sequence[Segment]) -> bool:
    """Whether a JPEG is coded with the tables that most cameras use, and not with any of its own."""
    return bool(found := _codes_of(segments)) and found <= _usual_codes()


@cache
def _usual_codes() -> frozenset[bytes]:
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "JPEG")
    return _codes_of(jpeg_segments.split_jpeg(target.getvalue()))


def _codes_of(segments: Sequence[Segment]) -> frozenset[bytes]:
    """Return the Huffman tables, each with its number."""
    found = []
    for segment in segments:
        at = 0
        while segment.marker == jpeg_segments.HUFFMAN and at < len(segment.payload):
            ends = at + 17 + sum(segment.payload[at + 1 : at + 17])
            found.append(segment.payload[at:ends])
            at = ends
    return frozenset(found)


def resize_frame(segment: Segment, frame: Frame) -> Segment:
    """Return *segment*, a frame's, as that of a baseline JPEG of the size of *frame*."""
    size = frame.height.to_bytes(2) + frame.width.to_bytes(2)
    payload = segment.payload[:1] + size + segment.payload[5:]
    return segment._replace(marker=_BASELINE, payload=payload)


def rename_components(segments: Sequence[Segment], ids: Sequence[int]) -> list[Segment]:
    """Return *segments* with *ids* as those of the components, in the frame and in every scan."""
    (payload,) = [s.payload for s in segments if s.marker in jpeg_segments.FRAMES]
    renamed = dict(zip(payload[6::3], ids, strict=True))
    return [_rename(segment, renamed) for segment in segments]


def _rename(segment: Segment, ids: dict[int, int]) -> Segment:
    payload = bytearray(segment.payload)
    if segment.marker in jpeg_segments.FRAMES:
        first, step, last = 6, 3, len(payload)
    elif segment.marker == jpeg_segments.SCAN:
        first, step, last = 1, 2, 1 + 2 * payload[0]
    else:
        return segment
    for at in range(first, last, step):
        payload[at] = ids[payload[at]]
    return segment._replace(payload=bytes(payload))
