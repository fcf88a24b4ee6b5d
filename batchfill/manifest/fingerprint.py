"""What a row asks for, as 64 hex digits: the same today and after every upgrade."""

from __future__ import annotations

from hashlib import sha256
from json import JSONEncoder
from json.encoder import encode_basestring as in_quotes
from typing import TYPE_CHECKING

from batchfill.domain.objects import ObjectFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.rows import Input, RowFile

_encode = JSONEncoder(ensure_ascii=False).encode


def make_fingerprint(model: str, inputs: Mapping[str, Input], files: Mapping[str, RowFile]) -> str:
    """Return the SHA-256 of the canonical JSON of *model* and *inputs*, *files* by their content.

    Objects count by address, size and ETag: their content is not known before they are read.

    Whatever is not in *inputs* (the model's own defaults, a chosen seed, prepared bytes) is no part of it.
    Raises UnicodeEncodeError when a text holds half a surrogate pair.
    """
    # By hand, once a row: the encoder's own way through nested dictionaries takes twice as long.
    pairs = []
    for name in sorted({*inputs, *files} if files else inputs):
        value = _file_json(files[name]) if name in files else _canonical_json(inputs[name])
        pairs.append(f"{in_quotes(name)}:{value}")
    return sha256(f'{{"inputs":{{{",".join(pairs)}}},"model":{in_quotes(model)}}}'.encode()).hexdigest()


def _file_json(file: RowFile) -> str:
    if isinstance(file, ObjectFile):
        address, etag = in_quotes(file.address), in_quotes(file.etag)
        return f'{{"address":{address},"etag":{etag},"size":{file.size}}}'
    return f'{{"sha256":{in_quotes(file.sha256)}}}'


def _canonical_json(value: Input) -> str:
    if type(value) is str:
        return in_quotes(value)
    return str(value) if type(value) is int else _encode(value)
