"""A failed handshake in words, by OpenSSL's codes. That real servers give them: tests/contract/test_secured.py."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from runbook.cluster.tls_errors import explain_tls, tls_error_in
from tests.contract.certificates import make_certificates

URL = "https://127.0.0.1:9/v1/agent/self"


def unverified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "certificate", "said"),
    [
        (unverified(10), None, "its certificate has expired"),
        (unverified(9), None, "its certificate is not valid yet"),
        (unverified(18), None, "an authority that is not known here"),
        (unverified(20), None, "an authority that is not known here"),
        (unverified(62), None, "its certificate is not for s1.example"),
        (unverified(64), None, "its certificate is not for s1.example"),
        (unverified(7), None, "certificate verify failed"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), None, "it wants a client certificate"),
        (alert("SSLV3_ALERT_BAD_CERTIFICATE"), None, "it wants a client certificate"),
        (alert("SSLV3_ALERT_BAD_CERTIFICATE"), ("c", "k"), "it turns our client certificate down"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), ("c", "k"), "it does not know the authority of our client certificate"),
        (alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), ("c", "k"), "our client certificate has expired"),
        (alert("WRONG_VERSION_NUMBER"), None, "it speaks plain HTTP"),
        (ssl.SSLEOFError(8, "EOF"), ("c", "k"), "it closed the connection in the handshake"),
        (ssl.SSLEOFError(8, "EOF"), None, "as a server does that wants a client certificate"),
        (alert("SOMETHING_NEW"), None, "SOMETHING_NEW"),
    ],
)
def test_what_failed_is_named(error: ssl.SSLError, certificate: tuple[str, str] | None, said: str) -> None:
    what, advice = explain_tls(error, URL, "s1.example", (True, certificate))
    assert what.startswith("TLS failed")
    assert said in what
    assert advice


@pytest.mark.parametrize("error", [alert("SSLV3_ALERT_BAD_CERTIFICATE"), ssl.SSLEOFError(8, "EOF")])
def test_our_own_certificate_that_has_expired_is_named_whatever_the_server_says(
    error: ssl.SSLError, tmp_path: Path
) -> None:
    """Consul 1.8.7 only turns it down, and etcd closes the connection."""
    make_certificates(tmp_path / "made", ["127.0.0.1"])
    said = {}
    for name in ("past", "client", "ca"):
        file = str(tmp_path / "made" / f"{name}.pem")
        said[name], _ = explain_tls(error, URL, None, (True, (file, file)))
    assert said.pop("past") == "TLS failed: our client certificate has expired"
    assert not any("expired" in words for words in said.values())


def test_a_certificate_that_cannot_be_read_has_not_expired(tmp_path: Path) -> None:
    for text in ("", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "\0"):
        file = tmp_path / "odd.pem"
        file.write_text(text)
        what, _ = explain_tls(alert("SSLV3_ALERT_BAD_CERTIFICATE"), URL, None, (True, (str(file), str(file))))
        assert "turns our client certificate down" in what


def test_an_error_that_another_one_only_carries_is_found() -> None:
    """As urllib3's own, which has no cause."""
    inner = alert("SSLV3_ALERT_BAD_CERTIFICATE")
    assert tls_error_in([ValueError("a"), OSError(inner)]) is inner
    assert tls_error_in([ValueError("a"), TimeoutError()]) is None
