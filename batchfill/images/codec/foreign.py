"""Files that people have and no decoder here reads: told apart by how they begin, called by their names."""

from __future__ import annotations

import re
from typing import IO, NamedTuple

from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from batchfill.errors import BadPicture

HEIC = re.compile(rb".{4}ftyp(?:hei[cfmsx]|hev[cmsx]|(?:mif[12]|msf1)(?!.{0,60}avi[fs]))", re.DOTALL)
"""How a HEIC picture begins. A damaged AVIF may begin so too, and is to be fetched again."""

AVIF = re.compile(rb".{4}ftypavi[fs]", re.DOTALL)

HEAD = 512
"""Bytes by which a file is told."""

RAW = "raw"


class _Format(NamedTuple):
    """One format: how its files begin, what they are called, and the suffix of one that is kept."""

    start: bytes
    words: str
    suffix: str


_FORMATS = {
    "SVG": _Format(rb"\s*(?:<\?xml.*)?<svg", "an SVG drawing", ".svg"),
    "HEIC": _Format(HEIC.pattern, "a HEIC picture", ".heic"),
    "AVIF": _Format(AVIF.pattern, "an AVIF file", ".avif"),
    RAW: _Format(
        # Canon (three of them), Fujifilm, Olympus, Panasonic, Sigma, Minolta, Phase One.
        rb".{4}ftypcrx |II\*\x00.{4}CR|II\x1a\x00.{4}HEAPCCDR|FUJIFILMCCD-RAW"
        rb"|IIR[OS]|MMOR|IIU\x00|FOVb|\x00MRM|.{8}IIII",
        "a raw photograph",
        ".raw",
    ),
    "JPEG XL": _Format(rb"\xff\x0a|\x00{3}\x0cJXL \r\n\x87\n", "a JPEG XL file", ".jxl"),
    "JPEG XR": _Format(rb"II\xbc", "a JPEG XR file", ".jxr"),
    "JPEG 2000": _Format(rb"\xff\x4f\xff\x51|\x00{3}\x0cjP  \r\n\x87\n", "a JPEG 2000 file", ".jp2"),
    "PSD": _Format(rb"8BPS\x00[\x01\x02]", "a PSD file", ".psd"),
    "GIMP": _Format(rb"gimp xcf", "a GIMP file", ".xcf"),
    "Krita": _Format(rb"PK\x03\x04.{26}mimetypeapplication/x-krita", "a Krita file", ".kra"),
    "OpenRaster": _Format(rb"PK\x03\x04.{26}mimetypeimage/openraster", "an OpenRaster file", ".ora"),
    "OpenEXR": _Format(rb"\x76\x2f\x31\x01", "an OpenEXR file", ".exr"),
    "Radiance HDR": _Format(rb"#\?(?:RADIANCE|RGBE)", "a Radiance HDR file", ".hdr"),
    "QOI": _Format(rb"qoif.{8}[\x03\x04]", "a QOI file", ".qoi"),
    "DDS": _Format(rb"DDS \x7c", "a DDS texture", ".dds"),
    "Netpbm": _Format(rb"P[1-7fF][\s#]", "a Netpbm file (PBM, PGM, PPM)", ".ppm"),
    "ICO": _Format(rb"\x00\x00[\x01\x02]\x00[\x01-\x40]\x00", "an icon", ".ico"),
    "ICNS": _Format(rb"icns", "an icon", ".icns"),
    "PCX": _Format(rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]", "a PCX file", ".pcx"),
    "SGI": _Format(rb"\x01\xda[\x00\x01][\x01\x02]", "an SGI file", ".sgi"),
    "DICOM": _Format(rb".{128}DICM", "a DICOM file", ".dcm"),
    "FITS": _Format(rb"SIMPLE  =", "a FITS file", ".fits"),
    "DjVu": _Format(rb"AT&TFORM", "a DjVu file", ".djvu"),
    "EMF": _Format(rb"\x01\x00\x00\x00.{36} EMF", "an EMF drawing", ".emf"),
    "WMF": _Format(rb"\xd7\xcd\xc6\x9a", "a WMF drawing", ".wmf"),
    "PostScript": _Format(rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file", ".eps"),
    "PDF": _Format(rb"%PDF-", "a PDF", ".pdf"),
    "AVI": _Format(rb"RIFF.{4}AVI ", "an AVI film", ".avi"),
    "MP4": _Format(rb".{4}ftyp(?:isom|iso[2-9]|mp4[12]|avc1|M4V |3gp\d)", "an MP4 film", ".mp4"),
    "QuickTime": _Format(rb".{4}(?:ftypqt  |moov|mdat|wide)", "a QuickTime film", ".mov"),
    "WebM": _Format(rb"\x1a\x45\xdf\xa3", "a WebM file", ".webm"),
    "ZIP": _Format(rb"PK\x03\x04", "a ZIP archive", ".zip"),
    "gzip": _Format(rb"\x1f\x8b", "a gzip archive", ".gz"),
    "RAR": _Format(rb"Rar!\x1a\x07", "a RAR archive", ".rar"),
    # Has no mark of its own: what it holds and how, and its bits a pixel.
    "TGA": _Format(rb".[\x00\x01][\x01-\x03\x09-\x0b].{13}[\x08\x0f\x10\x18\x20]", "a TGA file", ".tga"),
    "7z": _Format(rb"7z\xbc\xaf\x27\x1c", "a 7z archive", ".7z"),
}
"""By its name; of two that fit, the first."""

FOREIGN_SUFFIXES = {kind: found.suffix for kind, found in _FORMATS.items()}
"""Suffix of a file that is kept unopened, by the format's name."""

_STARTS = {
    kind: re.compile(found.start, re.DOTALL | (re.IGNORECASE if kind == "SVG" else 0))
    for kind, found in _FORMATS.items()
}
_WAYS_OUT = {
    RAW: "develop it first, and save it as JPEG or PNG",
    "HEIC": "save it as JPEG or PNG, or install batchfill[heif], which reads it",
    **dict.fromkeys(("ZIP", "gzip", "RAR", "7z"), "unpack it, and name the picture in it"),
    **dict.fromkeys(("AVI", "MP4", "QuickTime", "WebM"), "save one of its pictures as JPEG or PNG"),
}


def foreign_file(head: bytes, name: str, *, readable: frozenset[str]) -> BadPicture | None:
    """Return what says which format a file has that begins with *head* and is not opened; None: not known.

    *readable*: formats that are opened where they are whole, so that this one is damaged.
    """
    kind = next((kind for kind, start in _STARTS.items() if start.match(head)), None)
    if kind is None:
        return None
    if kind in readable:
        # Kept nowhere: what is damaged may be fetched whole.
        words = f"{name} is {_FORMATS[kind].words} that cannot be read: it is damaged or cut short"
        return BadPicture(words, foreign=kind if kind == "HEIC" else None)
    return _refusal(kind, name)


def refuse_raw(file: IO[bytes], name: str) -> None:
    """Raise BadPicture when *file* is a TIFF whose tags say that it is a camera's raw photograph.

    What such a file shows to others is a thumbnail. *file* is at its beginning, and is so afterwards.
    """
    if (tags := _read_tags(file)) is not None and _is_raw(tags):
        raise _refusal(RAW, name)


def _refusal(kind: str, name: str) -> BadPicture:
    way_out = _WAYS_OUT.get(kind, "save it as JPEG or PNG")
    return BadPicture(f"{name} is {_FORMATS[kind].words}: {way_out}", foreign=kind)


_TIFF = (b"II*\0", b"MM\0*")
_RAW_COMPRESSIONS = frozenset({32767, 32769, 32770, 34316, 34713, 34892, 65000, 65535})
"""Of Sony, Epson, Samsung, Panasonic, Nikon, DNG (lossy), Kodak and Pentax."""
_RAW_PHOTOMETRICS = frozenset({32803, 34892})
"""Colour filter array, linear raw."""
_RAW_TAGS = frozenset({Tag.CFARepeatPatternDim, Tag.DNGVersion, 37398})
"""The last is the version of TIFF/EP, the format below most raw ones."""


def _is_raw(tags: ImageFileDirectory_v2) -> bool:
    return (
        any(tag in tags for tag in _RAW_TAGS)
        or tags.get(Tag.PhotometricInterpretation) in _RAW_PHOTOMETRICS
        or tags.get(Tag.Compression) in _RAW_COMPRESSIONS
        or (tags.get(Tag.NewSubfileType) == 1 and Tag.SubIFDs in tags)
    )


def _read_tags(file: IO[bytes]) -> ImageFileDirectory_v2 | None:
    """Return the tags of the first picture of a TIFF; none where it is no TIFF."""
    head = file.read(8)
    file.seek(0)
    if head[:4] not in _TIFF or len(head) < 8:
        return None
    tags = ImageFileDirectory_v2(head)
    file.seek(tags.next or 0)
    tags.load(file)
    file.seek(0)
    return tags
