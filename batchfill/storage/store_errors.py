"""What the errors of a storage mean: no rights, another region, no credentials, gone, or another try."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from batchfill.errors import BatchfillError, NoAnswer, ObjectGone, ObjectsRefused
from batchfill.storage.store_variables import VARIABLES

_ASKED = re.compile(r"Error performing [A-Z]+ (\S+) ")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_UNUSABLE = re.compile(
    r"Generic \w+ error: (GCP credential error: )?(Missing|Invalid|Unable (to|parse)|Account must be)"
)
"""What the library says before it asks anyone."""
_NO_BUCKET = re.compile(r"Generic \w+ error: URL did not match any known pattern")
_BAD_KEY = re.compile(r"Encountered object with invalid path")

_CREDENTIALS_AT = ("/latest/api/token", "/latest/meta-data/", "/computeMetadata/", "/metadata/identity/")
"""Where a machine tells its role: it is asked there when the environment names no credentials."""

_NO_CREDENTIALS = "no credentials are in the environment, and this machine has no role: set "
_WRONG = "the credentials in the environment are not taken"
_REGION = "the bucket is in another region: set AWS_REGION to its own"
_BUCKET = "there is no such bucket: check its name, and the account of the credentials"
_RIGHTS = "the credentials in the environment have no right to that"

CODES = {
    "NoSuchBucket": _BUCKET,
    "ContainerNotFound": _BUCKET,
    "InvalidBucketName": _BUCKET,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "InvalidAccessKeyId": _WRONG,
    "SignatureDoesNotMatch": _WRONG,
    "ExpiredToken": "the credentials in the environment have expired",
    "InvalidToken": _WRONG,
    "AuthenticationFailed": _WRONG,
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "InvalidObjectState": "the object is in an archive: restore it first",
}
"""What a storage says, and what that is for a person."""
STATUSES = {401: _WRONG, 403: _RIGHTS, 301: _REGION, 307: _REGION, 404: _BUCKET}
"""The same for answers without a code that is known."""
PASSING = frozenset({408, 425, 429, *range(500, 600)})


class _Answer(NamedTuple):
    """What the text of an error tells of the answer. The rest may hold secrets."""

    asked: str
    told: str
    """All that is behind the address; for finding words in it."""
    status: int | None
    code: str

    @classmethod
    def of(cls, text: str) -> _Answer:
        if (asked := _ASKED.search(text)) is None:
            return cls("", "", None, "")
        # What is before that may be the key, which may say anything.
        told = text[asked.end() :]
        status, code = _STATUS.search(told), _CODE.search(told)
        return cls(asked[1], told, int(status[1]) if status else None, code[1] if code else "")

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.status or ""), self.code)))


def explain_error(error: Exception, failed: str) -> BatchfillError:
    """Return what *error* of the library means; *failed*: what did not work, `s3://… cannot be read`."""
    text = str(error)
    answer = _Answer.of(text)
    if isinstance(error, FileNotFoundError) and answer.code not in CODES:
        return ObjectGone(f"{failed}: there is no such object any more")
    if answer.status == 412:
        return ObjectGone(f"{failed}: it is not the object that was listed")
    if (told := _explain_refusal(text, answer, failed.partition(":")[0])) is not None:
        shown = f" ({answer})" if str(answer) and not told.startswith(_NO_CREDENTIALS) else ""
        return ObjectsRefused(f"{failed}: {told}{shown}")
    where = urlsplit(answer.asked).netloc.rpartition("@")[2]
    silent = f"the storage does not answer{where and f' at {where}'}"
    return NoAnswer(f"{failed}: {f'the storage answers {answer}' if answer.status else silent}")


def explain_panic(failed: str) -> BatchfillError:
    """Return what it means that the library broke off."""
    variables = VARIABLES[failed.partition(":")[0]]
    return ObjectsRefused(
        f"{failed}: the library for storages broke off: check {variables}, then update obstore"
    )


def _explain_refusal(text: str, answer: _Answer, scheme: str) -> str | None:
    """Return why asking again is of no use; None: it may be."""
    place = urlsplit(answer.asked)
    if place.path.startswith(_CREDENTIALS_AT):
        return _NO_CREDENTIALS + VARIABLES[scheme]
    if _NO_BUCKET.match(text):
        return _BUCKET
    if _UNUSABLE.match(text):
        return f"the credentials in the environment cannot be used: check {VARIABLES[scheme]}"
    if place.scheme == "http" and "builder error" in answer.told:
        return "its endpoint is plain http: name one of https, or set AWS_ALLOW_HTTP=true"
    if _BAD_KEY.match(text):
        return "an object there has an empty part in its key: put the pictures in a folder without it"
    if answer.code in CODES:
        return CODES[answer.code]
    if answer.status is None:
        return _REGION if "without LOCATION" in answer.told else None
    if answer.status in PASSING:
        return None
    return STATUSES.get(answer.status, "the storage refuses")
