from __future__ import annotations

import io
import pickle
import re
from typing import TYPE_CHECKING

import pytest

from batchfill.domain.objects import ObjectFile
from batchfill.errors import NoAnswer, ObjectGone, ObjectsRefused
from batchfill.storage.remote_store import AtServer, RemoteStore, store_at, store_of_process
from batchfill.storage.store_errors import explain_error
from batchfill.storage.store_variables import ENDPOINTS
from tests.support.buckets import Failure, etag_of, without_credentials

if TYPE_CHECKING:
    from tests.support.buckets import BucketServer


def listed(prefix: str) -> list[ObjectFile]:
    """Return every object that a new store lists."""
    return [one for page in RemoteStore().list_objects(prefix) for one in page]


def read(wanted: ObjectFile) -> bytes:
    """Return what a new store reads."""
    content = io.BytesIO()
    RemoteStore().read_object(wanted, content)
    return content.getvalue()


def test_a_listing_tells_address_size_and_etag_page_by_page(buckets: BucketServer) -> None:
    for n in range(1003):
        buckets.put(f"in/{n:04}.jpg", b"x" * n)

    found = listed("s3://photos/in/")

    assert found[7] == ObjectFile("s3://photos/in/0007.jpg", 7, etag_of(b"x" * 7))
    assert (len(found), buckets.asked["list"], buckets.listed) == (1003, 2, ["photos/in/"])


def test_the_bucket_itself_is_listed_too(buckets: BucketServer) -> None:
    buckets.put("a.jpg", b"1")

    assert [one.address for one in listed("s3://photos/")] == ["s3://photos/a.jpg"]


@pytest.mark.parametrize("variable", ENDPOINTS)
def test_work_at_a_server_finds_buckets_there_whatever_the_environment_says(
    buckets: BucketServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    address = buckets.put("a.jpg", b"1")
    monkeypatch.setenv(variable, "http://127.0.0.1:9")

    work: AtServer[str, ObjectFile | None] = AtServer(find_object, buckets.address)

    assert pickle.loads(pickle.dumps(work))(address) == ObjectFile(address, 1, etag_of(b"1"))
    assert store_of_process() is store_at(None), "it counts for other work, too"


def find_object(address: str) -> ObjectFile | None:
    return store_of_process().find_object(address)


@pytest.mark.parametrize("obeys", [True, False])
@pytest.mark.parametrize("now", [b"after", b"be", None])
def test_only_the_version_that_was_listed_is_read(
    buckets: BucketServer, obeys: bool, now: bytes | None
) -> None:
    buckets.put("in/a.jpg", b"before")
    (one,) = listed("s3://photos/in/")
    assert read(one) == b"before"
    buckets.obeys_conditions = obeys
    if now is None:
        buckets.objects.clear()
    else:
        buckets.put("in/a.jpg", now)

    with pytest.raises(ObjectGone, match=r"s3://photos/in/a\.jpg"):
        read(one)


@pytest.mark.parametrize("gives_tags", [True, False])
def test_an_object_that_is_listed_without_a_tag_is_told_by_its_time(
    buckets: BucketServer, gives_tags: bool
) -> None:
    buckets.lists_tags, buckets.gives_tags = False, gives_tags
    buckets.put("in/a.jpg", b"before")
    (one,) = listed("s3://photos/in/")
    assert read(one) == b"before"

    buckets.put("in/a.jpg", b"behind")
    buckets.changed_at = "11:00:01"

    assert listed("s3://photos/in/") != [one]
    with pytest.raises(ObjectGone):
        read(one)


def test_half_an_object_is_no_object(buckets: BucketServer) -> None:
    buckets.put("in/a.jpg", b"before")
    (one,) = listed("s3://photos/in/")
    buckets.cuts.add("photos/in/a.jpg")

    with pytest.raises(NoAnswer):
        read(one)


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        (Failure(403, "AccessDenied"), ObjectsRefused, "have no right to that (403 AccessDenied)"),
        (Failure(403), ObjectsRefused, "have no right to that (403)"),
        (Failure(403, "SignatureDoesNotMatch"), ObjectsRefused, "are not taken (403 SignatureDoesNotMatch)"),
        (Failure(401), ObjectsRefused, "are not taken (401)"),
        (Failure(400, "ExpiredToken"), ObjectsRefused, "have expired (400 ExpiredToken)"),
        (Failure(400, "AuthorizationHeaderMalformed"), ObjectsRefused, "another region: set AWS_REGION"),
        (Failure(301, "PermanentRedirect"), ObjectsRefused, "another region: set AWS_REGION"),
        (Failure(307), ObjectsRefused, "another region: set AWS_REGION"),
        (Failure(404, "NoSuchBucket"), ObjectsRefused, "there is no such bucket"),
        (Failure(403, "RequestTimeTooSkewed"), ObjectsRefused, "the clock of this machine is wrong"),
        (Failure(403, "InvalidObjectState"), ObjectsRefused, "in an archive: restore it first"),
        (Failure(418, "Teapot"), ObjectsRefused, "the storage refuses (418 Teapot)"),
        (Failure(503, "SlowDown"), NoAnswer, "the storage answers 503 SlowDown"),
        (Failure(500), NoAnswer, "the storage answers 500"),
        (Failure(429), NoAnswer, "the storage answers 429"),
    ],
    ids=str,
)
def test_each_refusal_is_told_in_words(
    buckets: BucketServer, failure: Failure, error: type[Exception], words: str
) -> None:
    # The key says all sorts of things, and means none of them.
    key = "NoSuchBucket/169.254.169.254/latest/api/token/AccessDenied status code: 503 Generic S3 error.jpg"
    buckets.put(key, b"before")
    (one,) = listed(f"s3://photos/{key.rpartition('/')[0]}/")
    buckets.fail = lambda kind, place: failure

    for act in (lambda: listed("s3://photos/in/"), lambda: read(one)):
        with pytest.raises(error, match=re.escape(words)):
            act()


