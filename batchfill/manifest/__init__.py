"""A file becomes rows."""

from batchfill.manifest.files import Digest, digest_file
from batchfill.manifest.fingerprint import fingerprint
from batchfill.manifest.manifest import Manifest, open_manifest
from batchfill.manifest.pair import Pairing, pair, write_pairs
from batchfill.manifest.rows import read_rows
from batchfill.manifest.template import template, write_template

__all__ = [
    "Digest",
    "Manifest",
    "Pairing",
    "digest_file",
    "fingerprint",
    "open_manifest",
    "pair",
    "read_rows",
    "template",
    "write_pairs",
    "write_template",
]
