"""What replies show beside their words: the server's clock, and how long its certificate is good."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from runbook.cluster.http import HttpClient, HttpSettings
from runbook.cluster.network import FactsNetwork, SystemNetwork
from runbook.cluster.server_facts import facts_of
from runbook.raft.model import ClusterView, Reach, Vantage
from tests.cluster.stub import CERTIFICATE, NAME_IN_CERTIFICATE, reply, stub

DATED = "Date: Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize(("ahead", "expected"), [(0.0, 0.0), (0.9, 0.0), (-0.9, 0.0), (60.0, 59.0), (-60.0, -59.0)])
def test_a_clock_is_off_by_no_less_than_what_is_told(ahead: float, expected: float) -> None:
    """A Date has whole seconds, so that less than one is nothing."""
    drift = facts_of(formatdate(time.time() + ahead, usegmt=True), time.time(), None).clock_drift
    assert drift is not None
    assert abs(drift) <= abs(ahead)
    assert drift == pytest.approx(expected, abs=1.1)


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 999999 00:00:00 GMT"])
def test_what_is_no_date_tells_nothing(date: str | None) -> None:
    assert facts_of(date, 0.0, {"notAfter": "soon"}).clock_drift is None
    assert facts_of(date, 0.0, {"notAfter": "soon"}).certificate_left is None


def test_a_verified_certificate_tells_its_life_also_on_a_connection_that_was_kept() -> None:
    """One that nobody verifies tells nothing."""
    with stub(lambda _method, _path: reply({}, 200, DATED), tls_delay=0.0) as server:
        url = server.url.replace("http://", "https://")
        client = HttpClient(url, HttpSettings(verify=str(CERTIFICATE), server_name=NAME_IN_CERTIFICATE))
        told = [client.ask("GET", "/x", timeout=5).facts for _ in range(2)]
        unverified = HttpClient(url, HttpSettings(verify=False)).ask("GET", "/x", timeout=5).facts
    for facts in told:
        assert facts.certificate_life is not None
        assert facts.certificate_left is not None
        assert facts.certificate_left < facts.certificate_life
        assert facts.clock_drift is not None
        assert facts.clock_drift < -1e6
    assert (unverified.certificate_left, unverified.certificate_life) == (None, None)


def test_a_view_has_them_of_those_who_answer() -> None:
    with stub(lambda _method, _path: reply({}, 200, DATED)) as server:
        network = FactsNetwork(SystemNetwork(HttpSettings()))
        network.ask(server.url, "GET", "/x", timeout=5, limit=1000, into=None)
        answers = Vantage(server.url, Reach.ANSWERED, server_id="a")
        view = ClusterView("x", 0.0, None, None, (answers, Vantage("http://b", Reach.SILENT)))
        first, second = network.with_facts(view).vantages
    assert first.clock_drift is not None
    assert first.clock_drift < -1e6
    assert second.clock_drift is None