def test_an_object_that_is_gone_is_no_bucket_that_is_gone(buckets: BucketServer) -> None:
    with pytest.raises(ObjectGone, match="there is no such object any more"):
        read(ObjectFile("s3://photos/a.jpg", 1, "tag"))


def test_no_credentials_are_told_with_the_variables_that_name_them(
    buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch, buckets)

    with pytest.raises(ObjectsRefused, match=r"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY$"):
        listed("s3://photos/in/")


@pytest.mark.parametrize(
    ("address", "environment", "words"),
    [
        ("s3://photos/in/", {"AWS_ACCESS_KEY_ID": "half"}, "cannot be used: check AWS_ACCESS_KEY_ID"),
        ("az://photos/in/", {}, "cannot be used: check AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://photos/in/", {"AZURE_STORAGE_ACCOUNT_NAME": "a/b c"}, "AZURE_STORAGE_ACCOUNT_NAME holds a"),
        ("gs://photos/in/", {"GOOGLE_SERVICE_ACCOUNT_KEY": '{"a": 1}'}, "cannot be used: check GOOGLE_APP"),
        ("s3://photos/in/", {"AWS_ACCESS_KEY_ID": "key\n"}, "AWS_ACCESS_KEY_ID holds a space, a line break"),
        ("s3://photos/in/", {"AWS_SESSION_TOKEN": "to ken"}, "AWS_SESSION_TOKEN holds a space, a line break"),
        ("s3://photos/in/", {"AWS_REGION": "\udcff"}, "AWS_REGION holds a space, a line break"),
        (
            "s3://photos/in/",
            {"AWS_ENDPOINT_URL": "localhost:9000"},
            "s3://photos/ cannot be reached: AWS_END",
        ),
        ("s3://photos/in/", {"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL is no address: set it to"),
        ("s3://photos/in/", {"AWS_ENDPOINT_URL": "ftp://127.0.0.1:1"}, "AWS_ENDPOINT_URL is no address"),
        ("s3://photos/in/", {"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "AWS_ENDPOINT_URL is no address"),
        ("s3://photos/in/", {"AWS_ENDPOINT_URL": "http://[::1"}, "AWS_ENDPOINT_URL is no address"),
        ("s3://photos/in/", {"AWS_ENDPOINT_URL_S3": "https://:1"}, "AWS_ENDPOINT_URL_S3 is no address"),
        ("gs://photos/in/", {"GOOGLE_APPLICATION_CREDENTIALS": "/none"}, "check GOOGLE_APPLICATION_CRED"),
    ],
)
def test_credentials_that_cannot_be_used_are_told_without_them(
    monkeypatch: pytest.MonkeyPatch, address: str, environment: dict[str, str], words: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ObjectsRefused, match=words) as caught:
        listed(address)
    assert all(value not in str(caught.value) for value in environment.values())


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://bucket.test:1", "plain http: name one of https, or set AWS_ALLOW_HTTP=true"),
        ("http://127.0.0.1:1", "the storage does not answer at 127.0.0.1:1$"),
    ],
)
def test_plain_http_goes_to_this_machine_alone(
    buckets: BucketServer, monkeypatch: pytest.MonkeyPatch, endpoint: str, words: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    with pytest.raises((ObjectsRefused, NoAnswer), match=words):
        listed("s3://photos/in/")


def test_a_container_that_azure_cannot_have_is_none() -> None:
    with pytest.raises(ObjectsRefused, match="there is no such bucket: check its name"):
        listed("az://a.b/in/")


def test_a_library_that_breaks_off_is_told_without_a_traceback(
    buckets: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchfill.storage.remote_store.find_unfit_variable", lambda *_: None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a\nb")

    with pytest.raises(ObjectsRefused, match="broke off: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        listed("s3://photos/in/")


def test_a_key_that_cannot_be_addressed_is_told(buckets: BucketServer) -> None:
    buckets.put("in//a.jpg", b"before")

    with pytest.raises(ObjectsRefused, match="has an empty part in its key"):
        listed("s3://photos/in/")


def test_nothing_of_a_signed_query_or_a_body_is_told() -> None:
    text = (
        "Generic MicrosoftAzure error: Error performing GET https://a.test/b?sig=SECRET&comp=list in 3ms - "
        "Server returned non-2xx status code: 403 Forbidden: <Error><Code>AuthenticationFailed</Code>"
        "<AuthenticationErrorDetail>SECRET</AuthenticationErrorDetail></Error>"
    )

    told = explain_error(Exception(text), "az://b/x/ cannot be listed")

    assert isinstance(told, ObjectsRefused)
    assert "SECRET" not in str(told)
