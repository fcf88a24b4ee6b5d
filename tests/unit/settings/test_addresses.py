"""What a base is read from, how it is shown, and where the token may go in the clear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfill.settings.addresses import HIDDEN, read_base, show_base, why_out_of_reach

GW = "https://gw.test"


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (f"{GW}/v1/", f"{GW}/v1"),
        (f"{GW}", GW),
        (f"{GW}/account/abc/replicate/v1", f"{GW}/account/abc/replicate/v1"),
        (f"{GW}/models/v1", f"{GW}/models/v1"),
        (f"{GW}/files/replicate/v1", f"{GW}/files/replicate/v1"),
        (f"{GW}/predictions/v1", f"{GW}/predictions/v1"),
        (f"{GW}/deployments/replicate", f"{GW}/deployments/replicate"),
        (f"{GW}/v1/acct%2Fabc/gw/replicate", f"{GW}/v1/acct%2Fabc/gw/replicate"),
        (f"{GW}/v1?api-version=2024&key=a%2Fb", f"{GW}/v1?api-version=2024&key=a%2Fb"),
        (f"{GW}?key=abc", f"{GW}?key=abc"),
        (f"{GW}/v1/#top", f"{GW}/v1"),
        # Pasted calls
        (f"{GW}/v1/models/a/b/predictions", f"{GW}/v1"),
        (f"{GW}/v1/models/a/b/versions/0123/predictions", f"{GW}/v1"),
        (f"{GW}/v1/deployments/a/b/predictions", f"{GW}/v1"),
        (f"{GW}/v1/predictions", f"{GW}/v1"),
        (f"{GW}/v1/predictions/", f"{GW}/v1"),
        (f"{GW}/v1/predictions/p1", f"{GW}/v1"),
        (f"{GW}/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu/cancel", f"{GW}/v1"),
        (f"{GW}/v1/predictions/p1/stream", f"{GW}/v1"),
        (f"{GW}/v1/models/a/b/predictions?key=abc", f"{GW}/v1?key=abc"),
        (f"{GW}/account/models/replicate/v1/predictions/p1", f"{GW}/account/models/replicate/v1"),
        ("https://GW.test:8443/v1", "https://gw.test:8443/v1"),
        ("http://[::1]:8765/v1", "http://[::1]:8765/v1"),
    ],
)
def test_a_base_is_kept_as_it_is_given_and_a_pasted_call_cut_down_to_it(text: str, base: str) -> None:
    assert read_base(text) == base
    assert read_base(base) == base


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        (f"{GW}/v1", f"{GW}/v1"),
        (f"{GW}/v1?key=abc", f"{GW}/v1?key={HIDDEN}"),
        (f"{GW}/v1?a=1&b=2=3&&c=", f"{GW}/v1?a={HIDDEN}&b={HIDDEN}&c={HIDDEN}"),
        (f"{GW}/v1?sk-secret", f"{GW}/v1?{HIDDEN}"),
        ("https://ada:secret@gw.test/v1#secret", f"{GW}/v1"),
    ],
)
def test_a_base_is_shown_without_the_values_of_its_query(base: str, shown: str) -> None:
    assert show_base(base) == shown
    assert show_base(shown) == shown


@given(st.text(alphabet="abcXYZ019-._~%&=+/?:@", min_size=1, max_size=30))
def test_no_value_of_any_query_is_shown(query: str) -> None:
    values = {pair.partition("=")[2] for pair in query.split("&") if "=" in pair}
    shown = show_base(f"{GW}/v1?{query}").partition("?")[2]
    names = {pair.partition("=")[0] for pair in query.split("&")}
    assert not {v for v in values if v in shown.split("&") or f"={v}" in shown} - {""} - names


@pytest.mark.parametrize(
    "text", ["gw.test/v1", "ftp://gw.test", "https://", "https://gw.test:x/v1", "https://[bad/v1?key=secret"]
)
def test_what_is_no_address_is_refused_without_its_query(text: str) -> None:
    with pytest.raises(ValueError, match="must be an address such as") as refused:
        read_base(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "text", [f"{GW}/v1?key={HIDDEN}", "https://ada:secret@gw.test/v1", "https://gw.test/v 1", f"{GW}/v1\n/x"]
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        read_base(text)


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("10.0.0.7", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.1.5:3000", True),
        ("169.254.1.1", True),
        ("[fd00::1]", True),
        ("[fe80::1]", True),
        ("new-api:3000", True),
        ("1panel_api", True),
        ("gw.test", False),
        ("gw.local", False),
        ("8.8.8.8", False),
        ("100.64.0.1", False),
        ("[2001:db8::1]", False),
        ("[::ffff:8.8.8.8]", False),
        ("134744072", False),
        ("0x08080808", False),
    ],
)
def test_plain_http_is_allowed_in_private_networks_only_and_only_with_consent(host: str, near: bool) -> None:
    base = f"http://{host}/v1"
    with pytest.raises(ValueError, match="in the clear") as refused:
        read_base(base)
    assert ("--plain-http" in str(refused.value)) is near
    if near:
        assert read_base(base, plain_http=True) == base
    else:
        with pytest.raises(ValueError, match="--plain-http is for private addresses"):
            read_base(base, plain_http=True)


SIGNED = "/photos/sent/1?X-Amz-Signature=5ecret"


@pytest.mark.parametrize(
    ("storage", "base", "plain_http", "why"),
    [
        ("https://photos.s3.amazonaws.com", "https://api.replicate.com/v1", False, None),
        ("https://photos.s3.amazonaws.com", "http://127.0.0.1:8123/v1", False, None),
        ("http://127.0.0.1:9000", "http://localhost:8123/v1", False, None),
        ("https://localhost:9000", "https://api.replicate.com/v1", False, "which is this machine"),
        ("http://[::1]:9000", "http://10.0.0.7/v1", True, "which is this machine"),
        ("https://10.0.0.5", "https://api.replicate.com/v1", True, "which is in your own network"),
        ("https://minio:9000", "https://gw.test/v1", False, "which is in your own network"),
        ("https://minio:9000", "http://10.0.0.7/v1", True, None),
        ("http://minio:9000", "http://10.0.0.7/v1", True, None),
        ("http://minio:9000", "http://127.0.0.1/v1", False, "its address is plain http: use https, or allow"),
        ("http://storage.example.com", "https://api.replicate.com/v1", True, "its address is plain http"),
        ("http://storage.example.com", "http://127.0.0.1/v1", True, "its address is plain http"),
    ],
)
def test_a_service_is_given_addresses_that_it_reaches_and_that_nobody_reads_on_the_way(
    storage: str, base: str, plain_http: bool, why: str | None
) -> None:
    told = why_out_of_reach(storage + SIGNED, base, plain_http=plain_http)

    assert (told is None) == (why is None)
    assert (why or "") in (told or "")
    assert "5ecret" not in (told or "")
