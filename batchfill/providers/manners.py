"""How gateways differ, as tables: where each kind of answer keeps what is read from it.

Replicate's own form comes first in each table. Another gateway's manner is one more entry.
"""

from __future__ import annotations

from enum import StrEnum

# Answers

ENVELOPES = ("data", "result", "prediction", "response")
"""Keys below which a gateway may put what Replicate has at the top, one level deep."""

IDS = ("id", "task_id", "prediction_id", "taskId", "request_id")
"""Keys of a prediction's id. The first, the documented one, counts at once; the others once confirmed."""

SUCCEEDED = frozenset(
    {"succeeded", "success", "successful", "completed", "complete", "done", "finished", "ok"}
)
FAILED = frozenset({"failed", "failure", "fail", "error", "errored"})
CANCELED = frozenset({"canceled", "cancelled", "cancel"})
ABORTED = frozenset({"aborted", "abort", "timeout", "timed_out", "expired"})
"""Words for a prediction that ended, in lower case."""

# Refusals


class RefusedFor(StrEnum):
    """Why nothing was made of a create."""

    QUOTA = "quota"
    """The account's credit is used up: until it has more, every row meets the same."""
    NO_CHANNEL = "no channel"
    """The gateway has nothing to run the model with."""
    BUSY = "busy"
    """Too much at once, or too fast: the same row may be sent again."""


CODES = {
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

WORDS = {
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
