"""What a row asks for, as 64 hex digits: the same today and after every upgrade."""

from __future__ import annotations

from hashlib import sha256
from json import JSONEncoder
from json.encoder import encode_basestring as in_quotes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchfill.domain.rows import Input, LocalFile

_encode = JSONEncoder(ensure_ascii=False).encode


def make_fingerprint(model: str, inputs: Mapping[str, Input], files: Mapping[str, LocalFile]) -> str:
    """Return the SHA-256 of the canonical JSON of *model* and *inputs*, local *files* by their content.

    Whatever is not in *inputs* (the model's own defaults, a chosen seed, prepared bytes) is no part of it.
    Raises UnicodeEncodeError when a text holds half a surrogate pair.
    """
    # By hand, once a row: the encoder's own way through nested dictionaries takes twice as long.
    pairs = []
    for name in sorted({*inputs, *files} if files else inputs):
        value = (
            f'{{"sha256":{in_quotes(files[name].sha256)}}}'
            if name in files
            else _canonical_json(inputs[name])
        )
        pairs.append(f"{in_quotes(name)}:{value}")
    return sha256(f'{{"inputs":{{{",".join(pairs)}}},"model":{in_quotes(model)}}}'.encode()).hexdigest()


def _canonical_json(value: Input) -> str:
    if type(value) is str:
        return in_quotes(value)
    return str(value) if type(value) is int else _encode(value)
