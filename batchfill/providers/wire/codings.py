"""The bytes of an answer as they were meant: unpacked, and its text in UTF-8.

A label may be wrong, so that the content decides: what cannot be unpacked is taken as it is.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from typing import TYPE_CHECKING

import brotli
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

STEP = 64 * 1024
"""Bytes that are unpacked at once."""

MOST_LAYERS = 4
"""Times that an answer may be packed."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:+-]{1,40})", re.ASCII | re.IGNORECASE)
_GUESSES = ("utf-8", "gb18030")


class TooLong(ValueError):
    """What was unpacked is longer than it may be."""


def unpack_body(body: bytes, labels: Iterable[str], longest: int) -> bytes:
    """Return *body* unpacked as its *labels*, values of Content-Encoding, say.

    A layer that is not there is left out. Raises TooLong for more than *longest* bytes.
    """
    if len(body) > longest:
        raise TooLong
    codings = [word.strip() for label in labels for word in label.lower().split(",")]
    for coding in reversed([coding for coding in codings if coding in _UNPACK][-MOST_LAYERS:]):
        # Nothing that is packed is text all through.
        if _is_text(body):
            break
        try:
            body = _UNPACK[coding](body, longest)
        except (zlib.error, brotli.error, zstandard.ZstdError):
            continue
    return body


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def to_utf8(body: bytes, content_type: str) -> bytes:
    """Return text *body* in UTF-8: by its mark, by the charset that is declared, else by a guess."""
    wide = json.detect_encoding(body)
    if not wide.startswith("utf-8"):
        # Left as it is, JSON would be read all the same, and no secret be found in it.
        return body.decode(wide, "replace").encode()
    if body.isascii() or body.startswith(codecs.BOM_UTF8):
        return body
    named = _CHARSET.search(content_type)
    for charset in (named[1] if named else "utf-8", *_GUESSES):
        try:
            return body.decode(charset).encode()
        except (LookupError, ValueError):
            continue
    return body


def _inflate(wbits: int) -> Callable[[bytes, int], bytes]:
    def unpack(body: bytes, longest: int) -> bytes:
        unpacker = zlib.decompressobj(wbits)
        unpacked = unpacker.decompress(body, longest + 1)
        if len(unpacked) > longest:
            raise TooLong
        return unpacked

    return unpack


def _deflate(body: bytes, longest: int) -> bytes:
    # The label means zlib's form; some servers send the bare one.
    try:
        return _inflate(zlib.MAX_WBITS)(body, longest)
    except zlib.error:
        return _inflate(-zlib.MAX_WBITS)(body, longest)


def _brotli(body: bytes, longest: int) -> bytes:
    unpacker = brotli.Decompressor()
    pieces, size = [unpacker.process(body, output_buffer_limit=STEP)], 0
    while pieces[-1]:
        size += len(pieces[-1])
        if size > longest:
            raise TooLong
        pieces.append(unpacker.process(b"", output_buffer_limit=STEP))
    return b"".join(pieces)


def _zstandard(body: bytes, longest: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        unpacked: bytes = reader.read(longest + 1)
    if len(unpacked) > longest:
        raise TooLong
    return unpacked


_UNPACK: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflate(zlib.MAX_WBITS | 16),
    "x-gzip": _inflate(zlib.MAX_WBITS | 16),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstandard,
}
