"""What every reply of a server shows beside its words: the time by its clock, and how long its certificate is good."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from runbook.clock import wall_seconds
from runbook.dataclass import dataclass


@dataclass(frozen=True)
class ServerFacts:
    """``clock_drift`` is by how many seconds the server's clock is at least ahead of ours, or behind it;
    ``certificate_left`` for how many its certificate is still good, of ``certificate_life`` in all. None where it
    cannot be told, as of a certificate that nobody verifies.
    """

    clock_drift: float | None = None
    certificate_left: float | None = None
    certificate_life: float | None = None


NO_FACTS = ServerFacts()


def facts_of(date: str | None, asked_at: float, certificate: Mapping[str, object] | None) -> ServerFacts:
    """From the Date of a reply to what was asked at that time, and from the server's certificate."""
    drift = _drift(date, asked_at)
    try:
        begins, ends = (ssl.cert_time_to_seconds(str((certificate or {})[each])) for each in ("notBefore", "notAfter"))
    except (KeyError, ValueError):
        return ServerFacts(drift)
    return ServerFacts(drift, ends - wall_seconds(), float(ends - begins))


def _drift(date: str | None, asked_at: float) -> float | None:
    """The server wrote its whole second between our question and now."""
    try:
        second = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(second - wall_seconds(), 0.0) or min(second + 1 - asked_at, 0.0)
