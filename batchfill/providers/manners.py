"""How gateways differ, as tables: where each kind of answer keeps what is read from it.

Replicate's own form comes first in each table. Another gateway's manner is one more entry.
"""

from __future__ import annotations

from enum import StrEnum

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

SAYING = ("output", "urls", "created_at", "completed_at", "data_removed")
"""Keys that say how a prediction stands, besides its status."""

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

# Refusals


class RefusedFor(StrEnum):
    """Why nothing was made of a create. The first one that fits counts."""

    NO_CAPACITY = "no capacity"
    """Own model servers are away for now; their front says so by its code alone."""
    QUOTA = "quota"
    """The account's credit is used up: until it has more, every row meets the same."""
    NO_CHANNEL = "no channel"
    """The gateway has nothing to run the model with."""
    BUSY = "busy"
    """Too much at once, or too fast: the same row may be sent again."""


CODES = {
    RefusedFor.NO_CAPACITY: frozenset({"no_capacity"}),
    RefusedFor.QUOTA: frozenset(
        {
            "402",
            "insufficient_quota",
            "insufficient_user_quota",
            "insufficient_balance",
            "insufficient_credits",
            "insufficient_credit",
            "insufficient_funds",
            "no_quota",
            "quota_not_enough",
            "quota_exhausted",
            "balance_not_enough",
            "pre_consume_token_quota_failed",
            "billing_hard_limit_reached",
            "billing_not_active",
            "payment_required",
            "credit_balance_too_low",
            "account_overdue",
            "arrearage",
        }
    ),
    RefusedFor.NO_CHANNEL: frozenset({"model_not_found", "channel:no_available_key", "no_available_channel"}),
    RefusedFor.BUSY: frozenset(
        {
            "429",
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limited",
            "too_many_requests",
            "throttling",
            "at_capacity",
            "concurrency_limit_exceeded",
        }
    ),
}
"""What an error's `code`, `type` or `status` is, in lower case. The first kind that fits counts."""

WORDS: dict[RefusedFor, tuple[str, ...]] = {
    RefusedFor.NO_CAPACITY: (),
    RefusedFor.QUOTA: (
        r"exceeded your current quota",
        r"insufficient (user |account )?(quota|credits?|balance|funds)",
        r"(quota|credit limit|balance|credits?) (is|are) (insufficient|not enough|too low|used up|exhausted)",
        r"(quota|credits?) (has been |have been )?exhausted",
        r"quota exceeded(?!.{0,80}\b(per|a|each) (second|minute)\b)",
        r"(out of|not enough|no) (credits?|quota)\b",
        r"billing hard limit",
        r"payment required",
        r"(额度|余额|点数|积分|配额)(不足|已?用尽|已?用完|已?耗尽)",
        r"预扣费额度失败",
        r"欠费",
    ),
    RefusedFor.NO_CHANNEL: (
        r"no (available channels?|channels? available)",
        r"(no|无|没有)可用(的)?渠道|可用渠道不存在",
        r"no (available server|deployments available|endpoints (found|available))\b",
    ),
    RefusedFor.BUSY: (
        r"at capacity",
        r"slots? (are )?busy",
        r"already running a prediction",
        r"rate[- ]?limit(s|ed| exceeded| reached)?\b",
        r"too many (concurrent )?requests",
        r"request was throttled",
        r"(负载|上游)已?饱和",
        r"(请求|访问|调用)(过于|太)?频繁|(请求|访问)频率",
    ),
}
"""What an error says, as patterns for any case. They are looked for in its words, never in a web page."""

UNPROVEN_CODES = frozenset(
    {
        "do_response_failed",
        "bad_response",
        "bad_response_body",
        "bad_response_status_code",
        "read_response_body_failed",
        "do_request_failed",
        "get_channel_failed",
    }
)
"""Codes of errors that came after another server was asked."""

UNPROVEN_WORDS = (
    # A gateway that tries one channel after the other: an earlier one may have made the picture.
    r"\bretry\s*[)）]",
    r"after \d+ (retries|attempts|tries)|重试\s*\d* *次?(后|仍)",
    r"\b(poll|polling|output|result|response|webhook|callback)\b",
    r"\b(fetch|retriev|stor|sav|upload|download)(e|es|ed|ing)?\b",
    r"time[sd]?[ -]?out|超时",
)
"""Words that tell of what comes after a create: then a busy or an empty account says nothing about it."""

# Waits

RETRY_KEYS = {
    "retry_after": 1.0,
    "retryafter": 1.0,
    "retry_after_seconds": 1.0,
    "retry_in": 1.0,
    "retrydelay": 1.0,
    "retry_delay": 1.0,
    "retry_after_ms": 0.001,
    "retryafterms": 0.001,
}
"""Keys of an error, in lower case, that hold a wait; the seconds of one unit of a bare number."""

RETRY_HEADERS = {
    "retry-after": 1.0,
    "retry-after-ms": 0.001,
    "x-retry-after-ms": 0.001,
    "x-ms-retry-after-ms": 0.001,
    "x-retry-after": 1.0,
}

RESET_HEADERS = (
    "ratelimit-reset",
    "x-ratelimit-reset",
    "x-rate-limit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-after",
)
"""When a limit begins again. They count where no answer names a wait, unless some of the limit remains."""

RESET_KEYS = ("reset_at", "resets_at", "reset_time")

WAIT_WORDS = (
    r"(?:resets?|available|try(?:ing)? again|retry(?:ing)?) (?:in|after) (?:about |~ ?)?{duration}",
    r"wait (?:for )?(?:at least |about |~ ?)?{duration}",
    r"(?:请|需)?(?:在|等待|等)\s*{duration}\s*(?:后|之后|再|$)",
    r"{duration}\s*(?:后|之后)\s*(?:再|重)试",
)
"""How an error's words tell a wait."""

UNITS = {
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001, "毫秒": 0.001,
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "秒": 1.0, "秒钟": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "分": 60.0, "分钟": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0, "小时": 3600.0,
}  # fmt: skip
"""Seconds of a unit."""

RATE_WORDS = (
    r"(?a:(?<![\d.,])(\d{{1,7}})) ?(?:requests?|reqs?|predictions?|creates?|calls?|次)?"
    r"(?: ?/ ?| (?:per|an?|each|every) )({unit})(?![a-zA-Z])",
    r"(?a:(?<![\d.,])(\d{{1,7}})) ?(rpm)\b",
)
"""How an error's words tell the limit that was met: so many in a unit of time."""

RATE_UNITS = {**UNITS, "rpm": 60.0}

# Creates

NO_SUCH_PATH = frozenset({301, 307, 308, 404, 405, 501})
"""Statuses by which a gateway says that it takes no creates at a path; nothing was made."""

NAMES_NO_MODEL = ("version", "model")
"""Words of a 400 or 422 that is about which model to run, not about the row."""
