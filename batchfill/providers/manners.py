"""How gateways differ, as tables: where each kind of answer keeps what is read from it.

Replicate's own form comes first in each table. Another gateway's manner is one more entry.
"""

from __future__ import annotations

# Answers

ENVELOPES = ("data", "result", "prediction", "response", "body", "payload")
"""Keys below which a gateway may put what Replicate has at the top, one level deep."""

IDS = (
    "id",
    "task_id",
    "taskId",
    "prediction_id",
    "predictionId",
    "job_id",
    "request_id",
    "requestId",
    "uuid",
)
"""Keys of a prediction's id. The first, the documented one, counts at once; the others once confirmed."""

TELLING = frozenset({"model", "version", "input", "urls", "output", "created_at", "metrics", "logs"})
"""Keys of a documented prediction besides id, status and error. An envelope has none of them."""

LISTED = ("results", "data", "predictions", "items", "list", "records")
"""Keys of the predictions in a page of a list."""

STATUSES = {
    "succeeded": (
        *("succeeded", "succeed", "success", "successful", "completed", "complete", "done"),
        *("finished", "finish", "ok", "ready"),
    ),
    "failed": ("failed", "failure", "fail", "error", "errored", "rejected", "timeout", "timed_out"),
    "canceled": ("canceled", "cancelled", "cancel", "revoked", "stopped"),
    "aborted": ("aborted", "abort"),
    "processing": (
        *("processing", "in_progress", "running", "started", "generating", "working", "executing"),
        *("not_start", "submitted", "created", "accepted"),
    ),
    "starting": ("starting", "booting", "queued", "in_queue", "pending", "waiting"),
}
"""The service's words for a status, and those that mean the same: in small letters, `_` between words."""

# Outputs

OUTPUT_PLACES = (
    "output",
    "outputs",
    "output_url",
    "output_urls",
    "output_image",
    "output_images",
    "images",
    "result",
    "results",
    "artifacts",
    "data",
)
"""Keys of a prediction below which its outputs may be. Each counts where those before it hold none."""

PICTURE_KEYS = (
    "output",
    "outputs",
    "images",
    "imageurls",
    "urls",
    "files",
    "results",
    "result",
    "artifacts",
    "generations",
    "outputurl",
    "outputimage",
    "imageurl",
    "fileurl",
    "downloadurl",
    "signedurl",
    "url",
    "image",
    "uri",
    "href",
    "src",
    "link",
    "file",
    "path",
    "dataurl",
    "datauri",
    "b64json",
    "imagebase64",
    "base64image",
    "imageb64",
    "base64",
    "b64",
    "bytes",
    "data",
    "content",
)
"""Keys of a picture or of several inside an object, in small letters and without what parts their words.

The first that holds any has all that the object has: the others hold the same once more, or something else.
"""

BASE64_KEYS = frozenset({"b64json", "imagebase64", "base64image", "imageb64", "base64", "b64", "bytes"})
"""Those of them whose text is a picture in base64, of whatever format."""

NO_OUTPUTS = frozenset(
    {"thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews", "placeholder", "icon"}
    | {"input", "inputs", "init", "mask", "masks", "source", "reference", "control"}
    | {"webhook", "callback", "get", "cancel", "stream", "web", "status", "response", "docs", "log", "logs"}
)
"""Words in the name of a key that holds no output: smaller copies, what was sent, the API's own addresses."""

ADDRESS_MARKUP = (
    r"!\[[^\]]*+\]\(\s*+<?((?:[^\s()<>]++|\([^\s()<>]*+\))++)",
    r"<img\b[^>]*?\bsrc\s*=\s*[\"']?([^\s\"'>]++)",
    r"\[[^\]]*+\]\(\s*+<?((?:[^\s()<>]++|\([^\s()<>]*+\))++)",
    r"<((?:https?|data):[^\s<>]++)>",
)
"""Patterns of an address inside a text, in markdown and in HTML: a picture, then a link. The first counts."""

PICTURE_SUFFIXES = (
    ".webp",
    ".png",
    ".jpg",
    ".jpeg",
    ".avif",
    ".gif",
    ".tif",
    ".tiff",
    ".bmp",
    ".jxl",
    ".heic",
)
"""What ends a relative address that has no slash."""

PICTURE_HEADS = (
    rb"\x89PNG\r\n\x1a\n",
    rb"\xff\xd8\xff",
    rb"RIFF.{4}WEBP",
    rb"GIF8[79]a",
    rb".{4}ftyp(?:avi[fs]|hei[cfsx]|hev[cx]|mif1|msf1)",
    rb"II\*\x00|MM\x00\*",
    rb"BM.{4}\x00{4}",
    rb"\x00{3}\x0c(?:JXL |jP  )\r\n\x87\n",
)
"""Patterns of the first bytes of a picture."""

SAFETY_WORDS = (
    "nsfw",
    "safety filter",
    "safety system",
    "flagged",
    "moderation",
    "content policy",
    "sensitive content",
    "inappropriate",
    "敏感",
    "违规",
)
"""Parts of words with which a service says that its filter left a picture out, in small letters."""
