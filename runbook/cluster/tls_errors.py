"""What a failed TLS handshake means, in words: by OpenSSL's own codes, as its sentences differ between versions."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timezone
from urllib.parse import urlsplit

from runbook.files import read_limited

LARGEST = 64 * 1024  # bytes of a file with our certificate that are read
WITHIN = 2.0  # seconds for a second handshake that reads a certificate's names
MOST_NAMES = 6
Trust = tuple["bool | str", "tuple[str, str] | None"]  # what is trusted, and our certificate with its key
GENERAL = "Check https://, the CA, the names and the client key"
# X509_V_ERR_* of a certificate that did not hold, as openssl-verify(1) lists them
_UNKNOWN_AUTHORITY, _NOT_YET_VALID, _EXPIRED, _OTHER_NAME = (18, 19, 20, 21), 9, 10, (62, 63, 64)
# What the server's alert, or what it sent instead of one, is called
_ALERTS = (
    ("UNKNOWN_CA", "it does not know the authority of our client certificate", "Give one that its own CA has signed"),
    ("CERTIFICATE_EXPIRED", "our client certificate has expired", "Renew it"),
    ("CERTIFICATE_REVOKED", "our client certificate is revoked", "Give another one"),
    ("WRONG_VERSION_NUMBER", "it speaks plain HTTP", "Write http:// in its address, or give its HTTPS port"),
    ("HTTP_REQUEST", "it speaks plain HTTP", "Write http:// in its address, or give its HTTPS port"),
)
_WANTS_ONE = ("BAD_CERTIFICATE", "CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VALIDITY = re.compile(  # RFC 5280: a sequence of two times, each in one of two forms
    rb"\x30[\x1e\x20\x22](?:\x17\x0d|\x18\x0f)\d{12,14}Z(?:\x17\x0d(?P<short>\d{12}Z)|\x18\x0f(?P<long>\d{14}Z))"
)


def tls_error_in(causes: Iterable[BaseException]) -> ssl.SSLError | None:
    """The error of TLS among them, also where another one only carries it."""
    for cause in causes:
        for each in (cause, *cause.args):
            if isinstance(each, ssl.SSLError):
                return each
    return None


def explain_tls(error: ssl.SSLError, url: str, name: str | None, trust: Trust) -> tuple[str, str]:
    """What failed, and what to do. ``name`` is the one that was asked for instead of the host's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error, url, name, trust)
    reason = getattr(error, "reason", None) or ""  # one that Python makes has none
    for alert, what, advice in _ALERTS:
        if alert in reason:
            return f"TLS failed: {what}", advice
    wants_one = any(alert in reason for alert in _WANTS_ONE)
    closed = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if trust[1] and (wants_one or closed) and _has_expired(trust[1][0]):  # an older release does not say so itself
        return "TLS failed: our client certificate has expired", "Renew it"
    if wants_one:
        what = "it turns our client certificate down" if trust[1] else "it wants a client certificate"
        return f"TLS failed: {what}", "Give one that its own CA has signed, and its key"
    if closed:
        does = "turns a client certificate down" if trust[1] else "wants a client certificate"
        return f"TLS failed: it closed the connection in the handshake, as a server does that {does}", GENERAL
    return f"TLS failed ({_short(error)})", GENERAL


def _explain_certificate(
    error: ssl.SSLCertVerificationError, url: str, name: str | None, trust: Trust
) -> tuple[str, str]:
    code = error.verify_code
    if code in _UNKNOWN_AUTHORITY:
        return (
            "TLS failed: its certificate is signed by an authority that is not known here",
            "Give the CA that signed it",
        )
    if code == _EXPIRED:
        return (
            "TLS failed: its certificate has expired",
            "Renew that server's certificate, or look from a host whose clock is right",
        )
    if code == _NOT_YET_VALID:
        return "TLS failed: its certificate is not valid yet", "Compare this host's clock with the server's"
    if code in _OTHER_NAME:
        names = ", ".join(names_at(url, trust)[:MOST_NAMES])
        told = f", but for {names}" if names else ""
        what = f"TLS failed: its certificate is not for {name or urlsplit(url).hostname}{told}"
        return what, "Give one of its names as the address, or as the TLS server name"
    return f"TLS failed ({_short(error)})", GENERAL


def _has_expired(path: str) -> bool:
    """Whether the first certificate in the file has; no where that cannot be read of it."""
    with suppress(OSError, ValueError):
        pem = _PEM.search(read_limited(path, LARGEST).decode("utf-8", "replace"))
        until = _VALIDITY.search(ssl.PEM_cert_to_DER_cert(pem[0])) if pem else None
        if until:
            form = "%y%m%d%H%M%SZ" if until["short"] else "%Y%m%d%H%M%SZ"
            at = datetime.strptime((until["short"] or until["long"]).decode(), form)  # noqa: DTZ007 -- it ends in Z
            return at.replace(tzinfo=timezone.utc) < datetime.now(timezone.utc)
    return False


def names_at(url: str, trust: Trust) -> tuple[str, ...]:
    """The names of the certificate there, whoever signed it for whom; none where it cannot be read again."""
    place = urlsplit(url)
    with suppress(OSError, ValueError):
        verify, certificate = trust
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
        context.check_hostname = False
        if certificate:
            context.load_cert_chain(*certificate)
        with (
            socket.create_connection((place.hostname or "", place.port or 443), timeout=WITHIN) as plain,
            context.wrap_socket(plain) as secured,
        ):
            told = secured.getpeercert() or {}
        return tuple(str(entry[1]) for entry in told.get("subjectAltName", ()))
    return ()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[-160:]
