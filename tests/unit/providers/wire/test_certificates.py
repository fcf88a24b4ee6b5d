"""Certificates that the environment names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.errors import UsageError
from batchfill.providers.wire.certificates import INSTEAD, NAMED_BY, refuse_unreadable, trusted_certificates
from tests.support.wire import CERTIFICATE

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

KEPT = CERTIFICATE.read_text("utf-8")


def names(context: ssl.SSLContext) -> int:
    return len(context.get_ca_certs())


@pytest.mark.parametrize("variable", NAMED_BY)
def test_what_is_missing_or_no_certificate_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no certificate here", "utf-8")
    for path, words in ((tmp_path / "gone.pem", "cannot be read"), (text, "holds no certificates")):
        monkeypatch.setenv(variable, str(path))
        with pytest.raises(UsageError, match=f"{variable} names {path}, which {words}"):
            trusted_certificates()
        with pytest.raises(UsageError, match=f"{variable} names {path}, which {words}"):
            refuse_unreadable()


@pytest.mark.parametrize("variable", [name for name in NAMED_BY if name != "SSL_CERT_DIR"])
def test_certificates_of_a_named_file_are_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    usual = names(trusted_certificates())
    named = tmp_path / "ca.pem"
    named.write_text(KEPT, "utf-8")
    monkeypatch.setenv(variable, str(named))
    trusted = trusted_certificates()
    assert names(trusted) >= 1
    if variable not in INSTEAD:
        assert names(trusted) == usual + 1


def test_a_folder_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert trusted_certificates() is trusted_certificates()
