"""What names of files tell: which are pictures, and whose mask a mask is."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from batchfill.filenames import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterator

_SENT = frozenset(
    ".png .jpg .jpeg .jpe .jfif .jif .pjpeg .pjp .mpo .webp .bmp .gif .tif .tiff .avif".split()  # noqa: SIM905
)
"""Suffixes of pictures that can be sent."""

_HEIC = frozenset({".heic", ".heif", ".hif"})
_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw "
    ".nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
_SAVE = "save it as PNG or JPEG"
_NOT_SENT = {
    suffix: f"{what}: {way_out}"
    for suffixes, what, way_out in (
        (_RAW, "a raw photograph", "develop it first"),
        (".psd .psb", "a Photoshop file", _SAVE),
        (".xcf .kra .clip .ora .afphoto .procreate", "a drawing program's own file", _SAVE),
        (".jxl", "a JPEG XL file", _SAVE),
        (".jp2 .j2k .j2c .jpc .jpx .jpf .jpm", "a JPEG 2000 file", _SAVE),
        (".jxr .wdp .hdp", "a JPEG XR file", _SAVE),
        (".avifs .apng .mng", "an animation", "save one of its pictures by itself"),
        (".svg .svgz .ai .eps .ps .wmf .emf", "a drawing", _SAVE),
        (".pdf", "a PDF", _SAVE),
        (".ppm .pgm .pbm .pnm .pam .pfm", "a Netpbm file", _SAVE),
        (".tga .pcx .dds .ico .icns .sgi .ras .xbm .xpm .dib .qoi", "a picture in a rare format", _SAVE),
        (".exr .hdr .fits .fit .fts .dcm", "a picture of measured values", _SAVE),
        (".npy .npz .mat", "an array of numbers", "save it as PNG"),
        (".zip .rar .7z .tar .gz .tgz", "an archive", "unpack it"),
        (".mp4 .mov .avi .mkv .webm", "a video", "save its pictures by themselves"),
    )
    for suffix in suffixes.split()
}
"""What people keep among pictures, and no row can send, with what it is and what to do."""

_NO_HEIC = 'a HEIC picture: save it as JPEG, or install "batchfill[heif]"'


def why_not_sent(suffix: str) -> str | None:
    """Return why no row can name a file with this *suffix*; None when one can."""
    suffix = suffix.lower()
    if suffix in _SENT:
        return None
    if suffix in _HEIC:
        return None if find_spec("pillow_heif") else _NO_HEIC
    return _NOT_SENT.get(suffix, "not a picture")


_MASK = "masks?|maske|masque|matte|alpha|маска|マスク|蒙版|遮罩"
_SHARED = "seg|segm|segmentation|labels?|label_?ids|gt|ground_?truth"
"""Words that name masks in a folder of masks; next to a picture they may name another picture."""

_COPY = r"[ ._-]*\(\d+\)|[ ._-]+(?:copy|kopie|copie|copia|kopia)(?: ?\(?\d+\)?)?"
"""What systems put behind the name of a second file."""

_RULES = [
    re.compile(rule, re.DOTALL)
    for rule in (
        # hero_mask, hero-mask, hero mask, hero.mask, hero - mask, hero_alpha, hero_m
        rf"(.+?)[ ._-]+(?:{_MASK}|m)",
        # mask_hero, mask of hero
        rf"(?:{_MASK})[ ._-]+(?:(?:of|for)[ ._-]+)?(.+)",
        # hero(mask), hero [mask]
        rf"(.+?)[ ._-]*(?:\((?:{_MASK})\)|\[(?:{_MASK})\])",
        # (mask) hero
        rf"(?:\((?:{_MASK})\)|\[(?:{_MASK})\])[ ._-]*(.+)",
        # hero_mask_1, hero_mask (2), hero_mask copy
        rf"(.+?)[ ._-]+(?:{_MASK})(?:[ ._-]*\d+|{_COPY})",
        # mask001, mask(2)
        rf"(?:{_MASK})(\d+)",
        # heromask
        r"(.+?)masks?",
    )
]
"""Ways to say in a name whose mask a file is; each finds the picture's name in the mask's stem."""

_SHARED_RULES = [
    re.compile(rf"(.+?)[ ._-]+(?:{_SHARED})", re.DOTALL),
    re.compile(rf"(?:{_SHARED})[ ._-]+(.+)", re.DOTALL),
]
_COPIED = re.compile(rf"(.+?)({_COPY})", re.DOTALL)
_NO_NAME = re.compile(rf"{_MASK}|{_SHARED}")

_OWN_SUFFIX = re.compile(r"(.+)(\.[a-z0-9]+)", re.DOTALL)
_IMAGE = "images?|img|photos?|pictures?|pic|rgb|original|orig|input|source|src"
_PICTURE_RULES = [
    re.compile(rf"(.+?)[ ._-]+(?:{_IMAGE})", re.DOTALL),
    re.compile(rf"(?:{_IMAGE})[ ._-]+(.+)", re.DOTALL),
    re.compile(rf"(?:{_IMAGE})(\d+)", re.DOTALL),
    # img next to label, image next to mask: neither has a name, and they share the folder.
    re.compile(rf"(?:{_IMAGE})()"),
]
_IMAGE_FOLDER = re.compile(rf"{_IMAGE}|imgs|jpegimages|jpgs?")
_MASK_FOLDER = re.compile(rf"{_MASK}|{_SHARED}|segmentationclass|segmentations|annotations")


def names_masks(folder: str) -> bool:
    """Whether a *folder* of this name, folded, holds masks."""
    return _MASK_FOLDER.fullmatch(folder) is not None


def names_role(folder: str) -> bool:
    """Whether a *folder* of this name, folded, says only that it holds pictures, or masks."""
    return _IMAGE_FOLDER.fullmatch(folder) is not None or names_masks(folder)


def names_of_picture(stem: str, *, says_so: bool) -> Iterator[str]:
    """Yield, folded, what the picture of the mask with this *stem* may be called, the likeliest first.

    *says_so*: only names that the mask's own name calls a mask of, not those that it just shares.
    """
    stem = fold_case(stem)
    seen, to_see = {stem}, [(stem, False)]
    for name, said in to_see:
        if said or not says_so:
            yield name
        found = [(each, True) for each in _names_said(name)]
        if not says_so:
            found += [(match[1], True) for rule in _SHARED_RULES if (match := rule.fullmatch(name))]
        if (match := _OWN_SUFFIX.fullmatch(name)) and match[2] in _SENT | _HEIC | _NOT_SENT.keys():
            # hero.jpg.png, of hero.jpg, or of a hero.webp that hero.jpg became.
            found.append((match[1], said))
        to_see += [item for item in found if item[0] not in seen]
        seen.update(name for name, _ in found)


def _names_said(name: str) -> Iterator[str]:
    """Yield the picture's names that *name* calls itself a mask of, those of its own copy first."""
    if copied := _COPIED.fullmatch(name):
        # hero_mask (2) belongs to hero (2) where there is one.
        yield from (match[1] + copied[2] for rule in _RULES if (match := rule.fullmatch(copied[1])))
    yield from (match[1] for rule in _RULES if (match := rule.fullmatch(name)))
    if _NO_NAME.fullmatch(name):
        yield ""


def bare_names(stem: str) -> Iterator[str]:
    """Yield, folded, what is left of a picture's *stem* without a word such as `img`."""
    for rule in _PICTURE_RULES:
        if match := rule.fullmatch(fold_case(stem)):
            yield match[1]
